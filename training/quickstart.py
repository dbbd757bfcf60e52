"""The quickstart: base evaluation, SFT warm start, GRPO, held-out evaluation, report. One command,
real parts.

Owns the order of the stages and `summary.json`. Every stage is skipped when a resumed run has
finished it.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from rich.console import Console

from tooldojo.configs.schema import Recipe
from tooldojo.envs.seeding import derive_seed
from tooldojo.envs.source import holding, take
from tooldojo.envs.task import Split, Task
from tooldojo.rollouts.whole_files import read_json, write_json
from tooldojo.training.evaluation.evaluate import Evaluation, compare, read_evaluation
from tooldojo.training.loop import train
from tooldojo.training.report import write_report
from tooldojo.training.runs.progress import step_reporter
from tooldojo.training.runs.run_dir import versions
from tooldojo.training.runs.runtime import release_memory
from tooldojo.training.session import Session, open_session
from tooldojo.training.stages.sft import SftData, build_data, check_rehearsal, warm_start
from tooldojo.verifiers.records import Json

FURTHER = (Split.TEST_COMBOS, Split.TEST_WORDINGS)  # reported apart from new instances


class Stages:
    """Named stages with their seconds, printed as they begin and kept in stages.json for a resumed
    run.
    """

    def __init__(self, path: Path, console: Console) -> None:
        self.path, self.console = path, console
        self.seconds: dict[str, float] = read_json(path) if path.exists() else {}

    def done(self, name: str) -> bool:
        """Whether an earlier process finished this stage."""
        return name in self.seconds

    @contextmanager
    def __call__(self, name: str, words: str) -> Iterator[None]:
        """Run a stage: print it, time it, remember it."""
        self.console.print(f"[bold]{name}[/bold]  {words}")
        start = time.perf_counter()
        yield
        self.seconds[name] = round(self.seconds.get(name, 0.0) + time.perf_counter() - start, 2)
        write_json(self.path, self.seconds)
        self.console.print(f"  {self.seconds[name]:.1f} s")


def held_out_tasks(recipe: Recipe) -> list[Task]:
    """Evaluation tasks drawn per run seed: the test split, a quarter as many of each further split
    that a world has, and transfer worlds.
    """
    seed, count = derive_seed(recipe.run.seed, "held-out"), recipe.eval.tasks
    tasks = take(recipe.task.worlds, Split.TEST, seed, count, recipe.task.levels)
    for split in FURTHER:
        worlds = holding(recipe.task.worlds, split, seed, recipe.task.levels)
        if worlds:
            tasks += take(worlds, split, seed, count // 4, recipe.task.levels)
    if recipe.eval.transfer_worlds:
        tasks += take(recipe.eval.transfer_worlds, Split.TEST, seed, recipe.eval.transfer_tasks)
    return tasks


def evaluate_stage(session: Session, stages: Stages, name: str, tasks: list[Task]) -> Evaluation:
    """Evaluate the current policy on all held-out tasks, once."""
    if not stages.done(f"{name}_eval"):
        with stages(f"{name}_eval", f"{len(tasks)} held-out tasks"):
            session.evaluate(tasks, name)
    return read_evaluation(session.run / "eval" / f"{name}.json")


def run_quickstart(
    recipe: Recipe, *, resume: bool, until: str, console: Console
) -> dict[str, Json]:
    """The whole quickstart, or up to the evaluation of the stage `until`; returns the summary."""
    directory = Path(recipe.run.dir)
    stages = Stages(directory / "stages.json", console)
    warm = directory / "adapters" / "sft"
    start = warm if stages.done("sft") else None
    sft = until != "base" and not stages.done("sft")
    if sft:
        check_rehearsal(recipe)
    with ExitStack() as stack:
        with stages("start", "engine and policy"):
            session = stack.enter_context(
                open_session(recipe, resume, start, recipe.eval.transfer_worlds)
            )
            tasks = held_out_tasks(recipe)  # while engines start; too few are said at once
            data = build_data(recipe, session.chat) if sft else None
            session.wait_for_engines()
        results = run_stages(session, stages, until, tasks, data)
    summary = summarise(results, stages.seconds, recipe)
    write_json(directory / "summary.json", summary)
    if until == "rl":
        with stages("report", "report.html"):
            write_report(directory)
        summary["seconds"] = dict(stages.seconds)
        write_json(directory / "summary.json", summary)
    show_summary(console, summary, directory)
    return summary


def run_stages(
    session: Session, stages: Stages, until: str, tasks: list[Task], data: SftData | None
) -> dict[str, Evaluation]:
    """Base, SFT and RL, each followed by the same held-out evaluation; finished stages are
    skipped. data: of the warm start; None where that is finished or not wanted.
    """
    recipe = session.recipe
    results = {"base": evaluate_stage(session, stages, "base", tasks)}
    if until == "base":
        return results
    if data is not None:
        with stages("sft", f"TRL on {recipe.task.demos} verified demonstrations"):
            warm_start(recipe, data, session.policy, session.run.path, stages.console)
            release_memory()
    learning = session.start_learning()
    try:
        results["sft"] = evaluate_stage(session, stages, "sft", tasks)
        if until == "sft":
            return results
        if not stages.done("rl"):
            method = recipe.objective.method.upper().replace("_", " ")
            with stages("rl", f"{method}, {recipe.learner.steps} steps"):
                with step_reporter(stages.console, recipe.learner.steps) as report:
                    train(session, learning, report)
                session.save_adapter("rl")
    finally:
        learning.close()
    results["rl"] = evaluate_stage(session, stages, "rl", tasks)
    return results


def summarise(
    stages: dict[str, Evaluation], seconds: dict[str, float], recipe: Recipe
) -> dict[str, Json]:
    """The summary: success on new instances per stage, the paired difference, and every further set
    apart.
    """
    worlds = recipe.task.worlds
    test = {name: each.within(worlds).of_split(Split.TEST) for name, each in stages.items()}
    apart: dict[str, Json] = {}
    for split in FURTHER:
        parts = {name: each.of_split(split) for name, each in stages.items()}
        if all(part.rows for part in parts.values()):  # a world need not hold anything back
            apart[split.value] = _figures(parts)
    for world in recipe.eval.transfer_worlds:
        apart[f"transfer {world}"] = _figures(
            {name: each.within([world]) for name, each in stages.items()}
        )
    about: dict[str, Json] = {
        "apart": apart,
        "seconds": dict(seconds),
        "versions": versions(),
        "seeds": [recipe.run.seed],
    }
    return _figures(test) | about


def _figures(stages: dict[str, Evaluation]) -> dict[str, Json]:
    figures: dict[str, Json] = {}
    for name, evaluation in stages.items():
        success = evaluation.summary().success
        figures[name] = {
            "success": success.rate,
            "ci95": [success.low, success.high],
            "n": success.trials,
        }
    if {"sft", "rl"} <= set(stages):
        difference = compare(stages["sft"], stages["rl"]).success
        figures["paired_rl_minus_sft"] = {
            "diff": difference.difference,
            "ci95": [difference.low, difference.high],
        }
    return figures


def show_summary(console: Console, summary: dict, directory: Path) -> None:
    """The figures that people wait for, in a few lines."""
    for stage in ("base", "sft", "rl"):
        if stage in summary:
            row = summary[stage]
            low, high = row["ci95"]
            console.print(
                f"{stage:>5}  {row['success']:.3f}  [{low:.3f}, {high:.3f}]  n={row['n']}"
            )
    if "paired_rl_minus_sft" in summary:
        gain = summary["paired_rl_minus_sft"]
        low, high = gain["ci95"]
        console.print(f"RL - SFT, paired  {gain['diff']:+.3f}  [{low:+.3f}, {high:+.3f}]")
    page = directory / "report.html"
    where = f", the page is {page}" if page.exists() else ""
    console.print(f"everything is in {directory}{where}")
