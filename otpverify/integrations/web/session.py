"""A flow's entry in the session: the challenge that waits for its code, then the proof of a right
code.

Everything is JSON, so the session can also be a signed cookie. Its owner can read such a cookie
and send an old one again. So it never holds a code, or a phone number that its owner did not type.
The session's contents prove nothing: only the store decides whether a code or a proof is still
valid.
"""

from __future__ import annotations

import hashlib
import json
import math
import time
from collections.abc import Mapping, MutableMapping
from dataclasses import asdict, dataclass, replace
from enum import IntEnum
from typing import Any, Final, Self

from otpverify import Challenge, DeliveryError, Verified
from otpverify.phone import mask

_YEAR_10000: Final = 253_402_300_800
"""In seconds since 1970: no calendar goes further."""
SESSION_PREFIX: Final = "otpverify."
"""What the keys of all flows in the session begin with."""
PAGES_ENTRY: Final = "_otpverify"
"""The key of what pages keep in the session beside that."""


@dataclass(frozen=True, slots=True, repr=False)
class Recipient:
    """The person that a code is for.

    Attributes:
        phone: Where the code goes.
        subject: What the session holds in place of the phone: the id of an account, or the phone
            itself, in E.164, where the person typed it. Never a phone that the person did not type.
        binding: Facts that the code also approves, and that the message names.
    """

    phone: str
    subject: str
    binding: Mapping[str, str] | None = None

    def __repr__(self) -> str:
        return f"Recipient(phone={mask(self.phone)!r})"

    @classmethod
    def typed(cls, phone: str) -> Self:
        """A person who typed the number.

        Args:
            phone: In E.164.
        """
        return cls(phone, phone)

    @property
    def bound(self) -> str:
        """A digest of the binding, for the session; empty without one."""
        if not self.binding:
            return ""
        facts = json.dumps(sorted(self.binding.items()))
        return hashlib.sha256(facts.encode()).hexdigest()[:32]


class Delivery(IntEnum):
    """Whether a code of a challenge went out; the greater, the surer."""

    NOT_SENT = 0
    MAYBE = 1
    SENT = 2

    @classmethod
    def after(cls, error: DeliveryError) -> Delivery:
        """The delivery state after sending ended with this error."""
        return cls.MAYBE if error.maybe_sent else cls.NOT_SENT


@dataclass(frozen=True, slots=True, repr=False)
class Pending:
    """A challenge that waits for its code.

    Attributes:
        challenge: Its id.
        subject: `Recipient.subject`.
        bound: `Recipient.bound`.
        expires_at: When its newest code expires, in seconds since 1970; so is `resend_at`.
        resend_at: When another code may be sent.
        attempts_left: How many codes may still be tried.
        delivery: Whether a code went out.
    """

    challenge: str
    subject: str
    bound: str
    expires_at: float
    resend_at: float
    attempts_left: int
    delivery: Delivery

    def __repr__(self) -> str:
        return f"Pending(challenge={self.challenge[:4]}..., delivery={self.delivery.name})"

    @classmethod
    def of(cls, challenge: Challenge, to: Recipient, delivery: Delivery = Delivery.SENT) -> Self:
        """The entry for this challenge.

        Args:
            challenge: What `start` returned, or its error's `challenge`.
            to: The recipient.
            delivery: Whether the code went out.
        """
        return cls(
            challenge.id,
            to.subject,
            to.bound,
            challenge.expires_at.timestamp(),
            challenge.resend_at.timestamp(),
            challenge.attempts_left,
            delivery,
        )

    @classmethod
    def load(cls, entry: object) -> Self | None:
        """The entry that `dump` wrote to a session; `None` for any other value."""
        found: Self | None = _load(cls, entry)
        if found is None:
            return None
        try:
            return replace(found, delivery=Delivery(found.delivery))
        except ValueError:
            return None

    def dump(self) -> dict[str, str | int | float]:
        """As plain values."""
        return {**asdict(self), "delivery": int(self.delivery)}

    def renewed(self, challenge: Challenge, delivery: Delivery = Delivery.SENT) -> Self:
        """The same after another code. A code that went out before is still out, and attempts
        that were used in between stay used."""
        return replace(
            self,
            expires_at=challenge.expires_at.timestamp(),
            resend_at=challenge.resend_at.timestamp(),
            attempts_left=min(self.attempts_left, challenge.attempts_left),
            delivery=max(self.delivery, delivery),
        )

    def delayed(self, seconds: int) -> Self:
        """The same, when another code may be sent in so many seconds."""
        return replace(self, resend_at=time.time() + seconds)

    def attempted(self, attempts_left: int) -> Self:
        """The same after an incorrect code."""
        return replace(self, attempts_left=min(self.attempts_left, attempts_left))

    @property
    def live(self) -> bool:
        """Whether its newest code may still be good."""
        return self.expires_at > time.time()

    @property
    def expires_in(self) -> int:
        """Whole seconds until its newest code expires."""
        return max(0, int(self.expires_at - time.time()))

    @property
    def resend_in(self) -> int:
        """Whole seconds until another code may be sent."""
        return max(0, math.ceil(self.resend_at - time.time()))

    @property
    def minutes_left(self) -> int:
        """Minutes until its newest code expires, begun ones included."""
        return max(1, math.ceil((self.expires_at - time.time()) / 60))


@dataclass(frozen=True, slots=True, repr=False)
class Proof:
    """The session's entry after a right code. It proves nothing before `Flow.redeem`.

    Attributes:
        proof: The text that the verifier redeems.
        challenge: The id of the challenge that is used up: another code for it is a repeated
            request.
        subject, bound: As for `Pending`. A proof for one binding is never valid for another.
        verified_at: When the code was right, in seconds since 1970.
    """

    proof: str
    challenge: str
    subject: str
    bound: str
    verified_at: float

    def __repr__(self) -> str:
        return f"Proof(challenge={self.challenge[:4]}...)"

    @classmethod
    def of(cls, verified: Verified, to: Recipient) -> Self:
        """The entry for what `check` returned."""
        at = verified.verified_at.timestamp()
        return cls(verified.proof, verified.challenge, to.subject, to.bound, at)

    @classmethod
    def load(cls, entry: object) -> Self | None:
        """The entry that `dump` wrote to a session; `None` for any other value."""
        found: Self | None = _load(cls, entry)
        return found

    def dump(self) -> dict[str, str | float]:
        """As plain values."""
        return asdict(self)

    def younger_than(self, seconds: float) -> bool:
        """Whether the code was right within the last so many seconds."""
        return time.time() - self.verified_at < seconds


def load_entry(session: Mapping[str, Any], purpose: str) -> Pending | Proof | None:
    """The session's entry for a purpose: a live pending challenge or a proof."""
    found = session.get(SESSION_PREFIX + purpose)
    pending = Pending.load(found)
    if pending is not None:
        return pending if pending.live else None
    return Proof.load(found)


def save_entry(
    session: MutableMapping[str, Any], purpose: str, entry: Pending | Proof | None
) -> None:
    """Set or, with `None`, remove the session's entry for a purpose. It replaces whole entries,
    because sessions do not detect other changes."""
    if entry is not None:
        session[SESSION_PREFIX + purpose] = entry.dump()
    else:
        session.pop(SESSION_PREFIX + purpose, None)


# What pages keep beside the flows' entries, in one entry of their own.


def get_value(session: Mapping[str, Any], name: str) -> Any:
    """A value of the pages; `None` if it is missing."""
    return _values(session).get(name)


def put_value(session: MutableMapping[str, Any], name: str, value: object) -> None:
    """Set a value of the pages; `None` removes it."""
    values = {**_values(session), name: value}
    values = {name: value for name, value in values.items() if value is not None}
    if values:
        session[PAGES_ENTRY] = values
    else:
        session.pop(PAGES_ENTRY, None)


def load_end(session: Mapping[str, Any], purpose: str) -> Mapping[str, Any] | None:
    """The record of where the flow of a purpose ended, for requests that come again."""
    found = get_value(session, f"done {purpose}")
    return found if isinstance(found, Mapping) else None


def save_end(
    session: MutableMapping[str, Any], purpose: str, record: Mapping[str, Any] | None
) -> None:
    """Set or, with `None`, remove the record of where the flow of a purpose ended."""
    put_value(session, f"done {purpose}", record)


def _values(session: Mapping[str, Any]) -> Mapping[str, Any]:
    found = session.get(PAGES_ENTRY)
    return found if isinstance(found, Mapping) else {}


def forget_flows(session: MutableMapping[str, Any], *keep: str) -> None:
    """Remove the entries of all flows, such as when a person signs in or out: a challenge or a
    proof that an attacker planted before does not survive it.

    Args:
        session: The session.
        keep: Purposes whose entries stay.
    """
    kept = {SESSION_PREFIX + purpose for purpose in keep}
    for key in list(session.keys()):  # Django's sessions have no __iter__
        if isinstance(key, str) and key.startswith(SESSION_PREFIX) and key not in kept:
            session.pop(key, None)


def forget_all(session: MutableMapping[str, Any]) -> None:
    """Remove the entries of all flows, and what pages keep beside them."""
    forget_flows(session)
    session.pop(PAGES_ENTRY, None)


def _load(kind: Any, entry: object) -> Any:
    """The entry as a dataclass of this kind, if it has exactly its fields and their types."""
    if not isinstance(entry, Mapping) or set(entry) != set(kind.__slots__):
        return None
    for name, value in entry.items():
        wanted = int if name in ("attempts_left", "delivery") else str
        if name.endswith("_at"):
            wanted = int | float  # type: ignore[assignment]  # JSON may write 5.0 as 5
        if not isinstance(value, wanted):
            return None
        # JSON also has Infinity, NaN, and integers without end.
        if isinstance(value, bool):
            return None
        if isinstance(value, int | float) and not 0 <= value < _YEAR_10000:
            return None
    return kind(**entry)
