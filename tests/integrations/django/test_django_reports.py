"""Delivery reports."""

from __future__ import annotations

import pytest
from django.test import override_settings
from django_support import (
    BASE,
    Broken,
    Page,
    Person,
)
from support import PHONE, QUICK

from otpverify import Verifier
from otpverify.core.tokens import PARAMETER
from otpverify.testing import OutboxSender


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
        assert "data-undelivered hidden" in person.open("/phone/code/").html
        assert report(person, shape, sender.last.report or "").html == "OK"
        assert 'data-undelivered role="alert"' in person.open("/phone/code/").html
        assert person.send("/phone/resend/").said == "Another code is on its way."
        assert len(sender) == 2


def test_a_report_reaches_the_verifier_of_its_request(person: Person) -> None:
    sender = Reported()
    verifier = Verifier(sender, hasher=QUICK)
    with override_settings(OTPVERIFY={**BASE, "GET_VERIFIER": lambda _: verifier}):
        person.send("/phone/", phone=PHONE)
        assert report(person, "get", sender.last.report or "").html == "OK"
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
