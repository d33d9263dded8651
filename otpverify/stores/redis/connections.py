"""How the stores reach the server: a client, and a pool of its connections that is faster than
redis-py's own. Both are sync or async.

redis-py's own pool and command loop take longer for a call than the server does. redis-py still
makes the connections, and does timeouts, health checks and retries. Hooks around
`Redis.execute_command` would be bypassed: if there are any, such as a tracer's, this path is off.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from asyncio import sleep, timeout
from contextlib import suppress
from functools import lru_cache
from types import FunctionType
from typing import Any, ClassVar, Self

from redis import Redis
from redis.asyncio import Redis as AsyncRedis
from redis.exceptions import ResponseError, TimeoutError as RedisTimeoutError

from otpverify.stores.redis.clients import is_single
from otpverify.stores.redis.health import is_demoted
from otpverify.stores.redis.scripts import Ports


@lru_cache(maxsize=16)
def is_plain(command: Any) -> bool:
    """Whether a client's `execute_command` is redis-py's own. Tracers wrap it to see every
    command."""
    own = isinstance(command, FunctionType) and command.__module__.startswith("redis.")
    return own and not hasattr(command, "__wrapped__")


def packed(command: tuple[str | bytes | int, ...]) -> list[bytes]:
    """A command as the protocol writes it: an array of bulk strings. redis-py's own packing takes
    three times as long, which is as long as the script itself."""
    parts = [b"*%d\r\n" % len(command)]
    for part in command:
        raw = part if isinstance(part, bytes) else str(part).encode()
        parts.append(b"$%d\r\n%b\r\n" % (len(raw), raw))
    return [b"".join(parts)]


class ConnectionPool:
    """The connections of one client, each used by one call at a time, in any thread.

    Args:
        client: Made by `Redis.from_url`, in this process.
    """

    def __init__(self, client: Any) -> None:
        self._pool = client.connection_pool
        self._free: list[Any] = []

    @property
    def usable(self) -> bool:
        """Whether `execute_command` is unwrapped, so that bypassing it hides nothing."""
        return is_plain(Redis.execute_command)

    def execute_command(self, *command: str | bytes | int) -> object:
        """Send a command and read its reply. Raises the same errors as the client's method."""
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
            # The reply to an interrupted call may still arrive: the next call would read it as
            # its own.
            connection.disconnect()
            self._free.append(connection)
            raise
        self._free.append(connection)
        return reply

    def lend(self) -> None:
        """Give one connection to redis-py's pool, for a command of its client: a pool may allow no
        further one."""
        if self._free:
            self._pool.release(self._free.pop())

    def _take(self) -> Any:
        """A connection that no other call uses. A signal handler that runs during a call gets
        another one."""
        try:
            return self._free.pop()
        except IndexError:
            return self._pool.get_connection()


class AsyncConnectionPool:
    """The connections of one client, each used by one call at a time, in its event loop.

    Args:
        client: Made by `redis.asyncio.Redis.from_url`.
    """

    def __init__(self, client: Any) -> None:
        self._pool = client.connection_pool
        self._free: list[AsyncConnection] = []

    @property
    def usable(self) -> bool:
        """Whether `execute_command` is unwrapped, so that bypassing it hides nothing."""
        return is_plain(AsyncRedis.execute_command)

    async def execute_command(self, *command: str | bytes | int) -> object:
        """Send a command and read its reply. Raises the same errors as the client's method."""
        connection = (
            self._free.pop() if self._free else AsyncConnection(await self._pool.get_connection())
        )
        try:
            reply = await connection.run(command)
        except ResponseError as error:
            if is_demoted(error):
                await connection.disconnect()  # its address may lead to the new primary by now
            self._free.append(connection)  # that was the reply
            raise
        except BaseException:
            # The reply to a cancelled or interrupted call may still arrive: the next call would
            # read it as its own.
            await connection.disconnect()
            self._free.append(connection)
            raise
        self._free.append(connection)
        return reply

    async def lend(self) -> None:
        """Give one connection to redis-py's pool, for a command of its client: a pool may allow no
        further one."""
        if self._free:
            await self._pool.release(self._free.pop().restored())


class AsyncConnection:
    """A connection that one call has at a time."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        # redis-py bounds each command by a task of its own on Python 3.11, and the reply once more.
        # Here the reply alone is bounded: no command is so long that writing it could wait.
        self._seconds: float | None = connection.socket_timeout
        connecting: float | None = connection.socket_connect_timeout
        bounded = self._seconds is not None and connecting is not None
        self._both = self._seconds + connecting if bounded else None
        connection.socket_timeout = None

    async def run(self, command: tuple[str | bytes | int, ...]) -> object:
        """Send a command and read its reply; once more, if the client's retries say so."""
        connection = self._connection

        async def attempt() -> object:
            try:
                if connection.should_reconnect():
                    await connection.disconnect()
                if connection.is_connected and not connection.health_check_interval:
                    return await self._exchange(command)
                async with timeout(self._both):
                    await connection.connect()
                    await connection.check_health()
                    return await self._exchange(command)
            except TimeoutError:
                raise RedisTimeoutError("The server did not answer in time.") from None

        return await connection.retry.call_with_retry(attempt, self._failed)

    async def _exchange(self, command: tuple[str | bytes | int, ...]) -> object:
        await self._connection.send_packed_command(packed(command), check_health=False)
        async with timeout(self._seconds):
            return await self._connection.read_response()

    def restored(self) -> Any:
        """The connection, as redis-py made it."""
        self._connection.socket_timeout = self._seconds
        return self._connection

    async def disconnect(self) -> None:
        """Close the connection. The next call opens it again."""
        await self._connection.disconnect(nowait=True)

    async def _failed(self, _error: Exception) -> None:
        await self.disconnect()


class PooledClient(ABC):
    """A client, and a faster way to its connections where it has one.

    Args:
        client: The client.
        pool: Its connections, without redis-py's pool; `None` if the client needs that one.
    """

    pool_class: ClassVar[Any]

    def __init__(self, client: Any, pool: Any = None) -> None:
        self.client = client
        self.pool = pool
        self.ports: Ports = Ports(self.execute, self.sleep, self.leave)

    @classmethod
    def from_url(cls, client: Any) -> Self:
        """With the faster way, if the client talks to one server."""
        return cls(client, cls.pool_class(client) if is_single(client) else None)

    @property
    def target(self) -> Any:
        """What commands go to."""
        pool = self.pool
        return pool if pool is not None and pool.usable else self.client

    @abstractmethod
    async def execute(self, *command: str | bytes | int) -> object:
        """Send a command and read its reply."""

    @abstractmethod
    async def sleep(self, seconds: float) -> None:
        """Wait."""

    @abstractmethod
    async def leave(self) -> None:
        """Let a Sentinel's client ask for the primary again, which it does as it connects."""


class SyncPooledClient(PooledClient):
    """For threads. Its ports never suspend."""

    pool_class = ConnectionPool

    async def execute(self, *command: str | bytes | int) -> object:
        """See `PooledClient.execute`."""
        reply: object = self.target.execute_command(*command)
        return reply

    async def sleep(self, seconds: float) -> None:
        """See `PooledClient.sleep`."""
        time.sleep(seconds)  # noqa: ASYNC251 - a port of the synchronous store

    async def leave(self) -> None:
        """See `PooledClient.leave`."""
        with suppress(Exception):
            self.client.connection_pool.disconnect(inuse_connections=False)


class AsyncPooledClient(PooledClient):
    """For an event loop."""

    pool_class = AsyncConnectionPool

    async def execute(self, *command: str | bytes | int) -> object:
        """See `PooledClient.execute`."""
        reply: object = await self.target.execute_command(*command)
        return reply

    async def sleep(self, seconds: float) -> None:
        """See `PooledClient.sleep`."""
        await sleep(seconds)

    async def leave(self) -> None:
        """See `PooledClient.leave`."""
        with suppress(Exception):
            await self.client.connection_pool.disconnect(inuse_connections=False)
