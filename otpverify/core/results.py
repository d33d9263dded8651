"""What callers get back, and what senders are given. None of it shows a code or a full phone
number in its `repr`."""

from __future__ import annotations

import enum
from dataclasses import KW_ONLY, dataclass
from datetime import datetime
from decimal import Decimal


def mask(e164: str) -> str:
    """A number as logs, errors and `repr` show it: all but its first two digits and its last two
    are hidden.

    Args:
        e164: A number in E.164.

    Returns:
        Such as `"+37*******45"`; `"***"` for anything of five characters or fewer.
    """
    return f"{e164[:3]}{'*' * max(0, len(e164) - 5)}{e164[-2:]}" if len(e164) > 5 else "***"


class DeliveryStatus(enum.StrEnum):
    """How far a message got, by its delivery reports. Some carriers never report: then
    `QUEUED` or `SENT` is the last status.

    Attributes:
        QUEUED: With the gateway, as far as is known.
        SENT: Handed to the carrier (`submitted`, `sent`, `pending`).
        DELIVERED: On the phone. Final, as are all below.
        UNDELIVERED: The carrier could not deliver it.
        REJECTED: The carrier did not take it.
        EXPIRED: The carrier gave up.
        FAILED: It was not delivered, for another reason.
    """

    QUEUED = "queued"
    SENT = "sent"
    DELIVERED = "delivered"
    UNDELIVERED = "undelivered"
    REJECTED = "rejected"
    EXPIRED = "expired"
    FAILED = "failed"

    @property
    def final(self) -> bool:
        """Whether no later report changes it."""
        return self not in (DeliveryStatus.QUEUED, DeliveryStatus.SENT)

    @property
    def failed(self) -> bool:
        """Whether the message certainly did not arrive."""
        return self.final and self is not DeliveryStatus.DELIVERED

    def follows(self, other: DeliveryStatus) -> bool:
        """Whether a report of this is news after `other`: reports come late, twice, and out of
        order, but a message goes only forward."""
        if other.final:
            return False
        return self.final or (self is DeliveryStatus.SENT and other is DeliveryStatus.QUEUED)


@dataclass(frozen=True, slots=True, repr=False)
class ReportFields:
    """The contents of a delivery report, as far as they can be understood.

    Attributes:
        token: Our token, not yet checked.
        status: The status; `None` when it is not a known one.
        word: The gateway's own word for the status, if it is a single word.
        message_id: The gateway's id of the message.
        number: The number in E.164, if it has that form.
    """

    token: str | None = None
    status: DeliveryStatus | None = None
    word: str | None = None
    message_id: str | None = None
    number: str | None = None


@dataclass(frozen=True, slots=True, repr=False)
class Challenge:
    """One attempt of one person to prove one phone for one purpose.

    Keep `id` where the person cannot change it (a server-side or signed session); the rest is
    for the page that asks for the code.

    Attributes:
        id: The challenge's opaque id, 24 characters, 128 random bits.
        phone: The number in E.164.
        purpose: The purpose it was started for.
        expires_at: When the newest code expires (aware, UTC).
        resend_at: When another code may be sent (aware, UTC).
        attempts_left: How many codes may still be tried.
        sends_left: How many codes may still be sent within the phone's limits; `None` when
            the policy has no such limit.
        message_id: The gateway's id of the message, or `None`; for your logs, not for the
            person. A decoy has a made-up one.
    """

    id: str
    phone: str
    purpose: str
    expires_at: datetime
    resend_at: datetime
    attempts_left: int
    sends_left: int | None
    message_id: str | None = None

    def __repr__(self) -> str:
        return (
            f"Challenge(id={self.id[:4]}..., phone={mask(self.phone)!r}, "
            f"purpose={self.purpose!r}, expires_at={self.expires_at.isoformat()}, "
            f"attempts_left={self.attempts_left}, sends_left={self.sends_left})"
        )


@dataclass(frozen=True, slots=True, repr=False)
class Verified:
    """Proof that the person holds `phone`. It exists only after a right code.

    Attributes:
        phone: The number in E.164: act on this one, not on what a form says.
        purpose: What the code was for.
        challenge: The id of the challenge, now used up.
        verified_at: When (aware, UTC).
        proof: What `redeem` takes once, for a step that comes later: 56 URL-safe characters. Keep
            it where you keep the challenge's id.
    """

    phone: str
    purpose: str
    challenge: str
    verified_at: datetime
    proof: str = ""

    def __repr__(self) -> str:
        return (
            f"Verified(phone={mask(self.phone)!r}, purpose={self.purpose!r}, "
            f"challenge={self.challenge[:4]}..., verified_at={self.verified_at.isoformat()})"
        )


@dataclass(frozen=True, slots=True, repr=False)
class Message:
    """What a sender delivers.

    Attributes:
        to: The number in E.164.
        text: The whole text, code included.
        reference: Our own id of the challenge, safe to hand to the gateway.
        report: The token by which `delivery_report` knows the message again, for a sender that
            `takes_reports`: a secret between you and the gateway, URL-safe, without a number or
            a code in it. `None` for every other sender.
        expires_at: When the code in it expires (aware, UTC), for a sender that delivers later:
            after that it is of no use to anybody. `None` for a text without a code.
    """

    to: str
    text: str
    reference: str | None = None
    report: str | None = None
    expires_at: datetime | None = None

    def __repr__(self) -> str:
        return f"Message(to={mask(self.to)!r}, text=<{len(self.text)} characters>)"


@dataclass(frozen=True, slots=True, repr=False)
class Receipt:
    """A sender's word that the message was taken.

    Attributes:
        message_id: The gateway's id of the message, or `None` when it gave none.
    """

    message_id: str | None = None

    def __repr__(self) -> str:
        shown = None if self.message_id is None else f"<{len(self.message_id)} characters>"
        return f"Receipt(message_id={shown})"


@dataclass(frozen=True, slots=True, repr=False)
class DeliveryReport:
    """What became of a message, as the gateway reports it.

    Attributes:
        message_id: The gateway's id of the message, or `None` when the report names none. It is
            the report's word: a stranger's may say anything.
        status: What the report says; `None` when it is nothing that we know.
        known: The report is about a message of ours that is still remembered, and says
            something that we know. Nothing came of any other.
        changed: It is news: neither a repeat nor overtaken by a later one.
        given_back: The message certainly did not arrive, so its send counts no more and another
            can be sent at once.
        purpose: What the message was for, or `None` when the message is not ours.
    """

    message_id: str | None
    status: DeliveryStatus | None
    known: bool
    changed: bool = False
    given_back: bool = False
    purpose: str | None = None

    def __repr__(self) -> str:
        status = self.status.value if self.status else None
        return (
            f"DeliveryReport(status={status!r}, known={self.known}, changed={self.changed}, "
            f"given_back={self.given_back}, purpose={self.purpose!r})"
        )


@dataclass(frozen=True, slots=True)
class Event:
    """What happened, for logs and metrics; given to `on_event`.

    Attributes:
        operation: `"start"`, `"resend"`, `"check"`, `"redeem"`, `"cancel"`, `"unlock"`,
            `"report"` or `"cap"`.
        outcome: `"sent"`, `"decoy"`, `"test_number"`, `"verified"`, `"redeemed"`, `"cancelled"`,
            `"unlocked"`, or the name of the error class that was raised. Of a report the status
            that it brings, such as `"delivered"`; `"duplicate"` when it brings nothing new,
            `"limited"` when it is one failure too many to be given back, `"unknown"` when it is
            about no message that is remembered, `"unreadable"` when it cannot be understood. Of a
            cap the percentage that it reached: `"50"`, `"80"` or `"100"`.
        purpose: The purpose; a good metric label, like the two above. Empty where it is not known,
            and for an unlock of all purposes.
        phone: The number, masked; `"***"` where it is not known.
        scope: Which limit refused, such as `"sends_per_phone"`; which cap of the `FraudPolicy`
            reached a level, `"total"` or `"spend"`; otherwise `None`.
        provider_code: The gateway's reason when delivery failed, or its word for a status that is
            not known; otherwise `None`.
        country: The number's country, an ISO 3166-1 alpha-2 code; `None` where the number is not
            known, and for numbers that belong to no country.
        duration: How long the operation took, in seconds, the gateway's and the store's time
            included.
        segments: How many SMS the message was sent as; `None` if nothing was sent. It is set also
            when it is unknown whether the gateway took the message.
        cost: What the message cost, in the currency of your prices; `None` if no price is known.
        reason: The reason of a `DestinationBlocked`, such as `"country_not_allowed"`; otherwise
            `None`. A reason that is not a lower-case word such as `"premium_rate"` is `"other"`. A
            concealed start or resend has the outcome and the reason of the refusal that its caller
            did not see.
        mode: How the `FraudPolicy` treats the number: `"allow"`, `"observe"`, `"enforce"` or
            `"block"`. `None` without a policy, and where it was not asked.
        would_refuse: With the mode `"observe"`, why `"enforce"` would have refused this message, or
            the message of this right code: `"prefix"`, `"country"` or `"world"`; otherwise `None`.
        concealed: The challenge is known to be concealed. It is known when a code is requested.
        latency: Of a right code, the seconds since its message was sent; of a delivery report that
            brings something new, the seconds since the message that it is about. `None` where it is
            not known.
        challenge: A name of the challenge, the same in all of its events: 16 hexadecimal digits
            that lead neither to the challenge's id nor to its place in the store. `None` where
            there is no challenge.
    """

    operation: str
    outcome: str
    purpose: str
    phone: str
    scope: str | None = None
    provider_code: str | None = None
    _: KW_ONLY
    country: str | None = None
    duration: float | None = None
    segments: int | None = None
    cost: Decimal | None = None
    reason: str | None = None
    concealed: bool = False
    latency: float | None = None
    challenge: str | None = None
    mode: str | None = None
    would_refuse: str | None = None
