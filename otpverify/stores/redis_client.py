"""Clients of redis-py: how a URL becomes one."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from redis.backoff import ExponentialBackoff
from redis.exceptions import RedisError

from otpverify.errors import ConfigurationError
from otpverify.stores.redis_url import Address, read_url

CONNECT_TIMEOUT_SECONDS = 1.0
SOCKET_TIMEOUT_SECONDS = 1.0
# Every call is safe to repeat. Once is enough for a connection that the server has closed.
RETRIES = 1
# Each thread or task that waits for a reply holds one. redis-py's own 100 are few for a loop.
MAX_CONNECTIONS = 1_000
_PAUSE_SECONDS = 0.02


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
    for seconds in (connect_timeout_seconds, socket_timeout_seconds):
        if not (isinstance(seconds, int | float) and seconds > 0):
            raise ConfigurationError("Redis timeouts must be above 0 seconds.")
    bounds: dict[str, Any] = {
        "socket_connect_timeout": connect_timeout_seconds,
        "socket_timeout": socket_timeout_seconds,
    }
    if address.kind == "single":
        _check_options(_made(flavour, address, bounds).connection_pool)
    return lambda: _made(flavour, address, bounds)


def _check_options(pool: Any) -> None:
    """Make a connection that does not connect: redis-py looks at a URL's options no sooner."""
    try:
        pool.connection_class(**pool.connection_kwargs)
    except (TypeError, ValueError, RedisError):
        known = False
    else:
        known = True
    if not known:
        raise ConfigurationError("This Redis URL has an option that redis-py does not know there.")


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


def check_client(client: object, *, asynchronous: bool) -> None:
    """See that a store is given a client of its colour.

    Raises:
        ConfigurationError: It is none.
    """
    if isinstance(client, LateClient):
        return
    ours, other = ("RedisStore", "AsyncRedisStore")[:: -1 if asynchronous else 1]
    if isinstance(client, type) or not callable(getattr(client, "execute_command", None)):
        raise ConfigurationError(
            f"{ours} takes a client made by redis-py. For a URL there is {ours}.from_url(...)."
        )
    modules = [kind.__module__ for kind in type(client).__mro__]
    awaited = any(module.startswith("redis.asyncio") for module in modules)
    if awaited != asynchronous and any(module.startswith("redis.") for module in modules):
        raise ConfigurationError(
            f"{ours} takes a client of {'redis.asyncio' if asynchronous else 'redis'}; "
            f"this one is {other}'s."
        )


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
