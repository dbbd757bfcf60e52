"""A run's numbers: metrics.jsonl, TensorBoard, and one line that names a step's bottleneck.

Invariant: metrics.jsonl holds whole lines with rising steps; a line torn by a crash, and lines of
steps that a resumed run plays again, are cut off before anything is appended.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from tooldojo.rollouts.whole_files import DamagedFile
from tooldojo.verifiers.records import Json

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

    from tooldojo.rollouts.records import Trajectory

NAME = "metrics.jsonl"


def read_metrics(path: Path) -> list[dict[str, Json]]:
    """The rows of a metrics file, in order; a torn last line is left out.

    Raises:
        DamagedFile: for a torn line elsewhere.
    """
    if not path.exists():
        return []
    lines = path.read_text().split("\n")
    try:
        return [json.loads(line) for line in lines[:-1] if line]
    except json.JSONDecodeError as error:
        raise DamagedFile(path, error) from None


class MetricsLog:
    """Appends one line per step, on disk before `write` returns.

    resume_at: the first step that will be written; what the file holds from there on is cut off.
    """

    def __init__(self, directory: Path, resume_at: int = 0, tensorboard: bool = False) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.path = directory / NAME
        kept = [row for row in read_metrics(self.path) if int(row["step"]) < resume_at]  # type: ignore[arg-type]
        self._rewrite(kept)
        self._last = int(kept[-1]["step"]) if kept else -1  # type: ignore[arg-type]
        self._file = self.path.open("a")
        self._board = _board(directory, resume_at) if tensorboard else None

    def write(self, step: int, values: Mapping[str, float | int | str | None]) -> None:
        """Append the values of a step; numbers that are not finite are written as null.

        Raises:
            ValueError: for a step that does not come after the last one.
        """
        if step <= self._last:
            raise ValueError(
                f"step {step} follows step {self._last} in {self.path}; resume with resume_at"
            )
        row = {"step": step, **{name: _finite(value) for name, value in values.items()}}
        self._file.write(json.dumps(row) + "\n")
        self._file.flush()
        os.fsync(self._file.fileno())
        self._last = step
        if self._board is not None:
            for name, value in row.items():
                if isinstance(value, int | float) and name != "step":
                    self._board.add_scalar(name, value, step)
            self._board.flush()

    def close(self) -> None:
        """Close the files."""
        self._file.close()
        if self._board is not None:
            self._board.close()

    def __enter__(self) -> MetricsLog:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _rewrite(self, rows: Iterable[Mapping[str, Json]]) -> None:
        temporary = self.path.with_name(f".{NAME}.{os.getpid()}")
        temporary.write_text("".join(json.dumps(row) + "\n" for row in rows))
        os.replace(temporary, self.path)


def _finite(value: float | int | str | None) -> float | int | str | None:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _board(directory: Path, resume_at: int) -> SummaryWriter:
    from torch.utils.tensorboard import SummaryWriter

    return SummaryWriter(str(directory / "tensorboard"), purge_step=resume_at)


@dataclass(frozen=True, slots=True)
class TrajectorySeconds:
    """Where the wall clock of a step's trajectories went, summed over trajectories (they overlap).

    waiting: neither the engine nor a tool had the trajectory (admission, event loop).
    """

    prefill: float = 0.0
    decode: float = 0.0
    tool: float = 0.0
    waiting: float = 0.0

    @property
    def total(self) -> float:
        """Trajectory-seconds."""
        return self.prefill + self.decode + self.tool + self.waiting


@dataclass(frozen=True, slots=True)
class StepTimings:
    """Measured seconds of one step. `stages` lie one after the other; `inside` splits the rollout
    stage.

    played, trained: groups played and groups that carried a signal. max_inflight: the run's limit.
    overlapped: playing goes on in the other stages, so that `rollout` is what the learner waits.
    """

    total: float
    stages: dict[str, float]
    inside: TrajectorySeconds = field(default_factory=TrajectorySeconds)
    played: int = 0
    trained: int = 0
    trajectories: int = 0
    max_inflight: int = 0
    overlapped: bool = False

    @property
    def inflight(self) -> float:
        """Trajectories under way on average while playing lasted."""
        lasted = self.total if self.overlapped else self.stages.get("rollout", 0.0)
        return self.inside.total / max(1e-9, lasted)

    def share(self, stage: str) -> float:
        """A stage's share of the step, in [0, 1]."""
        return self.stages.get(stage, 0.0) / max(1e-9, self.total)

    def to_metrics(self) -> dict[str, float]:
        """Flat numbers for the metrics log; `total_timings` reads them back."""
        return {
            "seconds/step": self.total,
            **{f"seconds/{name}": value for name, value in self.stages.items()},
            **{f"trajectory_seconds/{name}": v for name, v in asdict(self.inside).items()},
            "rollout/inflight": self.inflight,
            "rollout/max_inflight": self.max_inflight,
            "rollout/overlapped": float(self.overlapped),
            "rollout/trajectories": self.trajectories,
            "groups/played": self.played,
            "groups/trained": self.trained,
        }


def total_timings(rows: Sequence[Mapping[str, Json]]) -> StepTimings | None:
    """The timings of all logged steps together (trajectories: per step); None where none was."""
    sums: dict[str, float] = {}
    steps = sum("seconds/step" in row for row in rows)
    for row in rows:
        for name, value in row.items():
            if isinstance(value, int | float):
                sums[name] = sums.get(name, 0.0) + value
    if "seconds/step" not in sums:
        return None
    stages = _below("seconds/", sums)
    total = stages.pop("step")
    return StepTimings(
        total,
        stages,
        TrajectorySeconds(**_below("trajectory_seconds/", sums)),
        int(sums.get("groups/played", 0)),
        int(sums.get("groups/trained", 0)),
        int(sums.get("rollout/trajectories", 0) / steps),
        int(max((_number(row.get("rollout/max_inflight")) for row in rows), default=0)),
        overlapped=sums.get("rollout/overlapped", 0.0) > 0,
    )


def _below(prefix: str, sums: Mapping[str, float]) -> dict[str, float]:
    return {name.removeprefix(prefix): v for name, v in sums.items() if name.startswith(prefix)}


def _number(value: Json) -> float:
    return float(value) if isinstance(value, int | float) else 0.0


def trajectory_seconds(trajectories: Iterable[Trajectory]) -> TrajectorySeconds:
    """The sums over the turns of trajectories."""
    prefill = decode = tool = wall = 0.0
    for trajectory in trajectories:
        wall += trajectory.seconds
        for turn in (turn for segment in trajectory.segments for turn in segment.turns):
            prefill += turn.timings.prefill
            decode += turn.timings.decode
            tool += turn.timings.tool
    return TrajectorySeconds(prefill, decode, tool, max(0.0, wall - prefill - decode - tool))


def bottleneck_line(timings: StepTimings) -> str:
    """One line: where the step's time went, and the key to turn about the largest part of it.

    Shares inside the rollout stage are its own share split like its trajectories' seconds.
    """
    shares = {name: timings.share(name) for name in timings.stages}
    other = 1 - sum(shares.values())
    named = sorted(shares, key=lambda name: -shares[name])
    parts = [f"{name} {_percent(shares[name])}{_inside(timings, name)}" for name in named]
    if other >= 0.03:
        parts.append(f"other {_percent(other)}")
    if named:
        parts[0] = parts[0].replace(" %", " % of the step", 1)
    return "; ".join([", ".join(parts), *_advice(timings, named[0] if named else "")])


def _parts(inside: TrajectorySeconds) -> dict[str, float]:
    return {
        "decode": inside.decode,
        "prefill": inside.prefill,
        "tools": inside.tool,
        "waiting": inside.waiting,
    }


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"


def _inside(timings: StepTimings, stage: str) -> str:
    if stage != "rollout" or timings.inside.total <= 0:
        return ""
    scale = timings.share("rollout") / timings.inside.total
    shown = [
        f"{name} {_percent(s * scale)}"
        for name, s in _parts(timings.inside).items()
        if s * scale >= 0.005
    ]
    return f" ({', '.join(shown)})" if shown else ""


def _advice(timings: StepTimings, stage: str) -> list[str]:
    if timings.share(stage) < 0.4:
        return ["balanced"]
    if stage != "rollout":
        advice = {
            "learner": "raise learner.tokens_per_microbatch",
            "publish": "set rollout.transport to the other transport",
            "eval": "raise eval.every or lower task.val_tasks",
            "checkpoint": "raise run.checkpoint_every",
        }
        return [advice[stage]] if stage in advice else []
    if timings.trained and timings.played > 2 * timings.trained:
        return [
            f"{timings.played} groups played for {timings.trained} with a signal: "
            "choose task.levels with mixed rewards"
        ]
    full = timings.inflight >= 0.7 * timings.max_inflight
    if full and timings.max_inflight < timings.trajectories:
        return ["raise rollout.max_inflight"]
    parts = _parts(timings.inside)
    advice = {
        "decode": "add rollout.workers, or lower rollout.max_turn_tokens",
        "prefill": "shorten prompts, or add rollout.workers",
        "tools": "tools are slow: make them async or faster",
        "waiting": "the workers' event loops are busy: add rollout.workers",
    }
    return [advice[max(parts, key=lambda name: parts[name])]]
