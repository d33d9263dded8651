"""The Django app, through Django's own test clients."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterator
from html import unescape
from typing import Any

import django_site
import pytest
from django.apps import apps
from django.contrib.auth import get_user_model
from django.test import AsyncClient, Client, override_settings
from support import PHONE, QUICK

from otpverify.testing import OutboxSender

django_site.set_up()

ACCOUNT_PHONE = "+12025550123"
STRANGER = "+12025550199"
PASSWORD = "open sesame"
NEW_PASSWORD = "close sesame"
BASE = {"HASHER": QUICK, "REGION": "EE", "PHONE_FIELD": "phone", "DELIVER_IN_BACKGROUND": False}


class Page:
    """What a person sees of a reply, once all redirects were followed."""

    def __init__(self, response: Any) -> None:
        self.response = response
        self.status = response.status_code
        chain = getattr(response, "redirect_chain", [])
        self.path = (
            chain[-1][0]
            if chain
            else response.request.get("PATH_INFO", response.request.get("path"))
        )
        self.html = response.content.decode()
        heading = re.search(r"<h1>(.*?)</h1>", self.html)
        self.heading = heading[1] if heading else ""
        said = re.search(r'role="(?:alert|status)">(.*?)</p>', self.html, re.DOTALL)
        self.said = unescape(re.sub(r"<[^>]+>", "", said[1])).strip() if said else ""


class Person:
    """One person with one browser, in one colour."""

    def __init__(self, colour: str, **options: Any) -> None:
        self.prefix = "/async" if colour == "async" else ""
        self._async = colour == "async"
        self.client: Any = (AsyncClient if self._async else Client)(**options)

    def open(self, path: str, **extra: Any) -> Page:
        return self._do("get", path, {}, follow=True, **extra)

    def send(self, path: str, *, follow: bool = True, **fields: str) -> Page:
        return self._do("post", path, fields, follow=follow)

    def _do(self, method: str, path: str, data: dict[str, str], **options: Any) -> Page:
        call = getattr(self.client, method)
        found = call(f"{self.prefix}{path}", data, **options)
        return Page(asyncio.run(found) if self._async else found)

    @property
    def session(self) -> Any:
        return self.client.session

    def pending(self, flow: str) -> Any:
        return self.session[f"otpverify_{flow}"]["pending"]


@pytest.fixture(autouse=True)
def _tables(outbox: OutboxSender) -> Iterator[None]:
    django_site.migrate()
    get_user_model().objects.all().delete()
    apps.get_model("sessions.Session").objects.all().delete()
    with override_settings(OTPVERIFY={**BASE, "SENDER": outbox}):
        yield


@pytest.fixture(params=["sync", "async"])
def person(request: pytest.FixtureRequest) -> Person:
    return Person(request.param)


@pytest.fixture
def another(person: Person) -> Callable[..., Person]:
    """Makes a person in the same colour, with another browser."""
    return lambda **options: Person("async" if person.prefix else "sync", **options)


@pytest.fixture
def user() -> Any:
    users: Any = get_user_model().objects
    return users.create_user("ann", password=PASSWORD, phone=ACCOUNT_PHONE)


def signed_in(person: Person) -> bool:
    return "_auth_user_id" in person.session


def login(person: Person, **more: Any) -> Page:
    return person.send("/login/", username="ann", password=PASSWORD, **more)


# Phone confirmation.


def test_a_phone_is_confirmed(person: Person, outbox: OutboxSender) -> None:
    page = person.open("/phone/")
    assert (page.heading, page.status) == ("Confirm your phone", 200)
    page = person.send("/phone/", phone="5678 9045")
    assert page.path == f"{person.prefix}/phone/code/"
    assert PHONE in page.html
    assert 'data-wait="60"' in page.html
    code = outbox.code(PHONE)
    page = person.send("/phone/code/", code=f"{code[:3]} {code[3:]}")
    assert (page.heading, page.path) == ("Phone confirmed", f"{person.prefix}/phone/done/")
    assert PHONE in page.html


# Login.


def test_a_login_needs_password_and_code(person: Person, user: Any, outbox: OutboxSender) -> None:
    page = person.send("/login/", username="ann", password="wrong")
    assert "enter a correct username and password" in page.said
    assert len(outbox) == 0
    page = login(person)
    assert page.path == f"{person.prefix}/login/code/"
    assert ACCOUNT_PHONE not in page.html
    assert not signed_in(person)
    page = person.send("/login/code/", code=outbox.code())
    assert page.path == "/account/"
    assert page.html == "Hello ann"


# Password reset.


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
