"""What support sees of a phone, as text and as JSON. It shows no code, and of the number little."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from datetime import datetime
from typing import NamedTuple

from otpverify.core.inspection import LimitUse, PhoneInspection, PurposeInspection
from otpverify.core.results import mask


class Section(NamedTuple):
    """One part of what is shown: of the number, or of one purpose."""

    title: str
    lines: tuple[str, ...]


def inspection_sections(found: PhoneInspection) -> Iterator[Section]:
    """An inspection in words: first the number, then each purpose."""
    sends = (("Sends", found.sends), ("Concealed sends", found.concealed_sends))
    lines = [f"{name}: {'; '.join(map(_use, uses))}" for name, uses in sends if uses]
    if found.known is not None:
        unanswered = f", {found.unanswered} messages unanswered" if found.unanswered else ""
        lines.append(f"Known to the fraud policy: {'yes' if found.known else 'no'}{unanswered}")
    if not found.purposes:
        lines.append("Nothing else is known of it.")
    yield Section(f"{mask(found.phone)} at {_time(found.inspected_at)}", tuple(lines))
    for purpose in found.purposes:
        name = "a purpose that was not named" if purpose.purpose is None else purpose.purpose
        yield Section(f"Purpose: {name}", tuple(_purpose_lines(purpose)))


def inspection_lines(found: PhoneInspection) -> Iterator[str]:
    """An inspection as lines of text."""
    number, *purposes = inspection_sections(found)
    yield number.title
    yield from number.lines
    for purpose in purposes:
        yield purpose.title
        yield from (f"  {line}" for line in purpose.lines)


def inspection_json(found: PhoneInspection) -> str:
    """An inspection as one JSON object."""
    return json.dumps({**asdict(found), "phone": mask(found.phone)}, default=_plain)


def unlocked_text(shown: str, purpose: str | None) -> str:
    """That a number was unlocked, in words. `shown` is the masked number."""
    cleared = "all purposes" if purpose is None else f"the purpose {purpose}"
    return f"{shown}: unlocked for {cleared}."


def unlocked_json(shown: str, purpose: str | None) -> str:
    """The same as one JSON object."""
    return json.dumps({"phone": shown, "purpose": purpose, "unlocked": True})


def _use(use: LimitUse) -> str:
    text = f"{use.used} of {use.limit.count} in {use.limit.seconds} seconds"
    return f"{text}, next at {_time(use.admits_at)}" if use.admits_at else text


def _purpose_lines(purpose: PurposeInspection) -> Iterator[str]:
    failures, in_a_row = purpose.failures, purpose.consecutive_failures
    yield f"Wrong codes: {failures} in the window, {in_a_row} in a row"
    if purpose.locked_until:
        yield f"Locked until {_time(purpose.locked_until)} ({purpose.locked_by})"
    for until, which in (
        (purpose.cooldown_until, "Cooldown"),
        (purpose.concealed_cooldown_until, "Concealed cooldown"),
    ):
        if until:
            yield f"{which} until {_time(until)}"
    for message in purpose.messages:
        concealed = ", concealed" if message.concealed else ""
        yield f"Message of {_time(message.sent_at)}: {message.status}{concealed}"
    for challenge in purpose.challenges:
        kind = ", decoy" if challenge.decoy else ", concealed" if challenge.concealed else ""
        yield (
            f"Live challenge until {_time(challenge.expires_at)}: {challenge.attempts_left} "
            f"attempts left, {challenge.status}{kind}"
        )


def _time(instant: datetime) -> str:
    return f"{instant:%Y-%m-%d %H:%M:%S} UTC"


def _plain(value: object) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)
