"""Views that need a code first, in every framework: a code within the last minutes, a code for
exactly this, and the way back with the form that was sent."""

from __future__ import annotations

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from html import unescape
from typing import Any

import pytest
from freezegun.api import FrozenDateTimeFactory
from step_up_sites import (
    PAGES,
    PROGRAMS,
    SLOW,
    StepUpDjango,
    StepUpFlask,
    StepUpFlaskServer,
    StepUpSite,
    fastapi_step_up,
)
from support import LONG

from otpverify.testing import OutboxSender

ANN, BOB = "+12025550123", "+12025550199"
LONG_NOTE = 'A note with "quotes", <tags> & ümlauts\r\nin two lines'


@pytest.fixture(scope="module", autouse=True)
def _built() -> None:
    fastapi_step_up()  # before the clock stands


@pytest.fixture(
    params=[one for one in PAGES if LONG or one not in SLOW], ids=lambda kind: kind.name
)
def site(
    request: pytest.FixtureRequest, outbox: OutboxSender, clock: FrozenDateTimeFactory
) -> Iterator[StepUpSite]:
    with request.param(outbox) as found:
        found.sign_in("ann")
        found.page("/form")
        yield found


@pytest.fixture(
    params=[one for one in PROGRAMS if LONG or one not in SLOW], ids=lambda kind: kind.name
)
def api(
    request: pytest.FixtureRequest, outbox: OutboxSender, clock: FrozenDateTimeFactory
) -> Iterator[StepUpSite]:
    with request.param(outbox) as found:
        found.sign_in("ann")
        yield found


def heading(seen: Any) -> str:
    found = re.search(r"<h1>(.*?)</h1>", seen.body, re.DOTALL)
    return found[1].strip() if found else ""


def enter_code(site: StepUpSite, purpose: str, outbox: OutboxSender, clock: Any = None) -> Any:
    """Have a code sent, and enter it."""
    seen = site.press(site.page_of(purpose))
    assert heading(seen) == "Enter the code", seen.body
    return site.press(site.page_of(purpose, "code"), code=outbox.code())


def asks(seen: Any) -> bool:
    return heading(seen) == "Confirm that it is you"


# The kept form


def test_a_form_that_needed_a_code_continues_with_one_press(
    site: StepUpSite, outbox: OutboxSender
) -> None:
    fields = {"name": "Anna", "tag": ["b", "a"], "note": LONG_NOTE}
    assert asks(site.press("/name?from=menu", **fields))
    seen = enter_code(site, "settings", outbox)
    assert (heading(seen), site.acted) == ("Confirmed", []), "nothing is done by itself"
    assert 'action="/name?from=menu"' in seen.body
    shown = site.page(site.page_of("settings", "continue"))
    assert (heading(shown), site.acted) == ("Confirmed", []), "a reload does nothing either"
    assert heading(press_continue(site)) == "Done"
    (acted,) = site.acted
    assert acted == f"name {fields | {'name': ['Anna'], 'note': [LONG_NOTE]}}"


def press_continue(site: StepUpSite, **changed: str) -> Any:
    """Send the form of the page as a browser does: hidden fields in their order."""
    html = site._html
    action = unescape(re.findall(r'<form method="post" action="([^"]*)"', html)[-1])
    found = re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)">', html, re.DOTALL)
    data: dict[str, list[str]] = {}
    for name, value in found:
        values = data.setdefault(unescape(name), [])
        values.append(re.sub(r"\r?\n", "\r\n", unescape(value)))
    return site.press_only(action, {**data, **changed})


@pytest.mark.parametrize("again", ["the page", "the press"])
def test_a_form_continues_once(site: StepUpSite, outbox: OutboxSender, again: str) -> None:
    site.press("/pay/25", payee="Bob")
    enter_code(site, "payment", outbox)
    html = site._html
    assert heading(press_continue(site)) == "Done"
    if again == "the page":
        assert asks(follow(site, "payment"))
    else:
        site._html = html
        seen = press_continue(site)
        assert asks(seen), seen.body
        assert "was already used" in seen.body
        assert not continues(site, "payment")
    assert site.acted == [f"pay 25 by {ANN} {{'payee': ['Bob']}}"]


def follow(site: StepUpSite, purpose: str) -> Any:
    seen = site.ask("GET", site.page_of(purpose, "continue"))
    while seen.status in (302, 303):
        seen = site.page(seen.header("location"))
    return seen


def continues(site: StepUpSite, purpose: str) -> bool:
    return heading(follow(site, purpose)) == "Confirmed"


def test_what_the_code_approves_is_named_and_nothing_else_is_paid(
    site: StepUpSite, outbox: OutboxSender
) -> None:
    seen = site.press("/pay/25", payee="Bookshop")
    assert "<dt>payee</dt><dd>Bookshop</dd>" in seen.body
    seen = enter_code(site, "payment", outbox)
    assert "25 EUR" in outbox.last.text
    assert "Bookshop" in outbox.last.text
    assert "<dt>amount</dt><dd>25 EUR</dd>" in seen.body
    html = site._html
    assert asks(press_continue(site, payee="Thief"))
    assert site.acted == []
    site._html = html
    assert heading(press_continue(site)) == "Done", "what was approved still is"
    assert site.acted == [f"pay 25 by {ANN} {{'payee': ['Bookshop']}}"]


def test_a_code_for_one_amount_pays_no_other(site: StepUpSite, outbox: OutboxSender) -> None:
    site.press("/pay/25", payee="Bob")
    enter_code(site, "payment", outbox)
    assert asks(site.press("/pay/999999", payee="Bob"))
    assert site.acted == []


@pytest.mark.parametrize(
    "fields",
    [
        {"new_password": "secret"},
        {"userPasswd": "secret"},
        {"pin": "1234"},
        {"card-number": "4111"},
        {"cvc": "123"},
        {"api_token": "abc"},
        {"note": "x" * 40_000},
    ],
    ids=lambda fields: next(iter(fields)),
)
def test_what_cannot_be_kept_is_said_before_the_code(
    site: StepUpSite, outbox: OutboxSender, fields: dict[str, str]
) -> None:
    seen = site.press("/name", headers={"referer": "http://testserver/form"}, name="Anna", **fields)
    assert asks(seen)
    assert "We cannot keep what you filled in." in seen.body
    seen = enter_code(site, "settings", outbox)
    assert heading(seen) != "Done"
    assert 'name="name"' not in seen.body
    assert not re.search(r"secret|1234\b|4111|abc", session_text(site))
    assert heading(site.press("/name", name="Anna", **fields)) == "Done", "the code serves it"


def session_text(site: StepUpSite) -> str:
    return str([site.read(one.name, one.value or "") for one in site.client.cookies.jar])


def test_a_file_is_not_kept(site: StepUpSite, outbox: OutboxSender) -> None:
    reply = site.ask(
        "POST", "/name", data=site.hidden(), files={"photo": ("a.png", b"png", "image/png")}
    )
    assert "We cannot keep" in site.page(reply.header("location")).body
    enter_code(site, "settings", outbox)
    assert 'name="photo"' not in site._html


@pytest.mark.parametrize(
    "headers",
    [
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site", "origin": "http://evil.testserver"},
        {"origin": "http://evil.example"},
        {"origin": "null"},
    ],
    ids=str,
)
def test_a_form_of_another_site_is_not_given_a_token_of_this_one(
    site: StepUpSite, headers: dict[str, str]
) -> None:
    if "origin" in headers and site.name.startswith("django"):
        pytest.skip("Django's own protection refuses it before")
    seen = site.press("/name", headers=headers, name="Mallory")
    assert asks(seen)
    assert "We cannot keep" in seen.body


def test_a_kept_form_needs_a_proof_and_expires(
    site: StepUpSite, outbox: OutboxSender, clock: FrozenDateTimeFactory
) -> None:
    site.press("/pay/25", payee="Bob")
    assert asks(follow(site, "payment")), "no page continues it before the code"
    enter_code(site, "payment", outbox)
    assert continues(site, "payment")
    clock.tick(601)
    assert asks(follow(site, "payment")), "the proof has expired"
    clock.tick(1200)
    site.press(site.page_of("payment"))
    site.press(site.page_of("payment", "code"), code=outbox.code())
    assert "Confirmed" in site._html
    assert 'name="payee"' not in site._html, "and so has the form"


def test_another_account_sees_no_form_of_the_first(site: StepUpSite, outbox: OutboxSender) -> None:
    site.press("/pay/25", payee="Bob")
    enter_code(site, "payment", outbox)
    site.sign_in("bob")
    assert asks(follow(site, "payment"))
    site.page(site.page_of("payment"))
    assert "25 EUR" not in site._html
    enter_code(site, "payment", outbox)
    assert not re.search(r'name="payee"', site._html)
    site.page("/form")
    assert asks(site.press("/pay/25", payee="Bob"))
    assert site.acted == []


def test_an_old_session_brings_no_second_action(site: StepUpSite, outbox: OutboxSender) -> None:
    site.press("/pay/25", payee="Bob")
    enter_code(site, "payment", outbox)
    before = {one.name: one.value for one in site.client.cookies.jar}
    html = site._html
    press_continue(site)
    for _ in range(2):
        site.client.cookies.clear()
        for name, value in before.items():
            site.client.cookies.set(name, value or "", domain="testserver.local")
        site._html = html
        assert "was already used" in press_continue(site).body
        assert site.cookies_set == {"otpverify_notice"}, (
            "an old session must not replace a newer one"
        )
    assert len(site.acted) == 1


@pytest.mark.parametrize("kind", [StepUpFlask, StepUpFlaskServer, StepUpDjango])
def test_two_presses_at_once_are_one_action(outbox: OutboxSender, kind: type[StepUpSite]) -> None:
    with kind(outbox) as site:  # its clock runs
        site.sign_in("ann")
        site.page("/form")
        site.press("/pay/25", payee="Bob")
        enter_code(site, "payment", outbox)
        cookies = "; ".join(f"{one.name}={one.value}" for one in site.client.cookies.jar)
        data = {**site.hidden(), "payee": "Bob"}

        def press(_: int) -> int:
            client = site.open_another()
            return int(client.post("/pay/25", data=data, headers={"cookie": cookies}).status_code)

        with ThreadPoolExecutor(6) as pool:
            statuses = list(pool.map(press, range(6)))
        assert statuses.count(200) == 1, statuses
        assert set(statuses) <= {200, 302, 303}
        assert site.acted == [f"pay 25 by {ANN} {{'payee': ['Bob']}}"]


def test_a_page_that_needs_a_code_is_come_back_to(site: StepUpSite, outbox: OutboxSender) -> None:
    seen = site.ask("GET", "/export?year=2026")
    assert asks(site.page(seen.header("location")))
    seen = enter_code(site, "export", outbox)
    assert site.at == "/export?year=2026"
    assert site.acted == [f"export by {ANN}"]


@pytest.mark.parametrize("target", ["//evil.example/", "https://evil.example/", "/\\evil.example"])
def test_nobody_is_sent_elsewhere(site: StepUpSite, outbox: OutboxSender, target: str) -> None:
    site.press("/name", headers={"referer": target}, name="x", password="x")
    site.page(f"{site.page_of('settings')}?next={target}")
    enter_code(site, "settings", outbox)
    assert "evil" not in site.at


# A code within the last minutes


def test_one_code_serves_several_requests_for_a_while(
    site: StepUpSite, outbox: OutboxSender, clock: FrozenDateTimeFactory
) -> None:
    site.press("/name", name="a")
    enter_code(site, "settings", outbox)
    clock.tick(290)
    for name in "bcd":
        site.page("/form")
        assert heading(site.press("/name", name=name)) == "Done"
    assert len(site.acted) == 3
    clock.tick(11)
    site.page("/form")
    assert asks(site.press("/name", name="e"))


def open_window(site: StepUpSite, outbox: OutboxSender) -> None:
    site.press("/name", name="a")
    enter_code(site, "settings", outbox)
    assert heading(press_continue(site)) == "Done"
    site.page("/form")


@pytest.mark.parametrize("what", ["sign in", "sign out", "switch", "password", "phone"])
def test_a_window_ends_before_its_time(site: StepUpSite, outbox: OutboxSender, what: str) -> None:
    open_window(site, outbox)
    match what:
        case "sign in":
            site.sign_in("ann")
        case "sign out":
            site.sign_out()
            site.sign_in("ann")
        case "switch":
            site.sign_in("bob")
        case "password":
            site.change_password("ann")
        case "phone":
            site.change_phone("ann", "+12025550177")
    site.page("/form")
    assert asks(site.press("/name", name="b"))
    assert len(site.acted) == 1


def test_a_window_serves_no_other_purpose_and_no_binding(
    site: StepUpSite, outbox: OutboxSender
) -> None:
    open_window(site, outbox)
    assert asks(site.press("/pay/25", payee="Bob"))
    seen = site.ask("GET", "/export")
    assert asks(site.page(seen.header("location")))
    assert len(site.acted) == 1


def test_a_code_that_approves_a_payment_opens_no_window(
    site: StepUpSite, outbox: OutboxSender
) -> None:
    site.press("/pay/25", payee="Bob")
    enter_code(site, "payment", outbox)
    assert asks(site.press("/name", name="b"))


def test_only_purposes_that_a_view_needs_have_pages(site: StepUpSite) -> None:
    for purpose in ("login", "phone", "anything"):
        assert site.ask("GET", site.page_of(purpose)).status == 404


# Facts that fit into no message

NO_TEXT, NOT_THIS_TEXT = "x" * 3000, "x, " * 500


@pytest.mark.parametrize(
    ("payee", "shown"),
    [(NO_TEXT, False), ("x" * 1525, False), (NOT_THIS_TEXT, True), ("\u0436" * 900, True)],
    ids=["no text", "just no text", "not this text", "not these letters"],
)
def test_a_payee_that_no_message_names_is_refused_kindly(
    site: StepUpSite, outbox: OutboxSender, caplog: Any, payee: str, shown: bool
) -> None:
    """The payee comes from the form. The site's operator reads of it in the log, without it."""
    seen = site.press("/pay/25", payee=payee)
    assert asks(seen), seen.body
    assert (payee in seen.body) == shown
    if shown:
        seen = site.press(site.page_of("payment"))
        assert asks(seen), seen.body
    assert "The request is too large." in seen.body
    (said,) = {one.getMessage() for one in caplog.records if "BindingTooLong" in one.getMessage()}
    assert payee[:20] not in said
    assert (len(outbox), site.acted) == (0, [])
    assert asks(site.press("/pay/25", payee="Bob"))
    assert heading(enter_code(site, "payment", outbox)) == "Confirmed"
    assert heading(press_continue(site)) == "Done"


@pytest.mark.parametrize("amount", [NO_TEXT, NOT_THIS_TEXT], ids=["no text", "not this text"])
def test_a_program_reads_that_no_message_names_an_amount(
    api: StepUpSite, outbox: OutboxSender, amount: str
) -> None:
    status, problem = api.json(f"/pay/{amount}")
    if status == 403:
        status, problem = api.json(api.start_of("payment", amount))
    assert (status, problem["type"]) == (413, "urn:otpverify:problem:request-too-large")
    assert len(outbox) == 0


# Programs


def test_a_program_learns_which_flow_to_start(api: StepUpSite, outbox: OutboxSender) -> None:
    status, problem = api.json("/pay/25")
    assert (status, problem["type"]) == (403, "urn:otpverify:problem:proof-required")
    assert problem["purpose"] == "payment"
    start = api.start_of("payment", "25")
    assert problem.get("start", start) == start
    assert api.json(start)[0] == 202
    assert "25 EUR" in outbox.last.text
    assert api.json(api.check_of(start), code=outbox.code())[0] == 200
    assert api.json("/pay/26")[0] == 403, "it was not approved"
    assert api.acted == []
    assert api.json("/pay/25")[0] == 200
    assert api.json("/pay/25")[0] == 403
    assert api.acted == [f"pay 25 by {ANN}"]


def test_a_code_serves_a_program_for_a_while(
    api: StepUpSite, outbox: OutboxSender, clock: FrozenDateTimeFactory
) -> None:
    assert api.json("/name")[1]["purpose"] == "settings"
    start = api.start_of("settings", "")
    assert api.json(start)[0] == 202
    assert api.json(api.check_of(start), code=outbox.code())[0] == 200
    clock.tick(299)
    assert [api.json("/name")[0] for _ in range(3)] == [200] * 3
    clock.tick(1)
    assert api.json("/name")[0] == 403
    clock.tick(61)
    api.json(start)
    api.json(api.check_of(start), code=outbox.code())
    assert api.json("/name")[0] == 200
    api.change_password("ann")
    assert api.json("/name")[0] == 403
