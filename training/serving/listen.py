"""Listening on a port: found out before anything slow starts, and one clear line when it is taken.

Shared by every server of the command line.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.types import ASGIApp


class ListenError(RuntimeError):
    """A server cannot start; the message is one line that says why and what to do."""


@contextmanager
def listening(host: str, port: int) -> Iterator[socket.socket]:
    """A socket on an address; port 0 takes a free one.

    Raises:
        ListenError: when the address is in use or not this machine's.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as made:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            made.bind((host, port))
            made.listen(128)
        except (OSError, OverflowError) as error:
            why = "is in use" if _number(error) == errno.EADDRINUSE else f"cannot be used: {error}"
            raise ListenError(
                f"port {port} on {host} {why}; choose another with --port, 0 takes a free one"
            ) from None
        yield made


def _number(error: Exception) -> int | None:
    return error.errno if isinstance(error, OSError) else None


def run_app(app: ASGIApp, made: socket.socket) -> None:
    """Serve until Ctrl-C or a signal to end."""
    import uvicorn

    uvicorn.Server(uvicorn.Config(app, log_level="warning")).run(sockets=[made])


def address(made: socket.socket) -> str:
    """`http://host:port` of a socket."""
    host, port = made.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
