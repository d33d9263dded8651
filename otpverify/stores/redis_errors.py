"""What a failure of redis-py means, in our own words: its own may hold what was sent."""

from __future__ import annotations

import re

from redis.exceptions import (
    AuthenticationError,
    ConnectionError as RedisConnectionError,
    MaxConnectionsError,
    MovedError,
    NoPermissionError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisClusterException,
    ResponseError,
    TimeoutError as RedisTimeoutError,
)

from otpverify.errors import StoreError

_ERROR_CODE = re.compile(r"[A-Z]{2,20}(?= |$)", re.ASCII)


def is_demoted(error: Exception) -> bool:
    """Whether a replica refused to write, which was the primary when it was connected to. Redis 6
    wraps what befalls a script, so redis-py does not know it."""
    return isinstance(error, ReadOnlyError) or (
        isinstance(error, ResponseError) and "-READONLY " in str(error)
    )


def store_error(error: Exception) -> StoreError:
    """The error to raise for one of redis-py's."""
    if isinstance(error, AuthenticationError | NoPermissionError):
        return StoreError("Redis refused the credentials or their permissions.")
    if isinstance(error, OutOfMemoryError):
        return StoreError("Redis is out of memory (maxmemory with noeviction).")
    if is_demoted(error):
        return StoreError("This Redis is a read-only replica; a failover may be under way.")
    if isinstance(error, MaxConnectionsError):
        return StoreError("All connections of the pool to Redis are in use.")
    if isinstance(error, RedisTimeoutError | TimeoutError):
        return StoreError("Redis did not answer in time.")
    if isinstance(error, MovedError):
        return StoreError("This Redis is a node of a cluster; redis+cluster:// is for these.")
    if isinstance(error, RedisClusterException):
        return StoreError("The Redis cluster could not be reached, or this Redis is none.")
    if isinstance(error, RedisConnectionError | OSError):
        return StoreError("Redis could not be reached, or closed the connection.")
    if isinstance(error, ResponseError) and (code := _ERROR_CODE.match(str(error))):
        return StoreError(f"Redis refused the command ({code[0]}).")
    if isinstance(error, RuntimeError) and "loop" in str(error):
        return StoreError(
            "This client of redis.asyncio belongs to another event loop; "
            "AsyncRedisStore.from_url(...) serves each."
        )
    return StoreError(f"Redis failed ({type(error).__name__}).")
