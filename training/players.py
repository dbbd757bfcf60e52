"""Who plays: opens the player that a recipe or a policy's name asks for, and lets it play tasks.

Owns the way from `gold`, a model or an adapter to something with `play`. Refuses training; see
`training.session`. Invariant: an adapter reaches vLLM only through a proven delivery.
"""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from tooldojo.configs.schema import Recipe
from tooldojo.envs.judging import Judge
from tooldojo.envs.registry import world_class
from tooldojo.envs.source import take
from tooldojo.envs.task import IssuedTask, Split, Task
from tooldojo.envs.users import User
from tooldojo.rollouts.chat import Chat
from tooldojo.rollouts.endpoint import Endpoint
from tooldojo.rollouts.endpoint_sampler import NO_LIMIT, EndpointSampler
from tooldojo.rollouts.formats import call_format
from tooldojo.rollouts.judges import NamedJudge, judge_function
from tooldojo.rollouts.local_fleet import LocalFleet
from tooldojo.rollouts.player import Limits, PlaySettings
from tooldojo.rollouts.publish import BASE
from tooldojo.rollouts.records import Group, PolicyRef
from tooldojo.rollouts.sampler import Sampler
from tooldojo.rollouts.scripted import ScriptedSampler
from tooldojo.rollouts.speakers import NamedUser, speaker_function
from tooldojo.rollouts.store import TrajectoryStore
from tooldojo.rollouts.stream import Player
from tooldojo.training.card import PolicyError
from tooldojo.verifiers.binding import check_names
from tooldojo.verifiers.intervals import wilson
from tooldojo.verifiers.records import Json
from tooldojo.verifiers.reward import RewardShape

if TYPE_CHECKING:
    from tooldojo.rollouts.fleet import Fleet
    from tooldojo.rollouts.publish import Transport
    from tooldojo.rollouts.updates import PolicyUpdate
    from tooldojo.training.policy import Policy


@dataclass(frozen=True, slots=True)
class OpenPlayer:
    """A player, the chat that it speaks through, and the policy that it plays; endpoint: where that
    is one, for what it cost.
    """

    player: Player
    chat: Chat
    policy: PolicyRef
    endpoint: Endpoint | None = None


@contextmanager
def open_player(
    recipe: Recipe,
    worlds: Sequence[str],
    *,
    temperature: float,
    seed: int | None = None,
    adapter: Path | None = None,
    script: str | None = None,
    demonstrations: Sequence[Task] = (),
) -> Iterator[OpenPlayer]:
    """The player of a recipe: its model with an adapter, on its engine; or its endpoint; or a
    script instead of them.

    worlds: what will be played; an adapter must have been trained for those of the recipe. seed: of
    sampling, by default the run's.

    Raises:
        PolicyError, TemplateError: when the model cannot play.
        FleetError: when engines cannot start.
        EndpointError: when the endpoint cannot be used.
    """
    chat = recipe_chat(recipe)
    seed = recipe.run.seed if seed is None else seed
    if script is None and recipe.rollout.engine == "openai":
        yield _endpoint_player(recipe, chat, temperature, seed, adapter)
        return
    if script is None and recipe.rollout.engine == "vllm":
        with _fleet(recipe, chat, worlds, adapter) as fleet:
            yield OpenPlayer(fleet.at(temperature, seed), chat, fleet.policy)
        return
    if script is None:
        sampler, ref = _transformers(recipe, chat, adapter)
    else:
        sampler = ScriptedSampler(chat, script, seed, demonstrations)
        ref = PolicyRef(script, 0, BASE.digest)
    limits = replace(Limits.of(recipe.rollout), temperature=temperature)
    settings = play_settings(recipe, limits, seed)
    fleet = LocalFleet(
        sampler, chat, settings, policy=ref, max_inflight=recipe.rollout.max_inflight
    )
    yield OpenPlayer(fleet, chat, ref)


def recipe_chat(recipe: Recipe) -> Chat:
    """The chat of a recipe's policy.

    Raises:
        PolicyError, TemplateError: when its tokenizer or template cannot be used.
    """
    from tooldojo.training.policy import load_tokenizer

    chat = Chat(load_tokenizer(recipe.policy.model), call_format(recipe.policy.call_format))
    chat.check_prefix()
    return chat


@dataclass(frozen=True, slots=True)
class OpenSampler:
    """A sampler in this process, its chat, and the policy that it holds; adapter: where that came
    from.
    """

    sampler: Sampler
    chat: Chat
    policy: PolicyRef
    adapter: Path | None


@contextmanager
def open_sampler(recipe: Recipe, adapter: Path | None = None) -> Iterator[OpenSampler]:
    """The model of a recipe with an adapter, on one engine in this process.

    Raises:
        PolicyError, TemplateError: when the model cannot play, or the adapter does not match.
        DeliveryError: when the engine does not hold the adapter.
    """
    from tooldojo.rollouts.engine import VllmSampler, choose_transport, engine_spec, environment
    from tooldojo.rollouts.local_fleet import vllm_delivery

    section = recipe.rollout
    if section.engine == "openai":
        raise PolicyError("an endpoint needs no second server; set rollout.engine=vllm")
    model, adapter = base_and_adapter(recipe, adapter)
    transport, rank = choose_transport(section), recipe.policy.lora_rank
    spec = engine_spec(section, model, transport, rank, True, recipe.run.deterministic)
    for key, value in environment(spec).items():
        os.environ.setdefault(key, value)  # before torch is imported
    chat = recipe_chat(recipe)
    if section.engine == "transformers":
        sampler, ref = _transformers(recipe, chat, adapter)
        yield OpenSampler(sampler, chat, ref, adapter)
        return
    update = None if adapter is None else _update(recipe, chat, adapter, transport)
    engine = VllmSampler(spec)
    try:
        if update is not None:
            vllm_delivery(engine)(update)
        yield OpenSampler(engine, chat, update.ref if update else BASE, adapter)
    finally:
        engine.close()


def _endpoint_player(
    recipe: Recipe, chat: Chat, temperature: float, seed: int, adapter: Path | None
) -> OpenPlayer:
    """The player of a recipe's endpoint, which has its own limits on tokens."""
    if adapter is not None:
        raise PolicyError(f"an endpoint plays without our adapters; leave {adapter} out")
    endpoint = Endpoint(recipe.endpoint)
    asyncio.run(endpoint.check())
    limits = replace(
        Limits.of(recipe.rollout),
        temperature=temperature,
        max_turn_tokens=NO_LIMIT,
        max_context=NO_LIMIT,
        deadline=max(recipe.endpoint.patience, recipe.rollout.deadline),
    )
    ref = PolicyRef(endpoint.name, 0, "endpoint")
    fleet = LocalFleet(
        EndpointSampler(endpoint, chat),
        chat,
        play_settings(recipe, limits, seed),
        policy=ref,
        max_inflight=endpoint.at_once(recipe.rollout.max_inflight),
    )
    return OpenPlayer(fleet, chat, ref, endpoint)


def play_settings(recipe: Recipe, limits: Limits, seed: int) -> PlaySettings:
    """How a recipe's tasks are played; for what it raises see the parts."""
    return PlaySettings(
        limits, reward_shape(recipe), seed, reward_judge(recipe), other_user(recipe)
    )


def other_user(recipe: Recipe) -> User | None:
    """Who answers in a recipe's worlds instead of their own user; None where it names nobody.

    Raises:
        LookupError: for a reference to nothing.
        ValueError: where no world of the recipe has a user.
    """
    reference, worlds = recipe.rollout.user, (*recipe.task.worlds, *recipe.eval.transfer_worlds)
    if not reference:
        return None
    if all(world_class(each).user is None for each in worlds):
        raise ValueError(
            f"rollout.user = {reference} has nobody to stand for: {', '.join(worlds)} have no "
            "user; leave it out"
        )
    speaker_function(reference)
    return NamedUser(reference, recipe.rollout.deadline)


def reward_shape(recipe: Recipe) -> RewardShape:
    """The reward's coefficients in a recipe.

    Raises:
        ValueError: for a weight of a component that none of the recipe's worlds has.
    """
    section = recipe.objective
    if section.reward_weights:
        known = {n for each in recipe.task.worlds for n in world_class(each).components().names}
        check_names(section.reward_weights, known, "component in objective.reward_weights")
    return RewardShape(
        call_error=section.call_error_penalty,
        truncated=section.truncated_penalty,
        weights=section.reward_weights,
    )


def reward_judge(recipe: Recipe) -> Judge | None:
    """Who answers the judged components of a recipe's worlds; None where it names nobody.

    Raises:
        LookupError: for a reference to nothing.
    """
    reference = recipe.objective.judge
    if not reference:
        return None
    judge_function(reference)
    return NamedJudge(reference, recipe.rollout.deadline)


def _transformers(recipe: Recipe, chat: Chat, adapter: Path | None) -> tuple[Sampler, PolicyRef]:
    from tooldojo.rollouts.transformers_sampler import TransformersSampler

    policy, ref = _load(recipe, chat, adapter)
    return TransformersSampler(policy.network, chat, ref), ref  # type: ignore[arg-type]


def check_fleet(recipe: Recipe, model: Path) -> None:
    """Refuse what `open_fleet` would refuse, as far as that shows without Ray.

    Raises:
        FleetError, LookupError, ValueError: see `check_machine` and the parts of `play_settings`.
    """
    from tooldojo.rollouts.cluster import check_machine, join_cluster

    join_cluster(recipe.run.address)
    check_machine(recipe.rollout, model)
    reward_shape(recipe)
    reward_judge(recipe)
    other_user(recipe)


def open_fleet(recipe: Recipe, model: Path, worlds: Sequence[str]) -> Fleet:
    """Engines for a base model, as the recipe asks for them; they start in the background."""
    from tooldojo.rollouts.cluster import join_cluster
    from tooldojo.rollouts.fleet import Fleet

    join_cluster(recipe.run.address)
    exact = recipe.run.deterministic
    return Fleet(
        recipe.rollout,
        model,
        recipe.policy.call_format,
        worlds,
        recipe.run.seed,
        shape=reward_shape(recipe),
        judge=reward_judge(recipe),
        user=other_user(recipe),
        lora_rank=recipe.policy.lora_rank,
        threads=recipe.learner.threads if exact else 0,
        deterministic=exact,
    )


@contextmanager
def _fleet(
    recipe: Recipe, chat: Chat, worlds: Sequence[str], adapter: Path | None
) -> Iterator[Fleet]:
    """Engines that hold the recipe's model, or the adapter after its delivery has been proven."""
    from tooldojo.training.runs.runtime import tune_process

    model, adapter = base_and_adapter(recipe, adapter)
    tune_process(recipe.learner.threads, recipe.run.deterministic)
    with open_fleet(recipe, model, worlds) as fleet:
        if adapter is not None:
            fleet.publish(_update(recipe, chat, adapter, fleet.transport))
        yield fleet


def _update(recipe: Recipe, chat: Chat, adapter: Path, transport: Transport) -> PolicyUpdate:
    """An adapter directory as the first version that a learner publishes."""
    from tooldojo.rollouts.publish import Transport
    from tooldojo.training.learning.learner import Learner
    from tooldojo.training.policy import DTYPES
    from tooldojo.training.stages.demonstrations import demonstration

    policy, _ = _load(recipe, chat, adapter)
    probe = take(recipe.task.worlds, Split.TRAIN, recipe.run.seed, 1)[0]
    ids = demonstration(probe, chat).input_ids
    learner = Learner(policy, recipe.learner, recipe.objective, ids)
    merged = transport is Transport.MERGED
    return learner.export(1, DTYPES[recipe.rollout.engine_dtype] if merged else None)


def _load(recipe: Recipe, chat: Chat, adapter: Path | None) -> tuple[Policy, PolicyRef]:
    from tooldojo.training.card import conventions_of
    from tooldojo.training.policy import load_policy

    _, found = base_and_adapter(recipe, adapter)
    policy = load_policy(recipe.policy, conventions_of(chat, recipe.task.worlds), adapter)
    if found is None:
        return policy, BASE
    return policy, PolicyRef(found.name, 1, policy.adapter_digest())


def base_and_adapter(recipe: Recipe, adapter: Path | None) -> tuple[Path, Path | None]:
    """The base model's directory, and the adapter: given apart, or as `policy.model` itself."""
    from tooldojo.training.card import AdapterCard
    from tooldojo.training.policy import ADAPTER_CONFIG, find_model

    model = recipe.policy.model
    if (Path(model) / ADAPTER_CONFIG).exists():
        adapter, model = adapter or Path(model), AdapterCard.read(Path(model)).base
    return find_model(model), adapter


def export_adapter(adapter: Path, out: Path) -> dict[str, Json]:
    """Merge an adapter directory into its base model in fp32 and write plain transformers files.

    Raises:
        PolicyError: when the directory is no adapter of a model that can be had.
    """
    from tooldojo.configs.schema import PolicySection
    from tooldojo.training.card import AdapterCard
    from tooldojo.training.policy import load_policy

    card = AdapterCard.read(adapter)
    section = PolicySection(model=card.base)
    load_policy(section, card.conventions, adapter, device="cpu").export_merged(out)
    size = sum(path.stat().st_size for path in out.iterdir())
    return {"path": str(out), "base": card.base, "bytes": size}


def roll(
    opened: OpenPlayer,
    tasks: Sequence[Task],
    group_size: int,
    store: TrajectoryStore,
    on_group: Callable[[Group], None] = lambda group: None,
) -> dict[str, Json]:
    """Play tasks and store the trajectories; returns the counts."""
    issued = [IssuedTask(ordinal, task) for ordinal, task in enumerate(tasks)]
    groups: list[Group] = []
    for group in opened.player.play(issued, group_size):
        groups.append(group)
        on_group(group)
    groups.sort(key=lambda group: group.ordinal)
    path = store.append(groups, "rollout", 0)
    figures = {**group_figures(groups), "path": str(path)}
    return (
        figures if opened.endpoint is None else figures | {"usage": asdict(opened.endpoint.usage)}
    )


def group_figures(groups: Sequence[Group]) -> dict[str, Json]:
    """What came of some groups, failures apart."""
    scored = [t for group in groups for t in group.scored]
    failed = [t for group in groups for t in group.trajectories if t.score is None]
    solved = sum(bool(t.score and t.score.success) for t in scored)
    rewards = [reward for group in groups for reward in group.rewards]
    return {
        "trajectories": sum(len(group.trajectories) for group in groups),
        "success": asdict(wilson(solved, len(scored))) if scored else None,
        "reward": sum(rewards) / len(rewards) if rewards else None,
        "dead_groups": sum(group.dead for group in groups),
        "turns": sum(t.turns for t in scored),
        "sampled_tokens": sum(t.sampled_tokens for t in scored),
        "failed": dict(Counter(t.ending.blame.value for t in failed)),
        "endings": dict(Counter(t.ending.stop.value for g in groups for t in g.trajectories)),
    }
