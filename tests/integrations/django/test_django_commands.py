"""`manage.py otpverify_doctor`, `otpverify_traffic`, `otpverify_inspect` and `otpverify_unlock`."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.contrib.auth.models import Permission
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import override_settings
from django_support import BASE
from support import PHONE, SECRET

from otpverify import CooldownActive, MemoryStore, Message, Receipt, SqliteStore, Verifier
from otpverify.core.fraud import Request
from otpverify.core.fraud_ledger import FraudKey
from otpverify.core.fraud_policy import FraudPolicy
from otpverify.core.policy import Policy
from otpverify.integrations.django import get_verifier
from otpverify.sandbox import Sandbox
from otpverify.testing import OutboxSender

MASKED = "+37*******45"


@pytest.fixture
def verifier(tmp_path: Path, outbox: OutboxSender) -> Iterator[Verifier]:
    """The site's, on a store that other processes share."""
    options = {"SECRET": SECRET, "SQLITE_PATH": str(tmp_path / "codes.db")}
    with override_settings(OTPVERIFY={**BASE, "SENDER": outbox, **options}):
        yield get_verifier()


def run(name: str, *args: str) -> str:
    out = io.StringIO()
    call_command(f"otpverify_{name}", *args, stdout=out)
    return out.getvalue()


def test_inspect_and_unlock(verifier: Verifier) -> None:
    for purpose in ("login", "phone"):
        verifier.start(PHONE, purpose=purpose)
    out = run("inspect", PHONE)
    assert out.startswith(f"{MASKED} at ")
    assert "\nPurpose: login\n  Wrong codes: 0 in the window" in out
    found = json.loads(run("inspect", PHONE, "--json", "--purpose", "login"))
    assert (found["phone"], len(found["purposes"])) == (MASKED, 1)
    cleared = run("unlock", PHONE, "--purpose", "login")
    assert cleared == f"{MASKED}: unlocked for the purpose login.\n"
    verifier.start(PHONE, purpose="login")
    with pytest.raises(CooldownActive):
        verifier.start(PHONE, purpose="phone")
    assert json.loads(run("unlock", PHONE, "--json"))["unlocked"] is True
    verifier.start(PHONE, purpose="phone")


def test_traffic(verifier: Verifier, tmp_path: Path) -> None:
    said = run("traffic", "--hours", "1")
    assert said == "Last hour\nNothing was counted. Traffic is counted where a FraudPolicy is on.\n"
    with SqliteStore(tmp_path / "codes.db") as store:
        key = FraudKey("p", "EE", "", "c")
        store.charge(key, Request(0.1), FraudPolicy().rules(Policy()))
    title, headings, country, total = run("traffic", "--hours", "1").splitlines()
    assert title.startswith("Last hour, since 20")
    assert headings == "country  sent  verified  conversion  refused  cost"
    assert country == "EE          1         0          0%        0  0.10"
    assert total == "all         1         0          0%        0  0.10"
    windows = json.loads(run("traffic", "--json"))["windows"]
    assert [window["hours"] for window in windows] == [1, 24, 336]


def test_what_cannot_run_says_so(verifier: Verifier) -> None:
    for name, *args in (
        ("inspect", "no number"),
        ("unlock", "no number"),
        ("traffic", "--hours", "0"),
    ):
        with pytest.raises(CommandError) as error:
            run(name, *args)
        assert PHONE not in str(error.value)


@pytest.mark.parametrize("command", [("inspect", PHONE), ("unlock", PHONE), ("traffic",)])
def test_without_a_shared_store_there_is_nothing_to_see(
    bare_environ: None, command: tuple[str, ...]
) -> None:
    with pytest.raises(CommandError, match=r'OTPVERIFY\["REDIS_URL"\] or OTPVERIFY\["SQLITE_PATH'):
        run(*command)


def test_the_model_of_the_permissions_asks_for_no_migration() -> None:
    """It has no table, and the project's own `makemigrations --check` passes."""
    call_command("makemigrations", check_changes=True, dry_run=True, verbosity=0)
    out, err = io.StringIO(), io.StringIO()
    call_command("check", stdout=out, stderr=err)
    assert "otpverify.Phone" not in out.getvalue() + err.getvalue()
    assert "otpverify_phone" not in connection.introspection.table_names()
    names = Permission.objects.filter(content_type__app_label="otpverify")
    assert {one.codename for one in names} == {"inspect_phone", "unlock_phone"}


def examined(**options: object) -> tuple[bool, list[str]]:
    """Whether all is well, and what the doctor says."""
    out = io.StringIO()
    try:
        with override_settings(OTPVERIFY={**BASE, **options}):
            call_command("otpverify_doctor", stdout=out)
    except CommandError:
        return False, out.getvalue().splitlines()
    return True, out.getvalue().splitlines()


def test_the_doctor_looks_at_the_settings_of_the_project(
    bare_environ: None, smspm_sandbox: Sandbox, tmp_path: Path
) -> None:
    environ = smspm_sandbox.environ
    account = {name: environ[f"SMSPM_{name}"] for name in ("HASH", "TOKEN", "URL")}
    shared = {"SECRET": SECRET, "SQLITE_PATH": str(tmp_path / "codes.db")}
    well, said = examined(**account, **shared, SENDER_ID="SMSPM.com")
    assert well
    assert said[0] == "  ok  Settings: a verifier can be made of them."
    assert any(line.startswith('warn  OTPVERIFY["URL"] leads to 127.0.0.1') for line in said)
    assert any(line.startswith('warn  OTPVERIFY["FRAUD"] is not set') for line in said)
    assert any(line.startswith("  ok  Store: SQLite") for line in said)
    assert "  ok  Gateway: 'SMSPM.com' is an approved sender ID." in said
    assert any(line.startswith("warn  Project: Several accounts may") for line in said)
    assert SECRET not in "".join(said)
    well, said = examined(**account, SENDER_ID="Unknown")
    assert any("'Unknown' is not an approved sender ID" in line for line in said)
    assert any(line.startswith('warn  OTPVERIFY["SECRET"] is not set') for line in said)
    assert any('OTPVERIFY["REDIS_URL"] is not set' in line for line in said)


def test_the_doctor_finds_what_is_wrong(bare_environ: None, smspm_sandbox: Sandbox) -> None:
    environ = smspm_sandbox.environ
    account = {name: environ[f"SMSPM_{name}"] for name in ("HASH", "TOKEN", "URL")}
    for wrong, sentence in (
        ({}, 'Set OTPVERIFY["HASH"]'),
        ({**account, "TOKEN": "another"}, "Gateway: "),
        ({**account, "REGION": "Estonia"}, 'OTPVERIFY["REGION"]'),
        ({**account, "REGOIN": "EE"}, "Did you mean 'REGION'?"),
        ({**account, "PHONE_FIELD": "telephone"}, "no field 'telephone'"),
        ({**account, "HUMAN_CHECK": "no.such.function"}, 'OTPVERIFY["HUMAN_CHECK"]'),
    ):
        well, said = examined(**wrong)
        assert not well
        assert any(line.startswith("fail") and sentence in line for line in said), said
    with override_settings(OTPVERIFY=5), pytest.raises(CommandError, match="must be a dict"):
        call_command("otpverify_doctor")


def test_the_doctor_asks_nothing_of_parts_of_ones_own(
    bare_environ: None, outbox: OutboxSender
) -> None:
    store = MemoryStore()
    well, said = examined(SENDER=outbox, STORE=store, SECRET=SECRET)
    assert well
    assert '  ok  Store: OTPVERIFY["STORE"] is set, and is not examined.' in said
    assert '  ok  Gateway: OTPVERIFY["SENDER"] is set, and is not examined.' in said
    verifier = Verifier(outbox)
    well, said = examined(GET_VERIFIER=lambda request: verifier)
    assert well
    assert not any("Gateway" in line for line in said)


def test_the_doctor_takes_a_sender_that_is_awaited(bare_environ: None) -> None:
    class Sender:
        async def send(self, message: Message) -> Receipt:
            return Receipt()

    assert examined(SENDER=Sender(), SECRET=SECRET)[0]
