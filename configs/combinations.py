"""Keys that need other keys, or exclude each other.

Invariant: a key that would have no meaning beside another, or no effect, is refused with one line
that says what to set. Keys of a command's other sections are not looked at.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tooldojo.configs.schema import LearnerSection, ObjectiveSection, Recipe


@dataclass(frozen=True, slots=True)
class Need:
    """`key`, when it has another value than its default (or one of `when`), needs `other` to be
    one of `allowed`; the first one is recommended."""

    key: str
    other: str
    allowed: tuple[object, ...]
    when: tuple[object, ...] | None = None


CORRECTIONS = ("token_truncate", "token_mask", "sequence_truncate", "sequence_mask")
NEEDS = (
    Need("advantage", "credit", ("token", "turn"), ("gae",)),
    Need("credit", "advantage", ("gae",), ("token",)),
    Need("credit", "advantage", ("grpo", "dr_grpo", "rloo"), ("state",)),
    Need("discount", "credit", ("turn", "state", "token")),
    Need("gae_lambda", "advantage", ("gae",)),
    Need("value_clip", "advantage", ("gae",)),
    Need("dual_clip", "loss", ("clip",)),
    Need("constant_length", "aggregation", ("constant",)),
    Need("max_oversampling", "dynamic_sampling", (True,)),
    Need("correction", "proximal", ("learner",)),
    Need("correction_max", "correction", CORRECTIONS),
)


def contradictions(recipe: Recipe) -> Iterator[str]:
    """One line per combination of keys that a run cannot honour."""
    section = recipe.objective
    values = section.model_dump()
    for need in NEEDS:
        value, other = values[need.key], values[need.other]
        default = ObjectiveSection.model_fields[need.key].default
        asked = value != default if need.when is None else value in need.when
        if asked and other not in need.allowed:
            yield (
                f"objective.{need.key} = {value} needs objective.{need.other} = "
                f"{' or '.join(map(str, need.allowed))}, not {other}; "
                f"set objective.{need.other}={need.allowed[0]}"
            )
    yield from _bounds(section)
    if recipe.rollout.over_issue and not recipe.rollout.eta:
        yield (
            f"rollout.over_issue = {recipe.rollout.over_issue:g} needs rollout.eta of 1 or more: "
            "with rollout.eta = 0 nothing may be played ahead; set rollout.eta=1 or leave it out"
        )
    critic_rate = LearnerSection.model_fields["critic_learning_rate"].default
    if recipe.learner.critic_learning_rate != critic_rate and section.advantage != "gae":
        yield (
            f"learner.critic_learning_rate = {recipe.learner.critic_learning_rate:g} has no effect "
            "without a critic; set objective.advantage=gae or leave it out"
        )
    yield from _ranks(recipe)
    if recipe.rollout.eta > 1 and section.proximal == "sampler":
        yield (
            f"rollout.eta = {recipe.rollout.eta} lets tokens be more than one version old, and "
            "objective.proximal = sampler would clip against those; set objective.proximal=learner"
        )


def _ranks(recipe: Recipe) -> Iterator[str]:
    learner = recipe.learner
    if not learner.shard_base:
        return
    if learner.ranks == 1:
        yield (
            "learner.shard_base needs learner.ranks of 2 or more: there is nothing to spread the "
            "base over; set learner.ranks or leave learner.shard_base out"
        )
    if recipe.rollout.transport != "adapter":
        yield (
            f"learner.shard_base needs rollout.transport = adapter, not "
            f"{recipe.rollout.transport}: no rank holds a whole base to merge into; "
            "set rollout.transport=adapter"
        )
    if recipe.policy.quantization != "none":
        yield (
            f"learner.shard_base and policy.quantization = {recipe.policy.quantization} exclude "
            "each other; leave one out"
        )


def _bounds(section: ObjectiveSection) -> Iterator[str]:
    if section.kl != "k3" and not section.kl_coef:
        yield f"objective.kl = {section.kl} has no effect with kl_coef = 0; set objective.kl_coef"
    if section.overlong_buffer > section.overlong_length:
        yield (
            f"objective.overlong_buffer = {section.overlong_buffer} is more than overlong_length = "
            f"{section.overlong_length}; set objective.overlong_length to the tokens allowed"
        )
    if section.overlong_length and not section.overlong_buffer:
        yield (
            f"objective.overlong_length = {section.overlong_length} has no effect without "
            "overlong_buffer; set objective.overlong_buffer"
        )
    if section.dual_clip and section.dual_clip <= 1 + section.clip_high:
        yield (
            f"objective.dual_clip = {section.dual_clip} must be 0 (off) or more than "
            f"1 + clip_high = {1 + section.clip_high:g}"
        )
    if section.credit == "tool" and not section.call_error_penalty:
        yield (
            "objective.credit = tool credits penalties for bad calls, and call_error_penalty = 0; "
            "set objective.call_error_penalty"
        )
    if not section.positive_weight and not section.negative_weight:
        yield "objective.positive_weight = negative_weight = 0 leaves nothing to learn; set one"
