"""What browsers, apps and attackers send by mistake or on purpose, to every address of a flow in
every framework: it is refused calmly, costs no attempt, and loses neither a code nor a proof."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import pytest
from support import LONG
from web_sites import (
    BUILT_IN,
    KNOWN,
    ODD,
    Site,
    WsgiExample,
    slow_in_long_form,
)

from otpverify.testing import OutboxSender

KINDS: list[type[Site]] = [*BUILT_IN, WsgiExample]
FORM = "application/x-www-form-urlencoded"
METHODS = ("HEAD", "OPTIONS", "PUT", "PATCH", "DELETE", "TRACE", "BREW")
QUERIES = (
    "%ff%00",
    "next=%ff",
    "next=//evil.example",
    "next=/%5Cevil.example",
    "next=javascript:alert(1)",
    "next=https:evil.example",
    "next=/%09/evil.example",
    "next=" + "/" * 3000,
    "next=a&next=//b",
    "=&&&===",
)
BODIES = {
    FORM: (
        b"",
        b"\xff\xfe\x00",
        b"code=%ff%fe&phone=%ff%fe",
        b"code=%00&phone=%00",
        b"code=" + b"1" * 100_000 + b"&phone=" + b"1" * 100_000,
        "code=\u200b\ufeff&phone=\u200b\ufeff".encode(),
        b"code=%F0%9F%98%80&phone=%F0%9F%98%80",
        b"code=%ED%A0%80&phone=%ED%A0%80",  # half a pair of surrogates
        b"code=letters&code=more&phone=a&phone=b",
        b"&" * 900,
    ),
    "application/json": (
        b"",
        b"{}",
        b"[]",
        b"null",
        b"\xff\xfe",
        b"\x00",
        b"[" * 10_000,
        b'{"code": null, "phone": null}',
        b'{"code": {"a": 1}, "phone": [1]}',
        b'{"code": 123456, "phone": 12025550123}',
        b'{"code": "\\ud800", "phone": "\\ud800"}',
        b'{"code": "\\u0000", "phone": "\\u0000"}',
        b'{"code": "' + b"1" * 3000 + b'", "phone": "' + b"1" * 3000 + b'"}',
        b'{"code": 1e999, "phone": NaN}',
        b'{"a": ' + b"9" * 5000 + b"}",
        b"{" + b" " * 100_000 + b"}",
    ),
    "text/plain": (b'{"code": "letters", "phone": "letters"}', b"\xff"),
    "multipart/form-data": (b"--", b""),
    "multipart/form-data; boundary=x": (
        b"--x\r\n\r\n\r\n--x--",
        b'--x\r\nContent-Disposition: form-data; name="code"\r\n\r\n\xff\r\n--x--\r\n',
        b'--x\r\nContent-Disposition: form-data; name="code"',
    ),
    "application/x-www-form-urlencoded; charset=utf-16": (b"code=letters&phone=letters",),
    "application/json; charset=utf-16": (b"{}",),
    ODD: (b"",),
    "image/png": (b"\x89PNG",),
}
HEADERS: tuple[dict[str, str], ...] = (
    {"accept-language": f"{ODD};q=9,,,;;-," * 100},
    {"accept": "a/b;q=x, */*;q=0"},
    {"cookie": f"session={ODD}; sessionid=../../x; id=\x7f; otpverify_notice={ODD}"},
    {"cookie": "session=.; sessionid=; otpverify_notice=a.b.c; =;;"},
    {"otp-flow": "." * 10_000},
    {"x-forwarded-for": "a, b", "x-requested-with": "x"},
)


def rough(site: Site) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Methods, addresses and the rest of requests."""
    hidden = "" if site.programs else urlencode(site.hidden())
    for address in dict.fromkeys(site.steps.values()):
        for method in METHODS:
            yield method, address, {}
        for query in QUERIES:
            yield "GET", f"{address}?{query}", {}
        for headers in HEADERS:
            yield "GET", address, {"headers": headers}
    for step in ("start", "code"):
        for kind, bodies in BODIES.items():
            for body in bodies:
                content = f"{hidden}&".encode() + body if hidden and kind == FORM else body
                yield (
                    "POST",
                    site.steps[step],
                    {"content": content, "headers": {"content-type": kind}},
                )


def send_all(site: Site, caplog: pytest.LogCaptureFixture, every: int = 1) -> None:
    """Send all requests, or every nth of them."""
    for method, address, more in list(rough(site))[::every]:
        what = f"{method} {address[:60]} {str(more)[:120]}"
        held = list(site.client.cookies.jar)
        seen = site.ask(method, address, **more)
        if "cookie" in more.get("headers", {}):  # another browser's, so to speak
            site.client.cookies.jar.clear()
            for cookie in held:
                site.client.cookies.jar.set_cookie(cookie)
        assert seen.status < 500, what
        location = seen.header("location")
        assert not location or (location[0] == "/" and location[1:2] not in ("/", "\\")), what
        assert "evil" not in location, what
    assert not [one for one in caplog.records if one.levelno >= logging.ERROR]


def state(site: Site) -> str:
    return site.status().body


@pytest.mark.parametrize("kind", slow_in_long_form(KINDS), ids=lambda kind: kind.name)
def test_rough_requests_are_refused_and_lose_nothing(
    kind: type[Site], caplog: pytest.LogCaptureFixture
) -> None:
    outbox, some = OutboxSender(), 1 if LONG else 7
    with kind(outbox) as site:
        send_all(site, caplog, some)
        site.send("start", phone=KNOWN)
        before = outbox.code()
        send_all(site, caplog)
        assert len(outbox) == 1
        assert ("5" in state(site)) or not site.programs
        seen = site.send("code", code=before)[-1]
        assert seen.status == 200
        assert "expired" not in seen.body
        if kind is not WsgiExample:  # its last page uses the proof up
            assert f'"{site.ends}"' in state(site)
            send_all(site, caplog, some)
            assert f'"{site.ends}"' in state(site)
