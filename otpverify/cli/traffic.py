"""`otpverify traffic`: what was sent and entered, by country."""

from __future__ import annotations

import argparse
import os
import sys
from contextlib import closing
from typing import Any

from otpverify.cli.inspect_unlock import shared_parts
from otpverify.cli.terminal import on_terminal, say, written_by_others


def add_command(commands: Any) -> None:
    """Add `traffic` to the subcommands of a parser."""
    parser = commands.add_parser(
        "traffic",
        help="show what was sent and entered, by country",
        description="Show what was sent, entered and refused by country, in the last hour, day and "
        "two weeks. First are the countries where most money was asked for codes that nobody "
        "entered. It is counted where the application has a FraudPolicy, in the store that "
        "OTPVERIFY_REDIS_URL or OTPVERIFY_SQLITE_PATH names.",
    )
    parser.add_argument("--hours", type=int, metavar="N", help="one table, of the last N hours")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.set_defaults(command=run_traffic)


def run_traffic(options: argparse.Namespace) -> int:
    """Print the tables. Return the exit code."""
    # Imported here: they load the library.
    from otpverify.console import show_traffic
    from otpverify.console.traffic import read_windows, traffic_json

    with closing(shared_parts(os.environ)) as parts:
        windows = read_windows(parts.store, options.hours)
    if options.json:
        say(traffic_json(windows))
        return 0
    with written_by_others():
        show_traffic(windows, say, terminal=on_terminal(sys.stdout))
    return 0
