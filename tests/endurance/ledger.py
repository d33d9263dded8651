"""What happened, in files: each process appends to its own, and the judge reads all of them.

A line is a JSON list, written by one `write`, so a process that is killed leaves whole lines. The
lines of a phone are all in files of one part, so the judge needs one part at a time in memory.
Times are those of `time.monotonic`, which all processes of a machine share.
"""

from __future__ import annotations

import itertools
import json
import os
import time
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

PARTS = 32
BEGIN, MESSAGE, HANDED, END, GATEWAY = range(5)
"""The kinds of lines: a call begins; its verifier gives a message to the sender; the sender
answers; the call ends; the gateway has a message."""


@dataclass(slots=True)
class Sent:
    """A message that a verifier gave to its sender.

    Attributes:
        code: Its code.
        reference: By which the gateway knows it.
        by_http: Whether it went to the gateway, or to a sender that is always there.
        outcome: `"taken"`, `"refused"` (certainly not taken), `"doubt"`, or empty if the process
            was killed meanwhile.
    """

    code: str
    reference: str
    by_http: bool
    outcome: str = ""


@dataclass(slots=True)
class Call:
    """One call of a verifier.

    Attributes:
        store: On which servers.
        operation: The verifier's method.
        variant: Which of the worker's verifiers.
        phone: The phone.
        purpose: The purpose.
        challenge: The challenge that it names, or that a start returned.
        code: The code, or the proof, that was entered.
        binding: The bound amount; empty for none.
        kind: `"ordinary"`, `"concealed"` or `"decoy"`.
        network: The client's address where many share it; else empty.
        begun: When it began.
        ended: When it ended; `None` if its process was killed first.
        outcome: The result's class, or the error's; with `!` in front of an error that is not
            otpverify's.
        detail: Of an `IncorrectCode`, the attempts left; of a `DeliveryError`, whether it may have
            been sent; of a `Verified`, its phone, purpose and challenge; of a delivery report,
            whether it was known, changed anything, and gave a send back.
        messages: What it gave to the sender.
    """

    store: str
    operation: str
    variant: str
    phone: str
    purpose: str
    challenge: str
    code: str
    binding: str
    kind: str
    network: str
    begun: float
    ended: float | None = None
    outcome: str = ""
    detail: Any = None
    messages: list[Sent] = field(default_factory=list)

    @property
    def until(self) -> float:
        """When it had its effect at the latest."""
        return float("inf") if self.ended is None else self.ended


@dataclass(frozen=True, slots=True)
class Arrived:
    """A message that the gateway has."""

    phone: str
    code: str
    reference: str
    at: float


def part_of(phone: str) -> int:
    """Which part holds the lines of a phone."""
    return zlib.crc32(phone.encode()) % PARTS


class Ledger:
    """The files of one process. Safe to share between threads.

    Args:
        folder: Where the files are.
        name: The name of the servers, a dot, and a name that no other process has.
    """

    def __init__(self, folder: Path, name: str) -> None:
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT
        self._files = [os.open(folder / f"{name}.{part:02}", flags, 0o600) for part in range(PARTS)]
        self._count = itertools.count()

    def begin(self, about: Call) -> int:
        """A call begins. Gives its number."""
        number = next(self._count)
        facts = [getattr(about, name) for name in _FACTS]
        self._write(about.phone, BEGIN, number, about.begun, *facts)
        return number

    def message(self, phone: str, number: int, sent: Sent) -> None:
        """A call gives a message to the sender."""
        self._write(phone, MESSAGE, number, sent.code, sent.reference, sent.by_http)

    def handed(self, phone: str, number: int, outcome: str) -> None:
        """The sender answers."""
        self._write(phone, HANDED, number, outcome)

    def end(self, phone: str, number: int, outcome: str, challenge: str, detail: Any) -> None:
        """A call ends."""
        self._write(phone, END, number, time.monotonic(), outcome, challenge, detail)

    def arrived(self, message: Arrived) -> None:
        """The gateway has a message."""
        told = (message.phone, message.code, message.reference, message.at)
        self._write(message.phone, GATEWAY, *told)

    def _write(self, phone: str, *line: Any) -> None:
        os.write(self._files[part_of(phone)], json.dumps(line).encode() + b"\n")


_FACTS = (
    *("operation", "variant", "phone", "purpose", "challenge"),
    *("code", "binding", "kind", "network"),
)


def read(folder: Path, part: int) -> tuple[list[Call], list[Arrived]]:
    """All calls, and all messages at the gateway, of one part."""
    calls: list[Call] = []
    arrived: list[Arrived] = []
    for file in sorted(folder.glob(f"*.{part:02}")):
        store = file.name.partition(".")[0]
        for one in _read_file(file, store):
            if isinstance(one, Arrived):
                arrived.append(one)
            else:
                calls.append(one)
    return calls, arrived


def _call(store: str, begun: float, *facts: Any) -> Call:
    values: list[Any] = [store, *facts, begun]
    return Call(*values)


def _read_file(file: Path, store: str) -> Iterator[Call | Arrived]:
    open_calls: dict[int, Call] = {}
    with file.open("rb") as lines:
        for line in lines:
            kind, *values = json.loads(line)
            if kind == GATEWAY:
                yield Arrived(*values)
                continue
            number, *rest = values
            if kind == BEGIN:
                open_calls[number] = _call(store, *rest)
                continue
            call = open_calls[number]
            if kind == MESSAGE:
                call.messages.append(Sent(*rest))
            elif kind == HANDED:
                call.messages[-1].outcome = rest[0]
            else:
                call.ended, call.outcome, challenge, call.detail = rest
                call.challenge = challenge or call.challenge
                yield open_calls.pop(number)
    yield from open_calls.values()
