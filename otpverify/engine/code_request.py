"""What a code is issued for: who asks for it, what is asked of the store and the sender, and what
was counted of its message."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from otpverify.core.answers import Opening
from otpverify.core.keys import Subject
from otpverify.engine.events import UNOBSERVED, Observation
from otpverify.errors import ConfigurationError, DestinationBlocked

if TYPE_CHECKING:
    from decimal import Decimal

    from otpverify.core.fraud_ledger import Charged, FraudKey

_SHORTEST_LIFETIME = 60


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks for a code, as far as the program that calls knows.

    Attributes:
        locale: The message's language.
        client_ip: The person's IP address; `None` if the program did not give it.
        trusted: The program vouches for the number.
        human_checked: The program saw a human check passed.

    Raises:
        ConfigurationError: One of the last two is not a bool.
    """

    locale: str
    client_ip: str | None = field(default=None, repr=False)
    trusted: bool = False
    human_checked: bool = False

    def __post_init__(self) -> None:
        for name in ("trusted", "human_checked"):
            if not isinstance(getattr(self, name), bool):
                raise ConfigurationError(f"{name} must be True or False.")


@dataclass(frozen=True, slots=True, repr=False)
class ForeignCode:
    """A code that another library made, and checks.

    Attributes:
        code: As the message shows it.
        ttl_seconds: How long that library accepts it.

    Raises:
        ConfigurationError: One of them cannot be shown in a message.
    """

    code: str
    ttl_seconds: int

    def __post_init__(self) -> None:
        if not isinstance(self.code, str) or not self.code.isprintable() or not self.code.strip():
            raise ConfigurationError("The code must be a text that can be shown.")
        if not isinstance(self.ttl_seconds, int) or self.ttl_seconds < _SHORTEST_LIFETIME:
            raise ConfigurationError(
                f"ttl_seconds must be a whole number from {_SHORTEST_LIFETIME} on: messages state "
                "whole minutes."
            )


@dataclass(slots=True, kw_only=True, eq=False)
class CodeRequest:
    """A code to issue.

    Attributes:
        subject: The phone, purpose and challenge that it is for.
        caller: Who asks for it.
        country: The phone's country; `None` if it belongs to none, or if it matters to nobody.
        allowed: A guard allows it.
        network: The tag of the caller's IP network, if its sends are counted.
        new: The first code of a challenge.
        concealed: Whether there is an account must not show. A further code keeps what the
            challenge was; so it does with `decoy`.
        decoy: Send nothing, match nothing.
        foreign: The code to send, if another library made it. The store then keeps no digest of
            it, so that no typed code matches: see `Engine.confirm`.
        seen: What the operation's event will say.
    """

    subject: Subject
    caller: Caller
    country: str | None
    allowed: bool
    network: str | None
    new: bool
    concealed: bool = False
    decoy: bool = False
    foreign: ForeignCode | None = None
    seen: Observation = UNOBSERVED

    def opening(self, digest: bytes | None) -> Opening:
        """What the store is asked to open."""
        return Opening(digest, new=self.new, concealed=self.concealed, decoy=self.decoy)


@dataclass(frozen=True, slots=True)
class Counted:
    """What was counted for a message before its phone's limits were asked.

    Attributes:
        network_at: Names what the IP network's limits counted, unless it is among what was charged.
        key: Where the store keeps what was charged.
        charged: What was charged, to be refunded if the message is certainly not sent.
        cost: The price of the message; `None` if no price is known.
        withheld: Why the message is not sent, though its caller sees a success.
    """

    network_at: int | None = None
    key: FraudKey | None = None
    charged: Charged | None = None
    cost: Decimal | None = None
    withheld: DestinationBlocked | None = None

    def report(self, seen: Observation) -> None:
        """Report what the message meant to the policy. Call it when nothing else refuses it."""
        if self.charged is not None:
            seen.note(would_refuse=self.charged.would_refuse)
            for cap, level in self.charged.reached:
                seen.cap(cap.name, level)
