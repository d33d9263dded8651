"""`otpverify inspect` and `otpverify unlock`: a number's limits, for support."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any

from otpverify.cli.terminal import say
from otpverify.core.results import Message, Receipt, mask
from otpverify.errors import ConfigurationError

if TYPE_CHECKING:
    from otpverify import Verifier
    from otpverify.settings import Parts

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
    # Imported here: it loads the library.
    from otpverify.console import inspection

    with _verifier(os.environ) as verifier:
        found = verifier.inspect(_number(options.phone), purpose=options.purpose)
    if options.json:
        say(inspection.inspection_json(found))
        return 0
    for line in inspection.inspection_lines(found):
        say(line)
    return 0


def run_unlock(options: argparse.Namespace) -> int:
    """Unlock the number. Return the exit code."""
    # Imported here: it loads the library.
    from otpverify.console import inspection

    number = _number(options.phone)
    with _verifier(os.environ) as verifier:
        shown = mask(verifier.normalize(number))
        verifier.unlock(number, purpose=options.purpose)
    said = inspection.unlocked_json if options.json else inspection.unlocked_text
    say(said(shown, options.purpose))
    return 0


def shared_parts(environ: Mapping[str, str]) -> Parts:
    """The parts that the environment's application uses, without its gateway.

    Raises:
        ConfigurationError: The environment names no store that processes share.
    """
    # Imported here: they load the clients of the store.
    from otpverify.settings import Parts, Settings

    if not any(environ.get(name) for name in _STORES):
        raise ConfigurationError(
            f"Set {' or '.join(_STORES)}: without a store that processes share there is nothing "
            "to see."
        )
    return Parts(Settings(environ=environ), sender=_NoGateway())


class _NoGateway:
    """Stands in for the gateway, whose credentials support does not need."""

    def send(self, message: Message) -> Receipt:
        """Never called: these commands send nothing."""
        raise NotImplementedError


@contextmanager
def _verifier(environ: Mapping[str, str]) -> Iterator[Verifier]:
    # Imported here: it loads the library.
    from otpverify import Verifier

    with closing(shared_parts(environ)) as parts:
        yield Verifier(parts.sender, **parts.arguments())


def _number(given: str) -> str:
    return sys.stdin.readline().strip() if given == "-" else given
