"""`otpverify traffic`, `inspect` and `unlock`: for the owner and for support."""

from __future__ import annotations

import argparse
import os
import sys
from typing import Any

from otpverify.cli.terminal import on_terminal, say, written_by_others
from otpverify.console import commands as shared

_SETTINGS = (
    "The store and the secret are those of the environment, as for your application. Figures "
    "follow the default policy."
)


def add_commands(commands: Any) -> None:
    """Add `traffic`, `inspect` and `unlock` to the subcommands of a parser."""
    traffic = commands.add_parser(
        "traffic",
        help="show what was sent and entered, by country",
        description=f"{shared.TRAFFIC} The store is that of the environment, as for your "
        "application.",
    )
    shared.add_traffic_arguments(traffic)
    traffic.set_defaults(command=_traffic)
    inspect = commands.add_parser(
        "inspect",
        help="show what limits a phone number",
        description=f"{shared.INSPECT} {_SETTINGS}",
    )
    shared.add_phone_arguments(inspect)
    inspect.set_defaults(command=_inspect)
    unlock = commands.add_parser(
        "unlock",
        help="clear what limits a phone number",
        description=f"{shared.UNLOCK} {_SETTINGS}",
    )
    shared.add_phone_arguments(unlock)
    unlock.set_defaults(command=_unlock)


def _traffic(options: argparse.Namespace) -> int:
    with written_by_others():
        shared.traffic(
            _settings(), say, options.hours, options.json, terminal=on_terminal(sys.stdout)
        )
    return 0


def _inspect(options: argparse.Namespace) -> int:
    shared.inspect(_settings(), say, options.phone, options.purpose, options.json)
    return 0


def _unlock(options: argparse.Namespace) -> int:
    shared.unlock(_settings(), say, options.phone, options.purpose, options.json)
    return 0


def _settings() -> Any:
    # Imported here: it loads the library.
    from otpverify.settings import Settings

    return Settings(environ=os.environ)
