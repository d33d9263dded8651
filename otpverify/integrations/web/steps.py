"""What follows each outcome of a flow: which page, with which notice, and what stays pending.

Pure decisions for pages of any framework. A flow has a first page (the number, or the password), a
code page, and the page after a right code. The code page needs a pending challenge; when the
challenge ends, the flow returns to the first page.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Literal, TypeAlias

from otpverify import (
    AttemptsExhausted,
    Challenge,
    ChallengeExpired,
    CooldownActive,
    DeliveryError,
    DeliveryRejected,
    DestinationBlocked,
    IncorrectCode,
    InvalidPhoneNumber,
    OtpVerifyError,
    RateLimited,
)
from otpverify.integrations.web import sentences
from otpverify.integrations.web.pending import Delivery, Pending
from otpverify.integrations.web.sentences import Sentence

Field: TypeAlias = Literal["phone", "code", ""]


class Page(Enum):
    """Where to go."""

    FIRST = "first"
    CODE = "code"


@dataclass(frozen=True, slots=True)
class Notice:
    """What the page is to say.

    Attributes:
        sentence: The words.
        field: The field that it is about; empty for what stands above the form.
        error: It went wrong.
        wait: Seconds until the same form may be sent again, which the sentence names as its
            parameter `when`; 0 if there is nothing to wait for.
    """

    sentence: Sentence
    field: Field = ""
    error: bool = True
    wait: int = 0


@dataclass(frozen=True, slots=True)
class Next:
    """What follows.

    Attributes:
        page: Where to go.
        pending: What the session keeps from now on; `None` for nothing.
        notice: What to say there, if anything.
    """

    page: Page
    pending: Pending | None = None
    notice: Notice | None = None


def started(challenge: Challenge, who: str) -> Next:
    """A code is on its way."""
    return Next(Page.CODE, Pending.of(challenge, who))


def not_started(error: OtpVerifyError, who: str, earlier: Pending | None = None) -> Next:
    """`start` failed. A challenge that is alive all the same leads to the code page: that of an
    earlier start for the same one, which the cooldown tells of, or one whose message may arrive.

    Args:
        error: What `start` raised.
        who: Whom it was for.
        earlier: What the session holds already.
    """
    if isinstance(error, DeliveryError) and error.challenge is not None:
        pending = Pending.of(error.challenge, who, Delivery.after(error))
        return Next(Page.CODE, pending, notice_of(error))
    if earlier is None or not earlier.live:
        return Next(Page.FIRST, None, notice_of(error))
    if isinstance(error, CooldownActive) and earlier.who == who:
        return Next(Page.CODE, earlier.delayed(error.retry_after), notice_of(error))
    return Next(Page.FIRST, earlier, notice_of(error))


def resent(challenge: Challenge, pending: Pending) -> Next:
    """Another code is on its way."""
    first = pending.delivery is Delivery.NOT_SENT
    said = Notice(sentences.SENT if first else sentences.SENT_AGAIN, error=False)
    return Next(Page.CODE, pending.renewed(challenge), said)


def not_resent(error: OtpVerifyError, pending: Pending) -> Next:
    """`resend` failed. The codes that are out stay good, unless the challenge is over."""
    refused = isinstance(error, DeliveryRejected) and error.challenge is None
    if refused or isinstance(error, AttemptsExhausted | ChallengeExpired | InvalidPhoneNumber):
        return Next(Page.FIRST, None, notice_of(error))
    if isinstance(error, RateLimited):
        pending = pending.delayed(error.retry_after)
    elif isinstance(error, DeliveryError) and error.challenge is not None:
        pending = pending.renewed(error.challenge, Delivery.after(error))
    return Next(Page.CODE, pending, notice_of(error))


def resent_as_far_as_told(error: DeliveryError, pending: Pending) -> Next:
    """`resend` failed where nobody may learn whether anything was sent: as if it had not."""
    said = Notice(sentences.SENT_AGAIN, error=False)
    kept = pending if error.challenge is None else pending.renewed(error.challenge)
    return Next(Page.CODE, kept, said)


def not_accepted(error: OtpVerifyError, pending: Pending) -> Next:
    """`check` failed. The last wrong code ends the challenge for the person, too."""
    if isinstance(error, IncorrectCode):
        left = error.attempts_left
        if left is None:
            return Next(Page.CODE, pending, notice_of(error))
        if left > 0:
            return Next(Page.CODE, pending.attempted(left), notice_of(error))
        error = AttemptsExhausted(retry_after=pending.resend_in)
    if isinstance(error, AttemptsExhausted | ChallengeExpired | InvalidPhoneNumber):
        return Next(Page.FIRST, None, notice_of(error))
    return Next(Page.CODE, pending, notice_of(error))


def no_challenge() -> Next:
    """The code page was asked for without a challenge."""
    return Next(Page.FIRST, None, Notice(sentences.NO_CHALLENGE, error=False))


def notice_of(error: OtpVerifyError) -> Notice:
    """What to say of an error, where, and for how long it holds."""
    wait = error.retry_after if isinstance(error, CooldownActive | AttemptsExhausted) else 0
    return Notice(sentences.explain(error), _field(error), wait=wait)


def _field(error: OtpVerifyError) -> Field:
    if isinstance(error, IncorrectCode):
        return "code"
    if isinstance(error, InvalidPhoneNumber | DestinationBlocked):
        return "phone"
    wrong = isinstance(error, DeliveryError) and error.provider_code == "invalid_phone_number"
    return "phone" if wrong else ""
