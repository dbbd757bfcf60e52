"""Published methods as values of the `[objective]` keys: what `objective.method` fills in.

A key that the recipe gives stays as given. docs/objectives.md holds the table with equations.
Refuses nothing; what keys exclude each other stands in `configs.combinations`.
"""

from __future__ import annotations

from collections.abc import Mapping

_PPO_CLIP = {"clip_low": 0.2, "clip_high": 0.2}
# Over a whole trajectory the rounding of two engines alone leaves a narrow clip, so these take the
# ratio against the learner's own logprobs.
_OWN_RATIO = {"proximal": "learner"}
_GSPO = {"loss": "gspo", "clip_low": 3e-4, "clip_high": 4e-4, **_OWN_RATIO}
_EVERY_GROUP = {"dynamic_sampling": False, **_PPO_CLIP}  # equal rewards teach as well
_SIGNS = {"advantage": "reinforce", **_EVERY_GROUP}

METHODS: dict[str, dict[str, object]] = {
    "dapo": {},  # the schema's defaults
    "grpo": {"aggregation": "sequence_mean", **_PPO_CLIP},
    "dr_grpo": {"advantage": "dr_grpo", "aggregation": "constant", **_PPO_CLIP},
    "gspo": {"aggregation": "sequence_mean", **_GSPO},
    "luspo": {"aggregation": "constant", "constant_length": 1, **_GSPO},
    "cispo": {"loss": "cispo", "clip_low": 1.0, "clip_high": 4.0},
    "sapo": {"loss": "sapo", "aggregation": "sequence_mean"},
    "vespo": {"loss": "vespo", **_OWN_RATIO},
    "rloo": {
        "advantage": "rloo",
        "loss": "trajectory_clip",
        "aggregation": "sequence_mean",
        **_PPO_CLIP,
        **_OWN_RATIO,
    },
    "reinforce_pp": {"advantage": "reinforce_pp", **_EVERY_GROUP},
    "reinforce_pp_baseline": {"advantage": "reinforce_pp_baseline", **_PPO_CLIP},
    "psr": {**_SIGNS, "negative_weight": 0.0},
    "nsr": {**_SIGNS, "positive_weight": 0.0},
    "w_reinforce": {**_SIGNS, "positive_weight": 0.1},
    "turn_grpo": {"credit": "turn", **_PPO_CLIP},
    "gigpo": {"credit": "state", "discount": 0.95, **_PPO_CLIP},
    "toolpo": {
        "advantage": "dr_grpo",
        "credit": "tool",
        "aggregation": "constant",
        **_PPO_CLIP,
    },
    "ppo": {"advantage": "gae", "credit": "token", **_EVERY_GROUP},
    "turn_ppo": {"advantage": "gae", "credit": "turn", **_EVERY_GROUP},
}


def filled(given: Mapping[str, object]) -> dict[str, object]:
    """The given keys, and those of the method that they leave out; an unknown method fills none."""
    return {**METHODS.get(str(given.get("method")), {}), **given}
