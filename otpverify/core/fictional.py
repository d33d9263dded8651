"""Numbers that belong to nobody, and test numbers with a fixed code."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time

from otpverify.core import phone
from otpverify.errors import ConfigurationError

# Ranges that a regulator keeps free for films, books and documentation.
_RESERVED = tuple(
    re.compile(pattern)
    for pattern in (
        # NANP (ATIS-0300115): 555-0100 to 555-0199 in any geographic area code.
        r"\+1(?!8(\d)\1|900)[2-9]\d{2}55501\d{2}",
        r"\+447700900\d{3}",  # Ofcom, numbers for drama use: mobile
        r"\+3363998\d{4}",  # ARCEP, numbers for audiovisual works: mobile
        r"\+467017406(?:0[5-9]|[1-9]\d)",  # PTS, numbers for books and films: mobile
        r"\+61491570(?:006|156|157|158|159|110|313|737)",  # ACMA: mobile
        r"\+4915228(?:817386|895456)|\+4915254599371",  # Bundesnetzagentur, Mitteilung 148/2021
        r"\+4917139200\d{2}|\+49176040690\d{2}",  # the same
    )
)


def is_fictional(e164: str) -> bool:
    """Whether a regulator reserved this number for fiction, so that no person holds it."""
    return any(pattern.fullmatch(e164) for pattern in _RESERVED)


@dataclass(frozen=True, slots=True)
class TestNumber:
    """A number whose code is fixed, for an app-store reviewer or a CI run.

    Nothing is sent to it; attempts, limits, cooldown and expiry apply as to any number.

    Args:
        code: The code that is always right; digits, as many as the policy's `code_length`.
        expires: The last day it works, in UTC (a `date`), or an aware `datetime`. After it
            the number is one like any other.
        acknowledge_real: The number lies in no reserved fictional range, so it is or may
            become somebody's, and whoever knows the code can prove to hold it: yes, really.

    Raises:
        ConfigurationError: `expires` is missing or naive, or the code is not all digits.
    """

    __test__ = False  # pytest must not collect it

    code: str = field(repr=False)
    expires: date
    acknowledge_real: bool = False

    def __post_init__(self) -> None:
        if not (isinstance(self.code, str) and re.fullmatch(r"[0-9]+", self.code)):
            raise ConfigurationError("A test number's code must be a str of digits 0 to 9.")
        if not isinstance(self.expires, date):
            raise ConfigurationError("A test number must have an expiry date.")
        if isinstance(self.expires, datetime) and self.expires.tzinfo is None:
            raise ConfigurationError("A test number's expiry must be a date or an aware datetime.")

    def in_force(self, now: datetime) -> bool:
        """Whether the fixed code still works at `now` (aware)."""
        if isinstance(self.expires, datetime):
            return now < self.expires
        return now <= datetime.combine(self.expires, time.max, tzinfo=UTC)


def check_test_numbers(
    numbers: Mapping[str, TestNumber], code_length: int
) -> dict[str, TestNumber]:
    """A checked copy, by E.164 number.

    Raises:
        ConfigurationError: A key is not E.164, a code has another length than the policy's,
            or a number is neither fictional nor acknowledged.
    """
    if not isinstance(numbers, Mapping):
        raise ConfigurationError("test_numbers must map numbers in E.164 to TestNumber(...).")
    for number, test in numbers.items():
        if not phone.is_canonical(number):
            raise ConfigurationError(
                "A test number must be written in E.164, such as +12025550123."
            )
        shown = phone.mask(number)
        if not isinstance(test, TestNumber):
            raise ConfigurationError(f"The test number {shown} needs a TestNumber(code, expires).")
        if len(test.code) != code_length:
            raise ConfigurationError(
                f"The fixed code of {shown} must have code_length={code_length} digits."
            )
        if not (is_fictional(number) or test.acknowledge_real):
            raise ConfigurationError(
                f"The test number {shown} lies in no range reserved for fiction, so a person may "
                "hold it. Use one such as +12025550123, or set acknowledge_real=True."
            )
    return dict(numbers)
