"""Markers in the store, so that work begins only once across all workers."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass

from otpverify import Limit, Store
from otpverify.core.answers import Reserved
from otpverify.core.limits import LARGEST

_TAG_LENGTH = 22


@dataclass(frozen=True, slots=True)
class Marker:
    """A marker that was set.

    Attributes:
        counter: The store's counter.
        at: When it was set, by the store's clock, in milliseconds. It also names the event.
    """

    counter: str
    at: int


class OnceMarkers:
    """Markers for work that must begin only once across all workers.

    A marker is a counter in the store that admits one event. It is set before anything is sent, and
    stays set if the worker dies in between: it is then unknown how far the worker got.

    Args:
        store: The store that holds the markers; all workers share it.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    def begin(self, what: str, seconds: int) -> Marker | None:
        """Set a marker.

        Args:
            what: Identifies the work. The store gets its hash, so it must be impossible to guess.
            seconds: How long the marker stays.

        Returns:
            The marker; `None` when the work was begun before.

        Raises:
            StoreError: The store is unavailable.
        """
        digest = hashlib.sha256(b"otpverify celery " + what.encode()).digest()
        counter = base64.urlsafe_b64encode(digest).decode()[:_TAG_LENGTH]
        answer = self._store.reserve(counter, (Limit(1, min(seconds, LARGEST)),))
        return Marker(counter, answer.at) if isinstance(answer, Reserved) else None

    def clear(self, marker: Marker) -> None:
        """Remove a marker, because its work certainly was not done.

        Raises:
            StoreError: The store is unavailable.
        """
        self._store.give_back(marker.counter, marker.at)
