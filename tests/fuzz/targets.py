"""The table of targets, and their corpora."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, TypeAlias

from fuzz import machines, people, signed

Target: TypeAlias = Callable[[bytes], None]

_ALL: Final = (
    people.phone,
    people.code,
    people.pasted_message,
    people.backup_code,
    people.csv_file,
    people.csv_cell,
    people.template,
    people.binding,
    people.gsm7,
    people.accept_language,
    people.client_ip,
    people.json_body,
    signed.challenge_id,
    signed.proof,
    signed.report_token,
    signed.stamp,
    signed.remembered_cookie,
    signed.delivery_report,
    signed.parsed_report,
    signed.sealed_task,
    signed.queued_message,
    signed.bulk_result,
    machines.gateway_reply,
    machines.bulk_reply,
    machines.retry_after,
    machines.redis_reply,
    machines.sqlite_row,
    machines.bulk_journal,
    machines.price_list,
    machines.environment,
    machines.session_entry,
    machines.step_up_entry,
    machines.carried_notice,
    machines.sent_form,
)
TARGETS: Final[Mapping[str, Target]] = {target.__name__: target for target in _ALL}
"""By their names."""
CORPUS: Final = Path(__file__).parent / "corpus"
"""A folder for each target, and a file for each input."""


ISSUED: Final[Mapping[str, str]] = {
    "challenge_id": signed.CHALLENGE,
    "proof": signed.PROOF,
    "report_token": signed.REPORT_TOKEN,
    "stamp": signed.STAMP,
    "sealed_task": signed.SEALED,
    "remembered_cookie": f"{signed.STAMP}.{signed.STAMP}",
    "delivery_report": f"GET\n\nreport_token={signed.REPORT_TOKEN}&status=delivered\n",
}
"""What this version issues, of which forgeries are made. No file has it: versions differ."""


def corpus(name: str) -> list[Path]:
    """The files of a target's inputs that are kept."""
    return sorted((CORPUS / name).iterdir())


def inputs(name: str) -> list[bytes]:
    """The inputs of a target that are kept, and what is issued."""
    issued = [ISSUED[name].encode()] if name in ISSUED else []
    return [*(file.read_bytes() for file in corpus(name)), *issued]
