"""All that the fraud policy counts of a message, in one operation: all of it, or nothing.

`charge` asks the IP network's limits first, then the caps on messages and money, then the accounts
of `fraud`. What refuses changes nothing, but for the mark that the accounts leave on a prefix.
`credit` and `refund` undo it: for a right code, and for a message that was certainly not sent.

Beside the accounts a store keeps which numbers are known (how many messages to them nobody answered
since their last right code), and what each challenge was charged for its messages, so that it earns
once, for the newest one that was not refunded, and the accounts that paid.

The mirror of this file in Lua is `stores/redis/lua/fraud_*.lua`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any, NamedTuple

from otpverify.core import answers, caps, fraud, send_limits, traffic
from otpverify.core.answers import Refused
from otpverify.core.caps import Cap, Full, Parts
from otpverify.core.fraud import (
    DAY,
    EMPTY,
    PREFIX_LIMIT,
    PREFIX_MEMORY_DAYS,
    Charge,
    Group,
    Overdrawn,
    Rates,
    Record,
    Records,
    Request,
)
from otpverify.core.keys import Secret, Subject
from otpverify.core.limits import LARGEST, Limit, whole_seconds
from otpverify.core.state import CounterState
from otpverify.core.traffic import MILLIONTHS, Counts, Tally, Totals
from otpverify.errors import DestinationBlocked

UNANSWERED = 3
"""A number is known no more when so many messages in a row were not answered: it may be another's
by now, or one that an attacker answered once."""
BILLS = 8
"""Of a challenge, so many bills are kept. More messages of one challenge are not under way at once;
those that a limit refuses are refunded."""
HALF = 0.5
"""Less than half a message is not worth keeping."""
LIFETIME = 30 * DAY
"""Milliseconds for which the accounts of a country and of the world are kept: nothing is left of
them then. There are few."""
ACCOUNTS = ("prefix", "country", "world")
"""Whose account refuses a message."""
TOTAL, SPEND = "total", "spend"
"""The names of caps on messages and on money."""


class FraudKey(NamedTuple):
    """Where the store keeps what a message concerns. All but the country are tags.

    Attributes:
        prefix: The number's prefix.
        country: The ISO 3166-1 alpha-2 code; empty for a number of no country.
        number: The number itself; empty to keep nothing of it.
        challenge: The challenge.
        network: The IP network that asks; empty for none, which is not counted.
    """

    prefix: str
    country: str
    number: str = ""
    challenge: str = ""
    network: str = ""


class Rules(NamedTuple):
    """What the operator decides.

    Attributes:
        rates: What the accounts need.
        trusted: How long a number is known, in milliseconds; 0: none is.
        remember: How long it is remembered what a challenge was charged, in milliseconds: as long
            as its code may be entered.
        caps: The caps, in messages (`TOTAL`) or millionths of money (`SPEND`).
        sends_per_ip: The limits of an IP network.
    """

    rates: Rates
    trusted: int
    remember: int
    caps: tuple[Cap, ...] = ()
    sends_per_ip: tuple[Limit, ...] = ()


class Charged(NamedTuple):
    """The message may be sent.

    Attributes:
        at: When it was charged: `refund` gives the caps back what they counted then.
        paid: Which accounts paid; `None` if they refused what was observed or forced.
        would_refuse: Whose account refused what was observed: `"prefix"`, `"country"` or
            `"world"`.
        reached: The caps that reached a level with it, and which.
        network: Names what the IP network's limits counted; `None` for nothing.
        raised: The number is known for some time, and has one more unanswered message now.
        bill: Names the bill among those of the challenge.
    """

    at: int
    paid: Charge | None
    would_refuse: str | None = None
    reached: tuple[tuple[Cap, int], ...] = ()
    network: int | None = None
    raised: bool = False
    bill: int = 0


class Credited(NamedTuple):
    """A right code for a challenge that was charged.

    Attributes:
        would_refuse: Whose account refused the message, which was only observed: nothing came back.
    """

    would_refuse: str | None = None


class Kept(NamedTuple):
    """A record of accounts as a store keeps it; useless after `expires`, in milliseconds."""

    record: Record
    expires: int


class KnownNumber(NamedTuple):
    """A number for which a right code was entered.

    Attributes:
        unanswered: How many messages were sent to it since.
        expires: Until when it is known, in milliseconds.
    """

    unanswered: int
    expires: int

    @property
    def known(self) -> bool:
        """Whether its messages are those of a known number."""
        return self.unanswered < UNANSWERED


class Bill(NamedTuple):
    """What a challenge was charged for a message.

    Attributes:
        paid: Which accounts paid; `None` for none.
        price: What they paid.
        would_refuse: Whose account refused it, as it was only observed.
        expires: When its code can be entered no more, in milliseconds.
        name: The instant in milliseconds, or a later one if another bill has that name.
    """

    paid: Charge | None
    price: float
    would_refuse: str | None
    expires: int
    name: int


class Bills(NamedTuple):
    """What a challenge was charged: at least one bill, oldest first."""

    all: tuple[Bill, ...]

    @property
    def expires(self) -> int:
        """When none of them counts any more."""
        return max(bill.expires for bill in self.all)


class Counted(NamedTuple):
    """What a cap counts."""

    parts: Parts
    expires: int


class Ledger(NamedTuple):
    """What a store keeps that one message concerns; `None` for nothing."""

    prefix: Kept | None = None
    country: Kept | None = None
    world: Kept | None = None
    number: KnownNumber | None = None
    bills: Bills | None = None
    tally: Tally | None = None
    network: CounterState | None = None
    caps: tuple[Counted | None, ...] = ()

    @classmethod
    def of(cls, states: Sequence[Any], now: int) -> Ledger:
        """From the states whose names `names` gives, in that order. What is over counts no more."""
        live = [None if state is None or state.expires <= now else state for state in states]
        prefix, country, world, number, bills, tally, network, *counted = live
        bills = bills and _bills(bill for bill in bills.all if bill.expires > now)
        return cls(prefix, country, world, number, bills, tally, network, tuple(counted))

    @property
    def states(self) -> tuple[Any, ...]:
        """The states, in the order of `names`."""
        return (*self[:7], *self.caps)


def names(key: FraudKey, rules: Rules) -> tuple[str, ...]:
    """What the states of a ledger are called in a store. The first letter says which it is."""
    return (
        f"p{key.prefix}",
        country_name(key.country),
        "w",
        number_name(key.number),
        f"b{key.challenge}",
        tally_name(key.country),
        f"i{key.network}",
        *(f"m{cap.name}{cap.window}" for cap in rules.caps),
    )


def number_name(number: str) -> str:
    """What the state of a number is called in a store."""
    return f"k{number}"


def country_name(country: str) -> str:
    """What the accounts of a country are called in a store."""
    return f"c{country}"


def tally_name(country: str) -> str:
    """What the traffic of a country is called in a store."""
    return f"t{country}"


def key_of(
    signing: Secret, subject: Subject, country: str | None, network: str | None = None
) -> FraudKey:
    """The key of a message. All is tagged by the secret that signs now, but for the challenge:
    codes of older challenges count where new ones do.

    Args:
        signing: The secret that signs.
        subject: The phone and the challenge.
        country: The phone's country; `None` if it belongs to none.
        network: The tag of the IP network that asks; `None` for none.
    """
    return FraudKey(
        signing.prefix_tag(fraud.prefix_of(subject.phone)),
        country or "",
        signing.number_tag(subject.phone),
        subject.secret.charge_tag(subject.key),
        network or "",
    )


def millionths(money: float | Decimal) -> int:
    """Money as caps and traffic count it."""
    return round(money * MILLIONTHS)


def charge(
    ledger: Ledger, key: FraudKey, request: Request, rules: Rules, now: int
) -> tuple[Charged | Overdrawn | Full | Refused, Ledger]:
    """Count a message everywhere, or refuse it."""
    answer, after = _charge(ledger, key, request, rules, now)
    if not isinstance(answer, Charged):
        counts = Counts(refused=1)
    else:
        observed = answer.would_refuse is not None
        counts = Counts(sent=1, would_refuse=int(observed), cost=millionths(request.price))
    return answer, after._replace(tally=traffic.add(after.tally, counts, now))


def _charge(
    ledger: Ledger, key: FraudKey, request: Request, rules: Rules, now: int
) -> tuple[Charged | Overdrawn | Full | Refused, Ledger]:
    network, event = ledger.network, None
    if counts_network(key, rules):
        reserved, network = send_limits.reserve(network, rules.sends_per_ip, now)
        if isinstance(reserved, Refused):
            return reserved, ledger
        event = reserved.at
    taken, counted = caps.take(amounts(rules, request.price), _parts(ledger), now)
    if isinstance(taken, Full):
        return taken, ledger
    counted_number = counts_number(key, rules) and not request.concealed
    number = ledger.number if counted_number else None
    known = not request.concealed and (request.known or (number is not None and number.known))
    before = _records(ledger)
    answer, after = fraud.charge(before, request._replace(known=known), rules.rates, now)
    paid, would_refuse = (answer, None) if isinstance(answer, Charge) else (None, answer.reason)
    if paid is None and request.forced:
        # Nobody pays: what an account had no room for must not come back to it.
        after, would_refuse = before, None
    accounts = _with_records(ledger, before, after, now)
    if isinstance(answer, Overdrawn) and not (request.observed or request.forced):
        return answer, accounts
    if number is not None:
        number = number._replace(unanswered=number.unanswered + 1)
    had = _all(ledger.bills)
    name = max(now, had[-1].name + 1) if had else now
    bill = Bill(paid, float(request.price), would_refuse, now + rules.remember, name)
    charged = Charged(now, paid, would_refuse, taken.reached, event, number is not None, bill.name)
    return charged, accounts._replace(
        number=number or ledger.number,
        bills=Bills((*had, bill)[-BILLS:]),
        network=network,
        caps=_kept_caps(rules, counted),
    )


def credit(ledger: Ledger, key: FraudKey, rules: Rules, now: int) -> tuple[Credited | None, Ledger]:
    """Give back for a right code, to the accounts that paid for the challenge's newest message
    that was not refunded, and know its number. `None`: nothing was charged, or it was credited
    before."""
    if counts_number(key, rules):
        ledger = ledger._replace(number=KnownNumber(0, now + rules.trusted))
    if ledger.bills is None:
        return None, ledger
    bill = ledger.bills.all[-1]
    if bill.paid is not None:
        before = _records(ledger)
        after = fraud.credit(before, bill.paid, bill.price, rules.rates, now)
        ledger = _with_records(ledger, before, after, now)
    tally = traffic.add(ledger.tally, Counts(verified=1), now)
    return Credited(bill.would_refuse), ledger._replace(bills=None, tally=tally)


def refund(ledger: Ledger, charged: Charged, price: float, rules: Rules, now: int) -> Ledger:
    """Give back everything that was counted for a message that was certainly not sent. The
    challenge's other messages can still earn."""
    if charged.paid is not None:
        before = _records(ledger)
        after = fraud.refund(before, charged.paid, price, rules.rates, now)
        ledger = _with_records(ledger, before, after, now)
    number = ledger.number
    if charged.raised and number is not None:
        number = number._replace(unanswered=max(0, number.unanswered - 1))
    network = ledger.network
    if charged.network is not None:
        network = send_limits.give_back(network, charged.network, now)
    counted = caps.give(amounts(rules, price), _parts(ledger), charged.at, now)
    observed = charged.would_refuse is not None
    back = Counts(sent=-1, would_refuse=-int(observed), cost=-millionths(price))
    return ledger._replace(
        number=number,
        bills=_bills(bill for bill in _all(ledger.bills) if bill.name != charged.bill),
        network=network,
        tally=traffic.add(ledger.tally, back, now),
        caps=_kept_caps(rules, counted),
    )


def is_sound(answer: object) -> bool:
    """Whether an answer of a store can be true, as `answers.is_sound` says of the others."""
    match answer:
        case Overdrawn():
            return answer.reason in ACCOUNTS and answers.is_wait(answer.retry_in)
        case Full():
            known = isinstance(answer.cap, Cap)
            return known and (answer.retry_in is None or answers.is_wait(answer.retry_in))
        case Charged():
            named = answer.network is None or answers.is_instant(answer.network)
            told = answers.are_flags(answer.raised) and _are_levels(answer.reached)
            instants = answers.is_instant(answer.at) and answers.is_instant(answer.bill)
            return told and named and instants and _is_bill(answer)
        case Credited():
            return answer.would_refuse is None or answer.would_refuse in ACCOUNTS
        case Totals():
            return traffic.is_sound(answer)
        case KnownNumber():
            return answers.is_count(answer.unanswered) and answers.is_instant(answer.expires)
    return answers.is_sound(answer)


def not_charged(answer: Overdrawn | Full) -> DestinationBlocked:
    """The error of a start or resend that the accounts or the caps refuse."""
    reason = answer.reason if isinstance(answer, Overdrawn) else answer.cap.name
    if answer.retry_in is None:
        return DestinationBlocked(reason=reason)
    seconds = min(whole_seconds(answer.retry_in), LARGEST)
    return DestinationBlocked(
        f"No code can be sent to this number now. Try again in {seconds} seconds.",
        reason=reason,
        retry_after=seconds,
    )


def unlock(number: KnownNumber | None) -> KnownNumber | None:
    """Forget the unanswered messages to a number that was known. One that never was stays a
    stranger's."""
    return None if number is None else number._replace(unanswered=0)


def counts_network(key: FraudKey, rules: Rules) -> bool:
    """Whether an IP network's messages are counted."""
    return bool(key.network and rules.sends_per_ip)


def counts_number(key: FraudKey, rules: Rules) -> bool:
    """Whether anything is kept of a number."""
    return bool(key.number and rules.trusted)


def amounts(rules: Rules, price: float) -> list[tuple[Cap, float]]:
    """How much a message takes from each cap."""
    return [(cap, 1 if cap.name == TOTAL else millionths(price)) for cap in rules.caps]


def lifetime(prefix: Record) -> int:
    """Seconds for which the record of a prefix matters: until its debts are forgiven, and less than
    half a message is left of the rest. Prefixes are many: what an attacker makes a store hold who
    invents them is forgotten when it is forgiven."""
    debt, credit = max(0.0, -min(prefix.balances)), max(prefix.balances)
    days = min(1.0, debt / PREFIX_LIMIT)
    if prefix.earned > HALF or credit > HALF:
        earned = math.log(max(1.0, prefix.earned / HALF))
        days += max(earned, PREFIX_MEMORY_DAYS * math.log(max(1.0, credit / HALF)))
    return max(1, math.ceil(DAY / 1000 * days))


def _are_levels(reached: Any) -> bool:
    if not isinstance(reached, tuple):
        return False
    pairs = [one for one in reached if isinstance(one, tuple) and len(one) == 2]
    sound = [isinstance(cap, Cap) and level in caps.LEVELS for cap, level in pairs]
    return len(pairs) == len(reached) and all(sound)


def _is_bill(charged: Charged) -> bool:
    if charged.paid is None:
        return charged.would_refuse in (None, *ACCOUNTS)
    paid = isinstance(charged.paid, Charge) and isinstance(charged.paid.group, Group)
    return paid and answers.are_flags(charged.paid.world) and charged.would_refuse is None


def _all(bills: Bills | None) -> tuple[Bill, ...]:
    return () if bills is None else bills.all


def _bills(bills: Iterable[Bill]) -> Bills | None:
    found = tuple(bills)
    return Bills(found) if found else None


def _parts(ledger: Ledger) -> list[Parts]:
    return [() if counted is None else counted.parts for counted in ledger.caps]


def _kept_caps(rules: Rules, counted: Sequence[Parts]) -> tuple[Counted | None, ...]:
    return tuple(
        Counted(parts, caps.expires(parts, cap)) if parts else None
        for cap, parts in zip(rules.caps, counted, strict=True)
    )


def _records(ledger: Ledger) -> Records:
    kept = (ledger.prefix, ledger.country, ledger.world)
    pairs = zip(kept, EMPTY, strict=True)
    return Records(*(empty if one is None else one.record for one, empty in pairs))


def _with_records(ledger: Ledger, before: Records, after: Records, now: int) -> Ledger:
    def again(old: Kept | None, was: Record, new: Record, duration: int) -> Kept | None:
        return old if new is was else Kept(new, now + duration)

    return ledger._replace(
        prefix=again(ledger.prefix, before.prefix, after.prefix, 1000 * lifetime(after.prefix)),
        country=again(ledger.country, before.country, after.country, LIFETIME),
        world=again(ledger.world, before.world, after.world, LIFETIME),
    )
