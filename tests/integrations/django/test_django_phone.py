"""Phone confirmation."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.test import RequestFactory, override_settings
from django_support import (
    BASE,
    PASSWORD,
    Broken,
    Person,
    both,
)
from freezegun.api import FrozenDateTimeFactory
from support import OTHER_PHONE, PHONE, wrong

from otpverify import (
    ConfigurationError,
    DeliveryUnavailable,
)
from otpverify.testing import OutboxSender


@both
def test_a_phone_is_confirmed(person: Person, outbox: OutboxSender) -> None:
    page = person.open("/phone/")
    assert (page.heading, page.status) == ("Confirm your phone", 200)
    page = person.send("/phone/", phone="5678 9045")
    assert page.path == f"{person.prefix}/phone/code/"
    assert PHONE in page.html
    assert 'data-wait="60"' in page.html
    code = outbox.code(PHONE)
    page = person.send("/phone/code/", code=f"{code[:3]} {code[3:]}")
    assert (page.heading, page.path) == ("Phone confirmed", f"{person.prefix}/phone/done/")
    assert PHONE in page.html


@both
def test_the_challenge_and_the_phone_come_from_the_session(
    person: Person, outbox: OutboxSender
) -> None:
    """What a form says besides the code changes nothing."""
    mine, theirs = person, person.another()
    mine.send("/phone/", phone=PHONE)
    theirs.send("/phone/", phone=OTHER_PHONE)
    foreign = theirs.pending("phone")["challenge"]
    page = mine.send(
        "/phone/code/",
        code=outbox.code(PHONE),
        phone=OTHER_PHONE,
        subject=OTHER_PHONE,
        challenge=foreign,
    )
    assert PHONE in page.html
    assert OTHER_PHONE not in page.html
    assert mine.pending("phone")["subject"] == PHONE
    from otpverify.integrations.django.views import confirmed_phone

    request = RequestFactory().get("/")
    request.session = mine.session
    assert confirmed_phone(request) == PHONE
    request.session = theirs.session
    assert confirmed_phone(request) is None


def test_another_session_s_code_is_none_here(person: Person, outbox: OutboxSender) -> None:
    other = person.another()
    person.send("/phone/", phone=PHONE)
    other.send("/phone/", phone=OTHER_PHONE)
    page = other.send("/phone/code/", code=outbox.code(PHONE))
    assert "4 attempts left" in page.said
    assert (
        person.another().send("/phone/code/", code=outbox.code(PHONE)).heading
        == "Confirm your phone"
    )


@both
def test_a_wrong_code_is_an_error_of_its_field(person: Person, outbox: OutboxSender) -> None:
    person.send("/phone/", phone=PHONE)
    page = person.send("/phone/code/", code=wrong(outbox.code()))
    assert page.said == "That code is incorrect. 4 attempts left."
    assert 'id="id_code_error" role="alert"' in page.html
    assert re.search(
        r'<input[^>]* aria-invalid="true" aria-describedby="id_code_helptext id_code_error"',
        page.html,
    )
    assert "<title>Error: " in page.html
    assert "Attempts left: 4" in page.html
    page = person.open("/phone/code/")
    assert (page.said, page.heading) == ("", "Enter the code")
    person.send("/phone/code/", follow=False, code="letters")
    page = person.ask("head", f"{person.prefix}/phone/code/", {})
    assert (page.status, page.html) == (200, "")
    assert "did not count" in person.open("/phone/code/").said, "nobody had seen it"
    page = person.send("/phone/code/", code="letters")
    assert "did not count" in page.said
    page = person.send("/phone/code/", code="")
    assert page.said == "This field is required."
    assert person.pending("phone")["attempts_left"] == 4


def test_every_post_redirects(person: Person, outbox: OutboxSender) -> None:
    """So that a reload asks for nothing again; and no address holds a secret."""
    for path, fields in (
        ("/phone/", {"phone": PHONE}),
        ("/phone/code/", {"code": "000000"}),
        ("/phone/resend/", {}),
        ("/phone/code/", {"code": ""}),
        ("/phone/code/", {"code": outbox.code}),
        ("/phone/cancel/", {}),
    ):
        sent = {name: value() if callable(value) else value for name, value in fields.items()}
        page = person.send(path, follow=False, **sent)
        assert page.status == 302
        address = page.response.headers["Location"]
        assert re.fullmatch(r"(/async)?/phone/(code/|done/)?", address)


def test_a_refused_number_is_shown_again(person: Person, outbox: OutboxSender) -> None:
    page = person.send("/phone/", phone="12 x")
    assert page.said
    assert 'value="12 x"' in page.html
    assert 'id="id_phone_error" role="alert"' in page.html
    assert len(outbox) == 0


def test_the_code_field_is_forgiving(person: Person, outbox: OutboxSender) -> None:
    person.send("/phone/", phone=PHONE)
    field = re.search(r'<input[^>]* name="code"[^>]*>', person.open("/phone/code/").html)
    assert field is not None
    assert 'inputmode="numeric"' in field[0]
    assert 'autocomplete="one-time-code"' in field[0]
    assert "maxlength" not in field[0]
    assert "value=" not in field[0]
    digits = "".join(chr(0x0660 + int(digit)) for digit in outbox.code())
    assert person.send("/phone/code/", code=f" {digits[:3]}-{digits[3:]} ").heading == (
        "Phone confirmed"
    )


def test_too_many_wrong_codes_lead_back(
    person: Person, outbox: OutboxSender, clock: FrozenDateTimeFactory
) -> None:
    person.send("/phone/", phone=PHONE)
    code = outbox.code()
    for nth in range(1, 6):
        page = person.send("/phone/code/", code=wrong(code, nth))
    assert page.heading == "Confirm your phone"
    assert page.said.startswith("Too many incorrect codes.")
    assert 'data-wait="60"' in page.html
    assert f'value="{PHONE}"' in page.html
    assert person.send("/phone/code/", code=code).heading == "Confirm your phone"


def test_an_expired_code_leads_back(
    person: Person, outbox: OutboxSender, clock: FrozenDateTimeFactory
) -> None:
    person.send("/phone/", phone=PHONE)
    clock.tick(601)
    page = person.send("/phone/code/", code=outbox.code())
    assert page.heading == "Confirm your phone"
    assert "expired" in page.said
    assert "There is no code to enter" in person.open("/phone/code/").said


def test_a_cooldown_with_a_live_challenge_shows_the_code_page(
    person: Person,
    outbox: OutboxSender,
    clock: FrozenDateTimeFactory,
) -> None:
    person.send("/phone/", phone=PHONE)
    clock.tick(20)
    page = person.send("/phone/", phone=PHONE)
    assert page.heading == "Enter the code"
    assert "in 40 seconds" in page.said
    assert '<span data-wait="40">in 40 seconds</span>' in page.html
    page = person.another().send("/phone/", phone=PHONE)
    assert page.heading == "Confirm your phone"
    assert "in 40 seconds" in page.said
    assert len(outbox) == 1
    assert person.send("/phone/code/", code=outbox.code()).heading == "Phone confirmed"


def test_another_code(person: Person, outbox: OutboxSender, clock: FrozenDateTimeFactory) -> None:
    person.send("/phone/", phone=PHONE)
    first = outbox.code()
    assert "in 60 seconds" in person.send("/phone/resend/").said
    assert len(outbox) == 1
    clock.tick(60)
    page = person.send("/phone/resend/")
    assert page.said == "Another code is on its way."
    assert len(outbox) == 2
    assert person.send("/phone/code/", code=first).heading == "Phone confirmed"


def test_giving_up(person: Person, outbox: OutboxSender) -> None:
    person.send("/phone/", phone=PHONE)
    copy = dict(person.session.items())
    assert person.send("/phone/cancel/").heading == "Confirm your phone"
    person.take_over(copy)
    assert "expired" in person.send("/phone/code/", code=outbox.code()).said
    assert person.send("/phone/cancel/").heading == "Confirm your phone"


def test_nothing_to_enter(person: Person) -> None:
    for path in ("/phone/code/", "/phone/resend/", "/login/code/", "/reset/code/"):
        page = person.open(path)
        assert page.said == "There is no code to enter. Start here."
        assert page.path == f"{person.prefix}/{path.split('/')[1]}/"
    assert "expired" in person.send("/phone/resend/").said
    assert person.open("/phone/done/").heading == "Confirm your phone"
    assert person.open("/reset/password/").heading == "Reset your password"
    page = person.send("/reset/password/", new_password1=PASSWORD, new_password2=PASSWORD)
    assert page.heading == "Reset your password"
    assert person.send("/phone/done/").status == 405


DELIVERY = [
    (DeliveryUnavailable("?", maybe_sent=True), "could not confirm that a code was sent"),
    (DeliveryUnavailable("?", maybe_sent=False), "No code has been sent"),
]


@pytest.mark.parametrize(("error", "said"), DELIVERY, ids=["maybe", "not"])
def test_a_message_that_may_not_have_gone_out(
    person: Person, outbox: OutboxSender, error: DeliveryUnavailable, said: str
) -> None:
    outbox.fail_with = error
    page = person.send("/phone/", phone=PHONE)
    assert page.path.endswith("/phone/code/")
    assert said in page.html
    assert page.said
    if not error.maybe_sent:
        assert "<h1>Send a code</h1>" in page.html
        assert 'name="code"' not in page.html
        outbox.fail_with = None
        assert person.send("/phone/resend/").said == "A code is on its way."
        assert person.send("/phone/code/", code=outbox.code()).heading == "Phone confirmed"


@both
def test_a_store_that_is_away(
    person: Person, outbox: OutboxSender, caplog: pytest.LogCaptureFixture
) -> None:
    store = Broken()
    with override_settings(OTPVERIFY={**BASE, "SENDER": outbox, "STORE": store}):
        store.broken = ("open",)
        page = person.send("/phone/", phone=PHONE)
        assert (page.heading, page.status) == ("Confirm your phone", 200)
        assert "went wrong on our side" in page.said
        assert "The store is away" in caplog.text
        store.broken = ()
        person.send("/phone/", phone=PHONE)
        store.broken = ("claim",)
        page = person.send("/phone/code/", code=outbox.code())
        assert (page.heading, page.status) == ("Enter the code", 200)
        store.broken = ()
        assert person.send("/phone/code/", code=outbox.code()).heading == "Phone confirmed"


@pytest.mark.parametrize("faulty", [{"SENDER": object()}, {"CLIENT_IP": lambda request: "here"}])
def test_what_is_set_up_wrongly_is_no_page(
    person: Person, outbox: OutboxSender, faulty: dict[str, Any]
) -> None:
    with (
        override_settings(OTPVERIFY={**BASE, "SENDER": outbox, **faulty}),
        pytest.raises(ConfigurationError),
    ):
        person.send("/phone/", phone=PHONE)
