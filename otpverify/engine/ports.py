"""What the engine calls (store, sender, hasher, ...), and validation of what they return."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from otpverify.core.answers import (
    Checked,
    Opened,
    Opening,
    Refused,
    Reported,
    Reserved,
    Standing,
    is_sound,
)
from otpverify.core.keys import Key
from otpverify.core.limits import Limit
from otpverify.core.phone import SendRequest
from otpverify.core.policy import Policy
from otpverify.core.results import DeliveryStatus, Message, Receipt, ReportFields
from otpverify.errors import OtpVerifyError, StoreError

if TYPE_CHECKING:
    from otpverify.core.caps import Full
    from otpverify.core.fraud import Overdrawn, Request
    from otpverify.core.fraud_ledger import Charged, Credited, FraudKey, KnownNumber, Rules
    from otpverify.core.state import Inspected
    from otpverify.core.traffic import Totals

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Ports:
    """The store's operations, the sender, the hasher, the renderer and the guards, sync or
    async; whether the sender asks for delivery reports, and how it reads them; and how a sequence
    is run that must not be left half done, which is undone if its caller is cancelled."""

    open: Callable[[Key, Opening, Policy], Awaitable[Opened | Refused]]
    place: Callable[[Key, int, bytes, Policy], Awaitable[Standing | None]]
    peek: Callable[[Key, Policy], Awaitable[Checked]]
    claim: Callable[[Key, Policy], Awaitable[Checked]]
    check: Callable[[Key, bytes, Policy, bool], Awaitable[Checked]]
    redeem: Callable[[Key], Awaitable[bool]]
    release: Callable[[Key, int, bytes | None, Policy], Awaitable[Standing | None]]
    report: Callable[[Key, int, DeliveryStatus, Policy, bool], Awaitable[Reported]]
    status: Callable[[Key, Policy], Awaitable[DeliveryStatus | None]]
    cancel: Callable[[Key], Awaitable[None]]
    inspect: Callable[[str], Awaitable[Inspected]]
    unlock: Callable[[str, str | None], Awaitable[None]]
    reserve: Callable[[str, tuple[Limit, ...]], Awaitable[Reserved | Refused]]
    give_back: Callable[[str, int], Awaitable[None]]
    charge: Callable[[FraudKey, Request, Rules], Awaitable[Charged | Overdrawn | Full | Refused]]
    credit: Callable[[FraudKey, Rules], Awaitable[Credited | None]]
    refund: Callable[[FraudKey, Charged, float, Rules], Awaitable[None]]
    known: Callable[[str], Awaitable[KnownNumber | None]]
    unlock_number: Callable[[str], Awaitable[None]]
    traffic: Callable[[int], Awaitable[Totals]]
    send: Callable[[Message], Awaitable[Receipt]]
    digest: Callable[[bytes, bytes, bytes], Awaitable[bytes]]
    render: Callable[..., Awaitable[str]]
    guards: tuple[Callable[[SendRequest], Awaitable[str | None]], ...]
    allows: tuple[Callable[[SendRequest], Awaitable[bool]], ...]
    to_its_end: Callable[[Callable[[], Any], Callable[[Any], Any]], Awaitable[Any]]
    takes_reports: bool
    read_report: Callable[[object], ReportFields]


async def call_port(
    call: Awaitable[T],
    *expected: type[object],
    part: str = "The store",
    error: type[OtpVerifyError] = StoreError,
    sound: Callable[[object], bool] = is_sound,
) -> T:
    """What a part gives: the store's answer, or a guard's, a renderer's, a hasher's.

    Args:
        call: What to await.
        expected: The types that it may give.
        part: How the error names the part.
        error: The error to raise.
        sound: Whether an answer of these types can be true.

    Raises:
        OtpVerifyError: The part's own; or `error`, when it failed in another way or gave
            something else. What it raised is not chained: it may hold what the part was given.
    """
    try:
        answer = await call
    except OtpVerifyError:
        raise
    except Exception as failure:
        how = f"failed ({type(failure).__name__})"
    else:
        if isinstance(answer, expected) and sound(answer):
            return answer
        how = f"gave an unexpected answer ({type(answer).__name__})"
    raise error(f"{part} {how}.")
