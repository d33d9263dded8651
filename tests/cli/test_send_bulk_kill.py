"""Killed at any moment, `send-bulk` goes on without sending to anybody twice, and everybody is
accounted for."""

from __future__ import annotations

import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from killed import Moment, run

from otpverify.sandbox import Sandbox

TEXT = "The bus to Narva leaves at eight."
NUMBERS = [f"+3725{n:07d}" for n in range(12)]
REFUSED = "+12025550140"


def listed(folder: Path, numbers: list[str]) -> list[str]:
    """A list in a file, and the arguments that send to it."""
    path = folder / "numbers.csv"
    path.write_text("phone\n" + "".join(f"{number}\n" for number in numbers))
    results = str(folder / "results.jsonl")
    return [str(path), "--text", TEXT, "--results", results, "--yes"]


def statuses(folder: Path) -> dict[str, str]:
    """What the results file says of each number, read again, and not with the code under test."""
    found: dict[str, str] = {}
    path = folder / "results.jsonl"
    lines = path.read_bytes().split(b"\n") if path.exists() else []
    for line in lines[1:-1]:
        said = json.loads(line)
        if "sending" in said:
            found.update(dict.fromkeys(said["sending"], "unknown"))
        elif "number" in said:
            found[said["number"]] = said["status"]
    return found


def received(sandbox: Sandbox) -> Counter[str]:
    return Counter(message.to for message in sandbox.messages)


MOMENTS: list[Moment] = [
    # Writes: 1 the header, 2 those left out, 3 the first intent, 4 its outcome, 5 the second.
    *(("append", where, nth) for nth in range(1, 6) for where in ("before", "torn", "after")),
    *(("request", where, nth) for nth in (1, 3) for where in ("before", "after")),
]


@pytest.mark.parametrize("moment", MOMENTS, ids=lambda moment: "-".join(map(str, moment)))
def test_killed_at_a_chosen_moment(moment: Moment, tmp_path: Path, smspm_sandbox: Sandbox) -> None:
    numbers = [*NUMBERS[:6], REFUSED, *NUMBERS[6:]]
    arguments = listed(tmp_path, [*numbers, "nonsense", NUMBERS[0]])
    arguments += ["--batch-size", "4", "--concurrency", "1"]
    assert run(arguments, smspm_sandbox.environ, moment) == -9
    before = received(smspm_sandbox)
    known = statuses(tmp_path)
    # Everyone who got it is in the file, with any status.
    assert set(before) <= {n for n, status in known.items() if status in ("sent", "unknown")}

    created = (tmp_path / "results.jsonl").exists()
    again = [*arguments, "--resume"] if created else arguments
    assert run(again, smspm_sandbox.environ) == 1  # one is refused, one is invalid
    assert set(received(smspm_sandbox).values()) == {1}
    known = statuses(tmp_path)
    assert set(known) == set(numbers)
    unknown = {number for number, status in known.items() if status == "unknown"}
    assert {n for n, status in known.items() if status == "sent"} | unknown >= set(NUMBERS)
    assert set(NUMBERS) - set(received(smspm_sandbox)) <= unknown
    assert len(unknown) <= 4
    lines = (tmp_path / "results.jsonl").read_text().splitlines()
    assert sum('"invalid"' in line for line in lines) == 1
    assert sum('"duplicate"' in line for line in lines) == 1

    # Twice is better than never.
    run([*arguments, "--resume", "--retry-unknown"], smspm_sandbox.environ)
    counts = received(smspm_sandbox)
    assert set(counts) == set(NUMBERS)
    assert {number for number, count in counts.items() if count > 1} <= unknown
    assert {statuses(tmp_path)[number] for number in NUMBERS} == {"sent"}


def test_killed_while_the_gateway_thinks(tmp_path: Path) -> None:
    stalled = "+12025550108"
    numbers = [*NUMBERS[:2], stalled, *NUMBERS[2:5]]
    arguments = [*listed(tmp_path, numbers), "--batch-size", "1", "--concurrency", "1"]
    with Sandbox(stall_seconds=30) as sandbox:
        process = start(arguments, sandbox)
        wait_for(lambda: received(sandbox)[stalled] == 1, process)
        process.kill()
        process.communicate()
        assert statuses(tmp_path)[stalled] == "unknown"
        assert run([*arguments, "--resume"], sandbox.environ) == 1
        assert received(sandbox) == Counter(numbers)
        assert statuses(tmp_path) == {n: "unknown" if n == stalled else "sent" for n in numbers}


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_lets_requests_end(tmp_path: Path, stop: signal.Signals) -> None:
    stalled = "+12025550108"
    arguments = [*listed(tmp_path, [stalled, *NUMBERS]), "--batch-size", "1", "--concurrency", "1"]
    with Sandbox(stall_seconds=60) as sandbox:
        process = start(arguments, sandbox)
        wait_for(lambda: received(sandbox)[stalled] == 1, process)
        process.send_signal(stop)
        sandbox.stop()  # which closes the connection
        said, _ = process.communicate(timeout=60)
        assert process.returncode == 130
        assert "Sent        0\nFailed      0\nUnknown     1\nNot tried   12\n" in said
        # What the gateway did is not known, and that was written down. The signal may also have
        # come between the request's start and the note of it.
        (reason,) = re.findall('"reason":"([a-z_]+)"', (tmp_path / "results.jsonl").read_text())
        assert reason in ("connection_lost", "interrupted")
        assert statuses(tmp_path) == {stalled: "unknown"}


def test_killed_at_random_moments(tmp_path: Path, smspm_sandbox: Sandbox) -> None:
    dice = random.Random(5)
    numbers = [f"+3725{n:07d}" for n in range(90)]
    arguments = [*listed(tmp_path, numbers), "--batch-size", "3", "--concurrency", "2"]
    arguments += ["--rate", "200"]
    for _ in range(3):
        resume = ["--resume"] if (tmp_path / "results.jsonl").exists() else []
        process = start([*arguments, *resume], smspm_sandbox)
        goal = len(smspm_sandbox.messages) + dice.randint(0, 25)
        wait_for(lambda: len(smspm_sandbox.messages) >= goal, process)  # noqa: B023 - called at once
        time.sleep(dice.random() / 100)
        process.kill()
        process.communicate()
        assert set(received(smspm_sandbox).values()) <= {1}
    resume = ["--resume"] if (tmp_path / "results.jsonl").exists() else []
    assert run([*arguments, *resume], smspm_sandbox.environ) in (0, 1)
    counts = received(smspm_sandbox)
    assert set(counts.values()) == {1}
    known = statuses(tmp_path)
    assert set(known) == set(numbers)
    assert {n for n, status in known.items() if status == "sent"} <= set(counts)
    assert set(numbers) - set(counts) <= {n for n, s in known.items() if s == "unknown"}


def start(arguments: list[str], sandbox: Sandbox) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "otpverify", "send-bulk", *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, **sandbox.environ},
    )


def wait_for(done: object, process: subprocess.Popen[str]) -> None:
    assert callable(done)
    until = time.monotonic() + 60
    while not done() and process.poll() is None:
        assert time.monotonic() < until
        time.sleep(0.002)
