"""`otpverify doctor`, against a real server and the sandbox."""

from __future__ import annotations

import json
import os
import socket
import sqlite3
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from faulty_gateways import recording
from servers import Server, binaries, store_of, until
from support import PHONE, SECRET, Face, Mode

from otpverify.cli import main as cli
from otpverify.console import doctor
from otpverify.sandbox import Sandbox
from otpverify.settings import Settings
from otpverify.stores.redis.health import read_health
from otpverify.testing import OutboxSender


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    options = {
        "maxmemory": "64mb",
        "maxmemory-policy": "allkeys-lru",
        "requirepass": "the-password",
    }
    with Server(binaries()["valkey9"], options=options) as running:
        yield running


@pytest.fixture
def environ(smspm_sandbox: Sandbox) -> dict[str, str]:
    return {**smspm_sandbox.environ, "OTPVERIFY_SECRET": SECRET}


def examine(environ: dict[str, str]) -> Iterator[doctor.Finding]:
    return doctor.examine(Settings(environ=environ))


def grades(environ: dict[str, str], about: str) -> list[str]:
    return [grade for grade, sentence in examine(environ) if about in sentence]


def test_all_is_well_but_for_the_store(
    environ: dict[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in (
        "SMSPM_SENDER",
        "OTPVERIFY_REDIS_URL",
        "OTPVERIFY_SQLITE_PATH",
        "OTPVERIFY_REGION",
        "OTPVERIFY_FRAUD",
    ):
        monkeypatch.delenv(name, raising=False)
    for name, value in environ.items():
        monkeypatch.setitem(os.environ, name, value)
    assert cli.main(["doctor"]) == 0
    shown = capsys.readouterr().out
    assert shown.splitlines() == [
        "  ok  Settings: a verifier can be made of them.",
        "warn  SMSPM_URL leads to 127.0.0.1, a sandbox or a program on this machine or network: no "
        "SMS is sent. In production leave it out.",
        "warn  OTPVERIFY_FRAUD is not set: nothing bounds what SMS pumping costs. Set it to "
        "observe, and later to enforce.",
        "warn  OTPVERIFY_REDIS_URL is not set, nor is OTPVERIFY_SQLITE_PATH: every process has "
        "limits of its own.",
        "  ok  Gateway: the balance is EUR 12.34.",
        "  ok  Gateway: 'SMSPM.com' is an approved sender ID.",
    ]
    assert SECRET not in shown


@pytest.mark.parametrize(
    ("change", "about"),
    [
        ({"SMSPM_TOKEN": ""}, "Set SMSPM_TOKEN"),
        ({"SMSPM_TOKEN": "another"}, "unauthorized"),
        ({"OTPVERIFY_SECRET": "short"}, "at least 32 bytes"),
        ({"OTPVERIFY_SECRET": "\udcff" * 40}, "valid Unicode"),
        ({"OTPVERIFY_REGION": "Estonia"}, "region"),
        ({"OTPVERIFY_FRAUD": "on"}, "OTPVERIFY_FRAUD must be observe or enforce."),
        ({"SMSPM_SENDER": "MuchTooLongAName"}, "1 to 11 characters"),
        ({"OTPVERIFY_REDIS_URL": "redis://127.0.0.1:1"}, "Store: Redis (127.0.0.1:1) could not be"),
        ({"OTPVERIFY_REDIS_URL": "localhost"}, "A Redis URL begins"),
    ],
)
def test_what_is_wrong_is_a_failure(
    environ: dict[str, str], change: dict[str, str], about: str
) -> None:
    assert "fail" in grades(environ | change, about)


def test_protection_against_pumping_is_reported(environ: dict[str, str]) -> None:
    for value, grade, sentence in (
        ("", "warn", "nothing bounds what SMS pumping costs"),
        ("observe", "ok", "SMS pumping is observed"),
        ("enforce", "ok", "SMS pumping is refused."),
    ):
        assert grades(environ | {"OTPVERIFY_FRAUD": value}, "SMS pumping") == [grade]
        assert grades(environ | {"OTPVERIFY_FRAUD": value}, sentence) == [grade]
    assert grades(environ | {"OTPVERIFY_FRAUD": "on"}, "SMS pumping") == []


def test_a_file_is_looked_through(environ: dict[str, str], tmp_path: Path) -> None:
    path = tmp_path / "codes.db"
    environ["OTPVERIFY_SQLITE_PATH"] = str(path)
    (told,) = [finding for finding in examine(environ) if "Store:" in finding[1]]
    assert told == (
        "ok",
        f"Store: SQLite {sqlite3.sqlite_version}, {path.stat().st_size} bytes in {path}, for this "
        "machine alone.",
    )
    path.chmod(0o666)
    assert grades(environ, "Store: All users of this machine may use") == ["warn"]
    path.write_bytes(b"no database " * 1000)
    assert grades(environ, "is not an SQLite database, or is damaged") == ["fail", "fail"]
    environ["OTPVERIFY_REDIS_URL"] = "redis://127.0.0.1:1"
    assert grades(environ, "are both set") == ["fail"]
    assert grades(environ, "Store:") == []


def test_an_unapproved_sender_id_is_told(environ: dict[str, str]) -> None:
    (told,) = [f for f in examine(environ | {"SMSPM_SENDER": "Unknown"}) if "Unknown" in f[1]]
    assert told == (
        "warn",
        "Gateway: 'Unknown' is not an approved sender ID, so messages may fail. "
        "Approved are: SMSPM.com, MyApp.",
    )


def test_a_sender_id_that_is_too_long_is_a_finding_of_its_own(environ: dict[str, str]) -> None:
    found = list(examine(environ | {"SMSPM_SENDER": "TwelveLetter"}))
    assert (
        "fail",
        "Gateway: SMSPM_SENDER is 'TwelveLetter', of 12 characters; an alphanumeric sender ID has "
        "at most 11 (GSM 03.40). Approved are: SMSPM.com, MyApp.",
    ) in found
    assert ("ok", "Gateway: the balance is EUR 12.34.") in found
    numeric = examine(environ | {"SMSPM_SENDER": "372567890451"})
    assert [grade for grade, said in numeric if "372567890451" in said] == ["warn"]


@pytest.mark.parametrize(
    ("reply", "grade", "said"),
    [
        ({"balance": 5}, "ok", "the balance is EUR 5.00."),
        ({"balance": 4.99}, "warn", "the balance is EUR 4.99. That is low"),
        ({"balance": -1}, "warn", "the balance is EUR -1.00. That is low"),
        ({"balance": 9, "stale": True}, "warn", "was EUR 9.00 when it was last known"),
        ({"balance": 1, "stale": True}, "warn", "no current figure. That is low"),
        ({"balance": None}, "fail", "holds no balance"),
    ],
)
def test_the_balance_is_told(
    environ: dict[str, str], reply: dict[str, object], grade: str, said: str
) -> None:
    with recording() as gateway:
        gateway.body = json.dumps(reply | {"senders": []}).encode()
        found = list(examine(environ | {"SMSPM_URL": gateway.url}))
    assert [mark for mark, sentence in found if said in sentence] == [grade]
    if grade != "fail":
        assert found[-1][0] == "warn"
        assert found[-1][1].endswith("None is approved.")


def test_a_store_that_may_evict_is_told(environ: dict[str, str], server: Server) -> None:
    url = {"OTPVERIFY_REDIS_URL": f"redis://:the-password@127.0.0.1:{server.port}"}
    assert grades(environ | url, "valkey 9") == ["ok"]
    assert grades(environ | url, "may evict live challenges") == ["warn"]
    assert grades(environ | url, "appendonly is off") == ["warn"]
    wrong = {"OTPVERIFY_REDIS_URL": f"redis://:another@127.0.0.1:{server.port}"}
    assert grades(environ | wrong, "refused the credentials") == ["fail"]
    assert not [s for _, s in examine(environ | wrong) if "another" in s or "the-password" in s]


@pytest.mark.parametrize(
    ("rights", "grade", "said"),
    [
        ("~otpverify:* +evalsha +eval +get +mget +set +psetex +del +time +info", "ok", "valkey 9"),
        ("~otpverify:* +evalsha +eval +get +mget +set +psetex +del +time", "warn", "INFO"),
        ("~otpverify:* +info", "fail", "permissions"),
        ("~another:* +evalsha +eval +get +mget +time +info", "fail", "permissions"),
    ],
)
def test_what_a_user_may_do_is_tried(
    environ: dict[str, str], server: Server, rights: str, grade: str, said: str
) -> None:
    """The first two are the rights that README names."""
    with server.client() as client:
        client.execute_command("ACL SETUSER", "app", "reset", "on", ">the-secret", *rights.split())
        environ["OTPVERIFY_REDIS_URL"] = f"redis://app:the-secret@127.0.0.1:{server.port}"
        found = [finding for finding in examine(environ) if "Store:" in finding[1]]
        client.execute_command("ACL DELUSER", "app")
    assert found[0][0] == grade
    assert said in found[0][1]


def test_the_first_connection_warns_once(
    mode: Mode, server: Server, outbox: OutboxSender, caplog: pytest.LogCaptureFixture
) -> None:
    with store_of(mode, f"redis://:the-password@127.0.0.1:{server.port}") as store:
        verifier: Face = mode.make(outbox, store=store, secret=SECRET)
        challenge = verifier.start(PHONE, client_ip="192.0.2.1", purpose=mode.name)
        verifier.check(PHONE, outbox.code(), challenge=challenge.id, purpose=mode.name)
    warned = [record for record in caplog.records if "allkeys-lru" in record.getMessage()]
    assert len(warned) == 1


@pytest.fixture(scope="module")
def shards() -> Iterator[tuple[Server, Server]]:
    """A cluster of two primaries, each with half of the slots."""
    options = {"cluster-enabled": "yes"}
    with (
        Server(binaries()["valkey9"], options=options) as one,
        Server(binaries()["valkey9"], options=options) as other,
        one.client() as first,
        other.client() as second,
    ):
        first.execute_command("CLUSTER ADDSLOTSRANGE", 0, 8_191)
        second.execute_command("CLUSTER ADDSLOTSRANGE", 8_192, 16_383)
        first.execute_command("CLUSTER MEET", "127.0.0.1", other.port)
        for client in (first, second):
            until(partial(knows_both, client))
        yield one, other


def knows_both(client: Any) -> bool:
    info = client.cluster("info")
    return (info["cluster_state"], info["cluster_known_nodes"]) == ("ok", "2")


@pytest.mark.parametrize("evicting", [0, 1])
def test_every_shard_of_a_cluster_is_asked(
    mode: Mode,
    shards: tuple[Server, Server],
    outbox: OutboxSender,
    environ: dict[str, str],
    caplog: pytest.LogCaptureFixture,
    evicting: int,
) -> None:
    for place, shard in enumerate(shards):
        with shard.client() as client:
            client.flushall()
            policy = "volatile-ttl" if place == evicting else "noeviction"
            client.config_set("maxmemory-policy", policy)
    url = f"redis+cluster://127.0.0.1:{shards[0].port}"
    with store_of(mode, url) as store:
        mode.make(outbox, store=store, secret=SECRET).start(PHONE, purpose=mode.name)
    assert sum("volatile-ttl" in record.getMessage() for record in caplog.records) == 1
    told = [said for _, said in examine(environ | {"OTPVERIFY_REDIS_URL": url})]
    evicts = [said for said in told if "may evict" in said]
    assert len(evicts) == 1
    assert f":{shards[evicting].port}: maxmemory-policy is volatile-ttl" in evicts[0]


@pytest.mark.parametrize(
    ("info", "warnings"),
    [
        ({}, 2),
        ({"redis_version": "6.0.20", "maxmemory_policy": "noeviction", "aof_enabled": 1}, 1),
        ({"redis_version": "7.2.0", "maxmemory_policy": "noeviction", "aof_enabled": 1}, 0),
        ({"redis_version": "x", "maxmemory_policy": "volatile-ttl", "aof_enabled": 1}, 1),
        ({"n": {"redis_version": "7.0", "maxmemory_policy": "noeviction", "aof_enabled": 1}}, 0),
        ({"redis_version": "7", "maxmemory_policy": "noeviction", "role": "slave"}, 2),
        (None, 2),
    ],
)
def test_reading_what_a_server_says(info: object, warnings: int) -> None:
    assert len(read_health(info).warnings) == warnings


def test_plain_http_on_a_private_network_is_a_warning(environ: dict[str, str]) -> None:
    private = {**environ, "SMSPM_URL": "http://sandbox.test:1"}
    assert grades(private, "SMSPM_ALLOW_INSECURE") == ["fail"], "it is not allowed"
    allowed = {**private, "SMSPM_ALLOW_INSECURE": "1"}
    assert grades(allowed, "SMSPM_ALLOW_INSECURE") == ["warn"]
    assert grades(environ, "SMSPM_ALLOW_INSECURE") == []


@pytest.fixture
def silent() -> Iterator[int]:
    """A port that accepts connections, and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("redis://:the-secret@127.0.0.1:1", "Tried: 127.0.0.1:1 (connection refused)."),
        ("redis://:the-secret@[::1]:1/0", "Tried: [::1]:1 ("),
        (
            "rediss://user:the-secret@no-such-host.invalid",
            "Tried: no-such-host.invalid:6379 (its name could not be resolved (DNS)).",
        ),
        (
            "redis+sentinel://:the-secret@127.0.0.1:1,127.0.0.1:2/main",
            "Tried: 127.0.0.1:1 (connection refused), 127.0.0.1:2 (connection refused).",
        ),
        ("redis+cluster://:the-secret@127.0.0.1:1", "Tried: 127.0.0.1:1 (connection refused)."),
        (
            "unix://:the-secret@/no/such/socket",
            "Tried: /no/such/socket (there is no such socket).",
        ),
    ],
)
def test_the_address_of_a_store_and_the_reason_are_shown(
    environ: dict[str, str], url: str, said: str
) -> None:
    found = list(examine(environ | {"OTPVERIFY_REDIS_URL": url}))
    assert [mark for mark, sentence in found if said in sentence] == ["fail"]
    assert not [sentence for _, sentence in found if "the-secret" in sentence]


def test_a_store_that_is_silent_or_speaks_no_tls_is_shown(
    environ: dict[str, str], silent: int, server: Server
) -> None:
    found = examine(environ | {"OTPVERIFY_REDIS_URL": f"redis://127.0.0.1:{silent}"})
    (store,) = [sentence for _, sentence in found if sentence.startswith("Store:")]
    assert store == f"Store: Redis did not answer in time. Tried: 127.0.0.1:{silent}."
    found = examine(environ | {"OTPVERIFY_REDIS_URL": f"rediss://127.0.0.1:{server.port}"})
    (store,) = [sentence for _, sentence in found if sentence.startswith("Store:")]
    assert f"Tried: 127.0.0.1:{server.port} (TLS: no encrypted connection" in store
    wrong = f"redis://:the-secret@127.0.0.1:{server.port}"
    found = examine(environ | {"OTPVERIFY_REDIS_URL": wrong})
    (store,) = [sentence for _, sentence in found if sentence.startswith("Store:")]
    assert "refused the credentials" in store
    assert f"Tried: 127.0.0.1:{server.port}." in store


def test_the_address_of_the_gateway_and_the_reason_are_shown(environ: dict[str, str]) -> None:
    for change, said in (
        ({"SMSPM_URL": "http://127.0.0.1:1"}, "(127.0.0.1:1) could not be reached: connection ref"),
        ({"SMSPM_URL": "https://no-such-host.invalid"}, "(no-such-host.invalid:443) could not be"),
        ({"SMSPM_TOKEN": "wrong"}, f"Tried: {environ['SMSPM_URL'].removeprefix('http://')}."),
    ):
        found = list(examine(environ | change))
        assert [mark for mark, sentence in found if said in sentence] == ["fail"]


def test_local_addresses_are_pointed_out(environ: dict[str, str]) -> None:
    local = environ | {"SMSPM_REPORT_URL": "http://localhost:8000/sms/report"}
    found = [s for mark, s in examine(local) if mark == "warn" and "leads to" in s]
    assert [sentence.split()[:4] for sentence in found] == [
        ["SMSPM_URL", "leads", "to", "127.0.0.1,"],
        ["SMSPM_REPORT_URL", "leads", "to", "localhost,"],
    ]
    public = local | {
        "SMSPM_URL": "https://no-such-host.invalid",
        "SMSPM_REPORT_URL": "https://app.example/sms/report",
    }
    assert not [s for _, s in examine(public) if "leads to" in s]


def test_every_mistake_is_a_finding_of_its_own(environ: dict[str, str]) -> None:
    wrong = {"OTPVERIFY_SECRET": "short", "OTPVERIFY_REGION": "Estonia", "SMSPM_TOKN": "x"}
    found = [s for mark, s in examine(environ | wrong) if mark == "fail"]
    assert [sentence.split()[1] for sentence in found] == [
        "There",
        "OTPVERIFY_SECRET:",
        "OTPVERIFY_REGION:",
    ]
    assert "Did you mean 'SMSPM_TOKEN'?" in found[0]
