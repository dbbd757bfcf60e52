"""The commands that listen: `serve` for a policy, `mcp` and `openenv` for a world."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tooldojo.training.cli.boundary import InputError, JsonFlag, Output, Trace
from tooldojo.training.cli.playing import SplitOption
from tooldojo.training.cli.recipes import Keys, RecipeArgument, check_split, resolve

if TYPE_CHECKING:
    from starlette.types import ASGIApp

    from tooldojo.envs.source import GeneratedTasks

Host = Annotated[str, typer.Option(help="Where to listen; only this machine by default.")]
World = Annotated[str, typer.Argument(help="An id, module:Class or file.py:Class.")]
Level = Annotated[int | None, typer.Option(help="Level of the tasks; by default all.")]
Seed = Annotated[int, typer.Option(min=0, help="Which tasks.")]
EpisodeRecord = Annotated[
    Path | None, typer.Option(help="A file for ended episodes: task, evidence, score.")
]
Port = Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")]


def serve(
    ctx: typer.Context,
    recipe: RecipeArgument = None,
    keys: Keys = None,
    adapter: Annotated[
        Path | None, typer.Option(help="An adapter directory; without one, the model as it is.")
    ] = None,
    name: Annotated[str, typer.Option(help="What clients call the model.")] = "policy",
    host: Host = "127.0.0.1",
    port: Port = 8000,
    record: Annotated[
        Path | None, typer.Option(help="Keep everything asked and answered in this directory.")
    ] = None,
    any_system_prompt: Annotated[
        bool,
        typer.Option("--any-system-prompt", help="Also those the adapter was not trained with."),
    ] = False,
    json: JsonFlag = False,
    traceback: Trace = False,
) -> None:
    """Serve a policy with its adapter as an OpenAI-compatible endpoint with tool calls."""
    from tooldojo.envs.bridges.extras import require
    from tooldojo.training.serving.listen import address, listening, run_app

    output: Output = ctx.obj
    for package in ("starlette", "uvicorn"):
        require(package, "serve")
    resolved = resolve(recipe, keys)
    with listening(host, port) as made:
        from tooldojo.training.players import open_sampler
        from tooldojo.training.serving.app import build_app
        from tooldojo.training.serving.service import open_service

        with open_sampler(resolved, adapter) as opened:
            service = open_service(resolved, opened, name, record, any_system_prompt)
            url = f"{address(made)}/v1"
            output.console.print(f"serving [bold]{name}[/] at [bold]{url}[/]; Ctrl-C ends it")
            output.emit({"url": url, "model": name, "policy": opened.policy.name})
            run_app(build_app(service), made)


def mcp(
    ctx: typer.Context,
    world: World,
    transport: Annotated[str, typer.Option(help="stdio or http.")] = "stdio",
    split: SplitOption = "train",
    level: Level = None,
    seed: Seed = 0,
    host: Host = "127.0.0.1",
    port: Port = 8000,
    record: EpisodeRecord = None,
    show_score: Annotated[
        bool, typer.Option("--show-score", help="Tell the client what its answer was worth.")
    ] = False,
    json: JsonFlag = False,
    traceback: Trace = False,
) -> None:
    """Serve a world as an MCP server; every session gets a task of its own."""
    from tooldojo.envs.bridges.episode import EpisodeLog
    from tooldojo.envs.bridges.mcp_server import McpSessions, mcp_server, serve_stdio

    output: Output = ctx.obj
    if transport not in ("stdio", "http"):
        raise InputError(f"there is no transport {transport!r}; --transport takes stdio or http")
    played = McpSessions(_tasks(world, split, level, seed), EpisodeLog(record), show_score)
    if transport == "stdio":
        serve_stdio(played)
        return
    app = mcp_server(played).streamable_http_app(host=host)
    _serve_world(output, app, world, host, port, "/mcp")


def openenv(
    ctx: typer.Context,
    world: World,
    split: SplitOption = "train",
    level: Level = None,
    seed: Seed = 0,
    max_turns: Annotated[
        int | None, typer.Option(min=1, help="Turns of a task; by default the world's own.")
    ] = None,
    host: Host = "127.0.0.1",
    port: Port = 8000,
    record: EpisodeRecord = None,
    json: JsonFlag = False,
    traceback: Trace = False,
) -> None:
    """Serve a world as an OpenEnv server."""
    from tooldojo.envs.bridges.episode import EpisodeLog

    tasks = _tasks(world, split, level, seed)
    from tooldojo.training.bridges.openenv_world import openenv_app

    _serve_world(ctx.obj, openenv_app(tasks, EpisodeLog(record), max_turns), world, host, port)


def _serve_world(
    output: Output, app: ASGIApp, world: str, host: str, port: int, path: str = ""
) -> None:
    from tooldojo.training.serving.listen import address, listening, run_app

    with listening(host, port) as made:
        url = f"{address(made)}{path}"
        output.console.print(f"serving [bold]{world}[/] at [bold]{url}[/]; Ctrl-C ends it")
        output.emit({"url": url})
        run_app(app, made)


def _tasks(world: str, split: str, level: int | None, seed: int) -> GeneratedTasks:
    """Tasks of one world; the first is drawn now, so that what cannot be drawn is said at once."""
    from tooldojo.envs.source import GeneratedTasks
    from tooldojo.envs.task import Split

    check_split(split)
    tasks = GeneratedTasks([world], Split(split), seed, () if level is None else (level,))
    tasks.task(0)
    return tasks
