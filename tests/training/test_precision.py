"""bfloat16 only where the device computes in it."""

from __future__ import annotations

import pytest
import torch

from tooldojo.training.precision import autocasts, has_bfloat16


@pytest.mark.parametrize(
    ("known", "expected"),
    [
        ({"avx2": True, "avx512_f": True, "avx512_bf16": False, "amx_bf16": False}, False),
        ({"avx512_bf16": True, "amx_bf16": False}, True),
        ({"amx_bf16": True}, True),
        ({"neon": True, "bf16": True}, True),
        ({}, False),
    ],
)
def test_auto_asks_the_processor(
    known: dict[str, bool], expected: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: known)
    assert has_bfloat16("cpu") is expected
    assert autocasts("auto", "cpu") is expected
    assert autocasts("bfloat16", "cpu") and not autocasts("off", "cpu")


def test_auto_asks_the_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def supported(including_emulation: bool) -> bool:
        asked.append(including_emulation)
        return True

    monkeypatch.setattr(torch.cuda, "is_bf16_supported", supported)
    assert has_bfloat16("cuda:0") and asked == [False]
