"""What the gateway was asked and what it replied, as text for people, without any secret.

The credentials never reach the text: fields that hold one are masked by their name, wherever they
are in the request, and the values of `hash` and `token` are masked wherever else they occur. An
address for delivery reports keeps the names of its parameters alone, for the application's token
is one of them.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Collection, Mapping
from email.message import Message
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, parse_qsl, urlencode, urlsplit, urlunsplit

from otpverify.sandbox.outbox import Exchange

if TYPE_CHECKING:
    from otpverify.sandbox.gateway import Reply

MASK = "***"
_SECRET_FIELDS = frozenset({"hash", "token", "password", "secret", "authorization", "apikey"})
_ADDRESS_FIELDS = frozenset({"report", "callbackurl"})
_SHOWN_HEADERS = ("Content-Type", "User-Agent", "X-Sandbox-Dialect")
_LONGEST = 4000
_DEEPEST = 8
_SHORTEST_SECRET = 4  # a shorter text is not a secret, and occurs in other words


def exchange_of(
    method: str,
    url: SplitResult,
    headers: Message,
    fields: Mapping[str, object],
    reply: Reply,
    *,
    credentials: Collection[str],
) -> Exchange:
    """The exchange as text.

    Args:
        method: The request's method.
        url: Its target.
        headers: Its headers; few of them are shown.
        fields: Its fields, decoded.
        reply: The reply, before its transport fails.
        credentials: What the sandbox's own account has.
    """
    given = [fields.get("hash"), fields.get("token")]
    secrets = {*credentials, *(one for one in given if isinstance(one, str))}
    hide = _hiding({one for one in secrets if len(one) >= _SHORTEST_SECRET})
    masked = {hide(name): _masked(name, value, hide) for name, value in fields.items()}
    as_query = urlencode(masked, doseq=True, safe="*+:/@", errors="replace")
    lines = [f"{method} {url.path or '/'}{f'?{as_query}' if method == 'GET' else ''}"]
    for name in _SHOWN_HEADERS:
        if value := headers.get(name):
            lines.append(f"{name}: {hide(value)}")
    if method != "GET":
        is_form = headers.get_content_type() == "application/x-www-form-urlencoded"
        lines += ["", as_query if is_form else json.dumps(masked, indent=2, ensure_ascii=False)]
    return Exchange(
        request=_shortened("\n".join(lines)),
        reply=_shortened(_reply(reply, hide)),
        asks_for_reports=bool(fields.get("report") or fields.get("callbackUrl")),
    )


def _reply(reply: Reply, hide: Callable[[str], str]) -> str:
    try:
        phrase = HTTPStatus(reply.status).phrase
    except ValueError:
        phrase = ""
    lines = [f"{reply.status} {phrase}".strip()]
    if reply.body:
        lines.append(f"Content-Type: {reply.content_type}")
    lines += [f"{name}: {value}" for name, value in reply.headers]
    body = reply.body.decode(errors="replace")
    if padding := len(body) - len(body.lstrip(" ")):
        body = f"({padding:,} spaces)\n{body.lstrip(' ')}"
    with contextlib.suppress(ValueError):  # one that is broken on purpose is shown as it is
        body = json.dumps(json.loads(body), indent=2, ensure_ascii=False)
    return hide("\n".join([*lines, "", body] if body else lines))


def _hiding(secrets: set[str]) -> Callable[[str], str]:
    longest_first = sorted(secrets, key=len, reverse=True)

    def hide(text: str) -> str:
        for secret in longest_first:
            text = text.replace(secret, MASK)
        return text

    return hide


def _masked(name: str, value: object, hide: Callable[[str], str], depth: int = 0) -> object:
    if name.casefold().replace("_", "").replace("-", "") in _SECRET_FIELDS:
        return MASK
    if name.casefold() in _ADDRESS_FIELDS:
        return hide(_address(value)) if isinstance(value, str) else MASK
    if isinstance(value, str):
        return hide(value)
    if not isinstance(value, list | dict):
        return value
    if depth == _DEEPEST:
        return "…"
    if isinstance(value, list):
        return [_masked("", one, hide, depth + 1) for one in value]
    return {hide(inner): _masked(inner, one, hide, depth + 1) for inner, one in value.items()}


def _address(given: str) -> str:
    """An address without what may be secret in it: the person, and the values of parameters."""
    try:
        url = urlsplit(given)
        names = [name for name, _ in parse_qsl(url.query, keep_blank_values=True)]
    except ValueError:
        return MASK
    if not url.scheme or not url.netloc:
        return MASK
    host = url.netloc.rpartition("@")[2]
    query = "&".join(f"{name}={MASK}" for name in names)
    return urlunsplit((url.scheme, host, url.path, query, ""))


def _shortened(text: str) -> str:
    left = len(text) - _LONGEST
    return f"{text[:_LONGEST]}\n… {left:,} more characters" if left > 0 else text
