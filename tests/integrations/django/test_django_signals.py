"""The signals carry the user and the request."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth.signals import user_login_failed
from django.http import HttpRequest
from django_support import ACCOUNT_PHONE, Person, both, login
from freezegun.api import FrozenDateTimeFactory
from support import PHONE, wrong

from otpverify import AttemptsExhausted, ChallengeExpired, IncorrectCode, Verified
from otpverify.integrations.django import signals
from otpverify.testing import OutboxSender

NAMES = ("code_refused", "attempts_exhausted", "code_verified", "phone_verified", "login_verified")
FAILED = ["code_refused", "user_login_failed"]
EXHAUSTED = ["code_refused", "attempts_exhausted", "user_login_failed"]


@pytest.fixture
def heard() -> Iterator[list[tuple[str, dict[str, Any]]]]:
    found: list[tuple[str, dict[str, Any]]] = []
    listening = [(name, getattr(signals, name)) for name in (*NAMES, "password_reset_done")] + [
        ("user_login_failed", user_login_failed)
    ]
    receivers = []
    for name, signal in listening:

        def receiver(name: str = name, **named: Any) -> None:
            assert isinstance(named["request"], HttpRequest)
            assert named["request"].method == "POST"
            found.append((name, named))

        receivers.append((signal, receiver))
        signal.connect(receiver)
    yield found
    for signal, receiver in receivers:
        signal.disconnect(receiver)


@both
def test_codes_that_are_refused_at_a_login(
    person: Person, user: Any, outbox: OutboxSender, heard: Any, clock: FrozenDateTimeFactory
) -> None:
    login(person)
    code = outbox.code()
    for nth in range(1, 6):
        person.send("/login/code/", code=wrong(code, nth))
    assert [name for name, _ in heard] == FAILED * 4 + EXHAUSTED
    for name, named in heard:
        if name == "user_login_failed":
            assert named["credentials"] == {"username": "ann"}
        else:
            assert (named["user"], named["purpose"]) == (user, "login")
            assert isinstance(named["error"], IncorrectCode)
            assert named["sender"].flow == "login"
    heard.clear()
    person.send("/login/code/", code=code)
    assert [name for name, _ in heard] == ["code_refused"], "it was no attempt"
    assert isinstance(heard[0][1]["error"], ChallengeExpired)
    assert heard[0][1]["user"] == user


@both
def test_what_is_not_a_code_is_no_failed_login(
    person: Person, user: Any, outbox: OutboxSender, heard: Any
) -> None:
    login(person)
    code = outbox.code()
    person.send("/login/code/", code="letters")
    assert [name for name, _ in heard] == ["code_refused"]
    heard.clear()
    copy = dict(person.session.items())
    for nth in range(1, 6):
        person.send("/login/code/", code=wrong(code, nth))
    person.take_over(copy)
    heard.clear()
    person.send("/login/code/", code=code)
    assert [name for name, _ in heard] == EXHAUSTED
    assert isinstance(heard[0][1]["error"], AttemptsExhausted)


@both
def test_right_codes(person: Person, user: Any, outbox: OutboxSender, heard: Any) -> None:
    login(person)
    person.send("/login/code/", code=outbox.code())
    assert [name for name, _ in heard] == ["code_verified", "login_verified"]
    assert {named["user"] for _, named in heard} == {user}
    heard.clear()
    person.send("/phone/", phone=PHONE)
    person.send("/phone/code/", code=wrong(outbox.code()))
    person.send("/phone/code/", code=outbox.code())
    assert [name for name, _ in heard] == ["code_refused", "code_verified", "phone_verified"]
    assert (heard[0][1]["user"], heard[1][1]["user"]) == (user, user), "who is signed in"
    verified: Verified = heard[1][1]["verified"]
    assert (verified.phone, verified.purpose) == (PHONE, "phone")
    heard.clear()
    stranger = person.another()
    stranger.send("/reset/", phone=ACCOUNT_PHONE)
    stranger.send("/reset/code/", code=outbox.code())
    assert [(name, named["user"]) for name, named in heard] == [("code_verified", None)]


@both
def test_a_repeat_is_reported_once(
    person: Person, user: Any, outbox: OutboxSender, heard: Any
) -> None:
    person.send("/phone/", phone=PHONE)
    for _ in range(2):
        person.send("/phone/code/", code=outbox.code())
    assert [name for name, _ in heard] == ["code_verified", "phone_verified"]


@both
@pytest.mark.parametrize("flow", ["phone", "reset"])
def test_the_last_attempt_is_reported_in_every_flow(
    person: Person, user: Any, outbox: OutboxSender, heard: Any, flow: str
) -> None:
    person.send(f"/{flow}/", phone=ACCOUNT_PHONE)
    for nth in range(1, 6):
        person.send(f"/{flow}/code/", code=wrong(outbox.code(), nth))
    assert [name for name, _ in heard] == [*["code_refused"] * 5, "attempts_exhausted"]
    error = heard[-1][1]["error"]
    assert isinstance(error, IncorrectCode)
    assert (error.attempts_left, heard[-1][1]["user"]) == (0, None)
