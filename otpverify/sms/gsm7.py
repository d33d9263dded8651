"""Counts the segments of a text: GSM 03.38 (3GPP TS 23.038) and GSM 03.40 (TS 23.040). Finds the
characters that make a text UCS-2, and their replacements in GSM-7."""

# ruff: noqa: RUF001 - the module looks for characters that look like others

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

# The default alphabet without its escape character, which cannot occur in a text.
_BASIC = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
# Sent as an escape and a second septet: two units each.
_EXTENSION = frozenset("\f^{}\\[~]|€")

_ONE_SEGMENT = {"GSM-7": 160, "UCS-2": 70}
# A user data header of six octets takes 7 septets or 3 UTF-16 code units of every segment.
_CONCATENATED = {"GSM-7": 153, "UCS-2": 67}
_LAST_OF_BMP = "\uffff"
_ALPHABET = _BASIC | _EXTENSION


@dataclass(frozen=True, slots=True)
class Segments:
    """The encoding, length and number of segments of a text.

    Attributes:
        encoding: `"GSM-7"` or `"UCS-2"`.
        units: Septets for GSM-7, UTF-16 code units for UCS-2.
        parts: The number of segments that are sent and charged.
    """

    encoding: str
    units: int
    parts: int


def segments(text: str) -> Segments:
    """Count a text's encoding, units and segments.

    One character outside GSM-7 makes the whole text UCS-2. A character of the extension table
    takes two units, and so does one outside the Basic Multilingual Plane in UCS-2; neither
    pair is split between two segments.

    Args:
        text: The message's text.

    Returns:
        The count; an empty text has one segment, as it is sent.
    """
    encoding = "GSM-7" if is_gsm7(text) else "UCS-2"
    widths = [_width(character, encoding) for character in text]
    units = sum(widths)
    if units <= _ONE_SEGMENT[encoding]:
        return Segments(encoding, units, 1)
    room, parts, free = _CONCATENATED[encoding], 1, _CONCATENATED[encoding]
    for width in widths:
        if width > free:
            parts, free = parts + 1, room
        free -= width
    return Segments(encoding, units, parts)


def is_gsm7(text: str) -> bool:
    """Whether GSM-7, including its extension table, has every character of the text."""
    return _ALPHABET.issuperset(text)


def _width(character: str, encoding: str) -> int:
    if encoding == "GSM-7":
        return 2 if character in _EXTENSION else 1
    return 2 if character > _LAST_OF_BMP else 1


_REPLACED = {
    "'": "‘’‚‛′ʹʻʼʽˈ`´ˋ",
    '"': "“”„‟″«»〝〞〟",
    "<": "‹〈",
    ">": "›〉",
    "-": "‐‑‒–—―−⁃﹘•‣◦▪●",
    ".": "·∙",
    ",": "、",
    "/": "⁄∕",
    "*": "∗★☆",
    "x": "×",
    " ": "\t\v\u2028\u2029\u3164",
    "": "\u00ad\u180e\u200b\u200c\u200d\u200e\u200f\u2060\u2061\ufeff\ufe0e\ufe0f"
    "\u061c\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069",
}
_REPLACEMENTS = {character: to for to, characters in _REPLACED.items() for character in characters}
_REPLACEMENTS |= {
    "≤": "<=",
    "≥": ">=",
    "→": "->",
    "←": "<-",
    "©": "(c)",
    "®": "(R)",
    "。": ".",
    # Letters whose accent cannot be removed by decomposition.
    "Đ": "D",
    "đ": "d",
    "Ð": "D",
    "ð": "d",
    "Ħ": "H",
    "ħ": "h",
    "ı": "i",
    "Ł": "L",
    "ł": "l",
    "Ŋ": "NG",
    "ŋ": "ng",
    "Œ": "OE",
    "œ": "oe",
    "ẞ": "SS",
    "Ŧ": "T",
    "ŧ": "t",
    "Þ": "Th",
    "þ": "th",
    # The nearest letter in GSM-7 is not the one without an accent.
    "Ő": "Ö",
    "ő": "ö",
    "Ű": "Ü",
    "ű": "ü",
}
# Greek capitals that look like Latin ones; GSM-7 has the others.
_REPLACEMENTS |= dict(zip("ΑΒΕΖΗΙΚΜΝΟΡΤΥΧ", "ABEZHIKMNOPTYX", strict=True))

_MARKS = "".join(map(chr, range(0x300, 0x370)))
# A reader sees a character and its combining marks as one.
_CLUSTER = re.compile(r"[^\u0300-\u036f][\u0300-\u036f]*|[\u0300-\u036f]+")


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A character that GSM-7 lacks.

    Attributes:
        character: The character, with its combining marks.
        positions: Its positions, as indexes into the text, in order.
        replacement: The equivalent in GSM-7; `""` if the character can be left out, `None` if
            there is no equivalent.
        name: Its name in Unicode, such as `"RIGHT SINGLE QUOTATION MARK"`.
    """

    character: str
    positions: tuple[int, ...]
    replacement: str | None
    name: str


def suggest_gsm7(text: str) -> tuple[Suggestion, ...]:
    """Find the characters that make a text UCS-2, which halves the capacity of a segment.

    A text becomes GSM-7 (3GPP TS 23.038) when you apply every suggestion, and remove or reword
    every character without a replacement. Accents that GSM-7 lacks are dropped, as people do in
    text messages; the author of the text must judge whether readers of the language accept that.

    Args:
        text: The message's text.

    Returns:
        One suggestion for each such character, in the order of their first positions; empty
        for a text that is GSM-7 already.
    """
    found: dict[str, list[int]] = {}
    for cluster in _CLUSTER.finditer(text):
        if not is_gsm7(cluster.group()):
            found.setdefault(cluster.group(), []).append(cluster.start())
    return tuple(
        Suggestion(character, tuple(positions), _replacement(character), _name(character))
        for character, positions in found.items()
    )


def in_gsm7(text: str) -> str | None:
    """The text with every suggestion applied, or `None` if GSM-7 cannot carry it."""
    written = []
    for cluster in _CLUSTER.findall(text):
        part = cluster if is_gsm7(cluster) else _replacement(cluster)
        if part is None:
            return None
        written.append(part)
    return "".join(written)


def _replacement(cluster: str) -> str | None:
    composed = unicodedata.normalize("NFC", cluster)
    if is_gsm7(composed):
        return composed
    if composed in _REPLACEMENTS:
        return _REPLACEMENTS[composed]
    base = composed.rstrip(_MARKS)
    if base and base != composed:
        # No character has all of these marks: the remaining marks are dropped.
        return _replacement(base)
    parts = [_part(character) for character in unicodedata.normalize("NFKC", composed)]
    return None if None in parts else "".join(part for part in parts if part is not None)


def _part(character: str) -> str | None:
    if is_gsm7(character):
        return character
    if character in _REPLACEMENTS:
        return _REPLACEMENTS[character]
    if unicodedata.category(character) == "Zs":
        return " "
    bare = unicodedata.normalize("NFKD", character)
    if bare == character:
        return None
    parts = [_REPLACEMENTS.get(c, c) for c in bare if not "\u0300" <= c <= "\u036f"]
    return "".join(parts) if parts and is_gsm7("".join(parts)) else None


def _name(cluster: str) -> str:
    return " + ".join(unicodedata.name(c, f"U+{ord(c):04X}") for c in cluster)
