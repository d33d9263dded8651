"""A payment that needs a code: the form is kept, and one press continues it."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import expect
from support import long_form

from browser.person import Person
from browser.sites import Site

pytestmark = long_form

ADDRESSES = {
    "flask": ("/payment", "/account/proof/payment"),
    "django": ("/account/payment/", "/account/step-up/payment/"),
}
NOTE = 'For "Anna" & <Bob>, ü'


@pytest.mark.parametrize("scripts", [True, False], ids=["script", "no script"])
def test_a_payment_continues_after_its_code(
    visit: Callable[..., Person], site: Site, *, scripts: bool
) -> None:
    if site.name not in ADDRESSES:
        pytest.skip("the demo has no payment")
    payment, step_up = ADDRESSES[site.name]
    person = visit(java_script_enabled=scripts)
    person.start(site.kind.flows["login"])
    person.enter(site.codes(1)[0])
    site.pass_time(61)
    person.open(payment)
    person.page.get_by_label("40.00 EUR").check()
    person.page.get_by_label("Note").fill(NOTE)
    person.press(person.page.get_by_role("button", name="Pay"))
    assert person.page.url == f"{site.url}{step_up}" + ("?next=/payment" * (site.name == "flask"))
    expect(person.heading).to_have_text("Confirm that it is you")
    expect(person.page.get_by_role("definition").first).to_have_text("40.00 EUR")
    if scripts:
        person.look("payment-1-first")
    person.press(person.page.get_by_role("button", name="Send a code"))
    person.enter(site.codes(2)[1])
    expect(person.heading).to_have_text("Confirmed")
    expect(person.page.get_by_role("definition").first).to_have_text("40.00 EUR")
    button = person.page.get_by_role("button", name=re.compile("^Continue"))
    if scripts:
        person.look("payment-2-continue")
    person.reload()
    expect(person.heading).to_have_text("Confirmed")
    person.see_focus(button)
    person.press(button)
    expect(person.heading).to_have_text("Paid 40.00 EUR to Bookshop")
    expect(person.page.get_by_text(f"Note: {NOTE}")).to_be_visible()
    if scripts:
        person.look("payment-3-paid")
    person.open(f"{step_up.rstrip('/')}/continue" + "/" * (site.name == "django"))
    expect(person.heading).to_have_text("Confirm that it is you")
