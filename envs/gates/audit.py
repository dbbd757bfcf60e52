"""`audit`: mutation and metamorphic testing of a world's verifier.

Wrong trajectories must not be accepted, rewritten right ones must be, and every demonstration must
be realisable. Invariant: a trajectory counts as wrong only by construction or by the oracle, which
shares no code with the verifiers; what the oracle finds equivalent is counted apart, and too
many of those are a finding. Limits on turns do not hold here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field, replace

from tooldojo.envs.gates.check import sample_tasks
from tooldojo.envs.gates.mutants import Case, Mutant, make_case
from tooldojo.envs.gates.operators import OPERATORS
from tooldojo.envs.gates.oracle import ending_of
from tooldojo.envs.gates.play import Finding, play, start
from tooldojo.envs.gates.policies import POLICIES
from tooldojo.envs.gates.realisability import unknown_values
from tooldojo.envs.gates.rewrites import REWRITES
from tooldojo.envs.registry import world_class
from tooldojo.envs.seeding import derived_random
from tooldojo.envs.similarity import nearest
from tooldojo.envs.task import Task
from tooldojo.verifiers.intervals import Proportion, wilson
from tooldojo.verifiers.records import Json

MAX_EQUIVALENT = 0.05  # share of an operator's mutants above which it says little
MAX_DISPUTED = 0.05  # share of an operator's equivalents that the verifier may reject
KINDS = {"policy": POLICIES, "mutation": OPERATORS, "rewrite": REWRITES}
_BATCH = 40  # tasks among which the nearest other one is looked for
_PER_TASK = 12  # trajectories
_SHOWN = 50  # findings kept in a report


@dataclass(slots=True)
class Tally:
    """Counts of one operator: judged trajectories, excluded equivalents, wrong verdicts.

    disputed: how many of the equivalents the verifier rejects, so that it or the oracle is wrong;
    dispute: the first of them.
    """

    kind: str
    operator: str
    judged: int = 0
    equivalents: int = 0
    errors: int = 0
    disputed: int = 0
    dispute: Finding | None = None

    @property
    def rate(self) -> Proportion | None:
        """Wrong verdicts among the judged; None where nothing was judged."""
        return wilson(self.errors, self.judged) if self.judged else None

    @property
    def equivalent_share(self) -> float:
        """Excluded equivalents among all that the operator made."""
        return self.equivalents / max(1, self.judged + self.equivalents)

    def to_json(self) -> dict[str, Json]:
        """Plain-data form, rates included."""
        rate = {"rate": asdict(self.rate) if self.rate else None}
        return asdict(self) | rate | {"equivalent_share": self.equivalent_share}


@dataclass(slots=True)
class AuditReport:
    """What an audit of one world counted and found; `passed` when it found nothing."""

    world: str
    seed: int
    tasks: int = 0
    rows: list[Tally] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    finding_count: int = 0

    @property
    def passed(self) -> bool:
        """Whether there is nothing to mend."""
        return self.finding_count == 0

    @property
    def trajectories(self) -> int:
        """All that were played, equivalents included."""
        return sum(row.judged + row.equivalents for row in self.rows)

    def total(self, *kinds: str) -> Tally:
        """The sum over operators of some kinds."""
        rows = [row for row in self.rows if row.kind in kinds]
        return Tally(
            "+".join(kinds),
            "total",
            sum(row.judged for row in rows),
            sum(row.equivalents for row in rows),
            sum(row.errors for row in rows),
            sum(row.disputed for row in rows),
        )

    @property
    def wrong(self) -> Tally:
        """All wrong trajectories; its errors are false accepts."""
        return self.total("policy", "mutation")

    @property
    def right(self) -> Tally:
        """All rewritten right trajectories; its errors are false rejects."""
        return self.total("rewrite")

    def note(self, finding: Finding) -> None:
        """Count a finding, and keep the first ones."""
        self.finding_count += 1
        if len(self.findings) < _SHOWN:
            self.findings.append(finding)

    def note_equivalents(self) -> None:
        """Operators whose mutants too often end like the demonstration show little of the verifier;
        few mutants must not say so by chance, so the interval's lower end decides.
        """
        for row in self.rows:
            made = row.judged + row.equivalents
            if _exceeds(row.equivalents, made, MAX_EQUIVALENT):
                what = f"{row.equivalents} of {made} mutants end as the demonstration does"
                self.note(Finding(row.operator, "", f"{what}, so the operator shows little"))

    def note_disputes(self) -> None:
        """What ends as the demonstration does is right; a verifier that rejects it is wrong."""
        for row in self.rows:
            if row.dispute and _exceeds(row.disputed, row.equivalents, MAX_DISPUTED):
                what = f"{row.disputed} of {row.equivalents} that end as the demonstration does"
                what += f" are rejected; the first: {row.dispute.what}"
                self.note(replace(row.dispute, what=what))

    def to_json(self) -> dict[str, Json]:
        """Plain-data form."""
        return {
            "world": self.world,
            "seed": self.seed,
            "passed": self.passed,
            "tasks": self.tasks,
            "trajectories": self.trajectories,
            "false_accepts": self.wrong.to_json(),
            "false_rejects": self.right.to_json(),
            "operators": [row.to_json() for row in self.rows],
            "finding_count": self.finding_count,
            "findings": [asdict(finding) for finding in self.findings],
        }


def audit_world(
    reference: str,
    trajectories: int = 2000,
    seed: int = 0,
    progress: Callable[[int], None] = lambda played: None,
) -> AuditReport:
    """Play `trajectories` wrong and rewritten ones on as many tasks as that takes.

    On each task the operators that have been used least come first. `progress` gets the number of
    trajectories played, after each task.

    Raises:
        ValueError: for a budget below 1.
        WorldCrash: when a task cannot be made.
    """
    if trajectories < 1:
        raise ValueError(f"an audit needs at least one trajectory, not {trajectories}")
    world = world_class(reference)
    rows = [Tally(kind, name) for kind, group in KINDS.items() for name in group]
    report = AuditReport(world.env_id, seed, rows=rows)
    for task, other in _pairs(world.env_id, seed):
        report.tasks += 1
        for what in unknown_values(task):
            report.note(Finding("realisability", task.id, what))
        rng = derived_random(seed, "audit", report.tasks, task.id)
        _audit_task(report, make_case(task, other, rng), trajectories)
        progress(report.trajectories)
        if report.trajectories >= trajectories:
            break
    report.note_equivalents()
    report.note_disputes()
    return report


def _exceeds(count: int, trials: int, share: float) -> bool:
    """Whether a rate is above `share` beyond chance."""
    return trials > 0 and wilson(count, trials).low > share


def _audit_task(report: AuditReport, case: Case, trajectories: int) -> None:
    played = 0
    for row in sorted(report.rows, key=lambda row: row.judged + row.equivalents):
        if played == _PER_TASK or report.trajectories >= trajectories:
            return
        mutant = KINDS[row.kind][row.operator](case)
        if mutant is not None:
            _judge(report, row, case, mutant)
            played += 1


def _pairs(env_id: str, seed: int) -> Iterator[tuple[Task, Task]]:
    """Tasks without end, each with the most alike of its batch."""
    source = sample_tasks(world_class(env_id), seed)
    while True:
        batch = list({task.id: task for task in (next(source) for _ in range(_BATCH))}.values())
        for task in batch:
            yield task, nearest(task, [each for each in batch if each.id != task.id] or [task])


def _judge(report: AuditReport, row: Tally, case: Case, mutant: Mutant) -> None:
    must_accept = row.kind == "rewrite"
    world = start(case.task, len(mutant.turns) + 1)
    try:
        score = play(world, mutant.turns, mutant.stop, limited=False).score
    except Exception as error:  # the world under test may raise anything; that is the finding
        row.judged, row.errors = row.judged + 1, row.errors + 1
        what = f"crashed with {type(error).__name__}: {error}"
        return report.note(Finding(row.operator, case.task.id, what))
    accepted = score.success or score.value >= 1.0
    decided = must_accept or mutant.wrong
    if not decided and ending_of(case.task, world.evidence()) == case.ending:
        row.equivalents += 1
        if not accepted:
            row.disputed += 1
            row.dispute = row.dispute or Finding(row.operator, case.task.id, score.why)
        return None
    row.judged += 1
    if accepted != must_accept:
        row.errors += 1
        verdict = "false accept" if accepted else f"false reject ({score.why})"
        report.note(Finding(row.operator, case.task.id, f"{verdict}: {world.render()[-600:]}"))
    return None
