"""The rule against SMS pumping: people enter their codes, pumping never does.

A start takes its price from accounts. A right code gives back more than that: the price divided by
the conversion that people have at least. An account lies between minus its limit and its limit.
Below minus its limit it refuses. By itself it returns to 0 in about a day. It is a CUSUM test for a
falling share of entered codes (Page, 1954), bounded on both sides: however long the good history
before it, an attack takes no more than what lies between the balance and minus the limit.

There are accounts of the number's prefix (in messages), of its country and of the world (in
money). What is refused takes nothing but precedence: a prefix with credit pays one message, and one
in which no code was ever entered owes a part of one, so that attacked prefixes soon come last.
"""

from __future__ import annotations

import enum
import math
from typing import NamedTuple

DAY = 86_400_000
"""Milliseconds."""

PREFIX_DIGITS = 7
"""An operator's block in most numbering plans. Shorter prefixes hold most of a country's people, so
that an attack refuses them, too; longer ones are seldom seen twice, and have no history."""
LINE_DIGITS = 4
"""A prefix never reaches into a number's last four digits, so that short numbers share one, too."""
PREFIX_LIMIT = 8.0
"""Messages to a prefix in which nobody has entered a code. Two people who fail three times leave
room for a third."""
PREFIX_SHARE = 0.5
"""A busy prefix may owe half of a day's entered codes, so that chance refuses nobody."""
PREFIX_MEMORY_DAYS = 90
"""A prefix's credit fades by 1/e in that time. It says only which account of its country pays, so
that a long memory costs nothing."""
PROVEN = 1.0
"""A prefix with a credit of one message is proven: codes were entered in it, more than were not."""
SHARE = 0.005
"""A country may owe half a percent of what a day's entered codes cost there: seven minutes'
worth."""
WIDER = 3
"""How many times as much the known numbers of a country may owe; and how many times its share of
the entered codes a country is forgiven a day."""
WORLD = 2
"""How many countries' worth the world may owe. Both accounts of one country's strangers fit into
it: a launch meets its country's limit first."""
OWN = 0.1
"""A country whose account owes up to a tenth of what a day's entered codes cost there leaves the
world alone. Otherwise an attack on many countries would refuse the users of your own."""
USABLE = 0.8
"""The share of a limit that new prefixes may use that owe something. The rest is left to those that
owe nothing: an attack soon has its prefixes in debt, and people come from others."""
MARKS = {"country": 1 / 3, "world": 1.0}
"""What a prefix in which no code was ever entered owes at least after a refusal, in messages: it is
forgiven in an hour, and in three hours. Longer marks would refuse people for longer after an attack
on the first day; those of the world outlast an attack that asks each prefix twice an hour."""
WORTH_A_WRITE = 1 / 30
"""Messages. To write at each refused start, for less, would be too many writes."""


class Group(enum.IntEnum):
    """Whose account of a country pays: its index there.

    Attributes:
        NEW: Strangers, of prefixes without credit.
        PROVEN: Strangers, of prefixes in which codes were entered.
        HUMAN: Strangers who passed a human check.
        KNOWN: Known numbers.
    """

    NEW = 0
    PROVEN = 1
    HUMAN = 2
    KNOWN = 3


class Record(NamedTuple):
    """The accounts of a prefix, a country or the world.

    Attributes:
        at: When they were last brought up to date, in milliseconds.
        earned: What all codes entered there cost, fading by 1/e a day: about a day's worth. Of a
            prefix, in messages.
        balances: A country has one for each `Group`; a prefix and the world have one for
            strangers, and one for those who passed a human check.
    """

    at: int
    earned: float
    balances: tuple[float, ...]


class Records(NamedTuple):
    """The three records that a start concerns."""

    prefix: Record
    country: Record
    world: Record


EMPTY = Records(
    Record(0, 0.0, (0.0, 0.0)), Record(0, 0.0, (0.0, 0.0, 0.0, 0.0)), Record(0, 0.0, (0.0, 0.0))
)
"""What nothing is known of."""


class Rates(NamedTuple):
    """What the operator decides; see `FraudPolicy`."""

    at_risk: float
    conversion: float


class Request(NamedTuple):
    """A message that somebody asks for.

    Attributes:
        price: What it costs, in money.
        known: The number is known, or the caller vouches for it.
        human: The caller saw a human check passed. It counts before `known`.
        forced: It is sent in any case, as to a country that is allowed. The accounts of its prefix
            and country count it as long as they admit it; the world's leaves it out, so that it
            takes nothing from other countries. `fraud_ledger` sees to the rest, and to the next
            two.
        concealed: Whether there is an account must not show: it is judged as a stranger's, also if
            the number is known.
        observed: It is sent, too, if the accounts refuse; then they are charged nothing.
    """

    price: float
    known: bool = False
    human: bool = False
    forced: bool = False
    concealed: bool = False
    observed: bool = False


class Charge(NamedTuple):
    """Which accounts paid: the ones that a right code gives back to.

    Attributes:
        group: Whose account of the country.
        world: Whether the world paid, too.
    """

    group: Group
    world: bool


class Overdrawn(NamedTuple):
    """Accounts refuse.

    Attributes:
        reason: Whose account does so for the longest time: `"prefix"`, `"country"` or `"world"`.
        retry_in: Milliseconds until all admit a message of this price, if nothing else happens.
    """

    reason: str
    retry_in: int


class Terms(NamedTuple):
    """What holds for one account.

    Attributes:
        limit: The most that it may owe.
        credit: The most that it may have.
        forgiven: How much of its debt goes in a day.
    """

    limit: float
    credit: float
    forgiven: float


def prefix_of(e164: str) -> str:
    """The number's first seven digits, but none of its last four, such as `"+4915112"`."""
    return e164[: min(1 + PREFIX_DIGITS, len(e164) - LINE_DIGITS)]


def prefix_terms(earned: float) -> Terms:
    """The terms of a prefix's accounts, in messages. Its credit fades."""
    limit = max(PREFIX_LIMIT, PREFIX_SHARE * earned)
    return Terms(limit, limit, limit)


def country_terms(earned: float, rates: Rates, group: Group) -> Terms:
    """The terms of a country's account, in money. Its credit lapses by the limit a day. New
    prefixes share no credit: it would go to an attack on prefixes in which there are no people."""
    times = WIDER if group is Group.KNOWN else 1
    limit = times * max(rates.at_risk / 2, SHARE * earned)
    forgiven = times * max(rates.at_risk / 2, WIDER * SHARE * earned)
    return Terms(limit, 0.0 if group is Group.NEW else limit, forgiven)


def world_terms(earned: float, rates: Rates) -> Terms:
    """The terms of the world's accounts, in money. They have no credit: it would go to an attack on
    countries in which there are no people."""
    limit = WORLD * max(rates.at_risk / 2, SHARE * earned)
    return Terms(limit, 0.0, limit)


def charge(
    records: Records, request: Request, rates: Rates, now: int
) -> tuple[Charge | Overdrawn, Records]:
    """Take a message's price from the accounts, all of them or none.

    Of strangers the prefix pays one message and the country the price; so does the world when the
    country's account then owes more than a part of what is earned there, unless the message is
    forced. Of a known number its country's account for those pays alone.
    """
    price, (prefix, country, world) = request.price, records
    place = 1 if request.human else 0
    earned_prefix = _earned(prefix, now)
    terms_prefix = prefix_terms(earned_prefix)
    owns = _faded(prefix.balances[place], terms_prefix, _days(prefix, now))
    group = _group(request, owns)
    new = _Newcomer(owns, terms_prefix.forgiven, not earned_prefix) if group is Group.NEW else None

    earned_country = _earned(country, now)
    terms_country = country_terms(earned_country, rates, group)
    after = _lapsed(country.balances[group], terms_country, _days(country, now)) - price
    mark = MARKS["country"]
    refusals = [_overdrawn("country", after, terms_country, price, mark, new)]
    shared = group is not Group.KNOWN and not request.forced
    world_pays = shared and after < -OWN * earned_country
    if world_pays:
        earned_world = _earned(world, now)
        terms_world = world_terms(earned_world, rates)
        after_world = _lapsed(world.balances[place], terms_world, _days(world, now)) - price
        mark = MARKS["world"] if refusals[0] is None else mark
        refusals.append(_overdrawn("world", after_world, terms_world, price, mark, new))
    if group is not Group.KNOWN:
        refusals.insert(0, _overdrawn("prefix", owns - 1, terms_prefix, 1.0))

    refused = [refusal for refusal in refusals if refusal is not None]
    if refused:
        refusal = max(refused, key=lambda one: one.retry_in)  # the first of those
        if refused[0].reason != "prefix" and group <= Group.PROVEN:
            left = owns - 1 if new is None else new.refused(mark)
            if owns - left >= WORTH_A_WRITE:
                prefix = _prefix_with(prefix, earned_prefix, place, left, now)
        return refusal, Records(prefix, country, world)
    country = _country_with(country, earned_country, rates, group, after, now)
    if group is not Group.KNOWN:
        prefix = _prefix_with(prefix, earned_prefix, place, owns - 1, now)
    if world_pays:
        world = _world_with(world, earned_world, rates, place, after_world, now)
    return Charge(group, world_pays), Records(prefix, country, world)


def credit(records: Records, paid: Charge, price: float, rates: Rates, now: int) -> Records:
    """Give back for a right code, to the accounts that paid: the price divided by the conversion.
    The code counts as earned by all three records."""
    return _give(records, paid, price, 1 / rates.conversion, 1.0, rates, now)


def refund(records: Records, paid: Charge, price: float, rates: Rates, now: int) -> Records:
    """Give back what was charged for a message that was certainly not sent."""
    return _give(records, paid, price, 1.0, 0.0, rates, now)


def _give(
    records: Records,
    paid: Charge,
    price: float,
    times: float,
    earned: float,
    rates: Rates,
    now: int,
) -> Records:
    """How many times a message's price comes back, and counts as earned."""
    prefix, country, world = records
    place = 1 if paid.group is Group.HUMAN else 0
    total = _earned(country, now) + price * earned
    terms = country_terms(total, rates, paid.group)
    balance = _lapsed(country.balances[paid.group], terms, _days(country, now), price)
    # Of a message that is dearer than the limit, the debt may have been cut to the limit since.
    back = price if balance < -terms.limit else min(price, terms.limit)
    balance = max(balance, min(terms.credit, balance + back * times))
    country = _country_with(country, total, rates, paid.group, balance, now)
    if paid.group is not Group.KNOWN:
        total = _earned(prefix, now) + earned
        terms = prefix_terms(total)
        balance = _faded(prefix.balances[place], terms, _days(prefix, now))
        balance = min(terms.credit, balance + times)
        prefix = _prefix_with(prefix, total, place, balance, now)
    if paid.world or earned:
        total = _earned(world, now) + price * earned
        terms = world_terms(total, rates)
        balance = _lapsed(world.balances[place], terms, _days(world, now))
        if paid.world:
            balance = min(terms.credit, balance + price * times)
        world = _world_with(world, total, rates, place, balance, now)
    return Records(prefix, country, world)


class _Newcomer(NamedTuple):
    """A new prefix: what it has, how much it is forgiven a day, and whether no code was ever
    entered in it."""

    owns: float
    forgiven: float
    unused: bool

    def refused(self, mark: float) -> float:
        """What it has after a refusal that leaves this mark."""
        return min(self.owns, -mark) if self.unused else self.owns


def _group(request: Request, owns: float) -> Group:
    if request.human:
        return Group.HUMAN
    if request.known:
        return Group.KNOWN
    return Group.PROVEN if owns >= PROVEN else Group.NEW


def _overdrawn(
    reason: str,
    after: float,
    terms: Terms,
    price: float,
    mark: float = 0.0,
    new: _Newcomer | None = None,
) -> Overdrawn | None:
    """A refusal, if the account may not owe that much. One that owes nothing admits a message of
    any price."""
    whole = max(terms.limit, price)
    part = whole if new is None else max(terms.limit * USABLE, price)
    if after >= -(part if new is not None and new.owns < 0 else whole):
        return None
    days = (-part - after) / terms.forgiven
    if new is not None:
        # When the prefix owes nothing any more, the whole limit is there for it.
        clear = max(0.0, -new.refused(mark)) / new.forgiven
        days = min(days, max(clear, (-whole - after) / terms.forgiven))
    return Overdrawn(reason, math.ceil(days * DAY))


def _days(record: Record, now: int) -> float:
    """Days that passed. A clock that was set back makes none of them."""
    return max(0, now - record.at) / DAY


def _earned(record: Record, now: int) -> float:
    return record.earned * math.exp(-_days(record, now)) if record.earned else 0.0


def _lapsed(balance: float, terms: Terms, days: float, price: float = 0.0) -> float:
    """A balance of money after so many days. Limits shrink meanwhile, and debts with them:
    otherwise an account would stay below its limit for good. It may owe a message of that price."""
    if balance < 0:
        return min(0.0, max(balance, -max(terms.limit, price)) + terms.forgiven * days)
    return max(0.0, min(balance, terms.credit) - terms.limit * days)


def _faded(balance: float, terms: Terms, days: float) -> float:
    """A prefix's balance after so many days."""
    if balance < 0:
        return min(0.0, max(balance, -terms.limit) + terms.forgiven * days)
    return min(balance, terms.credit) * math.exp(-days / PREFIX_MEMORY_DAYS) if balance else 0.0


def _prefix_with(record: Record, earned: float, place: int, balance: float, now: int) -> Record:
    terms, days = prefix_terms(earned), _days(record, now)
    balances = [_faded(other, terms, days) for other in record.balances]
    balances[place] = balance
    return Record(max(now, record.at), earned, tuple(balances))


def _country_with(
    record: Record, earned: float, rates: Rates, group: Group, balance: float, now: int
) -> Record:
    days = _days(record, now)
    balances = [
        _lapsed(other, country_terms(earned, rates, whose), days) if other else 0.0
        for whose, other in zip(Group, record.balances, strict=True)
    ]
    balances[group] = balance
    return Record(max(now, record.at), earned, tuple(balances))


def _world_with(
    record: Record, earned: float, rates: Rates, place: int, balance: float, now: int
) -> Record:
    terms, days = world_terms(earned, rates), _days(record, now)
    balances = [_lapsed(other, terms, days) for other in record.balances]
    balances[place] = balance
    return Record(max(now, record.at), earned, tuple(balances))
