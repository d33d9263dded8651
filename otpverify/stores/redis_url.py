"""Redis URLs: what each says, before anything is made of it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urlsplit

from redis.connection import parse_url

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
        # redis-py's own messages repeat parts of what they do not understand.
        address = _read_many(base, kind, rest) if kind else _read_one(base, rest)
    except ValueError:
        address = None
    if address is None:
        raise ConfigurationError(
            f"This {scheme.lower()}:// URL is malformed; it reads {_FORMS[kind or base]}. "
            "In a password, write all but letters and digits as urllib.parse.quote does."
        )
    return address


def _read_one(base: str, rest: str) -> Address | None:
    """An address of one server; `None` or `ValueError` when it is malformed."""
    url = f"{base}://{rest}"
    found, parts = parse_url(url), urlsplit(url)  # type: ignore[no-untyped-call]  # redis-py's
    # redis-py takes what follows a slash or a question mark in a password for something else, and
    # connects to what stands before it.
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
    # What redis-py makes of everything but the hosts: names, numbers and flags.
    said = f"redis://{user}{at}?{parts.query}"
    options: dict[str, Any] = parse_url(said)  # type: ignore[no-untyped-call]  # redis-py's
    options |= {"db": int(path[1])} if len(path) > 1 else {}
    options |= {"ssl": True} if base == "rediss" else {}
    return Address(kind, "", found, path[0] if path else "", options)
