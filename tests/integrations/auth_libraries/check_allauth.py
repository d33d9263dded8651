"""django-allauth with `PhoneAdapter`: phone verification, sign-in by code, headless. It is run by
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
from support import QUICK

from otpverify import DeliveryRejected, FraudPolicy, Verifier
from otpverify.testing import OutboxSender

KNOWN, UNKNOWN = "+37256789045", "+37256789046"
REFUSED = 429


def home(request: HttpRequest) -> HttpResponse:
    return HttpResponse(f"Hello {request.user}")


urls: Any = types.ModuleType("allauth_urls")
sys.modules["allauth_urls"] = urls
auth_site.set_up(
    apps=["allauth", "allauth.account", "allauth.headless"],
    middleware=["allauth.account.middleware.AccountMiddleware"],
    ACCOUNT_ADAPTER="otpverify.integrations.allauth.PhoneAdapter",
    ACCOUNT_LOGIN_BY_CODE_ENABLED=True,
    ACCOUNT_LOGIN_BY_CODE_SUPPORTS_RESEND=True,
    ACCOUNT_LOGIN_METHODS={"phone"},
    ACCOUNT_PHONE_VERIFICATION_SUPPORTS_RESEND=True,
    ACCOUNT_RATE_LIMITS=False,  # so that every limit is otpverify's
    ACCOUNT_SIGNUP_FIELDS=["phone*"],
    AUTHENTICATION_BACKENDS=["allauth.account.auth_backends.AuthenticationBackend"],
    HEADLESS_CLIENTS=("browser",),
    ROOT_URLCONF="allauth_urls",
)
urls.urlpatterns = [
    path("", home),
    path("accounts/", include("allauth.urls")),
    path("_allauth/", include("allauth.headless.urls")),
]

from auth_site.models import Person  # noqa: E402 - Django is set up now

from otpverify.integrations.django.conf import get_verifier  # noqa: E402 - as above


class Site:
    def __init__(self) -> None:
        self.outbox = OutboxSender()

    @property
    def verifier(self) -> Verifier:
        return get_verifier()

    def person(self) -> Any:
        return Person.objects.create(username="ann", phone=KNOWN, phone_verified=True)


@pytest.fixture
def site() -> Iterator[Site]:
    made = Site()
    Person.objects.all().delete()
    given = {
        "SENDER": made.outbox,
        "HASHER": QUICK,
        "REGION": "EE",
        "PHONE_FIELD": "phone",
        "DELIVER_IN_BACKGROUND": False,
        "FRAUD": FraudPolicy(),
    }
    with override_settings(OTPVERIFY=given):
        yield made


def told(page: Any) -> str:
    """A page without what differs from one request to the next."""
    text = re.sub(r'(csrfmiddlewaretoken" value=)"\w+"', r"\1", page.content.decode())
    return text.replace(UNKNOWN, KNOWN)


def code(site: Site) -> str:
    found = re.search(r"[A-Z0-9]{4}-[A-Z0-9]{4}", site.outbox.last.text)
    assert found is not None
    return found[0]


def test_sign_in_by_code(site: Site) -> None:
    site.person()
    browser = Client()
    browser.post("/accounts/login/code/", {"phone": "5678 9045"}, follow=True)
    assert [message.to for message in site.outbox.messages] == [KNOWN]
    assert "3 minutes" in site.outbox.last.text
    wrong = browser.post("/accounts/login/code/confirm/", {"code": "AAAA-AAAA"})
    assert wrong.status_code == 200
    assert site.verifier.inspect(KNOWN).known is False
    page = browser.post("/accounts/login/code/confirm/", {"code": code(site)}, follow=True)
    assert b"Hello ann" in page.content
    assert site.verifier.inspect(KNOWN).known is True
    (row,) = site.verifier.traffic()
    assert (row.sent, row.verified) == (1, 1)


def test_a_number_without_an_account_looks_the_same(site: Site) -> None:
    site.person()
    pages = []
    for phone in (KNOWN, UNKNOWN):
        browser = Client()
        first = browser.post("/accounts/login/code/", {"phone": phone}, follow=True)
        again = Client().post("/accounts/login/code/", {"phone": phone}, follow=True)
        wrong = browser.post("/accounts/login/code/confirm/", {"code": "AAAA-AAAA"}, follow=True)
        pages.append([(page.status_code, told(page)) for page in (first, again, wrong)])
    assert pages[0] == pages[1]
    assert pages[0][1][0] == REFUSED  # by the cooldown
    assert [message.to for message in site.outbox.messages] == [KNOWN]


@pytest.mark.parametrize("phone", [KNOWN, UNKNOWN])
def test_a_failed_message_does_not_show_an_account(site: Site, phone: str) -> None:
    site.person()
    site.outbox.fail_with = DeliveryRejected("no", provider_code="no_balance")
    page = Client().post("/accounts/login/code/", {"phone": phone}, follow=True)
    assert page.redirect_chain == [("/accounts/login/code/confirm/", 302)]
    assert "We cannot send" not in page.content.decode()


def test_sign_up(site: Site) -> None:
    browser = Client()
    page = browser.post("/accounts/signup/", {"phone": "5678 9046"}, follow=True)
    assert page.redirect_chain[-1][0] == "/accounts/phone/verify/"
    assert site.outbox.last.to == UNKNOWN
    assert "15 minutes" in site.outbox.last.text
    (person,) = Person.objects.all()
    assert (person.phone, person.phone_verified) == (UNKNOWN, False)
    browser.post("/accounts/phone/verify/", {"code": code(site)}, follow=True)
    person.refresh_from_db()
    assert person.phone_verified is True
    assert site.verifier.inspect(UNKNOWN).known is True


def test_a_sign_up_does_not_show_an_account(site: Site) -> None:
    site.person()
    pages = [
        Client().post("/accounts/signup/", {"phone": phone}, follow=True)
        for phone in (KNOWN, UNKNOWN)
    ]
    assert told(pages[0]) == told(pages[1])
    assert [message.to for message in site.outbox.messages] == [UNKNOWN]


def test_another_code_waits_for_the_cooldown(site: Site) -> None:
    """The code that was sent stays good when another one is refused."""
    browser = Client()
    browser.post("/accounts/signup/", {"phone": UNKNOWN}, follow=True)
    refused = browser.post("/accounts/phone/verify/", {"action": "resend"}, follow=True)
    assert len(site.outbox) == 1
    assert "A code was requested a moment ago." in refused.content.decode()
    browser.post("/accounts/phone/verify/", {"code": code(site)}, follow=True)
    assert Person.objects.get().phone_verified is True


def test_a_person_who_changes_the_phone_sees_a_failure(site: Site) -> None:
    browser = Client()
    browser.force_login(site.person(), "allauth.account.auth_backends.AuthenticationBackend")
    session = browser.session
    session["account_authentication_methods"] = [{"method": "password", "at": 9e9}]
    session.save()
    site.outbox.fail_with = DeliveryRejected("no", provider_code="no_balance")
    page = browser.post("/accounts/phone/change/", {"phone": UNKNOWN}, follow=True)
    assert "We cannot send messages at the moment." in page.content.decode()


@pytest.mark.parametrize("typed", ["12", "+3725678", "not a number"])
def test_a_number_that_is_none_is_the_forms_error(site: Site, typed: str) -> None:
    page = Client().post("/accounts/login/code/", {"phone": typed})
    assert page.status_code == 200
    assert 'class="errorlist"' in page.content.decode()
    assert not site.outbox.messages


def test_headless(site: Site) -> None:
    site.person()
    browser = Client()
    base = "/_allauth/browser/v1/auth/code"

    def post(address: str, **body: str) -> Any:
        return browser.post(base + address, body, content_type="application/json")

    assert post("/request", phone="+372 5678 9045").status_code == 401
    assert [message.to for message in site.outbox.messages] == [KNOWN]
    assert post("/request", phone=KNOWN).status_code == REFUSED
    assert post("/confirm", code="AAAA-AAAA").status_code == 400
    assert post("/confirm", code=code(site)).status_code == 200
    assert site.verifier.inspect(KNOWN).known is True


def test_two_accounts_with_one_number_are_none(site: Site) -> None:
    site.person()
    Person.objects.create(username="ben", phone=KNOWN)
    Client().post("/accounts/login/code/", {"phone": KNOWN}, follow=True)
    assert not site.outbox.messages


def test_a_program_may_save_a_verified_phone(site: Site) -> None:
    from otpverify.integrations.allauth import PhoneAdapter

    person = site.person()
    PhoneAdapter().set_phone_verified(person, UNKNOWN)
    person.refresh_from_db()
    assert (person.phone, person.phone_verified) == (UNKNOWN, True)
