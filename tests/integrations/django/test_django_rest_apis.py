"""The recipes for Django REST framework and Django Ninja, run as they are in the documentation."""

from __future__ import annotations

import json
import re
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import django_site
import pytest
from django.http import HttpRequest, HttpResponseBase
from django.test import Client, override_settings
from django.urls import path
from django_support import BASE, urlconf

from otpverify import MemoryStore
from otpverify.integrations.django.api import areply_to, flow_for
from otpverify.integrations.django.conf import averifier_for
from otpverify.testing import OutboxSender

django_site.migrate()
PAGE = Path(__file__).parents[3] / "docs" / "how-to" / "django-rest-apis.md"
BLOCKS = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
PHONE = "+37256789045"


class Site:
    def __init__(self, outbox: OutboxSender) -> None:
        self.outbox = outbox
        self.client = Client()

    def post(self, step: str, kind: str = "application/json", **body: str) -> Any:
        return self.client.post(f"/api/phone/{step}", json.dumps(body), content_type=kind)

    def state(self) -> Any:
        return self.client.get("/api/phone/status").json()["state"]


@pytest.fixture(params=["rest_framework", "ninja"])
def site(request: pytest.FixtureRequest) -> Iterator[Site]:
    (recipe,) = (block for block in BLOCKS if f"from {request.param}" in block)
    (after,) = (block for block in BLOCKS if "redeem_phone" in block)
    name = f"recipe_{request.param}"
    module: Any = types.ModuleType(name)
    module.urlpatterns = []
    for block in (recipe, after):
        exec(compile(block, PAGE.name, "exec"), module.__dict__)
    module.urlpatterns.append(path("save", module.save_phone))
    sys.modules[name] = module
    outbox = OutboxSender()
    given = {**BASE, "SENDER": outbox, "STORE": MemoryStore()}
    with override_settings(ROOT_URLCONF=name, OTPVERIFY=given):
        yield Site(outbox)
    del sys.modules[name]


def test_a_phone_is_confirmed(site: Site) -> None:
    assert site.state() == "none"
    sent = site.post("start", phone="5678 9045")
    assert (sent.status_code, sent.json()["state"]) == (202, "pending")
    assert site.state() == "pending"
    wrong = "000000" if site.outbox.code(PHONE) != "000000" else "111111"
    refused = site.post("check", code=wrong)
    assert (refused.status_code, refused.json()["attempts_left"]) == (400, 4)
    assert refused["Content-Type"] == "application/problem+json"
    done = site.post("check", code=site.outbox.code(PHONE))
    assert (done.status_code, done.json()["state"]) == (200, "verified")
    assert site.client.get("/save").json() == {"phone": PHONE}
    assert site.state() == "none"


def test_a_planted_key_does_not_lead_to_the_proof(site: Site) -> None:
    site.post("start", phone=PHONE)
    attacker = Site(site.outbox)
    attacker.client.cookies["sessionid"] = site.client.cookies["sessionid"].value
    assert attacker.state() == "pending"
    site.post("check", code=site.outbox.code(PHONE))
    assert attacker.state() == "none"
    assert site.state() == "verified"


def test_a_refusal_has_the_problem_and_leaves_the_session(site: Site) -> None:
    site.post("start", phone=PHONE)
    again = site.post("start", phone=PHONE)
    assert again.status_code == 429
    assert again.json()["type"].endswith("cooldown-active")
    assert int(again["Retry-After"]) > 0
    assert "sessionid" not in again.cookies
    assert site.post("resend").status_code == 429
    assert site.post("cancel").status_code == 200
    assert site.post("check", code="123456").status_code == 410


def test_a_number_that_is_none(site: Site) -> None:
    refused = site.post("start", phone="12")
    assert refused.status_code == 422
    assert not site.outbox.messages


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded"])
@pytest.mark.parametrize("step", ["start", "check", "resend", "cancel"])
def test_another_site_cannot_send_a_request(site: Site, step: str, kind: str) -> None:
    assert site.post(step, kind, phone=PHONE, code="123456").status_code in (400, 415)
    assert site.state() == "none"
    assert not site.outbox.messages


@pytest.mark.parametrize("body", ["[]", '["phone"]', '"phone"', "12", "null", "{", ""])
@pytest.mark.parametrize("step", ["start", "check"])
@pytest.mark.parametrize("accept", ["application/json", "text/html, */*;q=0.8"])
def test_a_body_that_is_no_object_is_refused(site: Site, step: str, body: str, accept: str) -> None:
    reply = site.client.post(
        f"/api/phone/{step}", body, content_type="application/json", headers={"accept": accept}
    )
    assert 400 <= reply.status_code < 500
    assert not site.outbox.messages


@pytest.mark.parametrize("accept", ["text/html", "text/html, */*;q=0.8"])
def test_a_browser_that_asks_for_a_page_gets_a_reply(site: Site, accept: str) -> None:
    for reply in (
        site.client.get("/api/phone/start", headers={"accept": accept}),
        site.client.post("/api/phone/start", {"phone": PHONE}, headers={"accept": accept}),
    ):
        assert 400 <= reply.status_code < 500
        assert not site.outbox.messages


def test_the_session_of_an_asynchronous_view_gets_a_new_key() -> None:
    outbox = OutboxSender()

    async def check(request: HttpRequest) -> HttpResponseBase:
        flow = flow_for(request, purpose="phone", verifier=averifier_for(request))
        await request.session.akeys()
        code = request.GET.get("code")
        outcome = await (flow.start(PHONE) if code is None else flow.check(code))
        return await areply_to(request, outcome)

    given = {**BASE, "SENDER": outbox, "STORE": MemoryStore()}
    with urlconf(path("check", check)), override_settings(OTPVERIFY=given):
        client = Client()
        client.get("/check")
        before = client.cookies["sessionid"].value
        assert client.get("/check", {"code": "letters"}).status_code == 400
        assert client.cookies["sessionid"].value == before
        assert client.get("/check", {"code": outbox.code(PHONE)}).status_code == 200
        assert client.cookies["sessionid"].value != before
