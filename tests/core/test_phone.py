"""Phone numbers as people type them."""

from __future__ import annotations

import unicodedata

import phonenumbers
import pytest
from hypothesis import given, strategies as st

from otpverify import ConfigurationError, InvalidPhoneNumber
from otpverify.core.phone import KINDS, describe, is_canonical
from otpverify.phone import hint, mask, normalize

E164 = "+37256789045"


@pytest.mark.parametrize(
    ("raw", "region"),
    [
        ("+37256789045", None),
        ("+372 5678 9045", None),
        ("  +372 5678 9045\n", None),
        ("+372-5678-9045", None),
        ("+372.5678.9045", None),
        ("+372/5678/9045", None),
        ("+372 (5678) 9045", None),
        ("(+372) 5678 9045", None),
        ("+372\u00a05678\u00a09045", None),
        ("+372\u202f5678\u202f9045", None),
        ("+372\u2011567\u201389045", None),
        ("\u202a+37256789045\u202c", None),
        ("+372\u200b56789045", None),
        ("＋３７２５６７８９０４５", None),
        ("+٣٧٢٥٦٧٨٩٠٤٥", None),
        ("+۳۷۲۵۶۷۸۹۰۴۵", None),
        ("+37256789045" + "-" * 52, None),  # 64 characters
        ("+37256789045" + "\u200b" * 244, None),  # 256 with those that nobody sees
        ("tel:+37256789045", None),
        ("TEL:+372-5678-9045", None),
        ("tel:%2B37256789045", None),
        ("56789045", "EE"),
        ("5678 9045", "ee"),
        ("00 372 5678 9045", "EE"),
        ("٠٠٣٧٢٥٦٧٨٩٠٤٥", "EE"),
        ("011 372 5678 9045", "US"),
        ("+372 5678 9045", "US"),
        ("tel:5678-9045", "EE"),
    ],
)
def test_understood(raw: str, region: str | None) -> None:
    assert normalize(raw, region) == E164


@pytest.mark.parametrize(
    ("raw", "region", "e164"),
    [
        ("(202) 555-0123", "US", "+12025550123"),
        ("01 71 83 87 50", "FR", "+33171838750"),
        ("020 7183 8750", "GB", "+442071838750"),
        ("06 698 12345", "IT", "+390669812345"),
        ("8 (912) 345-67-89", "RU", "+79123456789"),
        ("030 23125 000", "DE", "+493023125000"),
        ("2025550123", "US", "+12025550123"),
        ("37256789045", "EE", "+37256789045"),
        ("447400123456", "GB", "+447400123456"),
        ("447911123456", "GB", "+447911123456"),
        ("13812345678", "CN", "+8613812345678"),
        ("15012345678", "CN", "+8615012345678"),
        ("8615012345678", "CN", "+8615012345678"),
        ("4951234567", "RU", "+74951234567"),
        # No number of the region is that long.
        ("37256789045", "FR", "+37256789045"),
    ],
)
def test_national_numbers_of_a_region(raw: str, region: str, e164: str) -> None:
    assert normalize(raw, region) == e164


@pytest.mark.parametrize(
    ("raw", "region", "reason"),
    [
        ("", None, "empty"),
        (" \u00a0 ", None, "empty"),
        (None, None, "empty"),
        (37256789045, None, "not_a_number"),
        (b"+37256789045", None, "not_a_number"),
        ("56789045", None, "country_code_missing"),
        ("0037256789045", None, "country_code_missing"),
        ("+99956789045", None, "country_code_unknown"),
        ("+0056789045", None, "country_code_unknown"),
        ("+3725", None, "too_short"),
        ("+372567", None, "too_short"),
        ("12", "EE", "too_short"),
        ("+372567890451234", None, "too_long"),
        ("+" + "1" * 500, None, "too_long"),
        ("+37256789045" + "-" * 53, None, "too_long"),
        ("+37256789045" + "\u200b" * 245, None, "too_long"),
        ("tel:" + "%2B" + "%20" * 90, None, "too_long"),
        # Valid by Germany's plan, and longer than E.164 allows.
        ("67890456789045", "DE", "too_long"),
        ("+4967890456789045", None, "too_long"),
        ("+49 67890 456789045", "EE", "too_long"),
        ("4967890456789045", "DE", "too_long"),
        ("+37200000000", None, "not_in_use"),
        ("+447700900123", None, "not_in_use"),
        ("+37256789045x", None, "not_a_number"),
        ("call +37256789045", None, "not_a_number"),
        ("+37256789045 ext. 5", None, "not_a_number"),
        ("+37256789045;ext=5", None, "not_a_number"),
        ("1-800-FLOWERS", "US", "not_a_number"),
        ("+372+56789045", None, "not_a_number"),
        ("+37256789045, +37256789046", None, "not_a_number"),
        ("*100#", "EE", "not_a_number"),
        ("+", None, "not_a_number"),
        ("-", "EE", "not_a_number"),
        ("mailto:a@example.com", None, "not_a_number"),
        ("+372\x0056789045", None, "not_a_number"),
        # A number whose plus was left out must not become one of the region's own.
        ("37256789045", "DE", "country_code_missing"),
        ("447911123456", "DE", "country_code_missing"),
        ("15123456789", "DE", "country_code_missing"),  # 0151... there, +1 512... in Texas
        ("5540041234", "BR", "country_code_missing"),  # area 55 there, or +55
        # Nor may it become one of another country because a digit was mistyped.
        ("5678904512", "EE", "not_in_use"),
        # A whole number and more: another number, or an extension.
        ("+358412345678/9", None, "not_a_number"),
        ("0412345678 / 9", "FI", "not_a_number"),
        ("+358412345678 (2)", None, "not_a_number"),
        ("+358412345678\uff082\uff09", None, "not_a_number"),
        ("0412345678\n9", "FI", "not_a_number"),
        ("+358412345678\t9", None, "not_a_number"),
    ],
    ids=repr,
)
def test_refused_with_a_reason(raw: str, region: str | None, reason: str) -> None:
    with pytest.raises(InvalidPhoneNumber) as caught:
        normalize(raw, region)
    assert caught.value.reason == reason
    assert str(caught.value).endswith(".")
    assert not any(character.isdigit() for character in str(caught.value))
    assert isinstance(caught.value, ValueError)


@pytest.mark.parametrize("region", ["", "XX", "EST", "+372", 372, "001"])
def test_a_region_must_be_one(region: str) -> None:
    with pytest.raises(ConfigurationError):
        normalize(E164, region)


@given(st.text(max_size=80), st.sampled_from([None, "EE", "US", "SA"]))
def test_any_text_is_a_number_or_refused(raw: str, region: str | None) -> None:
    try:
        found = normalize(raw, region)
    except InvalidPhoneNumber:
        return
    assert is_canonical(found)
    assert normalize(found) == found


@given(
    st.integers(0, 9_999),
    st.lists(st.sampled_from(["", " ", "-", ".", "\u00a0", "(", ")"]), min_size=12, max_size=12),
    st.sampled_from(["0123456789", "٠١٢٣٤٥٦٧٨٩", "０１２３４５６７８９"]),
)
def test_however_it_is_spelled(number: int, between: list[str], digits: str) -> None:
    e164 = f"+3725678{number:04}"
    spelled = "".join(
        (digits[int(c)] if c.isdigit() else c) + gap
        for c, gap in zip(e164, ["", *between], strict=False)
    )
    assert normalize(spelled) == e164


@pytest.mark.parametrize(
    ("e164", "country", "kind"),
    [
        ("+37256789045", "EE", "mobile"),
        ("+12025550123", "US", "fixed_line_or_mobile"),
        ("+12042345678", "CA", "fixed_line_or_mobile"),
        ("+447797123456", "JE", "mobile"),
        ("+447400123456", "GB", "mobile"),
        ("+77012345678", "KZ", "mobile"),
        ("+79123456789", "RU", "mobile"),
        ("+38344123456", "XK", "mobile"),
        ("+447700900123", "GB", "unknown"),
        ("+18005550199", "US", "toll_free"),
        ("+19002345678", "US", "premium_rate"),
        ("+4970012345678", "DE", "personal_number"),
        ("+870773111632", None, "satellite"),
        ("+8816123456789", None, "satellite"),
        ("+88213123456", None, "international_network"),
        ("+80012345678", None, "toll_free"),
    ],
)
def test_country_and_kind(e164: str, country: str | None, kind: str) -> None:
    found = describe(e164)
    assert (found.country, found.kind) == (country, kind)
    assert kind in KINDS
    assert e164 not in repr(found)


@given(st.from_regex(r"\+[1-9][0-9]{6,14}", fullmatch=True))
def test_a_mask_hides_all_but_four_digits(e164: str) -> None:
    masked = mask(e164)
    assert len(masked) == len(e164)
    assert sum(character.isdigit() for character in masked) == 4


@pytest.mark.parametrize("short", ["", "+", "12345"])
def test_a_mask_of_something_short_shows_nothing(short: str) -> None:
    assert mask(short) == "***"


NATIONAL = [
    (region, number)
    for region in sorted(phonenumbers.SUPPORTED_REGIONS)
    for kind in range(11)
    if (number := phonenumbers.example_number_for_type(region, kind))
]


@pytest.mark.parametrize(
    ("e164", "shown"),
    [
        ("+12025550123", "+1 ••• ••• ••23"),
        ("+37256789045", "+372 ••• •••45"),
        ("+3725678904", "+372 ••• ••04"),
        ("+4915112345678", "+49 ••• ••• •••78"),
        ("+8613812345678", "+86 ••• ••• •••78"),
        ("+35312345678", "+353 ••• •••78"),
        ("+2904123", "+290 ••23"),
    ],
)
def test_a_hint_shows_the_country_code_and_the_last_two_digits(e164: str, shown: str) -> None:
    assert hint(e164) == shown


@given(st.sampled_from(NATIONAL))
def test_a_hint_hides_all_else(example: tuple[str, phonenumbers.PhoneNumber]) -> None:
    e164 = phonenumbers.format_number(example[1], phonenumbers.PhoneNumberFormat.E164)
    code = f"+{example[1].country_code}"
    shown = hint(e164).replace(" ", "")
    assert shown == code + "•" * (len(e164) - len(code) - 2) + e164[-2:]


INVISIBLE = [
    chr(code_point)
    for code_point in (*range(0x3000), *range(0xFE00, 0x10000), *range(0xE0000, 0xE1000))
    if unicodedata.category(chr(code_point)) == "Cf"
] + [*"\u034f\u115f\u1160\u17b4\u180b\u180e\u3164\ufe00\ufe0e\ufe0f\uffa0\U000e0100\U000e01ef"]


@pytest.mark.parametrize("character", INVISIBLE, ids=ascii)
def test_invisible_characters_are_dropped(character: str) -> None:
    for raw in (
        f"{character}+37256789045",
        f"+37256789045{character}",
        character.join("+37256789045"),
        f" {character} tel:{character}+372 5678{character} 9045 ",
    ):
        assert normalize(raw) == E164
    with pytest.raises(InvalidPhoneNumber) as caught:
        normalize(character * 3)
    assert caught.value.reason == "empty"


EXAMPLES = sorted(
    phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
    for region in [*phonenumbers.SUPPORTED_REGIONS, "001"]
    for kind in range(11)
    if (number := phonenumbers.example_number_for_type(region, kind))
)


def as_the_parser_has_it(e164: str) -> str | None:
    """E.164 by way of Google's parser and formatter alone."""
    try:
        number = phonenumbers.parse(e164, None)
    except phonenumbers.NumberParseException:
        return None
    if not phonenumbers.is_valid_number(number):
        return None
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def ours(raw: str) -> str | None:
    try:
        return normalize(raw)
    except InvalidPhoneNumber:
        return None


def test_numbers_of_every_plan_and_kind_are_read_as_the_parser_reads_them() -> None:
    assert len(EXAMPLES) > 1000
    assert [(raw, ours(raw)) for raw in EXAMPLES] == [(raw, raw) for raw in EXAMPLES]


@given(st.sampled_from(EXAMPLES), st.data())
def test_near_numbers_of_every_plan_too(example: str, data: st.DataObject) -> None:
    """With a digit changed, one more, or one less; a national prefix put in front."""
    digits = data.draw(st.integers(1, 4).map(lambda n: example[1 : n + 1]))
    rest = example[1 + len(digits) :]
    middle = data.draw(st.sampled_from(["", "0", "1", "8", "06", "44"]))
    cut = data.draw(st.integers(0, min(2, len(rest))))
    raw = f"+{digits}{middle}{rest[cut:]}"
    assert ours(raw) == as_the_parser_has_it(raw)


def test_the_numbers_of_every_region_are_accepted_as_people_write_them_there() -> None:
    """Two readings are refused where both are somebody's number; nothing becomes another number."""
    form = phonenumbers.PhoneNumberFormat
    refused = []
    for region, number in NATIONAL:
        e164 = phonenumbers.format_number(number, form.E164)
        national = phonenumbers.format_number(number, form.NATIONAL)
        for raw in (national, phonenumbers.normalize_digits_only(national)):
            assert normalize(raw, region) == e164
        international = phonenumbers.format_number(number, form.INTERNATIONAL).lstrip("+")
        for raw in (international, e164[1:], phonenumbers.national_significant_number(number)):
            try:
                found = normalize(raw, region)
            except InvalidPhoneNumber as error:
                refused.append(error.reason)
            else:
                assert found == e164, (raw, region)
    assert set(refused) == {"country_code_missing"}
    assert len(refused) < len(NATIONAL) / 20


@given(st.sampled_from(NATIONAL), st.sampled_from(sorted(phonenumbers.SUPPORTED_REGIONS)))
def test_a_number_never_becomes_that_of_another_person(
    example: tuple[str, phonenumbers.PhoneNumber], region: str
) -> None:
    """Without its plus, a foreign number is read as it is, is refused, or is exactly what people in
    the region write for one of their own numbers."""
    e164 = phonenumbers.format_number(example[1], phonenumbers.PhoneNumberFormat.E164)
    try:
        found = normalize(e164[1:], region)
    except InvalidPhoneNumber:
        return
    if found != e164:
        at_home = phonenumbers.parse(e164[1:], region)
        assert phonenumbers.is_valid_number(at_home)
        assert phonenumbers.country_code_for_region(region) == at_home.country_code
        home = phonenumbers.region_code_for_country_code(at_home.country_code)
        national = phonenumbers.format_number(at_home, phonenumbers.PhoneNumberFormat.NATIONAL)
        assert phonenumbers.normalize_digits_only(national) == e164[1:] or (
            phonenumbers.ndd_prefix_for_region(home, True) != "0"
        )
