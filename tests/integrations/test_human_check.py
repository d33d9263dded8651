"""A code that a fraud policy holds back until a human check is passed, in every framework."""

from __future__ import annotations

import re
from contextlib import suppress
from typing import Any

import pytest
from django.conf import settings
from django.test import override_settings
from jinja2 import ChoiceLoader, DictLoader
from web_sites import (
    BUILT_IN,
    HUMAN,
    KNOWN,
    DjangoPages,
    FastApiTokens,
    FlaskPages,
    Site,
    slow_in_long_form,
)

from otpverify import FraudPolicy, HumanCheckRequired, Policy, Verifier
from otpverify.core.fraud import PREFIX_LIMIT
from otpverify.testing import OutboxSender

ASKED = "Please confirm that you are human."
POLICY: dict[str, Any] = {
    "fraud": FraudPolicy(mode="enforce", over="human_check"),
    "policy": Policy(resend_cooldown_seconds=0),
}
KINDS = [kind for kind in BUILT_IN if kind is not FastApiTokens]  # the same but for its session


def exhaust(verifier: Verifier) -> None:
    """Ask for as many codes in the prefix of `KNOWN` as it may have unanswered."""
    for number in range(int(PREFIX_LIMIT)):
        with suppress(HumanCheckRequired):
            verifier.start(f"{KNOWN[:-2]}{number:02}", purpose="other")


def site_of(kind: type[Site], outbox: OutboxSender, **options: Any) -> Site:
    site = kind(outbox, **POLICY, **options)
    site.checks_humans = True
    return site


@pytest.mark.parametrize("kind", slow_in_long_form(KINDS), ids=lambda kind: kind.name)
def test_a_human_check_that_was_passed_sends_the_code(kind: type[Site]) -> None:
    outbox = OutboxSender()
    with site_of(kind, outbox) as site:
        exhaust(site.verifier())
        outbox.clear()
        for step in ("start", "resend"):
            sent = len(outbox)
            seen = site.send(step, phone=KNOWN)
            assert ASKED in seen[-1].body
            assert len(outbox) == sent
            if site.programs:
                assert seen[0].status == 403
                assert "urn:otpverify:problem:human-check-required" in seen[0].body
                assert '"reason"' not in seen[0].body
            site.client.headers.update(HUMAN)
            seen = site.send(step, phone=KNOWN)
            assert ASKED not in seen[-1].body
            assert len(outbox) == sent + 1
            del site.client.headers["x-human"]
        site.send("code", code=outbox.code())
        assert f'"{site.ends}"' in site.status().body


@pytest.mark.parametrize("kind", slow_in_long_form(KINDS), ids=lambda kind: kind.name)
def test_a_site_without_human_checks_does_not_ask_for_one(kind: type[Site]) -> None:
    outbox = OutboxSender()
    with kind(outbox, **POLICY) as site:
        exhaust(site.verifier())
        outbox.clear()
        seen = site.send("start", phone=KNOWN)
    assert "We cannot send a code to this number. You can try again" in seen[-1].body
    assert "prefix" not in seen[0].body
    assert ASKED not in seen[-1].body
    assert len(outbox) == 0


@pytest.mark.parametrize("kind", [FlaskPages, DjangoPages], ids=lambda kind: kind.name)
def test_the_check_is_made_only_where_it_is_needed(
    kind: type[Site], monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[object] = []
    monkeypatch.setattr("web_sites.is_human", made.append)
    with site_of(kind, OutboxSender()) as site:
        site.send("start", phone=KNOWN)
        site.send("resend")
        assert made == []
        exhaust(site.verifier())
        site.send("resend")
        assert len(made) == 1


WIDGET = "<p>Six times seven?</p>"


def test_flask_shows_the_site_s_check_in_the_form_that_needs_it() -> None:
    with site_of(FlaskPages, OutboxSender()) as site:
        own = DictLoader({"otpverify/human_check.html": WIDGET})
        app: Any = site.app  # type: ignore[attr-defined]  # Flask's alone
        app.jinja_loader = ChoiceLoader([own, app.jinja_loader])
        shows_the_widget(site)


def test_django_shows_the_site_s_check_in_the_form_that_needs_it() -> None:
    with site_of(DjangoPages, OutboxSender()) as site:
        (templates,) = settings.TEMPLATES
        own = ("django.template.loaders.locmem.Loader", {"otpverify/human_check.html": WIDGET})
        options = {
            **templates["OPTIONS"],
            "loaders": [own, "django.template.loaders.app_directories.Loader"],
        }
        with override_settings(TEMPLATES=[{**templates, "APP_DIRS": False, "OPTIONS": options}]):
            shows_the_widget(site)


def shows_the_widget(site: Site) -> None:
    assert WIDGET not in site.send("start", phone=KNOWN)[-1].body
    exhaust(site.verifier())
    page = site.send("resend")[-1].body
    assert page.count(WIDGET) == 1
    assert re.search(rf'action="[^"]*resend/?"((?!</form>).)*{re.escape(WIDGET)}', page, re.DOTALL)
    site.send("cancel")
    page = site.send("start", phone=KNOWN)[-1].body
    assert page.count(WIDGET) == 1
    assert WIDGET not in site.page(site.steps["start"]).body
