"""What a store answers. Durations are whole milliseconds from the moment of the answer, so
that the store's clock and the caller's never have to agree."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from otpverify.core.limits import Limit


class Refusal(enum.Enum):
    """Why a send was not admitted."""

    COOLDOWN = "resend_cooldown"
    SENDS = "sends_per_phone"
    FAILURES = "failures_per_phone"
    NETWORK = "sends_per_ip"
    ATTEMPTS = "max_attempts"
    GONE = "gone"


class Verdict(enum.Enum):
    """What became of a code. `PENDING` is the answer of a read: the code may be compared."""

    ACCEPTED = "accepted"
    WRONG = "wrong"
    EXHAUSTED = "exhausted"
    GONE = "gone"
    PENDING = "pending"


@dataclass(frozen=True, slots=True)
class Standing:
    """How a live challenge stands.

    Attributes:
        expires_in: Until its last code expires.
        resend_in: Until another code may be sent to this phone for this purpose.
        attempts_left: Codes that may still be compared.
        sends_left: Codes that may still be sent within the phone's limits; `None`: no limit.
        decoy: Nothing is ever sent and no code ever matches.
    """

    expires_in: int
    resend_in: int
    attempts_left: int
    sends_left: int | None
    decoy: bool = False


@dataclass(frozen=True, slots=True)
class Opened:
    """A code is in place and its send is reserved; `at` names the reservation for `release`
    and `report`, and no other of this challenge."""

    at: int
    standing: Standing


@dataclass(frozen=True, slots=True)
class Refused:
    """Nothing was changed."""

    refusal: Refusal
    retry_in: int = 0
    limit: Limit | None = None


@dataclass(frozen=True, slots=True)
class Reserved:
    """One event of a counter is reserved; `at` names it for `give_back`, and no other of this
    counter."""

    at: int


@dataclass(frozen=True, slots=True)
class Checked:
    """The verdict, with `attempts_left` when it is WRONG and `retry_in` when EXHAUSTED."""

    verdict: Verdict
    attempts_left: int = 0
    retry_in: int = 0


@dataclass(frozen=True, slots=True)
class Reported:
    """What a delivery report did.

    Attributes:
        known: The message is remembered. What was given back is remembered for as long as its
            challenge lives, anything else at least for as long as a limit counts it.
        changed: It is news: neither a repeat nor overtaken by another.
        given_back: The send counts no more.
    """

    known: bool
    changed: bool = False
    given_back: bool = False
