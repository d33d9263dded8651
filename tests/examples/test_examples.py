"""Every example runs as its first lines say, and ends as it should."""

from __future__ import annotations

import importlib
import re
import socket
import subprocess
import sys
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest
from support import long_form

ROOT = Path(__file__).parents[2]
LAST_LINES = {
    "login_second_factor.py": ["wrong code, 4 attempts left", "signed in"],
    "phone_confirmation.py": ["send again in 60 seconds", "confirmed +37256789045"],
    "password_reset.py": [
        "too short, try another",
        "password changed",
        "If this number has an account, a code is on its way.",
        "refused: That code is incorrect.",
    ],
    "sqlite_store.py": [
        "refused: That code is incorrect.",
        "accepted +37256789045",
        "refused: The code has expired. Request a new one.",
    ],
}


# All but what the programs share.
EXAMPLES = sorted(set((ROOT / "examples").glob("*.py")) - {ROOT / "examples" / "runner.py"})


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_example(path: Path) -> None:
    assert f"python examples/{path.name}" in path.read_text()
    done = subprocess.run(
        [sys.executable, "-W", "error", f"examples/{path.name}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    expected = LAST_LINES[path.name]
    assert done.stdout.splitlines()[-len(expected) :] == expected


SHORT = ("flask_app", "fastapi_app")
"""What the short form starts; the others take seconds, and have tests of their own."""


def sites(*names: str) -> list[object]:
    """Names, of which the short form takes those of `SHORT`."""
    return [pytest.param(name, marks=() if name in SHORT else long_form) for name in names]


PROGRAMS = {
    "celery_worker": [
        "queued while no worker runs; nobody can read it there",
        "a code arrived through the worker, and signed in",
        "the code that expired in the queue was not sent",
        "the gateway was busy: tried again, and arrived",
        "the gateway refused a number: its send was given back at once",
        "150 people were sent one text in bulk, once, though it was queued three times",
        "no code and no number in the worker's log",
    ],
    "fastapi_app": [
        "login:  refused: Enter the digits from the message. This did not count as an attempt.",
        "login:  signed in as customer",
        "login:  remembered, signed in as customer",
        "phone:  refused: Cooldown active while a code is pending",
        "phone:  confirmed +12025550124",
        "payment: paid 25.00 EUR",
        "reset:  the same reply with and without an account: True",
        "reset:  password changed, other sessions ended",
        "sign-in: signed in by phone as customer",
    ],
    "django_project": [
        "login: You are signed in",
        "phone: Phone confirmed",
        "reset: Password changed",
        "signed in before: Sign in",
        "sign-up: You are signed in",
        "sign-in: You are signed in",
        "payment: Paid 40.00 EUR to Bookshop",
        "remembered: You are signed in",
        "change of phone: Phone confirmed",
        "backup code: You are signed in",
    ],
    "flask_app": [
        "login:   You are signed in",
        "phone:   Phone confirmed",
        "reset:   Password changed",
        "payment: Paid 40.00 EUR to Bookshop",
        "sign-up: You are signed in",
        "remembered: You are signed in",
        "change of phone: +12025550188 is confirmed.",
        "backup code: You are signed in",
    ],
}
"""What each program with a folder of its own says when it plays its part by itself."""


@pytest.mark.parametrize("name", sites(*PROGRAMS))
def test_program(name: str) -> None:
    path = f"examples/{name}/main.py"
    assert f"python {path} --script" in (ROOT / path).read_text()
    done = subprocess.run(
        [sys.executable, "-W", "error", path, "--script"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == PROGRAMS[name]


@pytest.mark.parametrize("name", sites("django_project", "fastapi_app", "flask_app", "wsgi_app"))
def test_a_site_takes_a_free_port_when_the_usual_one_is_in_use(name: str) -> None:
    usual = 5000 if name == "flask_app" else 8000
    with ExitStack() as stack:
        with suppress(OSError):  # if another program has the port, that is as good
            stack.enter_context(socket.create_server(("127.0.0.1", usual)))
        process = stack.enter_context(
            subprocess.Popen(
                [sys.executable, f"examples/{name}/main.py"],
                cwd=ROOT,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
            )
        )
        try:
            assert process.stdout is not None
            said = process.stdout.readline() + process.stdout.readline()
            site = re.search(r"(?:Site|Page): +(http://127\.0\.0\.1:(\d+))", said)
            assert site is not None
            assert int(site[2]) != usual
        finally:
            process.kill()


def test_two_that_start_at_once_get_two_ports(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither serves anything yet when the other chooses."""
    monkeypatch.syspath_prepend(str(ROOT))
    options = importlib.import_module("examples.runner").options
    monkeypatch.setattr(sys, "argv", ["main.py"])
    with socket.create_server(("127.0.0.1", 0)) as usual:
        port = usual.getsockname()[1]
    with options("", port).listening as one, options("", port).listening as other:
        assert one.getsockname()[1] == port
        assert other.getsockname()[1] != port


@pytest.mark.parametrize("name", sites("django_project", "fastapi_app", "flask_app"))
def test_a_port_that_was_asked_for_and_is_in_use_is_named(name: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = subprocess.run(
            [sys.executable, f"examples/{name}/main.py", "--port", port],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert done.returncode == 2
    assert done.stderr.endswith(
        f"error: port {port} cannot be used: choose another, or 0 for a free one\n"
    )
