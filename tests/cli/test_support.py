"""`otpverify traffic`, `otpverify inspect` and `otpverify unlock`."""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from support import PHONE, fixture_secret, wrong

from otpverify import IncorrectCode, Limit, Policy, RateLimited, SqliteStore, Verifier
from otpverify.cli.main import main
from otpverify.core.fraud import Request
from otpverify.core.fraud_ledger import FraudKey
from otpverify.core.fraud_policy import FraudPolicy
from otpverify.sandbox import Sandbox

MASKED = "+37*******45"


@pytest.fixture
def application(
    smspm_sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Verifier]:
    """A verifier of the environment's store and secret."""
    environ = {
        **smspm_sandbox.environ,
        "OTPVERIFY_SQLITE_PATH": str(tmp_path / "codes.db"),
        "OTPVERIFY_SECRET": fixture_secret("application"),
    }
    monkeypatch.delenv("OTPVERIFY_REDIS_URL", raising=False)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    with Verifier.from_env(policy=Policy(consecutive_failures=Limit(3, 86_400))) as verifier:
        yield verifier


def locked(application: Verifier, sandbox: Sandbox, purpose: str) -> None:
    challenge = application.start(PHONE, purpose=purpose)
    code = sandbox.messages[-1].code or ""
    for _ in range(3):
        with pytest.raises(IncorrectCode):
            application.check(PHONE, wrong(code), challenge=challenge.id, purpose=purpose)


def test_inspect_shows_limits_and_neither_number_nor_code(
    application: Verifier, smspm_sandbox: Sandbox, capsys: pytest.CaptureFixture[str]
) -> None:
    locked(application, smspm_sandbox, "login")
    application.start(PHONE, purpose="a purpose of ours")
    assert main(["inspect", PHONE]) == 0
    out = capsys.readouterr().out
    assert out.startswith(MASKED)
    assert "Purpose: login\n  Wrong codes: 3 in the window, 3 in a row\n" in out
    assert "Purpose: a purpose that was not named\n" in out
    assert "Sends: 2 of 5 in 3600 seconds; 2 of 10 in 86400 seconds\n" in out
    assert "2 attempts left, queued" in out
    assert PHONE[3:] not in out
    assert all((message.code or "no code") not in out for message in smspm_sandbox.messages)


def test_inspect_as_json(
    application: Verifier, smspm_sandbox: Sandbox, capsys: pytest.CaptureFixture[str]
) -> None:
    locked(application, smspm_sandbox, "login")
    assert main(["inspect", PHONE, "--json", "--purpose", "login"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["phone"] == MASKED
    (login,) = found["purposes"]
    assert (login["purpose"], login["consecutive_failures"]) == ("login", 3)
    assert login["challenges"][0]["status"] == "queued"
    assert found["inspected_at"].endswith("+00:00")
    assert main(["inspect", PHONE, "--purpose", "other"]) == 0
    assert "Nothing else is known of it." in capsys.readouterr().out


def test_unlock_unlocks(
    application: Verifier, smspm_sandbox: Sandbox, capsys: pytest.CaptureFixture[str]
) -> None:
    for purpose in ("login", "reset"):
        locked(application, smspm_sandbox, purpose)
    assert main(["unlock", PHONE, "--purpose", "login"]) == 0
    assert capsys.readouterr().out == f"{MASKED}: unlocked for the purpose login.\n"
    application.start(PHONE, purpose="login")
    with pytest.raises(RateLimited):
        application.start(PHONE, purpose="reset")
    assert main(["unlock", PHONE, "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said == {"phone": MASKED, "purpose": None, "unlocked": True}
    application.start(PHONE, purpose="reset")


def test_the_number_may_come_from_standard_input(
    application: Verifier, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{PHONE}\n"))
    assert main(["unlock", "-"]) == 0
    assert capsys.readouterr().out == f"{MASKED}: unlocked for all purposes.\n"


def send_some(path: str) -> None:
    """Count three messages to Estonia, a code of which is entered, and one to Uzbekistan."""
    rules = FraudPolicy().rules(Policy())
    with SqliteStore(path) as store:
        keys = [FraudKey("p", "EE", "", f"{number}") for number in range(3)]
        for key in (*keys, FraudKey("p", "UZ", "", "uz")):
            store.charge(key, Request(0.1), rules)
        store.credit(keys[0], rules)


@pytest.fixture
def counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A store in which something was counted, and neither credentials nor a secret."""
    path = str(tmp_path / "codes.db")
    for name in ("OTPVERIFY_REDIS_URL", "OTPVERIFY_SECRET", "SMSPM_HASH", "SMSPM_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("OTPVERIFY_SQLITE_PATH", path)
    send_some(path)


@pytest.mark.usefixtures("counted")
def test_traffic_needs_only_the_store(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["traffic"]) == 0
    out = capsys.readouterr().out
    assert "\x1b" not in out
    hour, day, weeks = out.rstrip("\n").split("\n\n")
    for text, title in ((hour, "Last hour"), (day, "Last day"), (weeks, "Last two weeks")):
        first, *table = text.splitlines()
        assert first.startswith(f"{title}, since 20")
        assert table == [
            "country  sent  verified  conversion  refused  cost",
            "EE          3         1         33%        0  0.30",
            "UZ          1         0          0%        0  0.10",
            "all         4         1         25%        0  0.40",
        ]


@pytest.mark.usefixtures("counted")
def test_traffic_of_some_hours_and_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["traffic", "--hours", "5"]) == 0
    assert capsys.readouterr().out.startswith("Last 5 hours, since 20")
    assert main(["traffic", "--json", "--hours", "336"]) == 0
    (window,) = json.loads(capsys.readouterr().out)["windows"]
    assert window["hours"] == 336
    shown = [(one["country"], one["sent"], one["cost"]) for one in window["countries"]]
    assert shown == [("EE", 3, "0.3"), ("UZ", 1, "0.1")]
    for hours in ("0", "337"):
        with pytest.raises(SystemExit) as exit_:
            main(["traffic", "--hours", hours])
        assert exit_.value.code == 2
        assert "--hours: must be a whole number from 1 to 336" in capsys.readouterr().err


@pytest.mark.usefixtures("counted")
@pytest.mark.skipif(sys.platform == "win32", reason="no pseudo-terminals")
def test_traffic_on_a_terminal_has_bars() -> None:
    parent, child = os.openpty()
    environ = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "100"}
    command = [sys.executable, "-m", "otpverify", "traffic", "--hours", "1"]
    with subprocess.Popen(command, stdout=child, env=environ) as process:
        os.close(child)
        shown = b""
        with contextlib.suppress(OSError):  # the other end is closed
            while part := os.read(parent, 65_536):
                shown += part
    os.close(parent)
    assert process.returncode == 0
    text = re.sub(r"\x1b\[[0-9;]*m", "", shown.decode())
    assert re.search(r"EE +3 +━{12} +1 +33% +━+[╸╺]?━* +0 +0\.30", text)


@pytest.mark.usefixtures("counted")
def test_traffic_whose_reader_has_gone_ends_quietly() -> None:
    shell = f"{sys.executable} -m otpverify traffic | true; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(
        ["bash", "-c", shell], capture_output=True, text=True, check=True, timeout=60
    )
    assert (done.stdout.strip() in {"0", "141"}, done.stderr) == (True, "")


@pytest.mark.parametrize("command", ["inspect", "unlock"])
def test_support_needs_no_credentials_of_the_gateway(
    application: Verifier,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    command: str,
) -> None:
    for name in ("SMSPM_HASH", "SMSPM_TOKEN", "SMSPM_SENDER"):
        monkeypatch.delenv(name, raising=False)
    assert main([command, PHONE]) == 0
    assert capsys.readouterr().out.startswith(MASKED)


def test_traffic_without_a_shared_store_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("OTPVERIFY_REDIS_URL", "OTPVERIFY_SQLITE_PATH"):
        monkeypatch.delenv(name, raising=False)
    assert main(["traffic"]) == 2
    assert "OTPVERIFY_REDIS_URL or OTPVERIFY_SQLITE_PATH" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["inspect", "unlock"])
def test_what_cannot_run_says_so(
    application: Verifier,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    command: str,
) -> None:
    assert main([command, "no number"]) == 2
    assert "otpverify: " in capsys.readouterr().err
    assert main([command, PHONE, "--purpose", ""]) == 2
    monkeypatch.delenv("OTPVERIFY_SQLITE_PATH")
    assert main([command, PHONE]) == 2
    error = capsys.readouterr().err
    assert "OTPVERIFY_REDIS_URL or OTPVERIFY_SQLITE_PATH" in error
    assert PHONE not in error
