"""HTTP as the synchronous client needs it: a session of `requests` that keeps secrets to itself,
ends in time, and knows whether a request was sent."""

from __future__ import annotations

import http.client
import io
import logging
import socket
import ssl
import threading
import time
from http.cookiejar import DefaultCookiePolicy
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HeaderParsingError, HTTPError, ReadTimeoutError

from otpverify._version import __version__
from otpverify.gateways.call import LARGEST_REPLY, Call, Failure, Reply, causes_of

_POOL_SIZE = 32
_CHUNK = 8192
_SHORTEST_SECONDS = 0.001


class _Current(threading.local):
    """The exchange that this thread is in: when it must end, and whether it was begun."""

    ends = float("inf")
    begun = False

    def bound(self, sock: socket.socket) -> None:
        """Let the next wait of the socket end when the exchange must."""
        left = max(self.ends - time.monotonic(), _SHORTEST_SECONDS)
        own = sock.gettimeout()
        sock.settimeout(left if own is None else min(own, left))


_current = _Current()


class _BoundedReader(io.RawIOBase):
    """Reads a socket until the exchange must end. The timeout of a socket is for one wait, and
    starts anew with every byte of a peer that drips."""

    def __init__(self, raw: io.RawIOBase, sock: socket.socket) -> None:
        self._raw = raw
        self._sock = sock

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        if time.monotonic() >= _current.ends:
            raise TimeoutError("The time is up.")
        _current.bound(self._sock)
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()


class _Response(http.client.HTTPResponse):
    def __init__(self, sock: socket.socket, *args: Any, **options: Any) -> None:
        super().__init__(sock, *args, **options)
        self.fp = io.BufferedReader(_BoundedReader(self.fp.detach(), sock))


class _Bounded(HTTPConnection):
    """A connection whose every wait ends when the exchange must."""

    response_class = _Response
    _ready = False

    def _new_conn(self) -> socket.socket:
        sock = super()._new_conn()
        _current.bound(sock)
        return sock

    def connect(self) -> None:
        self._ready = False
        super().connect()
        self._ready = True

    def send(self, data: Any) -> None:
        if self.sock is None:
            self.connect()
        if self._ready:  # and not asking a proxy for a tunnel
            _current.begun = True
        _current.bound(self.sock)
        super().send(data)


class _BoundedTLS(_Bounded, HTTPSConnection):
    """The same, encrypted."""


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Bounded


class _TLSPool(HTTPSConnectionPool):
    ConnectionCls = _BoundedTLS


class _Adapter(HTTPAdapter):
    """Pools such connections, whether or not there is a proxy between."""

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        super().init_poolmanager(*args, **options)
        self.poolmanager.pool_classes_by_scheme = {"http": _Pool, "https": _TLSPool}

    def proxy_manager_for(self, proxy: Any, **options: Any) -> Any:
        manager = super().proxy_manager_for(proxy, **options)
        manager.pool_classes_by_scheme = {"http": _Pool, "https": _TLSPool}
        return manager


class _Session(requests.Session):
    """A session for which no reply is a redirect. Even told not to follow them, requests parses
    the target, and fails on an odd one with errors that are none of its own and print it."""

    def get_redirect_target(self, resp: requests.Response) -> None:  # noqa: ARG002 - whatever it says
        return None


def new_session(*, proxies: bool) -> requests.Session:
    """A session that follows no redirects, keeps no cookies, sends nothing of `.netrc`, retries
    nothing, and whose library logs nothing that was sent.

    Args:
        proxies: Whether to heed the environment's proxies and certificates.
    """
    session = _Session()
    session.trust_env = proxies
    session.headers["User-Agent"] = f"otpverify/{__version__}"
    session.headers["Accept"] = "application/json"
    # What is not compressed cannot swell.
    session.headers["Accept-Encoding"] = "identity"
    session.auth = _no_auth
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    adapter = _Adapter(pool_connections=1, pool_maxsize=_POOL_SIZE, max_retries=0)
    for scheme in ("http://", "https://"):
        session.mount(scheme, adapter)
    for name in ("urllib3.connectionpool", "urllib3.connection", "urllib3.util.retry"):
        logging.getLogger(name).addFilter(_hide_queries)
    return session


def carry(
    session: requests.Session,
    call: Call[Any],
    timeouts: tuple[float, float],
    seconds: float,
) -> Reply | Failure:
    """Make one attempt of a call.

    Args:
        session: Made by `new_session`.
        call: What to carry.
        timeouts: Seconds for the connection, and for each wait for the reply.
        seconds: How long all of it may take.
    """
    connect, read = (min(own, seconds) for own in timeouts)
    _current.ends, _current.begun = time.monotonic() + seconds, False
    posts = call.method == "POST"
    try:
        with session.request(
            call.method,
            call.url,
            json=call.fields if posts else None,
            params=None if posts else call.fields,
            timeout=(connect, read),
            allow_redirects=False,
            stream=True,
        ) as response:
            asked = response.raw.headers.getlist("Retry-After")
            return Reply(response.status_code, _read(response), tuple(asked))
    except (requests.RequestException, HTTPError) as error:
        # Given, not raised: the library's exception, which prints the URL and holds the
        # request, is not to be chained to ours.
        return _why(error)


def _no_auth(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """Keeps requests from sending what `.netrc` holds for the host."""
    return request


def _hide_queries(record: logging.LogRecord) -> bool:
    """urllib3 logs every URL at DEBUG; those that carry a token lose their query. It logs reply
    headers that it cannot parse, which may say anything, with the error that quotes them."""
    if isinstance(record.args, tuple):
        if any(isinstance(arg, HeaderParsingError) for arg in record.args):
            return False
        record.args = tuple(
            arg.partition("?")[0] + "?***" if isinstance(arg, str) and "token=" in arg else arg
            for arg in record.args
        )
    return True


def _why(error: Exception) -> Failure:
    """What a failure on the way says of the message."""
    causes = causes_of(error)
    return Failure(
        begun=_current.begun,
        late=any(isinstance(cause, TimeoutError | ReadTimeoutError) for cause in causes),
        tls=any(isinstance(cause, ssl.SSLError | requests.exceptions.SSLError) for cause in causes),
        certificate=any(isinstance(cause, ssl.SSLCertVerificationError) for cause in causes),
    )


def _read(response: requests.Response) -> bytes:
    """The body, up to what a reply may sensibly hold."""
    body = b""
    for chunk in response.raw.stream(_CHUNK, decode_content=False):
        body += chunk
        if len(body) > LARGEST_REPLY:
            break
    return body
