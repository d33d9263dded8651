"""Counts the segments of a text: GSM 03.38 (3GPP TS 23.038) and GSM 03.40 (TS 23.040)."""

from __future__ import annotations

from dataclasses import dataclass

# The default alphabet without its escape character, which cannot occur in a text.
_BASIC = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
# Sent as an escape and a second septet: two units each.
_EXTENSION = frozenset("\f^{}\\[~]|€")

_SINGLE = {"GSM-7": 160, "UCS-2": 70}
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
    if units <= _SINGLE[encoding]:
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
