"""A person adds, changes and removes the phone of the account."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.conf import settings
from django.contrib.auth import get_user_model
from django.db import connection, models
from django.test import override_settings
from django_support import (
    ACCOUNT_PHONE,
    BASE,
    NEW_PASSWORD,
    PASSWORD,
    Page,
    Person,
    both,
    change,
    login,
    urlconf,
)
from freezegun.api import FrozenDateTimeFactory
from support import OTHER_PHONE, PHONE, wrong

from otpverify.integrations.django import accounts, signals
from otpverify.integrations.django.phone_sessions import EndsSessionsWithPhone
from otpverify.integrations.django.views import (
    AsyncEnrolmentView,
    EnrolmentView,
    LoginView,
)
from otpverify.testing import OutboxSender


@pytest.fixture(autouse=True)
def _no_cooldown(outbox: OutboxSender) -> Iterator[None]:
    options = {**BASE, "SENDER": outbox, "POLICY": {"resend_cooldown_seconds": 0}}
    with override_settings(OTPVERIFY=options):
        yield


@pytest.fixture
def heard() -> Iterator[list[tuple[str, dict[str, Any]]]]:
    found: list[tuple[str, dict[str, Any]]] = []
    listening = []
    for name in ("phone_changed", "phone_removed", "login_verified"):

        def receiver(name: str = name, **named: Any) -> None:
            found.append((name, named))

        getattr(signals, name).connect(receiver)
        listening.append((name, receiver))
    yield found
    for name, receiver in listening:
        getattr(signals, name).disconnect(receiver)


@contextmanager
def with_mixin() -> Iterator[None]:
    """The user model has the mixin, and its users' sessions end with the phone."""
    known: Any = get_user_model()
    before = known.__bases__
    known.__bases__ = (EndsSessionsWithPhone, *before)
    try:
        yield
    finally:
        known.__bases__ = before


@pytest.fixture
def ends_sessions() -> Iterator[None]:
    with with_mixin():
        yield


def phone_in_database(user: Any) -> str:
    return str(type(user).objects.get(pk=user.pk).phone)


def sign_in(person: Person, outbox: OutboxSender) -> None:
    login(person)
    person.send("/login/code/", code=outbox.code())
    assert person.signed_in


def sign_in_without_phone(person: Person, user: Any) -> None:
    person.client.force_login(user)


def prove_again(person: Person, outbox: OutboxSender) -> Page:
    page = person.send("/my-phone/check/", password=PASSWORD)
    assert page.heading == "Enter the code"
    return person.send("/my-phone/check/code/", code=outbox.code(ACCOUNT_PHONE))


@both
def test_the_page_for_the_number_names_the_risk_of_codes_by_sms(person: Person, user: Any) -> None:
    change(user, phone="")
    sign_in_without_phone(person, user)
    page = person.open("/my-phone/")
    assert "A person who takes over your number also receives your codes." in page.html
    assert "An authenticator app or a passkey is safer." in page.html


@both
def test_the_first_phone_needs_the_password_and_a_code_to_it(
    person: Person, user: Any, outbox: OutboxSender, heard: Any
) -> None:
    change(user, phone="")
    sign_in_without_phone(person, user)
    page = person.send("/my-phone/", phone=PHONE, password="wrong")
    assert "entered incorrectly" in page.html
    assert len(outbox) == 0
    page = person.send("/my-phone/", phone="5678 9045", password=PASSWORD)
    assert page.heading == "Enter the code"
    assert phone_in_database(user) == "", "nothing is saved before the code"
    page = person.send("/my-phone/code/", code=wrong(outbox.code()))
    assert "4 attempts left" in page.said
    page = person.send("/my-phone/code/", code=outbox.code())
    assert (page.heading, PHONE in page.html) == ("Phone confirmed", True)
    assert phone_in_database(user) == PHONE
    assert person.signed_in
    [(name, named)] = heard
    assert (name, named["user"], named["old"]) == ("phone_changed", user, None)
    assert named["verified"].phone == PHONE
    assert named["request"].method == "POST"


@both
def test_a_change_needs_password_and_a_code_to_each_number(
    person: Person, user: Any, outbox: OutboxSender, heard: Any
) -> None:
    sign_in(person, outbox)
    heard.clear()
    page = person.open("/my-phone/")
    assert ACCOUNT_PHONE not in page.html
    assert 'name="phone"' not in page.html
    page = person.send("/my-phone/", phone=PHONE)
    assert page.heading == "First confirm that it is you."
    before = len(outbox)
    assert "entered incorrectly" in person.send("/my-phone/check/", password="wrong").html
    assert len(outbox) == before
    key = person.client.cookies["sessionid"].value
    assert prove_again(person, outbox).heading == "Phone number"
    assert person.client.cookies["sessionid"].value != key, "it gains rights"
    person.send("/my-phone/", phone=PHONE)
    page = person.send("/my-phone/code/", code=outbox.code(PHONE))
    assert page.heading == "Phone confirmed"
    assert phone_in_database(user) == PHONE
    assert [(name, named["old"]) for name, named in heard] == [("phone_changed", ACCOUNT_PHONE)]
    assert outbox.last.to == ACCOUNT_PHONE, "the owner of the old number learns of it"
    assert "phone number of your account was changed" in outbox.last.text
    assert not re.search(r"\d", outbox.last.text)
    person.send("/my-phone/", phone=OTHER_PHONE)
    page = person.open("/my-phone/")
    assert 'name="phone"' not in page.html, "the proof was for one change"


@both
def test_a_removal_needs_the_same_proof(
    person: Person, user: Any, outbox: OutboxSender, heard: Any
) -> None:
    sign_in(person, outbox)
    heard.clear()
    with override_settings(OTPVERIFY={**_options(outbox), "WITHOUT_PHONE": "sign_in"}):
        page = person.send("/my-phone/remove/")
        assert page.heading == "First confirm that it is you."
        assert phone_in_database(user) == ACCOUNT_PHONE
        assert "Remove the number" in prove_again(person, outbox).html
        page = person.send("/my-phone/remove/")
        assert "was removed" in page.said
        assert phone_in_database(user) == ""
        assert [(name, named["old"]) for name, named in heard] == [("phone_removed", ACCOUNT_PHONE)]
        assert person.send("/my-phone/remove/").heading == "Phone number"
        assert len(heard) == 1


def _options(outbox: OutboxSender) -> dict[str, Any]:
    return {**BASE, "SENDER": outbox, "POLICY": {"resend_cooldown_seconds": 0}}


def test_a_number_that_the_login_needs_stays(
    person: Person, user: Any, outbox: OutboxSender
) -> None:
    """Without it nobody could sign in."""
    sign_in(person, outbox)
    assert "Remove the number" not in prove_again(person, outbox).html
    person.send("/my-phone/remove/")
    assert phone_in_database(user) == ACCOUNT_PHONE


# Attackers.


@pytest.mark.parametrize("has_phone", [True, False])
def test_an_open_session_enrols_no_phone(
    person: Person, user: Any, outbox: OutboxSender, has_phone: bool
) -> None:
    """Somebody at a browser that was left open knows neither the password nor a code."""
    change(user, phone=ACCOUNT_PHONE if has_phone else "")
    sign_in_without_phone(person, user)
    tries: list[dict[str, Any]] = [{}, {"password": ""}, {"password": "guess"}]
    for fields in tries:
        person.send("/my-phone/", phone=PHONE, **fields)
        person.send("/my-phone/check/", **fields)
    for path in ("/my-phone/code/", "/my-phone/check/code/"):
        person.send(path, code="123456")
    person.send("/my-phone/remove/")
    assert len(outbox) == 0
    assert phone_in_database(user) == (ACCOUNT_PHONE if has_phone else "")


def test_passwords_are_guessed_a_few_times_alone(
    person: Person, user: Any, outbox: OutboxSender
) -> None:
    """In all sessions together, and on both pages. One that is right is not counted."""
    for nth in range(5):
        guesser = person.another()
        sign_in_without_phone(guesser, user)
        guesser.send("/my-phone/check/", password=PASSWORD)
        assert "entered incorrectly" in guesser.send("/my-phone/check/", password=f"{nth}").html
        guesser.send("/my-phone/check/", password="")
    sign_in_without_phone(person, user)
    sent = len(outbox)
    assert "Too many incorrect passwords" in person.send("/my-phone/check/", password=PASSWORD).said
    change(user, phone="")
    status, body = person.json("post", "/my-phone/", phone=PHONE, password=PASSWORD)
    assert (status, body["limit"]) == (429, "passwords")
    assert len(outbox) == sent


def test_the_password_alone_changes_no_phone(
    person: Person, user: Any, outbox: OutboxSender
) -> None:
    sign_in(person, outbox)
    person.send("/my-phone/check/", password=PASSWORD)
    page = person.send("/my-phone/check/code/", code=wrong(outbox.code()))
    assert "4 attempts left" in page.said
    sent = len(outbox)
    person.send("/my-phone/", phone=PHONE, password=PASSWORD)
    assert len(outbox) == sent


def test_codes_of_other_flows_prove_nothing(
    person: Person, user: Any, outbox: OutboxSender
) -> None:
    """Neither that of the login, nor one for the attacker's own phone."""
    sign_in(person, outbox)
    login_code = outbox.code()
    person.send("/phone/", phone=PHONE)
    person.send("/phone/code/", code=outbox.code(PHONE))
    person.send("/my-phone/check/", password=PASSWORD)
    for code in {login_code, outbox.code(PHONE)} - {outbox.code(ACCOUNT_PHONE)}:
        person.send("/my-phone/check/code/", code=code)
    person.send("/my-phone/", phone=PHONE)
    assert 'name="phone"' not in person.open("/my-phone/").html
    assert phone_in_database(user) == ACCOUNT_PHONE


def test_the_proof_ends(
    person: Person, user: Any, outbox: OutboxSender, clock: FrozenDateTimeFactory
) -> None:
    sign_in(person, outbox)
    prove_again(person, outbox)
    clock.tick(9 * 60)
    person.send("/my-phone/", phone=PHONE)
    clock.tick(2 * 60)
    page = person.send("/my-phone/code/", code=outbox.code(PHONE))
    assert "expired" in page.said
    assert phone_in_database(user) == ACCOUNT_PHONE


def test_a_proof_in_a_copied_session_is_void_after_the_change(
    person: Person, user: Any, outbox: OutboxSender
) -> None:
    sign_in(person, outbox)
    prove_again(person, outbox)
    copy = dict(person.session.items())
    person.send("/my-phone/", phone=PHONE)
    person.send("/my-phone/code/", code=outbox.code(PHONE))
    thief = person.another()
    thief.take_over(copy)
    sent = len(outbox)
    thief.send("/my-phone/", phone=OTHER_PHONE)
    assert len(outbox) == sent
    assert phone_in_database(user) == PHONE


def test_a_challenge_for_one_account_saves_nothing_for_another(
    person: Person, user: Any, outbox: OutboxSender
) -> None:
    bob = type(user).objects.create_user("bob", password=PASSWORD)
    change(user, phone="")
    sign_in_without_phone(person, user)
    person.send("/my-phone/", phone=PHONE, password=PASSWORD)
    entry = person.session["otpverify.phone-enrolment"]
    other = person.another()
    sign_in_without_phone(other, bob)
    session = other.session
    session["otpverify.phone-enrolment"] = entry
    session.save()
    other.send("/my-phone/code/", code=outbox.code())
    assert phone_in_database(bob) == ""


def test_forms_are_protected(user: Any) -> None:
    change(user, phone="")
    strict = Person("sync", enforce_csrf_checks=True)
    sign_in_without_phone(strict, user)
    for path in ("/my-phone/", "/my-phone/remove/", "/my-phone/check/"):
        assert strict.send(path, phone=PHONE, password=PASSWORD, follow=False).status == 403


def test_strangers_are_led_to_the_login(person: Person, user: Any) -> None:
    for path in ("/my-phone/", "/my-phone/check/", "/backup-codes/"):
        page = person.open(path)
        assert page.path == "/login/"
        assert person.json("post", path, phone=PHONE)[0] == 401
    page = person.send("/my-phone/code/", code="123456")
    assert page.path == "/login/"


# Numbers of other accounts.


def test_a_number_of_another_account_is_refused_after_the_code(
    person: Person, user: Any, outbox: OutboxSender
) -> None:
    """Before it, a stranger could try whose numbers are known here."""
    type(user).objects.create_user("bob", password=PASSWORD, phone=PHONE)
    change(user, phone="")
    sign_in_without_phone(person, user)
    known = person.send("/my-phone/", phone=PHONE, password=PASSWORD)
    code = outbox.code(PHONE)
    unknown = person.send("/my-phone/", phone=OTHER_PHONE, password=PASSWORD)
    assert known.heading == unknown.heading == "Enter the code"
    person.send("/my-phone/", phone=PHONE, password=PASSWORD)
    code = outbox.code(PHONE)
    page = person.send("/my-phone/code/", code=code)
    assert "belongs to another account" in page.html
    assert phone_in_database(user) == ""
    person.json("post", "/my-phone/", phone=PHONE, password=PASSWORD)
    status, body = person.json("post", "/my-phone/code/", code=outbox.code(PHONE))
    assert (status, list(body["errors"])) == (422, ["phone"])


def test_two_accounts_at_once_get_one_number_once(user: Any) -> None:
    """Where the field is unique, the database decides; `phone_taken` looked before."""
    known: Any = get_user_model()
    bob = known.objects.create_user("bob", phone=PHONE)
    change(user, phone="")
    constraint = models.UniqueConstraint(
        fields=["phone"], condition=models.Q(phone__gt=""), name="one_phone"
    )
    with connection.schema_editor() as editor:
        editor.add_constraint(known, constraint)
    try:
        assert not accounts.saved_alone(accounts.save_phone, user, PHONE, None)
        assert user.phone == ""
        assert accounts.saved_alone(accounts.save_phone, user, OTHER_PHONE, None)
        assert phone_in_database(bob) == PHONE
    finally:
        with connection.schema_editor() as editor:
            editor.remove_constraint(known, constraint)


def test_two_changes_at_once_save_one(user: Any) -> None:
    from otpverify import ChallengeExpired

    outcomes = []
    barrier = threading.Barrier(2)

    def save(phone: str) -> None:
        mine = type(user).objects.get(pk=user.pk)
        barrier.wait()
        try:
            accounts.save_phone(mine, phone, ACCOUNT_PHONE)
            outcomes.append(phone)
        except ChallengeExpired:
            outcomes.append("expired")
        connection.close()

    threads = [threading.Thread(target=save, args=(phone,)) for phone in (PHONE, OTHER_PHONE)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert outcomes.count("expired") == 1
    assert phone_in_database(user) in outcomes


def test_the_same_number_is_not_confirmed_again(
    person: Person, user: Any, outbox: OutboxSender
) -> None:
    sign_in(person, outbox)
    prove_again(person, outbox)
    sent = len(outbox)
    assert "has this number already" in person.send("/my-phone/", phone=ACCOUNT_PHONE).html
    assert len(outbox) == sent


# What ends with the old number.


def test_other_sessions_end_with_the_old_number(
    person: Person, user: Any, outbox: OutboxSender, ends_sessions: None
) -> None:
    other = person.another()
    sign_in(other, outbox)
    sign_in(person, outbox)
    key = person.client.cookies["sessionid"].value
    prove_again(person, outbox)
    person.send("/my-phone/", phone=PHONE)
    person.send("/my-phone/code/", code=outbox.code(PHONE))
    assert person.ask("get", "/account/", {}, follow=True).html == "Hello ann"
    assert person.client.cookies["sessionid"].value != key
    assert other.ask("get", "/account/", {}, follow=True).path == "/login/"


def test_a_login_that_waits_for_a_code_to_the_old_number_ends(
    person: Person, user: Any, outbox: OutboxSender
) -> None:
    sign_in(person, outbox)
    waiting = person.another()
    login(waiting)
    code = outbox.code(ACCOUNT_PHONE)
    prove_again(person, outbox)
    person.send("/my-phone/", phone=PHONE)
    person.send("/my-phone/code/", code=outbox.code(PHONE))
    assert "expired" in waiting.send("/login/code/", code=code).said
    assert not waiting.signed_in


def test_what_the_mixin_adds_is_the_phone(user: Any) -> None:
    """And nothing for users without one, whose sessions go on."""
    user.phone = ""
    before = user.get_session_auth_hash()
    with with_mixin():
        assert user.get_session_auth_hash() == before
        user.phone = PHONE
        with_phone = user.get_session_auth_hash()
        user.phone = OTHER_PHONE
        assert len({before, with_phone, user.get_session_auth_hash()}) == 3
        user.phone = PHONE
        older = [settings.SECRET_KEY]
        with override_settings(SECRET_KEY="a new key", SECRET_KEY_FALLBACKS=older):
            assert with_phone in user.get_session_auth_fallback_hash()
            assert with_phone != user.get_session_auth_hash()


def test_enrolling_at_the_login_with_the_mixin(
    person: Person, user: Any, outbox: OutboxSender, ends_sessions: None
) -> None:
    """The new phone changes the hash between the password and the login."""
    change(user, phone="")
    with override_settings(OTPVERIFY={**_options(outbox), "WITHOUT_PHONE": "enrol"}):
        login(person)
        person.send("/my-phone/", phone=PHONE)
        assert person.send("/my-phone/code/", code=outbox.code(PHONE)).html == "Hello ann"


# Users without a phone at the login.


def test_signing_in_only_to_enrol(
    person: Person, user: Any, outbox: OutboxSender, heard: Any
) -> None:
    change(user, phone="")
    with override_settings(OTPVERIFY={**_options(outbox), "WITHOUT_PHONE": "enrol"}):
        page = login(person, next="/account/?x=1")
        assert page.heading == "Phone number"
        assert 'name="password"' not in page.html
        assert not person.signed_in
        person.send("/my-phone/", phone=PHONE)
        before = person.client.cookies["sessionid"].value
        page = person.send("/my-phone/code/", code=outbox.code(PHONE))
        assert page.html == "Hello ann"
        assert person.client.cookies["sessionid"].value != before
        assert phone_in_database(user) == PHONE
        assert [name for name, _ in heard] == ["phone_changed", "login_verified"]
        assert heard[1][1]["way"] == "enrolment"


def test_a_session_that_may_only_enrol_does_nothing_else(
    person: Person, user: Any, outbox: OutboxSender
) -> None:
    from django.test import RequestFactory

    from otpverify import ChallengeExpired
    from otpverify.integrations.django.pending_login import complete_login, pending_user

    change(user, phone="")
    with override_settings(OTPVERIFY={**_options(outbox), "WITHOUT_PHONE": "enrol"}):
        login(person)
        for path in ("/my-phone/check/", "/backup-codes/", "/account/"):
            assert person.ask("get", path, {}, follow=True).path == "/login/"
        request = RequestFactory().post("/")
        request.session = person.session
        assert pending_user(request) is None
        with pytest.raises(ChallengeExpired):
            complete_login(request, way="totp")
        person.send("/login/code/", code="123456")
        person.send("/login/other/", way="backup-code", code="12345-12345")
        person.send("/my-phone/remove/")
        assert not person.signed_in


def test_a_half_signed_in_session_changes_no_phone(
    person: Person, user: Any, outbox: OutboxSender
) -> None:
    """The password is not enough for an account that has a phone by now, or always had one."""
    login(person)
    assert person.open("/my-phone/").path == "/login/"
    change(user, phone="")
    with override_settings(OTPVERIFY={**_options(outbox), "WITHOUT_PHONE": "enrol"}):
        attacker = person.another()
        login(attacker)
        attacker.send("/my-phone/", phone=OTHER_PHONE)
        change(user, phone=PHONE)  # the owner was faster
        page = attacker.send("/my-phone/code/", code=outbox.code(OTHER_PHONE))
        assert page.path == "/login/"
        assert phone_in_database(user) == PHONE
        assert not attacker.signed_in


def test_enrolling_ends_when_the_password_changes(
    person: Person, user: Any, outbox: OutboxSender
) -> None:
    change(user, phone="")
    with override_settings(OTPVERIFY={**_options(outbox), "WITHOUT_PHONE": "enrol"}):
        login(person)
        person.send("/my-phone/", phone=PHONE)
        user.set_password(NEW_PASSWORD)
        user.save()
        person.send("/my-phone/code/", code=outbox.code(PHONE))
        assert not person.signed_in
        assert phone_in_database(user) == ""


def test_enrolling_is_about_the_user_whose_password_was_right(
    person: Person, user: Any, outbox: OutboxSender
) -> None:
    """Not about the one who was signed in before."""
    bob = type(user).objects.create_user("bob", password=PASSWORD)
    sign_in(person, outbox)
    with override_settings(OTPVERIFY={**_options(outbox), "WITHOUT_PHONE": "enrol"}):
        person.send("/login/", username="bob", password=PASSWORD)
        assert not person.signed_in
        person.send("/my-phone/", phone=PHONE)
        person.send("/my-phone/code/", code=outbox.code(PHONE))
        assert phone_in_database(bob) == PHONE
        assert phone_in_database(user) == ACCOUNT_PHONE


def test_the_other_choices(person: Person, user: Any, outbox: OutboxSender) -> None:
    change(user, phone="")
    assert "no phone number" in login(person).said
    with override_settings(OTPVERIFY={**_options(outbox), "WITHOUT_PHONE": "sign_in"}):
        assert login(person).html == "Hello ann"


def test_enrolment_that_is_not_mounted_lets_nobody_in(
    person: Person, user: Any, outbox: OutboxSender
) -> None:
    change(user, phone="")
    with (
        override_settings(OTPVERIFY={**_options(outbox), "WITHOUT_PHONE": "enrol"}),
        urlconf(*LoginView.urls()),
    ):
        assert "no phone number" in login(Person("sync", prefix="")).said


# JSON.


def test_enrolment_by_json(person: Person, user: Any, outbox: OutboxSender) -> None:
    sign_in(person, outbox)
    status, body = person.json("post", "/my-phone/", phone=PHONE)
    assert (status, body["type"].rpartition(":")[2]) == (403, "proof-required")
    status, body = person.json("post", "/my-phone/check/", password="wrong")
    assert (status, list(body["errors"])) == (422, ["password"])
    assert person.json("post", "/my-phone/check/", password=PASSWORD)[0] == 202
    status, body = person.json("post", "/my-phone/check/code/", code=outbox.code())
    assert (status, body["next"]) == (200, f"{person.prefix}/my-phone/")
    assert person.json("post", "/my-phone/", phone=PHONE)[0] == 202
    status, body = person.json("post", "/my-phone/code/", code=outbox.code(PHONE))
    assert (status, body["next"]) == (200, f"{person.prefix}/my-phone/done/")
    assert phone_in_database(user) == PHONE


def test_json_learns_that_nothing_was_removed(person: Person, user: Any) -> None:
    change(user, phone="")
    sign_in_without_phone(person, user)
    assert person.json("post", "/my-phone/remove/")[0] == 422


def test_a_code_that_is_sent_twice(person: Person, user: Any, outbox: OutboxSender) -> None:
    change(user, phone="")
    sign_in_without_phone(person, user)
    person.send("/my-phone/", phone=PHONE, password=PASSWORD)
    for _ in range(2):
        page = person.send("/my-phone/code/", code=outbox.code(PHONE))
        assert page.heading == "Phone confirmed"


def test_hooks_of_the_enrolment(person: Person, user: Any, outbox: OutboxSender) -> None:
    """Several accounts may have one number, and it is saved elsewhere."""
    saved = []
    base = AsyncEnrolmentView if person.prefix else EnrolmentView

    class Shared(base):  # type: ignore[misc,valid-type]  # one of two
        def phone_taken(self, phone: str) -> bool:
            return False

        def save_phone(self, user: Any, phone: str | None, old: str | None) -> None:
            saved.append((user, phone, old))

    type(user).objects.create_user("bob", phone=PHONE)
    change(user, phone="")
    with urlconf(*Shared.urls(), *LoginView.urls()):
        alone = Person(person.mode, prefix="")
        sign_in_without_phone(alone, user)
        alone.send("/my-phone/", phone=PHONE, password=PASSWORD)
        page = alone.send("/my-phone/code/", code=outbox.code(PHONE))
        assert page.heading == "Phone confirmed"
    assert saved == [(user, PHONE, None)]
