"""The lines of a results file: JSON, one object a line. No I/O.

The first line says which list and text the file belongs to. Before a request there is one line
with its numbers, `{"sending": [...]}`; after it, one for each with its outcome. Whoever has the
former and not the latter may have been sent to: nobody knows.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from otpverify import BulkEntry, ConfigurationError
from otpverify.bulk.numbers import Row
from otpverify.gateways.bulk_results import Status

_OUTCOMES = {"sent", "failed", "unknown"}
_NOT_SENDING = {"invalid", "duplicate"}


def header(phones: Iterable[str], text: str, gateway: str) -> bytes:
    """The first line. It is the same for the same list in any order, text and gateway.

    Args:
        phones: All recipients in E.164.
        text: The whole text.
        gateway: The gateway's address.
    """
    return _line(
        {
            "otpverify": "send-bulk",
            "version": 1,
            "list": _digest("\n".join(sorted(phones))),
            "text": _digest(text),
            "gateway": gateway,
        }
    )


def check_header(found: bytes, expected: bytes) -> None:
    """See that a file belongs to this list, text and gateway.

    Raises:
        ConfigurationError: It does not; the message says what is another.
    """
    if found == expected:
        return
    said, ours = _object(found), _object(expected)
    if said.get("otpverify") != "send-bulk" or said.get("version") != ours["version"]:
        raise ConfigurationError("This is no results file of this version of send-bulk.")
    other = [name for name in ("list", "text", "gateway") if said.get(name) != ours[name]]
    raise ConfigurationError(
        f"The results file belongs to another {' and another '.join(other)}. Sending goes on only "
        "where everything is as it was; start anew with another --results."
    )


def sending(phones: Sequence[str]) -> bytes:
    """The line before a request."""
    return _line({"at": _now(), "sending": list(phones)})


def outcome(entry: BulkEntry, status: Status) -> bytes:
    """The line of someone's outcome.

    Args:
        entry: What came of the attempt.
        status: What is known of the person, over all attempts.
    """
    said: dict[str, object] = {"at": _now(), "number": entry.phone, "status": status}
    if status == "sent":
        said["id"] = entry.message_id
    else:
        said["reason"] = entry.reason
    return _line(said)


def left_out(entry: BulkEntry, row: Row, first: Row | None) -> bytes:
    """The line of a row that is not sent to: an invalid number, or a duplicate of `first`."""
    said: dict[str, object] = {"line": row.line, "given": row.given}
    if first is None:
        return _line({**said, "status": "invalid", "reason": entry.reason})
    return _line({**said, "status": "duplicate", "same_as_line": first.line})


@dataclass(slots=True, repr=False)
class Known:
    """What a results file says.

    Attributes:
        status: Of each number that was ever about to be sent to: `"sent"`, `"failed"`, or
            `"unknown"`.
        left_out: The lines of the list that are not sent to.
    """

    status: dict[str, str] = field(default_factory=dict)
    left_out: set[int] = field(default_factory=set)

    def read(self, line: bytes, number: int) -> None:
        """Take in a whole line.

        Args:
            line: The line.
            number: Its number, for the error.

        Raises:
            ConfigurationError: It is none of ours.
        """
        said = _object(line)
        numbers, phone, status = said.get("sending"), said.get("number"), said.get("status")
        if isinstance(numbers, list) and all(isinstance(each, str) for each in numbers):
            self.status.update(dict.fromkeys(numbers, "unknown"))
        elif isinstance(phone, str) and status in _OUTCOMES:
            self.status[phone] = status
        elif status in _NOT_SENDING and isinstance(said.get("line"), int):
            self.left_out.add(said["line"])
        else:
            raise ConfigurationError(
                f"Line {number} of the results file cannot be read, so nobody can tell who was "
                "sent to. Mend it before you go on."
            )


def _object(line: bytes) -> Mapping[str, Any]:
    try:
        said = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return said if isinstance(said, dict) else {}


def _line(said: object) -> bytes:
    return json.dumps(said, separators=(",", ":")).encode() + b"\n"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
