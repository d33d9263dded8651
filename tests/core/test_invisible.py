"""Characters that nobody sees."""

from __future__ import annotations

import sys
import unicodedata

import pytest

from otpverify.core.invisible import is_invisible, without_invisible


def test_every_format_character_is_invisible() -> None:
    every = map(chr, range(sys.maxunicode + 1))
    formats = [character for character in every if unicodedata.category(character) == "Cf"]
    assert len(formats) > 100
    assert all(map(is_invisible, formats))
    assert without_invisible(f"1{''.join(formats)}2") == "12"


@pytest.mark.parametrize(
    "ends",
    [
        *("\u034f", "\u115f\u1160", "\u17b4\u17b5", "\u180b\u180f", "\u2065", "\u3164"),
        *("\ufe00\ufe0f", "\uffa0", "\ufff0\ufff8", "\U000e0000\U000e0fff"),
    ],
    ids=ascii,
)
def test_so_is_what_is_displayed_as_nothing(ends: str) -> None:
    """The ranges of Unicode's Default_Ignorable_Code_Point, by their first and last characters."""
    assert all(map(is_invisible, ends))
    for outside in (chr(ord(ends[0]) - 1), chr(ord(ends[-1]) + 1)):
        assert is_invisible(outside) == (unicodedata.category(outside) == "Cf")


@pytest.mark.parametrize("character", "a1 \t\n\u00a0\u2028\u3000é字٣\u0301", ids=ascii)
def test_white_space_letters_digits_and_marks_stay(character: str) -> None:
    assert not is_invisible(character)
    assert without_invisible(f"\u200b{character}\ufeff") == character
