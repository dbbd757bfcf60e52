"""The trained network as a folder that transformers and vLLM load.

Owns: config, bf16 weights, tokenizer, template, generation defaults and the card.
Refuses: anything beyond 16 MB.
Invariant: the folder alone is enough to serve the model.
"""

from __future__ import annotations

import json
from pathlib import Path

import torch
from tokenizers import Tokenizer
from transformers import GenerationConfig, Qwen3Config, Qwen3ForCausalLM

from tooldojo.training.base.model import Network, to_transformers
from tooldojo.training.base.tokenizer import wrap

LIMIT_BYTES = 16_000_000


def as_transformers(network: Network, tokenizer: Tokenizer, dtype: torch.dtype) -> Qwen3ForCausalLM:
    """The same function as a `Qwen3ForCausalLM`."""
    fast = wrap(tokenizer)
    ends = {
        "eos_token_id": fast.eos_token_id,
        "pad_token_id": fast.pad_token_id,
        "bos_token_id": None,
    }
    config = Qwen3Config(**network.shape.transformers_config(), **ends)
    model = Qwen3ForCausalLM(config)
    missing, unexpected = model.load_state_dict(to_transformers(network), strict=False)
    assert not unexpected and set(missing) <= {"lm_head.weight"}, (missing, unexpected)
    model.tie_weights()
    model.generation_config = GenerationConfig(**ends, do_sample=False)
    torch.nn.Module.to(model, dtype)
    return model.eval()


def export(network: Network, tokenizer: Tokenizer, card: dict[str, object], out: Path) -> int:
    """Write the folder; returns its size in bytes."""
    out.mkdir(parents=True, exist_ok=True)
    as_transformers(network, tokenizer, torch.bfloat16).save_pretrained(out)
    wrap(tokenizer).save_pretrained(out)
    (out / "card.json").write_text(json.dumps(card, indent=1) + "\n")
    size = sum(f.stat().st_size for f in out.iterdir() if f.is_file())
    if size > LIMIT_BYTES:
        raise ValueError(
            f"the model takes {size} bytes, allowed are {LIMIT_BYTES}; choose a smaller shape"
        )
    return size
