"""One-time codes: drawing one, and reading what a person typed."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable

from otpverify.core.invisible import without_invisible

# Hyphen-minus, hyphen, non-breaking hyphen, small hyphen-minus, full-width hyphen-minus.
_HYPHENS = frozenset("-\u2010\u2011\ufe63\uff0d")
_LONGEST_INPUT = 64


def draw(randbelow: Callable[[int], int], length: int) -> str:
    """A code of `length` digits, uniform over the whole range, leading zeros included.

    Args:
        randbelow: Returns a uniform whole number below its argument, as `secrets.randbelow` does.
        length: How many digits.
    """
    return str(randbelow(10**length)).zfill(length)


def clean(typed: object, length: int) -> str | None:
    """The code that a person meant, or `None` when the input cannot be a code.

    It accepts white space, hyphens and the decimal digits of any script (`unicodedata`
    category Nd, so a superscript or a circled digit is not one); nothing else that can be seen.
    Invisible characters are dropped.
    """
    if not isinstance(typed, str) or len(typed) > _LONGEST_INPUT:
        return None
    if len(typed) == length and typed.isascii() and typed.isdecimal():
        return typed
    digits = []
    for character in without_invisible(typed):
        if character.isspace() or character in _HYPHENS:
            continue
        value = unicodedata.decimal(character, None)
        if value is None:
            return None
        digits.append(str(value))
    return "".join(digits) if len(digits) == length else None
