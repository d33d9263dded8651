"""`otpverify send-bulk`, from its arguments to its exit code."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from otpverify import BulkInterrupted, BulkProgress, ConfigurationError, SmspmClient
from otpverify.cli.send_bulk import output
from otpverify.cli.send_bulk.csv_file import NumberList, read_numbers
from otpverify.cli.send_bulk.journal import Journal, header, refuse_taken
from otpverify.cli.send_bulk.output import display
from otpverify.cli.terminal import on_terminal, printable
from otpverify.core.prices import Prices
from otpverify.gateways.send_bulk import BulkOptions, check_options
from otpverify.gateways.smspm.account import DEFAULT_URL
from otpverify.gateways.smspm.bulk_batches import Plan, plan
from otpverify.gateways.smspm.prices import (
    Estimate,
    estimate,
    load_prices,
    people,
    published_prices,
)
from otpverify.sms import Segments, segments

Say = Callable[[str], None]

_NOT_EVERYBODY = 1


@dataclass(frozen=True, slots=True, repr=False)
class Mailing:
    """One text for one list."""

    text: str
    listed: NumberList
    plan: Plan
    segments: Segments
    prices: Prices

    def cost(self, phones: Sequence[str]) -> Estimate:
        """What it costs to send to these."""
        return estimate(phones, self.segments.parts, self.prices)


def run(options: argparse.Namespace, say: Say) -> int:
    """Run the command.

    Args:
        options: Those of `otpverify.cli.main`.
        say: Writes a line for the person.

    Returns:
        The exit code: 0 if all were sent to, 1 if some were not or their outcome is unknown.

    Raises:
        ConfigurationError: A setting or a file is not valid; nothing was sent.
        DeliveryRejected: The gateway cannot send this text.
    """
    if options.retry_unknown and not options.resume:
        raise ConfigurationError("--retry-unknown needs --resume.")
    check_options(_pace(options))
    mailing = _mailing(options)
    everybody = list(mailing.plan.recipients)
    if options.dry_run:
        cost = mailing.cost(everybody)
        for line in output.before(mailing.plan, mailing.listed, mailing.text, cost):
            say(line)
        return 0
    path = options.results or Path(f"{options.numbers}.results.jsonl")
    first_line = header(everybody, mailing.text, os.environ.get("SMSPM_URL") or DEFAULT_URL)
    with SmspmClient.from_env() as client:
        if options.resume:
            with Journal.resume(path, first_line) as journal:
                todo = _left(mailing.plan, journal, retry_unknown=options.retry_unknown)
                if not _agreed(mailing, todo, options):
                    return _declined(say)
                return _send(client, mailing, todo, journal, options, say)
        # Ask before creating the file: after a "no", nothing is left behind.
        refuse_taken(path)
        if not _agreed(mailing, everybody, options):
            return _declined(say)
        with Journal.create(path, first_line) as journal:
            return _send(client, mailing, everybody, journal, options, say)


def _mailing(options: argparse.Namespace) -> Mailing:
    text = options.text
    if options.text_file is not None:
        try:
            text = options.text_file.read_text("utf-8-sig").removesuffix("\n")
        except (OSError, UnicodeDecodeError):
            text = None
        if text is None:
            raise ConfigurationError(f"{options.text_file} cannot be read, or is not in UTF-8.")
    if not text.strip() or any("\ud800" <= character <= "\udfff" for character in text):
        raise ConfigurationError("The text is empty, or is not valid Unicode.")
    listed = read_numbers(options.numbers, options.column)
    return Mailing(
        text,
        listed,
        _plan(listed, options.region),
        segments(text),
        load_prices(options.prices) if options.prices else published_prices(),
    )


def _plan(listed: NumberList, region: str | None) -> Plan:
    """The recipients, with the reasons why a cell holds no number."""
    planned = plan([row.number for row in listed.rows], region)
    found = (
        replace(entry, error=listed.rows[entry.index].error or entry.error)
        for entry in planned.found
    )
    return replace(planned, found=tuple(found))


def _pace(options: argparse.Namespace) -> BulkOptions:
    return {
        "batch_size": options.batch_size,
        "concurrency": options.concurrency,
        "recipients_per_second": options.rate,
    }


def _left(planned: Plan, journal: Journal, *, retry_unknown: bool) -> list[str]:
    """Those certainly not sent to; with `retry_unknown`, also those whose outcome is unknown."""
    wanted = {None, "failed", "unknown"} if retry_unknown else {None, "failed"}
    return [phone for phone in planned.recipients if journal.known.status.get(phone) in wanted]


def _agreed(mailing: Mailing, todo: Sequence[str], options: argparse.Namespace) -> bool:
    """Ask for confirmation, if stdin is a terminal; otherwise `--yes` is assumed."""
    if options.yes or not todo or not on_terminal(sys.stdin):
        return True
    parts = mailing.segments.parts
    question = (
        f"Send {parts} segment{'s' if parts > 1 else ''} each to {people(len(todo))}, "
        f"for at most {mailing.cost(todo)}? [y/N] "
    )
    try:
        return input(printable(question)).strip().lower() in ("y", "yes")
    except (EOFError, OSError, RuntimeError):  # nobody can read the question, or answer it
        return False


def _declined(say: Say) -> int:
    say("Nothing was sent.")
    return _NOT_EVERYBODY


def _send(
    client: SmspmClient,
    mailing: Mailing,
    todo: Sequence[str],
    journal: Journal,
    options: argparse.Namespace,
    say: Say,
) -> int:
    rows, found = mailing.listed.rows, mailing.plan.found
    journal.leave_out(
        (e, rows[e.index], None if e.duplicate_of is None else rows[e.duplicate_of]) for e in found
    )
    reasons = output.Reasons()
    shown = display(len(todo), say, terminal=on_terminal(sys.stdout))

    def progress(news: BulkProgress) -> None:
        journal.settled(news)
        reasons.take(news)
        shown.show(output.attempted(news))

    how = _pace(options)
    how["on_sending"], how["on_progress"] = journal.sending, progress
    why: str | None = None
    try:
        with shown:
            client.send_bulk(todo, mailing.text, **how)
    except BulkInterrupted as error:
        why = _why(error.__cause__)
    finally:
        for line in (*output.after(mailing.plan, journal.known.status), *reasons.lines()):
            say(line)
    if why is not None:
        say(why)
    invalid = any(entry.phone is None for entry in found)
    status = journal.known.status
    sent = all(status.get(phone) == "sent" for phone in mailing.plan.recipients)
    return 0 if sent and not invalid else _NOT_EVERYBODY


def _why(cause: BaseException | None) -> str:
    """Why sending stopped early. Only messages of the operating system are repeated."""
    if isinstance(cause, OSError):
        return f"Sending stopped early: {cause.strerror or type(cause).__name__}."
    return f"Sending stopped early, because of an error: {type(cause).__name__}."
