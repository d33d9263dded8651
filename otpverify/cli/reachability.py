"""Which address a Redis URL leads to, and why it cannot be reached. Nothing secret is shown."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from urllib.parse import unquote, urlsplit

from otpverify.stores.redis.clients import read_url

_SECONDS = 2.0
_REDIS_PORT = 6379


def tried(url: str) -> Iterator[str]:
    """Each address of a Redis URL, with the reason if it cannot be reached.

    Args:
        url: A URL that `RedisStore.from_url` accepts.
    """
    address = read_url(url)
    if address.kind == "single" and address.url.startswith("unix:"):
        path = unquote(urlsplit(address.url).path)
        yield _said(path, _unix_fault(path))
        return
    hosts, tls = address.hosts, bool(address.options.get("ssl"))
    if address.kind == "single":
        parts = urlsplit(address.url)
        hosts = ((parts.hostname or "localhost", parts.port or _REDIS_PORT),)
        tls = parts.scheme == "rediss"
    for host, port in hosts:
        name = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        yield _said(name, _fault(host, port, tls=tls and address.kind != "sentinel"))


def _said(name: str, fault: str) -> str:
    return f"{name} ({fault})" if fault else name


def _fault(host: str, port: int, *, tls: bool) -> str:
    try:
        with socket.create_connection((host, port), _SECONDS) as connection:
            return _tls_fault(connection, host) if tls else ""
    except OSError as error:
        return _reason(error)


def _tls_fault(connection: socket.socket, host: str) -> str:
    try:
        with ssl.create_default_context().wrap_socket(connection, server_hostname=host):
            return ""
    except ssl.SSLCertVerificationError as error:
        return f"TLS: its certificate is not trusted here, {error.verify_message}"
    except (ssl.SSLError, OSError):
        return "TLS: no encrypted connection; is this the port for TLS?"


def _unix_fault(path: str) -> str:
    if not hasattr(socket, "AF_UNIX"):
        return "this system has no Unix sockets"
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(_SECONDS)
            connection.connect(path)
    except OSError as error:
        return _reason(error)
    return ""


def _reason(error: OSError) -> str:
    if isinstance(error, socket.gaierror):
        return "its name could not be resolved (DNS)"
    if isinstance(error, TimeoutError):
        return "time-out"
    if isinstance(error, ConnectionRefusedError):
        return "connection refused"
    if isinstance(error, FileNotFoundError):
        return "there is no such socket"
    if isinstance(error, PermissionError):
        return "no permission"
    return error.strerror or "not reachable"
