"""How a reply goes wrong on its way: it stays out, breaks off, or arrives byte by byte."""

from __future__ import annotations

import socket
import struct
import threading
from io import BufferedIOBase

from otpverify.sandbox.replies import Reply

_SECONDS_A_BYTE = 0.02
# Together 30 seconds: longer than a client's default `Retry.total_seconds`.
_DRIPPED_BYTES = 1500
# The kernel then forgets what was not sent, and resets.
_NO_LINGER = struct.pack("ii", 1, 0)


def misbehave(
    manner: str,
    reply: Reply,
    connection: socket.socket,
    wfile: BufferedIOBase,
    stopping: threading.Event,
    stall_seconds: float,
) -> None:
    """Do with a reply what a fault says. The connection is of no use afterwards.

    Args:
        manner: `"stalled"`, `"dropped"`, `"reset"`, `"slow headers"` or `"slow body"`.
        reply: What would have been replied.
        connection: The client's.
        wfile: Writes to it.
        stopping: Set when the sandbox stops.
        stall_seconds: How long a stalled reply stays out.
    """
    if manner == "stalled":
        stopping.wait(stall_seconds)
    elif manner == "reset":
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
        socket.close(connection.detach())
    elif manner in ("slow headers", "slow body"):
        slow_body = manner == "slow body"
        body = b" " * _DRIPPED_BYTES + reply.body if slow_body else reply.body
        padding = "" if slow_body else f"X-Padding: {'x' * _DRIPPED_BYTES}\r\n"
        head = (
            f"HTTP/1.1 {reply.status} OK\r\n{padding}Content-Type: {reply.content_type}\r\n"
            f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        ).encode()
        whole = head + body
        at_once = len(head) if slow_body else 0
        wfile.write(whole[:at_once])
        for place in range(at_once, len(whole)):
            wfile.write(whole[place : place + 1])
            wfile.flush()
            if stopping.wait(_SECONDS_A_BYTE):
                return
