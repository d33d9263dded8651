"""What README shows is run, as it stands there, and what it lists is what there is."""

from __future__ import annotations

import builtins
import io
import json
import re
import socket
import threading
import time
from dataclasses import fields
from pathlib import Path
from typing import Any

import django_site
import pytest
from support import QUICK

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
from otpverify.sandbox.faults import FAULTS, misbehave
from otpverify.sandbox.wire import Reply
from otpverify.sms.languages import languages

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"^```python\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
COMMANDS = [
    line
    for page in ("README.md", "CONTRIBUTING.md")
    for block in re.findall(
        r"^```console\n(.*?)^```$", (ROOT / page).read_text(), re.MULTILINE | re.DOTALL
    )
    for line in block.splitlines()
]
FAULT_ROWS = re.findall(r"^\| `\+1 ___ 555 01(\d\d)` \| [^|]+ \| (.+) \|$", README, re.MULTILINE)


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.strip().splitlines()[-1][:40])
def test_python_block(
    block: str,
    tmp_path: Path,
    smspm_sandbox: Sandbox,
    otp_outbox: object,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, value in smspm_sandbox.environ.items():
        monkeypatch.setenv(name, value)

    def person(prompt: str) -> str:
        return "+1 202 555 0123" if prompt == "Phone: " else smspm_sandbox.messages[0].code or ""

    monkeypatch.setattr(builtins, "input", person)
    if "from django" in block:
        django_site.set_up()
    names: dict[str, Any] = {"__name__": "readme"}
    exec(compile(block, "README.md", "exec"), names)
    if re.search(r"\bprint\(", block):
        assert capsys.readouterr().out == "proved: +12025550123\n"
    fixtures = {"smspm_sandbox": smspm_sandbox, "otp_outbox": otp_outbox}
    for name, test in list(names.items()):
        if name.startswith("test_"):
            asked = test.__code__.co_varnames[: test.__code__.co_argcount]
            test(**{fixture: fixtures[fixture] for fixture in asked})


def test_every_console_line_is_a_command_that_exists() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert COMMANDS
    for line in COMMANDS:
        program, *arguments = line.split()
        if program == "make":
            assert {one for one in arguments if "=" not in one} <= targets
        elif program.endswith("/python"):
            assert (ROOT / arguments[0]).is_file()
        elif program.endswith("/otpverify"):
            commands = (["demo", "--script"], ["sandbox"], ["doctor"])
            assert arguments in commands or arguments[0] in ("lint-message", "send-bulk")
        else:
            assert line in ("python3 -m venv venv", "venv/bin/pip install .")


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


def test_every_language_is_named() -> None:
    assert f"in {len(languages())} languages: {' '.join(languages())}." in README.replace("\n", " ")


def test_every_field_of_the_policy_is_in_its_table() -> None:
    for field in fields(Policy):
        assert f"`{field.name}`" in README or f"`{field.name}=" in README, field.name


def test_every_error_is_named() -> None:
    for name in otpverify.__all__:
        thing = getattr(otpverify, name)
        if isinstance(thing, type) and issubclass(thing, OtpVerifyError):
            assert f"`{name}`" in README, name
            assert name in (errors.__doc__ or ""), name


def test_every_fault_of_the_sandbox_is_listed() -> None:
    assert [digits for digits, _ in FAULT_ROWS] == list(FAULTS)


class Waits(threading.Event):
    """Adds up what is waited for, and waits for nothing."""

    seconds = 0.0

    def wait(self, timeout: float | None = None) -> bool:
        self.seconds += timeout or 0
        return False


@pytest.mark.parametrize("manner", ["slow headers", "slow body"])
def test_what_drips_outlasts_a_client_as_it_comes(manner: str) -> None:
    """Without the 15 seconds that it takes."""
    waits, sent = Waits(), io.BytesIO()
    with socket.socket() as unused:
        misbehave(manner, Reply(200, b"{}"), unused, sent, waits, 0)
    assert waits.seconds > Retry().total_seconds + 5
    head, _, body = sent.getvalue().partition(b"\r\n\r\n")
    assert f"Content-Length: {len(body)}".encode() in head
    assert json.loads(body) == {}
    if manner == "slow headers":
        assert len(head) > len(body) * 10, "they are what takes so long"


@pytest.mark.parametrize(("digits", "outcome"), FAULT_ROWS)
def test_a_fault_gives_what_the_table_says(digits: str, outcome: str) -> None:
    phone = f"+120255501{digits}"
    # Short only for what never ends: a machine that is busy is no reason for a time-out elsewhere.
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
