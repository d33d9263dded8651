"""Output of the commands: lines for the terminal, safe to show and safe to pipe."""

from __future__ import annotations

import os
import sys
import unicodedata
from contextlib import suppress
from typing import TextIO

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


def say(line: str = "") -> None:
    """Write one line to stdout.

    Raises:
        BrokenPipeError: The reader of the pipe has gone. Later output is discarded.
    """
    _write(sys.stdout, line)


def say_if_read(line: str = "") -> None:
    """Write one line to stdout, or discard it if the reader of the pipe has gone.

    For commands whose work matters more than what they print.
    """
    with suppress(BrokenPipeError):
        say(line)


def complain(line: str) -> None:
    """Write one line to stderr, or discard it if the reader of the pipe has gone."""
    with suppress(BrokenPipeError):
        _write(sys.stderr, line)


def flush() -> None:
    """Write out what argparse has printed; discard it if the reader of the pipe has gone."""
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None:
                stream.flush()
        except BrokenPipeError:
            _discard(stream)


def _write(stream: TextIO | None, line: str) -> None:
    if stream is None:  # the process was started without it
        return
    # A terminal that lacks a language's letters must not end the command.
    encoding = stream.encoding or "utf-8"
    shown = printable(line).encode(encoding, "backslashreplace").decode(encoding)
    try:
        stream.write(f"{shown}\n")
        stream.flush()
    except BrokenPipeError:
        _discard(stream)
        raise


def _discard(stream: TextIO) -> None:
    """Send what is still to come to the null device: Python flushes the stream at its exit, and
    would report the closed pipe then."""
    null = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(null, stream.fileno())
    finally:
        os.close(null)
