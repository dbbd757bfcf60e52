"""Loading, saving and merging policies; what is refused, and in which words."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from peft import PeftModel
from safetensors.torch import load
from transformers import AutoModelForCausalLM, AutoTokenizer

from tooldojo.configs.schema import PolicySection
from tooldojo.rollouts.updates import tensors_digest
from tooldojo.training.card import CARD, AdapterCard, Conventions, PolicyError
from tooldojo.training.learning.learner import Learner
from tooldojo.training.policy import ADAPTER_WEIGHTS, Policy, as_numpy, load_policy

IDS = torch.tensor([list(range(3, 23))])
CONVENTIONS = Conventions("template", ("system",), "hermes", (1,))
MakePolicy = Callable[..., Policy]
Folders = Callable[[str], Path]


@torch.no_grad()
def logits(model: torch.nn.Module) -> torch.Tensor:
    return model(input_ids=IDS).logits


@pytest.mark.parametrize("kind", ["qwen3", "qwen2", "llama"])
def test_saved_adapters_load_in_plain_peft(
    kind: str, make_policy: MakePolicy, model_folders: Folders, tmp_path: Path
) -> None:
    policy = make_policy(kind)
    policy.save_adapter(tmp_path / "v1")
    base = AutoModelForCausalLM.from_pretrained(model_folders(kind))
    plain = PeftModel.from_pretrained(base, str(tmp_path / "v1"))
    assert torch.equal(logits(plain), logits(policy.model))
    assert (load((tmp_path / "v1" / ADAPTER_WEIGHTS).read_bytes()).keys()) == load(
        policy.adapter_bytes()
    ).keys()


@pytest.mark.parametrize("kind", ["qwen3", "qwen2", "llama"])
def test_exported_models_load_in_plain_transformers(
    kind: str, make_policy: MakePolicy, tmp_path: Path
) -> None:
    policy = make_policy(kind)
    policy.export_merged(tmp_path / "model")
    plain = AutoModelForCausalLM.from_pretrained(tmp_path / "model")
    assert torch.allclose(logits(plain), logits(policy.model), atol=1e-4)
    assert AutoTokenizer.from_pretrained(tmp_path / "model").eos_token == "t1"
    merged = policy.merged_tensors()
    own = plain.state_dict()
    assert merged.keys() <= own.keys()
    assert all(torch.equal(own[n], t) for n, t in merged.items())


def test_adapters_load_again(
    make_policy: MakePolicy, model_folders: Folders, tmp_path: Path
) -> None:
    policy = make_policy()
    policy.save_adapter(tmp_path / "v1")
    section = PolicySection(model=str(model_folders("qwen3")))
    again = load_policy(section, CONVENTIONS, adapter=tmp_path / "v1")
    by_name = load_policy(PolicySection(model=str(tmp_path / "v1")), CONVENTIONS)
    assert again.adapter_digest() == by_name.adapter_digest() == policy.adapter_digest()
    assert torch.equal(logits(by_name.model), logits(policy.model))
    assert all(p.dtype == torch.float32 for p in again.parameters().values())
    assert len(again.parameters()) == 28


def test_saving_replaces_and_leaves_nothing_else(make_policy: MakePolicy, tmp_path: Path) -> None:
    policy = make_policy()
    policy.save_adapter(tmp_path / "best")
    policy.linears[0].b.data.add_(1)
    policy.save_adapter(tmp_path / "best")
    assert [p.name for p in tmp_path.iterdir()] == ["best"]
    assert (
        load_policy(PolicySection(model=str(tmp_path / "best")), CONVENTIONS).adapter_digest()
        == policy.adapter_digest()
    )


def test_fresh_adapters_are_the_base_model_and_reproducible(model_folders: Folders) -> None:
    section = PolicySection(model=str(model_folders("llama")), lora_rank=4)
    before = torch.get_rng_state()
    one, two, other = (load_policy(section, CONVENTIONS, seed=s) for s in (1, 1, 2))
    assert torch.equal(torch.get_rng_state(), before)
    base = AutoModelForCausalLM.from_pretrained(model_folders("llama"))
    assert torch.equal(logits(base), logits(one.model))
    assert one.adapter_digest() == two.adapter_digest() != other.adapter_digest()


def test_half_precision_bases_keep_full_precision_factors(make_policy: MakePolicy) -> None:
    policy = make_policy(dtype="bfloat16")
    assert all(p.dtype == torch.float32 for p in policy.parameters().values())
    x = policy.linears[0]
    weight = x.base.get_parameter("weight")
    assert weight.dtype == torch.bfloat16
    exact = weight.float() + x.scale * x.b @ x.a
    assert torch.allclose(policy.merged_tensors()[x.name], exact, atol=1e-6)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"template_hash": "other"}, "template hash 'template', but this run has 'other'"),
        ({"call_format": "llama3"}, "call format 'hermes'"),
        ({"stop_ids": (1, 2)}, r"stop ids \(1,\)"),
        ({"system_prompts": ("system", "more")}, "system prompts"),
    ],
)
def test_an_adapter_trained_under_other_conventions_is_refused(
    change: dict, words: str, make_policy: MakePolicy, tmp_path: Path
) -> None:
    make_policy().save_adapter(tmp_path / "v1")
    with pytest.raises(PolicyError, match=words):
        load_policy(PolicySection(model=str(tmp_path / "v1")), replace(CONVENTIONS, **change))


def test_another_base_model_is_refused(
    make_policy: MakePolicy, model_folders: Folders, tmp_path: Path
) -> None:
    make_policy("llama").save_adapter(tmp_path / "v1")
    section = PolicySection(model=str(model_folders("qwen2")))
    with pytest.raises(PolicyError, match="base model digest"):
        load_policy(section, CONVENTIONS, adapter=tmp_path / "v1")


def test_cards(make_policy: MakePolicy, tmp_path: Path) -> None:
    policy = make_policy()
    policy.save_adapter(tmp_path / "v1")
    assert AdapterCard.read(tmp_path / "v1") == policy.card
    (tmp_path / "v1" / CARD).write_text(json.dumps({"conventions": {}}))
    with pytest.raises(PolicyError, match="is not an adapter card"):
        AdapterCard.read(tmp_path / "v1")
    (tmp_path / "v1" / CARD).unlink()
    with pytest.raises(PolicyError, match=r"has no tooldojo\.json"):
        load_policy(PolicySection(model=str(tmp_path / "v1")), CONVENTIONS)


@pytest.mark.parametrize(
    ("model", "words"),
    [
        ("./nowhere", "there is no directory './nowhere'"),
        ("/nowhere/at/all", "there is no directory"),
        ("not a model!", "neither a directory nor a Hugging Face id"),
        ("nobody/nothing-here", "is not in the Hugging Face cache and cannot be downloaded"),
    ],
)
def test_missing_models_are_named_in_one_line(
    model: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(PolicyError, match=words) as error:
        load_policy(PolicySection(model=model), CONVENTIONS)
    assert "\n" not in str(error.value)


def test_an_empty_directory_is_no_model(tmp_path: Path) -> None:
    with pytest.raises(PolicyError, match=r"holds no config\.json"):
        load_policy(PolicySection(model=str(tmp_path)), CONVENTIONS)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_nf4_needs_cuda(model_folders: Folders) -> None:
    section = PolicySection(model=str(model_folders("llama")), quantization="nf4")
    with pytest.raises(PolicyError, match="needs a CUDA device"):
        load_policy(section, CONVENTIONS)


def test_foreign_tensors_are_refused(make_policy: MakePolicy) -> None:
    policy = make_policy()
    tensors = policy.adapter_tensors()
    tensors.popitem()
    with pytest.raises(PolicyError, match="do not fit this policy"):
        policy.load_adapter_tensors(tensors)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_exported_updates(
    dtype: torch.dtype, make_learner: Callable[..., Learner], make_groups: Callable
) -> None:
    learner = make_learner(learning_rate=1e-2)
    first = learner.export(1)
    assert first.merged is None
    assert first.probe.before is None
    learner.update(make_groups())
    second = learner.export(2, merged=dtype)
    assert second.probe.before == first.probe.now != second.probe.now
    assert second.ref.digest == learner.policy.adapter_digest() != first.ref.digest
    assert second.merged is not None
    merged = load(second.merged)
    assert merged.keys() == {x.name for x in learner.policy.linears}
    assert all(t.dtype == dtype for t in merged.values())
    assert tensors_digest(as_numpy(merged)) == second.merged_digest
    assert json.loads(second.adapter_config)["r"] == 4
    again = learner.export(2, merged=dtype)  # as after a resume
    assert again == second
    with torch.no_grad():
        plain = (
            learner.policy.model(input_ids=torch.tensor([learner.probe_ids]))
            .logits[0]
            .log_softmax(-1)
        )
    expected = plain[:-1].gather(1, torch.tensor(learner.probe_ids[1:])[:, None])[:, 0]
    assert torch.allclose(torch.tensor(second.probe.now), expected, atol=1e-4)
