"""Login."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

import pytest
from django.db import connection
from django.test import override_settings
from django_support import (
    ACCOUNT_PHONE,
    BASE,
    CREDENTIALS,
    NEW_PASSWORD,
    PASSWORD,
    Person,
    both,
    change,
    login,
    urlconf,
)
from freezegun.api import FrozenDateTimeFactory
from support import OTHER_PHONE, PHONE, SECRET

from otpverify import (
    HmacHasher,
    MemoryStore,
)
from otpverify.testing import OutboxSender


@both
def test_a_login_needs_password_and_code(person: Person, user: Any, outbox: OutboxSender) -> None:
    page = person.send("/login/", username="ann", password="wrong")
    assert "enter a correct username and password" in page.said
    assert len(outbox) == 0
    page = login(person)
    assert page.path == f"{person.prefix}/login/code/"
    assert ACCOUNT_PHONE not in page.html
    assert not person.signed_in
    page = person.send("/login/code/", code=outbox.code())
    assert page.path == "/account/"
    assert page.html == "Hello ann"


@both
def test_the_key_of_the_session_changes_twice(
    person: Person, user: Any, outbox: OutboxSender
) -> None:
    """Whoever planted a session's key gains nothing by what happens in it."""
    person.send("/phone/", phone=PHONE)
    keys = [person.client.cookies["sessionid"].value]
    login(person)
    keys.append(person.client.cookies["sessionid"].value)
    assert person.session["otpverify.phone"]["challenge"], "what other tabs are at goes on"
    person.send("/login/code/", code=outbox.code(ACCOUNT_PHONE))
    keys.append(person.client.cookies["sessionid"].value)
    assert len(set(keys)) == 3
    assert person.signed_in
    for planted in keys[:2]:
        person.client.cookies["sessionid"] = planted
        assert not person.signed_in


NEXT = [
    ("/account/?x=1", "/account/"),
    ("https://evil.example/", "/account/"),
    ("//evil.example/", "/account/"),
    ("javascript:alert(1)", "/account/"),
    ("", "/account/"),
]


@pytest.mark.parametrize(("wanted", "path"), NEXT)
@pytest.mark.parametrize("place", ["query", "form"])
def test_next_leads_nowhere_else(
    person: Person, user: Any, outbox: OutboxSender, wanted: str, path: str, place: str
) -> None:
    if place == "query":
        where = f"{person.prefix}/login/?{urlencode({'next': wanted})}"
        person.ask("post", where, CREDENTIALS)
    else:
        login(person, next=wanted)
    page = person.send("/login/code/", follow=False, code=outbox.code())
    assert page.response.headers["Location"] == ("/account/?x=1" if "x=1" in wanted else path)


def test_next_survives_a_mistyped_password(person: Person, user: Any) -> None:
    page = person.send("/login/", username="ann", password="wrong", next="/account/?x=1")
    assert 'name="next" value="/account/?x=1"' in page.html


def test_a_next_that_was_planted_in_the_session_is_judged_again(
    person: Person, user: Any, outbox: OutboxSender
) -> None:
    login(person)
    kept = dict(person.session.items())
    kept["_otpverify"]["login"]["next"] = "https://evil.example/"
    person.take_over(kept)
    page = person.send("/login/code/", follow=False, code=outbox.code())
    assert page.response.headers["Location"] == "/account/"


CHANGES: dict[str, Callable[[Any], None]] = {
    "deactivated": lambda user: change(user, is_active=False),
    "new password": lambda user: (user.set_password(NEW_PASSWORD), user.save())[1],
    "deleted": lambda user: user.delete(),
    "no phone": lambda user: change(user, phone=""),
    "another phone": lambda user: change(user, phone=OTHER_PHONE),
}


@pytest.mark.parametrize("happens", CHANGES)
def test_what_happens_to_the_user_in_between(
    person: Person, user: Any, outbox: OutboxSender, happens: str
) -> None:
    login(person)
    CHANGES[happens](user)
    page = person.send("/login/code/", code=outbox.code())
    assert page.heading == "Sign in"
    assert "expired" in page.said
    assert not person.signed_in


@both
def test_the_user_is_looked_at_again_after_the_code(
    person: Person, user: Any, outbox: OutboxSender
) -> None:
    """Between the check and the login, too."""

    class Deactivating(MemoryStore):
        def check(self, *args: Any, **kwargs: Any) -> Any:
            answer = super().check(*args, **kwargs)
            thread = threading.Thread(target=deactivate)  # an event loop may not ask itself
            thread.start()
            thread.join()
            return answer

    def deactivate() -> None:
        type(user).objects.filter(pk=user.pk).update(is_active=False)
        connection.close()

    options = {**BASE, "SENDER": outbox, "STORE": Deactivating(), "HASHER": HmacHasher()}
    with override_settings(OTPVERIFY={**options, "SECRET": SECRET}):
        login(person)
        page = person.send("/login/code/", code=outbox.code())
        assert "expired" in page.said
        assert not person.signed_in


def test_inactive_users_get_no_code(person: Person, user: Any, outbox: OutboxSender) -> None:
    change(user, is_active=False)
    assert "enter a correct username" in login(person).said
    assert len(outbox) == 0


def test_a_user_without_a_phone_is_not_let_in(person: Person, user: Any) -> None:
    change(user, phone="")
    page = login(person)
    assert "no phone number" in page.said
    assert not person.signed_in


def test_a_code_signs_in_once(person: Person, user: Any, outbox: OutboxSender) -> None:
    login(person)
    copy = dict(person.session.items())
    person.send("/login/code/", code=outbox.code())
    thief = person.another()
    thief.take_over(copy)
    page = thief.send("/login/code/", code=outbox.code())
    assert "already used" in page.said
    assert not thief.signed_in


def test_a_second_login_while_the_code_waits(
    person: Person, user: Any, outbox: OutboxSender, clock: FrozenDateTimeFactory
) -> None:
    login(person)
    page = login(person)
    assert page.heading == "Enter the code"
    assert "in 60 seconds" in page.said
    assert person.send("/login/code/", code=outbox.code()).path == "/account/"


def test_another_user_s_password_ends_what_waits(
    person: Person, user: Any, outbox: OutboxSender
) -> None:
    type(user).objects.create_user("bob", password=PASSWORD, phone=OTHER_PHONE)
    login(person)
    person.send("/login/", username="bob", password=PASSWORD)
    page = person.send("/login/code/", code=outbox.code(ACCOUNT_PHONE))
    assert "4 attempts left" in page.said
    person.send("/login/code/", code=outbox.code(OTHER_PHONE))
    assert person.ask("get", "/account/", {}, follow=True).html == "Hello bob"


def test_cancelling_forgets_the_password(person: Person, user: Any) -> None:
    login(person)
    assert person.send("/login/cancel/").heading == "Sign in"
    assert "otpverify.login" not in person.session
    assert "_otpverify" not in person.session


def test_hooks_of_the_login(person: Person, user: Any) -> None:
    """A subclass decides who needs a code."""
    from otpverify.integrations.django.views import AsyncLoginView, LoginView

    base = AsyncLoginView if person.prefix else LoginView

    class StaffOnly(base):  # type: ignore[misc,valid-type]  # one of two
        def needs_code(self, user: Any) -> bool:
            return bool(user.is_staff)

    with urlconf(*StaffOnly.urls()):
        page = login(Person(person.mode, prefix=""))
        assert page.path == "/account/"
