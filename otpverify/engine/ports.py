"""What the engine calls (store, sender, hasher, ...), and validation of what they return."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from otpverify.core.keys import Key
from otpverify.core.limits import Limit
from otpverify.core.phone import Destination
from otpverify.core.policy import Policy
from otpverify.core.results import DeliveryStatus, Message, Receipt
from otpverify.core.state import Checked, Opened, Opening, Refused, Reported, Reserved, Standing
from otpverify.errors import DeliveryError, DeliveryUnavailable, OtpVerifyError, StoreError

T = TypeVar("T")
# A reason such as "no_balance" or "http_503", and neither a number nor a code.
_CODE_WORD = re.compile(r"[a-z][a-z_]{0,40}(?:[1-5][0-9]{2})?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """The store's operations, the sender, the hasher, the renderer and the guards, sync or
    async; and whether the sender asks for delivery reports."""

    open: Callable[[Key, Opening, Policy], Awaitable[Opened | Refused]]
    admit: Callable[[Key, Opening, Policy], Awaitable[Refused | None]]
    peek: Callable[[Key, Policy], Awaitable[Checked]]
    claim: Callable[[Key, Policy], Awaitable[Checked]]
    check: Callable[[Key, bytes, Policy, bool], Awaitable[Checked]]
    redeem: Callable[[Key], Awaitable[bool]]
    release: Callable[[Key, int, bytes | None, Policy], Awaitable[Standing | None]]
    report: Callable[[Key, int, DeliveryStatus, Policy, bool], Awaitable[Reported]]
    status: Callable[[Key, Policy], Awaitable[DeliveryStatus | None]]
    cancel: Callable[[Key], Awaitable[None]]
    reserve: Callable[[str, tuple[Limit, ...]], Awaitable[Reserved | Refused]]
    give_back: Callable[[str, int], Awaitable[None]]
    send: Callable[[Message], Awaitable[Receipt]]
    digest: Callable[[bytes, bytes, bytes], Awaitable[bytes]]
    render: Callable[..., Awaitable[str]]
    guards: tuple[Callable[[Destination], Awaitable[str | None]], ...]
    takes_reports: bool


async def call_port(
    call: Awaitable[T],
    *expected: type[object],
    part: str = "The store",
    error: type[OtpVerifyError] = StoreError,
) -> T:
    """What a part gives: the store's answer, or a guard's, a renderer's, a hasher's.

    Args:
        call: What to await.
        expected: The types that it may give.
        part: How the error names the part.
        error: The error to raise.

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
        if isinstance(answer, expected):
            return answer
        how = f"gave an unexpected answer ({type(answer).__name__})"
    raise error(f"{part} {how}.")


async def send_safely(
    call: Awaitable[Receipt], message: Message, code: str
) -> Receipt | DeliveryError:
    """The sender's receipt, or the error to raise: a copy of the sender's own, without
    its cause (a client's own exceptions print URLs and bodies), and without its words
    where they repeat what was sent."""
    failure: DeliveryError
    try:
        receipt = await call
    except DeliveryError as error:
        failure = _copy(error)
    except Exception as error:
        failure = DeliveryUnavailable(f"The sender failed ({type(error).__name__}).")
    else:
        if isinstance(receipt, Receipt):
            return receipt
        failure = DeliveryUnavailable(
            f"The sender returned {type(receipt).__name__} where a Receipt was due."
        )
    secrets = (code, message.to[1:], message.text, message.report or code)
    if any(part in str(failure) for part in secrets):
        failure.args = ("The message could not be sent.",)
    reason = failure.provider_code
    if not (isinstance(reason, str) and _CODE_WORD.fullmatch(reason)):
        failure.provider_code = None
    failure.challenge = failure.__cause__ = failure.__context__ = None
    return failure


def _copy(error: DeliveryError) -> DeliveryError:
    """A copy that calls no constructor: a sender may raise one instance several times."""
    copy = type(error).__new__(type(error))
    copy.args = error.args
    vars(copy).update(vars(error))
    return copy
