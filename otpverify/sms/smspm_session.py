"""HTTP as the SMSPM client needs it: a session of `requests` that keeps secrets to itself, and
what its failures mean for a message."""

from __future__ import annotations

import logging
import ssl
from http.cookiejar import DefaultCookiePolicy

import requests
from requests.adapters import HTTPAdapter
from urllib3.exceptions import (
    ConnectTimeoutError,
    HeaderParsingError,
    NewConnectionError,
    ReadTimeoutError,
)

from otpverify._version import __version__
from otpverify.errors import DeliveryUnavailable

_POOL_SIZE = 32


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
    session.auth = _no_auth
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    adapter = HTTPAdapter(pool_connections=1, pool_maxsize=_POOL_SIZE, max_retries=0)
    for scheme in ("http://", "https://"):
        session.mount(scheme, adapter)
    for name in ("urllib3.connectionpool", "urllib3.connection", "urllib3.util.retry"):
        logging.getLogger(name).addFilter(_hide_queries)
    return session


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


def transport_failure(error: requests.RequestException) -> DeliveryUnavailable:
    """What a failure on the way says of the message, in our own words."""
    cause = getattr(error.args[0], "reason", None) if error.args else None
    unreached = isinstance(cause, NewConnectionError | ConnectTimeoutError) or isinstance(
        error, requests.ConnectTimeout | requests.exceptions.ProxyError
    )
    if unreached:
        return DeliveryUnavailable(
            "SMSPM could not be reached.", provider_code="unreachable", maybe_sent=False
        )
    if isinstance(error, requests.exceptions.SSLError):
        handshake = cause is not None and isinstance(cause.args[0], ssl.SSLCertVerificationError)
        return DeliveryUnavailable(
            "The encrypted connection to SMSPM failed"
            + ("; its certificate is not valid." if handshake else "."),
            provider_code="tls_failed",
            maybe_sent=not handshake,
        )
    # requests has no timeout error for a body that stops arriving.
    late = isinstance(error, requests.Timeout) or any(
        isinstance(arg, ReadTimeoutError) for arg in error.args
    )
    code = "timeout" if late else "connection_lost"
    return DeliveryUnavailable(
        f"SMSPM did not answer ({code}). Nobody knows whether the message was taken.",
        provider_code=code,
    )
