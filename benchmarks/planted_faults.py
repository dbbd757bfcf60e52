"""Faults planted in sound worlds: which of them the gates catch, and why the others survive.

Two sets: the second was written when the gates were frozen, and they have not been changed for it.
The sound worlds go through the same gates, which must find nothing there.

python benchmarks/planted_faults.py [--quick] [--set first|second]

Quick: in two worlds instead of all.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from common import arguments, finish
from planted import first_set, second_set
from planted.planting import Fault, Verdict, look_for

from tooldojo.envs.registry import NATIVE, world_class

WORLDS = {"quick": ("tooldojo/Office-v0", "tooldojo/Home-v0"), "full": tuple(NATIVE)}
TRAJECTORIES = 2000  # of an audit
TASKS = 12  # of a check
SETS = {"first": first_set.FAULTS, "second": second_set.FAULTS}
SOUND = (Fault("none", lambda base: {}), second_set.unchanged())


def main() -> None:
    """Plant every fault in every world."""
    args = arguments(
        __doc__ or "", lambda parser: parser.add_argument("--set", choices=SETS, help="only one")
    )
    size = "quick" if args.quick else "full"
    figures: dict[str, object] = {"worlds": len(WORLDS[size])}
    alarms = [look(env_id, sound) for sound in SOUND for env_id in WORLDS[size]]
    figures["false_alarms"] = sum(bool(each.caught_by) for each in alarms)
    for name, faults in SETS.items() if args.set is None else [(args.set, SETS[args.set])]:
        print(f"{name} set: {len(faults)} kinds", flush=True)
        verdicts = [report(fault, size) for fault in faults]
        figures[name] = summary(verdicts)
    finish(figures)


def look(env_id: str, fault: Fault) -> Verdict:
    """One fault in one world."""
    return look_for(world_class(env_id), fault, TRAJECTORIES, TASKS)


def report(fault: Fault, size: str) -> list[Verdict]:
    """One fault in all worlds, with a line that says what became of it."""
    began = time.perf_counter()
    found = [look(env_id, fault) for env_id in WORLDS[size]]
    caught = [each for each in found if each.caught_by]
    idle = sum(each.equivalent for each in found)
    by = ", ".join(dict.fromkeys(each.caught_by[:40] for each in caught)) or "nothing"
    seconds = time.perf_counter() - began
    missed = len(found) - len(caught) - idle
    line = f"  {fault.kind}: {len(caught)} of {len(found)} caught by {by}"
    line += f"; without effect in {idle}" if idle else ""
    line += f"; MISSED in {missed} ({fault.why or 'unexplained'})" if missed else ""
    print(f"{line}; {seconds:.1f} s", flush=True)
    return found


def summary(verdicts: Sequence[Sequence[Verdict]]) -> dict[str, object]:
    """Counts of (fault, world) pairs, and the kinds that survived somewhere."""
    every = [each for kind in verdicts for each in kind]
    survivors = [each for each in every if not each.caught_by and not each.equivalent]
    return {
        "kinds": len(verdicts),
        "kinds_caught": sum(any(each.caught_by for each in kind) for kind in verdicts),
        "planted": len(every),
        "caught": sum(bool(each.caught_by) for each in every),
        "without_effect": sum(each.equivalent for each in every),
        "survivors": {
            f"{each.kind} in {each.world}": each.why or "unexplained" for each in survivors
        },
    }


if __name__ == "__main__":
    main()
