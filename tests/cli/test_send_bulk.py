"""`otpverify send-bulk`: its list, its estimate, its results file and its exit codes."""

from __future__ import annotations

import errno
import json
import os
import stat
import sys
from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from otpverify import BulkCounts, BulkProgress, ConfigurationError, SmspmClient
from otpverify.cli import main as cli
from otpverify.cli.send_bulk.journal import Journal
from otpverify.cli.send_bulk.output import Lines, display
from otpverify.core.phone import REGIONS
from otpverify.core.prices import Prices
from otpverify.gateways.smspm.prices import estimate, load_prices, published_prices
from otpverify.sandbox import Sandbox

TEXT = "The bus to Narva leaves at eight."
NUMBERS = [f"+3725{n:07d}" for n in range(6)]


@pytest.fixture(autouse=True)
def no_signal_handlers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of the test run stay."""
    monkeypatch.setattr(cli, "_take_signals", lambda: None)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, smspm_sandbox: Sandbox) -> Path:
    """A folder with a list, from which commands are run, and the sandbox in the environment."""
    monkeypatch.chdir(tmp_path)
    for name, value in smspm_sandbox.environ.items():
        monkeypatch.setenv(name, value)
    (tmp_path / "numbers.csv").write_text("\n".join(NUMBERS))
    return tmp_path


def send(*arguments: str, text: str = TEXT) -> int:
    return cli.main(["send-bulk", "numbers.csv", "--text", text, *arguments])


def received(sandbox: Sandbox) -> Counter[str]:
    return Counter(message.to for message in sandbox.messages)


def lines(folder: Path, name: str = "numbers.csv.results.jsonl") -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / name).read_text().splitlines()]


# --- what it costs -------------------------------------------------------------------------


def test_the_published_prices_are_by_country() -> None:
    table = published_prices()
    assert set(table.per_segment) <= REGIONS
    assert len(table.per_segment) > 180
    assert table.per_segment["EE"] == Decimal("0.04")
    assert table.per_segment["TN"] == Decimal("0.462")
    assert max(table.per_segment.values()) == Decimal("0.462")
    assert (table.currency, table.date) == ("EUR", "2026-11-22")


def test_the_cost_is_segments_times_recipients_by_country() -> None:
    table = Prices({"EE": Decimal("0.04"), "DE": Decimal("0.1")})
    phones = ["+37256789045", "+4915123456789", "+37256789046", "+12025550123", "+8821612345678"]
    phones += ["+78005553535", "+77172580000", "+447781000000", "+442079460000"]
    cost = estimate(phones, 3, table)
    assert [(s.country, s.recipients, s.cost) for s in cost.shares] == [
        ("EE", 2, Decimal("0.24")),
        ("DE", 1, Decimal("0.3")),
        ("GB", 1, None),
        ("GG", 1, None),
        ("KZ", 1, None),
        ("RU", 1, None),
        ("US", 1, None),
        ("no country", 1, None),
    ]
    assert (cost.recipients, cost.total) == (9, Decimal("0.54"))
    few = estimate([*phones[:4], phones[4]], 3, table)
    assert str(few) == "0.54 EUR, without 1 recipient in US, 1 recipient in no country (no price)"


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        '{"per_segment": []}',
        '{"per_segment": {"EE": "0.04"}}',
        '{"per_segment": {"Estonia": 0.04}}',
        '{"per_segment": {"EE": -1}}',
    ],
)
def test_prices_that_are_none(tmp_path: Path, content: str) -> None:
    (tmp_path / "prices.json").write_text(content)
    with pytest.raises(ConfigurationError, match="per_segment"):
        load_prices(tmp_path / "prices.json")
    with pytest.raises(ConfigurationError, match="cannot be read"):
        load_prices(tmp_path / "none.json")


def test_a_dry_run_says_all_and_sends_nothing(
    here: Path,
    smspm_sandbox: Sandbox,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in smspm_sandbox.environ:
        monkeypatch.delenv(name)
    content = ["phone", *NUMBERS, NUMBERS[2], "+4915123456789", "12345", "+12025550123"]
    (here / "numbers.csv").write_text("\n".join(content))
    assert send("--dry-run", text=TEXT + "\u2026" * 50) == 0
    out = capsys.readouterr().out
    assert "Recipients  8\n  +37*******00\n" in out
    assert "Invalid     1\n  line 10: Enter the number with its country code" in out
    assert "Duplicates  1\n  line 8: +37*******02, as line 4\n" in out
    assert "Segments    2 (UCS-2, 83 units)\n" in out
    assert "Cost        at most 0.68 EUR, without 1 recipient in US (no price)" in out
    assert ", by prices of 2026-11-22\n" in out
    assert "  EE: 6 recipients, 0.48\n" in out
    assert "  US: 1 recipient, no price\n" in out
    assert list(here.iterdir()) == [here / "numbers.csv"]
    assert smspm_sandbox.messages == []
    assert not any(number[5:] in out for number in content if number.startswith("+"))
    assert "Narva" not in out
    (here / "mine.json").write_text('{"currency": "USD", "per_segment": {"US": 1, "EE": 0.5}}')
    assert send("--dry-run", "--prices", "mine.json") == 0
    assert "at most 4.00 USD, without 1 recipient in DE (no price)" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "It\u2019s today",
            "write \"'\" for '\u2019' (RIGHT SINGLE QUOTATION MARK) at 2, for GSM-7",
        ),
        ("Now \u2013 or never", "write '-' for '\u2013' (EN DASH) at 4, for GSM-7"),
        ("Soon\u2026", "write '...' for '\u2026' (HORIZONTAL ELLIPSIS) at 4, for GSM-7"),
        ("A\u200bB", "leave it out for '\\u200b' (ZERO WIDTH SPACE) at 1, for GSM-7"),
        ("Hi \U0001f600", "leave it out for '\U0001f600' (GRINNING FACE) at 3, for GSM-7"),
        ("Код", None),
        ("It's today", None),
    ],
    ids=ascii,
)
def test_a_dry_run_names_what_doubles_the_cost(
    here: Path, capsys: pytest.CaptureFixture[str], text: str, said: str | None
) -> None:
    assert send("--dry-run", text=text + "x" * 100) == 0
    out = capsys.readouterr().out
    if said is None:
        assert "GSM-7\n" not in out
    else:
        assert (
            f"Segments    2 (UCS-2, {len(text.encode('utf-16-le')) // 2 + 100} units)\n  {said}\n"
            in out
        )


def test_a_long_list_is_cut_short(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "numbers.csv").write_text("\n".join(f"+3725{n:07d}" for n in range(50)))
    assert send("--dry-run") == 0
    assert "  and 30 more\n" in capsys.readouterr().out


# --- sending -------------------------------------------------------------------------------


def test_everybody_is_sent_to_and_written_down(
    here: Path, smspm_sandbox: Sandbox, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / "text.txt").write_text(f"\ufeff{TEXT}\n")
    assert cli.main(["send-bulk", "numbers.csv", "--text-file", "text.txt"]) == 0
    assert received(smspm_sandbox) == Counter(NUMBERS)
    assert {message.text for message in smspm_sandbox.messages} == {TEXT}
    said = lines(here)
    ids = {message.to: message.id for message in smspm_sandbox.messages}
    assert {line["number"]: line["id"] for line in said if line.get("status") == "sent"} == ids
    mode = (here / "numbers.csv.results.jsonl").stat().st_mode
    assert stat.S_IMODE(mode) == 0o600
    captured = capsys.readouterr()
    assert "Sent        6\n" in captured.out
    assert "6 of 6: 6 sent, 0 failed, 0 unknown\n" in captured.out
    assert captured.err == ""
    for number in NUMBERS:
        assert number[4:] not in captured.out
    assert "Narva" not in captured.out
    assert TEXT not in (here / "numbers.csv.results.jsonl").read_text()


def test_somebody_who_was_not_sent_to_is_exit_code_1(
    here: Path, smspm_sandbox: Sandbox, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / "numbers.csv").write_text("\n".join([*NUMBERS, "+12025550140", "5678 9045", "oops"]))
    assert send("--region", "EE", "--results", "out.jsonl") == 1
    out = capsys.readouterr().out
    assert "Sent        7\nFailed      1\nUnknown     0\nNot tried   0\nInvalid     1\n" in out
    said = lines(here, "out.jsonl")
    assert {"line": 9, "given": "oops", "status": "invalid", "reason": "not_a_number"} in said
    refused = [line for line in said if line.get("number") == "+12025550140"]
    assert [line["reason"] for line in refused] == ["invalid_phone_number"]
    (here / "numbers.csv").write_text("12")
    assert send("--results", "none.jsonl") == 1


def test_it_says_why_at_the_end(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "numbers.csv").write_text("\n".join([*NUMBERS, "+12025550140", "+12025550170"]))
    assert send("--batch-size", "7", "--concurrency", "1", "--results", "lost.jsonl") == 1
    out = capsys.readouterr().out
    assert "Why\n  invalid_phone_number: 1\n  connection_lost: 1\n" in out
    (here / "numbers.csv").write_text("\n".join([*NUMBERS, "+12025550141"]))
    assert send("--results", "refused.jsonl") == 1
    out += capsys.readouterr().out
    assert "Why\n  unauthorized: 7\n" in out
    assert "Check SMSPM_HASH and SMSPM_TOKEN." in out
    assert "0140" not in out
    assert NUMBERS[0] not in out
    assert TEXT not in out


def test_an_account_that_was_refused_continues_when_it_is_fixed(
    here: Path,
    smspm_sandbox: Sandbox,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("SMSPM_TOKEN", "wrong")
    assert send("--batch-size", "2", "--concurrency", "1") == 1
    assert "Sent        0\nFailed      2\nUnknown     0\nNot tried   4\n" in capsys.readouterr().out
    monkeypatch.setenv("SMSPM_TOKEN", smspm_sandbox.environ["SMSPM_TOKEN"])
    assert send("--resume") == 0
    assert received(smspm_sandbox) == Counter(NUMBERS)
    assert send("--resume") == 0
    assert received(smspm_sandbox) == Counter(NUMBERS)


def test_who_may_have_been_sent_to_is_left_alone(here: Path, smspm_sandbox: Sandbox) -> None:
    lost = "+12025550170"
    (here / "numbers.csv").write_text("\n".join([*NUMBERS, lost]))
    assert send("--batch-size", "1") == 1
    assert send("--resume") == 1
    assert received(smspm_sandbox) == Counter([*NUMBERS, lost])
    assert send("--resume", "--retry-unknown") == 1
    assert received(smspm_sandbox)[lost] == 2
    assert received(smspm_sandbox)[NUMBERS[0]] == 1


def test_a_retry_that_fails_leaves_who_may_have_been_sent_to_unknown(
    here: Path, smspm_sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    lost = ["+12025550170", "+12125550170", "+13125550170"]
    (here / "numbers.csv").write_text("\n".join(lost))
    assert send("--batch-size", "1") == 1
    monkeypatch.setenv("SMSPM_TOKEN", "wrong")  # one is refused, the others are not attempted
    assert send("--resume", "--retry-unknown", "--batch-size", "1", "--concurrency", "1") == 1
    monkeypatch.setenv("SMSPM_TOKEN", smspm_sandbox.environ["SMSPM_TOKEN"])
    assert send("--resume") == 1
    assert received(smspm_sandbox) == Counter(lost)
    assert lines(here)[-1]["status"] == "unknown"
    assert lines(here)[-1]["reason"] == "unauthorized"


@pytest.mark.parametrize("answer", ["n", "", "maybe", EOFError, "y", "YES "])
def test_a_person_is_asked(
    here: Path,
    smspm_sandbox: Sandbox,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    answer: Any,
) -> None:
    asked: list[str] = []

    def person(question: str) -> str:
        asked.append(question)
        if isinstance(answer, str):
            return answer
        raise answer

    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    monkeypatch.setattr("builtins.input", person)
    yes = isinstance(answer, str) and answer.lower().startswith("y")
    assert send() == (0 if yes else 1)
    assert asked == ["Send 1 segment each to 6 recipients, for at most 0.24 EUR? [y/N] "]
    assert len(smspm_sandbox.messages) == (6 if yes else 0)
    assert (here / "numbers.csv.results.jsonl").exists() == yes
    asked.clear()
    assert send("--yes", "--results", "other.jsonl") == 0
    assert asked == []


# --- the results file ----------------------------------------------------------------------


def refused(capsys: pytest.CaptureFixture[str], *arguments: str, text: str = TEXT) -> str:
    """The one line with which a command is refused."""
    capsys.readouterr()
    assert send(*arguments, text=text) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("otpverify: ")
    assert captured.err.count("\n") == 1
    return captured.err


def test_a_results_file_is_not_written_over(
    here: Path, smspm_sandbox: Sandbox, capsys: pytest.CaptureFixture[str]
) -> None:
    assert send() == 0
    assert "exists already. Add --resume" in refused(capsys)
    assert "does not exist" in refused(capsys, "--resume", "--results", "other.jsonl")
    assert "does not exist" in refused(capsys, "--results", "no/such/folder.jsonl")
    assert "--resume" in refused(capsys, "--retry-unknown")
    assert received(smspm_sandbox) == Counter(NUMBERS)


def test_a_results_file_of_something_else_is_refused(
    here: Path,
    smspm_sandbox: Sandbox,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert send() == 0
    assert "another text." in refused(capsys, "--resume", text="Another text.")
    (here / "numbers.csv").write_text("\n".join(reversed(NUMBERS)))
    assert send("--resume") == 0  # the same people
    (here / "numbers.csv").write_text("\n".join([*NUMBERS, "+37256789045"]))
    assert "another list." in refused(capsys, "--resume")
    assert "another list and another text." in refused(capsys, "--resume", text="Another text.")
    (here / "numbers.csv").write_text("\n".join(NUMBERS))
    monkeypatch.setenv("SMSPM_URL", "http://127.0.0.1:9")
    assert "another gateway." in refused(capsys, "--resume")
    assert received(smspm_sandbox) == Counter(NUMBERS)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"name,phone\nA,+37256789045\n", "not a results file"),
        (b"no end of line", "not a results file"),
        (b"\n", "not a results file"),
        (b'{"otpverify":"send-bulk","version":99}\n', "not a results file of this version"),
    ],
)
def test_a_file_of_another_kind_is_refused_and_left_alone(
    here: Path, capsys: pytest.CaptureFixture[str], content: bytes, why: str
) -> None:
    path = here / "numbers.csv.results.jsonl"
    path.write_bytes(content)
    assert why in refused(capsys, "--resume")
    assert path.read_bytes() == content


@pytest.mark.parametrize(
    "line",
    [
        b"\0\0\0",
        b"[" * 10_000,
        b"[]",
        b"{}",
        b'{"number":"+37256789045"}',
        b'{"number":"+37256789045","status":[]}',
        b'{"number":"+37256789045","status":{"sent":1}}',
        b'{"number":["+37256789045"],"status":"sent"}',
        b'{"line":3,"status":["invalid"]}',
        b'{"line":"3","status":"invalid"}',
        b'{"sending":[["+37256789045"]]}',
        b'{"sending":{"+37256789045":1}}',
    ],
    ids=lambda line: ascii(line[:60]),
)
def test_an_unreadable_line_stops_it(
    here: Path, capsys: pytest.CaptureFixture[str], line: bytes
) -> None:
    assert send() == 0
    path = here / "numbers.csv.results.jsonl"
    whole = path.read_bytes().split(b"\n")
    path.write_bytes(b"\n".join([*whole[:2], line, *whole[2:]]))
    assert "Line 3 of the results file cannot be read" in refused(capsys, "--resume")


def test_a_torn_last_line_is_cut_off(here: Path, smspm_sandbox: Sandbox) -> None:
    assert send() == 0
    path = here / "numbers.csv.results.jsonl"
    whole = path.read_bytes()
    torn = whole[:-20]
    for cut in (torn, whole + b'{"at":"2026-11-22T17:46:01.0', whole + b"\0" * 50):
        path.write_bytes(cut)
        assert send("--resume") == (1 if cut is torn else 0)  # whose outcome is lost is unknown
        assert path.read_bytes() == cut[: cut.rfind(b"\n") + 1]
    assert received(smspm_sandbox) == Counter(NUMBERS)


def test_what_a_request_relies_on_is_on_the_disk(
    here: Path, smspm_sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []

    def noting(owner: Any, name: str) -> None:
        whole = getattr(owner, name)

        def noted(*arguments: Any) -> Any:
            done.append(name)
            return whole(*arguments)

        monkeypatch.setattr(owner, name, noted)

    noting(os, "pwrite")
    noting(os, "fsync")
    noting(SmspmClient, "_exchange")
    assert send("--batch-size", "3", "--concurrency", "1") == 0
    # The header and the folder it is in; then, for each request, an intent and an outcome.
    assert done == [
        *("pwrite", "fsync", "fsync"),
        *("pwrite", "fsync", "_exchange", "pwrite", "fsync") * 2,
    ]


def test_two_processes_do_not_share_a_file(
    here: Path, smspm_sandbox: Sandbox, capsys: pytest.CaptureFixture[str]
) -> None:
    assert send() == 0
    path = here / "numbers.csv.results.jsonl"
    header = path.read_bytes().split(b"\n")[0] + b"\n"
    with Journal.resume(path, header):
        assert "in use by another process" in refused(capsys, "--resume")
    assert send("--resume") == 0


def test_a_full_disk_ends_it_in_time(
    here: Path,
    smspm_sandbox: Sandbox,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    whole = Journal._append
    written = 0

    def append(self: Journal, data: bytes) -> None:
        nonlocal written
        written += 1
        if written > 4:  # the header, nobody left out, an intent, its outcome
            raise OSError(errno.ENOSPC, "No space left on device")
        whole(self, data)

    monkeypatch.setattr(Journal, "_append", append)
    assert send("--batch-size", "2", "--concurrency", "1") == 1
    assert "Sending stopped early: No space left on device." in capsys.readouterr().out
    assert len(smspm_sandbox.messages) == 2
    monkeypatch.setattr(Journal, "_append", whole)
    assert send("--resume") == 0
    assert received(smspm_sandbox) == Counter(NUMBERS)


def test_ctrl_c_leaves_nothing_unknown(
    here: Path,
    smspm_sandbox: Sandbox,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    whole = Journal.sending
    asked = 0

    def sending(self: Journal, phones: Any) -> None:
        nonlocal asked
        asked += 1
        whole(self, phones)
        if asked == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(Journal, "sending", sending)
    assert send("--batch-size", "1") == 130
    monkeypatch.setattr(Journal, "sending", whole)
    assert len(smspm_sandbox.messages) == 2
    # The request that was about to be made was not made: its number is left, it did not fail.
    out = capsys.readouterr().out
    assert "Sent        2\nFailed      0\nUnknown     0\nNot tried   4\n" in out
    left = [line for line in lines(here) if line.get("reason") == "not_attempted"]
    assert [(line["number"], line["status"]) for line in left] == [(NUMBERS[2], "not_attempted")]
    assert send("--resume") == 0
    assert received(smspm_sandbox) == Counter(NUMBERS)


def test_a_retry_that_is_not_attempted_stays_unknown(
    here: Path, smspm_sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    (here / "numbers.csv").write_text("+12025550170")
    assert send() == 1
    whole = Journal.sending

    def sending(self: Journal, phones: Any) -> None:
        whole(self, phones)
        raise KeyboardInterrupt

    monkeypatch.setattr(Journal, "sending", sending)
    assert send("--resume", "--retry-unknown") == 130
    monkeypatch.setattr(Journal, "sending", whole)
    assert send("--resume") == 1
    assert received(smspm_sandbox) == Counter(["+12025550170"])
    assert lines(here)[-1]["status"] == "unknown"


@pytest.mark.parametrize(
    ("arguments", "text", "why"),
    [
        (["--region", "Estonia"], TEXT, "region"),
        ([], "  ", "text is empty"),
        ([], "half \ud83d", "not valid Unicode"),
        (["--prices", "none.json"], TEXT, "prices"),
    ],
)
def test_what_makes_no_sense_is_exit_code_2(
    here: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], text: str, why: str
) -> None:
    assert why in refused(capsys, *arguments, text=text)
    assert list(here.iterdir()) == [here / "numbers.csv"]


def test_an_option_is_written_out(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        send("--resume", "--retry")
    assert caught.value.code == 2
    with pytest.raises(SystemExit) as caught:
        cli.main(["send-bulk", "numbers.csv", "--text", TEXT, "--text-file", "text.txt"])
    assert caught.value.code == 2


def test_without_credentials_nothing_begins(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SMSPM_TOKEN")
    assert "SMSPM_TOKEN" in refused(capsys)
    assert list(here.iterdir()) == [here / "numbers.csv"]


# --- progress ------------------------------------------------------------------------------


def test_lines_come_by_tenths() -> None:
    said: list[str] = []
    with Lines(said.append) as shown:
        for done in range(1, 201):
            shown.show(BulkProgress((), BulkCounts(sent=done), 200))
    assert len(said) == 10
    assert said[-1] == "200 of 200: 200 sent, 0 failed, 0 unknown"


def test_a_terminal_gets_a_bar(capsys: pytest.CaptureFixture[str]) -> None:
    with display(7, lambda line: None, terminal=True) as shown:
        shown.show(BulkProgress((), BulkCounts(sent=4, unknown=3), 7))
    assert "7/7 4 sent, 0 failed, 3 unknown" in " ".join(capsys.readouterr().out.split())


def test_without_the_extra_a_terminal_gets_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("rich")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delitem(sys.modules, "otpverify.cli.send_bulk.progress_bar", raising=False)
    monkeypatch.setitem(sys.modules, "rich.progress", None)
    said: list[str] = []
    assert isinstance(display(7, said.append, terminal=True), Lines)
    assert said == [
        "rich is not installed. The progress bar needs the extra 'cli': "
        "pip install 'otpverify[cli]', or in a clone: pip install '.[cli]'"
    ]
