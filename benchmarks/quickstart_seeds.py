"""The quickstart on several seeds: success of base, SFT and RL on held-out tasks, and the paired
gain of RL over SFT.

python benchmarks/quickstart_seeds.py [--quick]
"""

from __future__ import annotations

import json

from common import arguments, finish, tooldojo

TARGET_RL, TARGET_GAIN = 0.85, 0.15  # lower bounds that the quickstart aims at


def main() -> None:
    """Run the seeds one after the other; a finished run is not repeated."""
    args = arguments(__doc__ or "")
    rows = []
    for seed in (0,) if args.quick else (0, 1, 2):
        directory = args.out / f"quickstart-{seed}"
        if not (directory / "summary.json").exists():
            resume = ["--resume"] if (directory / "config.toml").exists() else []
            tooldojo("quickstart", "--seed", str(seed), "--dir", str(directory), *resume)
        summary = json.loads((directory / "summary.json").read_text())
        keys = ("base", "sft", "rl", "paired_rl_minus_sft", "apart", "seconds")
        rows.append({"seed": seed, **{key: summary[key] for key in keys}})
    low_rl = min(row["rl"]["ci95"][0] for row in rows)
    low_gain = min(row["paired_rl_minus_sft"]["ci95"][0] for row in rows)
    worst = {
        "rl_low": low_rl,
        "gain_low": low_gain,
        "seconds": max(sum(r["seconds"].values()) for r in rows),
    }
    finish(
        {"seeds": rows, "worst": worst, "ratio": min(low_rl / TARGET_RL, low_gain / TARGET_GAIN)}
    )


if __name__ == "__main__":
    main()
