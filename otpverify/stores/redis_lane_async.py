"""What `redis_lane` is for threads: connections that calls take and leave, without redis-py's pool
and command loop."""

from __future__ import annotations

from typing import Any

from redis.asyncio import Redis
from redis.exceptions import ResponseError

from otpverify.stores.redis_lane import is_plain


class AsyncLanes:
    """The connections of one client, each one call's at a time. They belong to its event loop.

    Args:
        client: Made by `redis.asyncio.Redis.from_url`.
    """

    def __init__(self, client: Any) -> None:
        self._pool = client.connection_pool
        self._free: list[Any] = []

    @property
    def usable(self) -> bool:
        """Whether nobody wants to see every command go through the client."""
        return is_plain(Redis.execute_command)

    async def evalsha(self, *arguments: str | bytes | int) -> object:
        """What the client's own does."""
        return await self.run("EVALSHA", *arguments)

    async def eval(self, *arguments: str | bytes | int) -> object:
        """What the client's own does."""
        return await self.run("EVAL", *arguments)

    async def run(self, *command: str | bytes | int) -> object:
        """Send a command and read its reply. Raises what redis-py raises."""
        connection = self._free.pop() if self._free else await self._pool.get_connection()

        async def attempt() -> object:
            if connection.should_reconnect():
                await connection.disconnect()
            await connection.send_packed_command(connection.pack_command(*command))
            return await connection.read_response()

        async def failed(_error: Exception) -> None:
            await connection.disconnect(nowait=True)

        try:
            reply: object = await connection.retry.call_with_retry(attempt, failed)
        except ResponseError:
            self._free.append(connection)  # that was the reply
            raise
        except BaseException:
            # Of a call that was cancelled or interrupted, the reply may still be on its way:
            # whoever read it would take it for another's.
            await connection.disconnect(nowait=True)
            self._free.append(connection)
            raise
        self._free.append(connection)
        return reply
