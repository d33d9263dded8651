"""Where the gateway is, and whether credentials may be sent there."""

from __future__ import annotations

import re
from ipaddress import ip_address
from urllib.parse import urlsplit

from otpverify.errors import ConfigurationError

DEFAULT_URL = "https://api.smspm.com"

_URL = re.compile(r"https?://[^\s\x00-\x1f\\?#@]+", re.IGNORECASE)


def check_url(url: str) -> str:
    """The gateway's address without a trailing slash.

    Raises:
        ConfigurationError: It is no http(s) address, carries credentials or a query, or would
            send the credentials unencrypted to a host other than this machine or a container
            beside it.
    """
    try:
        parts = urlsplit(url if isinstance(url, str) and _URL.fullmatch(url) else "")
        # Reading the port is what checks it.
        host = "" if parts.port == 0 else parts.hostname or ""
    except ValueError:
        host = ""
    if not host:
        raise ConfigurationError("SMSPM_URL must be an address such as https://api.smspm.com.")
    if parts.scheme == "http" and not is_local(host):
        raise ConfigurationError("SMSPM_URL must use https, except for a sandbox on this machine.")
    return url.rstrip("/")


def is_local(host: str) -> bool:
    """This machine, or a name without a dot, such as a container's. A number without a dot is
    another way to write an IPv4 address."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return "." not in host and not host[0].isdigit()
