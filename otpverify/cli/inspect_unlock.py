"""`otpverify inspect` and `otpverify unlock`: a number's limits, for support."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING, Any

from otpverify.cli.terminal import say
from otpverify.core.results import mask
from otpverify.errors import ConfigurationError

if TYPE_CHECKING:
    from otpverify import Verifier
    from otpverify.core.inspection import LimitUse, PhoneInspection, PurposeInspection

_SETTINGS = (
    "The store and the secret are those of the environment, as for your application. Figures "
    "follow the default policy."
)
_STORES = ("OTPVERIFY_REDIS_URL", "OTPVERIFY_SQLITE_PATH")


def add_commands(commands: Any) -> None:
    """Add `inspect` and `unlock` to the subcommands of a parser."""
    inspect = commands.add_parser(
        "inspect",
        help="show what limits a phone number",
        description="Show what the store knows of a phone number: sends, wrong codes, locks and "
        f"live challenges, and never a code. It changes nothing. {_SETTINGS}",
    )
    unlock = commands.add_parser(
        "unlock",
        help="clear what limits a phone number",
        description="Clear cooldown, send limits and wrong codes of a phone number. First make "
        "sure, by another way than this phone, that you talk to its owner. Challenges stay as they "
        f"are. {_SETTINGS}",
    )
    for parser, command in ((inspect, run_inspect), (unlock, run_unlock)):
        parser.add_argument(
            "phone",
            help="the number, or - to read it from standard input, out of the shell's history",
        )
        parser.add_argument("--purpose", help="only this purpose (default: all)")
        parser.add_argument("--json", action="store_true", help="print one JSON object")
        parser.set_defaults(command=command)


def run_inspect(options: argparse.Namespace) -> int:
    """Print what is known of the number. Return the exit code."""
    with _verifier(os.environ) as verifier:
        found = verifier.inspect(_number(options.phone), purpose=options.purpose)
    if options.json:
        say(json.dumps({**asdict(found), "phone": mask(found.phone)}, default=_plain))
        return 0
    for line in _lines(found):
        say(line)
    return 0


def run_unlock(options: argparse.Namespace) -> int:
    """Unlock the number. Return the exit code."""
    number = _number(options.phone)
    with _verifier(os.environ) as verifier:
        shown = mask(verifier.normalize(number))
        verifier.unlock(number, purpose=options.purpose)
    if options.json:
        say(json.dumps({"phone": shown, "purpose": options.purpose, "unlocked": True}))
        return 0
    purpose = "all purposes" if options.purpose is None else f"the purpose {options.purpose}"
    say(f"{shown}: unlocked for {purpose}.")
    return 0


def _verifier(environ: Mapping[str, str]) -> Verifier:
    # Imported here: it loads the clients of the gateway and the store.
    from otpverify import Verifier

    if not any(environ.get(name) for name in _STORES):
        raise ConfigurationError(
            f"Set {' or '.join(_STORES)}: without a store that processes share there is nothing "
            "to see."
        )
    return Verifier.from_env(environ)


def _number(given: str) -> str:
    return sys.stdin.readline().strip() if given == "-" else given


def _lines(found: PhoneInspection) -> Iterator[str]:
    yield f"{mask(found.phone)} at {_time(found.inspected_at)}"
    for name, uses in (("Sends", found.sends), ("Concealed sends", found.concealed_sends)):
        if uses:
            yield f"{name}: {'; '.join(map(_use, uses))}"
    if not found.purposes:
        yield "Nothing else is known of it."
    for purpose in found.purposes:
        yield from _purpose_lines(purpose)


def _use(use: LimitUse) -> str:
    text = f"{use.used} of {use.limit.count} in {use.limit.seconds} seconds"
    return f"{text}, next at {_time(use.admits_at)}" if use.admits_at else text


def _purpose_lines(purpose: PurposeInspection) -> Iterator[str]:
    name = "a purpose that was not named" if purpose.purpose is None else purpose.purpose
    yield f"Purpose: {name}"
    failures, in_a_row = purpose.failures, purpose.consecutive_failures
    yield f"  Wrong codes: {failures} in the window, {in_a_row} in a row"
    if purpose.locked_until:
        yield f"  Locked until {_time(purpose.locked_until)} ({purpose.locked_by})"
    for until, which in (
        (purpose.cooldown_until, "Cooldown"),
        (purpose.concealed_cooldown_until, "Concealed cooldown"),
    ):
        if until:
            yield f"  {which} until {_time(until)}"
    for message in purpose.messages:
        concealed = ", concealed" if message.concealed else ""
        yield f"  Message of {_time(message.sent_at)}: {message.status}{concealed}"
    for challenge in purpose.challenges:
        kind = ", decoy" if challenge.decoy else ", concealed" if challenge.concealed else ""
        yield (
            f"  Live challenge until {_time(challenge.expires_at)}: {challenge.attempts_left} "
            f"attempts left, {challenge.status}{kind}"
        )


def _time(instant: datetime) -> str:
    return f"{instant:%Y-%m-%d %H:%M:%S} UTC"


def _plain(value: object) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)
