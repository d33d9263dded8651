"""The admin sends its visitors to the login with a code, and takes them back."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest
from django.conf import settings
from django.contrib import admin
from django.test import Client, override_settings
from django.urls import include, path
from django_support import ACCOUNT_PHONE, CREDENTIALS, urlconf

from otpverify.integrations.django.admin_login import protect_admin
from otpverify.testing import OutboxSender


@pytest.fixture
def browser() -> Iterator[Client]:
    installed = [*settings.INSTALLED_APPS, "django.contrib.admin", "django.contrib.messages"]
    middleware = [
        *settings.MIDDLEWARE,
        "django.contrib.messages.middleware.MessageMiddleware",
        "django.contrib.auth.middleware.LoginRequiredMiddleware",
    ]
    flows = path("", include("otpverify.integrations.django.urls"))
    site = protect_admin(admin.AdminSite())
    with (
        override_settings(INSTALLED_APPS=installed, MIDDLEWARE=middleware),
        urlconf(path("staff/", site.urls), flows),
    ):
        yield Client()


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
def test_no_visitor_is_led_elsewhere(browser: Any, user: Any, wanted: str) -> None:
    reply = browser.get("/staff/login/", {"next": wanted})
    assert reply["Location"] == f"/login/?next={quote('/staff/')}"
    user.is_staff = True
    user.save()
    browser.force_login(user)
    reply = browser.get("/staff/login/", {"next": wanted})
    assert reply["Location"] == "/staff/"


def test_a_user_who_may_not_enter_is_refused(browser: Any, user: Any) -> None:
    browser.force_login(user)
    assert browser.get("/staff/", follow=True).status_code == 403
