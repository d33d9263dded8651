"""Pages that htmx asks for (`hx-boost`): it follows redirects and swaps what they lead to, and its
headers change nothing."""

from __future__ import annotations

import pytest
from freezegun.api import FrozenDateTimeFactory
from support import wrong
from web_sites import (
    KNOWN,
    DjangoAsyncPages,
    DjangoAsyncSignInPages,
    DjangoPages,
    DjangoSignInPages,
    FlaskPages,
    FlaskSignInPages,
    Seen,
    Site,
    comparable,
    slow_in_long_form,
    without_tokens,
)

from otpverify.testing import OutboxSender

HEADERS = {
    "hx-request": "true",
    "hx-boosted": "true",
    "hx-current-url": "http://testserver/",
    "accept": "*/*",
}
KINDS: list[type[Site]] = [FlaskPages, FlaskSignInPages, DjangoPages, DjangoAsyncPages]
KINDS += [DjangoSignInPages, DjangoAsyncSignInPages]
every_kind = pytest.mark.parametrize("kind", slow_in_long_form(KINDS), ids=lambda kind: kind.name)


def walk(site: Site, outbox: OutboxSender, clock: FrozenDateTimeFactory) -> list[Seen]:
    """A whole flow with its refusals."""
    replies = [site.page(site.steps["start"]), *site.send("start", phone="no number")]
    replies += site.send("start", phone=KNOWN)
    replies += [*site.send("code", code=wrong(outbox.code())), *site.send("resend")]
    clock.tick(61)
    replies += [*site.send("resend"), *site.send("cancel")]
    clock.tick(61)
    replies += site.send("start", phone=KNOWN)
    return [*replies, *site.send("code", code=outbox.code()), site.status()]


@every_kind
def test_the_headers_of_htmx_change_nothing(kind: type[Site], clock: FrozenDateTimeFactory) -> None:
    began, seen = clock.time_to_freeze, []
    for headers in ({"accept": "text/html"}, HEADERS):
        clock.move_to(began)
        outbox = OutboxSender()
        with kind(outbox) as site:
            site.client.headers.update(headers)
            replies = walk(site, outbox, clock)
        seen.append([without_tokens(comparable(site, reply, KNOWN)) for reply in replies])
    assert seen[0] == seen[1]


@every_kind
def test_a_boosted_form_leads_to_a_whole_page_that_says_what_is_wrong(kind: type[Site]) -> None:
    outbox = OutboxSender()
    with kind(outbox) as site:
        site.client.headers.update(HEADERS)
        site.send("start", phone=KNOWN)
        reply, page = site.send("code", code=wrong(outbox.code()))
        assert reply.status in (302, 303), "htmx follows it with GET"
        assert reply.header("location").startswith("/"), "on this site"
        assert page.status == 200, "htmx swaps it"
        assert page.header("content-type").startswith("text/html")
        assert "<title>" in page.body
        assert "That code is incorrect. 4 attempts left." in page.body


@every_kind
def test_a_form_without_its_token_is_a_page_that_htmx_must_be_told_to_show(
    kind: type[Site],
) -> None:
    with kind(OutboxSender()) as site:
        site.client.headers.update(HEADERS)
        reply = site.ask("POST", site.steps["start"], data={"phone": KNOWN})
        assert reply.status == (400 if issubclass(kind, FlaskPages) else 403)
        assert reply.header("content-type").startswith("text/html")
