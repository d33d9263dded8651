"""Marks in the store, by which what a queue may deliver twice is begun once."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass

from otpverify import Limit, Store
from otpverify.core.state import Reserved

_TAG_LENGTH = 22


@dataclass(frozen=True, slots=True)
class Mark:
    """A mark that was set: the store's counter, and which event of it this is."""

    counter: str
    at: int


class Marks:
    """Marks for what must be begun once, whichever worker begins it.

    A mark is a counter of the store that admits one event. It is set before anything goes out, and
    stays: a worker that dies in between leaves it behind, and nobody knows how far it came.

    Args:
        store: Where they are; all workers share it.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    def begin(self, what: str, seconds: int) -> Mark | None:
        """Set a mark.

        Args:
            what: What is begun. The store sees its hash, so it must be nothing that can be guessed.
            seconds: How long the mark stays.

        Returns:
            The mark; `None` when it was begun before.

        Raises:
            StoreError: The store cannot answer.
        """
        digest = hashlib.sha256(b"otpverify celery " + what.encode()).digest()
        counter = base64.urlsafe_b64encode(digest).decode()[:_TAG_LENGTH]
        answer = self._store.reserve(counter, (Limit(1, seconds),))
        return Mark(counter, answer.at) if isinstance(answer, Reserved) else None

    def clear(self, mark: Mark) -> None:
        """Take a mark away: what it is for certainly did not happen.

        Raises:
            StoreError: The store cannot answer.
        """
        self._store.give_back(mark.counter, mark.at)
