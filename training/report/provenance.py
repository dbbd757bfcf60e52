"""Whether a run's stored trajectories came from where the run says they did.

Invariant: a page about a run is only made when every stored trajectory names an engine of the run's
kind and a policy, both registered while the run was playing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from tooldojo.configs.loading import load_recipe
from tooldojo.rollouts.records import EngineId, PolicyRef
from tooldojo.rollouts.store import TrajectoryStore
from tooldojo.rollouts.whole_files import opened_shard, read_json

_COLUMNS = [
    "ordinal",
    "member",
    "engine",
    "engine_kind",
    "pid",
    "node",
    "policy",
    "version",
    "digest",
]


class ProvenanceError(RuntimeError):
    """A stored trajectory does not belong to this run; the message names the first one."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where one stored trajectory says it came from; `where` names it for a message."""

    where: str
    engine: EngineId
    policy: PolicyRef


@dataclass(frozen=True, slots=True)
class EngineShare:
    """A registered engine and how many stored trajectories it played."""

    engine: EngineId
    trajectories: int


@dataclass(frozen=True, slots=True)
class PolicyShare:
    """A registered policy version and how many stored trajectories it played."""

    policy: PolicyRef
    trajectories: int


@dataclass(frozen=True, slots=True)
class Provenance:
    """The result of a check that found nothing wrong."""

    trajectories: int
    engines: tuple[EngineShare, ...]
    policies: tuple[PolicyShare, ...]


def check_provenance(run: Path) -> Provenance:
    """Check every stored trajectory of a run directory; reads the columns it needs, not the tokens.

    Raises:
        ProvenanceError: see `check_origins`.
    """
    recipe = load_recipe(str(run / "config.toml"))
    origins = _origins(TrajectoryStore(run / "trajectories"))
    return check_origins(origins, run / "provenance.json", recipe.rollout.engine)


def _origins(store: TrajectoryStore) -> Iterator[Origin]:
    for shard in store.shards():
        with opened_shard(shard, _COLUMNS) as file:
            rows = file.read(_COLUMNS).to_pylist()
        for row in rows:
            yield Origin(
                f"{shard.name}: trajectory {row['ordinal']}.{row['member']}",
                EngineId(row["engine"], row["engine_kind"], row["pid"], row["node"]),
                PolicyRef(row["policy"], row["version"], row["digest"]),
            )


def check_origins(origins: Iterable[Origin], registered: Path, kind: str) -> Provenance:
    """Compare stored trajectories with the run's provenance.json.

    kind: of the engines that the run's recipe asks for; scripted policies never pass as a model.

    Raises:
        ProvenanceError: for a missing file, no trajectories, or one from elsewhere.
    """
    engines, policies = _registered(registered)
    played: Counter[EngineId] = Counter()
    used: Counter[PolicyRef] = Counter()
    for origin in origins:
        _check_engine(origin, engines, kind)
        if origin.policy not in policies:
            raise ProvenanceError(
                f"{origin.where} was played by policy {_text(origin.policy)}, which this run never "
                f"published; remove the trajectory or the run is not what it claims"
            )
        played[origin.engine] += 1
        used[origin.policy] += 1
    if not played:
        raise ProvenanceError(f"{registered.parent} holds no trajectories to show or to check")
    return Provenance(
        played.total(),
        tuple(EngineShare(engine, played[engine]) for engine in engines),
        tuple(PolicyShare(policy, used[policy]) for policy in policies),
    )


def _check_engine(origin: Origin, engines: list[EngineId], kind: str) -> None:
    engine = origin.engine
    if engine.kind != kind:
        raise ProvenanceError(
            f"{origin.where} came from a {engine.kind} engine ({_text(engine)}), but this run "
            f"plays with {kind}; only what its own engines sampled may be shown"
        )
    if engine not in engines:
        raise ProvenanceError(
            f"{origin.where} came from engine {_text(engine)}, which is not one of the "
            f"{len(engines)} that this run registered in provenance.json"
        )


def _registered(path: Path) -> tuple[list[EngineId], list[PolicyRef]]:
    if not path.exists():
        raise ProvenanceError(f"{path} is missing, so nothing says which engines this run had")
    data = read_json(path)
    engines = [EngineId(**engine) for engine in data["engines"]]
    return engines, [PolicyRef(**policy) for policy in data["policies"]]


def _text(record: EngineId | PolicyRef) -> str:
    return " ".join(f"{name}={value}" for name, value in asdict(record).items())
