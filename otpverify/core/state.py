"""What a store remembers, and what it is asked to put in place. Instants are whole milliseconds
of the store's clock."""

from __future__ import annotations

from dataclasses import dataclass

from otpverify.core.delivery import DeliveryStatus


@dataclass(frozen=True, slots=True)
class Opening:
    """What `open` puts in place.

    Attributes:
        digest: The code's digest.
        new: A new challenge; otherwise a further code on a live one.
        decoy: No code will ever match. A further code keeps what the challenge was.
    """

    digest: bytes
    new: bool
    decoy: bool = False


@dataclass(frozen=True, slots=True)
class Failure:
    """A wrong code for one scope (phone and purpose)."""

    at: int
    scope: str


@dataclass(frozen=True, slots=True)
class Send:
    """A message for one challenge, and how far it got: a `DeliveryStatus` or its value."""

    at: int
    scope: str
    challenge: str
    status: str = DeliveryStatus.QUEUED


@dataclass(frozen=True, slots=True)
class Horizon:
    """How far back the limits look of all policies that wrote to a log.

    Attributes:
        window: Their longest window, or cooldown, in milliseconds.
        count: Their largest count.
    """

    window: int = 0
    count: int = 0


@dataclass(frozen=True, slots=True)
class PhoneState:
    """A phone's logs: what was sent, and which codes were wrong, oldest first. Useless after
    `expires`."""

    sends: tuple[Send, ...] = ()
    failures: tuple[Failure, ...] = ()
    horizon: Horizon = Horizon()
    expires: int = 0


@dataclass(frozen=True, slots=True)
class LiveCode:
    """The digest of one code, good until `expires`; its message was reserved at `at`, and got as
    far as `status` says."""

    digest: bytes
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

    @property
    def expires(self) -> int:
        """When the last of the codes expires, or the proof."""
        return max((code.expires for code in self.codes), default=self.proof)


@dataclass(frozen=True, slots=True)
class CounterState:
    """The log of a counter that belongs to no phone, such as an IP network's."""

    log: tuple[int, ...]
    horizon: Horizon
    expires: int
