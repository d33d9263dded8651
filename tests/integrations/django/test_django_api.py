"""JSON at the addresses of the pages."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from django.http import HttpResponse, HttpResponseBase
from django.test import override_settings
from django_support import (
    ACCOUNT_PHONE,
    BASE,
    CREDENTIALS,
    NEW_PASSWORD,
    Broken,
    Person,
    change,
    urlconf,
)
from support import PHONE, wrong

from otpverify import DeliveryUnavailable
from otpverify.integrations.django.views import LoginView, PhoneView
from otpverify.testing import OutboxSender

pytestmark = pytest.mark.parametrize("person", ["sync", "async"], indirect=True)


def post(person: Person, path: str, **body: Any) -> tuple[int, dict[str, Any]]:
    return person.json("post", path, **body)


def kind(body: dict[str, Any]) -> str:
    return str(body["type"]).rpartition(":")[2]


def test_from_start_to_proof(person: Person, outbox: OutboxSender) -> None:
    strict = person.another(enforce_csrf_checks=True)
    assert strict.json("get", "/phone/status/")[1]["state"] == "none"
    status, body = post(strict, "/phone/code/", code="123456")
    assert (status, kind(body)) == (410, "challenge-expired")
    status, body = post(strict, "/phone/", phone="12")
    assert (status, kind(body)) == (422, "invalid-phone-number")
    assert body["flow"]["state"] == "none"
    status, body = post(strict, "/phone/", phone="5678 9045")
    assert (status, body["state"], body["resend_in"]) == (202, "pending", 60)
    status, body = post(strict, "/phone/resend/")
    assert (status, kind(body), body["flow"]["state"]) == (429, "cooldown-active", "pending")
    status, body = post(strict, "/phone/code/", code=wrong(outbox.code()))
    assert (status, body["attempts_left"]) == (400, 4)
    status, body = post(strict, "/phone/code/", code=outbox.code())
    done = f"{person.prefix}/phone/done/"
    assert (status, body["state"], body["next"]) == (200, "verified", done)
    status, body = post(strict, "/phone/code/", code=outbox.code())
    assert (status, body["state"]) == (200, "verified"), "a retry is answered"
    assert strict.json("get", "/phone/")[1]["state"] == "verified"
    assert post(strict, "/phone/cancel/") == (200, {**body, "state": "none"})


def test_a_login(person: Person, user: Any, outbox: OutboxSender) -> None:
    status, body = post(person, "/login/", username="ann", password="wrong")
    assert (status, kind(body)) == (422, "invalid-request")
    assert "correct username" in body["errors"]["__all__"][0]
    status, body = post(person, "/login/", **CREDENTIALS, next="/account/?x=1")
    assert (status, body["state"]) == (202, "pending")
    status, body = post(person, "/login/code/", code=outbox.code())
    assert (status, body["state"], body["next"]) == (200, "verified", "/account/")
    assert person.signed_in


def test_a_login_without_a_code_or_a_phone(person: Person, user: Any) -> None:
    from otpverify.integrations.django.views import AsyncLoginView

    class Plain(AsyncLoginView if person.prefix else LoginView):  # type: ignore[misc]  # one of two
        def needs_code(self, user: Any) -> bool:
            return False

    change(user, phone="")
    status, body = post(person, "/login/", **CREDENTIALS)
    assert (status, "no phone number" in body["errors"]["__all__"][0]) == (422, True)
    with urlconf(*Plain.urls()):
        visitor = Person(person.mode, prefix="")
        status, body = post(visitor, "/login/", **CREDENTIALS)
        assert (status, body["state"], body["next"]) == (200, "none", "/account/")
        assert visitor.signed_in


def test_a_reset(person: Person, user: Any, outbox: OutboxSender) -> None:
    assert post(person, "/reset/", phone=ACCOUNT_PHONE)[0] == 202
    status, body = post(person, "/reset/code/", code=outbox.code())
    assert (status, body["next"]) == (200, f"{person.prefix}/reset/password/")
    status, body = post(person, "/reset/password/", new_password1="short", new_password2="short")
    assert (status, body["flow"]["state"]) == (422, "verified")
    assert "too short" in body["errors"]["new_password2"][0]
    new = {"new_password1": NEW_PASSWORD, "new_password2": NEW_PASSWORD}
    status, body = post(person, "/reset/password/", **new)
    assert (status, body["state"]) == (200, "none")
    user.refresh_from_db()
    assert user.check_password(NEW_PASSWORD)
    other = {"new_password1": "a third one", "new_password2": "a third one"}
    assert kind(post(person, "/reset/password/", **other)[1]) == "challenge-expired"


def test_a_gateway_and_a_store_that_are_away(person: Person, outbox: OutboxSender) -> None:
    outbox.fail_with = DeliveryUnavailable("?", maybe_sent=False)
    status, body = post(person, "/phone/", phone=PHONE)
    assert (status, kind(body), body["maybe_sent"]) == (503, "delivery-failed", False)
    assert body["flow"]["delivery"] == "not_sent"
    store = Broken()
    store.broken = ("open",)
    with override_settings(OTPVERIFY={**BASE, "SENDER": outbox, "STORE": store}):
        status, body = post(person.another(), "/phone/", phone=PHONE)
        assert (status, kind(body)) == (503, "store-unavailable")
        assert "went wrong on our side" in body["detail"]


def test_a_retry_with_the_old_cookie_loses_nothing(person: Person, outbox: OutboxSender) -> None:
    engine = "django.contrib.sessions.backends.signed_cookies"
    with override_settings(SESSION_ENGINE=engine):
        post(person, "/phone/", phone=PHONE)
        before = person.client.cookies["sessionid"].value
        post(person, "/phone/code/", code=outbox.code())
        after = person.client.cookies["sessionid"].value
        person.client.cookies["sessionid"] = before
        assert post(person, "/phone/code/", code=outbox.code())[0] == 410
        assert person.client.cookies["sessionid"].value == before, "the reply sets none"
        person.client.cookies["sessionid"] = after
        assert person.json("get", "/phone/status/")[1]["state"] == "verified"


SENT: list[tuple[Any, str, int]] = [
    (b" ", "application/json", 422),
    (b"[" * 10_000, "application/json", 422),
    (b"x" * 20_000, "application/json", 413),
    (b"[]", "application/json; charset=utf-8", 422),
    (b"{}", "application/json", 422),
    (json.dumps({"phone": 5}).encode(), "application/json", 422),
    (json.dumps({"phone": 56789045}).encode(), "application/json", 422),
    (b"x" * 3_000_000, "application/json", 413),
    (json.dumps({"phone": None}).encode(), "application/json", 422),
    (json.dumps({"phone": "5" * 300}).encode(), "application/json", 422),
    (b"{}", "text/plain", 403),
    (b"phone=%2B37256789045", "application/x-www-form-urlencoded", 403),
]


@pytest.mark.parametrize(("body", "content_type", "status"), SENT, ids=lambda one: str(one)[:30])
def test_only_json_needs_no_token(
    person: Person, outbox: OutboxSender, body: bytes, content_type: str, status: int
) -> None:
    strict = person.another(enforce_csrf_checks=True)
    sent = strict.client.generic("POST", f"{person.prefix}/phone/", body, content_type=content_type)
    reply = asyncio.run(sent) if person.mode == "async" else sent
    assert reply.status_code == status
    if status != 403:
        assert reply.headers["Content-Type"] == "application/problem+json"
    assert len(outbox) == 0


@pytest.mark.parametrize(
    ("accept", "is_json"),
    [
        ("application/json", True),
        ("application/json, text/plain, */*", True),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", False),
        ("*/*", False),
        ("text/html;q=0.5, application/json", True),
    ],
)
def test_who_prefers_json(person: Person, accept: str, is_json: bool, outbox: OutboxSender) -> None:
    person.headers = {"accept": accept}
    page = person.send("/phone/", follow=False, phone=PHONE)
    assert (page.status == 202) is is_json
    assert "Accept" in page.response.headers.get("Vary", "Accept")


def test_the_person_s_language(person: Person) -> None:
    person.headers = {"accept-language": "de"}
    assert post(person, "/phone/code/", code="1")[1]["detail"].startswith("Dieser Code ist")


def test_a_hook_s_own_reply(person: Person, outbox: OutboxSender) -> None:
    from otpverify.integrations.django.views import AsyncPhoneView

    class Mine(AsyncPhoneView if person.prefix else PhoneView):  # type: ignore[misc]  # one of two
        def code_valid(self, verified: Any) -> HttpResponseBase:
            return HttpResponse('{"token": "t"}', headers={"Cache-Control": "no-store"})

    with urlconf(*Mine.urls()):
        visitor = Person(person.mode, prefix="")
        post(visitor, "/phone/", phone=PHONE)
        assert post(visitor, "/phone/code/", code=outbox.code()) == (200, {"token": "t"})


def test_the_status_sets_no_session(person: Person, outbox: OutboxSender) -> None:
    with override_settings(SESSION_SAVE_EVERY_REQUEST=True):
        person.send("/phone/", phone=PHONE)
        page = person.open("/phone/status/")
        assert json.loads(page.html)["state"] == "pending"
        assert "sessionid" not in page.response.cookies
        assert person.send("/phone/status/").status == 405
