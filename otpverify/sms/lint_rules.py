"""Rules that find faults in a message's text before it is sent."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from string import Formatter
from typing import NamedTuple

from otpverify.sms.gsm7 import segments

FIELDS = ("code", "brand", "lifetime")

# Strings that are compiled on first use, to keep the import of the package fast.
_HOST = r"(?=.{1,253}\Z)[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*"
# Android's is the first 11 characters of a SHA-256 in Base64.
_APP_HASH = r"[A-Za-z0-9+/]{11}"
# A scheme, www., a host with a top-level domain of letters, or an IPv4 address.
_LINK = r"(?i)://|\bwww\.|[^\W_][\w-]*\.[^\W\d_]{2,}|\b\d{1,3}(?:\.\d{1,3}){3}\b"
_DIGITS = r"\d{4,}"
# The specification reads the last line; Chromium reads the first match in the text.
_ORIGIN_LINE = r"@([^\t\n\f\r ]+) #([^\t\n\f\r ]+)"
_ORIGIN_ANYWHERE = r"(?:^|\s)@([a-zA-Z0-9.-]+) #([^#\s]+)"
BIDI_CONTROLS = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"


class Finding(NamedTuple):
    """A fault in a text, and how to fix it.

    Attributes:
        rule: One word, such as `"link"`.
        message: A sentence or two.
    """

    rule: str
    message: str


def brand_findings(brand: str) -> Iterator[Finding]:
    """Faults of a brand."""
    if not isinstance(brand, str):
        yield Finding("brand", "brand must be a str.")
        return
    if not brand.strip():
        yield Finding("brand", "brand is empty; leave it out, or give the name people know.")
    if re.search(r"\d", brand):
        yield Finding("digits", "brand must be a name without digits: phones take them for codes.")
    if _unprintable(brand) or "\n" in brand:
        yield Finding("control", "brand must be one line without control characters.")
    if re.search(_LINK, brand):
        yield Finding("link", "brand looks like a link, and carriers filter those; drop the dot.")


def origin_findings(origin: str) -> Iterator[Finding]:
    """Faults of an origin: it must be the host name by which a browser identifies the page."""
    if not isinstance(origin, str) or not re.fullmatch(_HOST, origin):
        yield Finding(
            "origin",
            'origin must be a bare lower-case host such as "example.com", without https://.',
        )


def app_hash_findings(app_hash: str) -> Iterator[Finding]:
    """Faults of an app hash for Android's SMS Retriever."""
    if not isinstance(app_hash, str) or not re.fullmatch(_APP_HASH, app_hash):
        yield Finding(
            "app_hash",
            'app_hash must be the 11 characters that identify an Android app, such as "FA+9qCX9VSu"'
            "; Android's AppSignatureHelper prints them.",
        )


def template_findings(template: str, *, has_brand: bool) -> Iterator[Finding]:
    """Faults of a template itself.

    Args:
        template: The text, with fields in braces.
        has_brand: Whether there is a brand to insert.
    """
    try:
        fields = [part[1:] for part in Formatter().parse(template) if part[1] is not None]
    except ValueError:
        yield Finding("field", "The braces do not match; write {{ and }} for braces themselves.")
        return
    names = [str(name) for name, _, _ in fields]
    known = ", ".join(f"{{{name}}}" for name in FIELDS)
    for name, spec, conversion in fields:
        if name not in FIELDS or spec or conversion:
            yield Finding("field", f"A template may use {known} and nothing else; not {{{name}}}.")
    if names.count("code") != 1:
        yield Finding("code", f"{{code}} must occur once, not {names.count('code')} times.")
    if "brand" in names and not has_brand:
        yield Finding("brand", "{brand} needs a brand; pass brand.")


def text_findings(
    text: str,
    code: str,
    *,
    origin: str | None = None,
    app_hash: str | None = None,
    max_segments: int = 1,
) -> Iterator[Finding]:
    """Faults of a whole text.

    Args:
        text: The text as it would be sent.
        code: The code in it.
        origin: The host that its last line must contain.
        app_hash: The app hash that it must end with.
        max_segments: How many segments it may take.
    """
    closed = origin is not None or app_hash is not None
    body, _, last = text.rpartition("\n") if closed else (text, "", "")
    if _unprintable(body):
        yield Finding(
            "control", "There are control characters; a line feed is the only one to use."
        )
    if re.search(_ORIGIN_ANYWHERE, body) or re.search(r"^@", body, re.MULTILINE):
        yield Finding(
            "origin",
            "Browsers could take a part that begins with @ for the origin line; pass origin "
            "instead, which writes that line itself.",
        )
    elif origin is not None and not _parses(text, last, (origin, code)):
        yield Finding("origin", "Browsers would not find origin and code in the last line.")
    link = re.search(_LINK, body)
    if link:
        yield Finding(
            "link", f"{link.group()!r} looks like a link, and carriers filter those; reword it."
        )
    yield from _digit_findings(body, code)
    if app_hash is not None and not last.endswith(app_hash):
        yield Finding("app_hash", "The app hash must be the end of the last line.")
    yield from _length_findings(text, app_hash, max_segments)


def _digit_findings(body: str, code: str) -> Iterator[Finding]:
    if not re.search(rf"(?<![A-Za-z0-9_]){re.escape(code)}(?![A-Za-z0-9_])", body):
        yield Finding("code", "The code must stand apart from the letters and digits beside it.")
    others = re.findall(_DIGITS, body.replace(code, " ", 1))
    if others:
        yield Finding(
            "digits",
            f"{others[0]} could be taken for the code; phones look for 4 digits and more.",
        )


def _length_findings(text: str, app_hash: str | None, max_segments: int) -> Iterator[Finding]:
    count = segments(text)
    if count.parts > max_segments:
        yield Finding(
            "segments",
            f"It takes {count.parts} segments ({count.units} units of {count.encoding}); shorten "
            "it, or pass max_segments to pay for more.",
        )
    elif app_hash is not None and count.parts > 1:
        yield Finding(
            "app_hash", "Android gives an app only texts of up to 140 bytes (one segment)."
        )


def _parses(text: str, last: str, expected: tuple[str, str]) -> bool:
    """Whether browsers find this host and this code in the text."""
    by_spec, anywhere = re.match(_ORIGIN_LINE, last), re.search(_ORIGIN_ANYWHERE, text)
    return (
        by_spec is not None
        and anywhere is not None
        and by_spec.groups() == anywhere.groups() == expected
    )


def _unprintable(text: str) -> bool:
    return any(
        (unicodedata.category(c) in ("Cc", "Zl", "Zp") and c != "\n") or c in BIDI_CONTROLS
        for c in text
    )
