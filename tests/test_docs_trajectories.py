"""The page about stored trajectories lists the columns that there are."""

from __future__ import annotations

import re
from pathlib import Path

from tooldojo.rollouts.store import SCHEMA

PAGE = Path(__file__).parents[1] / "docs" / "trajectories.md"


def test_columns_and_types() -> None:
    rows = re.findall(r"^\| `(\w+)` \| ([^|]+) \| \S", PAGE.read_text(), flags=re.MULTILINE)
    found = [(field.name, str(field.type)) for field in SCHEMA]
    assert rows == [(name, kind.replace("item:", "element:")) for name, kind in found]
