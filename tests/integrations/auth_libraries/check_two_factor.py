"""django-two-factor-auth with `Gateway`: adding a phone, and signing in. It is run by
`test_auth_libraries.py`."""

from __future__ import annotations

import re
import sys
import types
from collections.abc import Iterator
from typing import Any

import auth_site
import pytest
from django.http import HttpRequest, HttpResponse
from django.test import Client, override_settings
from django.urls import include, path
from freezegun import freeze_time
from support import QUICK

from otpverify import DeliveryRejected, FraudPolicy, Limit, Policy, Verifier
from otpverify.testing import OutboxSender

PHONE = "+37256789045"
PASSWORD = "open sesame"


def home(request: HttpRequest) -> HttpResponse:
    user: Any = request.user
    return HttpResponse(f"Hello {user}, verified: {user.is_verified()}")


urls: Any = types.ModuleType("two_factor_urls")
sys.modules["two_factor_urls"] = urls
auth_site.set_up(
    apps=[
        "django_otp",
        "django_otp.plugins.otp_static",
        "django_otp.plugins.otp_totp",
        "two_factor",
        "two_factor.plugins.phonenumber",
    ],
    middleware=[
        "django_otp.middleware.OTPMiddleware",
        "two_factor.middleware.threadlocals.ThreadLocals",
    ],
    LOGIN_URL="two_factor:login",
    ROOT_URLCONF="two_factor_urls",
    TWO_FACTOR_SMS_GATEWAY="otpverify.integrations.two_factor.Gateway",
)

from auth_site.models import Person  # noqa: E402 - Django is set up now
from two_factor.plugins.phonenumber.models import PhoneDevice  # noqa: E402 - as above
from two_factor.urls import urlpatterns  # noqa: E402 - as above

from otpverify.integrations.django.conf import get_verifier  # noqa: E402 - as above

urls.urlpatterns = [path("", home), path("", include(urlpatterns))]


class Site:
    def __init__(self) -> None:
        self.outbox = OutboxSender()
        self.user = Person.objects.create_user("ann", password=PASSWORD)

    @property
    def verifier(self) -> Verifier:
        return get_verifier()

    def with_phone(self) -> PhoneDevice:
        return PhoneDevice.objects.create(
            user=self.user, name="default", number=PHONE, method="sms", confirmed=True
        )


@pytest.fixture
def site() -> Iterator[Site]:
    Person.objects.all().delete()
    made = Site()
    given = {
        "SENDER": made.outbox,
        "HASHER": QUICK,
        "REGION": "EE",
        "PHONE_FIELD": "phone",
        "POLICY": Policy(sends_per_phone=(Limit(2, 3600),)),
        "FRAUD": FraudPolicy(),
    }
    with override_settings(OTPVERIFY=given):
        yield made


def log_in(browser: Client) -> Any:
    return browser.post(
        "/account/login/",
        {
            "login_view-current_step": "auth",
            "auth-username": "ann",
            "auth-password": PASSWORD,
        },
    )


def token(browser: Client, code: str) -> Any:
    return browser.post(
        "/account/login/",
        {"login_view-current_step": "token", "token-otp_token": code},
        follow=True,
    )


def test_sign_in(site: Site) -> None:
    site.with_phone()
    browser = Client()
    log_in(browser)
    assert [message.to for message in site.outbox.messages] == [PHONE]
    assert "2 minutes" in site.outbox.last.text
    page = token(browser, site.outbox.code())
    assert "Hello ann, verified: True" in page.content.decode()
    assert site.verifier.inspect(PHONE).known is True
    (row,) = site.verifier.traffic()
    assert (row.sent, row.verified) == (1, 1)


def test_an_incorrect_code_confirms_nothing(site: Site) -> None:
    site.with_phone()
    browser = Client()
    log_in(browser)
    token(browser, "000000" if site.outbox.code() != "000000" else "111111")
    assert site.verifier.inspect(PHONE).known is False


def test_a_second_login_in_the_cooldown_takes_the_first_code(site: Site) -> None:
    site.with_phone()
    log_in(Client())
    browser = Client()
    page = log_in(browser)
    assert page.status_code == 200
    assert len(site.outbox) == 1
    page = token(browser, site.outbox.code())
    assert "verified: True" in page.content.decode()


@pytest.mark.parametrize("fault", ["limit", "gateway"])
def test_a_login_whose_code_is_not_sent_says_so(site: Site, fault: str) -> None:
    site.with_phone()
    if fault == "gateway":
        site.outbox.fail_with = DeliveryRejected("no", provider_code="no_balance")
        said = "We cannot send messages at the moment."
    else:
        said = "Too many codes were sent to this number."
    with freeze_time("2026-01-01") as clock:
        for _ in range(2 if fault == "limit" else 0):
            log_in(Client())
            clock.tick(61)
        browser = Client()
        page = log_in(browser)
        assert page.status_code == 200
        stored = [str(message) for message in page.wsgi_request._messages]
    assert any(said in text for text in stored)


def add_phone(browser: Client) -> Any:
    browser.get("/account/two_factor/setup/")
    browser.post("/account/two_factor/setup/", {"setup_view-current_step": "welcome"})
    browser.post(
        "/account/two_factor/setup/",
        {"setup_view-current_step": "method", "method-method": "sms"},
    )
    return browser.post(
        "/account/two_factor/setup/",
        {"setup_view-current_step": "sms", "sms-number": PHONE},
    )


def test_a_phone_is_added(site: Site) -> None:
    browser = Client()
    browser.force_login(site.user)
    add_phone(browser)
    code = re.search(r"\d{6}", site.outbox.last.text)
    assert code is not None
    browser.post(
        "/account/two_factor/setup/",
        {"setup_view-current_step": "validation", "validation-token": code[0]},
    )
    assert PhoneDevice.objects.get().number.as_e164 == PHONE
    assert site.verifier.inspect(PHONE).known is True


def test_a_phone_that_gets_no_message_is_not_added(site: Site) -> None:
    site.outbox.fail_with = DeliveryRejected("no", provider_code="no_balance")
    browser = Client()
    browser.force_login(site.user)
    page = add_phone(browser)
    assert page.status_code == 200
    assert page.wsgi_request.resolver_match.url_name == "setup"
    assert "ve encountered an issue" in page.content.decode()


def test_there_are_no_calls(site: Site) -> None:
    from otpverify.integrations.two_factor import Gateway

    with pytest.raises(NotImplementedError):
        Gateway().make_call(site.with_phone(), "123456")
