"""`otpverify inspect` and `otpverify unlock`."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from support import PHONE, fixture_secret, wrong

from otpverify import IncorrectCode, Limit, Policy, RateLimited, Verifier
from otpverify.cli.main import main
from otpverify.sandbox import Sandbox

MASKED = "+37*******45"


@pytest.fixture
def application(
    smspm_sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Verifier:
    """A verifier of the environment's store and secret."""
    environ = {
        **smspm_sandbox.environ,
        "OTPVERIFY_SQLITE_PATH": str(tmp_path / "codes.db"),
        "OTPVERIFY_SECRET": fixture_secret("application"),
    }
    monkeypatch.delenv("OTPVERIFY_REDIS_URL", raising=False)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    return Verifier.from_env(policy=Policy(consecutive_failures=Limit(3, 86_400)))


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
