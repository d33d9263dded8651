"""The inbox page. The server writes every message's HTML, escaped; the script only moves it."""

from __future__ import annotations

import re
from functools import cache
from html import escape
from importlib.resources import files
from operator import itemgetter
from string import Template

from otpverify.sandbox.gateway import Reply
from otpverify.sandbox.outbox import Captured

_MOST_SHOWN = 200
_TYPES = {
    "inbox.css": "text/css; charset=utf-8",
    "inbox.html": "text/html; charset=utf-8",
    "inbox.js": "text/javascript; charset=utf-8",
}
# A page on this machine, such as the demo's, may show the inbox in a frame.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src data:; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'self' http://127.0.0.1:* http://localhost:*"
)
_HEADERS = (("Content-Security-Policy", _POLICY), ("Referrer-Policy", "no-referrer"))

_MESSAGE = Template("""\
<li class="message" id="m-$id" data-reported="$reported">
<article aria-label="Message to $to">
<div class="top"><span class="to">$to</span><time datetime="$iso">$clock UTC</time></div>
$purpose$code<p class="text">$text</p>
<dl class="facts">
<div><dt>From</dt><dd>$sender</dd></div>
<div><dt>Encoding</dt><dd>$encoding</dd></div>
<div><dt>Units</dt><dd>$units</dd></div>
<div class="$parts_class"><dt>Segments</dt><dd>$parts</dd></div>
$report</dl>
</article>
</li>""")
_REFUSED = Template("""\
<li class="message" id="m-$id" data-reported="">
<article aria-label="Refused message to $to">
<div class="top"><span class="to">$to</span><time datetime="$iso">$clock UTC</time></div>
$purpose</article>
</li>""")
_PURPOSE = Template("""\
<p class="purpose"><strong>On purpose</strong> $what</p>
""")
_REPORT = Template("""\
<div class="report"><dt>Report</dt><dd>$reported</dd></div>
""")
_CODE = Template("""\
<button class="code" type="button" data-code="$code">\
<span class="digits">$code</span> <span class="hint">Copy</span></button>
""")


def inbox(messages: list[Captured], refused: list[Captured], *, embedded: bool) -> Reply:
    """The page.

    Args:
        messages: The messages, newest first; the newest 200 are shown.
        refused: Those that were refused on purpose, which are shown between the messages.
        embedded: For a frame: its header is there for screen readers only.
    """
    shown = [(message.received_at, _message(message)) for message in messages[:_MOST_SHOWN]]
    shown += [(message.received_at, _refused(message)) for message in refused]
    shown.sort(key=itemgetter(0), reverse=True)
    html = Template(_read("inbox.html")).substitute(
        mode="embedded" if embedded else "whole",
        count=len(messages),
        messages="\n".join(html for _, html in shown),
    )
    # A text can hold half a surrogate pair, which UTF-8 cannot.
    return Reply(200, html.encode(errors="replace"), _TYPES["inbox.html"], _HEADERS)


def asset(name: str) -> Reply:
    """The page's style or script."""
    return Reply(200, _read(name).encode(), _TYPES[name], _HEADERS)


@cache
def _read(name: str) -> str:
    return files("otpverify.sandbox").joinpath("static", name).read_text(encoding="utf-8")


def _refused(message: Captured) -> str:
    return _REFUSED.substitute(
        id=escape(message.id),
        to=escape(message.to),
        iso=message.received_at.isoformat(),
        clock=f"{message.received_at:%H:%M:%S}",
        purpose=_purpose(message),
    )


def _purpose(message: Captured) -> str:
    what = message.on_purpose
    return _PURPOSE.substitute(what=escape(what)) if what else ""


def _message(message: Captured) -> str:
    reported = escape(message.reported or "")
    return _MESSAGE.substitute(
        id=escape(message.id),
        to=escape(message.to),
        iso=message.received_at.isoformat(),
        clock=f"{message.received_at:%H:%M:%S}",
        purpose=_purpose(message),
        code=_CODE.substitute(code=message.code) if message.code else "",
        text=_marked(message.text, message.code),
        sender=escape(message.sender_id),
        encoding=escape(message.encoding),
        units=message.units,
        parts=message.parts,
        parts_class="costly" if message.parts > 1 else "plain",
        reported=reported,
        report=_REPORT.substitute(reported=reported) if reported else "",
    )


def _marked(text: str, code: str | None) -> str:
    """The escaped text, with its code marked wherever it stands."""
    if code is None:
        return escape(text)
    pieces = re.split(rf"\b{code}\b", text, flags=re.ASCII)
    return f"<mark>{code}</mark>".join(escape(piece) for piece in pieces)
