"""Messages between client, server and children: a length, then JSON; a descriptor may ride along.

Invariant: nothing that a child sends is trusted; a message that is too long or no JSON object ends
its connection. Standard library only, because the fork server loads it without the package.
"""

from __future__ import annotations

import array
import json
import socket
import struct
from typing import Any

_HEAD = struct.Struct("=I")
_LONGEST_CODE = 4 << 20  # bytes that a child accepts


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


def receive(sock: socket.socket, longest: int = _LONGEST_CODE) -> tuple[dict[str, Any], int | None]:
    """One message, and the descriptor that came with it.

    Raises:
        Broken: for anything else.
    """
    try:
        head, ancillary, _, _ = sock.recvmsg(_HEAD.size, socket.CMSG_SPACE(4))
    except ConnectionError as error:
        raise Broken(str(error)) from None
    fd = None
    for level, kind, data in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS and len(data) >= 4:
            fd = array.array("i", data[:4])[0]
    return message_of(head + _exactly(sock, _HEAD.size - len(head)), sock, longest), fd


def message_of(head: bytes, sock: socket.socket, longest: int) -> dict[str, Any]:
    """The message whose length is `head`."""
    (size,) = _HEAD.unpack(head)
    if size > longest:
        raise Broken(f"a message of {size} bytes, more than {longest}")
    try:
        message = json.loads(_exactly(sock, size))
    except (ValueError, RecursionError):
        raise Broken("no JSON") from None
    if not isinstance(message, dict):
        raise Broken("no JSON object")
    return message


def _exactly(sock: socket.socket, size: int) -> bytes:
    parts = []
    while size:
        try:
            part = sock.recv(min(size, 1 << 16))
        except ConnectionError as error:
            raise Broken(str(error)) from None
        if not part:
            raise Broken("closed")
        parts.append(part)
        size -= len(part)
    return b"".join(parts)
