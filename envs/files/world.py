"""The files world: its policy and its nine tools.

State: `files` by path, each with lines and a mode, and `packed` folders. It is plain data; commands
run on a copy in the sandbox, and what they write is read back.
"""

from __future__ import annotations

from random import Random
from typing import Any, ClassVar, Literal

from tooldojo.envs.draft import Draft
from tooldojo.envs.files import shell
from tooldojo.envs.files.tasks import UNSEEN_COMBOS, UNSEEN_WORDINGS, draft
from tooldojo.envs.registry import register
from tooldojo.envs.tools import ToolError, tool
from tooldojo.envs.world import World
from tooldojo.verifiers.combine import Verifier, state_answer_and_look

LONGEST = 60  # characters of a line
MOST_LINES = 20

_SYSTEM = """You keep text files with tools. A path is folder/file; a line is a word and its \
number. Rules:
1. Refuse to change or move what stands in a vault folder; what no tool can do is unsupported. \
If any part is so, also in a branch not taken, all is: call nothing.
2. Locked files are not changed; open one only where the request says so.
3. Repeat a call that timed out.
Close with one line: Result: <code> <path or folder>. The first code that applies: moved, packed, \
changed (text), locked, opened, stopped (by a lock), kept <number read>, unknown, none, refused, \
unsupported; of two files the one moved or changed last. Where a fact is asked, the code is its \
value, whatever was done; a path is the file's at the start. Named first counts where nothing was \
done."""


@register("tooldojo/Files-v0")
class Files(World):
    """A file tree: list, read, search, edit, move, lock, pack, run a command, or decline."""

    system_prompt: ClassVar[str] = _SYSTEM
    levels: ClassVar[tuple[int, ...]] = (1, 2, 3)
    slow_tools: ClassVar[bool] = True
    verifier: ClassVar[Verifier] = state_answer_and_look("refused", "unsupported")
    unseen_combos: ClassVar[frozenset[tuple[str, str]]] = UNSEEN_COMBOS
    unseen_wordings: ClassVar[frozenset[int]] = UNSEEN_WORDINGS

    @classmethod
    def draft(cls, rng: Random, level: int) -> Draft:
        """One random task of a level."""
        return draft(rng, level)

    @tool(mutates=False)
    def list_folder(self, folder: str) -> str:
        """Files of a folder."""
        inside = self._inside(folder)
        return "; ".join(
            f"{path.rpartition('/')[2]}: {len(about['lines'])} lines, {about['mode']}"
            for path, about in inside.items()
        )

    @tool(mutates=False)
    def show_file(self, path: str) -> str:
        """Lines of a file."""
        return "; ".join(self._file(path)["lines"]) or "empty"

    @tool(mutates=False)
    def search_word(self, folder: str, word: str) -> str:
        """Lines with a word, by file."""
        found = [
            f"{path.rpartition('/')[2]}: {line}"
            for path, about in self._inside(folder).items()
            for line in about["lines"]
            if word in line.split()
        ]
        return "; ".join(found) or "no line"

    @tool(mutates=True)
    def move_file(self, path: str, folder: str) -> str:
        """Move to a folder."""
        about = self._open(path)
        if not folder.isalnum():
            raise ToolError(f"no folder {folder}; a folder's name has letters and digits alone")
        new = f"{folder}/{path.rpartition('/')[2]}"
        if new in self.state["files"]:
            raise ToolError(f"{new} is there already")
        del self.state["files"][path]
        self.state["files"][new] = about
        return f"moved to {new}"

    @tool(mutates=True)
    def add_line(self, path: str, line: str) -> str:
        """Add a line at the end."""
        about = self._open(path)
        _check_line(line)
        if len(about["lines"]) >= MOST_LINES:
            raise ToolError(f"{path} has {MOST_LINES} lines, and no more fit")
        about["lines"].append(line)
        return f"changed {path}"

    @tool(mutates=True)
    def replace_line(self, path: str, old: str, new: str) -> str:
        """Write a line over another."""
        lines = self._open(path)["lines"]
        _check_line(new)
        if old not in lines:
            raise ToolError(f"{path} has no line {old}")
        lines[lines.index(old)] = new
        return f"changed {path}"

    @tool(mutates=True)
    def set_mode(self, path: str, mode: Literal["open", "locked"]) -> str:
        """Open or lock a file."""
        about = self._file(path)
        if about["mode"] == mode:
            raise ToolError(f"{path} is {mode} already")
        about["mode"] = mode
        return f"{path} is {mode}"

    @tool(mutates=True)
    def pack_folder(self, folder: str) -> str:
        """Pack all files of a folder."""
        inside = self._inside(folder)
        for path in inside:
            self._open(path)
        for path in inside:
            del self.state["files"][path]
        packed = self.state["packed"].setdefault(folder, {})
        packed |= {path.rpartition("/")[2]: about["lines"] for path, about in inside.items()}
        return f"packed {folder}"

    @tool(mutates=True)
    def run_command(self, command: str) -> str:
        """Shell for cat cut echo grep head sort tail tr uniq wc with | && > >>."""
        texts = {path: _text(about["lines"]) for path, about in self.state["files"].items()}
        ran = shell.run_command(command, texts)
        for path, text in ran.written.items():
            if text != texts.get(path):
                self._write(path, text)
        return ran.output or "ok"

    def _write(self, path: str, text: str) -> None:
        lines = text.removesuffix("\n").split("\n") if text else []
        for line in lines:
            _check_line(line)
        if len(lines) > MOST_LINES:
            raise ToolError(f"{path} has room for {MOST_LINES} lines, not for {len(lines)}")
        about = self._open(path) if path in self.state["files"] else {"mode": "open"}
        self.state["files"][path] = {**about, "lines": lines}

    def _inside(self, folder: str) -> dict[str, dict[str, Any]]:
        found = {
            path: about
            for path, about in sorted(self.state["files"].items())
            if path.rpartition("/")[0] == folder
        }
        if not found:
            raise ToolError(f"no folder {folder}")
        return found

    def _file(self, path: str) -> dict[str, Any]:
        if path not in self.state["files"]:
            raise ToolError(f"no file {path}")
        return self.state["files"][path]

    def _open(self, path: str) -> dict[str, Any]:
        about = self._file(path)
        if about["mode"] == "locked":
            raise ToolError(f"{path} is locked")
        return about


def _text(lines: list[str]) -> str:
    return "".join(f"{line}\n" for line in lines)


def _check_line(line: str) -> None:
    if not line.strip() or len(line) > LONGEST or not line.isprintable() or ";" in line:
        raise ToolError(f"a line has 1 to {LONGEST} characters, on one line, without ;")
