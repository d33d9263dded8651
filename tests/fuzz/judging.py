"""What all targets share: reading bytes as texts and values, and judging an outcome."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any, TypeVar, cast

from support import SECRET

from otpverify import HmacHasher, MemoryStore, OtpVerifyError, Verifier
from otpverify.core.keys import Keyring
from otpverify.testing import OutboxSender

T = TypeVar("T")

KEYRING = Keyring([SECRET.encode()])


def text_of(data: bytes) -> str:
    """The text in these bytes. Bytes that are not UTF-8 become halves of surrogate pairs, which
    programs give to a library, too."""
    return data.decode("utf-8", "surrogateescape")


def lines_of(data: bytes, count: int) -> list[str]:
    """The first lines, without their ends; the last of `count` is all that is left."""
    lines = text_of(data).split("\n", count - 1)
    return lines + [""] * (count - len(lines))


def json_of(data: bytes | str) -> Any:
    """The JSON value in the data; the text itself if it is none."""
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        return text_of(data) if isinstance(data, bytes) else data


def verifier() -> Verifier:
    """A verifier with an empty store and a cheap hasher."""
    return Verifier(OutboxSender(), store=MemoryStore(), secret=SECRET, hasher=HmacHasher())


def judge(
    call: Callable[[], T], *errors: type[OtpVerifyError], hides: Iterable[str] = ()
) -> T | None:
    """The result of a call, or `None` after one of the errors that it documents. Any other error
    goes on, and fails the target.

    Args:
        call: The call.
        errors: The documented errors.
        hides: What no error may repeat. Texts of fewer than six characters are left out: they may
            be there by chance.
    """
    try:
        return call()
    except errors as error:
        shown = f"{error} {error!r} {vars(error)!r} {error.__cause__!r} {error.__context__!r}"
        for secret in hides:
            assert len(secret) < 6 or secret not in shown, "an error repeats what it must hide"
    return None


def one_of(choices: Iterable[T], word: str) -> T:
    """The choice for a word: its number, or one by its letters."""
    known = list(choices)
    return known[
        (int(word) if word.isascii() and word.isdecimal() else sum(map(ord, word))) % len(known)
    ]


def anything(value: object) -> Any:
    """A value of any type, for a function that must judge it."""
    return cast("Any", value)
