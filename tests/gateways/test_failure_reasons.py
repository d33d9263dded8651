"""What an error says of every exception that an HTTP library may raise: which host and port, why,
and never a word of the request."""

from __future__ import annotations

import asyncio
import http.client
import inspect
import re
import socket
import ssl
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import httpx2
import pytest
import requests.exceptions
import urllib3.exceptions

from otpverify.gateways import http as sync_http, http_async as async_http
from otpverify.gateways.call import Call, Failure, no_reply

SECRET = "Qwertyuiop-37256789045-904817"
CODES = {"unreachable", "timeout", "connection_lost", "tls_failed", "pool_full"}
CALL = Call(
    gateway="Acme",
    operation="send",
    method="POST",
    url="https://gateway.example:8443/sms",
    fields={"token": SECRET},
    read=lambda status, _: status,
)
Convert = Callable[..., Failure]


def made(kind: type[BaseException]) -> BaseException:
    """An exception of this class whose text holds a secret, without a call of its constructor."""
    error = kind.__new__(kind)
    error.args = (f"POST https://gateway.example/?token={SECRET}",)
    return error


def classes(*modules: ModuleType) -> Iterator[type[BaseException]]:
    for module in modules:
        for _, kind in inspect.getmembers(module, inspect.isclass):
            if issubclass(kind, Exception) and not issubclass(kind, Warning):
                yield kind


SYNC = set(classes(requests.exceptions, urllib3.exceptions, http.client, ssl, socket))
ASYNC = set(classes(httpx2, ssl, socket, asyncio))
BUILTIN = {OSError, ValueError, KeyError, RuntimeError, TypeError, UnicodeError, RecursionError}
BUILTIN |= {MemoryError, TimeoutError, BrokenPipeError, ConnectionAbortedError, PermissionError}
ALL: list[tuple[Convert, type[BaseException]]] = [
    *((sync_http._failure, kind) for kind in sorted(SYNC | BUILTIN, key=repr)),
    *((async_http._failure, kind) for kind in sorted(ASYNC | BUILTIN, key=repr)),
]


@pytest.mark.parametrize("begun", [True, False])
def test_every_exception_is_an_error_without_secrets(begun: bool) -> None:
    for convert, kind in ALL:
        error = no_reply(convert(made(kind), begun=begun), CALL)
        assert "Acme (gateway.example:8443)" in str(error), kind
        assert error.provider_code in CODES, kind
        assert error.maybe_sent is begun, kind
        shown = f"{error} {error!r} {vars(error)}"
        assert not any(part in shown for part in SECRET.split("-")), kind
        assert re.fullmatch(r"[A-Za-z0-9 ().:,'-]+", str(error)), kind


def chained(error: BaseException, cause: BaseException) -> BaseException:
    """The error, caused by the other one."""
    error.__cause__ = cause
    return error


REASONS: list[tuple[list[BaseException], bool, str, str]] = [
    ([ConnectionRefusedError(111, SECRET)], False, "unreachable", "connection refused"),
    ([socket.gaierror(-2, SECRET)], False, "unreachable", "its name could not be resolved (DNS)"),
    ([OSError(101, SECRET)], False, "unreachable", "no route to it"),
    ([OSError(113, SECRET)], False, "unreachable", "no route to it"),
    ([TimeoutError(SECRET)], False, "unreachable", "time-out"),
    ([TimeoutError(SECRET)], True, "timeout", "time-out"),
    ([ConnectionResetError(104, SECRET)], True, "connection_lost", "connection closed"),
    ([BrokenPipeError(32, SECRET)], True, "connection_lost", "connection closed"),
    ([ssl.SSLCertVerificationError(1, SECRET)], False, "tls_failed", "certificate is not valid"),
    ([ssl.SSLError(1, SECRET)], False, "tls_failed", "The encrypted connection to Acme"),
]
LIBRARIES: list[tuple[str, Convert, Callable[[BaseException], BaseException]]] = [
    (
        "requests",
        sync_http._failure,
        lambda cause: requests.exceptions.ConnectionError(
            urllib3.exceptions.MaxRetryError(None, "/", cause)  # type: ignore[arg-type]  # any pool
            if isinstance(cause, Exception)
            else cause
        ),
    ),
    (
        "httpx2",
        async_http._failure,
        lambda cause: chained(httpx2.ConnectError("failed"), cause),
    ),
]


@pytest.mark.parametrize(
    ("library", "convert", "wrap"), LIBRARIES, ids=lambda value: str(value)[:8]
)
@pytest.mark.parametrize(("causes", "begun", "code", "says"), REASONS)
def test_why_it_failed(
    causes: list[BaseException],
    begun: bool,
    code: str,
    says: str,
    library: str,
    convert: Convert,
    wrap: Callable[[BaseException], Any],
) -> None:
    error = no_reply(convert(wrap(causes[0]), begun=begun), CALL)
    assert (error.provider_code, error.maybe_sent) == (code, begun), library
    assert says in str(error)


def test_a_proxy_that_fails_is_named() -> None:
    refused = ConnectionRefusedError(111, SECRET)
    for failure in (
        sync_http._failure(requests.exceptions.ProxyError(refused), begun=False),
        async_http._failure(chained(httpx2.ProxyError("failed"), refused), begun=False),
    ):
        assert "the proxy failed (connection refused)" in str(no_reply(failure, CALL))


def test_a_full_pool_was_not_sent() -> None:
    error = no_reply(async_http._failure(httpx2.PoolTimeout("full"), begun=False), CALL)
    assert (error.provider_code, error.maybe_sent) == ("pool_full", False)
