"""Whole flows with the real htmx and `hx-boost`: every page is swapped into one document, and the
script goes on in each of them."""

from __future__ import annotations

import re
from importlib.util import find_spec
from pathlib import Path

import pytest
from playwright.sync_api import Route, expect
from support import long_form, missing, wrong

from browser.person import Person
from browser.sites import ROOT, Flow, Site

pytestmark = long_form

CONFIG = re.search(r"<meta name=\"htmx-config\".*>", (ROOT / "docs/recipes.md").read_text("utf-8"))
# How each edition is told to boost what is inside.
BOOSTS = {"htmx-2": 'hx-boost="true"', "htmx-4": 'hx-boost:inherited="true"'}


@pytest.fixture(params=BOOSTS)
def boosted(request: pytest.FixtureRequest, person: Person) -> Person:
    """A person whose pages have htmx, from their own address, set up as docs/recipes.md says."""
    package = find_spec("django_htmx")
    if package is None or package.origin is None:
        missing("no htmx: install django-htmx, which has it")
    folder = Path(package.origin).parent / "static/django_htmx"
    library = (folder / f"{request.param}.min.js").read_text("utf-8")

    def add(route: Route) -> None:
        if route.request.resource_type != "document":
            route.continue_()
            return
        reply = route.fetch(max_redirects=0)
        if reply.status != 200:
            route.fulfill(response=reply)
            return
        assert CONFIG
        head = f'{CONFIG[0]}<script src="/htmx.js"></script></head>'
        page = reply.text().replace("</head>", head)
        route.fulfill(response=reply, body=page.replace("<body", f"<body {BOOSTS[request.param]}"))

    person.page.route(f"{person.site.url}/**", add)
    script = {"content_type": "text/javascript", "body": library}
    person.page.route("**/htmx.js", lambda route: route.fulfill(**script))
    return person


def test_a_flow_in_one_document(boosted: Person, flow: Flow, site: Site) -> None:
    person = boosted
    person.open(flow.path)
    person.page.evaluate("window.first = true")
    for name, value in flow.fields.items():
        person.page.locator(f"input[name={name}]").fill(value)
    person.page.keyboard.press("Enter")
    expect(person.code_field).to_be_visible()
    (code,) = site.codes(1)

    again = person.page.get_by_role("button", name=re.compile(r"^Resend code \(0:\d\d\)"))
    expect(again).to_be_disabled()
    before = again.inner_text()
    expect(again).not_to_have_text(before)

    person.typed |= {code, wrong(code)}
    person.code_field.focus()
    by_itself = person.sends_itself
    person.page.keyboard.type(wrong(code))  # sent by its last digit
    if not by_itself:
        person.page.keyboard.press("Enter")
    expect(person.alert).to_contain_text("4 attempts left")
    expect(person.code_field).to_have_value("")

    sent: list[str] = []
    person.page.on(
        "request", lambda request: sent.append(request.url) if request.method == "POST" else None
    )
    # The last digit, the Enter key and the button at once.
    person.code_field.evaluate(
        """(field, code) => {
            field.value = code;
            field.dispatchEvent(new Event("input", {bubbles: true}));
            field.form.requestSubmit();
            field.form.querySelector("button").click();
        }""",
        code,
    )
    if flow.new_password:
        expect(person.page.locator("input[type=password]").first).to_be_visible()
        for password in person.page.locator("input[type=password]").all():  # Django has two
            password.fill(flow.new_password)
        person.page.keyboard.press("Enter")
    expect(person.heading).to_contain_text(flow.end)
    assert len(sent) == (2 if flow.new_password else 1), sent
    assert person.page.evaluate("window.first"), "the document was loaded again"


def test_the_phone_field_of_a_page_that_is_swapped_in(boosted: Person, site: Site) -> None:
    flow = site.kind.flows["phone"]
    person = boosted
    person.open(flow.path)
    person.page.evaluate("window.first = true")
    for nth in range(2):
        field = person.page.locator("input[name=phone]")
        expect(person.page.get_by_role("combobox", name="Country")).to_have_count(1)
        expect(person.page.get_by_role("combobox", name="Country")).to_have_value(re.compile("372"))
        field.fill("")
        person.page.keyboard.type("56789045" if nth else "12")
        expect(field).to_have_value("5678 9045" if nth else "12")
        person.page.keyboard.press("Enter")
        if not nth:
            person.see_error(field, "number")
    expect(person.code_field).to_be_visible()
    person.page.go_back()
    expect(person.page.get_by_role("combobox", name="Country")).to_have_count(1)
