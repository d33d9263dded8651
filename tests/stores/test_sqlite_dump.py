"""Promise 6 for the file: who copies it, or its write-ahead log, learns no number, no code, no
purpose, no address and no id, and cannot confirm a guess."""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from dumps import HASHERS, PURPOSE, assert_shows_nothing, fill
from support import OTHER_SECRET, QUICK, SECRET, wrong

from otpverify import SqliteStore, Verifier
from otpverify.core.keys import Keyring, Subject
from otpverify.testing import OutboxSender


def copies(folder: Path) -> dict[str, bytes]:
    """All that lies on the disk, by the files' endings."""
    return {path.name.removeprefix("codes.db"): path.read_bytes() for path in folder.iterdir()}


def readable(text: bytes) -> bytes:
    """Without digests, in which six digits may follow each other by chance."""
    return re.sub(rb"[0-9a-f]{32,}", b"", text)


@HASHERS
def test_a_copy_shows_no_number_no_code_no_purpose_no_address_no_id(
    tmp_path: Path, hasher: Any
) -> None:
    with SqliteStore(tmp_path / "codes.db") as store:
        challenges, codes = fill(store, hasher)
        texts = copies(tmp_path)
        assert len(texts["-wal"]) > 10_000, "all that was ever written is still in there"
    texts["closed"] = copies(tmp_path)[""]
    with closing(sqlite3.connect(tmp_path / "codes.db")) as database:
        rows = database.execute("SELECT name, state FROM states").fetchall()
    assert len(rows) >= 8 + 9 + 1
    texts["rows"] = "\n".join(f"{name} {state}" for name, state in rows).encode()
    # Nor do instants, in which a code may be by chance.
    numbers = {number for text in texts.values() for number in re.findall(rb"\d{7,}", text)}
    told = [code for code in codes if not any(code.encode() in number for number in numbers)]
    told = [code for code in told if not any(code[::-1].encode() in number for number in numbers)]
    assert len(told) > len(codes) / 2
    for text in texts.values():
        assert_shows_nothing(readable(text), challenges, told)


@HASHERS
def test_a_copy_without_the_secret_confirms_no_guess(tmp_path: Path, hasher: Any) -> None:
    outbox = OutboxSender()
    with SqliteStore(tmp_path / "codes.db") as store:
        verifier = Verifier(outbox, store=store, secret=SECRET, hasher=hasher)
        challenge = verifier.start("+37256789001", purpose=PURPOSE)
        everything = b"".join(copies(tmp_path).values())
    right = outbox.code()

    def confirmed(secret: bytes) -> list[str]:
        subject = Subject(Keyring([secret]).signing, challenge.phone, PURPOSE, challenge.id)
        found = []
        for guess in (right, *(wrong(right, nth) for nth in range(1, 100))):
            made = hasher.digest(secret, subject.code_message(guess), subject.code_salt)
            if made in everything or made.hex().encode() in everything:
                found.append(guess)
        return found

    assert confirmed(SECRET.encode()) == [right], "with the secret the copy tells the right one"
    for secret in (
        OTHER_SECRET.encode(),
        SECRET.encode()[::-1],
        challenge.id.encode() + b"another half",
    ):
        assert confirmed(secret) == []


@pytest.mark.parametrize("leak", ["code 123456", "+37256789003", PURPOSE])
def test_what_would_lie_there_would_be_found(tmp_path: Path, leak: str) -> None:
    with SqliteStore(tmp_path / "codes.db") as store:
        challenges, _ = fill(store, QUICK)
        connection = store._file._connection
        assert connection is not None
        connection.execute("REPLACE INTO states VALUES (?, '[]', 0)", (leak,))
        connection.execute("DELETE FROM states")
        text = readable(copies(tmp_path)["-wal"])
    with pytest.raises(AssertionError, match=re.escape(leak.removeprefix("code "))):
        assert_shows_nothing(text, challenges, ["123456"])
