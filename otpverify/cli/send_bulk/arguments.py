"""The arguments of `otpverify send-bulk`. This module imports only argparse."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

_HELP = "send one text to every number in a CSV file, once"
_EPILOG = """\
No number is sent to twice. Before each request, the results file records which numbers it is for;
after it, the outcome of each. If the process is killed at any moment, run the same command with
--resume: it sends to the numbers that are left. Numbers whose request was interrupted are
"unknown": their message may have been sent. They are not sent to again unless you add
--retry-unknown.

The results file contains full phone numbers; only its owner can read it.

Every row of the list is the number that was exported, or an error with its line: start with
--dry-run to see them.

Exit codes: 0 all were sent to; 1 some were not, or their outcome is unknown; 2 nothing was sent,
because an argument, a setting or a file is not valid; 130 interrupted.
"""


def add_command(commands: Any) -> argparse.ArgumentParser:
    """Add the command to a parser's commands."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "send-bulk",
        help=_HELP,
        description=_HELP.capitalize() + ".",
        epilog=_EPILOG,
        allow_abbrev=False,  # --retry-unknown must be written out
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "numbers", type=Path, metavar="numbers.csv", help="the phone numbers: a CSV file"
    )
    text = parser.add_mutually_exclusive_group(required=True)
    text.add_argument(
        "--text", help="the text; other users of this machine can see it in the process list"
    )
    text.add_argument(
        "--text-file", type=Path, metavar="FILE", help="read the text from a UTF-8 file"
    )
    parser.add_argument(
        "--column", help="the column of the numbers: its heading, or its position from 1"
    )
    parser.add_argument(
        "--region", metavar="EE", help="the country of numbers that have no country code"
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="print the recipients and the cost, and send nothing"
    )
    parser.add_argument(
        "--prices",
        type=Path,
        metavar="FILE",
        help='prices to use, as JSON: {"per_segment": {"EE": 0.04}}',
    )
    parser.add_argument(
        "--results",
        type=Path,
        metavar="FILE",
        help="the results file (default: numbers.csv.results.jsonl)",
    )
    parser.add_argument(
        "--resume", action="store_true", help="continue an earlier run from its results file"
    )
    parser.add_argument(
        "--retry-unknown",
        action="store_true",
        help="with --resume: also send to numbers that may already have been sent to",
    )
    parser.add_argument("--yes", action="store_true", help="send without asking first")
    parser.add_argument(
        "--rate", type=float, metavar="N", help="the most recipients a second (default: no limit)"
    )
    parser.add_argument(
        "--batch-size",
        type=int,
        default=100,
        metavar="N",
        help="recipients in one request (default: 100)",
    )
    parser.add_argument(
        "--concurrency",
        type=int,
        default=4,
        metavar="N",
        help="requests at the same time (default: 4)",
    )
    return parser
