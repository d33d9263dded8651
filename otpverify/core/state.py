"""The data of a store: what it keeps of a phone, of a challenge and of a counter."""

from __future__ import annotations

from dataclasses import dataclass, field

from otpverify.core.answers import Opening as Opening  # stores take both from here
from otpverify.core.results import DeliveryStatus


@dataclass(frozen=True, slots=True)
class Failure:
    """A wrong code for one scope (phone and purpose)."""

    at: int
    scope: str


@dataclass(frozen=True, slots=True)
class Send:
    """A message for one challenge, and how far it got: a `DeliveryStatus` or its value. Concealed
    sends and all others are counted apart. One that is answered causes no cooldown: a right code
    of its challenge was entered."""

    at: int
    scope: str
    challenge: str
    status: str = DeliveryStatus.QUEUED
    concealed: bool = False
    answered: bool = False


@dataclass(frozen=True, slots=True)
class Retention:
    """How far back the limits look of all policies that wrote to a log.

    Attributes:
        window: Their longest window, or cooldown, in milliseconds.
        count: Their largest count.
    """

    window: int = 0
    count: int = 0


@dataclass(frozen=True, slots=True)
class FailureStreak:
    """How many codes in a row were wrong for one scope (phone and purpose).

    Attributes:
        scope: The scope.
        count: How many.
        at: When the last of them was entered.
        window: The streak ends so many milliseconds after `at`: the longest time of all policies
            that counted.
    """

    scope: str
    count: int
    at: int
    window: int

    @property
    def ends(self) -> int:
        """When it ends if no further code is entered."""
        return self.at + self.window


@dataclass(frozen=True, slots=True)
class PhoneState:
    """A phone's logs: what was sent, and which codes were wrong, oldest first; and how many of
    these were wrong in a row. Useless after `expires`."""

    sends: tuple[Send, ...] = ()
    failures: tuple[Failure, ...] = ()
    retention: Retention = Retention()
    expires: int = 0
    streaks: tuple[FailureStreak, ...] = ()

    @property
    def empty(self) -> bool:
        """Whether no limit has anything to look at."""
        return not (self.sends or self.failures or self.streaks)


@dataclass(frozen=True, slots=True)
class LiveCode:
    """The digest of one code, good until `expires`; its message was reserved at `at`, and got as
    far as `status` says. Without a digest, no code is equal to it, and it takes no other's place
    among the live codes."""

    digest: bytes | None = field(repr=False)
    expires: int
    at: int
    status: str = DeliveryStatus.QUEUED


@dataclass(frozen=True, slots=True)
class ChallengeState:
    """Codes, oldest first, that share their attempts. One that was used has no codes any more; its
    proof is good until `proof`."""

    codes: tuple[LiveCode, ...]
    attempts: int = 0
    decoy: bool = False
    proof: int = 0
    concealed: bool = False

    @property
    def expires(self) -> int:
        """When the last of the codes expires, or the proof."""
        return max((code.expires for code in self.codes), default=self.proof)


@dataclass(frozen=True, slots=True)
class Inspected:
    """The data of a phone.

    Attributes:
        at: The instant.
        phone: What limits look at.
        challenges: The live challenges of the sends that count, by their keys, oldest first. The
            digests of their codes are empty.
    """

    at: int
    phone: PhoneState
    challenges: tuple[tuple[str, ChallengeState], ...] = ()


@dataclass(frozen=True, slots=True)
class CounterState:
    """The log of a counter that belongs to no phone, such as an IP network's."""

    log: tuple[int, ...]
    retention: Retention
    expires: int
