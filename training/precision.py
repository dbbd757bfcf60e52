"""Which precision pays on which device.

Owns what `learner.autocast = "auto"` means and the precision of the other stages. A CPU without
bfloat16 instructions, as most laptops', computes such products several times slower than float32.
"""

from __future__ import annotations

import torch

CPU_BFLOAT16 = ("amx_bf16", "avx512_bf16", "bf16")  # the last one is ARM's name


def has_bfloat16(device: str) -> bool:
    """Whether the device (cpu, cuda, cuda:0, ...) multiplies bfloat16 in hardware."""
    if device.startswith("cuda"):
        return torch.cuda.is_bf16_supported(including_emulation=False)
    known = torch.cpu.get_capabilities()
    return any(known.get(name) for name in CPU_BFLOAT16)


def autocasts(choice: str, device: str) -> bool:
    """Whether products are in bfloat16 under this `learner.autocast`."""
    return has_bfloat16(device) if choice == "auto" else choice == "bfloat16"
