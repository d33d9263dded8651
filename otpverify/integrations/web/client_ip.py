"""The person's address, as servers and proxies give it."""

from __future__ import annotations

import re

_WITH_PORT = re.compile(r"\[([0-9A-Fa-f:.%\w]+)\](?::\d+)?|(\d+\.\d+\.\d+\.\d+):\d+", re.ASCII)
_NONE = re.compile(r"(|-|unix|unknown|<local>|unix:.*|[/@].*)", re.ASCII | re.IGNORECASE)


def client_address(given: str | None) -> str | None:
    """The IP address in what a server gives as the client's address, for `client_ip=`.

    Args:
        given: Such as `REMOTE_ADDR`, or an entry of a header that a proxy of yours writes.

    Returns:
        The address without a port or brackets. `None` without an address, as with a Unix socket.
        Anything else unchanged: the verifier refuses it with `ConfigurationError`.
    """
    text = (given or "").strip()
    if _NONE.fullmatch(text):
        return None
    found = _WITH_PORT.fullmatch(text)
    return (found[1] or found[2]) if found else text
