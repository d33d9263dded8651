"""Characters that cannot be seen. People copy them from pages and messages."""

from __future__ import annotations

import unicodedata
from typing import Final

# Default_Ignorable_Code_Point (Unicode, DerivedCoreProperties.txt), as far as category Cf lacks it:
# joiners of graphemes, fillers, variation selectors, and code points reserved for more of them.
_IGNORABLE: Final = (
    (0x034F, 0x034F),
    (0x115F, 0x1160),
    (0x17B4, 0x17B5),
    (0x180B, 0x180F),
    (0x2065, 0x2065),
    (0x3164, 0x3164),
    (0xFE00, 0xFE0F),
    (0xFFA0, 0xFFA0),
    (0xFFF0, 0xFFF8),
    (0xE0000, 0xE0FFF),
)


def without_invisible(text: str) -> str:
    """The text without format characters (category Cf) and characters that are displayed as
    nothing: byte order marks, joiners, marks of direction, variation selectors, tags. White space
    stays."""
    if text.isascii():
        return text
    return "".join(character for character in text if not is_invisible(character))


def is_invisible(character: str) -> bool:
    """Whether a character is a format character or is displayed as nothing."""
    if unicodedata.category(character) == "Cf":
        return True
    code_point = ord(character)
    return any(first <= code_point <= last for first, last in _IGNORABLE)
