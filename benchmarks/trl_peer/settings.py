"""The peer's configuration: read from `settings.toml`, varied by the points of its sweep."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

SETTINGS = Path(__file__).parent / "settings.toml"
ENGINES = ("vllm", "transformers")


@dataclass(frozen=True, slots=True)
class PeerSettings:
    """How TRL trains. grpo: fields of `trl.GRPOConfig`, verbatim; see settings.toml for the rest.

    Raises:
        ValueError: for an unknown engine, or micro-batches that do not fill a step.
    """

    engine: str
    dtype: str
    groups: int
    group_size: int
    micro_batch: int
    grpo: dict[str, Any] = field(default_factory=dict)
    name: str = "settings"

    def __post_init__(self) -> None:
        if self.engine not in ENGINES:
            raise ValueError(f"engine {self.engine!r} is unknown; there are {', '.join(ENGINES)}")
        if self.trajectories % self.micro_batch:
            raise ValueError(
                f"{self.name}: {self.trajectories} trajectories a step do not divide into "
                f"micro-batches of {self.micro_batch}; change micro_batch"
            )

    @property
    def trajectories(self) -> int:
        """Of one step."""
        return self.groups * self.group_size

    def varied(self, **changes: Any) -> PeerSettings:
        """These settings with some fields changed; `grpo` is merged, micro-batches never outgrow a
        step.
        """
        grpo = {**self.grpo, **changes.pop("grpo", {})}
        groups = changes.get("groups", self.groups)
        trajectories = groups * changes.get("group_size", self.group_size)
        micro = min(changes.pop("micro_batch", self.micro_batch), trajectories)
        return replace(self, **changes, grpo=grpo, micro_batch=micro)

    def to_json(self) -> dict[str, Any]:
        """Plain data, for the record of a run."""
        return asdict(self)


def load_settings(path: Path = SETTINGS) -> tuple[PeerSettings, list[PeerSettings]]:
    """The settings and the points of their sweep."""
    data: Mapping[str, Any] = tomllib.loads(path.read_text())
    settings = PeerSettings(**data["settings"])
    return settings, [settings.varied(**point) for point in data["sweep"]]
