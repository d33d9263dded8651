"""Marks in the store, by which something that a queue may deliver twice is begun once."""

from __future__ import annotations

import base64
import hashlib

from otpverify import Limit, Store
from otpverify.core.outcomes import Reserved

_TAG_LENGTH = 22


class Marks:
    """Marks for what must be begun once, whichever worker begins it.

    A mark is a counter of the store that admits one event. It is set before anything goes out, and
    stays: a worker that dies in between leaves it behind, and nobody knows how far it came.

    Args:
        store: Where they are; all workers share it.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    def begin(self, what: str, seconds: int) -> bool:
        """Set the mark.

        Args:
            what: What is begun; its hash is what the store sees.
            seconds: How long the mark stays.

        Returns:
            Whether this is the first to begin it.

        Raises:
            StoreError: The store cannot answer.
        """
        digest = hashlib.sha256(b"otpverify celery " + what.encode()).digest()
        counter = base64.urlsafe_b64encode(digest).decode()[:_TAG_LENGTH]
        return isinstance(self._store.reserve(counter, (Limit(1, seconds),)), Reserved)
