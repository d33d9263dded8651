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


@pytest.mark.parametrize("character", "\u034f\u115f\u3164\ufe0f\uffa0\U000e0100", ids=ascii)
def test_so_is_what_is_displayed_as_nothing(character: str) -> None:
    assert is_invisible(character)


@pytest.mark.parametrize("character", "a1 \t\n\u00a0\u2028\u3000é字٣\u0301", ids=ascii)
def test_white_space_letters_digits_and_marks_stay(character: str) -> None:
    assert not is_invisible(character)
    assert without_invisible(f"\u200b{character}\ufeff") == character
