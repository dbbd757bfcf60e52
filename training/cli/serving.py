"""The commands that listen: `serve` for a policy."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tooldojo.training.cli.boundary import JsonFlag, Output, Trace
from tooldojo.training.cli.recipes import Keys, RecipeArgument, resolve

Host = Annotated[str, typer.Option(help="Where to listen; only this machine by default.")]
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
    from tooldojo.training.serving.listen import address, listening, require, run_app

    output: Output = ctx.obj
    require(["starlette", "uvicorn"], "serve")
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
