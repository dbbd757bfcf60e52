"""Refuse files that bloat every clone: over 1 MB, or over 20 MB under training/assets/.

Looks at the files named as arguments, or at all that git tracks. Run by `make lint` and pre-commit.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

LIMIT_MB, ASSET_LIMIT_MB = 1, 20


def tracked() -> list[str]:
    listed = subprocess.run(["git", "ls-files", "-z"], capture_output=True, text=True)
    return [name for name in listed.stdout.split("\0") if name]


def main() -> int:
    bad = 0
    for path in map(Path, sys.argv[1:] or tracked()):
        limit = ASSET_LIMIT_MB if path.parts[:2] == ("training", "assets") else LIMIT_MB
        if path.is_file() and path.stat().st_size > limit * 1e6:
            size = path.stat().st_size / 1e6
            print(f"{path} has {size:.1f} MB, the limit is {limit} MB", file=sys.stderr)
            bad += 1
    return int(bad > 0)


if __name__ == "__main__":
    sys.exit(main())
