"""A password reset under gunicorn with gevent workers, from the form to the new password: real
workers, the real client, and the sandbox as the gateway."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from html import unescape
from importlib.util import find_spec
from pathlib import Path
from typing import TypeVar

import httpx2
import pytest
from support import fixture_secret, long_form, missing

from otpverify.sandbox import Sandbox
from otpverify.sandbox.outbox import find_code

T = TypeVar("T")
PATIENCE_SECONDS = 60
KNOWN = [f"+3725678{nth:04d}" for nth in range(6)]
STRANGER = "+37256789999"
APP = """
import json, os
from flask import Flask
from otpverify.integrations.flask import OtpVerify

app = Flask("site")
app.config["SECRET_KEY"] = os.environ["OTPVERIFY_SECRET"]
otp = OtpVerify(app)
known = json.loads(os.environ["KNOWN"])

@otp.find_accounts
def find_accounts(phone):
    return phone if phone in known else None

@otp.set_password
def set_password(account, password):
    with open(os.environ["PASSWORDS"], "a") as file:
        file.write(json.dumps([account, password]) + "\\n")

app.register_blueprint(otp.blueprint("reset"))
"""


def within(look: Callable[[], T | None], log: Path) -> T:
    """What it gives, once it gives something."""
    end = time.monotonic() + PATIENCE_SECONDS
    while (found := look()) is None:
        assert time.monotonic() < end, log.read_text()
        time.sleep(0.005)
    return found


@pytest.fixture(params=[pytest.param(False, marks=long_form), True], ids=["each", "preload"])
def site(
    request: pytest.FixtureRequest, tmp_path: Path, smspm_sandbox: Sandbox
) -> Iterator[Callable[[], httpx2.Client]]:
    for name in ("gunicorn", "gevent"):
        if find_spec(name) is None:
            missing(f"{name} is not installed")
    (tmp_path / "shop.py").write_text(APP)
    place, log = tmp_path / "socket", tmp_path / "log"
    options = [f"--bind=unix:{place}", "--workers=2", "--no-control-socket", "-k", "gevent"]
    environ = {
        **os.environ,
        **smspm_sandbox.environ,
        "PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[3]), *sys.path]),
        "OTPVERIFY_SECRET": fixture_secret("gevent"),
        "OTPVERIFY_SQLITE_PATH": str(tmp_path / "codes.db"),
        "KNOWN": json.dumps(KNOWN),
        "PASSWORDS": str(tmp_path / "passwords"),
    }

    def client() -> httpx2.Client:
        transport = httpx2.HTTPTransport(uds=str(place))
        return httpx2.Client(
            transport=transport, base_url="http://site.example", timeout=PATIENCE_SECONDS
        )

    def started() -> bool | None:
        assert process.poll() is None, log.read_text()
        return place.exists() or None

    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "gunicorn", "shop:app", *options]
            + (["--preload"] if request.param else []),
            cwd=tmp_path,
            env=environ,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        within(started, log)
        yield client
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def send(client: httpx2.Client, page: str, **fields: str) -> httpx2.Response:
    """Send the form of a page."""
    hidden = r'<input type="hidden" name="([^"]+)" value="([^"]*)">'
    found = re.findall(hidden, client.get(page, follow_redirects=True).text)
    data = {name: unescape(value) for name, value in found}
    return client.post(page, data={**data, **fields}, follow_redirects=True)


def test_a_password_is_reset_under_gevent(
    site: Callable[[], httpx2.Client], smspm_sandbox: Sandbox, tmp_path: Path
) -> None:
    def code_for(phone: str) -> str | None:
        texts = [one.text for one in smspm_sandbox.messages if one.to == phone]
        return find_code(texts[-1]) if texts else None

    def reset(phone: str) -> None:
        with site() as client:
            page = send(client, "/reset", phone=phone)
            assert page.url.path == "/reset/code"
            code = within(lambda: code_for(phone), tmp_path / "log")
            page = send(client, "/reset/code", code=code)
            assert page.url.path == "/reset/password"
            page = send(client, "/reset/password", password=f"new, of {phone}")
            assert page.url.path == "/reset/done", page.text

    with ThreadPoolExecutor(len(KNOWN)) as threads:
        list(threads.map(reset, KNOWN))
    with site() as client:
        assert send(client, "/reset", phone=STRANGER).url.path == "/reset/code"
    lines = (tmp_path / "passwords").read_text().splitlines()
    assert sorted(map(json.loads, lines)) == [[phone, f"new, of {phone}"] for phone in KNOWN]
    assert sorted(one.to for one in smspm_sandbox.messages) == KNOWN
    assert "Traceback" not in (tmp_path / "log").read_text()
