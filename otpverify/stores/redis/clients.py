"""redis-py clients: reading URLs, making clients, and checking those that a caller passes."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote, urlsplit

from redis.backoff import ExponentialBackoff
from redis.connection import parse_url
from redis.exceptions import RedisError

from otpverify.errors import ConfigurationError

_PORTS = {"sentinel": 26379, "cluster": 6379}
_PATHS = {"sentinel": (1, 2), "cluster": (0,)}
_DATABASE = re.compile(r"/?[0-9]*", re.ASCII)
_FORMS = {
    "redis": "redis://[user:password@]host[:port][/db]",
    "rediss": "rediss://[user:password@]host[:port][/db]",
    "unix": "unix://[user:password@]/path[?db=number]",
    "sentinel": "redis+sentinel://[user:password@]host[:port][,host...]/service[/db]",
    "cluster": "redis+cluster://[user:password@]host[:port][,host...]",
}


@dataclass(frozen=True, slots=True)
class Address:
    """The target of a URL.

    Attributes:
        kind: `"single"`, `"sentinel"` or `"cluster"`.
        url: What redis-py reads, when single.
        hosts: Host and port of each sentinel or startup node.
        service: The name of the primary that the sentinels watch.
        options: Keyword arguments for the connections.
    """

    kind: str
    url: str = field(repr=False)  # it may hold a password, and so may the options
    hosts: tuple[tuple[str, int], ...]
    service: str
    options: dict[str, Any] = field(repr=False)


def read_url(url: str) -> Address:
    """Read a URL: `redis://`, `rediss://`, `unix://`, `redis+sentinel://host,host/service/db`,
    `redis+cluster://host,host`, and the same with `valkey` in place of `redis`.

    Raises:
        ConfigurationError: It is none of these. The message does not repeat it, since it may
            hold a password.
    """
    if not isinstance(url, str):
        raise ConfigurationError(f"A Redis URL is a str, not {type(url).__name__}; is it set?")
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
        # redis-py's messages repeat the parts of a URL that it cannot read.
        address = _read_many(base, kind, rest) if kind else _read_one(base, rest)
    except ValueError:
        address = None
    if address is None:
        raise ConfigurationError(
            f"This {scheme.lower()}:// URL is malformed; write {_FORMS[kind or base]}. "
            "In a password, percent-encode all but letters and digits, as urllib.parse.quote does."
        )
    return address


def _read_one(base: str, rest: str) -> Address | None:
    """An address of one server; `None` or `ValueError` when it is malformed."""
    url = f"{base}://{rest}"
    found, parts = parse_url(url), urlsplit(url)
    # A slash or a question mark in a password ends the host for redis-py: it would connect to the
    # part before it.
    sound = "path" in found if base == "unix" else _DATABASE.fullmatch(parts.path)
    if "#" in rest or "@" in parts.query or not sound:
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
    # redis-py reads everything but the hosts: names, numbers and flags.
    said = f"redis://{user}{at}?{parts.query}"
    options: dict[str, Any] = parse_url(said)
    options |= {"db": int(path[1])} if len(path) > 1 else {}
    options |= {"ssl": True} if base == "rediss" else {}
    return Address(kind, "", found, path[0] if path else "", options)


CONNECT_TIMEOUT_SECONDS = 1.0
SOCKET_TIMEOUT_SECONDS = 1.0
# Every call is safe to repeat. One retry is enough for a connection that the server closed.
RETRIES = 1
# Each thread or task that waits for a reply holds one. redis-py's default of 100 is low for an
# event loop.
MAX_CONNECTIONS = 1_000
_PAUSE_SECONDS = 0.02


@dataclass(frozen=True, slots=True)
class ClientClasses:
    """The classes of redis-py, sync or async. They are not typed."""

    single: Any
    cluster: Any
    node: Any
    sentinel: Any
    retry: Any


def patience(connect_timeout_seconds: float, socket_timeout_seconds: float) -> float:
    """How long a call may wait for what passes by itself: as long as one repeated call."""
    return (1 + RETRIES) * (connect_timeout_seconds + socket_timeout_seconds)


PATIENCE_SECONDS = patience(CONNECT_TIMEOUT_SECONDS, SOCKET_TIMEOUT_SECONDS)


def maker(
    classes: ClientClasses, url: str, connect_timeout_seconds: float, socket_timeout_seconds: float
) -> Callable[[], Any]:
    """A function that makes clients for a URL. They connect at first use; every wait is bounded.

    Raises:
        ConfigurationError: The URL is invalid, or a timeout is not above 0.
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
        _check_options(_made(classes, address, bounds).connection_pool)
    return lambda: _made(classes, address, bounds)


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


def _made(classes: ClientClasses, address: Address, bounds: dict[str, Any]) -> Any:
    pause = ExponentialBackoff(cap=_PAUSE_SECONDS, base=_PAUSE_SECONDS)
    # Sentinels get it, too: redis-py's default retries take seconds when one is down.
    bounds = bounds | {"retry": classes.retry(pause, RETRIES)}
    # RESP2 needs no HELLO, which some proxies and servers do not know; the replies are the same.
    options = {"max_connections": MAX_CONNECTIONS, "protocol": 2, **bounds, **address.options}
    if address.kind == "single":
        return classes.single.from_url(address.url, **options)
    if address.kind == "cluster":
        nodes = [classes.node(host, port) for host, port in address.hosts]
        return LateClient(lambda: classes.cluster(startup_nodes=nodes, **options))
    sentinel = classes.sentinel(address.hosts, sentinel_kwargs=bounds, **options)
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
        """The client. One thread makes it; those that wait share its failure, too.
        Otherwise each would wait for the timeouts of all before it."""
        with self._lock:
            making, first = self._making, self._making is None
            if making is None:
                making = self._making = Future()
        if first:
            try:
                self._client = self._make()
            except BaseException as error:
                self._making = None  # the next caller tries again
                making.set_exception(error)
            else:
                making.set_result(self._client)
        return making.result()

    def close(self) -> None:
        """Close its connections, if it was ever used."""
        if self._client is not None:
            self._client.close()

    async def aclose(self) -> None:
        """`close`, for event loops."""
        if self._client is not None:
            await self._client.aclose()


def check_client(client: object, *, asynchronous: bool) -> None:
    """Check that a client fits the store: sync or async.

    Raises:
        ConfigurationError: It is not a client of redis-py, or the wrong one of the two.
    """
    if isinstance(client, LateClient):
        return
    ours, other = ("RedisStore", "AsyncRedisStore")[:: -1 if asynchronous else 1]
    if isinstance(client, type) or not callable(getattr(client, "execute_command", None)):
        raise ConfigurationError(
            f"{ours} takes a client made by redis-py. For a URL, use {ours}.from_url(...)."
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
