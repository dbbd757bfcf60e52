"""What `run.deterministic` asks of the other keys.

Owns the list of keys whose other values are not bit-equal from run to run. Refuses contradictions
instead of overruling them: a key that the recipe leaves out takes the value it must have, one that
says otherwise is an error.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tooldojo.configs.schema import Recipe

KEY = "run.deterministic"

# The values that each key may have; the first one is taken where the recipe says nothing.
ALLOWED: dict[tuple[str, str], tuple[object, ...]] = {
    ("policy", "dtype"): ("float32",),
    ("policy", "quantization"): ("none",),
    ("rollout", "engine"): ("vllm",),
    ("rollout", "workers"): (1,),
    ("rollout", "transport"): ("merged", "auto"),
    ("rollout", "eta"): (0,),
    ("rollout", "engine_dtype"): ("float32",),
    ("rollout", "enforce_eager"): (True,),
    ("rollout", "tensor_parallel"): (1,),
    ("rollout", "gpus_per_worker"): (0.0,),
    ("learner", "autocast"): ("off",),
    ("sft", "autocast"): ("off",),
    ("preference", "autocast"): ("off",),
    ("learner", "ranks"): (1,),
}
THREADS = ("learner", "threads")  # of learner and engine; 0 would mean all cores of the moment


def pinned(data: dict[str, Any]) -> dict[str, Any]:
    """A recipe's plain data with every key that determinism decides filled in; unchanged without
    it.
    """
    if not _section(data, "run").get("deterministic"):
        return data
    filled = {name: dict(_section(data, name)) for name in data}
    for (section, key), values in {**ALLOWED, THREADS: (1,)}.items():
        filled.setdefault(section, {}).setdefault(key, values[0])
    return filled


def contradictions(recipe: Recipe) -> Iterator[str]:
    """One line per key that a deterministic recipe cannot honour, saying what to set."""
    if not recipe.run.deterministic:
        return
    for (section, key), values in ALLOWED.items():
        value = recipe.model_dump()[section][key]
        if value not in values:
            yield _line(section, key, value, " or ".join(map(_shown, values)), values[0])
    if not recipe.learner.threads:
        yield _line(*THREADS, 0, "a fixed number, 1 or more", 1)
    if user := recipe.rollout.user:
        yield (
            f"rollout.user = {user} cannot be reproduced bit by bit: it may answer otherwise the "
            f"next time; leave it out or set {KEY}=false"
        )
    if judge := recipe.objective.judge:
        yield (
            f"objective.judge = {judge} cannot be reproduced bit by bit: it may answer otherwise "
            f"the next time; leave it out or set {KEY}=false"
        )


def _line(section: str, key: str, value: object, allowed: str, advice: object) -> str:
    name = f"{section}.{key}"
    return (
        f"{name} = {_shown(value)} cannot be reproduced bit by bit: {KEY} = true allows {allowed}; "
        f"set {name}={_shown(advice)} or {KEY}=false"
    )


def _shown(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _section(data: dict[str, Any], name: str) -> dict[str, Any]:
    section = data.get(name, {})
    return section if isinstance(section, dict) else {}
