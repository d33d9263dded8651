"""The result of an operation of a flow, for pages and for programs: `Outcome`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Final, Literal, Self

from otpverify import Challenge, DeliveryStatus, OtpVerifyError, Verified
from otpverify.integrations.web.notices import Notice
from otpverify.integrations.web.problems import MEDIA_TYPE, problem_of
from otpverify.integrations.web.sentences import Sentence
from otpverify.integrations.web.session import Delivery, Pending, Proof

_DELIVERY: Final = {
    Delivery.NOT_SENT: "not_sent",
    Delivery.MAYBE: "unconfirmed",
    Delivery.SENT: "sent",
}


class Page(Enum):
    """The next page of a flow: its first page (the number, or the password), the page that asks
    for the code, or the page after a right code."""

    FIRST = "first"
    CODE = "code"
    NEXT = "next"


@dataclass(frozen=True, slots=True)
class State:
    """Where a flow stands.

    Attributes:
        state: `"none"`; `"pending"`: a code is awaited; `"verified"`: a code was right, and its
            proof waits for the request that needs it.
        expires_in: Whole seconds until the newest code expires.
        resend_in: Whole seconds until another code may be sent.
        attempts_left: How many codes may still be tried.
        delivery: How far the newest message got, as far as is known: `"not_sent"`,
            `"unconfirmed"`, or a value of `DeliveryStatus`.
    """

    state: Literal["none", "pending", "verified"]
    expires_in: int | None = None
    resend_in: int | None = None
    attempts_left: int | None = None
    delivery: str | None = None

    @classmethod
    def of(cls, entry: Pending | Proof | None, reported: DeliveryStatus | None = None) -> Self:
        """The state while the session holds this; `reported` is what delivery reports say."""
        if entry is None:
            return cls("none")
        if isinstance(entry, Proof):
            return cls("verified")
        delivery = _DELIVERY[entry.delivery]
        if reported is not None and reported is not DeliveryStatus.QUEUED:
            delivery = reported.value
        return cls("pending", entry.expires_in, entry.resend_in, entry.attempts_left, delivery)

    def body(self) -> dict[str, str | int | None]:
        """The JSON object."""
        return {
            "state": self.state,
            "expires_in": self.expires_in,
            "resend_in": self.resend_in,
            "attempts_left": self.attempts_left,
            "delivery": self.delivery,
        }


@dataclass(frozen=True, slots=True)
class Reply:
    """A reply for programs.

    Attributes:
        status: The HTTP status.
        body: The JSON object: a `State`, or a problem detail (RFC 9457) with the state as `flow`.
        headers: All that the reply needs, the content type included.
    """

    status: int
    body: dict[str, Any] = field(repr=False)
    headers: dict[str, str]


@dataclass(frozen=True, slots=True, repr=False)
class Outcome:
    """The result of an operation.

    Attributes:
        page: The next page.
        entry: The flow's new entry: a pending challenge, a proof, or nothing. With a refusal it
            may differ from the session's entry, such as in `resend_at`.
        notice: The notice that the next page shows, if any.
        error: The error, if any.
        result: The verifier's result, if the operation called it and succeeded.
        saved: Whether the session was written. See `leaves_session`.
        repeated: The code was right earlier, and this request repeats the one that proved it: the
            action after a right code is done already.
        elsewhere: The session's challenge is for another recipient than the refused one.
        reported: The newest message's status by delivery reports (`status` only).
        sends: The operation requested a message.
    """

    page: Page
    entry: Pending | Proof | None = None
    notice: Notice | None = None
    error: OtpVerifyError | None = None
    result: Challenge | Verified | None = None
    saved: bool = False
    repeated: bool = False
    elsewhere: bool = False
    reported: DeliveryStatus | None = None
    sends: bool = False

    def __repr__(self) -> str:
        error = None if self.error is None else type(self.error).__name__
        return f"Outcome(page={self.page.name}, error={error}, saved={self.saved})"

    @property
    def pending(self) -> Pending | None:
        """The challenge that waits for its code."""
        return self.entry if isinstance(self.entry, Pending) else None

    @property
    def proof(self) -> Proof | None:
        """The proof that waits to be redeemed."""
        return self.entry if isinstance(self.entry, Proof) else None

    @property
    def verified(self) -> Verified | None:
        """The facts that a right code or a proof proved."""
        return self.result if isinstance(self.result, Verified) else None

    @property
    def challenge(self) -> Challenge | None:
        """The challenge whose code was sent."""
        return self.result if isinstance(self.result, Challenge) else None

    @property
    def state(self) -> State | None:
        """The flow's state; `None` when it continues for another recipient."""
        return None if self.elsewhere else State.of(self.entry, self.reported)

    @property
    def leaves_session(self) -> bool:
        """Whether the reply must not set the session: the request was refused and changed nothing,
        and it may repeat one whose reply has set a newer session."""
        return self.error is not None and not self.saved

    def raised(self) -> Self:
        """This outcome.

        Raises:
            OtpVerifyError: `error`, if there is one.
        """
        if self.error is not None:
            raise self.error
        return self

    def reply(self, say: Callable[[Sentence], str] = str) -> Reply:
        """The reply for programs: 202 for a message that is on its way, otherwise 200; or a
        problem detail.

        Args:
            say: Gives a sentence in the person's language.
        """
        state = self.state
        headers = {"Content-Type": "application/json", "Cache-Control": "no-store"}
        if self.error is None:
            body = State("none").body() if state is None else state.body()
            return Reply(202 if self.sends else 200, body, headers)
        problem = problem_of(self.error)
        more = {} if state is None else {"flow": state.body()}
        headers |= {**problem.headers, "Content-Type": MEDIA_TYPE}
        return Reply(problem.status, {**problem.body(say(problem.detail)), **more}, headers)
