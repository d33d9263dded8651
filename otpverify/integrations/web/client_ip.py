"""The person's address, as servers and proxies give it."""

from __future__ import annotations

import re

from otpverify.core.client_ip import read_address

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
    address = read_address(text)
    return text if address is None else str(address)
