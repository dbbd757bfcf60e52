"""Messages between client, server and children: a length, then JSON; a descriptor may ride along.

Invariant: nothing that a child sends is trusted; a message that is too long or no JSON object ends
its connection. Standard library only, because the fork server loads it without the package.
"""

from __future__ import annotations

import array
import json
import os
import socket
import struct
import time
from typing import Any

_HEAD = struct.Struct("=I")
_LONGEST_CODE = 4 << 20  # bytes that a child accepts
_FIRST = 1 << 16  # bytes asked for at once
_LEAST_WAIT = 0.001  # seconds; 0 would mean not to wait at all


class Broken(ConnectionError):
    """The other side closed the connection, or sent what is no message."""


def send(sock: socket.socket, message: dict[str, Any], fd: int | None = None) -> None:
    """Send one message, and a descriptor with it."""
    payload = json.dumps(message).encode()
    data = _HEAD.pack(len(payload)) + payload
    if fd is None:
        sock.sendall(data)
        return
    rights = array.array("i", [fd]).tobytes()
    sent = sock.sendmsg([data], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)])
    if sent < len(data):
        sock.sendall(data[sent:])


def receive(
    sock: socket.socket, longest: int = _LONGEST_CODE, seconds: float | None = None
) -> tuple[dict[str, Any], int | None]:
    """One message, and the descriptor that came with it. On a stream nothing may follow it unasked;
    sequenced packets may queue. seconds: within which all of it must come; None for any time.

    Raises:
        Broken: for anything else.
    """
    until = None if seconds is None else time.monotonic() + seconds
    data, ancillary = part(sock, _FIRST, until)
    fds = array.array("i")
    for level, kind, rights in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            fds.frombytes(rights[: len(rights) // 4 * 4])
    for fd in fds[1:]:
        os.close(fd)
    return message_of(data, sock, longest, until), fds[0] if fds else None


def message_of(
    data: bytes, sock: socket.socket, longest: int, until: float | None = None
) -> dict[str, Any]:
    """The message that starts with `data`; what is missing of it is read, see `part`."""
    while len(data) < _HEAD.size:
        data += part(sock, _HEAD.size - len(data), until)[0]
    (size,) = _HEAD.unpack_from(data)
    if size > longest:
        raise Broken(f"a message of {size} bytes, more than {longest}")
    parts, left = [data[_HEAD.size :]], size + _HEAD.size - len(data)
    while left > 0:
        parts.append(part(sock, left, until)[0])
        left -= len(parts[-1])
    try:
        message = json.loads(b"".join(parts))
    except (ValueError, RecursionError):
        raise Broken("no JSON") from None
    if not isinstance(message, dict):
        raise Broken("no JSON object")
    return message


def part(
    sock: socket.socket, size: int, until: float | None = None
) -> tuple[bytes, list[tuple[int, int, bytes]]]:
    """Some bytes and what the kernel sent along. until: by the monotonic clock; None for any time,
    as in a child, whose filter allows no change of its socket.

    Raises:
        Broken: where none come.
    """
    before = sock.gettimeout()
    if until is not None:
        sock.settimeout(max(_LEAST_WAIT, until - time.monotonic()))
    try:
        data, ancillary, _, _ = sock.recvmsg(size, socket.CMSG_SPACE(12))
    except (ConnectionError, TimeoutError) as error:
        raise Broken(str(error)) from None
    finally:
        if until is not None:
            sock.settimeout(before)
    if not data:
        raise Broken("closed")
    return data, ancillary
