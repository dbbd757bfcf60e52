"""The second set: written against frozen gates."""

from __future__ import annotations

from planted.planting import Fault

FAULTS: tuple[Fault, ...] = ()
