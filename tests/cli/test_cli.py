"""The command line, in this process and as a process of its own."""

from __future__ import annotations

import argparse
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests

from otpverify import Message, Receipt, __version__, demo
from otpverify.cli import main as cli
from otpverify.demo import script
from otpverify.sandbox import Sandbox

COMMAND = [sys.executable, "-W", "error", "-m", "otpverify"]


@pytest.fixture(autouse=True)
def no_signal_handlers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of the test run stay."""
    monkeypatch.setattr(cli, "_take_signals", lambda: None)


@contextmanager
def running(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [*COMMAND, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def address(process: subprocess.Popen[str], name: str) -> str:
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith(name):
            return line.split()[1]
    raise AssertionError(f"no {name} was printed")


def test_secret_prints_a_new_one_each_time(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["secret"]) == 0
    assert cli.main(["secret"]) == 0
    first, second = capsys.readouterr().out.splitlines()
    assert first != second
    assert re.fullmatch(r"[\w-]{43}", first)


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_:
        cli.main(["--version"])
    assert exit_.value.code == 0
    assert capsys.readouterr().out == f"otpverify {__version__}\n"


def test_without_arguments_it_helps(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([]) == 0
    out = capsys.readouterr().out
    for command in ("sandbox", "demo", "secret"):
        assert command in out


@pytest.mark.parametrize(
    "arguments", [["nothing"], ["demo", "--port", "70000"], ["demo", "--host", "0.0.0.0"]]
)
def test_arguments_that_make_no_sense(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as exit_:
        cli.main(arguments)
    assert exit_.value.code == 2
    assert "usage:" in capsys.readouterr().err


NOT_WHOLE = ["", "x", "-1", "1.5", "1e2", "nan", "inf", "0x10", " 5", "1_0", "9" * 20, "9" * 5000]
SEND = ("send-bulk", "numbers.csv", "--text", "The bus leaves at eight.")
LINT = ("lint-message", "{code} is your code.")
# Every option that takes a number, and what it refuses beside what is not a whole number.
NUMERIC = {
    ("sandbox", "--port"): (("sandbox",), [*NOT_WHOLE, "65536"]),
    ("demo", "--port"): (("demo",), [*NOT_WHOLE, "65536"]),
    ("demo", "--sandbox-port"): (("demo",), [*NOT_WHOLE, "65536"]),
    ("traffic", "--hours"): (("traffic",), [*NOT_WHOLE, "0", "337"]),
    ("lint-message", "--max-segments"): (LINT, [*NOT_WHOLE, "0", "256"]),
    ("send-bulk", "--batch-size"): (SEND, [*NOT_WHOLE, "0", "101"]),
    ("send-bulk", "--concurrency"): (SEND, [*NOT_WHOLE, "0", "33"]),
    ("send-bulk", "--rate"): (
        SEND,
        ["", "x", "-1", "0", "-0.0", "nan", "inf", "1e400", "1e-5", "1e-300", "0x10"],
    ),
}


@pytest.mark.parametrize(
    ("option", "arguments", "value"),
    [
        (option, arguments, value)
        for (_, option), (arguments, values) in NUMERIC.items()
        for value in values
    ],
    ids=lambda value: value[:12] if isinstance(value, str) else value[0],
)
def test_a_number_out_of_range_is_a_usage_error(
    option: str,
    arguments: tuple[str, ...],
    value: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as exit_:
        cli.main([*arguments, option, value])
    assert exit_.value.code == 2
    out, error = capsys.readouterr()
    assert out == ""
    last = error.splitlines()[-1]
    assert re.search(rf"error: argument {option}: must be a (whole )?number .*\d$|one a day", last)
    assert len(last) < 200
    assert list(tmp_path.iterdir()) == []


def test_every_option_that_takes_a_number_is_in_the_table() -> None:
    (commands,) = (a for a in cli._parser()._actions if isinstance(a, argparse._SubParsersAction))
    numeric = {
        (name, action.option_strings[0])
        for name, command in commands.choices.items()
        for action in command._actions
        if action.type not in (None, Path)
    }
    assert numeric == set(NUMERIC)


def test_an_error_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        assert cli.main(["sandbox", "--port", str(taken.getsockname()[1])]) == 2
    error = capsys.readouterr().err
    assert error.startswith("otpverify: ")
    assert error.count("\n") == 1


def test_the_usual_sandbox_port_when_taken_is_another(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(cli, "_until_stopped", lambda: None)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        monkeypatch.setattr(cli, "SANDBOX_PORT", taken.getsockname()[1])
        assert cli.main(["sandbox"]) == 0
        assert f":{taken.getsockname()[1]}/" not in capsys.readouterr().out


def test_a_missing_extra_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in [name for name in sys.modules if name.startswith("otpverify.demo")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "flask", None)
    assert cli.main(["demo"]) == 2
    error = capsys.readouterr().err
    assert "flask is not installed" in error
    assert "The demo needs the extra 'demo': pip install 'otpverify[demo]'" in error
    assert "in a clone: pip install '.[demo]'" in error


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_the_sandbox_runs_until_it_is_stopped(stop: signal.Signals) -> None:
    with running("sandbox", "--port", "0", "--dialect", "tutorial") as process:
        url = address(process, "Sandbox")
        assert requests.get(f"{url}/messages", timeout=30).json() == []
        assert process.stdout is not None
        exports = [process.stdout.readline() for _ in range(5)]
        assert f"export SMSPM_URL={url}\n" in exports
        assert {line.split("=")[0] for line in exports if line.startswith("export")} == {
            "export SMSPM_HASH",
            "export SMSPM_TOKEN",
            "export SMSPM_URL",
        }
        process.send_signal(stop)
        _, error = process.communicate(timeout=60)
        assert (process.returncode, error) == (0, "")


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_the_demo_runs_until_it_is_stopped(stop: signal.Signals) -> None:
    with running("demo", "--port", "0", "--sandbox-port", "0") as process:
        site, inbox = address(process, "Demo"), address(process, "Inbox")
        with requests.Session() as kept_open:
            assert kept_open.get(f"{site}/phone", timeout=30).ok
            assert kept_open.get(inbox, timeout=30).ok
            process.send_signal(stop)
            _, error = process.communicate(timeout=60)
        assert (process.returncode, error) == (0, "")


def test_the_script_runs_four_flows() -> None:
    done = subprocess.run(
        [*COMMAND, "demo", "--script"], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.endswith("\n4 flows, 4 as they should be\n")
    assert done.stderr == ""
    assert "12025550123" not in done.stdout


class Dropping:
    """A sender that loses every message."""

    def send(self, message: Message) -> Receipt:
        return Receipt()


def test_the_script_sees_that_no_message_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    # Each request for the inbox may take as long.
    monkeypatch.setattr(script, "_ARRIVAL_SECONDS", 0.5)
    said: list[str] = []
    assert script.run(said.append, sender=Dropping()) is False
    assert said[-1] == "4 flows, 0 as they should be"
    assert sum("failed: no message came" in line for line in said) == 4


def test_the_script_sees_that_a_reset_tells_too_much() -> None:
    said: list[str] = []
    with Sandbox() as sandbox, sandbox.client() as client:

        class Telling:
            """Sends every message to the unknown number, too."""

            def send(self, message: Message) -> Receipt:
                client.send(Message("+12025550199", message.text))
                return client.send(message)

        with demo.Site(sandbox, sender=Telling()) as site:
            walk = script.Walk(site.url, sandbox.url, said.append)
            with pytest.raises(script.Unexpected, match="only the known number"):
                script.password_reset(walk)
    assert said[-1].startswith("  2. not so:")


def test_a_failed_flow_is_exit_code_1(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo, "run", lambda _: False)
    assert cli.main(["demo", "--script"]) == 1


def test_a_script_that_is_interrupted_has_not_ended_as_it_should(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def interrupted(_say: object) -> bool:
        raise KeyboardInterrupt

    monkeypatch.setattr("otpverify.demo.run", interrupted)
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        assert cli.main(["demo", "--script"]) == 130
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)


@pytest.mark.parametrize("port", ["abc", "-1", "65536", "8.5", "", "\u00b2"])
def test_a_port_that_is_not_one(port: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(["sandbox", f"--port={port}"])
    assert ended.value.code == 2
    assert "--port: must be a whole number from 0 to 65535" in capsys.readouterr().err
