"""A wall clock that never runs backwards."""

from __future__ import annotations

import math
import time

from otpverify.protocols import Clock


class MonotonicClock:
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

    @property
    def steady(self) -> int:
        """The monotonic clock at the last call, in milliseconds. All processes of a machine see the
        same clock until it reboots."""
        return round(self._steady * 1000)

    def milliseconds_after(self, instant: int, steady: int) -> int:
        """The time now, never earlier than what another process saw.

        Args:
            instant: The latest time that it saw, in milliseconds.
            steady: The monotonic clock at that moment, in milliseconds.
        """
        now = round(self() * 1000)
        if now < instant:
            behind = instant - now + max(0, self.steady - steady)
            self._set_back += behind / 1000
            now += behind
        return now
