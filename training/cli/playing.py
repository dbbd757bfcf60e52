"""`tooldojo play` and `tooldojo rollout`: watch a policy, or let it play and store what it did."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tooldojo.training.cli.boundary import InputError, JsonFlag, Output, Trace
from tooldojo.training.cli.recipes import Keys, RecipeArgument, check_split, resolve

if TYPE_CHECKING:
    from tooldojo.configs.schema import Recipe
    from tooldojo.envs.task import Task
    from tooldojo.rollouts.scripted import Script
    from tooldojo.training.transcripts import Transcript

PolicyOption = Annotated[
    str,
    typer.Option(
        help="gold, random_tool, do_nothing, constant_reply, nearest_demonstration, guess; or "
        "a model: `default`, a directory (also of an adapter), a Hugging Face id; or "
        "openai:MODEL@URL."
    ),
]
SplitOption = Annotated[str, typer.Option(help="train, val, test, test_combos or test_wordings.")]
CONTEXT = 4096  # tokens; a policy that is only watched may use more than one in training
DEMONSTRATIONS = 300  # training tasks that an imitating script may look at


def play(
    ctx: typer.Context,
    world: Annotated[
        str, typer.Argument(help="An id, module:Class or file.py:Class.")
    ] = "tooldojo/Orders-v0",
    policy: PolicyOption = "gold",
    level: Annotated[int | None, typer.Option(help="Level of the task; by default any.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Which task, and the policy's luck.")] = 0,
    split: SplitOption = "train",
    temperature: Annotated[float, typer.Option(min=0.0, help="Of a model's sampling.")] = 0.0,
    json: JsonFlag = False,
    traceback: Trace = False,
) -> None:
    """Watch a policy solve one task of a world."""
    from tooldojo.rollouts.scripted import SCRIPTS
    from tooldojo.training.cli.show import show_task, show_transcript
    from tooldojo.training.transcripts import task_view

    output: Output = ctx.obj
    check_policy(policy)
    task = draw_task(world, split, level, seed)
    if policy in SCRIPTS:
        played = _scripted(task, policy, seed)
    else:
        played = _sampled(task, policy, seed, temperature)
    show_task(output.console, task_view(task))
    show_transcript(output.console, played)
    output.emit({"task": asdict(task_view(task)), "played": asdict(played)})


def check_policy(policy: str) -> None:
    """Refuse a name that is neither a script nor an endpoint nor could be a model."""
    from tooldojo.rollouts.endpoint import PREFIX, endpoint_keys
    from tooldojo.rollouts.scripted import SCRIPTS

    if policy.startswith(PREFIX):
        endpoint_keys(policy)
        return
    if policy in (*SCRIPTS, "default") or "/" in policy or Path(policy).exists():
        return
    near = difflib.get_close_matches(policy, SCRIPTS, 1)
    hint = f"did you mean {near[0]!r}? " if near else ""
    raise InputError(
        f"there is no policy {policy!r}; {hint}scripts are {', '.join(SCRIPTS)}; "
        "a model is `default`, a directory, a Hugging Face id or openai:MODEL@URL"
    )


def policy_keys(policy: str, given: Sequence[str]) -> tuple[str, ...]:
    """The recipe keys that a policy's name stands for; none for scripts and `default`.

    Raises:
        InputError: where the keys given with it name a policy as well.
        EndpointError: for an endpoint that is not of the form openai:MODEL@URL.
    """
    from tooldojo.rollouts.endpoint import PREFIX, endpoint_keys
    from tooldojo.rollouts.scripted import SCRIPTS

    if policy in (*SCRIPTS, "default"):
        return ()
    if policy.startswith(PREFIX):
        return endpoint_keys(policy)
    twice = next((key for key in given if key.startswith("policy.model=")), None)
    if twice:
        raise InputError(f"--policy {policy} and {twice} name two policies; leave one of them out")
    return (f"policy.model={policy}",)


def draw_task(world: str, split: str, level: int | None, seed: int) -> Task:
    """The first task of a world's split under a seed.

    Raises:
        InputError: for a split that does not exist, or a level that the world does not have.
    """
    from tooldojo.envs.registry import world_class
    from tooldojo.envs.source import take
    from tooldojo.envs.task import Split

    found = world_class(world)
    check_split(split)
    if level is not None and level not in found.levels:
        known = ", ".join(map(str, found.levels))
        raise InputError(f"{found.env_id} has no level {level}; it has {known}")
    levels = () if level is None else (level,)
    return take([world], Split(split), seed, 1, levels)[0]


def make_script(policy: str, worlds: Sequence[str], seed: int) -> Script:
    """A scripted policy, with demonstrations where it replays them."""
    from tooldojo.rollouts.scripted import Script

    return Script(policy, seed, demonstrations_for(policy, worlds, seed))


def demonstrations_for(policy: str, worlds: Sequence[str], seed: int) -> list[Task]:
    """Training tasks to replay; none for the other scripts."""
    from tooldojo.envs.source import take
    from tooldojo.envs.task import Split
    from tooldojo.rollouts.scripted import IMITATORS

    if policy not in IMITATORS:
        return []
    return [task for world in worlds for task in take([world], Split.TRAIN, seed, DEMONSTRATIONS)]


def _scripted(task: Task, policy: str, seed: int) -> Transcript:
    from tooldojo.envs.registry import world_class
    from tooldojo.training.scripted_play import play_script

    script = make_script(policy, [task.env], seed)
    return play_script(task, script, seed, world_class(task.env).max_turns)


def _sampled(task: Task, policy: str, seed: int, temperature: float) -> Transcript:
    from tooldojo.envs.task import IssuedTask
    from tooldojo.training.players import open_player
    from tooldojo.training.transcripts import transcript

    recipe = sampling_recipe(policy, [task.env], seed)
    with open_player(recipe, [task.env], temperature=temperature) as opened:
        group = next(iter(opened.player.play([IssuedTask(0, task)], 1)))
        return transcript(group.trajectories[0], opened.chat)


def sampling_recipe(policy: str, worlds: Sequence[str], seed: int) -> Recipe:
    """How a model is played that is only watched: with transformers, in a wide context."""
    from json import dumps as to_json

    from tooldojo.configs.loading import load_recipe

    keys = ["rollout.engine=transformers", f"rollout.max_context={CONTEXT}", f"run.seed={seed}"]
    played = f"task.worlds={to_json(list(worlds))}"
    return load_recipe(None, [*keys, played, *policy_keys(policy, ())])


def rollout(
    ctx: typer.Context,
    recipe: RecipeArgument = None,
    keys: Keys = None,
    policy: PolicyOption = "default",
    tasks: Annotated[int, typer.Option(min=1, help="How many tasks.")] = 32,
    group_size: Annotated[int, typer.Option(min=1, help="Trajectories per task.")] = 1,
    split: SplitOption = "train",
    out: Annotated[Path, typer.Option(help="Where the trajectories go.")] = Path("runs/rollout"),
    json: JsonFlag = False,
    traceback: Trace = False,
) -> None:
    """Play tasks with a policy and store the trajectories."""
    from tooldojo.envs.source import take
    from tooldojo.envs.task import Split
    from tooldojo.rollouts.scripted import SCRIPTS
    from tooldojo.rollouts.store import TrajectoryStore
    from tooldojo.training.players import open_player, roll
    from tooldojo.training.runs.progress import counter

    output: Output = ctx.obj
    check_policy(policy)
    script = policy if policy in SCRIPTS else None
    resolved = resolve(recipe, keys, *policy_keys(policy, [recipe or "", *(keys or ())]))
    check_split(split)
    section, seed = resolved.task, resolved.run.seed
    wanted = take(section.worlds, Split(split), seed, tasks, section.levels)
    demos = demonstrations_for(policy, section.worlds, seed)
    with (
        open_player(
            resolved,
            section.worlds,
            temperature=resolved.rollout.temperature,
            script=script,
            demonstrations=demos,
        ) as opened,
        counter(output.console, "tasks", tasks) as count,
    ):
        figures = roll(opened, wanted, group_size, TrajectoryStore(out), count)
    _show_figures(output, figures)
    output.emit(figures)


def _show_figures(output: Output, figures: dict) -> None:
    success, failed = figures["success"], figures["failed"]
    if success:
        between = f"{100 * success['low']:.0f} to {100 * success['high']:.0f} %"
        output.console.print(
            f"success [bold]{100 * success['rate']:.0f} %[/] ({between}) of "
            f"{success['trials']} trajectories, mean reward {figures['reward']:.3f}"
        )
    if failed:
        output.console.print(f"[yellow]without a verdict: {failed}[/]")
    if "usage" in figures:
        output.console.print(usage_line(figures["usage"]))
    output.console.print(f"[dim]{figures['path']}[/]")


def usage_line(usage: dict) -> str:
    """What an endpoint was asked, for people."""
    tokens = f"{usage['input_tokens']:,} tokens read, {usage['output_tokens']:,} written"
    return f"endpoint: {usage['requests']:,} answers, {tokens}, ${usage['cost']:.4f}"
