"""Segments by GSM 03.38 and 03.40, and what makes a text UCS-2."""

from __future__ import annotations

import re
import unicodedata

import pytest
from hypothesis import given, strategies as st

from otpverify.sms import Segments, segments, suggest_gsm7

BASIC = (
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡"
    "ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
EXTENSION = "\f^{}\\[~]|€"
EMOJI = "\U0001f600"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ("GSM-7", 0, 1)),
        ("a" * 160, ("GSM-7", 160, 1)),
        ("a" * 161, ("GSM-7", 161, 2)),
        ("a" * 306, ("GSM-7", 306, 2)),
        ("a" * 307, ("GSM-7", 307, 3)),
        ("€" * 80, ("GSM-7", 160, 1)),
        ("€" * 80 + "a", ("GSM-7", 161, 2)),
        # 153 is odd: an escape pair does not fit into a segment's last unit.
        ("€" * 152, ("GSM-7", 304, 2)),
        ("€" * 153, ("GSM-7", 306, 3)),
        ("a" * 152 + "€" + "a" * 152, ("GSM-7", 306, 3)),
        ("a" * 153 + "€" + "a" * 151, ("GSM-7", 306, 2)),
        ("õ", ("UCS-2", 1, 1)),
        ("õ" * 70, ("UCS-2", 70, 1)),
        ("õ" * 71, ("UCS-2", 71, 2)),
        ("õ" * 134, ("UCS-2", 134, 2)),
        ("õ" * 135, ("UCS-2", 135, 3)),
        (EMOJI * 35, ("UCS-2", 70, 1)),
        (EMOJI * 36, ("UCS-2", 72, 2)),
        # 67 is odd, too: a surrogate pair moves on whole.
        (EMOJI * 66, ("UCS-2", 132, 2)),
        (EMOJI * 67, ("UCS-2", 134, 3)),
        ("õ" * 66 + EMOJI + "õ" * 66, ("UCS-2", 134, 3)),
        ("€" + "õ", ("UCS-2", 2, 1)),
        ("ç", ("UCS-2", 1, 1)),
        ("Ç", ("GSM-7", 1, 1)),
        ("`", ("UCS-2", 1, 1)),
        ("\t", ("UCS-2", 1, 1)),
        ("\x1b", ("UCS-2", 1, 1)),
    ],
    ids=lambda value: repr(value)[:20],
)
def test_segments(text: str, expected: tuple[str, int, int]) -> None:
    assert segments(text) == Segments(*expected)


def test_the_whole_alphabet() -> None:
    assert len(BASIC) == 127
    assert all(segments(character) == Segments("GSM-7", 1, 1) for character in BASIC)
    assert all(segments(character) == Segments("GSM-7", 2, 1) for character in EXTENSION)


@given(st.text(alphabet=BASIC + EXTENSION, max_size=400) | st.text(max_size=200))
def test_segments_by_cutting_the_text(text: str) -> None:
    """Cut greedily into what fits, never inside a character, and count the pieces."""
    gsm = all(character in BASIC + EXTENSION for character in text)

    def units(piece: str) -> int:
        if gsm:
            return sum(2 if character in EXTENSION else 1 for character in piece)
        return len(piece.encode("utf-16-le", "surrogatepass")) // 2

    single, joined = (160, 153) if gsm else (70, 67)
    pieces = [""]
    for character in text:
        if units(text) > single and units(pieces[-1] + character) > joined:
            pieces.append("")
        pieces[-1] += character
    assert segments(text) == Segments("GSM-7" if gsm else "UCS-2", units(text), len(pieces))


_MARKED = re.compile(r"LATIN (CAPITAL|SMALL) LETTER ([A-Z]) WITH ")
SUGGESTIONS = [
    ("’", "'"),
    ("‘", "'"),
    ("“", '"'),
    ("„", '"'),
    ("«", '"'),
    ("‹", "<"),
    ("″", '"'),
    ("`", "'"),
    ("–", "-"),
    ("—", "-"),
    ("\u2011", "-"),
    ("−", "-"),
    ("…", "..."),
    ("\u00a0", " "),
    ("\u202f", " "),
    ("\u2009", " "),
    ("\u3000", " "),
    ("\t", " "),
    ("\u200b", ""),
    ("\ufeff", ""),
    ("\u00ad", ""),
    ("•", "-"),
    ("·", "."),
    ("×", "x"),
    ("õ", "o"),
    ("ç", "c"),
    ("á", "a"),
    ("ő", "ö"),
    ("ű", "ü"),
    ("Ł", "L"),
    ("đ", "d"),
    ("ı", "i"),
    ("İ", "I"),
    ("ş", "s"),
    ("ț", "t"),
    ("œ", "oe"),
    ("þ", "th"),
    ("Þ", "Th"),
    ("Ð", "D"),
    ("ð", "d"),
    ("Ŋ", "NG"),
    ("ŋ", "ng"),
    ("Œ", "OE"),
    ("ẞ", "SS"),
    ("ệ", "e"),
    ("★", "*"),
    ("⁄", "/"),
    ("、", ","),
    ("ﬁ", "fi"),
    ("½", "1/2"),
    ("™", "TM"),
    ("©", "(c)"),
    ("®", "(R)"),
    ("≤", "<="),
    ("≥", ">="),
    ("→", "->"),
    ("←", "<-"),
    ("。", "."),
    ("№", "No"),
    ("Ａ", "A"),
    ("Α", "A"),
    ("Ά", "A"),
    # Composed, GSM-7 has it.
    ("e\u0301", "é"),
    ("n\u0303", "ñ"),
    ("e\u0301\u0302", "é"),
    ("n\u0303\u0304\u0301", "ñ"),
    ("x\u0302\u0301", "x"),
    ("ж\u0301", None),
    # Composed or not, it does not.
    ("o\u0303", "o"),
    ("α", None),
    ("ж", None),
    ("ש", None),
    ("ع", None),
    ("字", None),
    (EMOJI, None),
    ("\ud800", None),
]


@pytest.mark.parametrize(("character", "replacement"), SUGGESTIONS, ids=ascii)
def test_what_gsm7_has_instead(character: str, replacement: str | None) -> None:
    (found,) = suggest_gsm7(f"{character}ab{character}c")
    assert (found.character, found.replacement) == (character, replacement)
    assert found.positions == (0, len(character) + 2)


def test_letters_of_latin_1_and_extended_a_lose_no_more_than_their_marks() -> None:
    """Strokes and dots, too, which are no marks in Unicode."""
    for character in map(chr, range(0xC0, 0x180)):
        named = _MARKED.match(unicodedata.name(character))
        suggested = suggest_gsm7(character)
        if named and suggested:
            plain = named[2] if named[1] == "CAPITAL" else named[2].lower()
            (found,) = suggested
            assert found.replacement, character
            assert unicodedata.normalize("NFD", found.replacement)[0] == plain


def test_a_suggestion_has_the_name_of_its_character() -> None:
    assert [found.name for found in suggest_gsm7("it’s\x01 e\u0301")] == [
        "RIGHT SINGLE QUOTATION MARK",
        "U+0001",
        "LATIN SMALL LETTER E + COMBINING ACUTE ACCENT",
    ]


MIXED = st.text(max_size=60) | st.lists(
    st.sampled_from([*BASIC, *EXTENSION, *(character for character, _ in SUGGESTIONS)]), max_size=60
).map("".join)


@given(MIXED)
def test_a_text_without_what_is_suggested_is_gsm7(text: str) -> None:
    suggestions = suggest_gsm7(text)
    assert (not suggestions) == (segments(text).encoding == "GSM-7")
    places = sorted(
        (position, found.character, found.replacement)
        for found in suggestions
        for position in found.positions
    )
    fixed, end = "", 0
    for position, character, replacement in places:
        assert text[position : position + len(character)] == character
        fixed += text[end:position] + (replacement or "")
        end = position + len(character)
    assert segments(fixed + text[end:]).encoding == "GSM-7"
