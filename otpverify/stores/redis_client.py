"""Clients of redis-py: how a URL becomes one, and what its failures mean."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urlsplit

from redis.backoff import ExponentialBackoff
from redis.connection import parse_url
from redis.exceptions import (
    AuthenticationError,
    MaxConnectionsError,
    NoPermissionError,
    OutOfMemoryError,
    ReadOnlyError,
)
from redis.exceptions import TimeoutError as RedisTimeoutError

from otpverify.errors import ConfigurationError, StoreError

CONNECT_TIMEOUT_SECONDS = 1.0
SOCKET_TIMEOUT_SECONDS = 1.0
# Every call is safe to repeat. Once is enough for a connection that the server has closed.
RETRIES = 1
# Each thread or task that waits for a reply holds one. redis-py's own 100 are few for a loop.
MAX_CONNECTIONS = 1_000
_PAUSE_SECONDS = 0.02
_PORTS = {"sentinel": 26379, "cluster": 6379}
_PATHS = {"sentinel": (1, 2), "cluster": (0,)}
_FORMS = {
    "redis": "redis://[user:password@]host[:port][/db]",
    "rediss": "rediss://[user:password@]host[:port][/db]",
    "unix": "unix://[user:password@]/path[?db=number]",
    "sentinel": "redis+sentinel://[user:password@]host[:port][,host...]/service[/db]",
    "cluster": "redis+cluster://[user:password@]host[:port][,host...]",
}


@dataclass(frozen=True, slots=True)
class Address:
    """Where a URL points.

    Attributes:
        kind: `"single"`, `"sentinel"` or `"cluster"`.
        url: What redis-py reads, when single.
        hosts: Host and port of each sentinel or startup node.
        service: The name of the primary that the sentinels watch.
        options: Keyword arguments for the connections.
    """

    kind: str
    url: str
    hosts: tuple[tuple[str, int], ...]
    service: str
    options: dict[str, Any]


def read_url(url: str) -> Address:
    """Read a URL: `redis://`, `rediss://`, `unix://`, `redis+sentinel://host,host/service/db`,
    `redis+cluster://host,host`, and the same with `valkey` in place of `redis`.

    Raises:
        ConfigurationError: It is none of these. The message does not repeat it, since it may
            hold a password.
    """
    scheme, separator, rest = url.partition("://")
    base, plus, kind = scheme.lower().partition("+")
    base = base.replace("valkey", "redis", 1)
    known = base in ("redis", "rediss") and (kind in _PORTS or not plus)
    if not (separator and rest and (known or (base == "unix" and not plus))):
        raise ConfigurationError(
            "A Redis URL begins with redis://, rediss://, unix://, redis+sentinel:// or "
            "redis+cluster://, or the same with valkey."
        )
    try:
        # redis-py's own messages repeat parts of what they do not understand.
        address = _read_many(base, kind, rest) if kind else _read_one(base, rest)
    except ValueError:
        address = None
    if address is None:
        raise ConfigurationError(
            f"This {scheme.lower()}:// URL is malformed; it reads {_FORMS[kind or base]}. "
            "In a password, write @ : / # ? as %40 %3A %2F %23 %3F."
        )
    return address


def _read_one(base: str, rest: str) -> Address | None:
    """An address of one server; `None` or `ValueError` when it is malformed."""
    url = f"{base}://{rest}"
    found = parse_url(url)  # type: ignore[no-untyped-call]  # redis-py's
    if "#" in rest or (base == "unix" and "path" not in found):
        return None
    return Address("single", url, (), "", {})


def _read_many(base: str, kind: str, rest: str) -> Address | None:
    """An address of several hosts; `None` or `ValueError` when it is malformed."""
    parts = urlsplit(f"//{rest}")
    user, at, hosts = parts.netloc.rpartition("@")
    nodes = [urlsplit(f"//{host}") for host in hosts.split(",")]
    found = tuple((node.hostname or "", node.port or _PORTS[kind]) for node in nodes)
    path = [unquote(part) for part in parts.path.split("/") if part]
    if "#" in rest or not all(host for host, _ in found) or len(path) not in _PATHS[kind]:
        return None
    # What redis-py makes of everything but the hosts: names, numbers and flags.
    said = f"redis://{user}{at}?{parts.query}"
    options: dict[str, Any] = parse_url(said)  # type: ignore[no-untyped-call]  # redis-py's
    options |= {"db": int(path[1])} if len(path) > 1 else {}
    options |= {"ssl": True} if base == "rediss" else {}
    return Address(kind, "", found, path[0] if path else "", options)


@dataclass(frozen=True, slots=True)
class Flavour:
    """The classes of redis-py for one colour. They are not typed."""

    single: Any
    cluster: Any
    node: Any
    sentinel: Any
    retry: Any


def maker(
    flavour: Flavour, url: str, connect_timeout_seconds: float, socket_timeout_seconds: float
) -> Callable[[], Any]:
    """What makes clients for a URL, with every wait bounded. They connect when they are first used.

    Raises:
        ConfigurationError: It is no such URL, or a timeout is not above 0.
    """
    address = read_url(url)
    if not (connect_timeout_seconds > 0 and socket_timeout_seconds > 0):
        raise ConfigurationError("Redis timeouts must be above 0 seconds.")
    bounds: dict[str, Any] = {
        "socket_connect_timeout": connect_timeout_seconds,
        "socket_timeout": socket_timeout_seconds,
    }
    return lambda: _made(flavour, address, bounds)


def _made(flavour: Flavour, address: Address, bounds: dict[str, Any]) -> Any:
    pause = ExponentialBackoff(cap=_PAUSE_SECONDS, base=_PAUSE_SECONDS)
    # Sentinels are given it, too: redis-py's own repeats would take seconds when one is down.
    bounds = bounds | {"retry": flavour.retry(pause, RETRIES)}
    options = {"max_connections": MAX_CONNECTIONS, **bounds, **address.options}
    if address.kind == "single":
        return flavour.single.from_url(address.url, **options)
    if address.kind == "cluster":
        nodes = [flavour.node(host, port) for host, port in address.hosts]
        return LateClient(lambda: flavour.cluster(startup_nodes=nodes, **options))
    sentinel = flavour.sentinel(address.hosts, sentinel_kwargs=bounds, **options)
    return sentinel.master_for(address.service)


class LateClient:
    """A client that is made when it is first used: `RedisCluster` connects as it is made, and a
    program must be able to start while its Redis is down.

    Args:
        make: Makes the client.
    """

    def __init__(self, make: Callable[[], Any]) -> None:
        self._make = make
        self._lock = threading.Lock()
        self._making: Future[Any] | None = None
        self._client: Any = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client or self._made(), name)

    def _made(self) -> Any:
        """The client. One thread makes it; those that wait share its failure, too, for in turn
        they would wait for each other's timeouts."""
        with self._lock:
            making, first = self._making, self._making is None
            if making is None:
                making = self._making = Future()
        if first:
            try:
                self._client = self._make()
            except BaseException as error:
                self._making = None  # whoever comes next tries again
                making.set_exception(error)
            else:
                making.set_result(self._client)
        return making.result()

    def close(self) -> None:
        """Close its connections, if it ever was used."""
        if self._client is not None:
            self._client.close()

    async def aclose(self) -> None:
        """`close`, for event loops."""
        if self._client is not None:
            await self._client.aclose()


def is_single(client: Any) -> bool:
    """Whether all its connections go to one server, as those of a plain URL's client do."""
    pool = vars(client).get("connection_pool")
    return pool is not None and not hasattr(pool, "sentinel_manager")


def sentinels_of(client: Any) -> list[Any]:
    """The clients by which a Sentinel's client finds its primary. It does not close them."""
    if isinstance(client, LateClient):
        return []
    pool = getattr(client, "connection_pool", None)
    return list(getattr(getattr(pool, "sentinel_manager", None), "sentinels", ()))


def store_error(error: Exception) -> StoreError:
    """What a failure means, in our own words: redis-py's may hold what was sent."""
    if isinstance(error, AuthenticationError | NoPermissionError):
        return StoreError("Redis refused the credentials or their permissions.")
    if isinstance(error, OutOfMemoryError):
        return StoreError("Redis is out of memory (maxmemory with noeviction).")
    if isinstance(error, ReadOnlyError):
        return StoreError("This Redis is a read-only replica; a failover may be under way.")
    if isinstance(error, MaxConnectionsError):
        return StoreError("All connections of the pool to Redis are in use.")
    if isinstance(error, RedisTimeoutError | TimeoutError):
        return StoreError("Redis did not answer in time.")
    return StoreError(f"Redis failed ({type(error).__name__}).")
