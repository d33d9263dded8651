"""The phone as the user name, in whatever spelling people type it: on the page of the login, in the
admin, and wherever else a password is checked."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from django.apps import apps
from django.conf import settings
from django.contrib import admin
from django.contrib.auth import aauthenticate, authenticate, get_user_model
from django.contrib.auth.forms import AuthenticationForm
from django.contrib.sessions.backends.db import SessionStore
from django.core.management import call_command
from django.db import connection
from django.test import Client, RequestFactory, override_settings
from django.test.utils import CaptureQueriesContext
from django.urls import include, path
from django_support import BASE, PASSWORD, Person, both, urlconf
from support import QUICK

from otpverify import Verifier
from otpverify.integrations.django.backends import PhoneAuthenticationForm
from otpverify.testing import OutboxSender

PHONE = "+37256789045"
SPELLINGS = [
    PHONE,
    "5678 9045",
    "+372 5678 9045",
    "00372-5678-9045",
    "(5678) 9045",
    "５６７８９０４５",
]
BACKEND = "otpverify.integrations.django.backends.PhoneBackend"


@pytest.fixture
def member() -> Iterator[Any]:
    """Somebody on a site whose user names are phones."""
    with override_settings(AUTH_USER_MODEL="django_site.Member", AUTHENTICATION_BACKENDS=[BACKEND]):
        get_user_model().objects.all().delete()
        yield apps.get_model("django_site.Member").objects.create_user(PHONE, PASSWORD)


@both
@pytest.mark.parametrize("typed", SPELLINGS)
def test_the_login_reads_every_spelling(
    person: Person, member: Any, outbox: OutboxSender, typed: str
) -> None:
    page = person.open("/login/")
    assert 'type="tel" name="username"' in page.html
    assert 'maxlength="256"' in page.html
    page = person.send("/login/", username=typed, password=PASSWORD)
    assert page.path == f"{person.prefix}/login/code/"
    page = person.send("/login/code/", code=outbox.code(PHONE))
    assert page.path == "/account/"


@both
def test_what_is_no_number_is_said_at_the_field(person: Person, member: Any) -> None:
    page = person.send("/login/", username="12", password=PASSWORD)
    assert 'id="id_username_error" role="alert"' in page.html
    for password in ("wrong", PASSWORD):
        page = person.send("/login/", username="+372 5555 5555", password=password)
        assert "enter a correct phone" in page.said


@pytest.mark.parametrize("typed", [*SPELLINGS, "root"])
def test_a_password_is_checked_by_every_spelling(member: Any, typed: str) -> None:
    type(member).objects.create_user("root", PASSWORD)
    expected = "root" if typed == "root" else PHONE
    for request in (None, RequestFactory().post("/")):
        found: Any = authenticate(request, username=typed, password=PASSWORD)
        assert found.phone == expected
        assert authenticate(request, phone=typed, password=PASSWORD) == found
        assert authenticate(request, username=typed, password="wrong") is None
        found = asyncio.run(aauthenticate(request, username=typed, password=PASSWORD))
        assert found.phone == expected
    assert authenticate(None, username=None, password=PASSWORD) is None
    assert Client().login(username=typed, password=PASSWORD)


def test_the_verifier_of_the_request_reads_the_number(member: Any) -> None:
    verifier = Verifier(OutboxSender(), hasher=QUICK, region="US")
    type(member).objects.create_user("+12025550123", PASSWORD)
    request = RequestFactory().post("/")
    with override_settings(OTPVERIFY={**BASE, "GET_VERIFIER": lambda request: verifier}):
        found: Any = authenticate(request, username="(202) 555-0123", password=PASSWORD)
        assert found.phone == "+12025550123"
        form = PhoneAuthenticationForm(
            request, {"username": "(202) 555-0123", "password": PASSWORD}
        )
        assert form.is_valid()
        assert form.get_user() == found


@pytest.mark.parametrize("own_field", [True, False])
@pytest.mark.parametrize("typed", ["5678 9045", "no number"])
def test_unknown_users_take_as_long(
    user: Any, member: Any, typed: str, own_field: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One password is hashed, and as many queries made, for a number that has an account and for
    one that has none."""
    from django.contrib.auth.hashers import MD5PasswordHasher

    hashed: list[str] = []
    own = MD5PasswordHasher.encode

    def encode(hasher: Any, password: str, *args: Any, **kwargs: Any) -> str:
        hashed.append(password)
        return own(hasher, password, *args, **kwargs)

    monkeypatch.setattr(MD5PasswordHasher, "encode", encode)
    model = "django_site.Member" if own_field else "django_site.Customer"
    costs = []
    with override_settings(AUTH_USER_MODEL=model):
        known = get_user_model().objects
        for phone in (PHONE, "+37255555555"):
            hashed.clear()
            first: Any = known.get()
            first.phone = phone
            first.save()
            with CaptureQueriesContext(connection) as queries:
                assert authenticate(None, username=typed, password="wrong") is None
            costs.append((len(hashed), len(queries)))
    assert costs[0] == costs[1]
    assert costs[0][0] == 1


@both
def test_a_phone_beside_the_user_name(person: Person, user: Any, outbox: OutboxSender) -> None:
    users: Any = get_user_model().objects
    user.phone = PHONE
    user.save()
    with override_settings(AUTHENTICATION_BACKENDS=[BACKEND]):
        for typed in ("ann", *SPELLINGS):
            assert authenticate(None, username=typed, password=PASSWORD) == user
        page = person.send("/login/", username="5678 9045", password=PASSWORD)
        assert page.path == f"{person.prefix}/login/code/"
        # A user name that looks like the number of another account does not stand for it.
        other = users.create_user("5678 9045", password="another", phone="")
        assert authenticate(None, username="5678 9045", password=PASSWORD) == user
        assert authenticate(None, username="5678 9045", password="another") is None
        # Two accounts with one number: the number stands for neither.
        other.phone = PHONE
        other.username = "bob"
        other.save()
        for password in (PASSWORD, "another"):
            assert authenticate(None, username="5678 9045", password=password) is None
        assert authenticate(None, username="ann", password=PASSWORD) == user


def test_inactive_users_are_refused(member: Any) -> None:
    member.is_active = False
    member.save()
    assert authenticate(None, username="5678 9045", password=PASSWORD) is None


@pytest.mark.parametrize("typed", SPELLINGS)
def test_the_admin_reads_every_spelling(member: Any, typed: str) -> None:
    installed = [*settings.INSTALLED_APPS, "django.contrib.admin", "django.contrib.messages"]
    middleware = [*settings.MIDDLEWARE, "django.contrib.messages.middleware.MessageMiddleware"]
    site = admin.AdminSite()
    with (
        override_settings(INSTALLED_APPS=installed, MIDDLEWARE=middleware),
        urlconf(path("admin/", site.urls), path("", include("otpverify.integrations.django.urls"))),
    ):
        browser = Client()
        reply: Any = browser.post("/admin/login/", {"username": typed, "password": PASSWORD})
        assert (reply.status_code, reply["Location"]) == (302, "/account/")
        assert browser.session["_auth_user_id"] == str(member.pk)


def test_a_form_of_ones_own_stays(person: Person, member: Any) -> None:
    class Own(AuthenticationForm):
        pass

    from otpverify.integrations.django.views import LoginView

    with urlconf(*LoginView.urls(authentication_form=Own)):
        page = Person("sync").open("/login/")
    assert 'type="text" name="username"' in page.html


@pytest.mark.parametrize("typed", SPELLINGS)
def test_createsuperuser_saves_the_number_that_people_sign_in_with(
    typed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DJANGO_SUPERUSER_PASSWORD", PASSWORD)
    with override_settings(
        AUTH_USER_MODEL="django_site.Member",
        AUTHENTICATION_BACKENDS=[BACKEND],
        OTPVERIFY={**BASE, "SENDER": OutboxSender()},
    ):
        members = get_user_model().objects
        members.all().delete()
        call_command("createsuperuser", interactive=False, verbosity=0, phone=typed)
        assert members.get().get_username() == PHONE
        assert authenticate(None, username=typed, password=PASSWORD) == members.get()
        members.all().delete()


def test_a_new_user_name_that_is_not_a_phone_stays(member: Any) -> None:
    with override_settings(OTPVERIFY=BASE):
        assert type(member).objects.create_user("ann").get_username() == "ann"
        member.phone = "5678 9045"
        member.save()
        assert member.get_username() == "5678 9045", "only new ones are read"


def test_a_project_without_users_saves_its_models(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "AUTH_USER_MODEL", "auth.Missing")
    session = SessionStore()
    session["step"] = "first"
    session.save()
    assert SessionStore(session.session_key)["step"] == "first"
