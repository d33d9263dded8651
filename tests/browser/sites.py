"""The sites that the scenarios run against. To add one, add a `Kind` to `KINDS`."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

ROOT = Path(__file__).resolve().parents[2]
_CLOCK = Path(__file__).parent / "clock"
_PATIENCE_SECONDS = 60.0  # an upper bound for a machine that is busy; nothing takes so long
_A_DAY_AND_MORE = 100_000


@dataclass(frozen=True)
class Flow:
    """One flow of a site.

    Attributes:
        path: Where it begins.
        fields: What is typed on its first page, by the name of the field.
        phone: Where its codes go, in E.164.
        end: What the heading of its last page says.
        new_password: What is typed between the code and the end, if anything.
    """

    path: str
    fields: Mapping[str, str]
    phone: str
    end: str
    new_password: str = ""


@dataclass(frozen=True)
class Kind:
    """How one site is started, and how it words what the others word otherwise.

    Attributes:
        command: Starts it on free ports; it prints the site's address, then the sandbox's.
        flows: Its flows, by name.
        resend: The name of the button that sends another code.
    """

    command: tuple[str, ...]
    flows: Mapping[str, Flow]
    resend: str


DEMO = Kind(
    command=(sys.executable, "-m", "otpverify", "demo", "--port", "0", "--sandbox-port", "0"),
    flows={
        "login": Flow(
            path="/login",
            fields={"user": "customer", "password": "open sesame"},
            phone="+12025550123",
            end="You are signed in",
        ),
        "phone": Flow(
            path="/phone",
            fields={"phone": "5678 9045"},
            phone="+37256789045",
            end="Phone confirmed",
        ),
        "reset": Flow(
            path="/reset",
            fields={"phone": "+1 202 555 0123"},
            phone="+12025550123",
            end="Password changed",
            new_password="open sesame",  # the old one, so that the next login finds it
        ),
    },
    resend="Resend code",
)
FLASK = Kind(
    command=(
        *(sys.executable, "examples/flask_app/main.py"),
        *("--port", "0", "--sandbox-port", "0"),
    ),
    flows={name: replace(flow, path=f"/account{flow.path}") for name, flow in DEMO.flows.items()},
    resend="Resend code",
)
DJANGO = Kind(
    command=(
        *(sys.executable, "examples/django_project/main.py"),
        *("--port", "0", "--sandbox-port", "0"),
    ),
    flows={
        name: replace(
            flow,
            path=f"/account{flow.path}/",
            fields={"username" if k == "user" else k: v for k, v in flow.fields.items()},
        )
        for name, flow in DEMO.flows.items()
    },
    resend="Resend code",
)
KINDS = {"demo": DEMO, "flask": FLASK, "django": DJANGO}
FLOWS = ("login", "phone", "reset")


class Site:
    """A site in a process of its own, whose clock is moved.

    Attributes:
        kind: What it is.
        name: What it is called in `KINDS`.
        url: Its address.
        sandbox: The address of the sandbox that takes its messages.
    """

    def __init__(self, name: str) -> None:
        self.name, self.kind = name, KINDS[name]
        self._folder = tempfile.TemporaryDirectory(prefix="otpverify-")
        self._said = Path(self._folder.name, "output")
        self._clock = Path(self._folder.name, "clock")
        self._ahead = 0
        self.pass_time(0)
        path = os.pathsep.join([str(_CLOCK), str(ROOT), os.environ.get("PYTHONPATH", "")])
        environ = {
            **os.environ,
            "OTPVERIFY_TEST_CLOCK": str(self._clock),
            "PYTHONPATH": path,
            "PYTHONUNBUFFERED": "1",
        }
        with self._said.open("wb") as output:
            self._process = subprocess.Popen(
                self.kind.command,
                cwd=ROOT,
                env=environ,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        self.url = self.sandbox = ""

    def __enter__(self) -> Self:
        try:
            self.url, self.sandbox = self._addresses()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """End the process."""
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._folder.cleanup()

    def pass_time(self, seconds: int) -> None:
        """Move the site's clock on."""
        self._ahead += seconds
        new = self._clock.with_suffix(".new")
        new.write_text(str(self._ahead), encoding="ascii")
        new.replace(self._clock)

    def begin_anew(self) -> None:
        """Let all limits pass, and empty the inbox."""
        self.pass_time(_A_DAY_AND_MORE)
        self._ask("DELETE")

    def codes(self, count: int) -> list[str]:
        """The codes of all messages, the first one first, once there are `count`; "" is that of a
        notice. Some are sent behind the reply's back."""
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while len(messages := self._ask("GET")) < count:
            assert time.monotonic() < deadline, f"{len(messages)} messages came, not {count}"
            time.sleep(0.01)
        return [message["code"] or "" for message in reversed(messages)]

    def _ask(self, method: str) -> Any:
        request = urllib.request.Request(f"{self.sandbox}/messages", method=method)
        with _direct.open(request, timeout=_PATIENCE_SECONDS) as reply:
            body = reply.read()
        return json.loads(body) if method == "GET" else None

    def _addresses(self) -> tuple[str, str]:
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while True:
            said = self._said.read_text(encoding="utf-8", errors="replace")
            found = list(dict.fromkeys(re.findall(r"http://(?:127\.0\.0\.1|localhost):\d+", said)))
            # A line that is not whole yet may lack the last digits of its port.
            if len(found) >= 2 and said.endswith("\n"):
                return found[0], found[1]
            assert self._process.poll() is None, f"{self.name} ended:\n{said}"
            assert time.monotonic() < deadline, f"{self.name} did not say where it is:\n{said}"
            time.sleep(0.01)


_direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
