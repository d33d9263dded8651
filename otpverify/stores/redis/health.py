"""Typed errors for failures of Redis, and the settings of a server that the doctor checks."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from redis.exceptions import (
    AskError,
    AuthenticationError,
    ClusterDownError,
    ClusterError,
    ConnectionError as RedisConnectionError,
    MaxConnectionsError,
    MovedError,
    NoPermissionError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisClusterException,
    ResponseError,
    TimeoutError as RedisTimeoutError,
    TryAgainError,
)

from otpverify.errors import StoreError

_ADDRESS = re.compile(r"connecting to ([\w.\-:\[\]]+:\d+)\.", re.ASCII)
_ERROR_CODE = re.compile(r"[A-Z]{2,20}(?= |$)", re.ASCII)
# What servers and proxies say that are not Redis 6.2, or have less than it. Only the names of
# commands and of Lua's libraries are repeated: the rest may hold what was sent.
_NO_LUA = re.compile(
    r"nonexistent global variable '(\w+)'|global '(\w+)' \(a nil value\)"
    r"|field '(\w+)' \(a nil value\)",
    re.ASCII,
)
_NO_COMMAND = re.compile(
    r"(?:unknown|unsupported|invalid)(?: redis)? (?:command|request)(?:[ :]+['`\"]?(\w+))?"
    r"|command ['`\"]?(\w+)['`\"]? is (?:not|un)",
    re.ASCII | re.IGNORECASE,
)
_NO_PERMISSION = re.compile(r"NOPERM|ACL failure|can't run this command", re.ASCII)
_NEEDED = (
    "otpverify needs Redis 6.2 or later, or Valkey, with Lua scripts and without a proxy that "
    "filters commands."
)


def is_demoted(error: Exception) -> bool:
    """Whether a replica refused to write that was the primary when the connection was made. Redis 6
    wraps errors in a script, so redis-py does not recognise this one."""
    return isinstance(error, ReadOnlyError) or (
        isinstance(error, ResponseError) and "-READONLY " in str(error)
    )


_STREAM_METHODS = frozenset({"at_eof", "drain", "read", "readexactly", "readline", "writelines"})


def is_passing(error: Exception) -> bool:
    """Whether the cause passes by itself within moments: all connections of a pool are in use, or
    a cluster moves the keys' slot. redis-py raises `ClusterError` when it was redirected too
    often."""
    if isinstance(error, MovedError | ClusterDownError):
        return False
    if isinstance(error, MaxConnectionsError | TryAgainError | AskError | ClusterError):
        return True
    return _is_closed_by_another_task(error)


def _is_closed_by_another_task(error: Exception) -> bool:
    """Whether a connection was closed while it was used. When redis-py reads the layout of a
    cluster again, it closes the connections of other tasks, too, which then use `None` in place of
    a stream."""
    return isinstance(error, AttributeError) and error.obj is None and error.name in _STREAM_METHODS


def _lacks(error: Exception) -> str | None:
    """What the server lacks, in words; `None` if that is not the error."""
    text = str(error)
    if found := _NO_LUA.search(text):
        name = next(filter(None, found.groups()))
        return f"Its Lua does not have {name!r}."
    if found := _NO_COMMAND.search(text):
        name = next(filter(None, found.groups()), "")
        known = f"the command {name.upper()}" if 0 < len(name) <= 20 else "a command that is needed"
        return f"It does not know {known}."
    return None


def store_error(error: Exception) -> StoreError:
    """The error to raise for one of redis-py's."""
    refused = isinstance(error, ResponseError) and _NO_PERMISSION.search(str(error))
    if refused or isinstance(error, AuthenticationError | NoPermissionError):
        return StoreError("Redis refused the credentials or their permissions.")
    if isinstance(error, OutOfMemoryError):
        return StoreError("Redis is out of memory (maxmemory with noeviction).")
    if is_demoted(error):
        return StoreError("This Redis is a read-only replica; a failover may be under way.")
    if isinstance(error, MaxConnectionsError):
        return StoreError(
            "All connections of the pool to Redis were in use for too long. Allow more of them "
            "(max_connections in the URL), or fewer calls at a time."
        )
    if isinstance(error, RedisTimeoutError | TimeoutError):
        return StoreError("Redis did not answer in time.")
    if isinstance(error, MovedError):
        return StoreError("This Redis is a node of a cluster; use a redis+cluster:// URL.")
    if is_passing(error):
        return StoreError(
            "The Redis cluster moves these keys to another node, and that takes too long. "
            "Try again in a moment."
        )
    if isinstance(error, RedisClusterException):
        return StoreError("The Redis cluster could not be reached, or this Redis is not a cluster.")
    if isinstance(error, RedisConnectionError | ResponseError) and (lacks := _lacks(error)):
        return StoreError(f"This server cannot hold otpverify's data. {lacks} {_NEEDED}")
    if isinstance(error, RedisConnectionError | OSError):
        address = _ADDRESS.search(str(error))
        server = f"Redis ({address[1]})" if address else "Redis"
        return StoreError(f"{server} could not be reached, or closed the connection.")
    if isinstance(error, ResponseError) and (code := _ERROR_CODE.match(str(error))):
        return StoreError(f"Redis refused the command ({code[0]}).")
    if isinstance(error, RuntimeError) and "loop" in str(error):
        return StoreError(
            "This client of redis.asyncio belongs to another event loop; "
            "AsyncRedisStore.from_url(...) works in every loop."
        )
    return StoreError(f"Redis failed ({type(error).__name__}).")


OLDEST = (6, 2)
_log = logging.getLogger("otpverify")


@dataclass(frozen=True, slots=True)
class Health:
    """A server's settings, as its `INFO` reports them.

    Attributes:
        server: Its name and version, such as `"valkey 9.1.0"`.
        role: `"master"` or `"slave"`, in its own words.
        eviction: Its `maxmemory-policy`.
        bounded: Whether `maxmemory` is set.
        append_only: Whether every write is appended to a file.
        warnings: What should be fixed, in sentences.
    """

    server: str
    role: str
    eviction: str
    bounded: bool
    append_only: bool
    warnings: tuple[str, ...]


def asking(client: Any) -> dict[str, Any]:
    """Arguments for `INFO`: all primaries of a cluster, since each holds some challenges."""
    return {"target_nodes": "primaries"} if hasattr(client, "nodes_manager") else {}


def read_health(info: object) -> Health:
    """Read the reply to `INFO`; a cluster's client gives one for each node. Of several nodes, the
    worst is reported."""
    nodes = _nodes(info)
    found = [_of_one(facts) for facts in nodes.values()]
    unsafe = [health for health in found if health.eviction != "noeviction"]
    named = len(found) > 1
    return Health(
        server=found[0].server,
        role=found[0].role,
        eviction=(unsafe or found)[0].eviction,
        bounded=any(health.bounded for health in found),
        append_only=all(health.append_only for health in found),
        warnings=tuple(
            f"{name}: {warning}" if named else warning
            for name, health in zip(nodes, found, strict=True)
            for warning in health.warnings
        ),
    )


def _nodes(info: object) -> Mapping[str, Mapping[str, Any]]:
    """The reply of each node, by its name."""
    facts: Mapping[str, Any] = info if isinstance(info, Mapping) else {}
    said = [one for one in facts.values() if isinstance(one, Mapping)]
    # Sections of one server's reply may hold mappings, too, but without these keys.
    if any("redis_version" in one or "maxmemory_policy" in one for one in said):
        return facts
    return {"": facts}


def _of_one(facts: Mapping[str, Any]) -> Health:
    name = str(facts.get("server_name", "redis"))
    version = str(facts.get(f"{name}_version") or facts.get("redis_version") or "unknown")
    eviction = str(facts.get("maxmemory_policy", "unknown"))
    bounded = bool(facts.get("maxmemory"))
    append_only = bool(facts.get("aof_enabled"))
    role = str(facts.get("role", "unknown"))
    warnings = []
    if _parts(str(facts.get("redis_version", ""))) < OLDEST:
        warnings.append("This version is older than Redis 6.2.")
    if eviction != "noeviction":
        now = "" if bounded else " as soon as maxmemory is set"
        warnings.append(
            f"maxmemory-policy is {eviction}: it may evict live challenges and attempt "
            f"counters{now}. Set maxmemory-policy noeviction."
        )
    if not append_only:
        warnings.append(
            "appendonly is off: a restart loses challenges, attempts and limits. "
            "Set appendonly yes."
        )
    if role == "slave":
        warnings.append("This is a replica, which refuses writes.")
    return Health(f"{name} {version}", role, eviction, bounded, append_only, tuple(warnings))


def warn_of_eviction(info: object) -> None:
    """Log a warning when the server may evict live challenges."""
    health = read_health(info)
    if health.eviction not in ("noeviction", "unknown"):
        _log.warning(
            "Redis may evict live challenges and attempt counters: its maxmemory-policy is %s. "
            "Set maxmemory-policy noeviction.",
            health.eviction,
        )


def _parts(version: str) -> tuple[int, ...]:
    """The version to compare. A version that cannot be read counts as new enough."""
    try:
        return tuple(int(part) for part in version.split(".")[:2])
    except ValueError:
        return OLDEST
