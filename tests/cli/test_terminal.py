"""What commands print is safe for a terminal, and may end in a pipe that nobody reads."""

from __future__ import annotations

import io
import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest

from otpverify import ConfigurationError
from otpverify.cli import main as cli
from otpverify.cli.terminal import OutputLost, complain, printable, printable_logs, say
from otpverify.sandbox import Sandbox


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("plain, Grüße, код, 验证码, \U0001f600", "plain, Grüße, код, 验证码, \U0001f600"),
        ("می\u200cخواهم", "می\u200cخواهم"),  # Persian needs its joiners
        ("\x1b]0;title\x07\x1b[31mred\x1b[0m", "]0;title[31mred[0m"),
        ("\x9b31mred", "31mred"),
        ("one\nok  forged\r\ttab", "one ok  forged  tab"),
        ("line\u2028separator", "line separator"),
        ("file\u202egnp.exe\u2069", "filegnp.exe"),
        ("name-\udcff", "name-"),
        ("nul\0delete\x7f", "nuldelete"),
    ],
)
def test_what_steers_a_terminal_is_left_out(given: str, shown: str) -> None:
    assert printable(given) == shown


def test_lines_and_errors_are_printable(capsys: pytest.CaptureFixture[str]) -> None:
    say("\x1b[2Jgateway\nsays")
    complain("\x1b[2Jserver\nsays")
    assert tuple(capsys.readouterr()) == ("[2Jgateway says\n", "[2Jserver says\n")


def test_an_error_that_names_a_file_is_printable(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["lint-message", "--file", "\x1b[31mno\nfile"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("otpverify: [31mno file cannot be read")
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ["lint-message", "text", "\x1b[31mno\nfile"],
        ["send-bulk", "list.csv", "--text", "hi", "\x1b[31m.csv"],
        ["\x1b[31m"],
        ["demo", "--port", "\x1b[31m"],
    ],
)
def test_wrong_arguments_are_printable(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        cli.main(arguments)
    assert "\x1b" not in capsys.readouterr().err


def test_a_list_whose_names_steer_a_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "\x1b[2Jlist.csv"
    for content, arguments in [
        ("\x1b[31mphone,b\n1,2\n", []),
        ("\x1b[31mphone,b\n1,2\n", ["--column", "\x1b[31mpone"]),
        ("\x1b[31mphone\u202e\n\x1b[31m1\n", ["--dry-run"]),
        ("phone\n\0\n", []),
    ]:
        path.write_text(content)
        cli.main(["send-bulk", str(path), "--text", "hi", *arguments])
        captured = capsys.readouterr()
        assert captured.out + captured.err
        assert not {"\x1b", "\u202e"} & set(captured.out + captured.err)


def test_what_is_logged_is_printable(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    root = logging.getLogger()
    monkeypatch.setattr(root, "handlers", [])
    with printable_logs():
        logging.getLogger("any").warning("server says %s", "\x1b[2J\u202e")
    assert capsys.readouterr().err == "server says [2J\n"
    assert root.handlers == []


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no full device")
@pytest.mark.parametrize("command", ["secret", "lint-message --all", "send-bulk LIST --dry-run"])
def test_a_full_disk_is_an_error_in_one_line(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "list.csv").write_text("+37256789045")
    arguments = command.replace("LIST", "list.csv --text Hello").split()
    with Path("/dev/full").open("w") as full:
        monkeypatch.setattr(sys, "stdout", full)
        with pytest.raises(OutputLost):
            say("line")
        monkeypatch.undo()
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-W", "error", "-m", "otpverify", *arguments],
            cwd=tmp_path,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
            check=False,
        )
    assert done.returncode == 2
    assert done.stderr == "otpverify: The output cannot be written: No space left on device.\n"


def test_letters_that_a_terminal_lacks_are_escaped(monkeypatch: pytest.MonkeyPatch) -> None:
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, "ascii"))
    say("код")
    assert written.getvalue() == b"\\u043a\\u043e\\u0434\n"


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_a_process_without_a_stream(stream: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, stream, None)
    say("line")
    complain("line")


def unread(*arguments: str, environ: dict[str, str] | None = None) -> tuple[int, str]:
    """The exit code and stderr of a command whose output goes into a closed pipe."""
    # Output is buffered, as it usually is: then Python meets the closed pipe at its exit, too.
    buffered = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = subprocess.run(
            [sys.executable, "-W", "error", "-m", "otpverify", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=writing,
            stderr=subprocess.PIPE,
            text=True,
            env={**buffered, **(environ or {})},
            timeout=60,
            check=False,
        )
    finally:
        os.close(writing)
    return done.returncode, done.stderr


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["secret"], 141),
        (["lint-message", "--all"], 141),
        (["sandbox", "--port", "0"], 141),
        (["--help"], 0),
        (["send-bulk", "--help"], 0),
        (["--version"], 0),
        ([], 0),
    ],
)
def test_a_command_whose_reader_has_gone_ends_quietly(arguments: list[str], code: int) -> None:
    assert unread(*arguments) == (code, "")


def test_sending_goes_on_when_the_reader_has_gone(tmp_path: Path, smspm_sandbox: Sandbox) -> None:
    numbers = [f"+3725{n:07d}" for n in range(6)]
    path = tmp_path / "numbers.csv"
    path.write_text("\n".join(numbers))
    arguments = ["send-bulk", str(path), "--text", "The bus leaves at eight.", "--batch-size", "1"]
    assert unread(*arguments, "--dry-run") == (0, "")
    assert unread(*arguments, environ=smspm_sandbox.environ) == (0, "")
    assert sorted(message.to for message in smspm_sandbox.messages) == numbers


def test_errors_into_a_closed_pipe_are_no_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as closed:
        monkeypatch.setattr(sys, "stderr", closed)

        def refuse(_: object) -> int:
            raise ConfigurationError("no")

        monkeypatch.setattr(cli, "_secret", refuse)
        assert cli.main(["secret"]) == 2
