"""Password reset."""

from __future__ import annotations

from typing import Any

import pytest
from django.core import mail
from django.test import override_settings
from django_support import (
    ACCOUNT_PHONE,
    BASE,
    FAILURES,
    NEW_PASSWORD,
    PASSWORD,
    STRANGER,
    Broken,
    Person,
    Slow,
    anonymous,
    both,
    change,
    login,
    mails_kept,
    reset_allowed,
    set_password,
)
from freezegun.api import FrozenDateTimeFactory

from otpverify import (
    DeliveryRejected,
)
from otpverify.testing import OutboxSender


@both
def test_a_password_is_reset(person: Person, user: Any, outbox: OutboxSender) -> None:
    person.send("/reset/", phone=ACCOUNT_PHONE)
    page = person.send("/reset/code/", code=outbox.code())
    assert (page.heading, page.path) == (
        "Choose a new password",
        f"{person.prefix}/reset/password/",
    )
    page = person.send("/reset/password/", new_password1="short", new_password2="short")
    assert "too short" in page.said
    page = person.send("/reset/password/", new_password1=NEW_PASSWORD, new_password2=NEW_PASSWORD)
    assert page.heading == "Password changed"
    user.refresh_from_db()
    assert user.check_password(NEW_PASSWORD)
    assert len(outbox) == 1


@both
def test_a_new_password_is_reported_by_e_mail(
    person: Person, user: Any, outbox: OutboxSender
) -> None:
    """Not by SMS: the person who reset it holds the phone."""
    change(user, email="ann@example.com")
    with mails_kept():
        mail.outbox = []
        person.send("/reset/", phone=ACCOUNT_PHONE)
        person.send("/reset/code/", code=outbox.code())
        assert not mail.outbox
        set_password(person)
    [message] = mail.outbox
    assert message.to == ["ann@example.com"]
    assert message.subject == "The password of your account was changed."
    assert len(outbox) == 1


@both
def test_a_planted_key_does_not_lead_to_the_new_password(
    person: Person, user: Any, outbox: OutboxSender
) -> None:
    """Somebody who planted a session's key must not choose the person's password."""
    person.send("/reset/", phone=ACCOUNT_PHONE)
    attacker = person.another()
    attacker.client.cookies["sessionid"] = person.client.cookies["sessionid"].value
    page = person.send("/reset/code/", code=outbox.code())
    assert page.heading == "Choose a new password"
    assert attacker.open("/reset/password/").heading == "Reset your password"
    attacker.send("/reset/password/", new_password1=NEW_PASSWORD, new_password2=NEW_PASSWORD)
    user.refresh_from_db()
    assert user.check_password(PASSWORD)


@both
def test_nobody_learns_who_has_an_account(
    person: Person, user: Any, outbox: OutboxSender, clock: FrozenDateTimeFactory
) -> None:
    """The same status, headers, words and session, but for tokens and what was typed."""
    seen, fields = [], []
    for visitor, phone in ((person, STRANGER), (person.another(), ACCOUNT_PHONE)):
        replies = [
            visitor.send("/reset/", follow=False, phone=phone),
            visitor.open("/reset/code/"),
            visitor.send("/reset/code/", follow=False, code="000000"),
            visitor.open("/reset/code/"),
            visitor.send("/reset/resend/", follow=False),
            visitor.open("/reset/code/"),
            visitor.send("/reset/", follow=False, phone=phone),
            visitor.open("/reset/code/"),
        ]
        seen.append([anonymous(reply, phone) for reply in replies])
        fields.append(sorted(visitor.pending("reset")))
    assert seen[0] == seen[1]
    assert fields[0] == fields[1]
    assert "If there is an account with the number" in seen[0][1][2]
    assert [message.to for message in outbox.messages] == [ACCOUNT_PHONE]


@pytest.mark.parametrize("error", FAILURES[:4], ids=["balance", "number", "maybe", "not"])
def test_what_befalls_only_accounts_is_not_told(
    person: Person,
    user: Any,
    outbox: OutboxSender,
    clock: FrozenDateTimeFactory,
    error: DeliveryRejected,
) -> None:
    outbox.fail_with = error
    seen = []
    for visitor, phone in ((person, STRANGER), (person.another(), ACCOUNT_PHONE)):
        replies = [visitor.send("/reset/", phone=phone), visitor.open("/reset/code/")]
        clock.tick(61)
        replies += [visitor.send("/reset/resend/"), visitor.open("/reset/code/")]
        replies += [visitor.send("/reset/resend/"), visitor.open("/reset/code/")]
        clock.tick(-61)
        seen.append([anonymous(reply, phone) for reply in replies])
    assert seen[0] == seen[1]
    assert "If there is an account with the number" in seen[0][0][2]


@both
def test_a_slow_gateway_does_not_tell(person: Person, user: Any) -> None:
    """The reply is there while the message still waits for the gateway."""
    sender = Slow()
    with override_settings(OTPVERIFY={**BASE, "SENDER": sender, "DELIVER_IN_BACKGROUND": True}):
        page = person.send("/reset/", phone=ACCOUNT_PHONE)
        assert page.heading == "Enter the code"
        assert sender.begun.wait(30)
        assert sender.sent == []
        sender.gate.set()
    assert [message.to for message in sender.sent] == [ACCOUNT_PHONE], "closing waited for it"


@pytest.mark.parametrize("why", ["inactive", "no password", "two of them"])
def test_who_may_not_reset_gets_nothing(
    person: Person,
    user: Any,
    outbox: OutboxSender,
    why: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    if why == "inactive":
        change(user, is_active=False)
    elif why == "no password":
        user.set_unusable_password()
        user.save()
    else:
        type(user).objects.create_user("bob", password=PASSWORD, phone=ACCOUNT_PHONE)
    assert person.send("/reset/", phone=ACCOUNT_PHONE).heading == "Enter the code"
    assert len(outbox) == 0
    assert ("2 accounts have the number" in caplog.text) is (why == "two of them")


@both
def test_a_proof_serves_once(person: Person, user: Any, outbox: OutboxSender) -> None:
    reset_allowed(person, outbox)
    thief = person.another()
    thief.take_over(dict(person.session.items()))
    assert set_password(person).heading == "Password changed"
    page = set_password(thief, "another one")
    assert page.heading == "Reset your password"
    assert "already used" in page.said
    user.refresh_from_db()
    assert user.check_password(NEW_PASSWORD)
    assert set_password(person, "a third one").heading == "Reset your password"


def test_a_proof_does_not_last(
    person: Person, user: Any, outbox: OutboxSender, clock: FrozenDateTimeFactory
) -> None:
    reset_allowed(person, outbox)
    clock.tick(601)
    assert set_password(person).heading == "Reset your password"
    user.refresh_from_db()
    assert user.check_password(PASSWORD)


@both
def test_mistyped_passwords_cost_no_message(
    person: Person, user: Any, outbox: OutboxSender
) -> None:
    reset_allowed(person, outbox)
    page = person.send("/reset/password/", new_password1=NEW_PASSWORD, new_password2="other")
    assert "password fields didn" in page.said
    assert NEW_PASSWORD not in page.html
    assert "too short" in set_password(person, "short").said
    assert set_password(person).heading == "Password changed"
    assert len(outbox) == 1


def test_a_store_that_is_away_costs_no_proof(
    person: Person, user: Any, outbox: OutboxSender
) -> None:
    store = Broken()
    with override_settings(OTPVERIFY={**BASE, "SENDER": outbox, "STORE": store}):
        reset_allowed(person, outbox)
        store.broken = ("redeem",)
        page = set_password(person)
        assert (page.heading, page.status) == ("Choose a new password", 200)
        assert "went wrong on our side" in page.said
        store.broken = ()
        assert set_password(person).heading == "Password changed"


def test_a_user_who_is_deactivated_sets_no_password(
    person: Person, user: Any, outbox: OutboxSender
) -> None:
    reset_allowed(person, outbox)
    change(user, is_active=False)
    assert set_password(person).heading == "Reset your password"
    user.refresh_from_db()
    assert user.check_password(PASSWORD)


def test_everybody_is_signed_out_by_a_reset(
    person: Person, user: Any, outbox: OutboxSender
) -> None:
    elsewhere = person.another()
    login(elsewhere)
    elsewhere.send("/login/code/", code=outbox.code())
    assert elsewhere.ask("get", "/account/", {}, follow=True).html == "Hello ann"
    reset_allowed(person, outbox)
    set_password(person)
    page = elsewhere.ask("get", "/account/", {}, follow=True)
    assert page.heading == "Sign in"
