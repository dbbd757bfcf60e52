"""One small function per thing that goes wrong in RL on language models, with its threshold.

Owns the thresholds: chosen to stay silent on healthy runs of this project, not derived. Refuses
files; see `reading`. Invariant: every message names the figure it saw and a key or command to try.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

from tooldojo.training.doctor.reading import Symptoms
from tooldojo.training.runs.metrics import bottleneck_line, total_timings


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that a rule saw. problem: it fails the check; else it is worth knowing.

    seen: the figures, in words. advice: what to try.
    """

    rule: str
    problem: bool
    seen: str
    advice: str


Rule = Callable[[Symptoms], Finding | None]


def diagnose(symptoms: Symptoms) -> tuple[Finding, ...]:
    """All findings, problems first."""
    found = [finding for rule in RULES if (finding := rule(symptoms)) is not None]
    return tuple(sorted(found, key=lambda finding: not finding.problem))


def nothing_trained(s: Symptoms) -> Finding | None:
    """There are no steps to judge."""
    if s.metrics:
        return None
    seen = "metrics.jsonl holds no finished step"
    return Finding("nothing_trained", False, seen, "train first: `tooldojo train`")


def not_finite(s: Symptoms) -> Finding | None:
    """The log writes null where a number was not finite."""
    for row in s.metrics:
        for name in ("loss", "grad_norm"):
            if name in row and row[name] is None:
                return Finding(
                    "not_finite", True, f"{name} was not finite at step {row['step']}",
                    "lower learner.learning_rate or learner.max_grad_norm; with bfloat16 try "
                    "learner.autocast=off",
                )  # fmt: skip
    return None


def entropy_collapse(s: Symptoms) -> Finding | None:
    """Below 30 % of the start while tasks are left to solve, nothing new is tried."""
    trend, success = s.trend("entropy"), s.last("success") or 0.0
    if trend is None or success >= 0.9 or trend.last >= 0.3 * trend.first:
        return None
    seen = f"entropy fell from {trend.first:.3g} to {trend.last:.3g} nats at success {success:.2f}"
    return Finding(
        "entropy_collapse", True, seen,
        "raise objective.clip_high or rollout.temperature, lower learner.learning_rate, or give "
        "more varied tasks",
    )  # fmt: skip


def entropy_blowup(s: Symptoms) -> Finding | None:
    """A policy that gets more random is being destroyed."""
    trend = s.trend("entropy")
    if trend is None or trend.last < 1.0 or trend.last < 3 * trend.first:
        return None
    seen = f"entropy rose from {trend.first:.3g} to {trend.last:.3g} nats"
    advice = (
        "lower learner.learning_rate, raise objective.kl_coef, and go back to an earlier adapter"
    )
    return Finding("entropy_blowup", True, seen, advice)


def kl_blowup(s: Symptoms) -> Finding | None:
    """Per token: 0.05 nats within an update, or 0.5 from the policy that training started from."""
    within, away = s.last("approx_kl"), s.last("kl")
    advice = "lower learner.learning_rate, set learner.minibatches=1, or raise objective.kl_coef"
    if within is not None and within > 0.05:
        seen = f"an update moves the policy by {within:.3g} nats per token (approx_kl)"
        return Finding("kl_blowup", True, seen, advice)
    if away is not None and away > 0.5:
        seen = f"the policy is {away:.3g} nats per token away from its start (kl)"
        return Finding("kl_blowup", True, seen, advice)
    return None


def clipping(s: Symptoms) -> Finding | None:
    """Clipped tokens carry no gradient."""
    share = s.last("clip_fraction")
    if share is None or share <= 0.2:
        return None
    return Finding(
        "clipping", True, f"{share:.0%} of the tokens are clipped at the end of the run",
        "lower learner.learning_rate, set learner.minibatches=1 or widen objective.clip_high",
    )  # fmt: skip


def dead_groups(s: Symptoms) -> Finding | None:
    """A group with equal rewards has no advantage."""
    dead, success = s.last("groups/dead"), s.last("success")
    if dead is None or success is None or dead <= 0.6:
        return None
    seen = f"{dead:.0%} of the groups have equal rewards at success {success:.2f}"
    if success > 0.8:
        return Finding(
            "dead_groups",
            False,
            seen,
            "the tasks are nearly solved: raise task.levels or add worlds",
        )
    return Finding(
        "dead_groups", True, seen,
        'set task.curriculum = "learnable", lower task.levels, raise objective.group_size, or warm '
        "up on more demonstrations (`tooldojo sft`)",
    )  # fmt: skip


def truncated(s: Symptoms) -> Finding | None:
    """Limits that end trajectories teach brevity, not tasks."""
    share = s.last("truncated")
    if share is None or share <= 0.15:
        return None
    return Finding(
        "truncated", True, f"a limit cut off {share:.0%} of the trajectories at the end of the run",
        "raise rollout.max_turns, rollout.max_turn_tokens or rollout.max_context",
    )  # fmt: skip


def malformed(s: Symptoms) -> Finding | None:
    """Calls that do not parse."""
    played = s.played
    if played.turns < 50 or played.malformed <= 0.1 * played.turns:
        return None
    seen = f"{played.malformed} of {played.turns} training turns were no call and no message"
    return Finding(
        "malformed", True, seen,
        "check policy.call_format against the model, raise objective.call_error_penalty, or warm "
        "up on more demonstrations",
    )  # fmt: skip


def failures(s: Symptoms) -> Finding | None:
    """Trajectories without a verdict, lost to crashes and deadlines."""
    failed = sum(s.values("failed"))
    total = sum(s.values("rollout/trajectories"))
    if not total or failed <= 0.02 * total:
        return None
    kinds = {n: sum(s.values(f"failed/{n}")) for n in ("env", "infra")}
    shown = ", ".join(f"{count:.0f} {name}" for name, count in kinds.items() if count)
    seen = f"{failed:.0f} of {total:.0f} trajectories have no verdict ({shown or 'unclassified'})"
    return Finding(
        "failures", True, seen,
        "env: run `tooldojo check` on the world; infra: raise rollout.deadline or lower "
        "rollout.max_inflight",
    )  # fmt: skip


def failures_by_length(s: Symptoms) -> Finding | None:
    """Losing the long ones biases what is learnt towards short ones."""
    played = s.played
    if played.failed < 5 or played.failed_length <= 1.5 * played.scored_length:
        return None
    seen = (
        f"the {played.failed} trajectories without a verdict are {played.failed_length:.0f} tokens "
        f"long in the median, the others {played.scored_length:.0f}"
    )
    advice = "what trains is biased towards short trajectories: raise rollout.deadline"
    return Finding("failures_by_length", True, seen, advice)


def reward_without_success(s: Symptoms) -> Finding | None:
    """The signature of a reward that is exploited."""
    reward, success = s.trend("reward"), s.trend("success")
    if reward is None or success is None or reward.change < 0.05 or success.change > -0.05:
        return None
    seen = (
        f"reward rose from {reward.first:.2f} to {reward.last:.2f} while success fell from "
        f"{success.first:.2f} to {success.last:.2f}"
    )
    return Finding(
        "reward_without_success", True, seen,
        "the reward is being exploited: lower the shaping in [objective], read trajectories with "
        "`tooldojo replay`, and run `tooldojo audit` on the world",
    )  # fmt: skip


def overfitting(s: Symptoms) -> Finding | None:
    """Validation below an earlier validation's interval while training success holds."""
    values, lows = s.values("val/success"), s.values("val/success/low")
    train = s.trend("success")
    if len(values) < 2 or len(lows) != len(values) or train is None or train.change < 0:
        return None
    best = max(range(len(values)), key=lambda i: values[i])
    if values[-1] >= lows[best]:
        return None
    seen = f"validation success fell from {values[best]:.2f} to {values[-1]:.2f}"
    advice = "use the adapter of the best validation, and give more varied tasks"
    return Finding("overfitting", True, seen, advice)


def mismatch(s: Symptoms) -> Finding | None:
    """Sampler and learner must agree on log-probabilities before the first optimiser step."""
    mean = s.last("mismatch_mean")
    if mean is None or mean <= 0.05:
        return None
    return Finding(
        "mismatch", True, f"learner and sampler differ by {mean:.3g} nats per token",
        "set rollout.engine_dtype=float32 or learner.autocast=off; see whether the learner's and "
        "the engine's versions of the model agree",
    )  # fmt: skip


def gradient_spikes(s: Symptoms) -> Finding | None:
    """One batch that outweighs the others."""
    norms = s.values("grad_norm")
    if len(norms) < 8 or max(norms) <= 10 * median(norms):
        return None
    times = max(norms) / median(norms)
    seen = f"the gradient norm reached {max(norms):.3g}, {times:.0f} times its median"
    advice = "lower learner.max_grad_norm, or raise objective.groups"
    return Finding("gradient_spikes", False, seen, advice)


def noisy_gradient(s: Symptoms) -> Finding | None:
    """Steps that are mostly noise move a policy at random; see `learning.noise`."""
    signal, noise = sum(s.values("grad_signal")), sum(s.values("grad_noise"))
    groups = s.values("groups/trained")
    if len(groups) < 4 or not noise:
        return None
    each, scale = sum(groups) / len(groups), noise / signal if signal > 0 else float("inf")
    if scale <= 10 * each:
        return None
    needed = f"about {scale:,.0f}" if signal > 0 else "more than could be told"
    return Finding(
        "noisy_gradient", False,
        f"a step of {each:.0f} groups is mostly noise: for as much signal as noise it takes "
        f"{needed}",
        "raise objective.groups and learner.steps, or lower learner.learning_rate; with tasks of "
        "several turns try objective.method=gigpo",
    )  # fmt: skip


def no_progress(s: Symptoms) -> Finding | None:
    """Twenty steps should show."""
    success = s.trend("success", least=20)
    if success is None or success.first >= 0.9 or abs(success.change) >= 0.03:
        return None
    seen = (
        f"success went from {success.first:.2f} to {success.last:.2f} in "
        f"{len(s.values('success'))} steps"
    )
    advice = "raise learner.learning_rate or objective.groups; see whether groups have a signal"
    return Finding("no_progress", False, seen, advice)


def growing_length(s: Symptoms) -> Finding | None:
    """Longer answers that solve no more."""
    tokens, success = s.trend("tokens/sampled_per_trajectory"), s.trend("success")
    if tokens is None or success is None or tokens.last < 1.5 * tokens.first:
        return None
    if success.change > 0.02:
        return None
    seen = (
        f"trajectories grew from {tokens.first:.0f} to {tokens.last:.0f} sampled tokens while "
        f"success went from {success.first:.2f} to {success.last:.2f}"
    )
    advice = "set objective.aggregation=token_mean, or raise objective.truncated_penalty"
    return Finding("growing_length", True, seen, advice)


def staleness(s: Symptoms) -> Finding | None:
    """Tokens of older versions than the recipe allows, or mostly as old as it allows."""
    eta, oldest, mean = s.recipe.rollout.eta, s.values("staleness/max"), s.last("staleness/mean")
    if not oldest or mean is None:
        return None
    if max(oldest) > eta:
        seen = f"tokens were up to {max(oldest):.0f} versions old; rollout.eta allows {eta}"
        advice = "this breaks the bound; lower rollout.max_inflight and report it"
        return Finding("staleness", True, seen, advice)
    if eta >= 2 and mean > 0.8 * eta:
        seen = f"tokens are {mean:.1f} versions old on average, of {eta} allowed"
        advice = "the learner outruns the engines: add rollout.workers or lower rollout.eta"
        return Finding("staleness", False, seen, advice)
    return None


def bottleneck(s: Symptoms) -> Finding | None:
    """One stage takes most of the step."""
    timings = total_timings(s.metrics)
    if timings is None or not timings.stages:
        return None
    stage = max(timings.stages, key=lambda name: timings.stages[name])
    if timings.share(stage) <= 0.7:
        return None
    line, _, advice = bottleneck_line(timings).partition("; ")
    return Finding("bottleneck", False, line, advice or "this stage is the one to speed up")


def evaluation_failures(s: Symptoms) -> Finding | None:
    """Held-out tasks that got no verdict."""
    for stage, summary in s.evaluations.items():
        failed, tasks = summary.get("failed"), summary.get("tasks")
        count = sum(failed.values()) if isinstance(failed, dict) else 0  # type: ignore[arg-type]
        if isinstance(tasks, int) and count > 0.01 * tasks:
            seen = f"evaluation {stage!r} has {count} of {tasks} tasks without a verdict"
            advice = "evaluate again with a larger rollout.deadline; read the rows' `failure`"
            return Finding("evaluation_failures", True, seen, advice)
    return None


RULES: tuple[Rule, ...] = (
    nothing_trained,
    not_finite,
    entropy_collapse,
    entropy_blowup,
    kl_blowup,
    clipping,
    dead_groups,
    truncated,
    malformed,
    failures,
    failures_by_length,
    reward_without_success,
    overfitting,
    mismatch,
    gradient_spikes,
    noisy_gradient,
    no_progress,
    growing_length,
    staleness,
    bottleneck,
    evaluation_failures,
)
