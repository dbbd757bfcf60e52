"""Seeds by hashing what they are for, never by addition; no global generator is touched."""

from __future__ import annotations

import hashlib
import json
import random


def derive_seed(*what: str | int) -> int:
    """A 63-bit seed for `what`, e.g. `derive_seed(run_seed, "trajectory", ordinal, member)`."""
    text = json.dumps(what, separators=(",", ":"))
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest()) >> 1


def derived_random(*what: str | int) -> random.Random:
    """A private generator seeded by `derive_seed`."""
    return random.Random(derive_seed(*what))
