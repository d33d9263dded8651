"""The command line: `otpverify sandbox`, `otpverify demo`, `otpverify doctor`,
`otpverify lint-message`, `otpverify send-bulk`, `otpverify secret`."""

from __future__ import annotations

import argparse
import errno
import os
import secrets
import shlex
import signal
import sys
import time
from collections.abc import Sequence
from types import FrameType
from typing import Any, Final

from otpverify import ConfigurationError, OtpVerifyError, __version__
from otpverify.cli import lint
from otpverify.cli.send_bulk import arguments as bulk
from otpverify.sandbox import Sandbox

SANDBOX_PORT: Final = 8025
_SECRET_BYTES = 32
_LOCAL = "127.0.0.1"
_INTERRUPTED = 128 + signal.SIGINT
_HIGHEST_PORT = 65_535


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command.

    Args:
        argv: The arguments; those of the process if left out.

    Returns:
        The exit code: 0 when all went well, 1 when the script's flows did not end as they
        should, a message has findings or somebody was not sent to, 2 when the command could
        not be run, 130 when it was interrupted before its end.
    """
    parser = _parser()
    options = parser.parse_args(argv)
    if options.command is None:
        parser.print_help()
        return 0
    try:
        return int(options.command(options))
    except OtpVerifyError as error:
        sys.stderr.write(f"otpverify: {error}\n")
        return 2
    except KeyboardInterrupt:
        return _INTERRUPTED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="otpverify", description="One-time codes by SMS, accepted once."
    )
    parser.add_argument("--version", action="version", version=f"otpverify {__version__}")
    parser.set_defaults(command=None)
    commands = parser.add_subparsers(title="commands", metavar="command")

    sandbox = commands.add_parser(
        "sandbox", help="a gateway for development: nothing is sent, the inbox shows it"
    )
    sandbox.add_argument("--host", default=_LOCAL, help=f"the address ({_LOCAL})")
    sandbox.add_argument(
        "--port", type=_port, help=f"the port ({SANDBOX_PORT}; if that is taken, a free one)"
    )
    sandbox.add_argument(
        "--dialect", choices=("2.0", "tutorial"), default="2.0", help="of the replies (2.0)"
    )
    sandbox.add_argument(
        "--reports",
        choices=("post", "get", "none"),
        default="post",
        help="how delivery reports come to an application that asks for them (post)",
    )
    sandbox.add_argument(
        "--report-anywhere",
        action="store_true",
        help="let delivery reports leave this machine, for an application in another container",
    )
    sandbox.set_defaults(command=_sandbox)

    demo = commands.add_parser("demo", help="a site with three flows, and the sandbox beside it")
    demo.add_argument("--port", type=_port, help="the site's port (8000; if taken, a free one)")
    demo.add_argument(
        "--sandbox-port",
        type=_port,
        help=f"the sandbox's port ({SANDBOX_PORT}; if taken, a free one)",
    )
    demo.add_argument(
        "--script",
        action="store_true",
        help="run the three flows here on free ports, say what happens, and end; "
        "the exit code is 0 if each ended as it should",
    )
    demo.set_defaults(command=_demo)

    doctor = commands.add_parser(
        "doctor", help="look at settings, store and gateway, and say what to mend"
    )
    doctor.set_defaults(command=_doctor)

    lint.add_command(commands)
    bulk.add_command(commands).set_defaults(command=_send_bulk)

    secret = commands.add_parser("secret", help="print a new secret for OTPVERIFY_SECRET")
    secret.set_defaults(command=_secret)
    return parser


def _port(text: str) -> int:
    port = int(text)
    if not 0 <= port <= _HIGHEST_PORT:
        raise argparse.ArgumentTypeError(f"a port is a number from 0 to {_HIGHEST_PORT}")
    return port


def _sandbox(options: argparse.Namespace) -> int:
    _take_signals()
    with _opened(
        options.host,
        options.port,
        dialect=options.dialect,
        reports=None if options.reports == "none" else options.reports,
        report_anywhere=options.report_anywhere,
    ) as sandbox:
        _say(f"Sandbox   {sandbox.url}")
        _say(f"Inbox     {sandbox.inbox_url}")
        _say()
        for name, value in sandbox.environ.items():
            _say(f"export {name}={shlex.quote(value)}")
        _until_stopped()
    return 0


def _demo(options: argparse.Namespace) -> int:
    # Imported here: it needs an extra, the other commands do not.
    from otpverify.demo import Site, run

    _take_signals()
    if options.script:
        return 0 if run(_say) else 1
    # For this machine only: the site shows the inbox in a frame by the address that both have.
    with (
        _opened(_LOCAL, options.sandbox_port) as sandbox,
        Site(sandbox, host=_LOCAL, port=options.port) as site,
    ):
        _say(f"Demo      {site.url}")
        _say(f"Inbox     {sandbox.inbox_url}")
        _until_stopped()
    return 0


def _doctor(_: argparse.Namespace) -> int:
    # Imported here: it loads the clients of gateway and store.
    from otpverify.cli.doctor import run

    return 0 if run(os.environ, _say) else 1


def _send_bulk(options: argparse.Namespace) -> int:
    # Imported here: it loads the gateway's client and the numbering plans.
    from otpverify.cli.send_bulk.command import run

    _take_signals()
    return run(options, _say)


def _secret(_: argparse.Namespace) -> int:
    _say(secrets.token_urlsafe(_SECRET_BYTES))
    return 0


def _opened(host: str, port: int | None, **options: Any) -> Sandbox:
    """A started sandbox.

    Raises:
        ConfigurationError: The port cannot be had.
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
    """Let both signals end the command in order. SIGINT is set, too: a shell that starts a
    command in the background has it ignored."""

    def stop(_: int, __: FrameType | None) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGINT, stop)
    signal.signal(signal.SIGTERM, stop)


def _until_stopped() -> None:
    _say()
    _say("Ctrl-C ends it.")
    try:
        while True:
            time.sleep(3600)
    except KeyboardInterrupt:
        # A second Ctrl-C must not interrupt the way out.
        signal.signal(signal.SIGINT, signal.SIG_IGN)


def _say(line: str = "") -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()
