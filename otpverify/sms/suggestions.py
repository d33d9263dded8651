"""Finds the characters that make a text UCS-2, and their replacements in GSM-7."""

# ruff: noqa: RUF001 - the module looks for characters that look like others

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

from otpverify.sms.gsm7 import is_gsm7

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
_SINGLE = {character: to for to, characters in _REPLACED.items() for character in characters}
_SINGLE |= {
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
_SINGLE |= dict(zip("ΑΒΕΖΗΙΚΜΝΟΡΤΥΧ", "ABEZHIKMNOPTYX", strict=True))

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
    if composed in _SINGLE:
        return _SINGLE[composed]
    base = composed.rstrip(_MARKS)
    if base and base != composed:
        # No character has all of these marks: the remaining marks are dropped.
        return _replacement(base)
    parts = [_part(character) for character in unicodedata.normalize("NFKC", composed)]
    return None if None in parts else "".join(part for part in parts if part is not None)


def _part(character: str) -> str | None:
    if is_gsm7(character):
        return character
    if character in _SINGLE:
        return _SINGLE[character]
    if unicodedata.category(character) == "Zs":
        return " "
    bare = unicodedata.normalize("NFKD", character)
    if bare == character:
        return None
    parts = [_SINGLE.get(c, c) for c in bare if not "\u0300" <= c <= "\u036f"]
    return "".join(parts) if parts and is_gsm7("".join(parts)) else None


def _name(cluster: str) -> str:
    return " + ".join(unicodedata.name(c, f"U+{ord(c):04X}") for c in cluster)
