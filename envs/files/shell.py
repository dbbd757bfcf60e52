"""Commands on a tree of text files: checked word by word, then run by a shell in the sandbox.

Owns which commands there are. Only programs whose output depends on their input alone pass, and
only redirection writes; so a result is a function of command and files, and is cached.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import lru_cache

from tooldojo.envs.sandbox.namespaces import run_shell
from tooldojo.envs.sandbox.records import Limits, Outcome, SandboxLost
from tooldojo.envs.tools import ToolError
from tooldojo.verifiers.canonical import text_hash

LONGEST_COMMAND = 200  # characters
LONGEST_OUTPUT = 600
OPTIONS = {  # the letters that a program's options may have
    "cat": "n", "cut": "cdf", "echo": "n", "grep": "EFchilnovwx", "head": "cn", "sort": "bfknrtu",
    "tail": "cn", "tr": "cds", "uniq": "cdiu", "wc": "clmw",
}  # fmt: skip
_LIMITS = Limits(cpu_seconds=1, wall_seconds=60, scratch=1 << 20, output=64_000)
_PATH = re.compile(r"[A-Za-z0-9]+/[A-Za-z0-9]+\.[a-z]+")
_OUTSIDE = re.compile(r"^/.|(^|/)\.[.*]*/")  # where the machine shows, its clock among it
_KILLED = re.compile("CPU time limit exceeded|Killed|exit status (137|152)")
_TOKEN = re.compile(
    r"\s*(?:(?P<operator>\|\||&&|>>|[|&<>;()])"
    r"|(?P<word>(?:'[^']*'|\"[^\"$`\\]*\"|[\w./*,:=+@%^-])+))",
    re.ASCII,
)


@dataclass(frozen=True, slots=True)
class Ran:
    """What a command printed, and the files that it wrote, by path."""

    output: str
    written: Mapping[str, str]


def run_command(command: str, files: Mapping[str, str]) -> Ran:
    """Run a command among text files, by path; those that it writes come back, bounded in size.

    Raises:
        ToolError: for one that is not allowed, fails, takes too long or prints too much.
        SandboxLost: when the machine had no time for it; nothing that is allowed can wait.
        SandboxUnavailable: without bubblewrap.
    """
    return _run(command, tuple(_targets(command)), tuple(sorted(files.items())))


def _targets(command: str) -> list[str]:
    """Check a command, and return the files that it may write, each once."""
    if len(command) > LONGEST_COMMAND or not command.isprintable():
        raise ToolError(f"a command has at most {LONGEST_COMMAND} characters, on one line")
    targets: dict[str, None] = {}
    words: list[str] = []  # of the pipe at hand
    program, before, at = "", "&&", 0
    while command[at:].strip():
        found = _TOKEN.match(command, at)
        if found is None:
            raise ToolError(f"not allowed here: {command[at:].strip()[:20]}")
        at, word, operator = found.end(), found["word"], found["operator"]
        allowed = {"": ("|", "&&", ">", ">>"), "target": ("&&",)}.get(before, ())
        if operator not in allowed if operator else before == "target":
            raise ToolError(f"not allowed here: {operator or word}")
        if word and before in (">", ">>"):
            _check_target(word, words)
            targets[word] = None
        elif word and before:
            program, words = word, [*(words if before == "|" else ()), before]
            if program not in OPTIONS:
                raise ToolError(f"no program {program}; there are {', '.join(OPTIONS)}")
        elif word:
            words.append(_checked_word(program, word))
        before = operator or ("target" if before in (">", ">>") else "")
    if before not in ("", "target"):
        raise ToolError("the command is not complete")
    return list(targets)


def _check_target(path: str, words: Sequence[str]) -> None:
    if not _PATH.fullmatch(path):
        raise ToolError(f"written is a file, folder/name.txt for example, not {path}")
    if "|" in words and any(fnmatchcase(path, word) for word in words):  # whichever comes first
        raise ToolError(f"a pipe cannot write {path} while it reads it; write another file")


def _checked_word(program: str, word: str) -> str:
    (said,) = shlex.split(word) or [""]
    letters = set(filter(str.isalpha, said))
    option = len(said) > 1 and said[0] == "-"
    if option and (said.startswith("--") or not letters <= set(OPTIONS[program])):
        raise ToolError(f"{program} has no {said} here; its options are {OPTIONS[program]}")
    if program == "uniq" and not option:  # a second file is one that it writes
        raise ToolError(f"uniq reads a pipe here, not {said}")
    if _OUTSIDE.search(said):
        raise ToolError(f"a path is folder/file, not {said}")
    return said


@lru_cache(maxsize=4096)
def _run(command: str, targets: tuple[str, ...], files: tuple[tuple[str, str], ...]) -> Ran:
    mark = text_hash(repr((command, files)))  # no command can print what it does not know
    shown = "".join(f"printf '\\n{mark}\\n'; cat {path}; " for path in targets)
    # Programs of a pipe complain in any order, and a complaint of any of them is a failure.
    after = f"printf '\\n{mark}\\n'; sort .said; {shown}"
    done = run_shell(f"{{ {command}\n}} 2>.said; code=$?; {after}exit $code", dict(files), _LIMITS)
    if done.outcome is Outcome.IDLE:
        raise SandboxLost(f"sandbox: a command had no time to run: {command}")
    output, *parts = done.output.split(f"\n{mark}\n")
    said = parts[0].replace("sh: line 1: ", "").strip() if parts else ""
    if _KILLED.search(said + done.error):
        raise ToolError("the command takes too long, nothing is changed")
    if done.cut or len(output) > LONGEST_OUTPUT:
        raise ToolError(f"this prints or writes too much; {LONGEST_OUTPUT} characters are shown")
    if done.error or said or len(parts) != len(targets) + 1:
        lines = [*said.splitlines()[:2], output.strip(), done.error]
        raise ToolError(f"the command failed, nothing is changed: {'; '.join(filter(None, lines))}")
    if not output.replace("\n", "").isprintable():
        raise ToolError("this prints what is no text")
    return Ran(output.rstrip("\n"), dict(zip(targets, parts[1:], strict=True)))
