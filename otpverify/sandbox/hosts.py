"""Which names and addresses stand for this machine."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit


def names_this_machine(host: str | None) -> bool:
    """Whether a `Host` header names this machine; HTTP/1.0 clients may send none."""
    if host is None:
        return True
    try:
        name = urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return False
    return is_loopback(name)


def is_loopback(host: str) -> bool:
    """Whether this name or address stands for this machine alone."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
