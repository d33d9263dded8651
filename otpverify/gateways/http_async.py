"""HTTP for asynchronous senders: pooled `httpx2` connections that do not leak secrets, keep to a
deadline, and record whether a request was sent."""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Mapping
from contextlib import aclosing
from contextvars import ContextVar
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from otpverify._event_loops import PerLoop
from otpverify._version import __version__
from otpverify.errors import ConfigurationError, DeliveryError, needs_extra
from otpverify.gateways import certificates
from otpverify.gateways.call import LARGEST_REPLY, Call, Failure, Reply, causes_of
from otpverify.gateways.retry import Attempts, HttpSettings
from otpverify.gateways.urls import is_encrypted

with needs_extra("async", "An asynchronous sender"):
    import httpcore2  # noqa: F401  # httpx2 would at the first call, when no file may be left to open
    import httpx2

T = TypeVar("T")

_POOL_SIZE = 32
_IDLE_SECONDS = 30.0
_HEADERS = {
    "User-Agent": f"otpverify/{__version__}",
    "Accept": "application/json",
    # An uncompressed body cannot grow when it is read.
    "Accept-Encoding": "identity",
}
_LOGGERS = ("connection", "http11", "http2", "proxy", "socks")
_carrying: ContextVar[bool] = ContextVar("otpverify_carrying", default=False)


class AsyncHttpClient:
    """The async counterpart of `HttpClient`, with the same arguments. Many tasks and event loops
    may share one.

    At most 32 requests are in progress at a time in each event loop; the others wait within their
    deadline, and then fail with `provider_code="pool_full"`; they were certainly not sent.
    """

    def __init__(self, sender: str, url: str, settings: HttpSettings) -> None:
        self._sender = sender
        self._settings = settings
        self._pool = Pool(url, proxies=is_encrypted(url))

    async def perform(self, call: Call[T]) -> T:
        """See `HttpClient.perform`."""
        attempts = self._settings.attempts(self._sender)
        try:
            return await self._attempt(attempts, call)
        except DeliveryError:
            if not attempts.again:
                raise
        async for attempt in attempts.repeats():
            with attempt:
                attempts.wait()
                return await self._attempt(attempts, call)
        raise AssertionError("The last attempt returns or raises.")

    async def _attempt(self, attempts: Attempts, call: Call[T]) -> T:
        seconds = attempts.begin()
        outcome = await self._pool.carry(call, self._settings.timeouts, seconds)
        return attempts.conclude(call, outcome)

    async def aclose(self) -> None:
        """Close the pooled connections of the running event loop."""
        await self._pool.aclose()


class Pool:
    """Pooled connections, at most 32 at a time for each event loop.

    httpx2's transport is used without its client, which would keep cookies, log addresses and
    parse redirects.

    Args:
        url: The gateway's address.
        proxies: Whether to use the environment's proxies and certificates.

    Raises:
        ConfigurationError: The environment names a proxy or certificates that cannot be used.
    """

    def __init__(self, url: str, *, proxies: bool) -> None:
        proxy = _proxy_for(url) if proxies else None
        context = _ssl_context() if proxies else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self._transports = PerLoop(
            "An asynchronous sender", partial(_transport, context, proxy), _close
        )
        for name in _LOGGERS:
            logging.getLogger(f"httpcore2.{name}").addFilter(_name_alone)

    async def aclose(self) -> None:
        """Close the connections of the running event loop."""
        await self._transports.aclose()

    async def carry(
        self, call: Call[Any], timeouts: tuple[float, float], seconds: float
    ) -> Reply | Failure:
        """Make one attempt of a call.

        Args:
            call: The call.
            timeouts: Seconds for the connection, and for each wait for the reply.
            seconds: How long the whole attempt may take.
        """
        visit = _Visit()
        connect, read = timeouts
        posts = call.method == "POST"
        request = httpx2.Request(
            call.method,
            call.url,
            headers={**_HEADERS, **call.headers},
            json=dict(call.fields) if posts and call.encoding == "json" else None,
            data=dict(call.fields) if posts and call.encoding == "form" else None,
            params=None if posts else dict(call.fields),
            extensions={
                "timeout": {"connect": connect, "read": read, "write": read, "pool": seconds},
                "trace": visit.watch,
            },
        )
        token = _carrying.set(True)
        try:
            task = asyncio.create_task(_exchange(await self._transports.current(), request, visit))
        finally:
            _carrying.reset(token)
        try:
            await asyncio.wait([task], timeout=seconds)
        finally:
            late = not task.done()
            if late:
                await visit.end(task)
        return visit.late if late else task.result()


class _Visit:
    """The progress of an exchange, and how to end it early.

    httpcore2 closes a cancelled connection, except one that is cancelled during its handshake.
    This class closes that one, and the handshake then fails.
    """

    def __init__(self) -> None:
        self.begun = False
        self._waits = True
        self._over = False
        self._made: Any = None

    async def watch(self, event: str, info: Mapping[str, Any]) -> None:
        """httpcore2's `trace` extension calls this for each step. The first step comes when a
        connection is available, or a new one may be made."""
        self._waits = False
        if event == "connection.connect_tcp.complete":
            self._made = info["return_value"]
        # The request for a tunnel to a proxy contains no part of the message.
        elif event == "http11.send_request_headers.started" and (
            info["request"].method != b"CONNECT"
        ):
            if self._over:
                raise ConnectionAbortedError("The time is up.")
            self.begun = True

    @property
    def late(self) -> Failure:
        """The failure if the time is up."""
        return Failure(begun=self.begun, late=True, full=self._waits)

    async def end(self, task: asyncio.Task[Reply | Failure]) -> None:
        """End an exchange that is late, or whose caller was cancelled. Nothing more is sent."""
        self._over = True
        if self._made is not None and not self.begun:
            await self._made.aclose()
        else:
            task.cancel()
        await asyncio.wait([task])


def _ssl_context() -> ssl.SSLContext:
    """Load the certificates. This is slow, and only encrypted connections need them."""
    return certificates.context() or httpx2.create_ssl_context()


def _transport(context: ssl.SSLContext, proxy: httpx2.Proxy | None) -> httpx2.AsyncHTTPTransport:
    limits = httpx2.Limits(
        max_connections=_POOL_SIZE,
        max_keepalive_connections=_POOL_SIZE,
        keepalive_expiry=_IDLE_SECONDS,
    )
    return httpx2.AsyncHTTPTransport(verify=context, limits=limits, proxy=proxy)


async def _close(transport: httpx2.AsyncHTTPTransport) -> None:
    await transport.aclose()


async def _exchange(
    transport: httpx2.AsyncHTTPTransport, request: httpx2.Request, visit: _Visit
) -> Reply | Failure:
    """The body of a separate task. In debug mode asyncio logs the outcome of a task, and the
    library's exception may repeat what was sent: it is caught here, and must not be chained."""
    try:
        return await _reply(transport, request)
    except Exception as error:
        return _failure(error, begun=visit.begun)


async def _reply(transport: httpx2.AsyncHTTPTransport, request: httpx2.Request) -> Reply:
    response = await transport.handle_async_request(request)
    try:
        body = b""
        async with aclosing(response.aiter_raw()) as chunks:
            async for chunk in chunks:
                body += chunk
                if len(body) > LARGEST_REPLY:
                    break
        return Reply(response.status_code, body, tuple(response.headers.get_list("Retry-After")))
    finally:
        await response.aclose()


def _proxy_for(url: str) -> httpx2.Proxy | None:
    """The proxy that the environment names for this address."""
    host = urlsplit(url).hostname or ""
    named = getproxies()
    address = named.get("https") or named.get("all")
    if not address or proxy_bypass(host):
        return None
    try:
        proxy = httpx2.Proxy(address if "://" in address else f"http://{address}")
        # Tried here, so that a proxy whose protocol needs a further package fails early.
        httpx2.AsyncHTTPTransport(verify=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), proxy=proxy)
        return proxy
    except (ValueError, ImportError, httpx2.InvalidURL):
        pass
    # Raised outside the `except`: a chained error would print the address and its password.
    raise ConfigurationError("The environment names a proxy that cannot be used for https.")


def _name_alone(record: logging.LogRecord) -> bool:
    """httpcore2 logs headers and errors of the reply at DEBUG, and they may repeat what was sent.
    For our own exchanges, only the event's name is logged."""
    if _carrying.get():
        record.msg, record.args = str(record.msg).partition(" ")[0], None
    return True


def _failure(error: BaseException, *, begun: bool) -> Failure:
    causes = causes_of(error)
    late = any(isinstance(cause, httpx2.TimeoutException) for cause in causes)
    full = any(isinstance(cause, httpx2.PoolTimeout) for cause in causes)
    failure = Failure.of(error, begun=begun, late=late, full=full)
    if isinstance(error, httpx2.ProxyError):
        return replace(failure, reason=f"the proxy failed ({failure.reason or 'no reply'})")
    return failure
