"""Connections that calls take and leave, without redis-py's pool and command loop, which take
longer over a call than the server does.

What is kept of redis-py: how connections are made, time-outs, health checks, and retries. What is
not: hooks of others around `Redis.execute_command`, so where there are any, as a tracer's, no lane
is used.
"""

from __future__ import annotations

import os
from functools import lru_cache
from types import FunctionType
from typing import Any

from redis import Redis
from redis.exceptions import ResponseError

from otpverify.stores.redis_errors import is_demoted


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
    """The connections of one client, each one call's at a time, whichever thread makes it.

    Args:
        client: Made by `Redis.from_url`.
    """

    def __init__(self, client: Any) -> None:
        self._pool = client.connection_pool
        self._free: list[Any] = []
        self._process = os.getpid()

    @property
    def usable(self) -> bool:
        """Whether nobody wants to see every command go through the client."""
        return is_plain(Redis.execute_command)

    def execute_command(self, *command: str | bytes | int) -> object:
        """What the client's own does: send a command and read its reply. Raises what redis-py
        raises."""
        connection = self._take()
        try:
            if connection.should_reconnect():
                connection.disconnect()

            def attempt() -> object:
                connection.send_packed_command(packed(command))
                return connection.read_response()

            reply: object = connection.retry.call_with_retry(
                attempt, lambda _error: connection.disconnect()
            )
        except ResponseError as error:
            if is_demoted(error):
                connection.disconnect()  # its address may lead to the new primary by now
            self._free.append(connection)  # that was the reply
            raise
        except BaseException:
            # Of a call that was interrupted, the reply may still be on its way: whoever read it
            # would take it for another's.
            connection.disconnect()
            self._free.append(connection)
            raise
        self._free.append(connection)
        return reply

    def _take(self) -> Any:
        """A connection that nobody else has. A signal's handler in the middle of a call gets
        another one."""
        if self._process != os.getpid():
            # What a fork brought along is the parent's.
            self._free, self._process = [], os.getpid()
        try:
            return self._free.pop()
        except IndexError:
            return self._pool.get_connection()
