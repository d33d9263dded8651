"""Where each end of an operation leads, and what the session holds then."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from freezegun.api import FrozenDateTimeFactory
from support import PHONE

from otpverify import (
    AttemptsExhausted,
    Challenge,
    ChallengeExpired,
    CooldownActive,
    DeliveryRejected,
    DeliveryUnavailable,
    IncorrectCode,
    InvalidPhoneNumber,
    OtpVerifyError,
    Policy,
    RateLimited,
    StoreError,
)
from otpverify.integrations.web import run_sync
from otpverify.integrations.web.flow import Flow
from otpverify.integrations.web.outcome import Outcome, Page
from otpverify.integrations.web.session import Delivery, Pending, Recipient, load_entry, save_entry

WHO = Recipient(PHONE, "who")


def challenge(minutes: float = 10, wait: float = 60, left: int = 5) -> Challenge:
    now = datetime.now(UTC)
    return Challenge(
        id="c" * 24,
        phone=PHONE,
        purpose="login",
        expires_at=now + timedelta(minutes=minutes),
        resend_at=now + timedelta(seconds=wait),
        attempts_left=left,
        sends_left=4,
    )


class Ending:
    """A verifier whose operations all end with this."""

    policy = Policy()

    def __init__(self, end: Challenge | OtpVerifyError) -> None:
        self._end = end

    def end(self, *_: object, **__: object) -> Challenge:
        if isinstance(self._end, OtpVerifyError):
            raise self._end
        return self._end

    start = resend = check = end


def outcome(
    operation: str,
    end: Challenge | OtpVerifyError,
    pending: Pending | None = None,
    *,
    to: Recipient = WHO,
) -> Outcome:
    """How an operation ends for a session that holds this. What it saved is what it says."""
    session: dict[str, Any] = {}
    save_entry(session, "login", pending)
    verifier: Any = Ending(end)
    calls: dict[str, list[Any]] = {"start": [to], "check": ["123456"], "resend": []}
    ended = run_sync(
        getattr(Flow(verifier, session, purpose="login", recipient=to), operation)(
            *calls[operation]
        )
    )
    assert isinstance(ended, Outcome)
    if ended.saved:
        assert load_entry(session, "login") == ended.entry
    return ended


@pytest.fixture
def pending(clock: FrozenDateTimeFactory) -> Pending:
    return Pending.of(challenge(), WHO)


def test_a_session_of_json_keeps_it(pending: Pending) -> None:
    assert Pending.load(json.loads(json.dumps(pending.dump()))) == pending
    assert pending.live
    assert (pending.resend_in, pending.minutes_left) == (60, 10)


@pytest.mark.parametrize(
    "entry", [None, "x", 5, [], {}, {"challenge": "x"}, {"delivery": 9}, {"delivery": "x"}]
)
def test_anything_else_in_a_session_is_nothing(entry: object) -> None:
    assert Pending.load(entry) is None


def test_more_than_it_knows_is_nothing(pending: Pending) -> None:
    assert Pending.load({**pending.dump(), "more": 1}) is None


STAYS: list[tuple[OtpVerifyError, dict[str, Any]]] = [
    (IncorrectCode(attempts_left=3), {"attempts_left": 3}),
    (IncorrectCode(), {}),
    (StoreError("down"), {}),
]
ENDS = [
    IncorrectCode(attempts_left=0),
    AttemptsExhausted(retry_after=5),
    ChallengeExpired(),
    InvalidPhoneNumber("no"),
]


@pytest.mark.parametrize(("error", "change"), STAYS, ids=repr)
def test_a_refused_code_leaves_the_code_page(
    pending: Pending, error: OtpVerifyError, change: dict[str, Any]
) -> None:
    follows = outcome("check", error, pending)
    assert (follows.page, follows.pending) == (Page.CODE, replace(pending, **change))
    assert follows.saved == bool(change)
    assert follows.notice is not None
    assert follows.notice.field == ("code" if isinstance(error, IncorrectCode) else "")


@pytest.mark.parametrize("error", ENDS, ids=repr)
def test_the_end_of_a_challenge_leads_back(pending: Pending, error: OtpVerifyError) -> None:
    follows = outcome("check", error, pending)
    assert (follows.page, follows.pending) == (Page.FIRST, None)
    assert follows.notice is not None
    if isinstance(error, IncorrectCode):
        assert follows.notice.wait == 60, "the last incorrect code is as good as none left"
        assert follows.saved


def test_attempts_only_go_down(pending: Pending) -> None:
    spent = replace(pending, attempts_left=1)
    assert outcome("check", IncorrectCode(attempts_left=3), spent).pending == spent
    renewed = outcome("resend", challenge(left=5), spent).pending
    assert renewed is not None
    assert renewed.attempts_left == 1
    elsewhere = outcome("resend", challenge(left=1), pending.attempted(3)).pending
    assert elsewhere is not None
    assert elsewhere.attempts_left == 1, "other browsers use attempts, too"


def test_a_cooldown_shows_the_code_page_of_the_same_one(pending: Pending) -> None:
    error = CooldownActive(retry_after=42)
    follows = outcome("start", error, pending)
    assert follows.page is Page.CODE
    assert follows.pending is not None
    assert follows.pending.challenge == pending.challenge
    assert follows.pending.resend_in == 42
    other = outcome("start", error, pending, to=Recipient(PHONE, "another account"))
    assert (other.page, other.pending, other.saved) == (Page.FIRST, pending, False)
    assert outcome("start", error).page is Page.FIRST


def test_a_cooldown_finds_no_challenge_that_is_over(
    pending: Pending, clock: FrozenDateTimeFactory
) -> None:
    clock.tick(600)
    follows = outcome("start", CooldownActive(retry_after=1), pending)
    assert (follows.page, follows.pending) == (Page.FIRST, None)


@pytest.mark.parametrize("maybe_sent", [True, False])
def test_a_code_that_may_arrive_has_its_page(
    clock: FrozenDateTimeFactory, maybe_sent: bool
) -> None:
    error = DeliveryUnavailable(challenge=challenge(), maybe_sent=maybe_sent)
    expected = Delivery.MAYBE if maybe_sent else Delivery.NOT_SENT
    follows = outcome("start", error)
    assert follows.page is Page.CODE
    assert follows.pending is not None
    assert follows.pending.delivery is expected
    resent = outcome("resend", challenge(), follows.pending)
    assert resent.notice is not None
    assert str(resent.notice.sentence).startswith("Another" if maybe_sent else "A code")


def test_a_resend_that_fails_leaves_what_is_out(pending: Pending) -> None:
    limited = RateLimited(retry_after=900, scope="sends_per_phone")
    for error in (StoreError("down"), limited):
        follows = outcome("resend", error, pending)
        assert follows.page is Page.CODE
        assert follows.pending is not None
        assert follows.pending.delivery is Delivery.SENT
    assert follows.pending is not None
    assert follows.pending.resend_in == 900
    for over in (ChallengeExpired(), AttemptsExhausted(), DeliveryRejected(challenge=None)):
        assert outcome("resend", over, pending).page is Page.FIRST


@pytest.mark.parametrize("operation", ["check", "resend"])
def test_without_a_challenge_there_is_no_code_page(operation: str) -> None:
    follows = outcome(operation, challenge())
    assert (follows.page, follows.pending) == (Page.FIRST, None)
    assert isinstance(follows.error, ChallengeExpired)
