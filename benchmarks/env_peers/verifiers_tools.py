"""The task as a taskset of verifiers 0.4, its tools as a toolset that all rollouts share.

verifiers loads it by the id `verifiers_tools` and starts its tool server as `python -m` of it, so
it stands on the path by itself.
"""

# pyright: reportMissingImports=false
# ruff: noqa: TID251 (the other project's package is meant)
from __future__ import annotations

from collections.abc import Iterator

import verifiers.v1 as vf
from pydantic import Field

from env_peers.shop import PROMPT, SYSTEM, Orders, fresh, get_order, reward, set_status

__all__ = ["ShopTaskset"]


class ShopState(vf.State):
    """Orders of one rollout; the server pulls and pushes them around each call."""

    orders: Orders = Field(default_factory=dict)


class ShopToolset(vf.Toolset[vf.SharedToolsetConfig, ShopState]):
    """The two tools."""

    TOOL_PREFIX = None

    @vf.tool
    def get_order(self, order: str) -> str:
        """Look at an order."""
        return get_order(self.state.orders, order)

    @vf.tool
    def set_status(self, order: str, status: str) -> str:
        """Change an order."""
        return set_status(self.state.orders, order, status)


class ShopData(vf.TaskData):
    """records: how many orders there are."""

    records: int


class ShopTask(vf.Task[ShopData, ShopState, vf.TaskConfig]):
    """One episode."""

    async def setup(self, trace: vf.Trace, runtime: vf.Runtime) -> None:
        """Orders of its own for a rollout."""
        trace.state.orders = fresh(self.data.records)

    @vf.reward
    async def solved(self, trace: vf.Trace) -> float:
        """Final state and closing line."""
        return reward(trace.state.orders, trace.last_reply, self.data.records)


class ShopTasksetConfig(vf.TasksetConfig):
    """records: how many orders there are."""

    records: int = 20


class ShopTaskset(vf.Taskset[ShopTask, ShopTasksetConfig]):
    """The one task."""

    @classmethod
    def toolsets(cls, config: ShopTasksetConfig) -> list[vf.Toolset]:
        """One server for all rollouts."""
        return [ShopToolset(vf.SharedToolsetConfig())]

    def load(self) -> Iterator[ShopTask]:
        """The one task."""
        data = ShopData(prompt=PROMPT, system_prompt=SYSTEM, records=self.config.records)
        yield ShopTask(data, self.config.task)


if __name__ == "__main__":
    ShopToolset.run()
