"""Fixtures: verifiers of both modes, and a clock that is moved."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from functools import cache
from importlib.util import find_spec
from typing import Any

import pytest
from claims import RanTests, is_whole, named_tests
from flask import Flask
from freezegun import api as freezegun_api, freeze_time
from freezegun.api import FrozenDateTimeFactory
from hypothesis import HealthCheck, Phase, settings
from jinja2 import FileSystemBytecodeCache
from servers import binaries, version
from support import LONG, QUICK, SECRET, AsyncMode, Face, Mode

from otpverify.testing import OutboxSender

# A property must not fail because the machine is busy, nor on one run in a hundred: the examples
# are the same every time.
settings.register_profile(
    "patient",
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("patient")
# Of a mutant, `make mutants` asks whether a property fails, not how small an example can be.
settings.register_profile(
    "mutants", settings.get_profile("patient"), phases=(Phase.explicit, Phase.generate)
)

# Each application compiles the templates that it shows. Most tests make an application.
Flask.jinja_options = {"bytecode_cache": FileSystemBytecodeCache()}

# Before it stops the time, freezegun compares all names of some 3,000 modules with the names of the
# last time: 25 milliseconds, in a thousand tests. No module here gets a clock after its import.
freezegun_api._get_cached_module_attributes = cache(freezegun_api._get_cached_module_attributes)


# `make test` installs no browser's driver; `make browser` and CI do.
collect_ignore = [] if LONG or find_spec("playwright") else ["browser"]


def pytest_collection_finish(session: pytest.Session) -> None:
    """Spare the garbage collector what lives as long as the run: modules and thousands of tests.
    Otherwise it looks at all of them again and again, and longest where a test asks for it."""
    for item in session.items:
        if " at 0x" in item.nodeid:
            raise pytest.UsageError(f"Workers need the same id in every process: {item.nodeid}")
    gc.collect()
    gc.freeze()


_ran = RanTests()
_MISSING = pytest.StashKey[list[str]]()


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Note which tests ran; with several processes, the one that starts them gets all reports."""
    _ran.report(report.nodeid, report.when or "", report.outcome)


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail a whole run of the long form in which a test that docs/explanation/standards.md names
    did not run: it was skipped on every machine, or left out."""
    config = session.config
    named = config.args_source is pytest.Config.ArgsSource.ARGS
    whole = is_whole(config.option, named=named)
    if LONG and whole and not hasattr(config, "workerinput") and not session.testsfailed:
        config.stash[_MISSING] = missing = _ran.missing(named_tests())
        if missing:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Name the servers that the tests ran on, and what is left out."""
    if collect_ignore:
        terminalreporter.section("left out")
        terminalreporter.write_line("tests/browser: no Playwright here; make browser runs them")
    if missing := terminalreporter.config.stash.get(_MISSING, []):
        terminalreporter.section("named in docs/explanation/standards.md, and did not run")
        terminalreporter.write_line("\n".join(missing))
    terminalreporter.section("servers")
    for name, path in binaries().items():
        terminalreporter.write_line(f"{name}: {version(path)}")


@pytest.fixture(params=[Mode, AsyncMode], ids=lambda mode: mode.name)
def mode(request: pytest.FixtureRequest) -> Iterator[Mode]:
    asynchronous = request.param is AsyncMode
    if asynchronous and not LONG and request.node.get_closest_marker("sync_in_short_form"):
        pytest.skip("takes long; the long form asks in both modes")
    made: Mode = request.param()
    yield made
    made.close()


@pytest.fixture
def outbox() -> OutboxSender:
    return OutboxSender()


@pytest.fixture
def make(mode: Mode, outbox: OutboxSender) -> Callable[..., Face]:
    """Makes a verifier of the test's mode, on the outbox and a quick hasher."""

    def build(sender: Any = None, **options: Any) -> Face:
        options.setdefault("hasher", QUICK)
        options.setdefault("secret", SECRET)
        return mode.make(outbox if sender is None else sender, **options)

    return build


@pytest.fixture
def verifier(make: Callable[..., Face]) -> Face:
    return make()


@pytest.fixture
def clock() -> Iterator[FrozenDateTimeFactory]:
    """Time stands still until the test moves it."""
    with freeze_time("2026-03-01 12:00:00", real_asyncio=True) as frozen:
        assert isinstance(frozen, FrozenDateTimeFactory)
        yield frozen
