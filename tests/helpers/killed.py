"""`otpverify send-bulk` in a process of its own that dies at a chosen moment, for real: SIGKILL,
no handler, no flush."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
from collections.abc import Callable, Mapping
from typing import Any

_CONTEXT = multiprocessing.get_context("forkserver")
# Each is forked from a process that has all of it loaded: a fraction of a second apiece.
_CONTEXT.set_forkserver_preload(
    ["otpverify.cli.send_bulk.command", "otpverify.cli.main", "requests"]
)

Moment = tuple[str, str, int]
"""What dies, where in it (`before`, `torn`, `after`), and at which call of it, from 1. `append`
is a write to the results file, `request` one to the gateway."""


def run(arguments: list[str], environ: Mapping[str, str], moment: Moment | None = None) -> int:
    """Run the command to its end, natural or not; give its exit code, -9 if it was killed."""
    process = _CONTEXT.Process(target=_main, args=(arguments, dict(environ), moment))
    process.start()
    process.join(60)
    if process.exitcode is None:
        process.kill()
        process.join()
        raise AssertionError("The command did not end.")
    return process.exitcode


def _main(arguments: list[str], environ: dict[str, str], moment: Moment | None) -> None:
    from otpverify import SmspmClient
    from otpverify.cli import main as cli
    from otpverify.cli.send_bulk.journal import Journal

    os.environ.update(environ)
    null = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):
        os.dup2(null, standard)
    if moment is not None:
        what, where, nth = moment
        owner: Any = Journal if what == "append" else SmspmClient
        name = "_append" if what == "append" else "_exchange"
        setattr(owner, name, _deadly(getattr(owner, name), where, nth))
    sys.exit(cli.main(["send-bulk", *arguments]))


def _deadly(method: Callable[..., Any], where: str, nth: int) -> Callable[..., Any]:
    calls = 0

    def deadly(self: Any, first: Any, *more: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == nth and where == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        if calls == nth and where == "torn":
            method(self, first[: len(first) // 2])
            os.kill(os.getpid(), signal.SIGKILL)
        result = method(self, first, *more)
        if calls == nth:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    return deadly
