"""What an evaluation in a directory was made with: `EvaluationOrigin`.

Owns `<stage>.toml` and `<stage>.adapter.json`. Invariant: a stage that holds an evaluation is only
gone on with, and only under the same recipe and adapter; it is never replaced.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

from tooldojo.configs.schema import Recipe
from tooldojo.rollouts.store import TrajectoryStore
from tooldojo.rollouts.whole_files import read_json, write_json
from tooldojo.training.card import PolicyError
from tooldojo.training.players import base_and_adapter
from tooldojo.training.runs.atomic import file_digest
from tooldojo.training.runs.run_dir import RunDirectoryError, check_same, write_recipe


@dataclass(frozen=True, slots=True)
class Adapter:
    """Which adapter played. path: as it was given; digest: of its weights, 32 hex digits. Both are
    None for a model without one.
    """

    path: str | None = None
    digest: str | None = None


@dataclass(frozen=True, slots=True)
class EvaluationOrigin:
    """The recipe and adapter of an evaluation."""

    recipe: Recipe
    adapter: Adapter

    @classmethod
    def of(cls, recipe: Recipe, adapter: Path | None) -> EvaluationOrigin:
        """That of an evaluation that is about to start; adapter: given beside the recipe.

        Raises:
            PolicyError: when there is no such model or adapter.
        """
        from tooldojo.training.policy import ADAPTER_WEIGHTS

        _, found = base_and_adapter(recipe, adapter)
        if found is None:
            return cls(recipe, Adapter())
        if not (found / ADAPTER_WEIGHTS).is_file():
            raise PolicyError(f"{found} is no adapter directory: {ADAPTER_WEIGHTS} is missing")
        return cls(recipe, Adapter(str(found), file_digest(found / ADAPTER_WEIGHTS)))

    def check(self, store: TrajectoryStore, stage: str, out: Path, resume: bool) -> None:
        """Refuse a stage that holds another evaluation, or one that is not asked to go on.

        Raises:
            RunDirectoryError: saying what is there and what to do.
        """
        started = (out / f"{stage}.toml").exists()
        if started and resume:
            check_same(out / f"{stage}.toml", self.recipe)
            self._check_adapter(out / f"{stage}.adapter.json")
            return
        left = [out / f"{stage}{end}" for end in (".toml", ".json", ".usage.json")]
        kept = next((path for path in (*left, *store.shards(stage)) if path.exists()), None)
        if kept is not None:
            advice = "go on with --resume, or " if started else ""
            raise RunDirectoryError(
                f"{kept} is of an earlier evaluation {stage!r}, which is never replaced; "
                f"{advice}choose another --stage or --out"
            )
        if resume:
            raise RunDirectoryError(
                f"{out} holds no evaluation {stage!r} to resume; leave --resume out to start one"
            )

    def _check_adapter(self, saved: Path) -> None:
        before = Adapter(**read_json(saved))
        if before.digest != self.adapter.digest:
            raise RunDirectoryError(
                f"{saved.parent} was started with {_named(before)}, not {_named(self.adapter)}; "
                "resume with the same weights or choose another --stage or --out"
            )

    def write(self, stage: str, out: Path) -> None:
        """Write it down; the recipe comes last: from then on there is something to resume."""
        write_json(out / f"{stage}.adapter.json", asdict(self.adapter))
        write_recipe(out / f"{stage}.toml", self.recipe)


def _named(adapter: Adapter) -> str:
    if adapter.digest is None:
        return "no adapter"
    return f"the adapter {adapter.path} ({adapter.digest[:8]})"
