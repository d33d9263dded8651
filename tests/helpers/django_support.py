"""A person on the views of the Django integration, in both modes, and what the tests share."""

from __future__ import annotations

import asyncio
import json
import re
import threading
from contextlib import AbstractContextManager
from html import unescape
from pathlib import Path
from types import ModuleType
from typing import Any

import django
import django_site
import pytest
from django.test import AsyncClient, Client, override_settings
from support import QUICK

from otpverify import (
    DeliveryRejected,
    DeliveryUnavailable,
    MemoryStore,
    Message,
    Receipt,
    StoreError,
)
from otpverify.integrations.django import conf
from otpverify.testing import OutboxSender

django_site.set_up()  # what is imported inside of tests needs it

ACCOUNT_PHONE = "+12025550123"
STRANGER = "+12025550199"
PASSWORD = "open sesame"
NEW_PASSWORD = "close sesame"
CREDENTIALS: Any = {"username": "ann", "password": PASSWORD}
BASE: dict[str, Any] = {
    "HASHER": QUICK,
    "REGION": "EE",
    "PHONE_FIELD": "phone",
    "DELIVER_IN_BACKGROUND": False,
}
APP = Path(conf.__file__).parent
PURPOSES = {"login": "login", "phone": "phone", "reset": "password-reset"}
FAILURES: list[Any] = [
    DeliveryRejected("no", provider_code="no_balance"),
    DeliveryRejected("no", provider_code="invalid_phone_number"),
    DeliveryUnavailable("?", maybe_sent=True),
    DeliveryUnavailable("?", maybe_sent=False),
    ValueError("A fault of the sender."),
]

both = pytest.mark.parametrize("person", ["sync", "async"], indirect=True)
"""Also in the short form run in both modes, which share all that is decided."""


class Page:
    """What a person sees of a reply, once all redirects were followed."""

    def __init__(self, response: Any) -> None:
        self.response = response
        self.status = response.status_code
        asked = response.request
        chain = getattr(response, "redirect_chain", [])
        self.path = (chain[-1][0] if chain else asked.get("PATH_INFO", asked.get("path"))) or ""
        self.path = self.path.partition("?")[0]
        self.html = response.content.decode()
        heading = re.search(r"<h1>(.*?)</h1>", self.html)
        self.heading = heading[1] if heading else ""
        said = re.search(r'role="(?:alert|status)">(.*?)</p>', self.html, re.DOTALL)
        self.said = unescape(re.sub(r"<[^>]+>", "", said[1])).strip() if said else ""


class Person:
    """One person with one browser, on the views of one mode."""

    def __init__(self, mode: str, prefix: str | None = None, **options: Any) -> None:
        self.mode = mode
        self.prefix = ("/async" if mode == "async" else "") if prefix is None else prefix
        self.headers: dict[str, str] = {}
        self.client: Any = (AsyncClient if mode == "async" else Client)(**options)

    def another(self, **options: Any) -> Person:
        """Somebody with another browser."""
        return Person(self.mode, **options)

    def open(self, path: str) -> Page:
        return self.ask("get", self.prefix + path, {}, follow=True)

    def send(self, path: str, *, follow: bool = True, **fields: str) -> Page:
        return self.ask("post", self.prefix + path, fields, follow=follow)

    def ask(self, method: str, path: str, data: dict[str, str], **options: Any) -> Page:
        found = getattr(self.client, method)(path, data, headers=self.headers, **options)
        return Page(asyncio.run(found) if self.mode == "async" else found)

    @property
    def session(self) -> Any:
        return self.client.session

    def pending(self, flow: str) -> Any:
        return self.session[f"otpverify.{PURPOSES[flow]}"]

    def json(self, method: str, path: str, **body: Any) -> tuple[int, dict[str, Any]]:
        """A program's request, and the reply's status and object."""
        more: dict[str, Any] = {"headers": {"accept": "application/json", **self.headers}}
        if method == "post":
            more["content_type"] = "application/json"
        found = getattr(self.client, method)(self.prefix + path, body, **more)
        reply = asyncio.run(found) if self.mode == "async" else found
        assert "no-store" in reply.headers["Cache-Control"]
        return reply.status_code, json.loads(reply.content)

    def take_over(self, entries: dict[str, Any]) -> None:
        """Have a session with these entries, as a copy that was made before."""
        session = self.client.session
        session.clear()
        session.update(entries)
        session.save()
        self.client.cookies["sessionid"] = session.session_key

    @property
    def signed_in(self) -> bool:
        return "_auth_user_id" in self.session


def login(person: Person, **more: Any) -> Page:
    return person.send("/login/", **CREDENTIALS, **more)


def anonymous(page: Page, phone: str) -> tuple[Any, ...]:
    """A page without what differs between any two visits."""
    headers = dict(page.response.headers)
    for name in ("Expires", "Date"):
        headers.pop(name, None)
    html = re.sub(r'name="csrfmiddlewaretoken" value="\w+"', "", page.html)
    html = re.sub(r"\d+ seconds?|(wait=\"|in )\d+", "", html.replace(phone, "***"))
    return page.status, headers, html, page.path


def urlconf(*patterns: Any) -> AbstractContextManager[object]:
    """Other URL patterns."""
    module = ModuleType("urls_of_a_test")
    module.urlpatterns = list(patterns)  # type: ignore[attr-defined]  # a module is what one likes
    return override_settings(ROOT_URLCONF=module)


def mails_kept() -> AbstractContextManager[object]:
    """Keep what is sent by e-mail in `mail.outbox`. Django 6.1 replaces the setting for it."""
    backend = "django.core.mail.backends.locmem.EmailBackend"
    if django.VERSION >= (6, 1):
        return override_settings(MAILERS={"default": {"BACKEND": backend}})
    return override_settings(EMAIL_BACKEND=backend)


def templates(own: dict[str, str]) -> list[dict[str, Any]]:
    """Templates of the site's own in front of the app's."""
    loaders = [
        ("django.template.loaders.locmem.Loader", own),
        "django.template.loaders.app_directories.Loader",
    ]
    backend = dict(django_site.TEMPLATES[0], APP_DIRS=False)
    backend["OPTIONS"] = {**backend["OPTIONS"], "loaders": loaders}
    return [backend]


class Broken(MemoryStore):
    """Does not answer some operations."""

    broken: tuple[str, ...] = ()

    def _fail(self, name: str) -> None:
        if name in self.broken:
            raise StoreError("The store is away.")

    def open(self, *args: Any, **kwargs: Any) -> Any:
        self._fail("open")
        return super().open(*args, **kwargs)

    def claim(self, *args: Any, **kwargs: Any) -> Any:
        self._fail("claim")
        return super().claim(*args, **kwargs)

    def redeem(self, *args: Any, **kwargs: Any) -> Any:
        self._fail("redeem")
        return super().redeem(*args, **kwargs)

    def report(self, *args: Any, **kwargs: Any) -> Any:
        self._fail("report")
        return super().report(*args, **kwargs)


def change(user: Any, **fields: Any) -> None:
    for name, value in fields.items():
        setattr(user, name, value)
    user.save()


class Slow:
    """A gateway that takes its time."""

    def __init__(self) -> None:
        self.begun, self.gate = threading.Event(), threading.Event()
        self.sent: list[Message] = []

    def send(self, message: Message) -> Receipt:
        self.begun.set()
        assert self.gate.wait(30)
        self.sent.append(message)
        return Receipt()


def reset_allowed(person: Person, outbox: OutboxSender) -> None:
    person.send("/reset/", phone=ACCOUNT_PHONE)
    page = person.send("/reset/code/", code=outbox.code(ACCOUNT_PHONE))
    assert page.heading == "Choose a new password"


def set_password(person: Person, password: str = NEW_PASSWORD) -> Page:
    return person.send("/reset/password/", new_password1=password, new_password2=password)
