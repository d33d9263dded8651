"""Fixtures: a browser, the sites, and a person in front of them.

What Playwright starts lives no longer than the tests of this folder: while it runs, its event
loop is that of the thread, and no other test could have one of its own.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, expect, sync_playwright
from support import LONG, missing

from browser.person import WIDE, Person
from browser.sites import FLOWS, KINDS, Flow, Site

_PATIENCE_MS = 60_000  # an upper bound for a machine that is busy; nothing takes so long
# First the one without a window: each page of the others has one, which takes as long as the page.
_NAMES = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """Chromium, as the system has it."""
    program = next(filter(None, map(shutil.which, _NAMES)), None)
    if program is None:
        missing("no Chromium on this machine: install it, so that it is on the PATH")
    expect.set_options(timeout=_PATIENCE_MS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=program, args=["--no-sandbox", "--disable-dev-shm-usage"]
        )
        yield browser
        browser.close()


@pytest.fixture(scope="package", params=list(KINDS))
def running_site(request: pytest.FixtureRequest) -> Iterator[Site]:
    if not LONG:  # a site that nobody looks at need not be started
        pytest.skip("see long_form")
    with Site(request.param) as site:
        yield site


@pytest.fixture
def site(running_site: Site) -> Site:
    """A site where nothing was sent for a day."""
    running_site.begin_anew()
    return running_site


@pytest.fixture(params=FLOWS)
def flow(request: pytest.FixtureRequest, site: Site) -> Flow:
    """Each flow of the site."""
    return site.kind.flows[request.param]


@pytest.fixture
def visit(browser: Browser, site: Site) -> Iterator[Callable[..., Person]]:
    """Makes a person. What any of them was shown is checked in the end."""
    people = []
    contexts = []

    def make(*, style: str = "", **options: Any) -> Person:
        context = browser.new_context(
            **{"viewport": WIDE, "locale": "en-GB", "reduced_motion": "reduce", **options}
        )
        context.set_default_timeout(_PATIENCE_MS)
        contexts.append(context)
        people.append(Person(site, context, style=style))
        return people[-1]

    yield make
    for person in people:
        person.check_what_was_shown()
    for context in contexts:
        context.close()


@pytest.fixture
def person(visit: Callable[..., Person]) -> Person:
    return visit()
