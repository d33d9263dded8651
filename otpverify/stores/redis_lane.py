"""A connection of its own for each thread, so that a call takes none out of the pool and back.

redis-py's pool and its command loop take longer over a call than the server does. What is kept of
them: how connections are made, time-outs, health checks, and retries. What is not: hooks of
others around `Redis.execute_command`, so where there are any, as a tracer's, no lane is used.
"""

from __future__ import annotations

import os
import threading
from contextlib import suppress
from functools import lru_cache
from types import FunctionType
from typing import Any

from redis import Redis
from redis.exceptions import ResponseError


@lru_cache(maxsize=16)
def is_plain(command: Any) -> bool:
    """Whether a client's `execute_command` is redis-py's own, and not wrapped by somebody who wants
    to see every command."""
    own = isinstance(command, FunctionType) and command.__module__.startswith("redis.")
    return own and not hasattr(command, "__wrapped__")


def packed(command: tuple[str | bytes | int, ...]) -> list[bytes]:
    """A command as the protocol writes it: an array of bulk strings. redis-py's own way takes three
    times as long, as long as the script itself."""
    parts = [b"*%d\r\n" % len(command)]
    for part in command:
        raw = part if isinstance(part, bytes) else str(part).encode()
        parts.append(b"$%d\r\n%b\r\n" % (len(raw), raw))
    return [b"".join(parts)]


class Lanes:
    """The lanes of one client, one a thread.

    Args:
        client: Made by `Redis.from_url`.
    """

    def __init__(self, client: Any) -> None:
        self._pool = client.connection_pool
        self._own = threading.local()

    @property
    def usable(self) -> bool:
        """Whether nobody wants to see every command go through the client."""
        return is_plain(Redis.execute_command)

    def execute_command(self, *command: str | bytes | int) -> object:
        """What the client's own does: send a command and read its reply. Raises what redis-py
        raises."""
        lane: Lane | None = getattr(self._own, "lane", None)
        if lane is None or lane.busy or lane.process != os.getpid():
            # One that is busy was left between a command and its reply, by a signal's handler
            # or an exception out of nowhere: what it reads next may be another call's reply.
            lane = self._own.lane = Lane(self._pool)
        return lane.run(command)


class Lane:
    """A connection that one thread keeps for as long as it lives.

    Attributes:
        busy: A reply may be on its way.
        process: Whose connection it is; after a fork, not the child's.
    """

    def __init__(self, pool: Any) -> None:
        self.busy = False
        self.process = os.getpid()
        self._pool = pool
        self._connection = pool.get_connection()

    def run(self, command: tuple[str | bytes | int, ...]) -> object:
        """Send a command and read its reply."""
        connection = self._connection
        if connection.should_reconnect():
            connection.disconnect()

        def attempt() -> object:
            connection.send_packed_command(packed(command))
            return connection.read_response()

        self.busy = True
        try:
            reply = connection.retry.call_with_retry(attempt, self._failed)
        except ResponseError:
            self.busy = False  # that was the reply
            raise
        self.busy = False
        return reply

    def _failed(self, _error: Exception) -> None:
        self._connection.disconnect()

    def __del__(self) -> None:
        connection = getattr(self, "_connection", None)
        if connection is None or self.process != os.getpid():
            return
        # Its thread has ended; so may have the interpreter.
        with suppress(Exception):
            if self.busy:
                connection.disconnect()
            self._pool.release(connection)
