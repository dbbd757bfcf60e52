"""Tokens per second of the learner: packed rows with shared prompts against ordinary padded rows.

python benchmarks/learner_throughput.py [--quick]

A random Qwen3 (4 layers, 256 wide, vocabulary 4096), LoRA rank 32 on all linear layers; groups of 8
with a prompt of 420 tokens and continuations of about 230, of which about 110 were sampled. Both
sides compute the gradients of the same optimiser step. Seconds are the best of several repeats, for
the machine may be busy; core seconds add up all threads.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable

import numpy as np
import torch
from common import arguments, finish
from tokenizers import Tokenizer, models
from transformers import PreTrainedTokenizerFast, Qwen3Config, Qwen3ForCausalLM

from tooldojo.configs.schema import LearnerSection, ObjectiveSection, PolicySection
from tooldojo.training.batch import Column, Member, PackedSequence
from tooldojo.training.card import Conventions
from tooldojo.training.learner import Learner
from tooldojo.training.objectives import token_weights
from tooldojo.training.policy import Policy, load_policy
from tooldojo.verifiers.records import Reward

VOCAB, PROMPT, SPANS = 4096, 420, (30, 40, 30, 40, 30, 40, 20)  # sampled and observed in turn
SEQUENCES = 16  # of a padded micro-batch


def make_policy() -> Policy:
    """A random model of the default policy's shape with a fresh adapter."""
    config = Qwen3Config(
        vocab_size=VOCAB,
        hidden_size=256,
        intermediate_size=768,
        num_hidden_layers=4,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=64,
        tie_word_embeddings=True,
    )
    with tempfile.TemporaryDirectory() as folder:
        Qwen3ForCausalLM(config).save_pretrained(folder)
        words = Tokenizer(models.WordLevel({"a": 0}, unk_token="a"))
        PreTrainedTokenizerFast(tokenizer_object=words, unk_token="a").save_pretrained(folder)
        return load_policy(PolicySection(model=folder), Conventions("", (), "hermes", (1,)))


def make_members(groups: int) -> list[Member]:
    """Random ids; lengths vary by up to 30 % around the figures above."""
    rng, members = np.random.default_rng(0), []
    for group in range(groups):
        prompt = rng.integers(3, VOCAB, PROMPT)
        for _ in range(8):
            spans = [int(n * rng.uniform(0.7, 1.3)) for n in SPANS]
            sampled = np.repeat([i % 2 == 0 for i in range(len(spans))], spans)
            targets = PROMPT + np.flatnonzero(sampled)
            ids = np.concatenate([prompt, rng.integers(3, VOCAB, sum(spans))])
            old = np.full(len(targets), -8.3, np.float32)
            turns, calls = np.zeros(len(targets), np.int64), np.zeros(len(targets), bool)
            row = ids[: targets[-1] + 1].astype(np.int64)
            sequence = PackedSequence(row, targets, old, turns, calls, PROMPT)
            member = Member(group, (sequence,), Reward(0.0, (), {}))
            members.append(member.having(Column.ADVANTAGE, np.full(len(targets), rng.normal())))
    return members


def padded_gradients(learner: Learner, members: list[Member]) -> None:
    """The same by PEFT's forward pass on right-padded rows, with logits at every position."""
    weight_B = token_weights(torch.tensor([m.length for m in members]), learner.objective)
    for at in range(0, len(members), SEQUENCES):
        rows = [(m.sequences[0], m.advantage) for m in members[at : at + SEQUENCES]]
        lengths = torch.tensor([len(s.ids_T) for s, _ in rows])
        ids = torch.zeros(len(rows), int(lengths.max()), dtype=torch.long)
        gain, old = torch.zeros(ids.shape), torch.zeros(ids.shape)
        for i, (s, advantage) in enumerate(rows):
            ids[i, : len(s.ids_T)] = torch.from_numpy(s.ids_T)
            gain[i, s.targets_N] = advantage * weight_B[at + i]
            old[i, s.targets_N] = torch.from_numpy(s.old_N)
        mask = (torch.arange(ids.shape[1]) < lengths[:, None]).long()
        with torch.autocast("cpu", torch.bfloat16, enabled=learner.section.autocast != "off"):
            logits = learner.policy.model(input_ids=ids, attention_mask=mask).logits[:, :-1]
        logprob = logits.float().log_softmax(-1).gather(2, ids[:, 1:, None])[..., 0]
        ratio = (logprob - old[:, 1:]).exp()
        terms = torch.minimum(ratio * gain[:, 1:], ratio.clamp(0.8, 1.28) * gain[:, 1:])
        (-terms.sum()).backward()


def measure(work: Callable[[], object], repeats: int) -> dict[str, float]:
    """Best wall-clock and core seconds, after one run that does not count."""
    work()
    wall, core = [], []
    for _ in range(repeats):
        started, used = time.perf_counter(), time.process_time()
        work()
        wall.append(time.perf_counter() - started)
        core.append(time.process_time() - used)
    return {"seconds": round(min(wall), 3), "core_seconds": round(min(core), 3)}


def main() -> None:
    """Both ways in both precisions; the ratio is between seconds in bf16."""
    args = arguments(__doc__ or "")
    groups, repeats = (4, 2) if args.quick else (16, 3)
    policy, members = make_policy(), make_members(groups)
    prompts = groups * PROMPT
    packed = prompts + sum(member.inputs for member in members)
    padded = sum(len(member.sequences[0].ids_T) for member in members)
    rows = {}
    for autocast in ("bfloat16", "off"):
        section = LearnerSection.model_validate({"autocast": autocast})
        learner = Learner(policy, section, ObjectiveSection(), range(3, 40))
        ours = measure(lambda learner=learner: learner.gradients(members), repeats)
        plain = measure(lambda learner=learner: padded_gradients(learner, members), repeats)
        speed = {"packed_tokens_per_second": round(packed / ours["seconds"])}
        rows["bf16" if autocast == "bfloat16" else "fp32"] = {
            "packed": ours | speed,
            "padded": plain,
        }
    ratio = rows["bf16"]["padded"]["seconds"] / rows["bf16"]["packed"]["seconds"]
    tokens = {"packed_tokens": packed, "padded_tokens": padded, "groups": groups}
    finish(tokens | {"rows": rows, "threads": torch.get_num_threads(), "ratio": round(ratio, 2)})


if __name__ == "__main__":
    main()
