"""`McpToolWorld`: the tools of any MCP server in a world of ours, and `McpLink`, the connection.

Owns a session per played task, on an event loop of its own, so that worlds may step from any loop
or none. The server's state is its own: such a world is declared neither replayable nor
deterministic nor snapshotable, and going back to another place than the start is refused. A result
that the server marks as an error is an error that the model sees; a lost server is a crash.
"""

from __future__ import annotations

import asyncio
import os
import threading
import weakref
from collections.abc import Coroutine
from concurrent.futures import Future
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

import pydantic

from tooldojo.envs.bridges.extras import require
from tooldojo.envs.snapshot import Capabilities, Snapshot
from tooldojo.envs.tools import ToolError, ToolSpec
from tooldojo.envs.world import World
from tooldojo.verifiers.combine import Verifier, all_of
from tooldojo.verifiers.criteria import answer
from tooldojo.verifiers.records import Json

if TYPE_CHECKING:
    from mcp import Client

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class McpAddress:
    """Where a server is: a command to start it (stdio), or the URL of a running one (HTTP).

    variables: names of environment variables that a started server gets besides PATH and the like.
    deadline: seconds for connecting, and for each call.
    """

    command: tuple[str, ...] = ()
    url: str = ""
    variables: tuple[str, ...] = ()
    deadline: float = 60.0

    def __post_init__(self) -> None:
        if bool(self.command) == bool(self.url):
            raise ValueError("an MCP server is given by a command or by a url, one of the two")


class McpLink:
    """One session with a server; opened by the first call."""

    def __init__(self, address: McpAddress) -> None:
        """Raises ExtraMissing without the package `mcp`."""
        require("mcp", "mcp")
        self.address = address
        self._jobs: asyncio.Queue[tuple[Coroutine[Any, Any, Any], Future[Any]] | None] | None = None
        self._client: Client | None = None

    def tools(self) -> list[dict[str, Any]]:
        """The tools as the server lists them: name, description, input_schema and hints."""
        return self._run(self._list()).result(self.address.deadline)

    async def call(self, name: str, arguments: dict[str, Json]) -> str:
        """The text of a result.

        Raises:
            ToolError: where the server marks the result as an error.
        """
        result = await asyncio.wrap_future(self._run(self._call(name, arguments)))
        text = "\n".join(part.text for part in result.content if part.type == "text")
        if result.is_error:
            raise ToolError(text or "the tool failed")
        return text

    def close(self) -> None:
        """End the session; a later call opens a new one."""
        if self._jobs is not None:
            _loop().call_soon_threadsafe(self._jobs.put_nowait, None)
            self._jobs = None

    def _run(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        """Queue work for the task that holds the session: it must be left where it was entered."""
        done: Future[T] = Future()
        if self._jobs is None:
            self._jobs = asyncio.Queue()
            asyncio.run_coroutine_threadsafe(self._hold(self._jobs), _loop())
        _loop().call_soon_threadsafe(self._jobs.put_nowait, (work, done))
        return done

    async def _hold(self, jobs: asyncio.Queue[Any]) -> None:
        """Serve jobs until None comes; what goes wrong with the session goes to its callers."""
        async with AsyncExitStack() as stack:
            client: Client | None = None
            while (job := await jobs.get()) is not None:
                work, done = job
                try:
                    if client is None:
                        async with asyncio.timeout(self.address.deadline):
                            client = await stack.enter_async_context(self._connection())
                        self._client = client
                    async with asyncio.timeout(self.address.deadline):
                        done.set_result(await work)
                except BaseException as error:
                    work.close()
                    done.set_exception(error)
                    if not isinstance(error, Exception):
                        raise

    def _connection(self) -> Client:
        from mcp import Client, StdioServerParameters

        server: Any = self.address.url
        if self.address.command:
            command, *args = self.address.command
            given = {name: os.environ[name] for name in self.address.variables}
            server = StdioServerParameters(command=command, args=args, env=given)
        return Client(server, mode="legacy", cache=None)  # the handshake that has sessions

    async def _list(self) -> list[dict[str, Any]]:
        assert self._client is not None
        return [tool.model_dump() for tool in (await self._client.list_tools()).tools]

    async def _call(self, name: str, arguments: dict[str, Json]) -> Any:
        assert self._client is not None
        return await self._client.call_tool(name, arguments)


@dataclass(frozen=True, slots=True)
class McpSpec(ToolSpec):
    """A spec whose schema came from a server; arguments are checked against it here."""

    schema_in: dict[str, Any]

    def validate(self, arguments: dict[str, Json]) -> dict[str, Any]:
        """The arguments as they are.

        Raises:
            ToolError: naming the first argument that the schema does not allow.
        """
        from jsonschema.validators import validator_for

        checker = validator_for(self.schema_in)(self.schema_in)
        errors = sorted(checker.iter_errors(arguments), key=lambda each: list(map(str, each.path)))
        if errors:
            where = ".".join(map(str, errors[0].path)) or "arguments"
            raise ToolError(f"{where}: {errors[0].message}")
        return dict(arguments)


class McpToolWorld(World):
    """Base of worlds whose tools are those of an MCP server. Authors set `server`, `hidden` and
    `draft`, and a verifier on answer and calls: the server's state is not ours to see.

    A tool without a read-only hint counts as one that writes.
    """

    server: ClassVar[McpAddress]
    hidden: ClassVar[frozenset[str]] = frozenset()  # tools that the model does not get
    capabilities: ClassVar[Capabilities] = Capabilities(
        snapshot=False, deterministic=False, replayable=False
    )
    verifier: ClassVar[Verifier] = all_of(answer=answer)

    @classmethod
    @cache
    def tool_specs(cls) -> dict[str, ToolSpec]:
        """The server's tools by name, asked for once."""
        link = McpLink(cls.server)
        try:
            found = [tool for tool in link.tools() if tool["name"] not in cls.hidden]
        finally:
            link.close()
        return {tool["name"]: _spec(tool) for tool in found}

    async def perform(self, spec: ToolSpec, arguments: dict[str, Any]) -> object:
        """Ask the server."""
        return await self.link.call(spec.name, arguments)

    def restore(self, snapshot: Snapshot) -> None:
        """Start anew, with a session of its own.

        Raises:
            ValueError: for a place after the start, where no server can be brought back to.
        """
        if snapshot.turn:
            raise ValueError(f"{self.env_id} is not snapshotable: its state is in an MCP server")
        super().restore(snapshot)
        self.close()
        self.link = McpLink(self.server)
        self._end = weakref.finalize(self, self.link.close)

    def close(self) -> None:
        """End the session with the server."""
        if "link" in vars(self):
            self._end()


def _spec(tool: dict[str, Any]) -> McpSpec:
    schema = tool["input_schema"]
    short = {key: schema[key] for key in ("required", "$defs") if key in schema}
    hints = tool["annotations"] or {}
    return McpSpec(
        tool["name"],
        " ".join((tool["description"] or tool["name"]).split()),
        not hints.get("read_only_hint"),
        bool(hints.get("idempotent_hint")),
        {"type": "object", "properties": schema.get("properties", {})} | short,
        True,
        pydantic.BaseModel,
        schema,
    )


@cache
def _loop() -> asyncio.AbstractEventLoop:
    """The event loop that all sessions live on, in a thread that ends with the process."""
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, name="mcp", daemon=True).start()
    return loop
