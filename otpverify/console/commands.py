"""The commands for an owner and for support: what those of `otpverify` and of `manage.py` share."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

from otpverify.console import inspection, traffic as tables
from otpverify.core.results import mask
from otpverify.core.traffic import MOST_HOURS
from otpverify.errors import ConfigurationError, ExtraMissing
from otpverify.gateways.no_gateway import NoGateway

if TYPE_CHECKING:
    from otpverify.settings import Parts, Settings
    from otpverify.verifier import Verifier

_MOST_DIGITS = 9

TRAFFIC = (
    "Show what was sent, entered and refused by country, in the last hour, day and two weeks. "
    "First are the countries where most money was asked for codes that nobody entered. It is "
    "counted where the application has a FraudPolicy."
)
INSPECT = (
    "Show what the store knows of a phone number: sends, wrong codes, locks and live challenges, "
    "and never a code. It changes nothing."
)
DOCTOR = (
    "Check the settings, the store and the gateway, and print what to fix. It sends no message. "
    "The exit code is 1 if a check fails."
)
UNLOCK = (
    "Clear cooldown, send limits and wrong codes of a phone number. First make sure, by another "
    "way than this phone, that you talk to its owner. Challenges stay as they are."
)


def whole_number(lowest: int, highest: int) -> Callable[[str], int]:
    """The type of an argument that takes a whole number in this range."""

    def read(text: str) -> int:
        # Longer texts are out of every range, and slow to read.
        number = int(text) if text.isdecimal() and len(text) <= _MOST_DIGITS else lowest - 1
        if not lowest <= number <= highest:
            raise argparse.ArgumentTypeError(f"must be a whole number from {lowest} to {highest}")
        return number

    return read


def add_traffic_arguments(parser: argparse.ArgumentParser) -> None:
    """Those of `traffic`."""
    parser.add_argument(
        "--hours",
        type=whole_number(1, MOST_HOURS),
        metavar="N",
        help="one table, of the last N hours",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def add_phone_arguments(parser: argparse.ArgumentParser) -> None:
    """Those of `inspect` and `unlock`."""
    parser.add_argument(
        "phone",
        help="the number, or - to read it from standard input, out of the shell's history",
    )
    parser.add_argument("--purpose", help="only this purpose (default: all)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def traffic(
    settings: Settings,
    say: Callable[[str], None],
    hours: int | None,
    as_json: bool,
    *,
    terminal: bool,
) -> None:
    """Print what was sent and entered, by country: with bars on a terminal, where the extra `cli`
    is installed; as plain lines elsewhere.

    Args:
        settings: Those of the application.
        say: Writes a line.
        hours: One window of so many hours; `None` for an hour, a day and two weeks.
        as_json: Print one JSON object.
        terminal: Whether lines go to a terminal.

    Raises:
        ConfigurationError: A setting or an argument is not valid.
        StoreError: The store cannot answer.
        OSError: The terminal cannot be written to.
    """
    with _shared_parts(settings) as parts:
        windows = tables.read_windows(parts.store, hours)
    if as_json:
        say(tables.traffic_json(windows))
        return
    if terminal:
        try:
            from otpverify.console.traffic_table import print_tables
        except ExtraMissing as error:
            say(f"{error}")
        else:
            print_tables(windows)
            return
    for line in tables.traffic_lines(windows):
        say(line)


def inspect(
    settings: Settings, say: Callable[[str], None], phone: str, purpose: str | None, as_json: bool
) -> None:
    """Print what is known of a number. Arguments and errors are those of `traffic` and of
    `Verifier.inspect`."""
    with _verifier(settings) as verifier:
        found = verifier.inspect(_number(phone), purpose=purpose)
    if as_json:
        say(inspection.inspection_json(found))
        return
    for line in inspection.inspection_lines(found):
        say(line)


def unlock(
    settings: Settings, say: Callable[[str], None], phone: str, purpose: str | None, as_json: bool
) -> None:
    """Clear what limits a number. Arguments and errors are those of `traffic` and of
    `Verifier.unlock`."""
    number = _number(phone)
    with _verifier(settings) as verifier:
        shown = mask(verifier.normalize(number))
        verifier.unlock(number, purpose=purpose)
    said = inspection.unlocked_json if as_json else inspection.unlocked_text
    say(said(shown, purpose))


@contextmanager
def _shared_parts(settings: Settings) -> Iterator[Parts]:
    # Imported here: it loads the library.
    from otpverify.settings import Parts

    with closing(Parts(settings, sender=NoGateway())) as parts:
        if parts.store.process_local:
            names = " or ".join(map(settings.spell, ("REDIS_URL", "SQLITE_PATH")))
            raise ConfigurationError(
                f"Set {names}: without a store that processes share there is nothing to see."
            )
        yield parts


@contextmanager
def _verifier(settings: Settings) -> Iterator[Verifier]:
    # Imported here: it loads the library.
    from otpverify.verifier import Verifier

    with _shared_parts(settings) as parts:
        yield Verifier(parts.sender, **parts.arguments())


def _number(given: str) -> str:
    return sys.stdin.readline().strip() if given == "-" else given
