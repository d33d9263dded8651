"""What all web frameworks share: decisions, sentences, problem details, delivery in the background.
The flows themselves are tested in each framework."""

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
    ConfigurationError,
    CooldownActive,
    DeliveryRejected,
    DeliveryUnavailable,
    DestinationBlocked,
    IncorrectCode,
    InvalidPhoneNumber,
    OtpVerifyError,
    RateLimited,
    StoreError,
)
from otpverify.integrations.web import steps
from otpverify.integrations.web.pending import Delivery, Pending
from otpverify.integrations.web.problems import problem_of, type_of
from otpverify.integrations.web.sentences import after, counted, explain
from otpverify.integrations.web.steps import Next, Page


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


@pytest.fixture
def pending(clock: FrozenDateTimeFactory) -> Pending:
    return Pending.of(challenge(), "who")


def test_a_session_of_json_keeps_it(pending: Pending) -> None:
    assert Pending.load(json.loads(json.dumps(pending.dump()))) == pending
    assert pending.live
    assert (pending.resend_in, pending.minutes_left) == (60, 10)


@pytest.mark.parametrize(
    "kept", [None, "x", 5, [], {}, {"challenge": "x"}, {"delivery": 9}, {"delivery": "x"}]
)
def test_what_a_session_holds_otherwise_is_nothing(kept: object) -> None:
    assert Pending.load(kept) is None


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
    follows = steps.not_accepted(error, pending)
    assert (follows.page, follows.pending) == (Page.CODE, replace(pending, **change))
    assert follows.notice is not None
    assert follows.notice.field == ("code" if isinstance(error, IncorrectCode) else "")


@pytest.mark.parametrize("error", ENDS, ids=repr)
def test_the_end_of_a_challenge_leads_back(pending: Pending, error: OtpVerifyError) -> None:
    follows = steps.not_accepted(error, pending)
    assert (follows.page, follows.pending) == (Page.FIRST, None)
    assert follows.notice is not None
    if isinstance(error, IncorrectCode):
        assert follows.notice.wait == 60, "the last wrong code is as good as none left"


def test_attempts_only_go_down(pending: Pending) -> None:
    spent = replace(pending, attempts_left=1)
    assert steps.not_accepted(IncorrectCode(attempts_left=3), spent).pending == spent
    renewed = steps.resent(challenge(left=5), spent).pending
    assert renewed is not None
    assert renewed.attempts_left == 1


def test_a_cooldown_shows_the_code_page_of_the_same_one(pending: Pending) -> None:
    error = CooldownActive(retry_after=42)
    follows = steps.not_started(error, "who", pending)
    assert follows.page is Page.CODE
    assert follows.pending is not None
    assert follows.pending.challenge == pending.challenge
    assert follows.pending.resend_in == 42
    other = steps.not_started(error, "somebody else", pending)
    assert (other.page, other.pending) == (Page.FIRST, pending)
    assert steps.not_started(error, "who").page is Page.FIRST


def test_a_cooldown_finds_no_challenge_that_is_over(
    pending: Pending, clock: FrozenDateTimeFactory
) -> None:
    clock.tick(600)
    follows = steps.not_started(CooldownActive(retry_after=1), "who", pending)
    assert (follows.page, follows.pending) == (Page.FIRST, None)


@pytest.mark.parametrize("maybe_sent", [True, False])
def test_a_code_that_may_arrive_has_its_page(
    clock: FrozenDateTimeFactory, maybe_sent: bool
) -> None:
    error = DeliveryUnavailable(challenge=challenge(), maybe_sent=maybe_sent)
    expected = Delivery.MAYBE if maybe_sent else Delivery.NOT_SENT
    follows = steps.not_started(error, "who")
    assert follows.page is Page.CODE
    assert follows.pending is not None
    assert follows.pending.delivery is expected
    resent = steps.resent(challenge(), follows.pending)
    assert resent.notice is not None
    assert str(resent.notice.sentence).startswith("Another" if maybe_sent else "A code")


def test_a_resend_that_fails_leaves_what_is_out(pending: Pending) -> None:
    for error in (StoreError("down"), RateLimited(retry_after=900, scope="sends_per_phone")):
        follows = steps.not_resent(error, pending)
        assert follows.page is Page.CODE
        assert follows.pending is not None
        assert follows.pending.delivery is Delivery.SENT
    assert follows.pending is not None
    assert follows.pending.resend_in == 900
    for over in (ChallengeExpired(), AttemptsExhausted(), DeliveryRejected(challenge=None)):
        assert steps.not_resent(over, pending).page is Page.FIRST


def test_without_a_challenge_there_is_no_code_page() -> None:
    follows = steps.no_challenge()
    assert (follows.page, follows.pending) == (Page.FIRST, None)
    assert isinstance(follows, Next)


PROBLEMS: list[tuple[OtpVerifyError, int, str, dict[str, object], str | None]] = [
    (InvalidPhoneNumber("no"), 422, "invalid-phone-number", {}, None),
    (
        DeliveryRejected(provider_code="invalid_phone_number"),
        422,
        "invalid-phone-number",
        {"maybe_sent": False},
        None,
    ),
    (DestinationBlocked(reason="country"), 403, "destination-blocked", {"reason": "country"}, None),
    (
        CooldownActive(retry_after=7, scope="resend_cooldown"),
        429,
        "cooldown-active",
        {"retry_after": 7, "limit": "resend_cooldown"},
        "7",
    ),
    (
        RateLimited(retry_after=0, scope="sends_per_ip"),
        429,
        "rate-limited",
        {"retry_after": 0, "limit": "sends_per_ip"},
        "0",
    ),
    (AttemptsExhausted(retry_after=9), 429, "attempts-exhausted", {"retry_after": 9}, "9"),
    (IncorrectCode(attempts_left=2), 400, "incorrect-code", {"attempts_left": 2}, None),
    (IncorrectCode(), 400, "incorrect-code", {"attempts_left": None}, None),
    (ChallengeExpired(), 410, "challenge-expired", {}, None),
    (
        DeliveryUnavailable(provider_code="no_balance"),
        503,
        "delivery-failed",
        {"maybe_sent": True},
        None,
    ),
    (StoreError("secrets of the store"), 503, "store-unavailable", {}, None),
    (ConfigurationError("secrets of the settings"), 500, "internal-error", {}, None),
]


@pytest.mark.parametrize(("error", "status", "kind", "more", "retry_after"), PROBLEMS, ids=repr)
def test_problem_details(
    error: OtpVerifyError,
    status: int,
    kind: str,
    more: dict[str, object],
    retry_after: str | None,
) -> None:
    problem = problem_of(error)
    body = json.loads(json.dumps(problem.body()))
    assert problem.headers.get("Retry-After") == retry_after
    assert body.pop("title")
    assert body.pop("detail") == str(explain(error))
    assert body == {"status": status, "type": f"urn:otpverify:problem:{kind}", **more}
    assert "secret" not in str(problem)
    assert "no_balance" not in str(problem)
    assert problem.body("auf Deutsch")["detail"] == "auf Deutsch"
    assert type_of(StoreError) == "urn:otpverify:problem:store-unavailable"


def test_sentences_can_be_translated() -> None:
    catalogue = {"now": "jetzt", "in %(count)s seconds": "in %(count)s Sekunden"}
    catalogue["Too many incorrect codes. You can request a new code %(when)s."] = (
        "Neu %(when)s, 100%%."
    )

    def gettext(text: str) -> str:
        return catalogue.get(text, text)

    def ngettext(one: str, many: str, count: int) -> str:
        return gettext(one if count == 1 else many)

    waits = explain(AttemptsExhausted(retry_after=30))
    assert waits.translated(gettext, ngettext) == "Neu in 30 Sekunden, 100%."
    assert explain(AttemptsExhausted()).translated(gettext, ngettext) == "Neu jetzt, 100%."
    assert str(counted(1, "%(count)s of 100%%", "many")) == "1 of 100%"
    assert str(explain(InvalidPhoneNumber("50% of it"))) == "50% of it"
    assert str(after(90)) == "in 90 seconds"
