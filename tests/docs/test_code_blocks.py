"""The code blocks of README and docs run as they are; their tables list what the library has."""

from __future__ import annotations

import builtins
import io
import json
import os
import re
import shlex
import socket
import sqlite3
import subprocess
import sys
import threading
import time
import unittest
from collections.abc import Iterator
from contextlib import closing, contextmanager, nullcontext
from dataclasses import fields
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest.mock import patch

import django_site
import pytest
from django.conf import settings
from django.test import override_settings
from support import QUICK, fixture_secret

import otpverify
from otpverify import (
    Challenge,
    DeliveryError,
    DeliveryRejected,
    OtpVerifyError,
    Policy,
    RateLimited,
    Retry,
    Verifier,
    errors,
)
from otpverify.cli import main as cli
from otpverify.sandbox import Sandbox
from otpverify.sandbox.faults import FAULTS, REPORTS
from otpverify.sandbox.gateway import Reply
from otpverify.sandbox.http import fail_transport
from otpverify.sms.languages import languages

ROOT = Path(__file__).parent.parent.parent
PAGES = [ROOT / name for name in ("README.md", "SECURITY.md", "CONTRIBUTING.md")]
PAGES += [ROOT / "examples" / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
TEXT = {page.relative_to(ROOT).as_posix(): page.read_text() for page in PAGES}
PYTHON = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
CONSOLE = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)
BLOCKS = [
    (name, block)
    for name, text in TEXT.items()
    for block in PYTHON.findall(text)
    if "AbstractUser" not in block  # a user model: test_a_new_django_project.py has a project
]
RECIPES = [
    (title, block)
    for name in ("docs/recipes.md", "docs/migration.md")
    for title, text in re.findall(
        r"^## ([^\n]+)\n(.*?)(?=^## |\Z)", TEXT[name], re.MULTILINE | re.DOTALL
    )
    for block in PYTHON.findall(text)
]
COMMANDS = [
    line for text in TEXT.values() for block in CONSOLE.findall(text) for line in block.splitlines()
]
FAULT_ROWS = re.findall(
    r"^\| `\+1 (___|415) 555 01(\d\d)` \| [^|]+ \| (.+) \|$",
    TEXT["docs/how-to/testing.md"],
    re.MULTILINE,
)
APPLICATIONS = re.findall(r"`make example APP=(\w+)( ARGS=--script)?`", TEXT["examples/README.md"])


@pytest.fixture
def names(tmp_path: Path) -> Iterator[dict[str, Any]]:
    """What a page's code finds and defines. The database of a reader's program lives as long as
    its process; here it is closed after the test."""
    found: dict[str, Any] = {
        "__name__": "a_page",
        # A reader's own project.
        "INSTALLED_APPS": [],
        "MIDDLEWARE": [],
        "BASE_DIR": tmp_path,
        "urlpatterns": [],
    }
    yield found
    for one in found.values():
        if isinstance(one, sqlite3.Connection):
            one.close()


@pytest.mark.parametrize(
    ("page", "block"),
    BLOCKS,
    ids=[f"{page}: {block.strip().splitlines()[-1][:40]}" for page, block in BLOCKS],
)
def test_python_block(
    page: str,
    block: str,
    names: dict[str, Any],
    tmp_path: Path,
    smspm_sandbox: Sandbox,
    otp_outbox: object,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert "import secrets" not in block, "secrets come from the environment"
    monkeypatch.chdir(tmp_path)
    for name, value in smspm_sandbox.environ.items():
        monkeypatch.setenv(name, value)
    for number, name in enumerate(re.findall(r"\b[A-Z_]*SECRET(?:_KEY)?\b", block)):
        monkeypatch.setenv(name, fixture_secret(number))
    for brand in ("NORTHWIND", "SOUTHWIND"):
        monkeypatch.setenv(f"{brand}_SECRET", fixture_secret(brand))

    def person(prompt: str) -> str:
        return "+1 202 555 0123" if prompt == "Phone: " else smspm_sandbox.messages[0].code or ""

    monkeypatch.setattr(builtins, "input", person)
    if "from django" in block:
        django_site.set_up()
    if "Client(" in block or "TestCase" in block:
        django_site.migrate()
    with admin_installed() if "contrib import admin" in block else nullcontext():
        exec(compile(block, page, "exec", dont_inherit=True), names)
    if re.search(r"\bprint\(", block):
        assert capsys.readouterr().out == "proved: +12025550123\n"
    fixtures = {"smspm_sandbox": smspm_sandbox, "otp_outbox": otp_outbox}
    for name, test in list(names.items()):
        if name.startswith("test_"):
            asked = test.__code__.co_varnames[: test.__code__.co_argcount]
            test(**{fixture: fixtures[fixture] for fixture in asked})
    cases = [
        one
        for one in names.values()
        if isinstance(one, type) and issubclass(one, unittest.TestCase)
    ]
    for case in cases:
        if case.__module__ == "a_page":
            module = ModuleType("a_page")
            vars(module).update(names)
            monkeypatch.setitem(sys.modules, "a_page", module)
            result = unittest.TestResult()
            unittest.defaultTestLoader.loadTestsFromTestCase(case).run(result)
            assert result.testsRun > 1
            assert result.wasSuccessful(), result.errors + result.failures


@contextmanager
def admin_installed() -> Iterator[None]:
    """Django's admin, with a site of its own: a block may protect it."""
    from django.contrib import admin

    installed = [*settings.INSTALLED_APPS, "django.contrib.admin", "django.contrib.messages"]
    with (
        override_settings(INSTALLED_APPS=installed),
        patch.object(admin, "site", admin.AdminSite()),
    ):
        yield


def test_all_recipes_are_there_and_show_that_they_do_what_they_say() -> None:
    assert [title for title, _ in RECIPES] == [
        "Login with a second factor",
        "Phone confirmation",
        "Password reset",
        "Payment approval",
        "App-store review",
        "Several brands in one process",
        "A SIM that changed lately",
        "From Twilio Verify",
        "From the tutorial's code",
    ]
    for title, block in RECIPES:
        assert "assert" in block, title


def test_every_application_has_its_commands() -> None:
    folders = {path.parent.name for path in (ROOT / "examples").glob("*/main.py")}
    assert sorted(APPLICATIONS) == sorted(
        (name, args)
        for name in folders
        for args in ("", " ARGS=--script")
        if not args or name != "wsgi_app"  # tests/examples/test_wsgi_example.py walks through it
    )
    assert re.search(r"^example:", (ROOT / "Makefile").read_text(), re.MULTILINE)


def test_the_readme_is_short() -> None:
    assert len(TEXT["README.md"].encode()) <= 10_240


def test_every_link_between_pages_leads_to_a_file() -> None:
    for name, text in TEXT.items():
        for target in re.findall(r"\]\((?!https?:)([^)#\s]+)", text):
            assert (ROOT / name).parent.joinpath(target).exists(), (name, target)


def test_every_console_line_is_a_command_that_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    own = {"sandbox", "demo", "doctor", "secret", "lint-message", "send-bulk", "traffic"}
    assert COMMANDS
    for line in COMMANDS:
        program, *arguments = line.split()
        if program == "make":
            assert {one for one in arguments if "=" not in one} <= targets
        elif program == "python" and arguments[0] not in ("manage.py", "-c"):
            assert (ROOT / arguments[0]).is_file()
        elif program in ("otpverify", ".venv/bin/otpverify"):
            assert arguments[0] in own
        elif program == "export":
            assert "$(" not in line or re.fullmatch(r"export \w+=\$\(otpverify secret\)", line)
        elif program == "pip" and arguments != ["install", "."]:
            (extra,) = re.findall(r"^pip install '\.\[([\w-]+)\]'$", line)
            assert re.search(rf"^{extra} = \[", (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
        elif arguments[:1] == ["manage.py"]:
            continue  # test_a_new_django_project.py runs them
        else:
            assert line in (
                "python3 -m venv venv",
                ". venv/bin/activate",
                "pip install .",
                "celery -A shop worker",
                "flask --app shop run",
                "python -c 'import asyncio, shop; asyncio.run(shop.make_tables())'",
                "uvicorn shop:app",
                "bash .ci/run",
            )


def test_the_linter_runs_as_it_is_written(capsys: pytest.CaptureFixture[str]) -> None:
    (line,) = [line for line in COMMANDS if "lint-message" in line]
    assert cli.main(line.split()[1:]) == 0
    assert capsys.readouterr().out.endswith("No findings.\n")


def test_sending_in_bulk_runs_as_it_is_written(
    tmp_path: Path,
    smspm_sandbox: Sandbox,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(cli, "_take_signals", lambda: None)
    monkeypatch.chdir(tmp_path)
    for name, value in smspm_sandbox.environ.items():
        monkeypatch.setenv(name, value)
    (tmp_path / "numbers.csv").write_text("phone\n5678 9045\n+37256789046\n")
    (tmp_path / "text.txt").write_text("The bus to Narva leaves at eight.\n")
    for line in (line for line in COMMANDS if "send-bulk" in line):
        assert cli.main(line.split()[1:]) == 0
        assert ("at most 0.08 EUR" in capsys.readouterr().out) == ("--dry-run" in line)
        assert len(smspm_sandbox.messages) == (0 if "--dry-run" in line else 2)
    assert (tmp_path / "numbers.csv.results.jsonl").exists()


def test_the_tables_of_the_fastapi_page_are_made_as_it_is_written(
    tmp_path: Path, smspm_sandbox: Sandbox
) -> None:
    (block,) = [block for _, block in BLOCKS if "def make_tables" in block]
    (line,) = [line for line in COMMANDS if "make_tables" in line]
    (tmp_path / "shop.py").write_text(block)
    environ = {**os.environ, **smspm_sandbox.environ, "OTPVERIFY_SECRET": fixture_secret(0)}
    _, *arguments = shlex.split(line)
    subprocess.run([sys.executable, *arguments], cwd=tmp_path, env=environ, check=True)
    with closing(sqlite3.connect(tmp_path / "shop.db")) as database:
        assert database.execute("SELECT count(*) FROM users").fetchone() == (0,)


def test_every_language_is_named() -> None:
    assert f"in {len(languages())} languages: {' '.join(languages())}." in (
        TEXT["docs/how-to/messages.md"].replace("\n", " ")
    )


def test_every_field_of_the_policy_is_in_its_table() -> None:
    for field in fields(Policy):
        assert f"`{field.name}`" in TEXT["docs/reference/configuration.md"], field.name


def test_every_error_is_named() -> None:
    for name in otpverify.__all__:
        thing = getattr(otpverify, name)
        if isinstance(thing, type) and issubclass(thing, OtpVerifyError):
            assert f"`{name}`" in TEXT["docs/reference/errors.md"], name
            assert name in (errors.__doc__ or ""), name


def test_every_fault_of_the_sandbox_is_listed() -> None:
    assert [digits for _, digits, _ in FAULT_ROWS] == list(FAULTS)
    for area, digits, outcome in FAULT_ROWS:
        assert (area == "___") == FAULTS[digits].common, digits
        taken = "works" in outcome or "a challenge" in outcome
        assert taken == FAULTS[digits].taken, digits


def test_every_other_delivery_report_is_listed() -> None:
    rows = re.findall(
        r"^\| `\+1 (___|415) 555 01(\d\d)` \| ([^|]+) \|$",
        TEXT["docs/how-to/testing.md"],
        re.MULTILINE,
    )
    listed = [
        ("___" if r.common else "415", digits, r.description) for digits, r in REPORTS.items()
    ]
    assert rows == listed


class Waits(threading.Event):
    """Adds up what is waited for, and waits for nothing."""

    seconds = 0.0

    def wait(self, timeout: float | None = None) -> bool:
        self.seconds += timeout or 0
        return False


@pytest.mark.parametrize("how", ["slow headers", "slow body"])
def test_what_drips_outlasts_a_client_as_it_comes(how: str) -> None:
    """Without the 15 seconds that it takes."""
    waits, sent = Waits(), io.BytesIO()
    with socket.socket() as unused:
        fail_transport(how, Reply(200, b"{}"), unused, sent, waits, 0)
    assert waits.seconds > Retry().total_seconds + 5
    head, _, body = sent.getvalue().partition(b"\r\n\r\n")
    assert f"Content-Length: {len(body)}".encode() in head
    assert json.loads(body) == {}
    if how == "slow headers":
        assert len(head) > len(body) * 10, "they are what takes so long"


@pytest.mark.parametrize(("area", "digits", "outcome"), FAULT_ROWS)
def test_a_fault_gives_what_the_table_says(area: str, digits: str, outcome: str) -> None:
    phone = f"+1{area.replace('___', '202')}55501{digits}"
    # Short only for replies that never end: a busy machine must not cause a time-out elsewhere.
    patience = 0.8 if "`timeout`" in outcome else 60
    retry = Retry(attempts=1, total_seconds=patience)
    if digits == "13":
        retry = Retry(first_wait_seconds=0.001, longest_wait_seconds=0.001, total_seconds=60)
    with (
        Sandbox(stall_seconds=30) as sandbox,
        sandbox.client(read_timeout_seconds=patience, retry=retry) as client,
    ):
        verifier = Verifier(client, hasher=QUICK)

        def start() -> Challenge | DeliveryError | RateLimited:
            try:
                return verifier.start(phone, client_ip="192.0.2.1")
            except (DeliveryError, RateLimited) as error:
                return error

        first, second = start(), start()
        if isinstance(first, Challenge):
            assert outcome.startswith("a challenge")
            assert (first.message_id is None) == ("whose `message_id` is `None`" in outcome)
            assert isinstance(second, RateLimited)
            challenge: Challenge | None = first
        else:
            assert isinstance(first, DeliveryError)
            assert f"`{type(first).__name__}`, `{first.provider_code}`" in outcome
            rejected = isinstance(first, DeliveryRejected)
            assert first.maybe_sent != (rejected or "certainly not sent" in outcome)
            assert isinstance(second, RateLimited if first.maybe_sent else DeliveryError)
            challenge = first.challenge
            assert (challenge is None) == rejected
        if "works" in outcome or "a challenge" in outcome:
            assert challenge is not None
            until = time.monotonic() + 30
            while not sandbox.messages and time.monotonic() < until:
                time.sleep(0.005)  # the client may have given up before it was read
            code = sandbox.messages[0].code or ""
            assert verifier.check(phone, code, challenge=challenge.id).phone == phone
