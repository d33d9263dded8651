"""The inbox page. The server writes every message's HTML, escaped; the script only moves it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from functools import cache, lru_cache
from html import escape
from importlib.resources import files
from string import Template
from urllib.parse import urlencode

import phonenumbers

from otpverify.sandbox.gateway import Reply
from otpverify.sandbox.outbox import Captured, Entry, Found, Outbox, Search

PAGE_SIZE = 50
_LONGEST_TEXT = 400  # in the list; a message that is opened shows all of it
_TYPES = {
    "inbox.css": "text/css; charset=utf-8",
    "inbox.html": "text/html; charset=utf-8",
    "inbox.js": "text/javascript; charset=utf-8",
}
# A page on this machine, such as the demo's, may show the inbox in a frame.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src data:; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'self' http://127.0.0.1:* http://localhost:*"
)
_HEADERS = (("Content-Security-Policy", _POLICY), ("Referrer-Policy", "no-referrer"))
_STATUSES = {
    "": "All",
    "unread": "Unread",
    "queued": "Queued",
    "sent": "Sent",
    "delivered": "Delivered",
    "undelivered": "Undelivered",
    "rejected": "Rejected",
    "expired": "Expired",
    "failed": "Failed",
    "refused": "Refused",
}
_GOOD, _BAD = ("delivered",), ("undelivered", "rejected", "expired", "failed", "refused")
# Without the script, which keeps the page up to date. Not while somebody reads or searches.
_RELOAD = '<noscript><meta http-equiv="refresh" content="10"></noscript>\n'

_MESSAGE = Template("""\
<li class="message$classes" id="m-$id" data-state="$state" data-reported="$reported">
<article aria-label="$kind to $to">
<div class="top"><a class="to" data-key="open" href="$href"$current>$number</a>$unread$time</div>
$purpose$code<p class="text" dir="auto">$text</p>
<dl class="facts">
<div><dt>From</dt><dd><bdi>$sender</bdi></dd></div>
$parts$report</dl>
</article>
</li>""")
_DETAIL = Template("""\
<section class="detail" id="detail" aria-labelledby="opened" data-id="$id" data-state="$state">
<div class="actions"><a class="close" data-key="close" href="$close">Close</a>
<button class="delete" data-key="delete" type="button">Delete</button></div>
<h2 id="opened" tabindex="-1" data-key="opened">$number</h2>
<p class="when">$time</p>
$purpose$refused$code<p class="text" dir="auto">$text</p>
<dl class="table">
$facts
</dl>
<h3>Delivery</h3>
<ol class="timeline">
$timeline
</ol>
$hint<h3>Request</h3>
$request
<h3>Reply</h3>
$reply
<p class="json"><a data-key="json" href="/messages/$id">This message as JSON</a></p>
</section>""")
_NOTHING_OPEN = """\
<section class="detail" id="detail" aria-label="Message" data-id="" data-state="">
<p class="unopened">Open a message to see its delivery, the request and the reply.</p>
</section>"""
_PURPOSE = Template("""\
<p class="purpose"><strong>On purpose</strong> $what</p>
""")
_CODE = Template("""\
<button class="code" type="button" data-key="code" data-code="$code">\
<span class="digits">$code</span> <span class="hint">Copy</span></button>
""")
_FACT = Template("""<div class="$kind"><dt>$name</dt><dd>$value</dd></div>""")
_EVENT = Template("""\
<li class="$kind"><strong><bdi>$status</bdi></strong>$time<span class="said">$said</span></li>""")


def inbox(outbox: Outbox, query: Mapping[str, str]) -> Reply:
    """The page.

    Args:
        outbox: The messages; those that were refused are shown between the others.
        query: Of the page's address: `q`, `status` and `to` search, `before` pages, `id` opens a
            message, and `embed=1` is for a frame: its header is there for screen readers only.
    """
    search = Search(query.get("to", ""), query.get("q", ""), query.get("status", ""))
    before = query.get("before", "")
    found = outbox.find(search, limit=PAGE_SIZE, before=int(before) if _is_count(before) else None)
    opened = outbox.get(query.get("id", ""))
    place = _Place({name: query[name] for name in _KEPT if query.get(name)})
    embedded = query.get("embed") == "1"
    searching = any((search.to, search.q, search.status))
    kept, unread = outbox.counts()
    total = found.total if searching else kept
    html = Template(_read("inbox.html")).substitute(
        mode=("embedded" if embedded else "whole") + (" opened" if opened else ""),
        reload="" if opened or searching or place.fields.get("before") else _RELOAD,
        kept=kept,
        total=f"{total:,}",
        noun=("message" if total == 1 else "messages") + (" found" if searching else ""),
        unread=f"{unread:,}",
        no_unread="" if unread and not searching else " hidden",
        embed_field='<input type="hidden" name="embed" value="1">\n' if embedded else "",
        q=escape(search.q),
        statuses="\n".join(_options(search.status)),
        messages="\n".join(_row(entry, place, opened) for entry in found.entries),
        none="Nothing found" if searching else "No messages yet",
        hint="No message matches this search."
        if searching
        else "Request a code, or send a message to this server. It appears here at once.",
        pager=_pager(found, place),
        detail=_detail(opened, place) if opened else _NOTHING_OPEN,
    )
    # A text can hold half a surrogate pair, which UTF-8 cannot.
    return Reply(200, html.encode(errors="replace"), _TYPES["inbox.html"], _HEADERS)


def asset(name: str) -> Reply:
    """The page's style or script."""
    return Reply(200, _read(name).encode(), _TYPES[name], _HEADERS)


@cache
def _read(name: str) -> str:
    return files("otpverify.sandbox").joinpath("static", name).read_text(encoding="utf-8")


def _is_count(text: str) -> bool:
    return re.fullmatch(r"[0-9]{1,15}", text, re.ASCII) is not None


_KEPT = ("embed", "to", "q", "status", "before")


class _Place:
    """Where on the page's pages one is, and the links from there."""

    def __init__(self, fields: dict[str, str]) -> None:
        self.fields = fields

    def link(self, **changed: str | int | None) -> str:
        """The escaped address of the same page with these fields; `None` leaves one out."""
        fields = {**self.fields, **changed}
        query = urlencode({name: value for name, value in fields.items() if value is not None})
        return escape(f"/inbox?{query}" if query else "/inbox")


def _options(chosen: str) -> Iterator[str]:
    names = _STATUSES if chosen in _STATUSES else {**_STATUSES, chosen: chosen}
    for value, name in names.items():
        selected = " selected" if value == chosen else ""
        yield f'<option value="{escape(value)}"{selected}>{escape(name)}</option>'


def _pager(found: Found, place: _Place) -> str:
    first, last = found.newer + 1, found.newer + len(found.entries)
    links = []
    if found.newer:
        newer = place.link(before=found.before_newer)
        links.append(f'<a class="newer" rel="prev" data-key="newer" href="{newer}">Newer</a>')
    if found.entries and last < found.total:
        older = place.link(before=found.entries[-1].seq)
        links.append(f'<a class="older" rel="next" data-key="older" href="{older}">Older</a>')
    hidden = "" if links else " hidden"
    where = f"{first:,} to {last:,} of {found.total:,}" if found.entries else "No older messages"
    return (
        f'<nav class="pager" id="pager" aria-label="Pages"{hidden}>'
        f"<span>{where}</span>{''.join(links)}</nav>"
    )


def _row(entry: Entry, place: _Place, opened: Entry | None) -> str:
    message = entry.message
    is_open = opened is not None and opened.seq == entry.seq
    text = message.text
    if len(text) > _LONGEST_TEXT:
        text = text[:_LONGEST_TEXT] + "…"
    classes = ("" if entry.read else " unread") + (" refused" if entry.refused else "")
    return _MESSAGE.substitute(
        classes=classes + (" current" if is_open else ""),
        id=escape(message.id),
        state=escape(f"{entry.status} {entry.read} {is_open} {place.fields}"),
        reported=escape(message.reported or ""),
        kind="Message" if entry.refused is None else "Refused message",
        to=escape(message.to or "no number"),
        href=place.link(id=message.id),
        current=' aria-current="true"' if is_open else "",
        number=_number(message.to),
        unread="" if entry.read else '<span class="dot"><span class="unseen">Unread</span></span>',
        time=_time(message.received_at, "ago"),
        purpose=_purpose(message),
        code=_code(entry),
        text=_marked(text, message.code),
        sender=escape(message.sender_id),
        parts=_fact("Segments", str(message.parts), "costly") if message.parts > 1 else "",
        report=_report(entry),
    )


def _detail(entry: Entry, place: _Place) -> str:
    message, reports = entry.message, entry.reports
    facts = {
        "To": message.to,
        "From": message.sender_id,
        "Reference": message.reference,
        "Segments": f"{message.parts} ({message.encoding}, {message.units} units)",
        "Id": message.id,
    }
    last = reports[-1].at.isoformat() if reports else ""
    return _DETAIL.substitute(
        id=escape(message.id),
        state=escape(f"{message.id} {entry.status} {len(reports)} {last} {place.fields}"),
        close=place.link(),
        number=_number(message.to),
        time=_time(message.received_at, "full"),
        purpose=_purpose(message),
        refused=f'<p class="reason"><strong>Refused</strong> {escape(entry.refused)}</p>\n'
        if entry.refused is not None
        else "",
        code=_code(entry),
        text=_marked(message.text, message.code),
        facts="\n".join(_fact(name, value) for name, value in facts.items() if value),
        timeline="\n".join(_timeline(entry)),
        hint=_no_reports(entry),
        request=_raw("Request", entry.exchange.request),
        reply=_raw("Reply", entry.exchange.reply),
    )


def _timeline(entry: Entry) -> Iterator[str]:
    """What happened, oldest first: the gateway's decision, then each report to the application."""
    at = _time(entry.message.received_at, "clock")
    if entry.refused is not None:
        yield _EVENT.substitute(
            kind="bad", status="refused", time=at, said="The gateway did not take the message."
        )
        return
    yield _EVENT.substitute(
        kind="plain", status="queued", time=at, said="The gateway took the message."
    )
    seen: set[str] = set()
    for report in entry.reports:
        answer = f"answered {report.answered}" if report.answered is not None else "gave no answer"
        again = " Reported again." if report.status in seen else ""
        seen.add(report.status)
        yield _EVENT.substitute(
            kind=_kind(report.status) if report.accepted else "unheard",
            status=escape(report.status),
            time=_time(report.at, "clock"),
            said=f"The application {answer}.{again}",
        )


def _no_reports(entry: Entry) -> str:
    if entry.refused is not None or entry.reports:
        return ""
    if entry.exchange.asks_for_reports:
        return '<p class="note">No delivery report was sent yet.</p>\n'
    return '<p class="note">The request named no address for delivery reports.</p>\n'


def _raw(name: str, text: str) -> str:
    # It scrolls sideways, so the keyboard must reach it.
    return (
        f'<pre tabindex="0" role="region" aria-label="{name}" data-key="{name}">'
        f"{escape(text or 'Not known.')}</pre>"
    )


def _kind(status: str) -> str:
    return "good" if status in _GOOD else "bad" if status in _BAD else "plain"


def _report(entry: Entry) -> str:
    if entry.refused is not None:
        return _fact("Refused", entry.refused, "report bad")
    reported = entry.message.reported
    # One line, for a message that was reported; a queued one says nothing.
    return (
        f'<div class="report {_kind(reported)}"><dt>Report</dt><dd>{escape(reported)}</dd></div>\n'
        if reported
        else ""
    )


def _fact(name: str, value: str, kind: str = "plain") -> str:
    return _FACT.substitute(kind=kind, name=name, value=f"<bdi>{escape(value)}</bdi>") + "\n"


def _code(entry: Entry) -> str:
    code = entry.message.code
    # Nobody receives the code of a refused message.
    return _CODE.substitute(code=code) if code and entry.refused is None else ""


def _purpose(message: Captured) -> str:
    what = message.on_purpose
    return _PURPOSE.substitute(what=escape(what)) if what else ""


def _number(e164: str) -> str:
    """A number as people write it, by ITU-T E.123, always from left to right."""
    return f'<bdi dir="ltr">{escape(_spaced(e164) or "No number")}</bdi>'


@lru_cache(4096)
def _spaced(e164: str) -> str:
    try:
        number = phonenumbers.parse(e164)
    except phonenumbers.NumberParseException:
        return e164  # a refused request's, as it was sent
    written = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.INTERNATIONAL)
    return written.replace("-", " ")


def _time(at: datetime, shown: str) -> str:
    """A time. The script shows it in the reader's own zone: `ago`, by the `clock`, or in `full`."""
    text = f"{at:%H:%M:%S} UTC" if shown != "full" else f"{at:%Y-%m-%d %H:%M:%S} UTC"
    return (
        f'<time datetime="{at.isoformat()}" title="{at:%Y-%m-%d %H:%M:%S} UTC" '
        f'data-shown="{shown}">{text}</time>'
    )


def _marked(text: str, code: str | None) -> str:
    """The escaped text, with its code marked wherever it stands."""
    if code is None:
        return escape(text)
    pieces = re.split(rf"\b{code}\b", text, flags=re.ASCII)
    return f"<mark>{code}</mark>".join(escape(piece) for piece in pieces)
