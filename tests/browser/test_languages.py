"""A flow in every language that has a catalogue: in its direction, wide and 320 pixels narrow."""

from __future__ import annotations

import re
from collections.abc import Callable

import catalogues
import pytest
from playwright.sync_api import expect
from support import long_form, wrong

from browser.person import Person
from browser.sites import Site
from otpverify.integrations.web.languages import direction, translated
from otpverify.integrations.web.sentences import Sentence, counted

pytestmark = [
    long_form,
    # The demo is in English.
    pytest.mark.parametrize("running_site", ["flask", "django"], indirect=True),
]
TAGS = [tag for tag in catalogues.tags() if catalogues.path_of(tag, "mo").exists()]


@pytest.mark.parametrize("tag", TAGS)
def test_a_flow_in_a_language(visit: Callable[..., Person], site: Site, tag: str) -> None:
    flow = site.kind.flows["phone"]
    person = visit(locale=tag, style=f"-{tag}")
    person.open(flow.path)
    page = person.page.locator("html")
    assert (page.get_attribute("lang") or "").lower() == tag.lower()
    assert (page.get_attribute("dir") or "ltr") == direction(tag)
    expect(person.heading).to_have_text(translated(Sentence("Confirm your phone"), tag))
    expect(person.page.get_by_role("combobox")).to_have_value(re.compile("372"))
    person.look("language-1-first")
    person.fill_in(flow)
    expect(person.heading).to_have_text(translated(Sentence("Enter the code"), tag))
    (code,) = site.codes(1)
    person.look("language-2-code")
    person.enter(wrong(code))
    one, many = (f"That code is incorrect. %(count)s attempt{s} left." for s in ("", "s"))
    expect(person.alert).to_have_text(translated(counted(4, one, many), tag))
    person.look("language-3-wrong")
    with person.going():  # without a mouse
        person.page.keyboard.type(code)
    person.typed.add(code)
    expect(person.heading).to_have_text(translated(Sentence("Phone confirmed"), tag))
    person.look("language-4-end")


@pytest.mark.parametrize("tag", [tag for tag in TAGS if direction(tag) == "rtl"])
def test_digits_run_from_left_to_right(visit: Callable[..., Person], site: Site, tag: str) -> None:
    """A number in a line from right to left, and the fields for numbers and codes."""
    flow = site.kind.flows["phone"]
    person = visit(locale=tag)
    person.open(flow.path)
    number = person.page.locator("input[name=phone]")
    assert number.evaluate("(field) => getComputedStyle(field).direction") == "ltr"
    person.fill_in(flow)
    assert person.code_field.evaluate("(field) => getComputedStyle(field).direction") == "ltr"
    places = person.page.locator("main p").first.evaluate(
        """(line) => {
            const text = line.firstChild;
            const at = text.data.indexOf("+372");
            return [0, 3].map((nth) => {
                const range = document.createRange();
                range.setStart(text, at + nth);
                range.setEnd(text, at + nth + 1);
                return range.getBoundingClientRect().left;
            });
        }"""
    )
    assert places[0] < places[1], "the plus is at the left"
