"""The demo site: its flows over HTTP, as a visitor meets them."""

from __future__ import annotations

import json
import re
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from itertools import count
from typing import Any

import phonenumbers
import pytest
import requests
from flask import Flask, session
from freezegun.api import FrozenDateTimeFactory
from support import Mode

from otpverify import (
    AttemptsExhausted,
    ChallengeExpired,
    ConfigurationError,
    CooldownActive,
    DeliveryRejected,
    DeliveryUnavailable,
    DestinationBlocked,
    IncorrectCode,
    InvalidPhoneNumber,
    Message,
    OtpVerifyError,
    RateLimited,
    Receipt,
    StoreError,
    Verified,
    Verifier,
)
from otpverify.demo import Site, site as demo_site
from otpverify.demo.accounts import PASSWORD, PHONE, USER, Accounts, Guesses, Sessions
from otpverify.demo.script import Page, Visitor
from otpverify.integrations.web.sentences import BUSY, after, explain
from otpverify.sandbox import Sandbox

_NUMBERS = count()
STRANGER = "+12025550199"


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as sandbox:
        yield sandbox


@pytest.fixture(scope="module")
def shared_site(sandbox: Sandbox) -> Iterator[Site]:
    """For tests that use a number of their own each."""
    with Site(sandbox, fraud=None) as site:
        yield site


@pytest.fixture(scope="module")
def site(sandbox: Sandbox) -> Iterator[Site]:
    """For tests that use the account, without a cooldown to meet."""
    with Site(sandbox, cooldown_seconds=0, fraud=None) as site:
        yield site


@pytest.fixture
def person(shared_site: Site) -> Iterator[Visitor]:
    visitor = Visitor(shared_site.url)
    yield visitor
    visitor.close()


@pytest.fixture
def member(site: Site) -> Iterator[Visitor]:
    visitor = Visitor(site.url)
    yield visitor
    visitor.close()


@pytest.fixture
def number() -> str:
    return f"+3725678{next(_NUMBERS):04d}"


@pytest.fixture
def newcomer(sandbox: Sandbox) -> Iterator[Visitor]:
    """A visitor of a site whose password may be changed."""
    with Site(sandbox, cooldown_seconds=0) as site:
        visitor = Visitor(site.url)
        yield visitor
        visitor.close()


def newest_code(sandbox: Sandbox, phone: str, sent_before: int = 0) -> str:
    """The reset's messages go out behind the reply's back, so this waits for them."""
    deadline = time.monotonic() + 60
    while True:
        codes = [message.code for message in sandbox.messages if message.to == phone]
        if len(codes) > sent_before and codes[0] is not None:
            return codes[0]
        assert time.monotonic() < deadline, "no message came"
        time.sleep(0.005)


def sent_to(sandbox: Sandbox, phone: str) -> int:
    return sum(message.to == phone for message in sandbox.messages)


def wrong(code: str) -> str:
    return f"{(int(code) + 1) % 1_000_000:06d}"


def ask_for_code(visitor: Visitor, phone: str) -> Page:
    visitor.open("/phone")
    return visitor.send("/phone", phone=phone)


def cookie_of(visitor: Visitor) -> str:
    """The session's cookie."""
    return visitor.cookie("otpverify_demo")


def token_of(page: Page) -> str:
    return next(iter(page.forms.values()))["otpverify_token"]


def sign_in(visitor: Visitor, sandbox: Sandbox, password: str = PASSWORD) -> Page:
    before = sent_to(sandbox, PHONE)
    visitor.open("/login")
    visitor.send("/login", user=USER, password=password)
    return visitor.send("/login/code", code=newest_code(sandbox, PHONE, before))


def prove_for_reset(visitor: Visitor, sandbox: Sandbox) -> Page:
    before = sent_to(sandbox, PHONE)
    visitor.open("/reset")
    visitor.send("/reset", phone=PHONE)
    return visitor.send("/reset/code", code=newest_code(sandbox, PHONE, before))


# Login


def test_password_and_code_sign_in(member: Visitor, sandbox: Sandbox) -> None:
    page = sign_in(member, sandbox)
    assert page.path == "/login/done"
    assert USER in page.text


def test_a_used_code_signs_nobody_in_again(member: Visitor, sandbox: Sandbox) -> None:
    before = sent_to(sandbox, PHONE)
    member.open("/login")
    member.send("/login", user=USER, password=PASSWORD)
    tab, copy = member.tab(), member.copy()
    code = newest_code(sandbox, PHONE, before)
    assert member.send("/login/code", code=code).path == "/login/done"
    assert "already used" in tab.send("/login/code", code=code).said
    assert copy.send("/login/code", code=code).status == 400
    assert copy.open("/login/done").path == "/login"
    tab.close()
    copy.close()


@pytest.mark.parametrize(("user", "password"), [(USER, "wrong"), ("nobody", PASSWORD), ("", "")])
def test_a_wrong_password_sends_nothing(
    member: Visitor, sandbox: Sandbox, user: str, password: str
) -> None:
    before = sent_to(sandbox, PHONE)
    member.open("/login")
    page = member.send("/login", user=user, password=password)
    assert (page.path, page.said) == ("/login", "The user name or password is incorrect.")
    assert sent_to(sandbox, PHONE) == before


@pytest.mark.parametrize("user", [USER, "nobody"])
def test_a_password_cannot_be_guessed_for_long(
    newcomer: Visitor, clock: FrozenDateTimeFactory, user: str
) -> None:
    newcomer.open("/login")
    for _ in range(5):
        page = newcomer.send("/login", user=user, password="wrong")
        assert page.said == "The user name or password is incorrect."
    page = newcomer.send("/login", user=user, password=PASSWORD)
    assert page.said == "Too many incorrect passwords. You can try again in 5 minutes."
    assert f'value="{user}"' in page.html
    assert 'data-wait="300"' in page.html
    clock.tick(299)
    page = newcomer.send("/login", user=user, password=PASSWORD)
    assert page.said == "Too many incorrect passwords. You can try again in 1 second."
    clock.tick(1)
    right = newcomer.send("/login", user=user, password=PASSWORD)
    assert right.path == ("/login/code" if user == USER else "/login")


def test_a_right_password_forgives_the_wrong_ones(newcomer: Visitor) -> None:
    for _ in range(2):
        newcomer.open("/login")
        for _ in range(4):
            newcomer.send("/login", user=USER, password="wrong")
        assert newcomer.send("/login", user=USER, password=PASSWORD).path == "/login/code"


class TestGuesses:
    def test_one_visitor_does_not_keep_another_out(self) -> None:
        guesses = Guesses()
        for _ in range(5):
            guesses.count(USER, "192.0.2.1")
        with pytest.raises(RateLimited):
            guesses.count(USER, "192.0.2.1")
        guesses.count(USER, "192.0.2.2")
        guesses.count("other", "192.0.2.1")

    def test_many_visitors_have_a_day_s_worth_between_them(
        self, clock: FrozenDateTimeFactory
    ) -> None:
        guesses = Guesses()
        for nth in range(100):
            guesses.count(USER, f"192.0.2.{nth}")
            clock.tick(1)
        with pytest.raises(RateLimited) as refused:
            guesses.count(USER, "192.0.2.200")
        assert refused.value.retry_after == 86_400 - 100
        guesses.forgive(USER, "192.0.2.0")  # gives its own guess back, and no other
        guesses.count(USER, "192.0.2.200")
        with pytest.raises(RateLimited):
            guesses.count(USER, "192.0.2.201")

    def test_guesses_at_the_same_time_are_all_counted(self) -> None:
        guesses = Guesses()

        def guess() -> bool:
            try:
                guesses.count(USER, "192.0.2.1")
            except RateLimited:
                return False
            return True

        assert sum(map(bool, Mode().together([guess] * 20))) == 5

    def test_no_name_is_forgiven_to_make_room(self) -> None:
        guesses = Guesses()
        for nth in range(10_000):
            guesses.count(str(nth), "192.0.2.1")
        with pytest.raises(RateLimited):
            guesses.count("one more", "192.0.2.1")
        guesses.count("0", "192.0.2.1")


def test_a_password_alone_does_not_tell_the_phone(member: Visitor) -> None:
    member.open("/login")
    page = member.send("/login", user=USER, password=PASSWORD)
    assert "+1 ••• ••• ••23" in page.text
    assert PHONE not in page.html


def test_the_cookie_holds_an_id_and_nothing_else(
    person: Visitor, sandbox: Sandbox, number: str
) -> None:
    ask_for_code(person, number)
    before = cookie_of(person)
    assert re.fullmatch(r"[\w-]{43}", before), "256 random bits"
    assert person.open("/phone/code").path == "/phone/code"
    assert cookie_of(person) == before
    person.send("/phone/code", code=newest_code(sandbox, number))
    assert re.fullmatch(r"[\w-]{43}", cookie_of(person))
    assert cookie_of(person) != before, "a planted one does not lead to the proof"


def test_signing_in_gives_the_session_a_new_id(member: Visitor, sandbox: Sandbox) -> None:
    member.open("/login")
    before, copy = cookie_of(member), member.copy()
    sign_in(member, sandbox)
    assert cookie_of(member) != before
    assert copy.open("/login/done").path == "/login"
    copy.close()


def test_signing_in_and_out_leaves_other_tabs_alone(
    member: Visitor, sandbox: Sandbox, number: str
) -> None:
    tab = member.tab()
    ask_for_code(tab, number)
    first_page = member.tab()
    first_page.open("/reset")
    sign_in(member, sandbox)
    assert "incorrect" in tab.send("/phone/code", code=wrong(newest_code(sandbox, number))).said
    assert first_page.send("/reset", phone=STRANGER).path == "/reset/code"
    assert member.send("/login/out").said == "You are signed out."
    assert tab.send("/phone/code", code=newest_code(sandbox, number)).path == "/phone/done"
    assert first_page.open("/reset/code").path == "/reset/code"
    for visitor in (tab, first_page):
        visitor.close()


def test_a_slow_request_overwrites_nothing_of_another_tab(sandbox: Sandbox, number: str) -> None:
    stuck = Stuck()
    with Site(sandbox, cooldown_seconds=0, sender=stuck) as site:
        slow = Visitor(site.url)
        slow.open("/phone")
        tab = slow.tab()
        thread = threading.Thread(target=slow.send, args=["/phone"], kwargs={"phone": number})
        thread.start()
        assert stuck.reached.wait(5)
        tab.open("/reset")
        assert tab.send("/reset", phone=STRANGER).path == "/reset/code"
        stuck.free.set()
        thread.join()
        assert slow.page.path == "/phone/code"
        assert tab.open("/reset/code").path == "/reset/code"
        slow.close()
        tab.close()


def test_a_slow_resend_does_not_bring_back_what_was_cancelled(
    sandbox: Sandbox, number: str
) -> None:
    stuck = Stuck()
    stuck.free.set()
    with Site(sandbox, cooldown_seconds=0, sender=stuck) as site:
        slow = Visitor(site.url)
        ask_for_code(slow, number)
        stuck.free.clear()
        stuck.reached.clear()
        tab = slow.tab()
        thread = threading.Thread(target=slow.send, args=["/phone/resend"])
        thread.start()
        assert stuck.reached.wait(5)
        assert tab.send("/phone/cancel").path == "/phone"
        stuck.free.set()
        thread.join()
        assert slow.page.path == "/phone"
        slow.close()
        tab.close()


def test_a_right_code_sent_twice_at_once_is_accepted_once(
    person: Visitor, sandbox: Sandbox, number: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = ask_for_code(person, number)
    data = {"code": newest_code(sandbox, number), "otpverify_token": token_of(page)}
    cookies = {"otpverify_demo": person.cookie("otpverify_demo")}
    url = person.url + "/phone/code"
    went: list[str] = []
    accepted: list[str] = []
    renewed: list[str] = []
    check = Verifier.check

    def counted(self: Verifier, *args: Any, **options: Any) -> Verified:
        verified = check(self, *args, **options)
        accepted.append(verified.phone)
        return verified

    monkeypatch.setattr(Verifier, "check", counted)

    def send() -> None:
        reply = requests.post(url, data, cookies=cookies, allow_redirects=False, timeout=30)
        went.append(reply.headers.get("Location", "refused"))
        renewed.extend(value for name, value in reply.cookies.items() if name == "otpverify_demo")

    threads = [threading.Thread(target=send) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert accepted == [number]
    assert len(went) == 8
    assert "/phone/done" in went
    # A repeated request goes where the first one went, or back to the start, where the person is
    # led on. One that comes after the first one's reply has no session. Only the first one's reply
    # sets the cookie that the browser has from then on.
    assert set(went) <= {"/phone", "/phone/done", "refused"}
    assert len(renewed) == 1
    person._http.cookies.clear()
    person._http.cookies.set("otpverify_demo", renewed[0])
    assert person.open("/phone/code").path == "/phone/done"


def test_signing_out_ends_copies_of_the_cookie_too(member: Visitor, sandbox: Sandbox) -> None:
    sign_in(member, sandbox)
    copy = member.copy()
    assert copy.open("/login/done").path == "/login/done"
    assert member.send("/login/out").said == "You are signed out."
    assert copy.open("/login/done").path == "/login"
    copy.close()


# Phone confirmation


def test_a_number_typed_nationally_is_confirmed(
    person: Visitor, sandbox: Sandbox, number: str
) -> None:
    national = number.removeprefix("+372")
    assert ask_for_code(person, f"{national[:4]} {national[4:]}").path == "/phone/code"
    code = newest_code(sandbox, number)
    page = person.send("/phone/code", code=f" {code[:3]} {code[3:]} ")
    assert page.path == "/phone/done"
    assert f"{number} is confirmed." in page.text


def test_the_verified_number_is_confirmed_not_the_form_s(
    person: Visitor, sandbox: Sandbox, number: str
) -> None:
    ask_for_code(person, number)
    code = newest_code(sandbox, number)
    page = person.send("/phone/code", code=code, phone=STRANGER, challenge="x", who=STRANGER)
    assert number in page.text
    assert STRANGER not in page.html


def test_neither_code_nor_challenge_is_in_a_page_or_an_address(
    person: Visitor, sandbox: Sandbox, number: str
) -> None:
    page = ask_for_code(person, number)
    code, challenge = newest_code(sandbox, number), sandbox.messages[0].reference
    assert challenge
    pages = [page, person.send("/phone/code", code=wrong(code)), person.open("/phone/code")]
    pages += [person.send("/phone/resend"), person.send("/phone/code", code=code)]
    assert pages[-1].path == "/phone/done"
    for seen in pages:
        for secret in (code, wrong(code), challenge):
            assert secret not in seen.html
        for private in (code, challenge, number, number[1:]):
            assert private not in seen.path


def test_the_code_field_is_one_that_phones_fill_in(person: Visitor, number: str) -> None:
    html = ask_for_code(person, number).html
    field = re.search(r"<input[^>]* name=\"code\"[^>]*>", html)
    assert field is not None
    for attribute in ('autocomplete="one-time-code"', 'inputmode="numeric"', "autofocus"):
        assert attribute in field[0]
    assert "maxlength" not in field[0]
    assert "pattern" not in field[0]


def test_a_resend_in_the_cooldown_is_refused_with_the_time(
    person: Visitor, sandbox: Sandbox, number: str
) -> None:
    ask_for_code(person, number)
    page = person.send("/phone/resend")
    assert page.path == "/phone/code"
    assert re.fullmatch(
        r"A code was requested a moment ago\. You can request another one in \d\d seconds\.",
        page.said,
    )
    wait = re.search(r'data-wait="(\d+)"', page.html)
    assert wait is not None
    assert 50 <= int(wait[1]) <= 60
    assert sent_to(sandbox, number) == 1


def test_after_the_cooldown_both_codes_work(member: Visitor, sandbox: Sandbox, number: str) -> None:
    ask_for_code(member, number)
    first = newest_code(sandbox, number)
    assert member.send("/phone/resend").said == "Another code is on its way."
    newest_code(sandbox, number, 1)
    assert member.send("/phone/code", code=first).path == "/phone/done"


def test_a_start_in_the_cooldown_leads_back_to_the_code(
    person: Visitor, sandbox: Sandbox, number: str
) -> None:
    ask_for_code(person, number)
    page = ask_for_code(person, number)
    assert page.path == "/phone/code"
    assert "a moment ago" in page.said
    assert person.send("/phone/code", code=newest_code(sandbox, number)).path == "/phone/done"


def test_a_start_in_the_cooldown_from_elsewhere_is_refused(
    person: Visitor, shared_site: Site, number: str
) -> None:
    ask_for_code(person, number)
    other = Visitor(shared_site.url)
    page = ask_for_code(other, number)
    other.close()
    assert page.path == "/phone"
    assert re.search(r"in \d\d seconds", page.said)
    assert f'value="{number}"' in page.html


def test_attempts_run_out(person: Visitor, sandbox: Sandbox, number: str) -> None:
    ask_for_code(person, number)
    code = newest_code(sandbox, number)
    for left in ("4 attempts", "3 attempts", "2 attempts", "1 attempt"):
        page = person.send("/phone/code", code=wrong(code))
        assert page.said == f"That code is incorrect. {left} left."
        assert 'aria-invalid="true"' in page.html
        assert f"Attempts left: {left[0]} " in page.text
    late = person.copy()
    page = person.send("/phone/code", code=wrong(code))
    assert page.path == "/phone"
    assert re.fullmatch(
        r"Too many incorrect codes\. You can request a new code in \d\d seconds\.", page.said
    )
    assert "aria-invalid" not in page.html
    assert f'value="{number}"' in page.html
    assert 'data-wait="' in page.html
    assert late.send("/phone/code", code=code).path == "/phone"
    late.close()


def test_what_is_no_code_costs_no_attempt(person: Visitor, sandbox: Sandbox, number: str) -> None:
    ask_for_code(person, number)
    assert "Attempts left: 5 " in person.page.text
    page = person.send("/phone/code", code="123")
    assert page.said.startswith("Enter the digits")
    assert "Attempts left: 5 " in page.text
    page = person.send("/phone/code", code=wrong(newest_code(sandbox, number)))
    assert "4 attempts left" in page.said


def test_another_number_voids_the_code(person: Visitor, sandbox: Sandbox, number: str) -> None:
    page = ask_for_code(person, number)
    other = person.copy()
    assert person.send("/phone/cancel").path == "/phone"
    assert f'value="{number}"' not in person.page.html
    other.page = page
    page = other.send("/phone/code", code=newest_code(sandbox, number))
    assert "expired or was already used" in page.said
    other.close()


@pytest.mark.parametrize(
    ("phone", "path", "said"),
    [
        ("12", "/phone", "too short"),
        ("", "/phone", "Enter a phone number."),
        ("+12025550140", "/phone", "We cannot send messages to this number."),
        ("+12025550142", "/phone", "We cannot send messages at the moment."),
        ("+12025550129", "/phone/code", "Try again in a moment."),
        ("+12025550150", "/phone/code", "If a code arrives"),
        ("+12025550160", "/phone/code", "If a code arrives"),
        ("+12025550170", "/phone/code", "If a code arrives"),
    ],
)
def test_what_goes_wrong_is_said(person: Visitor, phone: str, path: str, said: str) -> None:
    page = ask_for_code(person, phone)
    assert page.path == path
    assert said in page.said
    assert 'role="alert"' in page.html
    assert "<title>Error: " in page.html
    assert path != "/phone" or f'value="{phone}"' in page.html


@pytest.mark.parametrize(
    ("phone", "field"), [("12", True), ("+12025550140", True), ("+12025550142", False)]
)
def test_only_what_is_about_the_number_is_said_at_its_field(
    person: Visitor, phone: str, field: bool
) -> None:
    page = ask_for_code(person, phone)
    assert ('id="otpverify-error"' in page.html) == field
    assert ('aria-invalid="true"' in page.html) == field
    assert 'role="alert"' in page.html


def test_the_first_page_counts_the_cooldown_down(
    person: Visitor, sandbox: Sandbox, number: str
) -> None:
    ask_for_code(person, number)
    person.send("/phone/cancel")
    page = person.send("/phone", phone=number)
    assert page.path == "/phone"
    assert re.search(r'<span data-wait="(\d+)">in \1 seconds</span>', page.html)
    assert re.search(r'<button class="otpverify-main" data-wait="\d+">', page.html)
    assert "aria-invalid" not in page.html
    assert f'value="{number}"' in page.html
    assert "data-wait" not in person.open("/phone").html


def test_a_login_that_cannot_begin_keeps_the_user_name(sandbox: Sandbox) -> None:
    with Site(sandbox, sender=Failing()) as site:
        visitor = Visitor(site.url)
        visitor.open("/login")
        page = visitor.send("/login", user=USER, password=PASSWORD)
        assert page.said.startswith("We cannot send messages")
        assert "aria-invalid" not in page.html
        assert f'value="{USER}"' in page.html
        visitor.close()


class Scripted:
    """A sender whose sends end as the test says, in turn."""

    def __init__(self, *ends: OtpVerifyError | None) -> None:
        self._ends = iter(ends)

    def send(self, message: Message) -> Receipt:
        if (error := next(self._ends)) is not None:
            raise error
        return Receipt()


NOT_SENT = DeliveryUnavailable(maybe_sent=False)
MAYBE = DeliveryUnavailable()


def test_the_code_page_says_when_nothing_was_sent(sandbox: Sandbox, number: str) -> None:
    sender = Scripted(NOT_SENT, NOT_SENT, None)
    with Site(sandbox, cooldown_seconds=0, sender=sender) as site:
        visitor = Visitor(site.url)
        page = ask_for_code(visitor, number)
        for _ in range(2):
            assert page.path == "/phone/code"
            assert page.heading == "Send a code"
            assert f"No code has been sent to {number} yet." in page.text
            assert "minute" not in page.text
            assert "Resend code" not in page.text
            assert "/phone/code" not in page.forms
            page = visitor.send("/phone/resend")
        assert page.said == "A code is on its way."
        assert page.heading == "Enter the code"
        assert f"We sent a code to {number}." in page.text
        assert "Resend code" in page.text
        visitor.close()


def test_the_code_page_does_not_claim_what_is_not_known(sandbox: Sandbox, number: str) -> None:
    sender = Scripted(MAYBE, NOT_SENT, None, MAYBE)
    with Site(sandbox, cooldown_seconds=0, sender=sender) as site:
        visitor = Visitor(site.url)
        page = ask_for_code(visitor, number)
        for _ in range(2):
            assert f"We could not confirm that a code was sent to {number}." in page.text
            assert "expires in 10 minutes" in page.text
            assert "We sent" not in page.text
            page = visitor.send("/phone/resend")
        assert page.said == "Another code is on its way."
        page = visitor.send("/phone/resend")
        assert "If a code arrives" in page.said
        assert f"We sent a code to {number}." in page.text
        visitor.close()


def test_premium_numbers_get_no_code(person: Visitor, sandbox: Sandbox) -> None:
    kind = phonenumbers.PhoneNumberType.PREMIUM_RATE
    premium = phonenumbers.example_number_for_type("EE", kind)
    assert premium is not None
    written = phonenumbers.format_number(premium, phonenumbers.PhoneNumberFormat.E164)
    assert "this kind of number" in ask_for_code(person, written).said
    assert sent_to(sandbox, written) == 0


def reported(sandbox: Sandbox, phone: str, status: str) -> None:
    """Wait until the site has this report of the newest message."""
    deadline = time.monotonic() + 30
    while next(m.reported for m in sandbox.messages if m.to == phone) != status:
        assert time.monotonic() < deadline, "no report came"
        time.sleep(0.005)


def test_the_site_learns_that_a_message_was_delivered(
    person: Visitor, sandbox: Sandbox, number: str
) -> None:
    ask_for_code(person, number)
    reported(sandbox, number, "delivered")
    assert "a moment ago" in person.send("/phone/resend").said


def test_after_a_failed_delivery_another_code_is_sent_at_once(
    person: Visitor, sandbox: Sandbox
) -> None:
    unlucky = "+12025550190"
    assert ask_for_code(person, unlucky).path == "/phone/code"
    reported(sandbox, unlucky, "undelivered")
    page = person.open("/phone/code")
    assert page.said == "The message could not be delivered. You can request another code."
    assert "data-wait" not in page.html
    status = json.loads(person.open("/phone/status").html)
    assert (status["delivery"], status["resend_in"]) == ("undelivered", 0)
    person.page = page
    person.send("/phone/resend")
    assert sent_to(sandbox, unlucky) == 2


def test_the_whole_message_may_be_pasted(person: Visitor, sandbox: Sandbox, number: str) -> None:
    ask_for_code(person, number)
    newest_code(sandbox, number)
    text = next(message.text for message in sandbox.messages if message.to == number)
    assert person.send("/phone/code", code=text).path == "/phone/done"


def test_what_a_stranger_reports_is_answered_alike(shared_site: Site) -> None:
    for body in (b"", b"{", b'{"status": "failed", "report_token": "x"}'):
        for reply in (
            requests.post(f"{shared_site.url}/sms/report?id=1", body, timeout=20),
            requests.get(f"{shared_site.url}/sms/report?report_token=x&status=failed", timeout=20),
        ):
            assert (reply.status_code, reply.text) == (200, "OK")


# Password reset


def test_a_code_allows_one_new_password(newcomer: Visitor, sandbox: Sandbox) -> None:
    assert prove_for_reset(newcomer, sandbox).path == "/reset/password"
    page = newcomer.send("/reset/password", password="short")
    assert (page.path, page.said) == ("/reset/password", "Use at least 8 characters.")
    copy = newcomer.copy()
    assert newcomer.send("/reset/password", password="a new password").path == "/reset/done"
    assert copy.send("/reset/password", password="another password").path == "/reset"
    copy.close()
    assert sign_in(newcomer, sandbox, "a new password").path == "/login/done"


def test_a_reset_asks_for_no_reports(
    newcomer: Visitor, person: Visitor, sandbox: Sandbox, number: str
) -> None:
    """A cooldown that is lifted would tell that there was a message."""
    prove_for_reset(newcomer, sandbox)
    ask_for_code(person, number)
    reported(sandbox, number, "delivered")
    assert next(m.reported for m in sandbox.messages if m.to == PHONE) is None


def test_a_new_password_signs_everybody_out(newcomer: Visitor, sandbox: Sandbox) -> None:
    sign_in(newcomer, sandbox)
    other = newcomer.copy()
    prove_for_reset(newcomer, sandbox)
    newcomer.send("/reset/password", password="a new password")
    assert other.open("/login/done").path == "/login"
    other.close()


def test_no_new_password_without_a_code(member: Visitor, sandbox: Sandbox) -> None:
    assert member.open("/reset/password").path == "/reset"
    token = member.page.forms["/reset"]["otpverify_token"]
    member.page.forms["/reset/password"] = {"otpverify_token": token}
    assert member.send("/reset/password", password="a new password").path == "/reset"
    assert sign_in(member, sandbox).path == "/login/done"


class Failing:
    """A sender that the gateway refuses."""

    def send(self, message: Message) -> Receipt:
        raise DeliveryRejected("refused", provider_code="no_balance")


class Stuck:
    """A sender whose gateway does not answer until it is let."""

    def __init__(self) -> None:
        self.free = threading.Event()
        self.reached = threading.Event()

    def send(self, message: Message) -> Receipt:
        self.reached.set()
        self.free.wait(5)
        return Receipt()


@pytest.mark.parametrize("failing", [False, True], ids=["gateway up", "gateway down"])
def test_known_and_unknown_numbers_look_the_same(sandbox: Sandbox, failing: bool) -> None:
    with Site(sandbox, sender=Failing() if failing else None) as site:
        before = sent_to(sandbox, PHONE)
        seen = {phone: seen_of_a_reset(site, phone) for phone in (PHONE, STRANGER)}
        if not failing:
            newest_code(sandbox, PHONE, before)
    assert seen[PHONE] == seen[STRANGER]
    assert sent_to(sandbox, STRANGER) == 0


def seen_of_a_reset(site: Site, phone: str) -> list[object]:
    """Everything that a stranger sees, without what differs from visit to visit."""
    visitor = Visitor(site.url)
    visitor.open("/reset")
    seen: list[object] = []
    pages = [visitor.send("/reset", phone=phone), visitor.send("/reset/code", code="000000")]
    pages.append(visitor.send("/reset/resend"))
    visitor.open("/reset")
    pages.append(visitor.send("/reset", phone=phone))
    for page in pages:
        html = page.html.replace(phone, "PHONE").replace(token_of(page), "CSRF")
        html = re.sub(r'data-wait="\d+"|in \d+ s(econds)?\b|\(\d:\d\d\)', "WAIT", html)
        seen.append((page.path, page.status, html))
    seen.append(len(cookie_of(visitor)))
    visitor.close()
    return seen


def test_a_stuck_gateway_does_not_show_in_the_reset(sandbox: Sandbox) -> None:
    stuck = Stuck()
    with Site(sandbox, sender=stuck) as site:
        visitor = Visitor(site.url)
        visitor.open("/reset")
        assert visitor.send("/reset", phone=PHONE).path == "/reset/code"
        stuck.free.set()
        visitor.close()


# What holds for all pages

POSTS = [
    *(f"/{flow}{step}" for flow in ("login", "phone", "reset") for step in ("", "/code")),
    *(f"/{flow}{step}" for flow in ("login", "phone", "reset") for step in ("/resend", "/cancel")),
    "/login/out",
    "/reset/password",
]


@pytest.mark.parametrize("token", ["", "wrong", "wröng"])
@pytest.mark.parametrize("path", POSTS)
def test_a_form_without_the_token_is_refused(
    shared_site: Site, sandbox: Sandbox, path: str, token: str
) -> None:
    with requests.Session() as http:
        http.get(shared_site.url + "/phone", timeout=30)
        before = len(sandbox.messages)
        data = {"otpverify_token": token, "phone": STRANGER, "user": USER, "password": PASSWORD}
        reply = http.post(shared_site.url + path, data, timeout=30)
    assert reply.status_code == 400
    assert "form has expired" in reply.text
    assert len(sandbox.messages) == before


def test_nobody_s_token_is_not_an_empty_one(shared_site: Site) -> None:
    reply = requests.post(
        shared_site.url + "/phone", {"otpverify_token": "", "phone": STRANGER}, timeout=30
    )
    assert reply.status_code == 400


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/login",
        "/phone",
        "/reset",
        "/phone/code",
        "/nothing",
        "/static/demo.css",
        "/otpverify-static/otpverify.js",
    ],
)
def test_every_reply_has_the_headers(shared_site: Site, sandbox: Sandbox, path: str) -> None:
    reply = requests.get(shared_site.url + path, timeout=30)
    policy = reply.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert f"frame-src {sandbox.url};" in policy
    assert "unsafe" not in policy
    assert reply.headers["X-Content-Type-Options"] == "nosniff"
    assert reply.headers["Referrer-Policy"] == "no-referrer"
    assert ("no-store" in reply.headers.get("Cache-Control", "")) == ("static" not in path)
    for cookie in reply.headers.get("Set-Cookie", "").split("\n"):
        assert not cookie or ("HttpOnly" in cookie and "SameSite=Lax" in cookie)


def test_pages_need_nothing_from_elsewhere(shared_site: Site, sandbox: Sandbox) -> None:
    for path in ("/", "/login", "/phone", "/reset"):
        html = requests.get(shared_site.url + path, timeout=30).text
        assert '<html lang="en">' in html
        assert html.count("<h1>") == 1
        assert "<script>" not in html
        assert "style=" not in html
        sources = re.findall(r'(?:src|href)="([^"]+)"', html)
        assert all(s.startswith(("/", "#", sandbox.url)) for s in sources)


def test_there_is_a_page_for_what_is_not_there(person: Visitor) -> None:
    page = person.open("/nothing")
    assert (page.status, page.heading) == (404, "Page not found")
    assert "<title>Page not found · otpverify demo</title>" in page.html


def test_an_expired_form_says_so(person: Visitor) -> None:
    person.open("/phone")
    page = person.send("/phone", phone="12", otpverify_token="another")
    assert (page.status, page.heading) == (400, "This form could not be sent")
    assert page.said.startswith("This form has expired.")


def test_a_form_that_cannot_be_read_says_so(shared_site: Site) -> None:
    headers = {"Content-Type": "multipart/form-data"}
    reply = requests.post(shared_site.url + "/phone", b"x", headers=headers, timeout=30)
    assert reply.status_code == 400
    assert "This form could not be sent" in reply.text


def test_an_unexpected_error_has_a_page_with_the_headers(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> bool:
        raise RuntimeError

    monkeypatch.setattr(Accounts, "password_is_right", fail)
    with Site(sandbox) as site:
        visitor = Visitor(site.url)
        visitor.open("/login")
        page = visitor.send("/login", user=USER, password=PASSWORD)
        assert (page.status, page.heading) == (500, "Something went wrong here")
        for header in ("Content-Security-Policy", "X-Frame-Options", "Cache-Control"):
            assert header in page.headers
        visitor.close()


@pytest.mark.parametrize("path", ["/", "/login", "/phone", "/reset", "/reset/code", "/nothing"])
def test_the_inbox_is_beside_every_form(shared_site: Site, sandbox: Sandbox, path: str) -> None:
    visitor = Visitor(shared_site.url)
    assert (f'<iframe src="{sandbox.inbox_url}' in visitor.open(path).html) == (path != "/")
    visitor.close()


def test_the_demo_reads_no_settings_of_its_environment(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, number: str
) -> None:
    monkeypatch.setenv("OTPVERIFY_REDIS_URL", "redis://127.0.0.1:1")
    monkeypatch.setenv("OTPVERIFY_SECRET", "short")
    monkeypatch.setenv("OTPVERIFY_REGION", "US")
    with Site(sandbox) as site:
        visitor = Visitor(site.url)
        assert ask_for_code(visitor, number.removeprefix("+372")).path == "/phone/code"
        visitor.close()


@pytest.mark.parametrize("path", ["code", "done"])
@pytest.mark.parametrize("flow", ["login", "phone", "reset"])
def test_later_pages_lead_to_the_beginning(person: Visitor, flow: str, path: str) -> None:
    page = person.open(f"/{flow}/{path}")
    assert page.path == f"/{flow}"
    assert "Start here." in page.said


def test_a_notice_is_shown_once_and_only_where_it_belongs(person: Visitor) -> None:
    person.open("/phone")
    assert person.send("/phone", phone="12").said
    assert not person.open("/phone").said


# Sentences


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (InvalidPhoneNumber("This number is too long."), "This number is too long."),
        (DestinationBlocked(), "kind of number"),
        (IncorrectCode(attempts_left=1), "1 attempt left"),
        (IncorrectCode(attempts_left=2), "2 attempts left"),
        (IncorrectCode(), "did not count"),
        (AttemptsExhausted(retry_after=0), "request a new code now"),
        (AttemptsExhausted(retry_after=43), "in 43 seconds"),
        (ChallengeExpired(), "expired"),
        (CooldownActive(retry_after=1), "in 1 second."),
        (RateLimited(retry_after=700, scope="sends_per_phone"), "again in 12 minutes"),
        (RateLimited(retry_after=700, scope="sends_per_ip"), "from your network"),
        (RateLimited(retry_after=80_000, scope="failures_per_phone"), "again in 23 hours"),
        (DeliveryUnavailable(), "If a code arrives"),
        (DeliveryUnavailable(maybe_sent=False), "later"),
        (StoreError("down"), str(BUSY)),
        (ConfigurationError("no secret"), str(BUSY)),
    ],
)
def test_every_refusal_has_a_sentence(error: OtpVerifyError, said: str) -> None:
    assert said in str(explain(error))


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (-1, "now"),
        (0, "now"),
        (1, "in 1 second"),
        (119, "in 119 seconds"),
        (120, "in 2 minutes"),
        (121, "in 3 minutes"),
        (7199, "in 120 minutes"),
        (7200, "in 2 hours"),
        (172_799, "in 48 hours"),
        (172_800, "in 2 days"),
        (2_592_000, "in 30 days"),
        (2_592_001, "in 31 days"),
    ],
)
def test_a_wait_is_never_told_too_short(seconds: int, said: str) -> None:
    assert str(after(seconds)) == said


# Sessions


def test_a_session_with_a_new_id_is_found_by_it_only() -> None:
    app = Flask(__name__)
    app.secret_key, app.session_interface = "a key", Sessions()

    @app.get("/<name>/<int:value>")
    def put(name: str, value: int) -> dict[str, Any]:
        session[name] = value
        return dict(session)

    @app.get("/renew")
    def renew() -> dict[str, Any]:
        app.session_interface.regenerate(session)  # type: ignore[attr-defined]  # ours has it
        return dict(session)

    person, copy = app.test_client(), app.test_client()
    assert person.get("/phone/1").get_json() == {"phone": 1}
    before = person.get_cookie("otpverify_demo")
    assert before is not None
    copy.set_cookie("otpverify_demo", before.value)
    assert copy.get("/reset/2").get_json() == {"phone": 1, "reset": 2}
    assert person.get("/renew").get_json() == {"phone": 1, "reset": 2}
    after = person.get_cookie("otpverify_demo")
    assert after is not None
    assert after.value != before.value
    assert copy.get("/login/3").get_json() == {"login": 3}, "the old id is of no use"
    assert person.get("/login/4").get_json() == {"phone": 1, "reset": 2, "login": 4}


# The server


def test_a_port_that_was_asked_for_and_is_taken_is_an_error(sandbox: Sandbox) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigurationError, match=f"127.0.0.1:{port}"):
            Site(sandbox, port=port)


def test_the_usual_port_when_taken_is_another(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        monkeypatch.setattr(demo_site, "SITE_PORT", port)
        with Site(sandbox, port=None) as site:
            assert site.url != f"http://127.0.0.1:{port}"
            assert requests.get(site.url, timeout=30).ok


def test_a_prefix_in_which_nobody_enters_codes_needs_a_human_check(sandbox: Sandbox) -> None:
    with Site(sandbox) as site, closing(Visitor(site.url)) as visitor:
        for number in range(8):
            assert ask_for_code(visitor, f"+3725123{number:04}").heading == "Enter the code"
        page = ask_for_code(visitor, "+37251239999")
        assert page.said == "Please confirm that you are human."
        assert "I am a person" in page.html
        assert sent_to(sandbox, "+37251239999") == 0
        page = visitor.send("/phone", phone="+37251239999", human="yes")
        assert page.heading == "Enter the code"
        assert sent_to(sandbox, "+37251239999") == 1


def sign_in_by_phone(visitor: Visitor, sandbox: Sandbox, phone: str) -> Page:
    before = sent_to(sandbox, phone)
    visitor.open("/sign-in?next=/signed-in")
    visitor.send("/sign-in", phone=phone)
    return visitor.send("/sign-in/code", code=newest_code(sandbox, phone, before))


def test_a_new_number_signs_up_and_then_signs_in(
    sandbox: Sandbox, member: Visitor, number: str
) -> None:
    page = sign_in_by_phone(member, sandbox, number)
    assert (page.path, page.heading) == ("/sign-in/account", "Create your account")
    sent = sent_to(sandbox, number)
    for name in ("", "x" * 41):
        page = member.send("/sign-in/account", name=name)
        assert page.said == "Enter a name of up to 40 characters."
    assert sent_to(sandbox, number) == sent
    page = member.send("/sign-in/account", name="<i>Ann</i>")
    assert (page.path, page.heading) == ("/signed-in", "You are signed in")
    assert "&lt;i&gt;Ann&lt;/i&gt;" in page.html
    page = member.send("/sign-in/out")
    assert (page.path, page.said) == ("/sign-in", "You are signed out.")
    assert member.open("/signed-in").path == "/sign-in"
    page = sign_in_by_phone(member, sandbox, number)
    assert page.path == "/signed-in", "a known number needs no name"


def test_the_phone_alone_does_not_sign_in_to_an_account_with_a_password(
    sandbox: Sandbox, member: Visitor
) -> None:
    page = sign_in_by_phone(member, sandbox, PHONE)
    assert (page.path, page.said) == ("/login", "This account needs its password, too.")
    assert member.open("/signed-in").path == "/sign-in"
    sign_in(member, sandbox)
    assert USER in member.open("/signed-in").text
    assert member.open("/sign-in?next=/signed-in").path == "/signed-in", "is sent on"


def test_accounts_that_people_make_are_told_apart() -> None:
    accounts = Accounts()
    assert accounts.create("+37256780001", USER) == f"{USER} 2", "not the demo's account"
    assert accounts.create("+37256780002", USER) == f"{USER} 3"
    assert accounts.create("+37256780002", "Ann") is None
    assert accounts.create(PHONE, "Ann") is None
    assert (accounts.find(PHONE), accounts.get_phone(f"{USER} 2")) == (USER, "+37256780001")
