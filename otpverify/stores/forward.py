"""Time that does not run backwards."""

from __future__ import annotations

import math
import time

from otpverify.protocols import Clock


class Forward:
    """A wall clock that never runs backwards: when it is set back, the time that passed is
    taken from the monotonic clock, so that no code outlives its minutes."""

    def __init__(self, clock: Clock | None) -> None:
        self._clock = clock
        self._set_back = 0.0
        self._wall = -math.inf
        self._steady = 0.0

    def __call__(self) -> float:
        wall, steady = self._clock() if self._clock else time.time(), time.monotonic()
        if wall < self._wall:
            self._set_back += self._wall - wall + max(0.0, steady - self._steady)
        self._wall, self._steady = wall, steady
        return wall + self._set_back
