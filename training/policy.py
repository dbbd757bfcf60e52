"""The policy in training: a frozen base model, one LoRA adapter on all linear layers, a tokenizer
and a card.

Owns loading (`default`, a directory, a Hugging Face id, an adapter directory), saving and merging.
Refuses an adapter whose card does not match. Invariant: adapter factors are fp32 master weights;
every merge happens in fp32.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import cast

import numpy as np
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from peft.utils import get_peft_model_state_dict
from safetensors import SafetensorError
from safetensors.torch import save, save_file
from torch import Tensor, nn
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    BitsAndBytesConfig,
    PreTrainedModel,
)
from transformers.tokenization_utils_base import PreTrainedTokenizerBase

from tooldojo.configs.schema import PolicySection
from tooldojo.rollouts.updates import tensors_digest
from tooldojo.training.card import AdapterCard, Conventions, PolicyError, base_digest
from tooldojo.training.learning.lora import LoraLinear, lora_linears
from tooldojo.training.runs.atomic import atomic_directory

DEFAULT_POLICY = Path(__file__).parent / "assets" / "default_policy"
ADAPTER_CONFIG = "adapter_config.json"
ADAPTER_WEIGHTS = "adapter_model.safetensors"
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}
DOWNLOADS = ["*.json", "*.safetensors", "*.jinja", "*.txt", "*.model"]


class Policy:
    """A base model with its adapter. `linears` are the adapted layers; only their factors require
    gradients."""

    def __init__(
        self,
        model: PeftModel,
        tokenizer: PreTrainedTokenizerBase,
        card: AdapterCard,
        base_folder: Path,
    ) -> None:
        self.model = model.eval()  # dropout acts in SFT only: what was sampled was sampled without
        self.tokenizer = tokenizer
        self.card = card
        self.base_folder = base_folder
        self.linears: tuple[LoraLinear, ...] = lora_linears(model)

    @property
    def network(self) -> PreTrainedModel:
        """The transformers model, adapted layers inside."""
        return cast(PreTrainedModel, self.model.get_base_model())

    @property
    def head_VH(self) -> Tensor:
        """The output matrix; frozen."""
        return cast(nn.Linear, self.network.get_output_embeddings()).weight

    @property
    def device(self) -> torch.device:
        """Where the factors live."""
        return self.linears[0].a.device

    def parameters(self) -> dict[str, nn.Parameter]:
        """The trainable factors, fp32, under PEFT's names."""
        return {n: p for n, p in self.model.named_parameters() if p.requires_grad}

    @contextmanager
    def holding(self, factors: dict[str, Tensor]) -> Iterator[None]:
        """Inside, the policy has these factors instead of its own, and nothing records
        gradients."""
        own = {name: parameter.data for name, parameter in self.parameters().items()}
        try:
            for name, parameter in self.parameters().items():
                parameter.data = factors[name]
            with torch.no_grad():
                yield
        finally:
            for name, parameter in self.parameters().items():
                parameter.data = own[name]

    def adapter_tensors(self) -> dict[str, Tensor]:
        """PEFT's state dict of the adapter, fp32 on the CPU."""
        state = get_peft_model_state_dict(self.model, save_embedding_layers=False)
        return {n: t.detach().float().cpu().contiguous().clone() for n, t in state.items()}

    def load_adapter_tensors(self, tensors: dict[str, Tensor]) -> None:
        """Take over an adapter's tensors, in place.

        Raises:
            PolicyError: when names or shapes are not this adapter's.
        """
        own = get_peft_model_state_dict(self.model, save_embedding_layers=False)
        if {n: t.shape for n, t in own.items()} != {n: t.shape for n, t in tensors.items()}:
            odd = sorted({n for n in own.keys() ^ tensors.keys()} or own.keys())[0]
            raise PolicyError(
                f"the adapter's tensors do not fit this policy, first at {odd}; check lora_rank"
            )
        with torch.no_grad():
            for name, tensor in own.items():
                tensor.copy_(tensors[name])

    def adapter_digest(self) -> str:
        """16 hex digits over the adapter's fp32 tensors."""
        return tensors_digest({n: t.numpy() for n, t in self.adapter_tensors().items()})

    def adapter_bytes(self) -> bytes:
        """The adapter as safetensors, fp32, PEFT's names."""
        return save(self.adapter_tensors(), metadata={"format": "pt"})

    def adapter_config(self) -> str:
        """The text of PEFT's `adapter_config.json`."""
        config = self.model.peft_config["default"].to_dict()
        config["base_model_name_or_path"] = str(self.base_folder)
        config["inference_mode"] = True
        plain = {k: sorted(v) if isinstance(v, set) else v for k, v in config.items()}
        return json.dumps(plain, indent=2, sort_keys=True, default=str) + "\n"

    def merged_tensors(self, dtype: torch.dtype = torch.float32) -> dict[str, Tensor]:
        """W + s B A of the adapted layers under their Hugging Face names, merged in fp32, then
        cast; on the CPU."""
        return {x.name: x.merged().to(dtype).cpu() for x in self.linears}

    def save_adapter(self, folder: Path) -> None:
        """Write plain PEFT files and the card; the directory appears complete or not at all."""
        with atomic_directory(folder) as draft:
            save_file(self.adapter_tensors(), draft / ADAPTER_WEIGHTS, metadata={"format": "pt"})
            (draft / ADAPTER_CONFIG).write_text(self.adapter_config(), encoding="utf-8")
            self.card.write(draft)

    def export_merged(self, folder: Path) -> None:
        """Write a plain transformers model (fp32, adapter merged in) with its tokenizer; needs no
        PEFT to load."""
        plain = AutoModelForCausalLM.from_pretrained(self.base_folder, dtype=torch.float32)
        own = plain.state_dict()
        for name, tensor in self.merged_tensors().items():
            own[name].copy_(tensor)
        with atomic_directory(folder) as draft:
            plain.save_pretrained(draft)
            self.tokenizer.save_pretrained(draft)


def as_numpy(tensors: dict[str, Tensor]) -> dict[str, np.ndarray]:
    """For `tensors_digest`: bfloat16, which numpy lacks, is viewed as uint16."""
    return {
        n: (t.view(torch.uint16) if t.dtype == torch.bfloat16 else t).contiguous().numpy()
        for n, t in tensors.items()
    }


def load_policy(
    section: PolicySection,
    conventions: Conventions,
    adapter: Path | None = None,
    seed: int = 0,
    device: str | None = None,
) -> Policy:
    """Load the base model of a recipe with a fresh adapter, or with the one in `adapter`.

    conventions: how this run puts tasks before the policy; an adapter trained under others is
    refused. seed: of a fresh adapter. device: `cpu`, `cuda`; by default CUDA where there is one. A
    section whose model is an adapter directory names the adapter and, through its card, the base
    model.

    Raises:
        PolicyError: one line that says what is missing or does not match, and what to do.
    """
    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    name = section.model
    if (Path(name) / ADAPTER_CONFIG).exists():
        adapter, name = adapter or Path(name), AdapterCard.read(Path(name)).base
    folder = find_model(name)
    card = AdapterCard(conventions, name, base_digest(folder))
    if adapter is not None:
        own = AdapterCard.read(adapter)
        own.require(conventions, card.base_digest, adapter)
        card = own
    base = _load_base(folder, section, device)
    model = _attach(base, section, seed) if adapter is None else _load_adapter(base, adapter)
    return Policy(model, load_tokenizer(name), card, folder)


def load_tokenizer(model: str) -> PreTrainedTokenizerBase:
    """The tokenizer of a model as `policy.model` names it (an adapter directory's is its base
    model's).

    Raises:
        PolicyError: when the model or its tokenizer is missing.
    """
    if (Path(model) / ADAPTER_CONFIG).exists():
        model = AdapterCard.read(Path(model)).base
    folder = find_model(model)
    try:
        return AutoTokenizer.from_pretrained(folder)
    except (OSError, ValueError) as error:
        raise PolicyError(f"{folder} has no usable tokenizer: {_first_line(error)}") from error


def find_model(model: str) -> Path:
    """The directory of a base model: `default`, a directory, or a Hugging Face id (downloaded once,
    then cached).

    Raises:
        PolicyError: when there is no such model, or it cannot be had.
    """
    if model == "default":
        if not (DEFAULT_POLICY / "config.json").exists():
            raise PolicyError(
                "the default policy is missing from this installation "
                "(training/assets/default_policy); set policy.model to a directory or a Hugging "
                "Face id"
            )
        return DEFAULT_POLICY
    folder = Path(model).expanduser()
    if folder.is_dir():
        if not (folder / "config.json").exists():
            raise PolicyError(
                f"policy.model: {folder} holds no config.json, so it is no model directory"
            )
        return folder.resolve()
    if folder.is_absolute() or model.startswith((".", "~")) or model.count("/") > 1:
        raise PolicyError(f"policy.model: there is no directory {model!r}")
    return _download(model)


def _download(model: str) -> Path:
    from httpx import HTTPError
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(model, allow_patterns=DOWNLOADS))
    except HFValidationError as error:
        raise PolicyError(
            f"policy.model: {model!r} is neither a directory nor a Hugging Face id"
        ) from error
    except (LocalEntryNotFoundError, HfHubHTTPError, HTTPError, OSError) as error:
        raise PolicyError(
            f"policy.model: {model!r} is not in the Hugging Face cache and cannot be downloaded "
            f"({_first_line(error)}); check the id and the network, or give a directory"
        ) from error


def _load_base(folder: Path, section: PolicySection, device: str) -> nn.Module:
    quantization = _nf4(device) if section.quantization == "nf4" else None
    try:
        model = AutoModelForCausalLM.from_pretrained(
            folder,
            dtype=DTYPES[section.dtype],
            quantization_config=quantization,
            device_map=device if quantization else None,
        )
    except (OSError, ValueError, KeyError, SafetensorError) as error:
        raise PolicyError(f"{folder} is no causal language model: {_first_line(error)}") from error
    model.config.use_cache = False
    return model if quantization else nn.Module.to(model, device)


def _nf4(device: str) -> BitsAndBytesConfig:
    """4-bit NormalFloat, as QLoRA does it (https://arxiv.org/abs/2305.14314): frozen base, compute
    in bf16."""
    advice = (
        'set policy.quantization = "none", or run on a CUDA machine with bitsandbytes installed'
    )
    if not device.startswith("cuda") or not torch.cuda.is_available():
        raise PolicyError(
            f'policy.quantization = "nf4" needs a CUDA device, and there is none; {advice}'
        )
    try:
        import bitsandbytes  # noqa: F401  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise PolicyError(
            f'policy.quantization = "nf4" needs bitsandbytes ({error}); {advice}'
        ) from error
    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=torch.bfloat16,
    )


def _attach(base: nn.Module, section: PolicySection, seed: int) -> PeftModel:
    config = LoraConfig(
        r=section.lora_rank,
        lora_alpha=section.lora_alpha,
        lora_dropout=section.lora_dropout,
        target_modules="all-linear",
        task_type="CAUSAL_LM",
    )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return get_peft_model(base, config)


def _load_adapter(base: nn.Module, adapter: Path) -> PeftModel:
    if not (adapter / ADAPTER_CONFIG).exists() or not (adapter / ADAPTER_WEIGHTS).exists():
        raise PolicyError(
            f"{adapter} is no adapter directory: {ADAPTER_CONFIG} and {ADAPTER_WEIGHTS} are needed"
        )
    try:
        return PeftModel.from_pretrained(base, str(adapter), is_trainable=True)
    except (OSError, ValueError, RuntimeError, KeyError) as error:
        raise PolicyError(
            f"adapter {adapter} does not fit {base.__class__.__name__}: {_first_line(error)}"
        ) from error


def _first_line(error: Exception) -> str:
    return (str(error).strip() or repr(error)).splitlines()[0]
