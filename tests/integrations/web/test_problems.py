"""Problem details and sentences, for all web frameworks; and what becomes of an error in a page:
logged when the person cannot fix it, raised when it is the program's."""

from __future__ import annotations

import json

import pytest

from otpverify import (
    AttemptsExhausted,
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
from otpverify.errors import BindingTooLong
from otpverify.integrations.web.problems import explained, problem_of, type_of
from otpverify.integrations.web.sentences import after, counted, explain

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
    (BindingTooLong("too long"), 413, "request-too-large", {}, None),
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


@pytest.mark.parametrize(
    "error",
    [StoreError("Redis did not answer in time."), DeliveryUnavailable("No reply.")],
    ids=repr,
)
def test_what_the_person_cannot_fix_is_logged(
    error: OtpVerifyError, caplog: pytest.LogCaptureFixture
) -> None:
    assert explained(error) is error
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert str(error) in caplog.text


@pytest.mark.parametrize(
    "error", [IncorrectCode(attempts_left=1), InvalidPhoneNumber("no")], ids=repr
)
def test_what_the_person_can_fix_is_not(
    error: OtpVerifyError, caplog: pytest.LogCaptureFixture
) -> None:
    assert explained(error) is error
    assert not caplog.records


def test_what_no_operation_ends_with_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    error = InvalidPhoneNumber("An account's phone.")
    assert explained(error, expected=False) is error
    assert "InvalidPhoneNumber: An account's phone." in caplog.text


@pytest.mark.parametrize(
    "error",
    [ConfigurationError("client_ip must be one IP address."), OtpVerifyError("of an own guard")],
    ids=repr,
)
def test_an_error_of_the_program_is_raised(error: OtpVerifyError) -> None:
    with pytest.raises(type(error)) as caught:
        explained(error)
    assert caught.value is error


@pytest.mark.parametrize(
    ("scope", "said"),
    [
        ("sends_per_phone", "codes were sent to this number"),
        ("sends_per_ip", "codes were requested from your network"),
        ("failures_per_phone", "incorrect codes were entered for this number"),
        ("consecutive_failures", "incorrect codes were entered for this number"),
        ("other_ways", "incorrect answers"),
        ("passwords", "incorrect passwords"),
        ("of one's own", "codes were requested"),
    ],
)
def test_the_sentence_of_each_limit(scope: str, said: str) -> None:
    text = explain(RateLimited(retry_after=90, scope=scope)).text
    assert text == f"Too many {said}. You can try again %(when)s."
