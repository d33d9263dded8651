"""The numbers of a verifier, validated: code length, lifetimes, attempts, limits, test numbers."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time

from otpverify.core.limits import DAY_SECONDS, LARGEST, SECOND, Limit, require_whole
from otpverify.core.phone import is_canonical, mask
from otpverify.errors import ConfigurationError

# Ranges that a regulator reserves for films, books and documentation.
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
            the number is treated like any other.
        acknowledge_real: Accept a number outside the reserved fictional ranges. It belongs to a
            person, or may do so later, and anyone who knows the code can prove to hold it.

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
        if not is_canonical(number):
            raise ConfigurationError(
                "A test number must be written in E.164, such as +12025550123."
            )
        shown = mask(number)
        if not isinstance(test, TestNumber):
            raise ConfigurationError(f"The test number {shown} needs a TestNumber(code, expires).")
        if len(test.code) != code_length:
            raise ConfigurationError(
                f"The fixed code of {shown} must have code_length={code_length} digits."
            )
        if not (is_fictional(number) or test.acknowledge_real):
            raise ConfigurationError(
                f"The test number {shown} is not in a range reserved for fiction, so a person "
                "may hold it. Use one such as +12025550123, or set acknowledge_real=True."
            )
    return dict(numbers)


SHORTEST_CODE = 6
LONGEST_CODE = 10
LONGEST_TTL_SECONDS = 600
LONGEST_PROOF = 3600
HIGHEST_TAKEOVER = 1 / 10_000
MOST_CONSECUTIVE_FAILURES = 100
_FAILURES = Limit(30, DAY_SECONDS)
_CONSECUTIVE_FAILURES = Limit(MOST_CONSECUTIVE_FAILURES, 30 * DAY_SECONDS)


@dataclass(frozen=True, slots=True)
class Policy:
    """Lifetimes, attempts and limits. The defaults are safe. Unsafe values are refused, and the
    message says what to change.

    Args:
        code_length: Digits in a code, 6 to 10 (NIST SP 800-63B asks for at least 6).
        ttl_seconds: A code's lifetime in seconds, at most 600 (NIST SP 800-63B and OWASP
            ASVS 5.0, 6.5.5: ten minutes for a code sent out of band).
        max_attempts: Codes compared for one challenge, over all its resends.
        resend_cooldown_seconds: Seconds between two messages to one phone for one purpose; a right
            code ends the cooldown that its own challenge caused, unless that is concealed;
            0 for none.
        sends_per_phone: Messages to one phone, all purposes together.
        failures_per_phone: Wrong codes for one phone and purpose, over all its challenges. A right
            code gives none of them back: otherwise each login of the owner would give a guesser as
            many again.
        consecutive_failures: Wrong codes in a row for one phone and purpose, at most 100 (NIST
            SP 800-63B-4, 3.2.2). When they are reached, no code is sent and none is compared
            until the row ends: by `Verifier.unlock`, or when so many seconds have passed since
            the last of them. Before that, a right code ends it. `Limit(100, 10**9)` leaves it
            to `unlock` alone.
        live_codes: How many of a challenge's newest codes are accepted after resends (SMS
            overtake each other). Each one multiplies a guesser's chance; with 1, a resend
            immediately voids the previous code.
        sends_per_ip: Messages caused by one IPv4 address or one IPv6 /64 network, when
            `client_ip` is given; `()` for no such limit.
        undelivered_per_phone: Sends to one phone that are given back because a delivery report
            says that they failed; further ones count. `()` for no such limit.
        proof_ttl_seconds: For how many seconds after a right code `redeem` takes its proof, at
            most 3600. Allow as long as a person needs for the step that the code permits.
        test_numbers: E.164 numbers with a fixed code, for app-store reviewers and CI: nothing
            is sent, every other rule stays in force. See `TestNumber`.
        allow_weak: Accept an unsafe policy. State the reason in your code review.

    Raises:
        ConfigurationError: A value is out of range, or the policy is unsafe: under 6
            digits, over 600 seconds, without an attempt limit, over 100 consecutive failures, or
            with a takeover probability over 1 in 10,000 for a phone and day.
    """

    code_length: int = 6
    ttl_seconds: int = 600
    max_attempts: int = 5
    resend_cooldown_seconds: int = 60
    sends_per_phone: tuple[Limit, ...] = (Limit(5, 3600), Limit(10, DAY_SECONDS))
    failures_per_phone: Limit | None = _FAILURES
    consecutive_failures: Limit | None = _CONSECUTIVE_FAILURES
    live_codes: int = 3
    sends_per_ip: tuple[Limit, ...] = (Limit(10, 3600),)
    undelivered_per_phone: tuple[Limit, ...] = (Limit(5, DAY_SECONDS),)
    proof_ttl_seconds: int = 600
    test_numbers: Mapping[str, TestNumber] = field(default_factory=dict, repr=False, hash=False)
    allow_weak: bool = False

    def __post_init__(self) -> None:
        if self.max_attempts is None:
            self._refuse_unless_weak("max_attempts=None lets a guesser try until the code is found")
            object.__setattr__(self, "max_attempts", LARGEST)
        require_whole("code_length", self.code_length, least=1, most=LONGEST_CODE)
        require_whole("ttl_seconds", self.ttl_seconds, least=1, most=DAY_SECONDS)
        require_whole("max_attempts", self.max_attempts, least=1, most=LARGEST)
        cooldown = self.resend_cooldown_seconds
        require_whole("resend_cooldown_seconds", cooldown, least=0, most=LARGEST)
        require_whole("proof_ttl_seconds", self.proof_ttl_seconds, least=1, most=LONGEST_PROOF)
        require_whole("live_codes", self.live_codes, least=1, most=LARGEST)
        for name in ("sends_per_phone", "sends_per_ip", "undelivered_per_phone"):
            object.__setattr__(self, name, _limits(name, getattr(self, name)))
        for name in ("failures_per_phone", "consecutive_failures"):
            if not isinstance(getattr(self, name), Limit | None):
                raise ConfigurationError(f"{name} must be a Limit, or None.")
        numbers = check_test_numbers(self.test_numbers, self.code_length)
        object.__setattr__(self, "test_numbers", numbers)
        self._check_strength()

    @property
    def ttl(self) -> int:
        """A code's lifetime in milliseconds."""
        return self.ttl_seconds * SECOND

    @property
    def proof_ttl(self) -> int:
        """A proof's lifetime in milliseconds."""
        return self.proof_ttl_seconds * SECOND

    @property
    def cooldown(self) -> int:
        """The cooldown in milliseconds."""
        return self.resend_cooldown_seconds * SECOND

    def takeover_probability(self, days: float = 1) -> float:
        """The probability that an attacker guesses a code with the attempts this policy admits.

        An upper bound for one phone and purpose: every wrong code that `failures_per_phone`
        admits in that time, each against `live_codes` codes. Send limits do not lower it, since
        a send that the gateway did not take is given back.

        Args:
            days: How long the attack lasts, in days.

        Returns:
            A probability from 0 to 1.

        Raises:
            ConfigurationError: `days` is not above 0.
        """
        if not 0 < days < math.inf:
            raise ConfigurationError("days must be a number above 0.")
        if self.failures_per_phone is None:
            return 1.0
        guesses = self.failures_per_phone.admitted_in(days)
        return min(1.0, guesses * self.live_codes / float(10**self.code_length))

    def _check_strength(self) -> None:
        if self.code_length < SHORTEST_CODE:
            self._refuse_unless_weak(
                f"code_length={self.code_length} is under {SHORTEST_CODE} digits; "
                f"use code_length={SHORTEST_CODE}"
            )
        if self.ttl_seconds > LONGEST_TTL_SECONDS:
            self._refuse_unless_weak(
                f"ttl_seconds={self.ttl_seconds} is over ten minutes; "
                f"use ttl_seconds={LONGEST_TTL_SECONDS} and let people resend"
            )
        row, most = self.consecutive_failures, MOST_CONSECUTIVE_FAILURES
        if row is None or row.count > most:
            self._refuse_unless_weak(
                f"consecutive_failures admits over {most} wrong codes in a row; "
                f"use consecutive_failures=Limit({most}, {30 * DAY_SECONDS})"
            )
        chance = self.takeover_probability(days=1)
        if chance > HIGHEST_TAKEOVER:
            self._refuse_unless_weak(
                f"a phone can be taken over with probability {chance:.1e} a day, over 1 in "
                f"{round(1 / HIGHEST_TAKEOVER):,}; raise code_length, or lower "
                "failures_per_phone or live_codes"
            )

    def _refuse_unless_weak(self, why: str) -> None:
        if not self.allow_weak:
            raise ConfigurationError(f"Unsafe policy: {why}. allow_weak=True overrides this.")


def _limits(name: str, value: Limit | Iterable[Limit]) -> tuple[Limit, ...]:
    found: tuple[object, ...] = (value,)
    if isinstance(value, Iterable):
        found = tuple(value)
    limits = tuple(limit for limit in found if isinstance(limit, Limit))
    if len(limits) != len(found):
        raise ConfigurationError(
            f"{name} must hold Limit(count, seconds) values; () means no limit."
        )
    return limits
