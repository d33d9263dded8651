"""Output of the commands: lines for the terminal, safe to show and safe to pipe."""

from __future__ import annotations

import argparse
import logging
import os
import sys
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import NoReturn, TextIO

_SPACES = dict.fromkeys("\t\n\v\f\r\x85\u2028\u2029", " ")
_REORDERING = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def printable(text: str) -> str:
    """The text without what steers a terminal.

    A gateway's reply, a server's version or a file's name may hold escape sequences, line breaks
    that forge a line of their own, or marks that reorder the letters around them (Unicode TR 36).
    Line breaks and tabs become spaces; the other characters of these kinds are left out.
    """
    return "".join(
        _SPACES.get(character, "" if _steers(character) else character) for character in text
    )


def _steers(character: str) -> bool:
    return character in _REORDERING or unicodedata.category(character) in ("Cc", "Cs")


class OutputLost(Exception):
    """The output cannot be written. Later output is discarded.

    Attributes:
        unread: Whether the reader of a pipe has gone, as after `| head -1`. Otherwise the device
            failed, such as a full disk.
    """

    def __init__(self, error: OSError) -> None:
        super().__init__(f"The output cannot be written: {error.strerror or type(error).__name__}.")
        self.unread: bool = isinstance(error, BrokenPipeError)


class Parser(argparse.ArgumentParser):
    """A parser whose errors are printable: an argument may be the name of a file."""

    def error(self, message: str) -> NoReturn:
        """Print the message and exit with code 2."""
        super().error(printable(message))


def say(line: str = "") -> None:
    """Write one line to stdout.

    Raises:
        OutputLost: It cannot be written.
    """
    _write(sys.stdout, line)


def say_if_read(line: str = "") -> None:
    """Write one line to stdout, or discard it if it cannot be written.

    For commands whose work matters more than what they print.
    """
    with suppress(OutputLost):
        say(line)


def say_while_read(line: str = "") -> None:
    """Write one line to stdout, or discard it if its reader has gone.

    Raises:
        OutputLost: It cannot be written for another reason, such as a full disk.
    """
    try:
        say(line)
    except OutputLost as error:
        if not error.unread:
            raise


@contextmanager
def written_by_others() -> Iterator[None]:
    """For output to stdout that is not written by `say`.

    Raises:
        OutputLost: It cannot be written.
    """
    try:
        yield
    except OSError as error:
        if sys.stdout is not None:
            _discard(sys.stdout)
        raise OutputLost(error) from error


def complain(line: str) -> None:
    """Write one line to stderr, or discard it if it cannot be written."""
    with suppress(OutputLost):
        _write(sys.stderr, line)


def flush() -> None:
    """Write out what argparse has printed, or discard it if it cannot be written."""
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None:
                stream.flush()
        except OSError:
            _discard(stream)


def on_terminal(stream: TextIO | None) -> bool:
    """Whether a person sits at this stream."""
    return stream is not None and not stream.closed and stream.isatty()


@contextmanager
def printable_logs() -> Iterator[None]:
    """Print warnings that are logged as lines on stderr, if nothing else handles them."""
    root = logging.getLogger()
    if root.handlers:
        yield
        return
    handler = _Lines(logging.WARNING)
    root.addHandler(handler)
    try:
        yield
    finally:
        root.removeHandler(handler)


class _Lines(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        for line in self.format(record).splitlines():
            complain(line)


def _write(stream: TextIO | None, line: str) -> None:
    if stream is None:  # the process was started without it
        return
    # A terminal that lacks a language's letters must not end the command.
    encoding = stream.encoding or "utf-8"
    shown = printable(line).encode(encoding, "backslashreplace").decode(encoding)
    try:
        stream.write(f"{shown}\n")
        stream.flush()
    except OSError as error:
        _discard(stream)
        raise OutputLost(error) from error


def _discard(stream: TextIO) -> None:
    """Send what is still to come to the null device: Python flushes the stream at its exit, and
    would report the closed pipe then."""
    null = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(null, stream.fileno())
    finally:
        os.close(null)
