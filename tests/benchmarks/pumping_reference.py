"""An earlier rule, simpler than `otpverify.core.fraud`, that `make pumping` compares with.

It has the same accounts. But new prefixes and the world have credit up to their limits, the world
may owe as much as three countries and pays for a site's own country, too, all prefixes may use the
whole limit, a refusal leaves no mark on an unused prefix, and a prefix's credit lapses evenly.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence

from otpverify.core.fraud import DAY, Charge, Group, Overdrawn, Rates, Request

TRUSTED_DAYS = 90
Balances = tuple[float, ...]
Taken = tuple[Hashable, float, Sequence[float], int, float]
"""A record's key, what was earned there, its balances, which of them pays, and how much."""


class EarlierRule:
    """The accounts and their rule."""

    def __init__(self, rates: Rates) -> None:
        self.rates = rates
        self.records: dict[Hashable, tuple[float, float, Sequence[float]]] = {}

    def charge(
        self, number: tuple[str, int, int], request: Request, now: int
    ) -> Charge | Overdrawn:
        """Take the price from all accounts or from none."""
        country, price = number[0], request.price
        prefix, side, group = number[:2], int(request.human), Group.KNOWN
        taken: list[Taken] = []
        if request.human or not request.known:
            earned, balances = self._read(prefix, 2, now)
            group = Group.PROVEN if balances[0] >= 1 else Group.NEW
            group = Group.HUMAN if request.human else group
            taken.append((prefix, earned, balances, side, 1.0))
        earned, balances = self._read(country, 4, now)
        taken.append((country, earned, balances, group, price))
        if group is not Group.KNOWN and balances[group] < price:
            taken.append(("", *self._read("", 2, now), side, price))
        for key, earned, balances, which, amount in taken:
            limit, _, _ = self._terms(key, earned, which)
            if balances[which] - amount < -limit:
                if group is Group.PROVEN:
                    self._write(taken[0], -1.0, now)
                return Overdrawn(reason(key), 0)
        for one in taken:
            self._write(one, -one[4], now)
        return Charge(group, taken[-1][0] == "")

    def credit(self, number: tuple[str, int, int], paid: Charge, price: float, now: int) -> None:
        """Give back for a right code."""
        side, more = int(paid.group is Group.HUMAN), 1 / self.rates.conversion
        self._give(number[0], 4, paid.group, price * more, price, now)
        self._give("", 2, side, price * more * paid.world, price, now)
        if paid.group is not Group.KNOWN:
            self._give(number[:2], 2, side, more, 1.0, now)

    def _terms(self, key: Hashable, earned: float, which: int) -> tuple[float, float, float]:
        """An account's limit, and what it is forgiven and what of its credit lapses a day."""
        least = self.rates.at_risk / 2
        if isinstance(key, tuple):
            limit = max(8.0, 0.5 * earned)
            return limit, limit, limit / TRUSTED_DAYS
        times = 3 if key == "" or which == Group.KNOWN else 1
        limit = times * max(least, 0.005 * earned)
        return limit, limit if key == "" else times * max(least, 0.015 * earned), limit

    def _read(self, key: Hashable, count: int, now: int) -> tuple[float, Sequence[float]]:
        """What was earned, and the balances, both as of now."""
        if key not in self.records:
            return 0.0, [0.0] * count
        at, earned, balances = self.records[key]
        days = (now - at) / DAY
        earned *= math.exp(-days)
        found = []
        for which, balance in enumerate(balances):
            limit, forgiven, lapses = self._terms(key, earned, which)
            balance = min(limit, max(-limit, balance))
            if balance < 0:
                found.append(min(0.0, balance + forgiven * days))
            else:
                found.append(max(0.0, balance - lapses * days))
        return earned, found

    def _write(self, taken: Taken, amount: float, now: int) -> None:
        key, earned, balances, which, _ = taken
        new = list(balances)
        new[which] += amount
        self.records[key] = now, earned, new

    def _give(
        self, key: Hashable, count: int, which: int, amount: float, earned: float, now: int
    ) -> None:
        before, balances = self._read(key, count, now)
        limit, _, _ = self._terms(key, before + earned, which)
        new = list(balances)
        new[which] = min(limit, new[which] + amount)
        self.records[key] = now, before + earned, new


def reason(key: Hashable) -> str:
    """Whose account it is."""
    return "prefix" if isinstance(key, tuple) else "country" if key else "world"
