"""A world as an MCP server: its tools, its task as the prompt `task`, and `submit_answer`.

Every session gets a task and a world of its own; the answer's score goes to the log, and to the
client only where asked. Refuses HTTP clients without a session, since state would be shared.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from tooldojo.envs.bridges.episode import Episode, EpisodeLog, EpisodeOver, refuse_user
from tooldojo.envs.bridges.extras import require
from tooldojo.envs.source import GeneratedTasks
from tooldojo.envs.tools import ToolSpec
from tooldojo.verifiers.records import CallOutcome

if TYPE_CHECKING:
    from mcp.server import Server

SUBMIT = "submit_answer"
SESSION = "mcp-session-id"
_KEPT = 1024  # sessions; the oldest is forgotten first


class McpSessions:
    """What one MCP server plays: a source of tasks in one world, an episode per session."""

    def __init__(self, tasks: GeneratedTasks, log: EpisodeLog, show_score: bool = False) -> None:
        """Raises ValueError for more than one world, or one that has a user or a tool
        `submit_answer`.
        """
        if len(tasks.classes) != 1:
            raise ValueError("an MCP server serves one world; start one server for each")
        self.world = tasks.classes[0]
        refuse_user(self.world, "MCP")
        if SUBMIT in self.world.tool_specs():
            raise ValueError(f"{self.world.env_id} has a tool {SUBMIT!r} of its own; rename it")
        self.tasks, self.log, self.show_score = tasks, log, show_score
        self._episodes: dict[str, Episode] = {}

    def episode(self, session: str) -> Episode:
        """The episode of a session; a new session gets the next task."""
        if session not in self._episodes:
            while len(self._episodes) >= _KEPT:
                del self._episodes[next(iter(self._episodes))]
            self._episodes[session] = Episode(self.tasks.next().task, self.log)
        return self._episodes[session]

    async def call(self, session: str, name: str, arguments: dict[str, Any]) -> tuple[str, bool]:
        """The text of a result, and whether it is an error."""
        episode = self.episode(session)
        try:
            if name == SUBMIT:
                score = await episode.answer(str(arguments.get("message", "")))
                return (f"score {score.value:g}" if self.show_score else "received"), False
            done = await episode.call(name, arguments)
        except EpisodeOver as error:
            return str(error), True
        return done.result, done.outcome is not CallOutcome.OK


def mcp_server(sessions: McpSessions) -> Server:
    """The server of a world, for any transport.

    Raises:
        ExtraMissing: without the package `mcp`.
    """
    require("mcp", "mcp")
    import mcp_types as types
    from mcp.server import Server

    async def list_tools(_: Any, __: Any) -> types.ListToolsResult:
        own = [_tool(types, spec) for spec in sessions.world.tool_specs().values()]
        return types.ListToolsResult(tools=[*own, _submit(types)])

    async def call_tool(ctx: Any, params: types.CallToolRequestParams) -> types.CallToolResult:
        text, failed = await sessions.call(_session(ctx), params.name, dict(params.arguments or {}))
        return types.CallToolResult(
            content=[types.TextContent(type="text", text=text)], is_error=failed
        )

    async def list_prompts(_: Any, __: Any) -> types.ListPromptsResult:
        about = "What is to be done in this session."
        return types.ListPromptsResult(prompts=[types.Prompt(name="task", description=about)])

    async def get_prompt(ctx: Any, params: types.GetPromptRequestParams) -> types.GetPromptResult:
        if params.name != "task":
            raise _refusal(f"no prompt {params.name!r}; there is 'task'")
        prompt = sessions.episode(_session(ctx)).world.task.prompt
        content = types.TextContent(type="text", text=prompt)
        return types.GetPromptResult(messages=[types.PromptMessage(role="user", content=content)])

    return Server(
        sessions.world.env_id,
        instructions=f"{sessions.world.system_prompt}\nThe prompt `task` says what to do. "
        f"Give your final message to the tool `{SUBMIT}`, once.",
        on_list_tools=list_tools,
        on_call_tool=call_tool,
        on_list_prompts=list_prompts,
        on_get_prompt=get_prompt,
    )


def serve_stdio(sessions: McpSessions) -> None:
    """Serve one session over standard input and output, until the client closes it."""
    server = mcp_server(sessions)
    from mcp.server.stdio import stdio_server

    async def run() -> None:
        async with stdio_server() as (read, write):
            await server.run(read, write, server.create_initialization_options())

    asyncio.run(run())


def _tool(types: Any, spec: ToolSpec) -> Any:
    hints = types.ToolAnnotations(
        read_only_hint=not spec.mutates, idempotent_hint=spec.idempotent or not spec.mutates
    )
    return types.Tool(
        name=spec.name,
        description=spec.description,
        input_schema=spec.parameters,
        annotations=hints,
    )


def _submit(types: Any) -> Any:
    message = {"type": "string", "description": "The whole final message."}
    schema = {"type": "object", "properties": {"message": message}, "required": ["message"]}
    about = "End the task with your final message. No call is possible afterwards."
    return types.Tool(name=SUBMIT, description=about, input_schema=schema)


def _session(ctx: Any) -> str:
    """The session of a request: that of the HTTP transport, or the only one of a pipe."""
    if ctx.request is None:
        return "stdio"
    session = ctx.request.headers.get(SESSION)
    if session is None:
        raise _refusal(
            "this world keeps state for each session; connect with the initialize handshake "
            "(mode='legacy' of the Python client)"
        )
    return session


def _refusal(message: str) -> Exception:
    from mcp.shared.exceptions import MCPError

    return MCPError(-32600, message)
