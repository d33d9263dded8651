"""No page and no JSON shows who has an account: known and unknown numbers, byte for byte, for every
failure of a sender, in both modes, in the reset and in a view of one's own."""

from __future__ import annotations

import asyncio
import json
import re
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.http import HttpResponse, HttpResponseBase
from django.test import override_settings
from django_support import ACCOUNT_PHONE, BASE, FAILURES, STRANGER, Person, urlconf
from freezegun.api import FrozenDateTimeFactory
from support import LONG

from otpverify.integrations.django.forms import PhoneForm
from otpverify.integrations.django.requests import find_user
from otpverify.integrations.django.views import (
    AsyncFlow,
    AsyncPasswordResetView,
    FlowView,
    PasswordResetView,
    Recipient,
)
from otpverify.testing import OutboxSender


class Enter(FlowView):
    """Signs in by phone, people who have an account: what a reader of the page writes."""

    flow = "enter"
    purpose = "enter"
    public = True
    concealed = True
    form_class = PhoneForm
    template_name = "otpverify/phone.html"

    def get_recipient(self, form: Any) -> Recipient:
        return Recipient.typed(form.cleaned_data["phone"])

    def should_deliver(self, recipient: Recipient) -> bool:
        return find_user(recipient.phone) is not None

    def code_valid(self, verified: Any) -> HttpResponseBase:
        return HttpResponse("in")


class AsyncEnter(AsyncFlow, Enter):
    async def should_deliver(self, recipient: Recipient) -> bool:  # type: ignore[override]  # it is awaited
        found = get_user_model().objects.filter(phone=recipient.phone)
        return await found.aexists()


VIEWS: dict[tuple[str, str], Any] = {
    ("reset", "sync"): PasswordResetView,
    ("reset", "async"): AsyncPasswordResetView,
    ("enter", "sync"): Enter,
    ("enter", "async"): AsyncEnter,
}
STEPS = (("resend", ""), ("code", "letters"), ("code", "0"), ("code", "000000"), ("resend", ""))


def stripped(reply: Any) -> str:
    """A reply without what differs between any two visits: tokens, and the values of cookies."""
    html = re.sub(r'name="csrfmiddlewaretoken" value="\w+"', "", reply.content.decode())
    return f"{reply.status_code} {dict(reply.headers)} {sorted(reply.cookies)} {html}"


def tries(
    mode: str, flow: str, phone: str, sender: Any, clock: FrozenDateTimeFactory, *, programs: bool
) -> list[str]:
    """All replies to a person who tries this number for as long as it takes."""
    person = Person(mode, prefix="")
    seen: list[str] = []

    def ask(path: str, **fields: str) -> None:
        if programs:
            for method in ("post", "get"):
                sent = fields if method == "post" else {}
                where = path if method == "post" else f"/{flow}/status/"
                seen.append(json.dumps(person.json(method, where, **sent)))
            return
        reply = person.send(path, follow=False, **fields).response
        seen.append(stripped(reply))
        if reply.status_code == 302:
            found = person.client.get(reply.headers["Location"])
            shown = asyncio.run(found) if mode == "async" else found
            seen.append(stripped(shown))

    options = {**BASE, "SENDER": sender, "DELIVER_IN_BACKGROUND": False}
    with override_settings(OTPVERIFY=options):
        # Ten minutes each; the second one reaches the limit.
        for _ in range(8 if LONG else 2 if (flow, programs) == ("reset", False) else 1):
            ask(f"/{flow}/", phone=phone)
            for step, code in STEPS:
                ask(f"/{flow}/{step}/", **({"code": code} if step == "code" else {}))
                clock.tick(61)
            clock.tick(600 - 61 * len(STEPS))
    return [text.replace(phone, "<phone>") for text in seen]


@pytest.mark.parametrize("programs", [False, True], ids=["pages", "json"])
@pytest.mark.parametrize("failure", [None, *FAILURES], ids=repr)
@pytest.mark.parametrize(("flow", "mode"), VIEWS)
def test_no_reply_shows_who_has_an_account(
    flow: str,
    mode: str,
    failure: Any,
    programs: bool,
    user: Any,
    clock: FrozenDateTimeFactory,
) -> None:
    began = clock.time_to_freeze
    seen = []
    with urlconf(*VIEWS[flow, mode].urls()):
        for phone in (STRANGER, ACCOUNT_PHONE):
            clock.move_to(began)
            sender = OutboxSender(failure)
            seen.append(tries(mode, flow, phone, sender, clock, programs=programs))
            expected = 0 if phone == STRANGER or failure is not None else len(sender)
            assert len(sender) == expected
    assert seen[0] == seen[1]
    assert len(seen[0]) > 10
    if failure is None:
        assert len(sender) > 1, "the account got its codes"


@pytest.mark.parametrize(
    ("background", "setting", "expected"),
    [
        (None, True, True),
        (None, False, False),
        (False, True, False),
        (True, False, True),
    ],
)
def test_concealed_views_deliver_in_the_background(
    background: bool | None, setting: bool, expected: bool
) -> None:
    with override_settings(OTPVERIFY={"DELIVER_IN_BACKGROUND": setting}):
        assert Enter(background=background).delivers_in_background is expected
    with override_settings(OTPVERIFY={}):
        assert Enter().delivers_in_background
        assert not FlowView().delivers_in_background
