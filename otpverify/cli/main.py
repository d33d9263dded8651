"""The command line: `otpverify sandbox`, `otpverify demo`, `otpverify doctor`,
`otpverify traffic`, `otpverify inspect`, `otpverify unlock`, `otpverify lint-message`,
`otpverify send-bulk`, `otpverify secret`."""

from __future__ import annotations

import argparse
import errno
import secrets
import shlex
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, Final

from otpverify import ConfigurationError, OtpVerifyError, __version__
from otpverify.cli import lint
from otpverify.cli.terminal import (
    OutputLost,
    Parser,
    complain,
    flush,
    on_terminal,
    printable_logs,
    say,
    say_if_read,
    say_while_read,
    written_by_others,
)
from otpverify.console import commands as shared
from otpverify.console.commands import DOCTOR, whole_number
from otpverify.gateways.send_bulk import LARGEST_BATCH, LARGEST_CONCURRENCY, check_options
from otpverify.sandbox import Sandbox

if TYPE_CHECKING:
    from otpverify.settings import Settings

SANDBOX_PORT: Final = 8025
_SECRET_BYTES = 32
_LOCAL = "127.0.0.1"
_INTERRUPTED = 128 + signal.SIGINT
_NOT_READ = 128 + 13  # as shells report SIGPIPE, which not every system has
_PORT = whole_number(0, 65_535)
_SUPPORT_SETTINGS = (
    "The store and the secret are those of the environment, as for your application. Figures "
    "follow the default policy."
)
_SEND_BULK_HELP = "send one text to every number in a CSV file, once"
_SEND_BULK_EPILOG = """\
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


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command.

    Args:
        argv: The arguments; default: those of the process.

    Returns:
        The exit code. 0: success. 1: the command ran and found a problem (the doctor found a
        failure, a message has findings, a recipient was not sent to, a flow of the demo's script
        failed). 2: the command could not run, or its output could not be written. 130: it was
        interrupted. 141: the reader of its output has gone (as in `| head -1`), so it ended early.
    """
    parser = _parser()
    try:
        options = parser.parse_args(argv)
        if options.command is None:
            parser.print_help()
            return 0
    finally:
        flush()  # argparse prints help and errors itself
    try:
        with printable_logs():
            return int(options.command(options))
    except OtpVerifyError as error:
        complain(f"otpverify: {error}")
        return 2
    except KeyboardInterrupt:
        return _INTERRUPTED
    except OutputLost as error:
        if error.unread:
            return _NOT_READ
        complain(f"otpverify: {error}")
        return 2


def _parser() -> argparse.ArgumentParser:
    parser = Parser(prog="otpverify", description="One-time codes by SMS, accepted once.")
    parser.add_argument("--version", action="version", version=f"otpverify {__version__}")
    parser.set_defaults(command=None)
    commands = parser.add_subparsers(title="commands", metavar="command")

    sandbox = commands.add_parser(
        "sandbox",
        help="run a local gateway: no SMS is sent, an inbox page shows the messages",
        description="Run an SMS gateway on this machine, for development and tests. It sends no "
        "SMS: an inbox page shows every message. Point your application at it with the settings "
        "that it prints.",
    )
    sandbox.add_argument("--host", default=_LOCAL, help=f"address to listen on (default: {_LOCAL})")
    sandbox.add_argument(
        "--port",
        type=_PORT,
        help=f"port to listen on (default: {SANDBOX_PORT}, or a free one if that is in use)",
    )
    sandbox.add_argument(
        "--dialect",
        choices=("2.0", "tutorial"),
        default="2.0",
        help="format of the replies: the gateway's version 2.0, or the one in its tutorial "
        "(default: 2.0)",
    )
    sandbox.add_argument(
        "--reports",
        choices=("post", "get", "none"),
        default="post",
        help="how delivery reports reach an application that asks for them (default: post)",
    )
    sandbox.add_argument(
        "--report-anywhere",
        action="store_true",
        help="send delivery reports to other machines too, such as another container "
        "(default: to this machine only)",
    )
    sandbox.set_defaults(command=_sandbox)

    demo = commands.add_parser(
        "demo",
        help="run a demo site next to the sandbox's inbox",
        description="Run a demo site: sign-in, phone confirmation and password reset, next to "
        "the sandbox's inbox, where its messages arrive.",
    )
    demo.add_argument(
        "--port",
        type=_PORT,
        help="the site's port (default: 8000, or a free one if that is in use)",
    )
    demo.add_argument(
        "--sandbox-port",
        type=_PORT,
        help=f"the sandbox's port (default: {SANDBOX_PORT}, or a free one if that is in use)",
    )
    demo.add_argument(
        "--script",
        action="store_true",
        help="run the three flows without a browser, print each step and exit; "
        "the exit code is 0 if all succeed",
    )
    demo.set_defaults(command=_demo)

    doctor = commands.add_parser(
        "doctor",
        help="check the settings, the store and the gateway",
        description=DOCTOR,
    )
    doctor.set_defaults(command=_doctor)

    _add_support(commands)
    lint.add_command(commands)
    _add_send_bulk(commands)

    secret = commands.add_parser(
        "secret",
        help="print a new value for OTPVERIFY_SECRET",
        description="Print a new random secret, for OTPVERIFY_SECRET. Keep it out of your "
        "repository.",
    )
    secret.set_defaults(command=_secret)
    return parser


def _add_support(commands: Any) -> None:
    """`traffic`, `inspect` and `unlock`: for the owner and for support."""
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
        description=f"{shared.INSPECT} {_SUPPORT_SETTINGS}",
    )
    shared.add_phone_arguments(inspect)
    inspect.set_defaults(command=_inspect)
    unlock = commands.add_parser(
        "unlock",
        help="clear what limits a phone number",
        description=f"{shared.UNLOCK} {_SUPPORT_SETTINGS}",
    )
    shared.add_phone_arguments(unlock)
    unlock.set_defaults(command=_unlock)


def _add_send_bulk(commands: Any) -> None:
    parser: argparse.ArgumentParser = commands.add_parser(
        "send-bulk",
        help=_SEND_BULK_HELP,
        description=_SEND_BULK_HELP.capitalize() + ".",
        epilog=_SEND_BULK_EPILOG,
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
        "--rate", type=_rate, metavar="N", help="the most recipients a second (default: no limit)"
    )
    parser.add_argument(
        "--batch-size",
        type=whole_number(1, LARGEST_BATCH),
        default=100,
        metavar="N",
        help="recipients in one request (default: 100)",
    )
    parser.add_argument(
        "--concurrency",
        type=whole_number(1, LARGEST_CONCURRENCY),
        default=4,
        metavar="N",
        help="requests at the same time (default: 4)",
    )
    parser.set_defaults(command=_send_bulk)


def _rate(text: str) -> float:
    try:
        rate = float(text)
        check_options({"recipients_per_second": rate})
    except (ValueError, ConfigurationError):
        raise argparse.ArgumentTypeError(
            "must be a number of recipients a second, at least 1/86400 (one a day)"
        ) from None
    return rate


def _sandbox(options: argparse.Namespace) -> int:
    _take_signals()
    with _opened(
        options.host,
        options.port,
        dialect=options.dialect,
        reports=None if options.reports == "none" else options.reports,
        report_anywhere=options.report_anywhere,
    ) as sandbox:
        say(f"Sandbox   {sandbox.url}")
        say(f"Inbox     {sandbox.inbox_url}")
        say()
        for name, value in sandbox.environ.items():
            say(f"export {name}={shlex.quote(value)}")
        _until_stopped()
    return 0


def _demo(options: argparse.Namespace) -> int:
    # Imported here: only this command needs an extra.
    from otpverify.demo import Site, run

    _take_signals()
    if options.script:
        return 0 if run(say) else 1
    # For this machine only: the site shows the inbox in a frame, at the address of both.
    with (
        _opened(_LOCAL, options.sandbox_port) as sandbox,
        Site(sandbox, host=_LOCAL, port=options.port) as site,
    ):
        say(f"Demo      {site.url}")
        say(f"Inbox     {sandbox.inbox_url}")
        _until_stopped()
    return 0


def _doctor(_: argparse.Namespace) -> int:
    # Imported here: it loads the clients of the gateway and the store.
    from otpverify.console.doctor import examine, run

    return 0 if run(examine(_settings()), say) else 1


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


def _settings() -> Settings:
    # Imported here: it loads the library.
    from otpverify.settings import Settings

    return Settings()


def _send_bulk(options: argparse.Namespace) -> int:
    # Imported here: it loads the gateway's client and the numbering plans.
    from otpverify.cli.send_bulk.command import run

    _take_signals()
    # Of sending, the results file is the record. Of a dry run, the output is all there is.
    return run(options, say_while_read if options.dry_run else say_if_read)


def _secret(_: argparse.Namespace) -> int:
    say(secrets.token_urlsafe(_SECRET_BYTES))
    return 0


def _opened(host: str, port: int | None, **options: Any) -> Sandbox:
    """A started sandbox.

    Raises:
        ConfigurationError: The port cannot be used.
    """
    try:
        wanted = SANDBOX_PORT if port is None else port
        return Sandbox(host=host, port=wanted, **options).start()
    except ConfigurationError as error:
        taken = getattr(error.__cause__, "errno", None) == errno.EADDRINUSE
        if port is not None or not taken:
            raise
    return Sandbox(host=host, **options).start()


def _take_signals() -> None:
    """Let SIGINT and SIGTERM end the command cleanly.

    SIGINT is set, too, because a shell starts background commands with SIGINT ignored.
    """

    def stop(_: int, __: FrameType | None) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGINT, stop)
    signal.signal(signal.SIGTERM, stop)


def _until_stopped() -> None:
    try:
        say()
        say("Press Ctrl-C to stop.")
        while True:
            time.sleep(3600)
    except KeyboardInterrupt:
        # A second Ctrl-C must not interrupt the shutdown.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
