"""How often a password may be guessed."""

from __future__ import annotations

import math
import threading
import time
from typing import Final

from cachetools import TTLCache

from otpverify import Limit

PER_VISITOR: Final = Limit(5, 300)
PER_ACCOUNT: Final = Limit(100, 86_400)
_NAMES = 10_000


class TooManyGuesses(Exception):
    """Too many wrong passwords were tried.

    Attributes:
        retry_after: Seconds until another may be tried.
    """

    def __init__(self, retry_after: int) -> None:
        super().__init__(f"Too many wrong passwords; another may be tried in {retry_after} s.")
        self.retry_after = retry_after


class Guesses:
    """Counts guesses, those at names that do not exist like all others.

    A few for each name and address, so that a stranger who guesses soon stops and does not keep
    the owner out; and a day's worth for each name, from however many addresses.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._times: dict[Limit, TTLCache[tuple[str, str], list[float]]] = {
            limit: TTLCache(_NAMES, limit.seconds, time.time)
            for limit in (PER_VISITOR, PER_ACCOUNT)
        }

    def count(self, user: str, address: str) -> None:
        """Count a guess before it is compared, so that none slips through beside another.

        Raises:
            TooManyGuesses: It must not be compared.
        """
        now = time.time()
        with self._lock:
            recent = [self._recent(*place, now) for place in _places(user, address)]
            waits = [
                math.ceil(times[-limit.count] + limit.seconds - now)
                for (limit, _), times in zip(_places(user, address), recent, strict=True)
                if len(times) >= limit.count
            ]
            if waits:
                raise TooManyGuesses(max(waits))
            for (limit, key), times in zip(_places(user, address), recent, strict=True):
                self._times[limit][key] = [*times, now]

    def forgive(self, user: str, address: str) -> None:
        """The guess was right: whoever made it begins anew."""
        with self._lock:
            for limit, key in _places(user, address):
                times = self._times[limit].pop(key, [])
                if limit is PER_ACCOUNT and times[:-1]:
                    self._times[limit][key] = times[:-1]

    def _recent(self, limit: Limit, key: tuple[str, str], now: float) -> list[float]:
        """The guesses that count.

        Raises:
            TooManyGuesses: There is no room for another name; to drop one would forgive it.
        """
        table = self._times[limit]
        if key not in table and len(table) >= table.maxsize:
            raise TooManyGuesses(limit.seconds)
        return [at for at in table.get(key, []) if at > now - limit.seconds]


def _places(user: str, address: str) -> list[tuple[Limit, tuple[str, str]]]:
    return [(PER_VISITOR, (user, address)), (PER_ACCOUNT, (user, ""))]
