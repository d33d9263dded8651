"""The settings, the checks and the forms of the Django app."""

from __future__ import annotations

import asyncio
import io
import re
from pathlib import Path
from typing import Any

import pytest
from django import forms
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.management import call_command
from django.core.management.base import SystemCheckError
from django.test import RequestFactory, override_settings
from django_support import (
    BASE,
    Person,
    urlconf,
)
from support import OTHER_PHONE, PHONE, SECRET

from otpverify import (
    Limit,
    Policy,
)
from otpverify.integrations.django import conf, get_async_verifier, get_verifier
from otpverify.integrations.django.requests import client_ip, find_users, get_phone
from otpverify.testing import OutboxSender
from otpverify.testing.outbox import AsyncOutboxSender

# Settings.

ROOT = Path(__file__).parents[3]


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
        assert get_phone(user) is None
        user.profile = type("Profile", (), {"phone": PHONE})()
        assert get_phone(user) == PHONE
    with override_settings(OTPVERIFY={"GET_PHONE": lambda user: user.phone.replace("1", "1 ")}):
        assert get_phone(user) == "+1 20255501 23"
    for found, users in ((None, []), (user, [user]), ([user], [user]), ((user, user), [user] * 2)):
        with override_settings(OTPVERIFY={"FIND_USERS": lambda phone, found=found: found}):
            assert find_users(PHONE) == users
    with override_settings(OTPVERIFY={}), pytest.raises(ImproperlyConfigured, match="PHONE_FIELD"):
        get_phone(user)


# Checks.


GOOD = {**BASE, "HASH": "h", "TOKEN": "t", "SENDER_ID": "Shop"}
WRONG = [
    ({**GOOD, "SECERT": "x"}, "E001", "SECRET"),
    ({**GOOD, "colour": "x"}, "E001", "Known are"),
    ({**GOOD, "POLICY": {"code_length": 3}}, "E002", "code_length"),
    ({**GOOD, "POLICY": {"lenght": 6}}, "E002", "lenght"),
    ({**GOOD, "SENDER": "nowhere.at.all"}, "E002", "cannot be imported"),
    ({**GOOD, "CLIENT_IP": 5}, "E002", "must be a function"),
    ({**GOOD, "SENDER": 5}, "E002", "is not a sender"),
    ({**GOOD, "SECRET": "short"}, "E002", "32"),
    ({**GOOD, "REDIS_URL": "redis://localhost:1", "SQLITE_PATH": "x"}, "E002", "one store"),
    ({**GOOD, "REDIS_URL": "redis://localhost:1"}, "E003", "otpverify secret"),
    ({**GOOD, "TOKEN": None}, "E004", "SMSPM_TOKEN"),
    ({**GOOD, "PHONE_FIELD": "fone"}, "E006", "PHONE_FIELD"),
    ({**GOOD, "SENDER_ID": None}, "W001", "SMSPM.com"),
    ({**GOOD, "FRAUD": None}, "W005", "SMS pumping"),
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
    """What needs credentials is an error of a deployment only."""
    with override_settings(OTPVERIFY=options):
        text = checked("--deploy")
        assert f"otpverify.{number}" in text
        assert said in text
        assert (f"otpverify.{number}" in checked()) == (number in ("E001", "E002", "E006"))


def test_what_is_right_passes(bare_environ: None, monkeypatch: pytest.MonkeyPatch) -> None:
    with override_settings(OTPVERIFY=GOOD):
        assert "no issues" in checked()
        assert "otpverify.W003" in checked("--deploy")
        monkeypatch.setenv("WEB_CONCURRENCY", "4")
        assert "otpverify.E005" in checked("--deploy")
        assert "no issues" in checked()
        with override_settings(OTPVERIFY={**GOOD, "SENDER": AsyncOutboxSender()}):
            assert "E002" not in checked("--deploy", "--fail-level", "CRITICAL")
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
    assert documented >= conf.SOURCE.names


def test_what_the_page_shows(
    outbox: OutboxSender, bare_environ: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """What it shows is a site that works."""
    monkeypatch.setenv("OTPVERIFY_SECRET", SECRET)
    names: dict[str, Any] = {"INSTALLED_APPS": [], "urlpatterns": [], "BASE_DIR": tmp_path}
    page = (ROOT / "docs/how-to/django.md").read_text()
    blocks = [block.partition("```")[0] for block in page.split("```python\n")[1:]]
    # The additions to settings.py and to urls.py. Before them come those of a new project.
    for added in ("OTPVERIFY = {", "urlpatterns +="):
        exec(next(block for block in blocks if added in block), names)
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
    order = Order({"phone": "", "code": "x" * 2001})
    assert order.errors.keys() == {"code"}
    order = Order({"phone": "+49 151", "code": "1"})
    assert order.errors.as_data()["phone"][0].code == "not_in_use"
    assert Order({"phone": "", "code": "1"}).is_valid()
