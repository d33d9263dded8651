"""The admin sends its visitors to the login with a code, and takes them back."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest
from django.conf import settings
from django.contrib import admin
from django.test import Client, override_settings
from django.urls import include, path
from django_support import ACCOUNT_PHONE, BASE, CREDENTIALS, urlconf
from freezegun.api import FrozenDateTimeFactory

from otpverify.integrations.django.admin_login import protect_admin
from otpverify.integrations.django.urls import flow_urls
from otpverify.integrations.django.views import LoginView, SignInView
from otpverify.testing import OutboxSender


@pytest.fixture
def browser() -> Iterator[Client]:
    installed = [*settings.INSTALLED_APPS, "django.contrib.admin", "django.contrib.messages"]
    middleware = [
        *settings.MIDDLEWARE,
        "django.contrib.messages.middleware.MessageMiddleware",
        "django.contrib.auth.middleware.LoginRequiredMiddleware",
    ]
    login = LoginView.urls(redirect_authenticated_user=True)
    flows = path("", include(flow_urls(SignInView)))
    sites = [
        path("staff/", protect_admin(admin.AdminSite(), within=3600).urls),
        path("open/", protect_admin(admin.AdminSite("open"), proven=lambda _: True).urls),
    ]
    with (
        override_settings(INSTALLED_APPS=installed, MIDDLEWARE=middleware),
        urlconf(*sites, *login, flows),
    ):
        yield Client()


def sign_in(browser: Any, outbox: OutboxSender, **fields: str) -> None:
    browser.post("/login/", CREDENTIALS)
    browser.post("/login/code/", {"code": outbox.code(ACCOUNT_PHONE), **fields})


def enters(browser: Any) -> bool:
    """Whether the admin opens; otherwise the person is asked to sign in with a code."""
    page = "/staff/jsi18n/"
    reply = browser.get(page, follow=True)
    last = reply.redirect_chain[-1][0] if reply.redirect_chain else page
    assert reply.status_code == 200
    assert last in (page, f"/login/?next={quote(page)}")
    return bool(last == page)


def test_a_session_of_another_login_does_not_suffice(
    browser: Any, user: Any, outbox: OutboxSender
) -> None:
    user.is_staff = True
    user.save()
    browser.force_login(user)  # such as a login by the password alone
    assert not enters(browser)
    assert browser.get("/open/jsi18n/").status_code == 200, "unless the site says so"
    browser.post("/login/", CREDENTIALS)
    assert not enters(browser), "half-signed-in"
    browser.post("/login/code/", {"code": outbox.code(ACCOUNT_PHONE)})
    assert enters(browser)
    browser.post("/sign-in/", {"phone": ACCOUNT_PHONE})
    for _ in range(60_000):
        if len(outbox) == 2:
            break
        time.sleep(0.001)
    browser.post("/sign-in/code/", {"code": outbox.code(ACCOUNT_PHONE)})
    assert browser.get("/open/jsi18n/").status_code == 200, "signed in"
    assert not enters(browser), "a code alone"


def test_a_second_factor_of_long_ago_or_of_an_old_phone_does_not_suffice(
    browser: Any, user: Any, outbox: OutboxSender, clock: FrozenDateTimeFactory
) -> None:
    user.is_staff = True
    user.save()
    sign_in(browser, outbox)
    clock.tick(3599)
    assert enters(browser)
    clock.tick(2)
    assert not enters(browser)
    sign_in(browser, outbox)
    assert enters(browser)
    type(user).objects.update(phone="+12025550177")
    assert not enters(browser)


def test_a_remembered_browser_suffices(browser: Any, user: Any, outbox: OutboxSender) -> None:
    user.is_staff = True
    user.save()
    with override_settings(OTPVERIFY={**BASE, "SENDER": outbox, "REMEMBER_DAYS": 30}):
        sign_in(browser, outbox, remember="on")
        del browser.cookies["sessionid"]
        browser.post("/login/", CREDENTIALS)
        assert enters(browser)
        assert len(outbox) == 1


def test_a_visitor_signs_in_with_a_code(browser: Any, user: Any, outbox: OutboxSender) -> None:
    user.is_staff = True
    user.save()
    reply = browser.post("/staff/login/", CREDENTIALS)
    assert "_auth_user_id" not in browser.session, "no password is taken here"
    reply = browser.get("/staff/", follow=True)
    (address, status) = reply.redirect_chain[-1]
    assert (address, status) == (f"/login/?next={quote('/staff/')}", 302)
    browser.post(address, {**CREDENTIALS, "next": "/staff/"})
    reply = browser.post("/login/code/", {"code": outbox.code(ACCOUNT_PHONE)})
    assert reply["Location"] == "/staff/"
    reply = browser.get("/staff/login/?next=/staff/password_change/")
    assert reply["Location"] == "/staff/password_change/"
    assert "no-store" in reply["Cache-Control"]


@pytest.mark.parametrize("wanted", ["https://evil.example/", "//evil.example", "javascript:1"])
def test_no_visitor_is_led_elsewhere(
    browser: Any, user: Any, outbox: OutboxSender, wanted: str
) -> None:
    reply = browser.get("/staff/login/", {"next": wanted})
    assert reply["Location"] == f"/login/?next={quote('/staff/')}"
    user.is_staff = True
    user.save()
    sign_in(browser, outbox)
    reply = browser.get("/staff/login/", {"next": wanted})
    assert reply["Location"] == "/staff/"


def test_a_user_who_may_not_enter_is_refused(browser: Any, user: Any) -> None:
    browser.force_login(user)
    assert browser.get("/staff/", follow=True).status_code == 403
