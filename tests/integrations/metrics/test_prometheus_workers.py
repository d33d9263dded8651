"""One scrape of two workers of gunicorn shows what both of them counted."""

from __future__ import annotations

import contextlib
import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families
from support import fixture_secret

PATIENCE_SECONDS = 60
APP = """
import os
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector
from otpverify import HmacHasher, Policy, SqliteStore, Verifier
from otpverify.integrations.prometheus import PrometheusMetrics
from otpverify.testing import OutboxSender

outbox = OutboxSender()
verifier = Verifier(
    outbox,
    store=SqliteStore(os.environ["FILE"]),
    policy=Policy(resend_cooldown_seconds=0, sends_per_phone=()),
    hasher=HmacHasher(),
    secret=os.environ["SECRET"],
    on_event=PrometheusMetrics(["verify"], countries=["EE"]),
)

def app(environ, start_response):
    start_response("200 OK", [])
    if environ["PATH_INFO"] == "/metrics":
        registry = CollectorRegistry()
        MultiProcessCollector(registry)
        return [generate_latest(registry)]
    started = verifier.start("+37256789045")
    verifier.check(started.phone, outbox.code(), challenge=started.id)
    return [str(os.getpid()).encode()]
"""


class UnixConnection(http.client.HTTPConnection):
    """HTTP over a Unix socket: needs no port."""

    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=PATIENCE_SECONDS)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(PATIENCE_SECONDS)
        self.sock.connect(str(self._path))


def ask(path: Path, page: str) -> str | None:
    """The reply, or `None` as long as nobody replies."""
    with (
        contextlib.closing(UnixConnection(path)) as connection,
        contextlib.suppress(OSError, http.client.HTTPException),
    ):
        connection.request("GET", page)
        return connection.getresponse().read().decode()
    return None


@pytest.mark.parametrize("preload", [False, True], ids=["each", "preload"])
def test_one_scrape_shows_both_workers(tmp_path: Path, preload: bool) -> None:
    pytest.importorskip("gunicorn")
    (tmp_path / "shop.py").write_text(APP)
    (tmp_path / "metrics").mkdir()
    place = tmp_path / "socket"
    options = [f"--bind=unix:{place}", "--workers=2", "--no-control-socket"]
    options += ["--preload"] if preload else []
    environ = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[3]), *sys.path]),
        "PROMETHEUS_MULTIPROC_DIR": str(tmp_path / "metrics"),
        "FILE": str(tmp_path / "codes.db"),
        "SECRET": fixture_secret("workers"),
    }
    log = tmp_path / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "gunicorn", "shop:app", *options],
            cwd=tmp_path,
            env=environ,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        pids: list[str] = []
        end = time.monotonic() + PATIENCE_SECONDS
        while len(set(pids)) < 2 or len(pids) < 10:
            assert time.monotonic() < end, log.read_text()
            assert process.poll() is None, log.read_text()
            reply = ask(place, "/")
            if reply is None:
                time.sleep(0.005)
            else:
                pids.append(reply)
        page = ask(place, "/metrics")
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    assert page is not None
    assert all(pid.isdecimal() for pid in pids), log.read_text()
    found = {
        (sample.name, *sorted(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(page)
        for sample in family.samples
    }
    assert found["otpverify_sends_total", "EE", "sent", "verify"] == len(pids)
    assert found["otpverify_verifications_total", "EE", "verified", "verify"] == len(pids)
    assert found["otpverify_operation_duration_seconds_count", "check", "verified"] == len(pids)
    assert found["otpverify_verification_latency_seconds_count", "EE"] == len(pids)
    assert found["otpverify_verifications_total", "EE", "IncorrectCode", "verify"] == 0
