"""Success on held-out tasks after 1, 4 and 16 times the quickstart's demonstrations, and after RL
from the 16-fold start.

python benchmarks/demo_scaling.py [--quick]
"""

from __future__ import annotations

import json

from common import arguments, finish, tooldojo

from tooldojo.configs.loading import load_recipe


def main() -> None:
    """One quickstart run per amount of demonstrations; the 16-fold one goes on to RL."""
    args = arguments(__doc__ or "")
    demos = load_recipe("quickstart").task.demos
    factors = (1, 4) if args.quick else (1, 4, 16)
    rows = {}
    for factor in factors:
        directory = args.out / f"demos-{factor}x"
        if not (directory / "summary.json").exists():
            stop = [] if factor == factors[-1] else ["--until", "sft"]
            resume = ["--resume"] if (directory / "config.toml").exists() else []
            options = ("--seed", "0", "--dir", str(directory), f"task.demos={factor * demos}")
            tooldojo("quickstart", *options, *stop, *resume)
        summary = json.loads((directory / "summary.json").read_text())
        rows[f"{factor}x"] = {key: summary[key] for key in ("sft", "rl") if key in summary} | {
            "demos": factor * demos
        }
    finish(
        {
            "rows": rows,
            "ratio": rows[f"{factors[-1]}x"]["sft"]["success"]
            / max(1e-9, rows["1x"]["sft"]["success"]),
        }
    )


if __name__ == "__main__":
    main()
