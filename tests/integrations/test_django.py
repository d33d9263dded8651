"""The Django app, through Django's own test clients, in both modes."""

from __future__ import annotations

import asyncio
import io
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from html import unescape
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import urlencode

import django_site
import pytest
from babel.messages.extract import extract
from babel.messages.mofile import read_mo
from babel.messages.pofile import read_po
from django import forms
from django.apps import apps
from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.exceptions import ImproperlyConfigured
from django.core.management import call_command
from django.core.management.base import SystemCheckError
from django.db import connection
from django.http import HttpRequest
from django.test import AsyncClient, Client, RequestFactory, override_settings
from django.urls import include, path as route
from django.utils.translation.template import templatize
from freezegun.api import FrozenDateTimeFactory
from support import LONG, OTHER_PHONE, PHONE, QUICK, SECRET, wrong

from otpverify import (
    ConfigurationError,
    DeliveryRejected,
    DeliveryUnavailable,
    HmacHasher,
    Limit,
    MemoryStore,
    Message,
    Policy,
    Receipt,
    StoreError,
    Verified,
)
from otpverify.core import phone as numbers
from otpverify.core.tokens import PARAMETER
from otpverify.integrations.django import conf, get_async_verifier, get_verifier, signals
from otpverify.integrations.django.requests import client_ip, find_user, phone_of
from otpverify.integrations.web import sentences
from otpverify.testing import OutboxSender
from otpverify.testing.outbox import AsyncOutboxSender

django_site.set_up()  # what is imported inside of tests needs it

ACCOUNT_PHONE = "+12025550123"
STRANGER = "+12025550199"
PASSWORD = "open sesame"
NEW_PASSWORD = "close sesame"
CREDENTIALS: Any = {"username": "ann", "password": PASSWORD}
BASE = {"HASHER": QUICK, "REGION": "EE", "PHONE_FIELD": "phone", "DELIVER_IN_BACKGROUND": False}
APP = Path(conf.__file__).parent
SETUP = (Path(__file__).parents[2] / "docs/how-to/django.md").read_text()


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
        return self.session[f"otpverify_{flow}"]["pending"]

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


@pytest.fixture(autouse=True)
def _site(outbox: OutboxSender) -> Iterator[None]:
    django_site.migrate()
    get_user_model().objects.all().delete()
    apps.get_model("sessions.Session").objects.all().delete()
    with override_settings(OTPVERIFY={**BASE, "SENDER": outbox}):
        yield


both = pytest.mark.parametrize("person", ["sync", "async"], indirect=True)
"""Also in the short form run in both modes, which share all that is decided."""


@pytest.fixture(params=["sync", "async"] if LONG else ["sync"])
def person(request: pytest.FixtureRequest) -> Person:
    return Person(request.param)


@pytest.fixture
def user() -> Any:
    users: Any = get_user_model().objects
    return users.create_user("ann", password=PASSWORD, phone=ACCOUNT_PHONE)


@pytest.fixture
def bare_environ(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [*conf.ELSEWHERE.values(), "WEB_CONCURRENCY"]:
        monkeypatch.delenv(name, raising=False)


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


def templates(own: dict[str, str]) -> list[dict[str, Any]]:
    """Templates of the site's own in front of the app's."""
    loaders = [
        ("django.template.loaders.locmem.Loader", own),
        "django.template.loaders.app_directories.Loader",
    ]
    backend = dict(django_site.TEMPLATES[0], APP_DIRS=False)
    backend["OPTIONS"] = {**backend["OPTIONS"], "loaders": loaders}
    return [backend]


# Phone confirmation.


@both
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


@both
def test_the_challenge_and_the_phone_come_from_the_session(
    person: Person, outbox: OutboxSender
) -> None:
    """What a form says besides the code changes nothing."""
    mine, theirs = person, person.another()
    mine.send("/phone/", phone=PHONE)
    theirs.send("/phone/", phone=OTHER_PHONE)
    foreign = theirs.pending("phone")["challenge"]
    page = mine.send(
        "/phone/code/",
        code=outbox.code(PHONE),
        phone=OTHER_PHONE,
        who=OTHER_PHONE,
        challenge=foreign,
    )
    assert PHONE in page.html
    assert OTHER_PHONE not in page.html
    assert mine.session["otpverify_phone"] == {"confirmed": PHONE}
    from otpverify.integrations.django.views import confirmed_phone

    request = RequestFactory().get("/")
    request.session = mine.session
    assert confirmed_phone(request) == PHONE
    request.session = theirs.session
    assert confirmed_phone(request) is None


def test_another_session_s_code_is_none_here(person: Person, outbox: OutboxSender) -> None:
    other = person.another()
    person.send("/phone/", phone=PHONE)
    other.send("/phone/", phone=OTHER_PHONE)
    page = other.send("/phone/code/", code=outbox.code(PHONE))
    assert "4 attempts left" in page.said
    assert (
        person.another().send("/phone/code/", code=outbox.code(PHONE)).heading
        == "Confirm your phone"
    )


@both
def test_a_wrong_code_is_an_error_of_its_field(person: Person, outbox: OutboxSender) -> None:
    person.send("/phone/", phone=PHONE)
    page = person.send("/phone/code/", code=wrong(outbox.code()))
    assert page.said == "That code is incorrect. 4 attempts left."
    assert 'id="id_code_error" role="alert"' in page.html
    assert re.search(
        r'<input[^>]* aria-invalid="true" aria-describedby="id_code_helptext id_code_error"',
        page.html,
    )
    assert "<title>Error: " in page.html
    assert "Attempts left: 4" in page.html
    page = person.open("/phone/code/")
    assert (page.said, page.heading) == ("", "Enter the code")
    person.send("/phone/code/", follow=False, code="letters")
    page = person.ask("head", f"{person.prefix}/phone/code/", {})
    assert (page.status, page.html) == (200, "")
    assert "did not count" in person.open("/phone/code/").said, "nobody had seen it"
    page = person.send("/phone/code/", code="letters")
    assert "did not count" in page.said
    page = person.send("/phone/code/", code="")
    assert page.said == "This field is required."
    assert person.pending("phone")["attempts_left"] == 4


def test_every_post_redirects(person: Person, outbox: OutboxSender) -> None:
    """So that a reload asks for nothing again; and no address holds a secret."""
    for path, fields in (
        ("/phone/", {"phone": PHONE}),
        ("/phone/code/", {"code": "000000"}),
        ("/phone/resend/", {}),
        ("/phone/code/", {"code": ""}),
        ("/phone/code/", {"code": outbox.code}),
        ("/phone/cancel/", {}),
    ):
        sent = {name: value() if callable(value) else value for name, value in fields.items()}
        page = person.send(path, follow=False, **sent)
        assert page.status == 302
        address = page.response.headers["Location"]
        assert re.fullmatch(r"(/async)?/phone/(code/|done/)?", address)


def test_a_refused_number_is_shown_again(person: Person, outbox: OutboxSender) -> None:
    page = person.send("/phone/", phone="12 x")
    assert page.said
    assert 'value="12 x"' in page.html
    assert 'id="id_phone_error" role="alert"' in page.html
    assert len(outbox) == 0


def test_the_code_field_is_forgiving(person: Person, outbox: OutboxSender) -> None:
    person.send("/phone/", phone=PHONE)
    field = re.search(r'<input[^>]* name="code"[^>]*>', person.open("/phone/code/").html)
    assert field is not None
    assert 'inputmode="numeric"' in field[0]
    assert 'autocomplete="one-time-code"' in field[0]
    assert "maxlength" not in field[0]
    assert "value=" not in field[0]
    digits = "".join(chr(0x0660 + int(digit)) for digit in outbox.code())
    assert person.send("/phone/code/", code=f" {digits[:3]}-{digits[3:]} ").heading == (
        "Phone confirmed"
    )


def test_too_many_wrong_codes_lead_back(
    person: Person, outbox: OutboxSender, clock: FrozenDateTimeFactory
) -> None:
    person.send("/phone/", phone=PHONE)
    code = outbox.code()
    for nth in range(1, 6):
        page = person.send("/phone/code/", code=wrong(code, nth))
    assert page.heading == "Confirm your phone"
    assert page.said.startswith("Too many incorrect codes.")
    assert 'data-wait="60"' in page.html
    assert f'value="{PHONE}"' in page.html
    assert person.send("/phone/code/", code=code).heading == "Confirm your phone"


def test_an_expired_code_leads_back(
    person: Person, outbox: OutboxSender, clock: FrozenDateTimeFactory
) -> None:
    person.send("/phone/", phone=PHONE)
    clock.tick(601)
    page = person.send("/phone/code/", code=outbox.code())
    assert page.heading == "Confirm your phone"
    assert "expired" in page.said
    assert "There is no code to enter" in person.open("/phone/code/").said


def test_a_cooldown_with_a_live_challenge_shows_the_code_page(
    person: Person,
    outbox: OutboxSender,
    clock: FrozenDateTimeFactory,
) -> None:
    person.send("/phone/", phone=PHONE)
    clock.tick(20)
    page = person.send("/phone/", phone=PHONE)
    assert page.heading == "Enter the code"
    assert "in 40 seconds" in page.said
    assert '<span data-wait="40">in 40 seconds</span>' in page.html
    page = person.another().send("/phone/", phone=PHONE)
    assert page.heading == "Confirm your phone"
    assert "in 40 seconds" in page.said
    assert len(outbox) == 1
    assert person.send("/phone/code/", code=outbox.code()).heading == "Phone confirmed"


def test_another_code(person: Person, outbox: OutboxSender, clock: FrozenDateTimeFactory) -> None:
    person.send("/phone/", phone=PHONE)
    first = outbox.code()
    assert "in 60 seconds" in person.send("/phone/resend/").said
    assert len(outbox) == 1
    clock.tick(60)
    page = person.send("/phone/resend/")
    assert page.said == "Another code is on its way."
    assert len(outbox) == 2
    assert person.send("/phone/code/", code=first).heading == "Phone confirmed"


def test_giving_up(person: Person, outbox: OutboxSender) -> None:
    person.send("/phone/", phone=PHONE)
    copy = dict(person.session.items())
    assert person.send("/phone/cancel/").heading == "Confirm your phone"
    person.take_over(copy)
    assert "expired" in person.send("/phone/code/", code=outbox.code()).said
    assert person.send("/phone/cancel/").heading == "Confirm your phone"


def test_nothing_to_enter(person: Person) -> None:
    for path in ("/phone/code/", "/phone/resend/", "/login/code/", "/reset/code/"):
        page = person.open(path)
        assert page.said == "There is no code to enter. Start here."
        assert page.path == f"{person.prefix}/{path.split('/')[1]}/"
    assert "expired" in person.send("/phone/resend/").said
    assert person.open("/phone/done/").heading == "Confirm your phone"
    assert person.open("/reset/password/").heading == "Reset your password"
    page = person.send("/reset/password/", new_password1=PASSWORD, new_password2=PASSWORD)
    assert page.heading == "Reset your password"
    assert person.send("/phone/done/").status == 405


DELIVERY = [
    (DeliveryUnavailable("?", maybe_sent=True), "is not known"),
    (DeliveryUnavailable("?", maybe_sent=False), "No code has been sent"),
]


@pytest.mark.parametrize(("error", "said"), DELIVERY, ids=["maybe", "not"])
def test_a_message_that_may_not_have_gone_out(
    person: Person, outbox: OutboxSender, error: DeliveryUnavailable, said: str
) -> None:
    outbox.fail_with = error
    page = person.send("/phone/", phone=PHONE)
    assert page.path.endswith("/phone/code/")
    assert said in page.html
    assert page.said
    if not error.maybe_sent:
        assert "<h1>Send a code</h1>" in page.html
        assert 'name="code"' not in page.html
        outbox.fail_with = None
        assert person.send("/phone/resend/").said == "A code is on its way."
        assert person.send("/phone/code/", code=outbox.code()).heading == "Phone confirmed"


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


@both
def test_a_store_that_is_away(
    person: Person, outbox: OutboxSender, caplog: pytest.LogCaptureFixture
) -> None:
    store = Broken()
    with override_settings(OTPVERIFY={**BASE, "SENDER": outbox, "STORE": store}):
        store.broken = ("open",)
        page = person.send("/phone/", phone=PHONE)
        assert (page.heading, page.status) == ("Confirm your phone", 200)
        assert "went wrong on our side" in page.said
        assert "The store is away" in caplog.text
        store.broken = ()
        person.send("/phone/", phone=PHONE)
        store.broken = ("claim",)
        page = person.send("/phone/code/", code=outbox.code())
        assert (page.heading, page.status) == ("Enter the code", 200)
        store.broken = ()
        assert person.send("/phone/code/", code=outbox.code()).heading == "Phone confirmed"


@pytest.mark.parametrize("faulty", [{"SENDER": object()}, {"CLIENT_IP": lambda request: "here"}])
def test_what_is_set_up_wrongly_is_no_page(
    person: Person, outbox: OutboxSender, faulty: dict[str, Any]
) -> None:
    with (
        override_settings(OTPVERIFY={**BASE, "SENDER": outbox, **faulty}),
        pytest.raises(ConfigurationError),
    ):
        person.send("/phone/", phone=PHONE)


# Login.


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
    assert person.session["otpverify_phone"]["pending"], "what other tabs are at goes on"
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
    kept["otpverify_login"]["next"] = "https://evil.example/"
    person.take_over(kept)
    page = person.send("/login/code/", follow=False, code=outbox.code())
    assert page.response.headers["Location"] == "/account/"


def change(user: Any, **fields: Any) -> None:
    for name, value in fields.items():
        setattr(user, name, value)
    user.save()


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
    assert "otpverify_login" not in person.session


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


# Password reset.


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
def test_nobody_learns_who_has_an_account(person: Person, user: Any, outbox: OutboxSender) -> None:
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
    assert "If an account with the number" in seen[0][1][2]
    assert [message.to for message in outbox.messages] == [ACCOUNT_PHONE]


TROUBLE = [
    DeliveryRejected("no", provider_code="no_balance"),
    DeliveryRejected("no", provider_code="invalid_phone_number"),
    DeliveryUnavailable("?", maybe_sent=True),
    DeliveryUnavailable("?", maybe_sent=False),
]


@pytest.mark.parametrize("error", TROUBLE, ids=["balance", "number", "maybe", "not"])
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
    assert "If an account with the number" in seen[0][0][2]


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


@pytest.mark.parametrize("why", ["inactive", "no password", "two of them"])
def test_who_may_not_reset_gets_nothing(
    person: Person, user: Any, outbox: OutboxSender, why: str
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


def reset_allowed(person: Person, outbox: OutboxSender) -> None:
    person.send("/reset/", phone=ACCOUNT_PHONE)
    page = person.send("/reset/code/", code=outbox.code(ACCOUNT_PHONE))
    assert page.heading == "Choose a new password"


def set_password(person: Person, password: str = NEW_PASSWORD) -> Page:
    return person.send("/reset/password/", new_password1=password, new_password2=password)


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


# For all.


@both
def test_forms_need_their_token(person: Person, user: Any) -> None:
    strict = person.another(enforce_csrf_checks=True)
    for path in (
        "login",
        "phone",
        "reset",
        "phone/code",
        "phone/resend",
        "phone/cancel",
        "reset/password",
    ):
        page = strict.send(f"/{path}/", phone=PHONE, username="ann", password=PASSWORD)
        assert page.status == 403, path
    with override_settings(MIDDLEWARE=[m for m in django_site.MIDDLEWARE if "csrf" not in m]):
        bare = person.another(enforce_csrf_checks=True)  # a client keeps the middleware it had
        assert bare.send("/phone/", phone=PHONE).status == 403, "the views see to it themselves"
    page = strict.open("/phone/")
    token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page.html)
    assert token is not None
    page = strict.send("/phone/", phone=PHONE, csrfmiddlewaretoken=token[1])
    assert page.heading == "Enter the code"


def test_a_stale_form_is_shown_anew(person: Person, user: Any, outbox: OutboxSender) -> None:
    strict = person.another(enforce_csrf_checks=True)
    with override_settings(CSRF_FAILURE_VIEW="otpverify.integrations.django.views.form_expired"):
        page = strict.send("/phone/", phone=PHONE)
        assert (page.heading, page.said) == ("Confirm your phone", "")
        assert "sessionid" not in strict.client.cookies, "it was no session of theirs"
        strict.client.cookies["sessionid"] = "x" * 32
        page = strict.send("/phone/", phone=PHONE)
        assert page.said == "This form had expired. Send it again."
        page = strict.send("/phone/resend/")
        assert page.heading == "Confirm your phone"
        reset_allowed(person, outbox)
        strict.client.cookies["sessionid"] = person.client.cookies["sessionid"].value
        page = set_password(strict)
        assert (page.heading, page.said[:14]) == ("Choose a new password", "This form had ")
        assert strict.ask("post", "/account/", {}).status == 403, "other pages are not ours"


@both
def test_pages_are_private(person: Person, user: Any, outbox: OutboxSender) -> None:
    login(person)
    for reply in (
        person.open("/login/"),
        person.open("/login/code/"),
        person.send("/login/code/", follow=False, code="000000"),
        person.send("/login/", username="ann", password="wrong"),
    ):
        assert "no-store" in reply.response.headers["Cache-Control"]
        assert reply.response.headers["Referrer-Policy"] == "same-origin"
        assert outbox.code() not in reply.html
        assert person.pending("login")["challenge"] not in reply.html


def test_error_reports_hide_what_was_typed(person: Person) -> None:
    marks: list[Any] = []

    def looking(request: HttpRequest) -> str | None:
        marks.append(getattr(request, "sensitive_post_parameters", None))
        return None

    with override_settings(OTPVERIFY={**BASE, "SENDER": OutboxSender(), "CLIENT_IP": looking}):
        person.send("/phone/", phone=PHONE)
    assert marks == ["__ALL__"]


def test_the_files_of_the_pages(person: Person) -> None:
    reply = person.open("/otpverify/otpverify.css").response
    assert reply.headers["Content-Type"] == "text/css; charset=utf-8"
    assert "max-age=3600" in reply.headers["Cache-Control"]
    assert b".otpverify" in reply.content
    assert person.open("/otpverify/otpverify.js").status == 200
    assert person.open("/otpverify/passwd").status == 404


@both
def test_signals(person: Person, user: Any, outbox: OutboxSender) -> None:
    heard: list[tuple[str, Any]] = []

    def listen(name: str) -> Callable[..., None]:
        def receiver(request: Any, verified: Verified, **more: Any) -> None:
            assert request.session is not None
            heard.append((name, (verified.phone, verified.purpose, more.get("user"))))

        return receiver

    receivers = {name: listen(name) for name in SIGNALS}
    for name, receiver in receivers.items():
        getattr(signals, name).connect(receiver)
    person.send("/phone/", phone=PHONE)
    person.send("/phone/code/", code=wrong(outbox.code()))
    person.send("/phone/code/", code=outbox.code())
    login(person)
    person.send("/login/code/", code=outbox.code())
    reset_allowed(person, outbox)
    set_password(person, "short")
    set_password(person)
    for name, receiver in receivers.items():
        getattr(signals, name).disconnect(receiver)
    assert heard == [
        ("phone_verified", (PHONE, "phone", None)),
        ("login_verified", (ACCOUNT_PHONE, "login", user)),
        ("password_reset_done", (ACCOUNT_PHONE, "password-reset", user)),
    ]


SIGNALS = ("phone_verified", "login_verified", "password_reset_done")


def test_a_template_is_overridden(person: Person) -> None:
    own = {
        "otpverify/base.html": "<main>Ours: {% block otpverify %}{% endblock %}</main>",
        "otpverify/phone.html": '{% extends "otpverify/first.html" %}'
        "{% block otpverify_before %}We only call in emergencies.{% endblock %}",
    }
    with override_settings(TEMPLATES=templates(own)):
        page = person.open("/phone/")
    assert page.html.startswith("<main>Ours: ")
    assert "We only call in emergencies." in page.html
    assert 'name="phone"' in page.html


def test_translations(person: Person, outbox: OutboxSender) -> None:
    """What templates, forms and errors say, in the person's language; the message, too."""
    person.headers = {"accept-language": "de"}
    page = person.send("/phone/", phone=PHONE)
    assert page.heading == "Code eingeben"
    assert f"Der Code geht an {PHONE}." in page.html
    assert "Er gilt 10 Minuten." in page.html
    assert '<html lang="de">' in page.html
    page = person.send("/phone/resend/")
    assert page.said.endswith("Einen weiteren können Sie in 60 Sekunden anfordern.")
    assert '<span data-wait="60">in 60 Sekunden</span>' in page.html
    assert person.send("/phone/code/", code="").said == "Dieses Feld ist zwingend erforderlich."
    assert "Geben Sie ihn nicht weiter" in outbox.last.text


@pytest.mark.parametrize("language", ["de", "et"])
def test_catalogues_are_whole(language: str) -> None:
    """Every text of templates, views and errors, with its parameters, and compiled."""
    folder = APP / "locale" / language / "LC_MESSAGES"
    with (folder / "django.po").open("rb") as file:
        texts: dict[Any, Any] = entries(read_po(file))
    with (folder / "django.mo").open("rb") as file:
        assert entries(read_mo(file)) == texts
    found: set[Any] = set(sentences._LIMITS.values()) | {
        sentences._ANY_LIMIT,
        *numbers._SENTENCES.values(),
    }
    for template in (APP / "templates").rglob("*.html"):
        source = io.BytesIO(templatize(template.read_text()).encode())
        found |= {one[1] for one in extract("python", source)}
    words: dict[str, Any] = {"_": None, "gettext": None, "Sentence": None, "_later": None}
    words["counted"] = (2, 3)
    for path in (*APP.glob("*.py"), Path(sentences.__file__)):
        with path.open("rb") as file:
            found |= {one[1] for one in extract("python", file, words)}
    assert len(found) > 50
    assert set(texts) == found
    for original, translated in texts.items():
        plain = [original] if isinstance(original, str) else original
        there = [translated] if isinstance(translated, str) else translated
        assert all(there)
        assert {*map(placeholders, plain)} == {*map(placeholders, there)}


def entries(catalogue: Any) -> dict[Any, Any]:
    """Translations by texts; where something is counted, both are tuples."""

    def plain(text: Any) -> Any:
        return text if isinstance(text, str) else tuple(text)

    return {plain(one.id): plain(one.string) for one in catalogue if one.id}


def placeholders(text: str) -> tuple[str, ...]:
    return tuple(sorted(re.findall(r"%\(\w+\)s", text)))


@both
def test_where_sessions_are_cookies(person: Person, user: Any, outbox: OutboxSender) -> None:
    """Their owner can read them: no number that they did not type, and nothing secret."""
    with override_settings(SESSION_ENGINE="django.contrib.sessions.backends.signed_cookies"):
        login(person)
        assert ACCOUNT_PHONE.lstrip("+") not in str(dict(person.session.items()))
        assert user.password not in str(dict(person.session.items()))
        assert person.send("/login/code/", code=outbox.code()).path == "/account/"
        person.send("/reset/", phone=ACCOUNT_PHONE)
        before = dict(person.session.items())["otpverify_reset"]
        assert set(before) == {"pending"}
        page = person.send("/reset/code/", code=outbox.code())
        assert page.heading == "Choose a new password"
        assert set_password(person).heading == "Password changed"


def test_pages_for_those_who_are_signed_in(person: Person) -> None:
    """With Django's LoginRequiredMiddleware, login and reset stay open."""
    required = "django.contrib.auth.middleware.LoginRequiredMiddleware"
    with override_settings(MIDDLEWARE=[*django_site.MIDDLEWARE, required]):
        assert person.open("/login/").path == f"{person.prefix}/login/"
        assert person.open("/reset/").heading == "Reset your password"
        assert person.open("/phone/").heading == "Sign in"
        assert person.open("/otpverify/otpverify.css").status == 200
        assert person.open("/sms/report/").html == "OK"


def test_a_view_of_no_step() -> None:
    from otpverify.integrations.django.views import LoginView

    with pytest.raises(TypeError, match="first, code, resend, cancel"):
        LoginView.as_view(step="nothing")


def test_mounted_otherwise(person: Person, outbox: OutboxSender) -> None:
    """Below a captured part of the path, and without a namespace or our files."""
    from otpverify.integrations.django.views import AsyncPhoneView, PhoneView

    view = AsyncPhoneView if person.prefix else PhoneView
    with urlconf(route("<slug:tenant>/", include(view.urls()))):
        visitor = Person(person.mode, prefix="/acme")
        page = visitor.send("/phone/", phone=PHONE)
        assert page.path == "/acme/phone/code/"
        assert "stylesheet" not in page.html
        assert visitor.send("/phone/code/", code=outbox.code()).heading == "Phone confirmed"


def test_asynchronous_views_await_the_verifier(outbox: OutboxSender) -> None:
    """A sender that only awaits will do there, and there alone."""
    from otpverify.integrations.django.views import AsyncPhoneView, PhoneView

    sender = AsyncOutboxSender()
    with override_settings(OTPVERIFY={**BASE, "SENDER": sender}):
        person = Person("async")
        person.send("/phone/", phone=PHONE)
        assert person.send("/phone/code/", code=sender.code()).heading == "Phone confirmed"
        with pytest.raises(ConfigurationError, match="asynchronous"):
            Person("sync").send("/phone/", phone=OTHER_PHONE)
    assert AsyncPhoneView.view_is_async
    assert not PhoneView.view_is_async


# Delivery reports.


class Reported(OutboxSender):
    takes_reports = True


@pytest.mark.parametrize("shape", ["get", "post"])
def test_a_delivery_report_lifts_the_cooldown(person: Person, shape: str) -> None:
    sender = Reported()
    with override_settings(OTPVERIFY={**BASE, "SENDER": sender}):
        person.send("/phone/", phone=PHONE)
        assert "in 60 seconds" in person.send("/phone/resend/").said
        assert report(person, shape, "forged" * 9).html == "OK"
        assert len(sender) == 1
        assert person.send("/phone/resend/").said
        assert report(person, shape, sender.last.report or "").html == "OK"
        assert person.send("/phone/resend/").said == "Another code is on its way."
        assert len(sender) == 2


def test_a_report_is_asked_for_again_where_the_store_is_away(person: Person) -> None:
    store, sender = Broken(), Reported()
    with override_settings(OTPVERIFY={**BASE, "SENDER": sender, "STORE": store}):
        person.send("/phone/", phone=PHONE)
        store.broken = ("report",)
        assert report(person, "get", sender.last.report or "").status == 503


def report(person: Person, shape: str, token: str) -> Page:
    """What the gateway sends; it has no session and no form's token."""
    gateway = Person(person.mode, enforce_csrf_checks=True)
    fields = {"id": "outbox-1", "status": "failed", "toNumber": PHONE.lstrip("+")}
    if shape == "get":
        return gateway.ask("get", f"{person.prefix}/sms/report/", {**fields, PARAMETER: token})
    where = f"{person.prefix}/sms/report/?{PARAMETER}={token}"
    return gateway.ask("post", where, fields, content_type="application/json")


# Settings.


def test_one_verifier_a_process(outbox: OutboxSender) -> None:
    first = get_verifier()
    assert get_verifier() is first
    assert get_verifier(background=True) is not first
    assert get_async_verifier() is get_async_verifier()
    with override_settings(DEBUG=True):
        assert get_verifier() is first
    with override_settings(OTPVERIFY={**BASE, "SENDER": outbox}):
        assert get_verifier() is not first


def test_all_verifiers_share_what_they_count(outbox: OutboxSender) -> None:
    challenge = get_verifier().start(PHONE)
    verified = asyncio.run(
        get_async_verifier(background=True).check(PHONE, outbox.code(), challenge=challenge.id)
    )
    assert get_verifier(background=True).redeem(PHONE, verified.proof) == verified


def test_settings_by_their_paths(tmp_path: Any) -> None:
    """And policy and messages as dicts."""
    from django_site import options as made

    module = "django_site.options"
    options = {
        "SENDER": f"{module}.make_sender",
        "HASHER": f"{module}.HASHER",
        "CLIENT_IP": f"{module}.client_ip",
        "ON_EVENT": f"{module}.on_event",
        "POLICY": {"code_length": 8},
        "MESSAGES": {"brand": "Shop"},
        "SQLITE_PATH": str(tmp_path / "codes.db"),
        "SECRET": SECRET,
    }
    with override_settings(OTPVERIFY=options):
        Person("sync").send("/phone/", phone=PHONE)
        assert made.outbox.last.text.startswith("Shop: ")
        assert len(made.outbox.code()) == 8
        assert made.events[-1].outcome == "sent"
        assert (tmp_path / "codes.db").exists()
        assert made.asked[-1].path == "/phone/"


PROXIES = [
    (0, "203.0.113.9", "127.0.0.1"),
    (1, "203.0.113.9", "203.0.113.9"),
    (1, "192.0.2.66, 203.0.113.9", "203.0.113.9"),
    (2, "192.0.2.66, 203.0.113.9, 10.0.0.1", "203.0.113.9"),
    (2, "203.0.113.9", "127.0.0.1"),
    (1, "", "127.0.0.1"),
]


@pytest.mark.parametrize(("proxies", "header", "address"), PROXIES)
def test_the_client_s_address(proxies: int, header: str, address: str) -> None:
    """From a header as far as proxies of one's own wrote it."""
    request = RequestFactory().get("/", headers={"X-Forwarded-For": header} if header else {})
    with override_settings(OTPVERIFY={"TRUSTED_PROXIES": proxies}):
        assert client_ip(request) == address
    request.META["REMOTE_ADDR"] = ""
    with override_settings(OTPVERIFY={}):
        assert client_ip(request) is None, "behind a Unix socket"


def test_limits_per_network_hold(person: Person) -> None:
    policy = Policy(sends_per_ip=(Limit(2, 3600),))
    with override_settings(OTPVERIFY={**BASE, "SENDER": OutboxSender(), "POLICY": policy}):
        for phone, refused in ((PHONE, False), (OTHER_PHONE, False), ("+37256789047", True)):
            page = person.another().send("/phone/", phone=phone)
            assert ("from your network" in page.said) == refused


def test_a_phone_elsewhere(user: Any) -> None:
    with override_settings(OTPVERIFY={"PHONE_FIELD": "profile__phone"}):
        assert phone_of(user) is None
        user.profile = type("Profile", (), {"phone": PHONE})()
        assert phone_of(user) == PHONE
    with override_settings(OTPVERIFY={"GET_PHONE": lambda user: user.phone.replace("1", "1 ")}):
        assert phone_of(user) == "+1 20255501 23"
    with override_settings(OTPVERIFY={"FIND_USER": lambda phone: f"user of {phone}"}):
        assert find_user(PHONE) == f"user of {PHONE}"
    with override_settings(OTPVERIFY={}), pytest.raises(ImproperlyConfigured, match="PHONE_FIELD"):
        phone_of(user)


# Checks.


GOOD = {**BASE, "HASH": "h", "TOKEN": "t", "SENDER_ID": "Shop"}
WRONG = [
    ({**GOOD, "SECERT": "x"}, "E001", "SECRET"),
    ({**GOOD, "colour": "x"}, "E001", "Known are"),
    ({**GOOD, "POLICY": {"code_length": 3}}, "E002", "code_length"),
    ({**GOOD, "POLICY": {"lenght": 6}}, "E002", "lenght"),
    ({**GOOD, "SENDER": "nowhere.at.all"}, "E002", "cannot be imported"),
    ({**GOOD, "CLIENT_IP": 5}, "E002", "must be a function"),
    ({**GOOD, "SENDER": 5}, "E002", "is no sender"),
    ({**GOOD, "SECRET": "short"}, "E002", "32"),
    ({**GOOD, "REDIS_URL": "redis://localhost:1", "SQLITE_PATH": "x"}, "E002", "one store"),
    ({**GOOD, "REDIS_URL": "redis://localhost:1"}, "E003", "otpverify secret"),
    ({**GOOD, "TOKEN": None}, "E004", "SMSPM_TOKEN"),
    ({**GOOD, "PHONE_FIELD": "fone"}, "E006", "PHONE_FIELD"),
    ({**GOOD, "SENDER_ID": None}, "W001", "SMSPM.com"),
]


def checked(*arguments: str) -> str:
    """What `manage.py check` says."""
    said = io.StringIO()
    try:
        call_command("check", *arguments, stdout=said, stderr=said)
    except SystemCheckError as error:
        return str(error)
    return said.getvalue()


@pytest.mark.parametrize(("options", "number", "said"), WRONG, ids=lambda value: str(value)[-30:])
def test_what_is_wrong_is_named(
    options: dict[str, Any], number: str, said: str, bare_environ: None
) -> None:
    with override_settings(OTPVERIFY=options):
        text = checked()
    assert f"otpverify.{number}" in text
    assert said in text


def test_what_is_right_passes(bare_environ: None, monkeypatch: pytest.MonkeyPatch) -> None:
    with override_settings(OTPVERIFY=GOOD):
        assert "no issues" in checked()
        assert "otpverify.W003" in checked("--deploy")
        monkeypatch.setenv("WEB_CONCURRENCY", "4")
        assert "otpverify.E005" in checked()
        with override_settings(OTPVERIFY={**GOOD, "SENDER": AsyncOutboxSender()}):
            assert "E002" not in checked("--fail-level", "CRITICAL")
        with override_settings(MIDDLEWARE=[]):
            assert "otpverify.W002" in checked()
            assert "otpverify.E007" in checked()
        with override_settings(
            SESSION_ENGINE="django.contrib.sessions.backends.signed_cookies",
            OTPVERIFY={**GOOD, "REDIS_URL": "redis://localhost:1", "SECRET": SECRET},
        ):
            text = checked("--deploy", "--fail-level", "ERROR")
            assert "W003" not in text
            assert "E00" not in text
    with override_settings(OTPVERIFY=[]):
        assert "must be a dict" in checked()


def test_every_setting_is_documented() -> None:
    documented = set(re.findall(r"\b[A-Z][A-Z_]{2,}\b", conf.__doc__ or ""))
    assert documented >= conf.KEYS


def test_what_the_page_shows(
    outbox: OutboxSender, bare_environ: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it shows is a site that works."""
    monkeypatch.setenv("OTPVERIFY_SECRET", SECRET)
    names: dict[str, Any] = {"INSTALLED_APPS": []}
    for block in SETUP.split("```python\n")[1:3]:  # additions to settings.py and to urls.py
        exec(block.partition("```")[0], names)
    monkeypatch.delenv("OTPVERIFY_SECRET")
    with urlconf(*names["urlpatterns"]):
        with override_settings(OTPVERIFY={**names["OTPVERIFY"], "HASH": "h", "TOKEN": "t"}):
            assert "no issues" in checked()
            assert set() < set(names["INSTALLED_APPS"]) < set(settings.INSTALLED_APPS)
        own = {**names["OTPVERIFY"], "SENDER": outbox, "REDIS_URL": None}
        with override_settings(OTPVERIFY=own, LOGIN_URL=names["LOGIN_URL"]):
            visitor = Person("sync", prefix="/account")
            assert visitor.send("/phone/", phone="5678 9045").heading == "Enter the code"
            assert outbox.last.text.startswith("Shop: ")


# Forms.


def test_fields() -> None:
    from otpverify.integrations.django.forms import CodeField, PhoneField

    class Order(forms.Form):
        phone = PhoneField(region="DE", required=False)
        code = CodeField()

    order = Order({"phone": "0151 23456789", "code": " 123 456 "})
    assert order.is_valid()
    assert order.cleaned_data == {"phone": "+4915123456789", "code": "123 456"}
    order = Order({"phone": "", "code": "x" * 300})
    assert order.errors.keys() == {"code"}
    order = Order({"phone": "+49 151", "code": "1"})
    assert order.errors.as_data()["phone"][0].code == "not_in_use"
    assert Order({"phone": "", "code": "1"}).is_valid()
