"""The parts that a verifier is composed of, as protocols. You can write your own parts.

`AsyncSender` and `AsyncStore` are the awaitable counterparts, for `AsyncVerifier`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar, Protocol

from otpverify.core.answers import Checked, Opened, Opening, Refused, Reported, Reserved, Standing
from otpverify.core.keys import Key
from otpverify.core.limits import Limit
from otpverify.core.phone import SendRequest
from otpverify.core.policy import Policy
from otpverify.core.results import DeliveryStatus, Message, Receipt

if TYPE_CHECKING:
    from otpverify.core.caps import Full
    from otpverify.core.fraud import Overdrawn, Request
    from otpverify.core.fraud_ledger import Charged, Credited, FraudKey, KnownNumber, Rules
    from otpverify.core.state import Inspected
    from otpverify.core.traffic import Totals


class Clock(Protocol):
    """Seconds since the epoch, as `time.time`."""

    def __call__(self) -> float: ...


class Sender(Protocol):
    """Delivers a message. Safe to call from several threads at once.

    One that can have the gateway report what became of a message has a true attribute
    `takes_reports`; then `Message.report` is the token for the callback's address. If the gateway
    reports in a format of its own, a method `read_report(params) -> ReportFields` reads it.

    One that knows what its messages cost has an attribute `prices` (`Prices`), for a `FraudPolicy`
    that names none.
    """

    def send(self, message: Message) -> Receipt:
        """Hand the message over.

        Raises:
            DeliveryRejected: It certainly was not taken, and a repeat would fail, too.
            DeliveryUnavailable: It was not taken, or it is unknown whether it was (`maybe_sent`).
        """
        ...


class AsyncSender(Protocol):
    """`Sender`, awaitable."""

    async def send(self, message: Message) -> Receipt: ...


class Store(Protocol):
    """Holds challenges and counters. Every operation is atomic, for all processes that
    share the store, and does what the function of its name in `otpverify.core.challenge` does.

    An operation that cannot be answered raises `StoreError`.
    """

    process_local: ClassVar[bool]
    """Whether it dies with this process. Such a store may go without a configured secret, and
    its operations are so short that an event loop can call them directly."""

    def open(self, key: Key, opening: Opening, policy: Policy) -> Opened | Refused:
        """Check cooldown, limits and failure budget; reserve a send; put the code in place. An
        opening without a digest is of a costly hasher: its code is equal to nothing until `place`
        brings the digest."""
        ...

    def place(self, key: Key, at: int, digest: bytes, policy: Policy) -> Standing | None:
        """Put the digest in place of the code whose send `open` reserved at `at`. `None`, and
        nothing is changed, when the challenge was used, cancelled or has expired meanwhile."""
        ...

    def peek(self, key: Key, policy: Policy) -> Checked:
        """Say whether a code would be compared (`PENDING`), and change nothing."""
        ...

    def claim(self, key: Key, policy: Policy) -> Checked:
        """Count an attempt whose code is about to be hashed and checked (`PENDING`), or refuse."""
        ...

    def check(self, key: Key, digest: bytes, policy: Policy, claimed: bool = False) -> Checked:
        """Count, unless `claim` did (`claimed`); compare in constant time, and consume the
        challenge when the code is right; its proof is left, for `Policy.proof_ttl_seconds`."""
        ...

    def redeem(self, key: Key) -> bool:
        """Use up the proof of a used challenge; `False` when it has none, or has none left."""
        ...

    def release(
        self, key: Key, at: int, undelivered: bytes | None, policy: Policy
    ) -> Standing | None:
        """Give the send reserved at `at` back (called once for a reservation), and void its code
        if it has that digest, or none yet. Never bring a challenge back. `None` when no live
        challenge is left."""
        ...

    def report(
        self, key: Key, at: int, status: DeliveryStatus, policy: Policy, give_back: bool = True
    ) -> Reported:
        """Take in how far the message got whose send was reserved at `at`. A final status stays,
        no other goes backwards, and a repeat changes nothing. The first final failure gives the
        send back, unless it was given back before; also when the challenge is gone. Without
        `give_back` the send stays counted, also after later reports. The code stays good."""
        ...

    def status(self, key: Key, policy: Policy) -> DeliveryStatus | None:
        """How far the newest code's message got, `QUEUED` when no report came. `None` when
        there is no live challenge."""
        ...

    def cancel(self, key: Key) -> None:
        """Forget the challenge, its proof included; the phone's logs stay."""
        ...

    def inspect(self, phone: str) -> Inspected:
        """The data of a phone (`Key.phone`), for support: no code, no digest."""
        ...

    def unlock(self, phone: str, scope: str | None = None) -> None:
        """Clear a phone's sends, wrong codes and streaks; with a scope (`Key.scope`) only what was
        sent and entered for it. Challenges stay as they are."""
        ...

    def reserve(self, counter: str, limits: tuple[Limit, ...]) -> Reserved | Refused:
        """Count one event of a counter that belongs to no phone, or refuse."""
        ...

    def give_back(self, counter: str, at: int) -> None:
        """Remove the event that was reserved at `at`."""
        ...


class FraudStore(Protocol):
    """What a store offers besides, for a `FraudPolicy`. Every operation does what the function of
    its name in `otpverify.core.fraud_ledger` does, atomically between all that share the store. An
    `AsyncStore` has the same, awaitable. The stores of this package offer it."""

    def charge(
        self, key: FraudKey, request: Request, rules: Rules
    ) -> Charged | Overdrawn | Full | Refused:
        """Count a message in the IP network's limits, the caps and the accounts, or refuse it."""
        ...

    def credit(self, key: FraudKey, rules: Rules) -> Credited | None:
        """Give back for a right code, and know its number. `None`: nothing was charged for the
        challenge, or it was credited before."""
        ...

    def refund(self, key: FraudKey, charged: Charged, price: float, rules: Rules) -> None:
        """Give back everything that was counted for a message that was certainly not sent."""
        ...

    def known(self, number: str) -> KnownNumber | None:
        """What is known of a number (`FraudKey.number`), for support. `None`: no code was entered
        for it, or long ago."""
        ...

    def unlock_number(self, number: str) -> None:
        """Forget the unanswered messages to a number that was known."""
        ...

    def traffic(self, hours: int) -> Totals:
        """What was counted by country in the last so many hours: from 1 to 336. See
        `otpverify.core.traffic.totals`."""
        ...


class AsyncStore(Protocol):
    """`Store`, awaitable."""

    process_local: ClassVar[bool]

    async def open(self, key: Key, opening: Opening, policy: Policy) -> Opened | Refused: ...
    async def place(self, key: Key, at: int, digest: bytes, policy: Policy) -> Standing | None: ...
    async def peek(self, key: Key, policy: Policy) -> Checked: ...
    async def claim(self, key: Key, policy: Policy) -> Checked: ...
    async def check(
        self, key: Key, digest: bytes, policy: Policy, claimed: bool = False
    ) -> Checked: ...
    async def redeem(self, key: Key) -> bool: ...
    async def release(
        self, key: Key, at: int, undelivered: bytes | None, policy: Policy
    ) -> Standing | None: ...
    async def report(
        self, key: Key, at: int, status: DeliveryStatus, policy: Policy, give_back: bool = True
    ) -> Reported: ...
    async def status(self, key: Key, policy: Policy) -> DeliveryStatus | None: ...
    async def cancel(self, key: Key) -> None: ...
    async def inspect(self, phone: str) -> Inspected: ...
    async def unlock(self, phone: str, scope: str | None = None) -> None: ...
    async def reserve(self, counter: str, limits: tuple[Limit, ...]) -> Reserved | Refused: ...
    async def give_back(self, counter: str, at: int) -> None: ...


class Hasher(Protocol):
    """Turns a code, with the facts that it is bound to, into the digest in the store."""

    costly: ClassVar[bool]
    """Takes milliseconds on purpose: limits are asked first, and it runs off the event loop."""

    needs_secret: ClassVar[bool]
    """Is worth nothing with a secret that dies with the process."""

    def digest(self, secret: bytes, message: bytes, salt: bytes) -> bytes:
        """The digest of `message` under `secret`; deterministic. `salt` has 16 bytes."""
        ...


class Guard(Protocol):
    """May refuse a destination before anything is sent or counted.

    It may also have a method `allows(request: SendRequest) -> bool`. Where that is true, no guard
    refuses the request, nor do the accounts of a `FraudPolicy`. Its blocked countries, all caps and
    all limits hold all the same.
    """

    def refuse(self, request: SendRequest, /) -> str | None:
        """Why this destination gets no code, as one short word; `None` when it may have one. It is
        called for starts. A guard that needs only the number may take a `Destination`."""
        ...


class Renderer(Protocol):
    """Writes the text of a message. `otpverify.sms.Messages` is one."""

    def render(
        self,
        code: str,
        *,
        ttl_seconds: int,
        purpose: str,
        locale: str,
        binding: Mapping[str, str] | None,
    ) -> str:
        """The whole text, with the code in it exactly once."""
        ...
