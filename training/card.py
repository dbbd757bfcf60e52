"""The adapter's card, `tooldojo.json`: what the adapter was trained to read and write, and on which
base model.

Invariant: an adapter that meets another template, system prompt, call format, stop id or base model
is refused.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from tooldojo.envs.registry import world_class
from tooldojo.rollouts.chat import Chat
from tooldojo.training.runs.atomic import file_digest

CARD = "tooldojo.json"
WEIGHTS = ("*.safetensors", "*.bin")


class PolicyError(RuntimeError):
    """A policy cannot be loaded; the message is one line that says why and what to do."""


@dataclass(frozen=True, slots=True)
class Conventions:
    """How tasks are put before a policy.

    template_hash: of the chat template. system_prompts: hashes of the system prompts in use (an
    adapter's card lists all that it was trained with). stop_ids: the token ids that end a turn.
    """

    template_hash: str
    system_prompts: tuple[str, ...]
    call_format: str
    stop_ids: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class AdapterCard:
    """Conventions plus the base model: its name as given (`default`, directory or id) and its
    digest. role: `policy`, or `reward` for a model that scores."""

    conventions: Conventions
    base: str
    base_digest: str
    role: str = "policy"

    def write(self, folder: Path) -> None:
        """Save as `tooldojo.json` in an adapter's directory; also the way to adopt a foreign
        adapter."""
        (folder / CARD).write_text(json.dumps(asdict(self), indent=2) + "\n", encoding="utf-8")

    @classmethod
    def read(cls, folder: Path) -> AdapterCard:
        """The card of an adapter's directory.

        Raises:
            PolicyError: when there is none, or it is not one.
        """
        path = folder / CARD
        if not folder.is_dir():
            raise PolicyError(f"there is no adapter directory {folder}")
        if (folder / "config.json").exists() and not path.exists():
            raise PolicyError(
                f"{folder} is a whole model, not an adapter; give it as policy.model instead"
            )
        if not path.exists():
            raise PolicyError(
                f"{folder} has no {CARD}, so its template and stop ids are unknown; "
                "write one with AdapterCard.write to adopt the adapter"
            )
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
            given = data["conventions"]
            conventions = Conventions(
                given["template_hash"],
                tuple(given["system_prompts"]),
                given["call_format"],
                tuple(given["stop_ids"]),
            )
            role = data.get("role", "policy")
            return cls(conventions, data["base"], data["base_digest"], role)
        except (ValueError, KeyError, TypeError) as error:
            raise PolicyError(f"{path} is not an adapter card: {error!r}") from error

    def require(
        self, wanted: Conventions, base_digest: str, folder: Path, role: str = "policy"
    ) -> None:
        """Refuse an adapter of another role, or trained under other conventions or on another base
        model.

        Raises:
            PolicyError: naming the first field that differs, both values and the next step.
        """
        if self.role != role:
            raise PolicyError(
                f"adapter {folder} is a {self.role} model, and a {role} is wanted here; "
                f"give the adapter of a stage that trains one"
            )
        have = self.conventions
        checks = (
            ("base model digest", self.base_digest, base_digest, self.base_digest == base_digest),
            ("template hash", have.template_hash, wanted.template_hash, None),
            ("call format", have.call_format, wanted.call_format, None),
            ("stop ids", have.stop_ids, wanted.stop_ids, None),
            (
                "system prompts",
                have.system_prompts,
                wanted.system_prompts,
                set(wanted.system_prompts) <= set(have.system_prompts),
            ),
        )
        for what, card, asked, same in checks:
            if not (card == asked if same is None else same):
                raise PolicyError(
                    f"adapter {folder} was trained with {what} {card!r}, but this run has "
                    f"{asked!r}; use the adapter's settings, or train a new adapter"
                )


def system_prompt_hash(text: str) -> str:
    """16 hex digits of a world's system prompt."""
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def conventions_of(chat: Chat, worlds: Sequence[str]) -> Conventions:
    """How a chat puts the tasks of some worlds before a policy.

    A wrapped world counts as its base: to meet the same world under other names is what an adapter
    is tested for.
    """
    bases = [world_class(each).origin_id() for each in worlds]
    prompts = sorted({system_prompt_hash(world_class(each).system_prompt) for each in bases})
    return Conventions(chat.template_hash, tuple(prompts), chat.format.name, chat.stop_ids)


def base_digest(folder: Path) -> str:
    """32 hex digits over the base model's config and weight files (names and contents)."""
    files = sorted({path for pattern in WEIGHTS for path in folder.glob(pattern)})
    hasher = hashlib.blake2b(digest_size=16)
    for path in [folder / "config.json", *files]:
        hasher.update(f"{path.name}|{file_digest(path)}|".encode())
    return hasher.hexdigest()
