"""What `otpverify send-bulk` takes. It loads nothing but argparse."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

_HELP = "send one text to a list of numbers, to each of them once"
_EPILOG = """\
Nobody is sent to twice. The results file says who is about to be sent to before each request,
and what came of it after. If the process dies at any moment, the same command with --resume
sends to those who are left. Whoever was about to be sent to when it died is "unknown": the
message may have gone out. They are not sent to again, unless --retry-unknown says that twice is
better than never.

The results file holds full numbers; only its owner may read it.

Exit codes: 0 everybody was sent to, 1 somebody was not, or nobody knows, 2 nothing was begun.
"""


def add_command(commands: Any) -> argparse.ArgumentParser:
    """Add the command to a parser's commands."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "send-bulk",
        help=_HELP,
        description=_HELP.capitalize() + ".",
        epilog=_EPILOG,
        allow_abbrev=False,  # --retry-unknown is to be meant
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("numbers", type=Path, metavar="numbers.csv", help="the list, in UTF-8")
    text = parser.add_mutually_exclusive_group(required=True)
    text.add_argument("--text", help="the text; other users of this machine can see it")
    text.add_argument("--text-file", type=Path, metavar="FILE", help="a file with the text")
    parser.add_argument("--column", help="the list's column, by its name or its place from 1")
    parser.add_argument(
        "--region", metavar="EE", help="the country of numbers without a country code"
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="say who would be sent to and what it would cost"
    )
    parser.add_argument(
        "--prices", type=Path, metavar="FILE", help='JSON such as {"per_segment": {"EE": 0.04}}'
    )
    parser.add_argument(
        "--results", type=Path, metavar="FILE", help="the results file (numbers.csv.results.jsonl)"
    )
    parser.add_argument(
        "--resume", action="store_true", help="go on with the results file of an earlier run"
    )
    parser.add_argument(
        "--retry-unknown",
        action="store_true",
        help="with --resume: send to those, too, who may have been sent to already",
    )
    parser.add_argument("--yes", action="store_true", help="do not ask before sending")
    parser.add_argument(
        "--rate", type=float, metavar="N", help="recipients a second at most (no limit)"
    )
    parser.add_argument(
        "--batch-size", type=int, default=100, metavar="N", help="recipients a request (100)"
    )
    parser.add_argument(
        "--concurrency", type=int, default=4, metavar="N", help="requests at a time (4)"
    )
    return parser
