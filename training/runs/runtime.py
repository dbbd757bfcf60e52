"""Process-wide settings for fast, or for reproducible, CPU training; call `tune_process` before
torch does heavy work.
"""

from __future__ import annotations

import ctypes
import gc
import os

from tooldojo.rollouts.engine import REPRODUCIBLE

# glibc's mallopt parameters (malloc.h). By default every large tensor is mapped and unmapped anew,
# and on virtual machines those page faults cost more than the arithmetic of a small model.
_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_MAX = -1, -2, -4


def tune_process(threads: int = 0, deterministic: bool = False) -> int:
    """Keep freed memory for the next step, and use `threads` torch threads (0: all cores); returns
    the number.

    deterministic: let no operation choose its order of summation by chance, from here on.
    """
    import torch

    if deterministic:
        os.environ.update(REPRODUCIBLE)
        torch.use_deterministic_algorithms(True)  # else index backward adds by atomics
    try:
        libc = ctypes.CDLL("libc.so.6")
    except OSError:  # another C library: its allocator keeps its own defaults
        libc = None
    if libc is not None:
        libc.mallopt(_M_MMAP_MAX, 0)
        libc.mallopt(_M_TRIM_THRESHOLD, 2**31 - 1)
        libc.mallopt(_M_TOP_PAD, 64 * 2**20)
    count = threads or len(os.sched_getaffinity(0))
    torch.set_num_threads(count)
    return count


def release_memory() -> None:
    """Give freed memory back to the system, after a stage that needed far more than the next."""
    gc.collect()
    try:
        ctypes.CDLL("libc.so.6").malloc_trim(0)
    except (OSError, AttributeError):  # another C library
        return
