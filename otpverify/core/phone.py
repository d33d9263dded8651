"""Phone numbers: from what a person types to E.164, by Google's numbering plans."""

from __future__ import annotations

import re
from collections.abc import Container
from dataclasses import dataclass, field
from functools import cache
from typing import Final, TypeGuard

import phonenumbers
from phonenumbers import NumberParseException, PhoneNumberType, ValidationResult

from otpverify.core.invisible import without_invisible
from otpverify.core.results import mask as mask
from otpverify.errors import ConfigurationError, InvalidPhoneNumber

_CANONICAL = re.compile(r"\+[1-9][0-9]{6,14}")
_LONGEST_E164 = 16  # with the plus
# A tel: URI (RFC 3966), and what people write between digits: any white space, hyphens and dashes,
# brackets, dots and slashes. No letters, no extensions.
_TEL = re.compile(r"tel:", re.IGNORECASE)
_WRITTEN = re.compile(
    "[(\uff08]?\\s*[+\uff0b]?"
    r"[\d\s().\[\]/\-"
    "\u2010-\u2015\u2212\uff08\uff09\uff0d\uff0e\uff0f]+"
)
# After a whole number, these begin another number or an extension: a slash, a new line, a tab, and
# brackets at the end.
_NEXT_NUMBER = re.compile(
    r"[/\uff0f\t\n\v\f\r\x1c-\x1e\x85\u2028\u2029]|[(\[\uff08][^(\[\uff08]*[)\]\uff09]\s*\Z"
)
_LONGEST_INPUT = 64
_LONGEST_ENCODED = 4 * _LONGEST_INPUT  # every character as %2B, and "tel:"

# The plans have more patterns than `re` caches. Without this, traffic from many countries compiles
# them again and again. Available since phonenumbers 9.0.43.
if hasattr(phonenumbers, "enable_pattern_cache"):
    phonenumbers.enable_pattern_cache()

_SATELLITE_CODES = frozenset({870, 881})
_TYPED_WORLDWIDE = frozenset(
    {PhoneNumberType.TOLL_FREE, PhoneNumberType.SHARED_COST, PhoneNumberType.PREMIUM_RATE}
)
_KINDS: Final = {
    PhoneNumberType.FIXED_LINE: "fixed_line",
    PhoneNumberType.MOBILE: "mobile",
    PhoneNumberType.FIXED_LINE_OR_MOBILE: "fixed_line_or_mobile",
    PhoneNumberType.TOLL_FREE: "toll_free",
    PhoneNumberType.PREMIUM_RATE: "premium_rate",
    PhoneNumberType.SHARED_COST: "shared_cost",
    PhoneNumberType.VOIP: "voip",
    PhoneNumberType.PERSONAL_NUMBER: "personal_number",
    PhoneNumberType.PAGER: "pager",
    PhoneNumberType.UAN: "universal_access",
    PhoneNumberType.VOICEMAIL: "voicemail",
}
KINDS = frozenset({*_KINDS.values(), "satellite", "international_network", "unknown"})
REGIONS: frozenset[str] = frozenset(phonenumbers.SUPPORTED_REGIONS)
COUNTRIES: tuple[str, ...] = ("", *sorted(REGIONS))
"""What a fraud policy counts apart; the first is for numbers of no country."""

_SENTENCES = {
    "empty": "Enter a phone number.",
    "not_a_number": "This is not a phone number.",
    "country_code_missing": "Enter the number with its country code, starting with +.",
    "country_code_unknown": "This country code does not exist.",
    "too_short": "This number is too short.",
    "too_long": "This number is too long.",
    "not_in_use": "This number is not in use. Check it for a mistyped digit.",
}


@dataclass(frozen=True, slots=True)
class Destination:
    """A phone number and what its numbering plan says about it. Guards decide by it.

    Attributes:
        phone: The number in E.164.
        country: The ISO 3166-1 alpha-2 code, such as `"CA"`; `None` for numbers that belong to no
            country (satellite, international networks).
        kind: One of `"mobile"`, `"fixed_line"`, `"fixed_line_or_mobile"`, `"toll_free"`,
            `"premium_rate"`, `"shared_cost"`, `"voip"`, `"personal_number"`, `"pager"`,
            `"universal_access"`, `"voicemail"`, `"satellite"`, `"international_network"`,
            `"unknown"`.
    """

    phone: str = field(repr=False)
    country: str | None
    kind: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SendRequest(Destination):
    """A destination, and what else is known of a call that asks for a code. Guards decide by it.

    Attributes:
        purpose: The purpose.
        client_ip: The person's IP address as the caller gave it; `None` if it gave none.
        locale: The message's language.
        trusted: The caller vouches for the number.
        human_checked: The caller saw a human check passed.
    """

    purpose: str
    client_ip: str | None = field(default=None, repr=False)
    locale: str = "en"
    trusted: bool = False
    human_checked: bool = False


def normalize(raw: str, region: str | None = None) -> str:
    """Convert what a person typed to E.164.

    It understands E.164, the international form with `+` or the region's own prefix (`00`,
    `011`), national numbers when `region` is given, spaces, hyphens, brackets, dots,
    non-breaking spaces, full-width and Arabic-Indic digits, and `tel:` links. Invisible
    characters are dropped.

    With a region, a number without a plus may be read in two ways: as one of the region's, and as
    an international number whose plus is missing. It is accepted if both are the same number, if
    only one of them is valid, or if it is written as the region writes its own numbers.

    Args:
        raw: What was typed.
        region: The ISO 3166-1 alpha-2 code, such as `"EE"`, for numbers without a country code.

    Returns:
        The number in E.164, such as `"+37256789045"`.

    Raises:
        InvalidPhoneNumber: It is not a valid number; a form can show the message.
        ConfigurationError: `region` is not a region.
    """
    return parse(raw, region)


def parse(raw: object, region: str | None = None, also: Container[str] = ()) -> str:
    """`normalize`, but the numbers in `also` are accepted even if they are not valid."""
    region = check_region(region)
    if is_canonical(raw) and _is_mobile(raw):
        return raw
    if raw is None:
        raise _invalid("empty")
    if not isinstance(raw, str):
        raise _invalid("not_a_number")
    text = _written(raw)
    try:
        national = phonenumbers.parse(text, region)
    except NumberParseException as error:
        raise _invalid(_parse_reason(error, text)) from None
    e164 = _e164(national)
    if e164 not in also:
        e164 = _one_reading(national, text, region)
        _refuse_several_numbers(raw, region)
    return e164


def load_plans() -> None:
    """Load the plans of all countries: 250 small files, a twentieth of a second, once a process.

    phonenumbers loads each when it is first needed, and holds a lock meanwhile that it does not
    release when that fails, as where a process has no file left to open: then every number of
    another country waits without end. In a process that was forked meanwhile, too.
    """
    phonenumbers.PhoneMetadata.load_all()


def check_region(region: str | None) -> str | None:
    """The region in capitals.

    Raises:
        ConfigurationError: It is not a region that has phone numbers.
    """
    if region is None:
        return None
    if not isinstance(region, str) or region.upper() not in REGIONS:
        raise ConfigurationError(
            'region must be an ISO 3166-1 alpha-2 code such as "EE", or None for numbers '
            "with a country code only."
        )
    return region.upper()


def is_canonical(raw: object) -> TypeGuard[str]:
    """Whether it is written exactly as E.164. The number need not exist."""
    return isinstance(raw, str) and _CANONICAL.fullmatch(raw) is not None


def describe(e164: str) -> Destination:
    """The country and kind of a number in E.164. Countries that share a calling code are
    distinguished; a number of no known range belongs to the calling code's main country. A text
    that is not a number belongs to no country."""
    try:
        number = phonenumbers.parse(e164, None)
    except NumberParseException:
        return Destination(e164, None, "unknown")
    country = phonenumbers.region_code_for_number(number)
    if country is None:
        country = phonenumbers.region_code_for_country_code(number.country_code or 0)
    worldwide = country not in REGIONS
    number_type = phonenumbers.number_type(number)
    kind = _KINDS.get(number_type, "unknown")
    if number.country_code in _SATELLITE_CODES:
        kind = "satellite"
    elif worldwide and number_type not in _TYPED_WORLDWIDE:
        kind = "international_network"
    return Destination(e164, None if worldwide else country, kind)


def country_of(e164: str) -> str | None:
    """The country of `describe`."""
    return describe(e164).country


def hint(e164: str) -> str:
    """The number as a page shows it to a person who may not see all of it: enough to recognise
    one's own phone, too little to learn another's.

    Args:
        e164: A number in E.164.

    Returns:
        The country code and the last two digits, such as `"+1 ••• ••• ••23"`.
    """
    number = phonenumbers.parse(e164, None)
    code = f"+{number.country_code}"
    hidden = "•" * (len(e164) - len(code) - 2) + e164[-2:]
    # Groups of three; the last one may have up to five, so that the digits do not stand alone.
    groups = [hidden[at : at + 3] for at in range(0, len(hidden), 3)]
    if len(groups) > 1 and len(groups[-1]) < 3:
        groups[-2:] = ["".join(groups[-2:])]
    return " ".join([code, *groups])


def _is_mobile(e164: str) -> bool:
    """Whether a number in E.164's form is certainly a valid mobile number as it is written. `False`
    is not conclusive. `True` saves the call of the parser, which would return the same: it changes
    only numbers that begin with a national prefix or a zero."""
    for end in (2, 3, 4):  # no calling code begins with another one
        numbers = _mobile_numbers(e164[1:end])
        if numbers is not None:
            return numbers.fullmatch(e164, end) is not None
    return False


@cache
def _mobile_numbers(calling_code: str) -> re.Pattern[str] | None:
    """The mobile numbers of a calling code's main country, without the code; `None` if there is no
    such code, or no such numbers."""
    code = int(calling_code)
    regions = phonenumbers.COUNTRY_CODE_TO_REGION_CODE.get(code)
    if not regions:
        return None
    plan = phonenumbers.PhoneMetadata.metadata_for_region_or_calling_code(code, regions[0])
    if plan is None or plan.mobile is None or plan.general_desc is None:
        return None
    lengths = "|".join(rf"\d{{{length}}}" for length in plan.mobile.possible_length)
    parts = (
        rf"(?!0|{plan.national_prefix_for_parsing or 0})(?={plan.leading_digits or ''})",
        rf"(?=(?:{lengths})\Z)(?=(?:{plan.general_desc.national_number_pattern})\Z)",
        rf"(?:{plan.mobile.national_number_pattern})",
    )
    return re.compile("".join(parts))


def _written(raw: str) -> str:
    if not raw.strip():
        raise _invalid("empty")
    if len(raw.strip()) > _LONGEST_ENCODED:
        raise _invalid("too_long")
    text = _visible(raw)
    if len(text) > _LONGEST_INPUT:
        raise _invalid("too_long")
    text = " ".join(text.split())
    if not text:
        raise _invalid("empty")
    if not _WRITTEN.fullmatch(text) or not any(map(str.isdecimal, text)):
        raise _invalid("not_a_number")
    return text


def _visible(raw: str) -> str:
    """The text without invisible characters, and the number of a `tel:` link."""
    text = without_invisible(raw).strip()
    if _TEL.match(text):
        from urllib.parse import unquote  # costly to import, and people hardly ever type links

        text = without_invisible(unquote(text[4:])).strip()
    return text


def _one_reading(number: phonenumbers.PhoneNumber, text: str, region: str | None) -> str:
    """The number that is meant, where the text can be read as one of the region's numbers and as
    an international number without its plus.

    Args:
        number: How the parser reads the text in the region.
        text: The text.
        region: The region.

    Raises:
        InvalidPhoneNumber: No reading is a valid number, or they are the numbers of two people.
    """
    abroad = _without_plus(text, region)
    if not _is_valid(number):
        if abroad is not None and (
            number.country_code == abroad.country_code
            # A number that has the length of the region's own may be one with a mistyped digit.
            or not phonenumbers.is_possible_number(number)
        ):
            return _e164(abroad)
        raise _invalid(_invalid_reason(number))
    if abroad is None or _e164(abroad) == _e164(number):
        return _e164(number)
    if number.country_code != abroad.country_code and _is_written_as_at_home(number, text):
        return _e164(number)
    raise _invalid("country_code_missing")


def _without_plus(text: str, region: str | None) -> phonenumbers.PhoneNumber | None:
    """The valid number that the text is with a plus in front of it; `None` if there is none."""
    first = text.lstrip("([ \uff08")[0]
    if region is None or first in "+\uff0b" or (first.isdecimal() and int(first) == 0):
        return None
    try:
        number = phonenumbers.parse("+" + text, None)
    except NumberParseException:
        return None
    return number if _is_valid(number) else None


def _is_written_as_at_home(number: phonenumbers.PhoneNumber, text: str) -> bool:
    """Whether people write the number in this way in its own country. Where numbers are written
    with a 0 in front and this one is not, they do not."""
    home = phonenumbers.region_code_for_country_code(number.country_code or 0)
    if phonenumbers.ndd_prefix_for_region(home, True) != "0":
        return True
    usual = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.NATIONAL)
    return phonenumbers.normalize_digits_only(usual) == phonenumbers.normalize_digits_only(text)


def _refuse_several_numbers(raw: str, region: str | None) -> None:
    """Refuse a whole number that is followed by more digits: another number or an extension.

    Raises:
        InvalidPhoneNumber: It is.
    """
    text = _visible(raw)
    for found in _NEXT_NUMBER.finditer(text):
        before, after = text[: found.start()], text[found.start() :]
        if not any(map(str.isdecimal, before)) or not any(map(str.isdecimal, after)):
            continue
        try:
            number = phonenumbers.parse(before, region)
        except NumberParseException:
            continue
        if _is_valid(number):
            raise _invalid("not_a_number")


def _is_valid(number: phonenumbers.PhoneNumber) -> bool:
    # A few plans, such as Germany's, have numbers that are longer than E.164 allows.
    fits = number.extension is None and len(_e164(number)) <= _LONGEST_E164
    return fits and phonenumbers.is_valid_number(number)


def _e164(number: phonenumbers.PhoneNumber) -> str:
    return f"+{number.country_code}{phonenumbers.national_significant_number(number)}"


def _parse_reason(error: NumberParseException, text: str) -> str:
    if error.error_type == NumberParseException.INVALID_COUNTRY_CODE:
        return "country_code_unknown" if text[0] in "+\uff0b" else "country_code_missing"
    if error.error_type == NumberParseException.TOO_LONG:
        return "too_long"
    if error.error_type == NumberParseException.NOT_A_NUMBER:
        return "not_a_number"
    return "too_short"


def _invalid_reason(number: phonenumbers.PhoneNumber) -> str:
    possible = phonenumbers.is_possible_number_with_reason(number)
    if possible == ValidationResult.TOO_SHORT:
        return "too_short"
    if possible == ValidationResult.TOO_LONG or len(_e164(number)) > _LONGEST_E164:
        return "too_long"
    return "not_in_use"


def _invalid(reason: str) -> InvalidPhoneNumber:
    return InvalidPhoneNumber(_SENTENCES[reason], reason=reason)
