"""HTTP for synchronous senders: a `requests` session that does not leak secrets, keeps to a
deadline, and records whether a request was sent."""

from __future__ import annotations

import http.client
import io
import logging
import socket
import time
from contextvars import ContextVar
from dataclasses import dataclass, replace
from http.cookiejar import DefaultCookiePolicy
from typing import Any, TypeVar

import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HeaderParsingError, ReadTimeoutError

from otpverify._per_process import PerProcess
from otpverify._version import __version__
from otpverify.errors import DeliveryError
from otpverify.gateways import certificates
from otpverify.gateways.call import LARGEST_REPLY, Call, Failure, Reply
from otpverify.gateways.retry import Attempts, HttpSettings
from otpverify.gateways.urls import is_encrypted

T = TypeVar("T")

_POOL_SIZE = 32
_CHUNK = 8192
_SHORTEST_SECONDS = 0.001


@dataclass(slots=True)
class _Exchange:
    """The exchange of this thread: when it must end, and whether it has begun."""

    ends: float = float("inf")
    begun: bool = False

    def bound(self, sock: socket.socket) -> None:
        """Make the next wait of the socket end at the deadline of the exchange."""
        left = max(self.ends - time.monotonic(), _SHORTEST_SECONDS)
        own = sock.gettimeout()
        sock.settimeout(left if own is None else min(own, left))


# A context variable, not `threading.local`: gevent may replace threads after this module was
# imported, and its greenlets have contexts of their own.
_current: ContextVar[_Exchange] = ContextVar("otpverify_exchange")


def _exchange() -> _Exchange:
    """The current one; one without a deadline for a session that is used by itself."""
    return _current.get(_Exchange())


class _BoundedReader(io.RawIOBase):
    """Reads a socket until the deadline of the exchange. A socket timeout covers one wait only, and
    starts again with every byte from a peer that sends byte by byte."""

    def __init__(self, raw: io.RawIOBase, sock: socket.socket) -> None:
        self._raw = raw
        self._sock = sock

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        if time.monotonic() >= _exchange().ends:
            raise TimeoutError("The time is up.")
        _exchange().bound(self._sock)
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()


class _Response(http.client.HTTPResponse):
    def __init__(self, sock: socket.socket, *args: Any, **options: Any) -> None:
        super().__init__(sock, *args, **options)
        self.fp = io.BufferedReader(_BoundedReader(self.fp.detach(), sock))


class _Bounded(HTTPConnection):
    """A connection on which every wait ends at the deadline of the exchange."""

    response_class = _Response
    _ready = False

    def _new_conn(self) -> socket.socket:
        sock = super()._new_conn()
        _exchange().bound(sock)
        return sock

    def connect(self) -> None:
        self._ready = False
        super().connect()
        self._ready = True

    def send(self, data: Any) -> None:
        if self.sock is None:
            self.connect()
        if self._ready:  # and this is not a request for a tunnel to a proxy
            _exchange().begun = True
        _exchange().bound(self.sock)
        super().send(data)


class _BoundedTLS(_Bounded, HTTPSConnection):
    """`_Bounded` over TLS."""


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Bounded


class _TLSPool(HTTPSConnectionPool):
    ConnectionCls = _BoundedTLS


class _Adapter(HTTPAdapter):
    """Pools such connections, with or without a proxy."""

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        super().init_poolmanager(*args, **options)
        self.poolmanager.pool_classes_by_scheme = {"http": _Pool, "https": _TLSPool}

    def proxy_manager_for(self, proxy: Any, **options: Any) -> Any:
        manager = super().proxy_manager_for(proxy, **options)
        manager.pool_classes_by_scheme = {"http": _Pool, "https": _TLSPool}
        return manager


class _Session(requests.Session):
    """A session that treats no reply as a redirect. Even with `allow_redirects=False`, requests
    parses the target; on an invalid one, other libraries raise errors that print it."""

    def get_redirect_target(self, resp: requests.Response) -> None:  # noqa: ARG002 - the base class gives it
        return None


def new_session(*, proxies: bool) -> requests.Session:
    """A session that follows no redirects, keeps no cookies, sends nothing of `.netrc`, retries
    nothing, and whose library does not log anything that was sent.

    Args:
        proxies: Whether to use the environment's proxies and certificates.
    """
    session = _Session()
    session.trust_env = proxies
    if proxies and (authorities := certificates.named()) is not None:
        session.verify = authorities[1]
    session.headers["User-Agent"] = f"otpverify/{__version__}"
    session.headers["Accept"] = "application/json"
    # An uncompressed body cannot grow when it is read.
    session.headers["Accept-Encoding"] = "identity"
    session.auth = _no_auth
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    adapter = _Adapter(pool_connections=1, pool_maxsize=_POOL_SIZE, max_retries=0)
    for scheme in ("http://", "https://"):
        session.mount(scheme, adapter)
    for name in ("urllib3.connectionpool", "urllib3.connection", "urllib3.util.retry"):
        logging.getLogger(name).addFilter(_hide_queries)
    return session


class HttpClient:
    """Performs the calls of one sender over pooled connections, with retries and a deadline. Safe
    to share between threads. Connections are made at first use, and a forked process makes its own.

    Args:
        sender: The name of the sender's class, for `DeliveryAttempt`.
        url: The gateway's address. Over plain http, which is for a sandbox, the environment's
            proxies and certificates are not used.
        settings: Timeouts and retries.
    """

    def __init__(self, sender: str, url: str, settings: HttpSettings) -> None:
        self._sender = sender
        self._settings = settings
        proxies = is_encrypted(url)
        self._sessions = PerProcess(lambda: new_session(proxies=proxies))

    def perform(self, call: Call[T]) -> T:
        """The result of a call.

        Raises:
            DeliveryError: What `call.read` raised for the last reply, or `DeliveryUnavailable`
                when there was none. `maybe_sent` says whether any attempt may have been taken.
        """
        attempts = self._settings.attempts(self._sender)
        try:
            return self._attempt(attempts, call)
        except DeliveryError:
            if not attempts.again:
                raise
        for attempt in attempts.repeats():
            with attempt:
                attempts.wait()
                return self._attempt(attempts, call)
        raise AssertionError("The last attempt returns or raises.")

    def _attempt(self, attempts: Attempts, call: Call[T]) -> T:
        seconds = attempts.begin()
        outcome = carry(self._sessions.get(), call, self._settings.timeouts, seconds)
        return attempts.conclude(call, outcome)

    def close(self) -> None:
        """Close the pooled connections of this process."""
        session = self._sessions.drop()
        if session is not None:
            session.close()


def carry(
    session: requests.Session,
    call: Call[Any],
    timeouts: tuple[float, float],
    seconds: float,
) -> Reply | Failure:
    """Make one attempt of a call.

    Args:
        session: Made by `new_session`.
        call: The call.
        timeouts: Seconds for the connection, and for each wait for the reply.
        seconds: How long the whole attempt may take.
    """
    connect, read = (min(own, seconds) for own in timeouts)
    exchange = _Exchange(time.monotonic() + seconds)
    token = _current.set(exchange)
    posts = call.method == "POST"
    try:
        with session.request(
            call.method,
            call.url,
            json=call.fields if posts and call.encoding == "json" else None,
            data=call.fields if posts and call.encoding == "form" else None,
            params=None if posts else call.fields,
            headers=call.headers,
            verify=session.verify,
            timeout=(connect, read),
            allow_redirects=False,
            stream=True,
        ) as response:
            asked = response.raw.headers.getlist("Retry-After")
            return Reply(response.status_code, _read(response), tuple(asked))
    except Exception as error:
        # Returned, not raised: the library's exception prints the URL and holds the request, so
        # ours must not be chained to it.
        return _failure(error, begun=exchange.begun)
    finally:
        _current.reset(token)


def _no_auth(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """Prevents requests from sending the host's credentials from `.netrc`."""
    return request


def _hide_queries(record: logging.LogRecord) -> bool:
    """Remove secrets from urllib3's log. It logs every URL at DEBUG; a URL that carries a token
    loses its query. It also logs reply headers that it cannot parse, with the error that quotes
    them; they may contain anything."""
    if isinstance(record.args, tuple):
        if any(isinstance(arg, HeaderParsingError) for arg in record.args):
            return False
        record.args = tuple(
            arg.partition("?")[0] + "?***" if isinstance(arg, str) and "token=" in arg else arg
            for arg in record.args
        )
    return True


def _failure(error: Exception, *, begun: bool) -> Failure:
    if not begun and type(error) in (OSError, requests.exceptions.SSLError):
        # requests raises the first for a missing certificate file, and the second for one that
        # cannot be read. It prints the path.
        reason = certificates.problem()
        if reason or type(error) is OSError:
            return Failure(begun=False, tls=True, reason=reason)
    late = isinstance(error, requests.Timeout | ReadTimeoutError)
    failure = Failure.of(error, begun=begun, late=late)
    if isinstance(error, requests.exceptions.SSLError):
        return replace(failure, tls=True)
    if isinstance(error, requests.exceptions.ProxyError):
        return replace(failure, reason=f"the proxy failed ({failure.reason or 'no reply'})")
    return failure


def _read(response: requests.Response) -> bytes:
    """The body, cut off at the largest size of a valid reply."""
    body = b""
    for chunk in response.raw.stream(_CHUNK, decode_content=False):
        body += chunk
        if len(body) > LARGEST_REPLY:
            break
    return body
