"""The addresses that an application gives: the gateway's, and its own for delivery reports."""

from __future__ import annotations

import re
from ipaddress import ip_address
from urllib.parse import urlsplit

from otpverify.core.tokens import PARAMETER
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


_REPORT_URL = re.compile(r"https?://[^\s\x00-\x1f\\#@]+", re.IGNORECASE | re.ASCII)


def check_report_url(url: str) -> str:
    """The address as it is.

    Raises:
        ConfigurationError: It is no http(s) address, carries credentials or a fragment, has the
            token's parameter already, or is unencrypted and not on this machine.
    """
    try:
        parts = urlsplit(url if isinstance(url, str) and _REPORT_URL.fullmatch(url) else "")
        # Reading the port is what checks it.
        host = "" if parts.port == 0 else parts.hostname or ""
    except ValueError:
        host = ""
    if not host or not url.isascii():
        raise ConfigurationError(
            "report_url (SMSPM_REPORT_URL) must be an address such as "
            "https://app.example/sms/report, in ASCII, without credentials or a fragment."
        )
    if PARAMETER in parts.query:
        raise ConfigurationError(f"report_url must leave the parameter {PARAMETER} free.")
    if parts.scheme == "http" and not is_local(host):
        raise ConfigurationError(
            "report_url (SMSPM_REPORT_URL) must use https, except on this machine."
        )
    return url


def report_address(url: str, token: str) -> str:
    """The address for the reports of one message. What `url` asks already stays."""
    glue = "" if url.endswith(("?", "&")) else "&" if "?" in url else "?"
    return f"{url}{glue}{PARAMETER}={token}"
