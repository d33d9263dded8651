"""The check for every address that an application configures: the address of a gateway, and its
own address for delivery reports."""

from __future__ import annotations

import re
from ipaddress import ip_address, ip_network
from urllib.parse import urlsplit

from otpverify.core.tokens import PARAMETER
from otpverify.errors import ConfigurationError

_URL = re.compile(r"https?://[^\s\x00-\x1f\\#@]+", re.IGNORECASE)
# No percent sign: libraries disagree about a host that contains one.
_HOST = re.compile(r"[A-Za-z0-9._-]+|[0-9a-f:.]+", re.IGNORECASE)
# Names that no public DNS server resolves: RFC 6761, 6762, 8375, ICANN's `.internal`, and those of
# container platforms, such as `host.docker.internal` and `sandbox.default.svc.cluster.local`.
_PRIVATE_NAMES = (".internal", ".local", ".localhost", ".test", ".home.arpa", ".svc")
_SHARED = ip_network("100.64.0.0/10")  # RFC 6598; overlay networks such as Tailscale use it


def check_url(
    url: str,
    name: str,
    *,
    example: str,
    query: bool = False,
    allow_insecure: bool = False,
    allow_with: str = "allow_insecure=True",
) -> str:
    """Check an address. Return it, without a trailing slash unless `query` is true.

    Args:
        url: The address.
        name: The setting's name, for errors.
        example: A good address, for errors.
        query: Whether the address may have a query.
        allow_insecure: Whether plain http is allowed to private addresses (RFC 1918, RFC 4193) and
            to names that only a private network knows, such as `host.docker.internal`. It is for a
            sandbox: credentials and codes are sent in clear. Public hosts always need https.
        allow_with: How a person allows that, for errors.

    Raises:
        ConfigurationError: The address is not an http(s) address in ASCII, has credentials or a
            fragment, or is plain http to a host other than this machine, a container on the same
            network, or what `allow_insecure` allows.
    """
    try:
        parts = urlsplit(
            url if isinstance(url, str) and url.isascii() and _URL.fullmatch(url) else ""
        )
        # Reading the port checks it.
        host = "" if parts.port == 0 else parts.hostname or ""
    except ValueError:
        host = ""
    if not _HOST.fullmatch(host) or ("?" in url and not query):
        raise ConfigurationError(
            f"{name} must be an address such as {example}, in ASCII, without credentials "
            f"or a {'fragment' if query else 'query'}."
        )
    if not is_encrypted(url) and not is_local(host):
        if not is_private(host):
            raise ConfigurationError(
                f"{name} must use https, except for a sandbox on this machine."
            )
        if not allow_insecure:
            raise ConfigurationError(
                f"{name} must use https, except for a sandbox on this machine. For a sandbox on a "
                f"private network, set {allow_with}: then credentials and codes are sent in clear."
            )
    return url if query else url.rstrip("/")


def is_encrypted(url: str) -> bool:
    """Whether a checked address uses https."""
    return url.lower().startswith("https:")


def is_local(host: str) -> bool:
    """Whether a host is this machine, or a name without a dot, such as that of a container. A
    number without a dot is not such a name: it is another way to write an IPv4 address."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return "." not in host and not host[0].isdigit()


def is_loopback(host: str) -> bool:
    """Whether this name or address stands for this machine alone."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def is_private(host: str) -> bool:
    """Whether a host is a private address, or a name that only a private network knows."""
    try:
        address = ip_address(host)
    except ValueError:
        return host.lower().removesuffix(".").endswith(_PRIVATE_NAMES)
    address = getattr(address, "ipv4_mapped", None) or address
    return (address.is_private and not address.is_loopback) or address in _SHARED


def check_report_url(
    url: str,
    name: str = "report_url",
    *,
    allow_insecure: bool = False,
    allow_with: str = "allow_insecure=True",
) -> str:
    """Check the address for delivery reports, and return it unchanged.

    Args:
        url: The address.
        name: The setting's name, for errors.
        allow_insecure, allow_with: As `check_url`.

    Raises:
        ConfigurationError: As `check_url`; or the address already has the token's parameter.
    """
    check_url(
        url,
        name,
        example="https://app.example/sms/report",
        query=True,
        allow_insecure=allow_insecure,
        allow_with=allow_with,
    )
    if PARAMETER in urlsplit(url).query:
        raise ConfigurationError(f"{name} must leave the parameter {PARAMETER} free.")
    return url


def report_address(url: str, token: str) -> str:
    """The address for the reports of one message. It keeps an existing query."""
    glue = "" if url.endswith(("?", "&")) else "&" if "?" in url else "?"
    return f"{url}{glue}{PARAMETER}={token}"
