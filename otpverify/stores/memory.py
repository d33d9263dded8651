"""The store for one process: development, tests, and a single-worker service."""

from __future__ import annotations

import logging
import math
from collections.abc import Hashable
from typing import Any, ClassVar, TypeVar

from cachetools import TLRUCache

from otpverify._per_process import ForkLock
from otpverify.core import challenge as transitions, fraud_ledger
from otpverify.core.answers import Checked, Opened, Refused, Reported, Reserved, Standing
from otpverify.core.caps import Full
from otpverify.core.fraud import Overdrawn, Request
from otpverify.core.fraud_ledger import (
    Bills,
    Charged,
    Counted,
    Credited,
    FraudKey,
    Kept,
    KnownNumber,
    Ledger,
    Rules,
)
from otpverify.core.keys import Key
from otpverify.core.limits import Limit, require_whole
from otpverify.core.phone import COUNTRIES
from otpverify.core.policy import Policy
from otpverify.core.results import DeliveryStatus
from otpverify.core.state import ChallengeState, CounterState, Inspected, Opening, PhoneState
from otpverify.core.traffic import Tally, Totals, totals
from otpverify.errors import StoreError
from otpverify.protocols import Clock
from otpverify.stores.clock import MonotonicClock
from otpverify.stores.workers import Claim, can_fork, refuse_several_workers

_State = TypeVar(
    "_State",
    PhoneState,
    ChallengeState,
    CounterState,
    Kept,
    Kept | Counted,
    KnownNumber,
    Bills,
    Tally,
)
_log = logging.getLogger("otpverify")
_COUNTERS_PER_CHALLENGE = 10
# One for all stores: there is hardly ever a second. It is held for microseconds.
_LOCK = ForkLock()


class MemoryStore:
    """Keeps everything in this process, behind one lock. Safe between threads and tasks.

    It is not shared between processes: with several workers each would have limits and
    challenges of its own. Use `SqliteStore` or `RedisStore` there. What can be known of that is
    refused: several workers of gunicorn, uvicorn, hypercorn, granian, uWSGI, mod_wsgi or Celery,
    and two processes that use copies of a store that was made before they were forked.

    At capacity it refuses (`StoreError`) and never evicts what is alive, since eviction would
    wipe attempt and failure counters. What has expired goes at the next operation of any
    kind, touched or not.

    Args:
        capacity: The most live challenges, and proofs that may still be redeemed.
        counter_capacity: The most phones and IP networks whose counters are remembered (for as
            long as the policy's longest window, a day by default); 10 times `capacity` if left
            out. With a `FraudPolicy` also the most prefixes, the most known numbers (a further
            one stays a stranger's), and the most challenges that were charged.
        clock: Seconds; by default `time.time`, which tests can move. It may be set back: then
            it is not believed, and no code lives longer for it.
        allow_workers: Do not object to several worker processes, which then knowingly have a
            store each, as behind a proxy that brings a person to the same one each time.

    Raises:
        ConfigurationError: A capacity is not a whole number of at least 1, or the server runs
            several workers. Any operation raises it if another process uses a copy.
    """

    process_local: ClassVar[bool] = True

    def __init__(
        self,
        *,
        capacity: int = 100_000,
        counter_capacity: int | None = None,
        clock: Clock | None = None,
        allow_workers: bool = False,
    ) -> None:
        require_whole("capacity", capacity, least=1)
        if counter_capacity is None:
            counter_capacity = capacity * _COUNTERS_PER_CHALLENGE
        require_whole("counter_capacity", counter_capacity, least=1)
        if not allow_workers:
            refuse_several_workers()
        self._claim = Claim() if can_fork() and not allow_workers else None
        self._clock = MonotonicClock(clock)
        self._now = 0
        self._tables: list[TLRUCache[Hashable, Any]] = []
        self._phones: TLRUCache[Hashable, PhoneState] = self._table(counter_capacity)
        self._challenges: TLRUCache[Hashable, ChallengeState] = self._table(capacity)
        self._counters: TLRUCache[Hashable, CounterState] = self._table(counter_capacity)
        self._prefixes: TLRUCache[Hashable, Kept] = self._table(counter_capacity)
        # Of countries, the world and caps: they are few, and nobody can invent them.
        self._accounts: TLRUCache[Hashable, Kept | Counted] = self._table(math.inf)
        self._known: TLRUCache[Hashable, KnownNumber] = self._table(counter_capacity)
        self._bills: TLRUCache[Hashable, Bills] = self._table(counter_capacity)
        self._tallies: TLRUCache[Hashable, Tally] = self._table(len(COUNTRIES))
        self._told_full = False

    def __repr__(self) -> str:
        return f"<MemoryStore with {len(self)} challenges>"

    def __len__(self) -> int:
        """How many challenges are alive, or have left a proof that is."""
        with _LOCK.get():
            self._expire()
            return len(self._challenges)

    def open(self, key: Key, opening: Opening, policy: Policy) -> Opened | Refused:
        """See `Store.open`. Raises `StoreError` at capacity."""
        with _LOCK.get():
            now = self._tick()
            phone, challenge = self._load(key)
            answer, new_phone, new_challenge = transitions.open_(
                phone, challenge, key, opening, policy, now
            )
            if isinstance(answer, Opened):
                self._require_room(self._challenges, key.challenge)
                self._require_room(self._phones, key.phone)
                self._save(key, new_phone, new_challenge)
            return answer

    def place(self, key: Key, at: int, digest: bytes, policy: Policy) -> Standing | None:
        """See `Store.place`."""
        with _LOCK.get():
            now = self._tick()
            answer, new_phone, new_challenge = transitions.place(
                *self._load(key), key, at, digest, policy, now
            )
            self._save(key, new_phone, new_challenge)
            return answer

    def peek(self, key: Key, policy: Policy) -> Checked:
        """See `Store.peek`."""
        with _LOCK.get():
            now = self._tick()
            phone, challenge = self._load(key)
            return transitions.peek(phone, challenge, key, policy, now)

    def claim(self, key: Key, policy: Policy) -> Checked:
        """See `Store.claim`."""
        with _LOCK.get():
            now = self._tick()
            phone, challenge = self._load(key)
            answer, new_phone, new_challenge = transitions.claim(phone, challenge, key, policy, now)
            self._save(key, new_phone, new_challenge)
            return answer

    def check(self, key: Key, digest: bytes, policy: Policy, claimed: bool = False) -> Checked:
        """See `Store.check`. Raises `StoreError` at capacity."""
        with _LOCK.get():
            now = self._tick()
            phone, challenge = self._load(key)
            if challenge is not None:
                # Before the code is compared: a failure that finds no room would be uncounted.
                self._require_room(self._phones, key.phone)
            answer, new_phone, new_challenge = transitions.check(
                phone, challenge, key, digest, policy, claimed, now
            )
            self._save(key, new_phone, new_challenge)
            return answer

    def redeem(self, key: Key) -> bool:
        """See `Store.redeem`."""
        with _LOCK.get():
            now = self._tick()
            answer, state = transitions.redeem(self._challenges.get(key.challenge), now)
            self._put(self._challenges, key.challenge, state)
            return answer

    def release(
        self, key: Key, at: int, undelivered: bytes | None, policy: Policy
    ) -> Standing | None:
        """See `Store.release`."""
        with _LOCK.get():
            now = self._tick()
            phone, challenge = self._load(key)
            answer, new_phone, new_challenge = transitions.release(
                phone, challenge, key, at, undelivered, policy, now
            )
            self._save(key, new_phone, new_challenge)
            return answer

    def report(
        self, key: Key, at: int, status: DeliveryStatus, policy: Policy, give_back: bool = True
    ) -> Reported:
        """See `Store.report`."""
        with _LOCK.get():
            now = self._tick()
            answer, new_phone, new_challenge = transitions.report(
                *self._load(key), key, at, status, policy, give_back, now
            )
            self._save(key, new_phone, new_challenge)
            return answer

    def status(self, key: Key, policy: Policy) -> DeliveryStatus | None:
        """See `Store.status`."""
        with _LOCK.get():
            now = self._tick()
            return transitions.status(self._challenges.get(key.challenge), policy, now)

    def cancel(self, key: Key) -> None:
        """See `Store.cancel`."""
        with _LOCK.get():
            self._tick()
            self._put(self._challenges, key.challenge, None)

    def inspect(self, phone: str) -> Inspected:
        """See `Store.inspect`."""
        with _LOCK.get():
            now = self._tick()
            state = self._phones.get(phone) or PhoneState()
            names = transitions.challenges_of(state, now)
            return transitions.inspect(state, {n: self._challenges.get(n) for n in names}, now)

    def unlock(self, phone: str, scope: str | None = None) -> None:
        """See `Store.unlock`."""
        with _LOCK.get():
            now = self._tick()
            state = self._phones.get(phone)
            if state is not None:
                self._put(self._phones, phone, transitions.unlock(state, scope, now))

    def reserve(self, counter: str, limits: tuple[Limit, ...]) -> Reserved | Refused:
        """See `Store.reserve`. Raises `StoreError` at capacity."""
        with _LOCK.get():
            now = self._tick()
            answer, state = transitions.reserve(self._counters.get(counter), limits, now)
            if isinstance(answer, Reserved):
                self._require_room(self._counters, counter)
                self._put(self._counters, counter, state)
            return answer

    def give_back(self, counter: str, at: int) -> None:
        """See `Store.give_back`."""
        with _LOCK.get():
            now = self._tick()
            state = transitions.give_back(self._counters.get(counter), at, now)
            self._put(self._counters, counter, state)

    def charge(
        self, key: FraudKey, request: Request, rules: Rules
    ) -> Charged | Overdrawn | Full | Refused:
        """See `FraudStore.charge`. Raises `StoreError` at capacity."""
        with _LOCK.get():
            now = self._tick()
            answer, ledger = fraud_ledger.charge(self._ledger(key, rules), key, request, rules, now)
            named = self._named(key, rules, ledger)
            if isinstance(answer, Charged):
                for name, state in named.items():
                    if state is not None:
                        self._require_room(self._fraud_table(name), name)
            # What is refused may leave a mark, which is not worth an error.
            self._keep(named)
            return answer

    def credit(self, key: FraudKey, rules: Rules) -> Credited | None:
        """See `FraudStore.credit`. At capacity it gives back all the same, and the number stays a
        stranger's."""
        with _LOCK.get():
            now = self._tick()
            answer, ledger = fraud_ledger.credit(self._ledger(key, rules), key, rules, now)
            full = self._keep(self._named(key, rules, ledger)) and not self._told_full
            self._told_full = self._told_full or full
        if full:
            _log.warning(
                "The MemoryStore is full: right codes make no further number known, or give "
                "nothing back to their prefix. Give it more counter_capacity, or use RedisStore."
            )
        return answer

    def refund(self, key: FraudKey, charged: Charged, price: float, rules: Rules) -> None:
        """See `FraudStore.refund`."""
        with _LOCK.get():
            now = self._tick()
            ledger = fraud_ledger.refund(self._ledger(key, rules), charged, price, rules, now)
            self._keep(self._named(key, rules, ledger))

    def known(self, number: str) -> KnownNumber | None:
        """See `FraudStore.known`."""
        with _LOCK.get():
            self._tick()
            return self._known.get(fraud_ledger.number_name(number))

    def unlock_number(self, number: str) -> None:
        """See `FraudStore.unlock_number`."""
        with _LOCK.get():
            self._tick()
            name = fraud_ledger.number_name(number)
            self._put(self._known, name, fraud_ledger.unlock(self._known.get(name)))

    def traffic(self, hours: int) -> Totals:
        """See `FraudStore.traffic`."""
        with _LOCK.get():
            now = self._tick()
            names = map(fraud_ledger.tally_name, COUNTRIES)
            return totals(zip(COUNTRIES, map(self._tallies.get, names), strict=True), hours, now)

    def _ledger(self, key: FraudKey, rules: Rules) -> Ledger:
        names = fraud_ledger.names(key, rules)
        return Ledger.of([self._fraud_table(name).get(name) for name in names], self._now)

    @staticmethod
    def _named(key: FraudKey, rules: Rules, ledger: Ledger) -> dict[str, Any]:
        return dict(zip(fraud_ledger.names(key, rules), ledger.states, strict=True))

    def _keep(self, named: dict[str, Any]) -> bool:
        """Save the states for which there is room. Whether there was none for one of them."""
        left_out = False
        for name, state in named.items():
            table = self._fraud_table(name)
            if state is None or self._has_room(table, name):
                self._put(table, name, state)
            else:
                left_out = True
        return left_out

    def _fraud_table(self, name: str) -> TLRUCache[Hashable, Any]:
        """Apart, so that who invents prefixes or challenges fills one of them alone. An operation
        has one name at most in each that can be full, so that no two share the last place."""
        tables: dict[str, TLRUCache[Hashable, Any]] = {
            "b": self._bills,
            "i": self._counters,
            "k": self._known,
            "p": self._prefixes,
            "t": self._tallies,
        }
        return tables.get(name[0], self._accounts)

    def _table(self, capacity: float) -> TLRUCache[Hashable, _State]:
        # One instant an operation: the tables see the time at which it began.
        table: TLRUCache[Hashable, _State] = TLRUCache(
            capacity, ttu=lambda _key, state, _now: state.expires, timer=lambda: self._now
        )
        self._tables.append(table)
        return table

    def _tick(self) -> int:
        """Begin an operation: nobody else may use a copy, and what has expired goes."""
        if self._claim is not None:
            self._claim.take()
        return self._expire()

    def _expire(self) -> int:
        """Read the clock, and drop what has expired, in all tables."""
        self._now = round(self._clock() * 1000)
        for table in self._tables:
            table.expire()
        return self._now

    def _load(self, key: Key) -> tuple[PhoneState, ChallengeState | None]:
        return self._phones.get(key.phone) or PhoneState(), self._challenges.get(key.challenge)

    def _save(self, key: Key, phone: PhoneState, challenge: ChallengeState | None) -> None:
        over = challenge is None and phone.empty
        self._put(self._phones, key.phone, None if over else phone)
        self._put(self._challenges, key.challenge, challenge)

    @staticmethod
    def _put(table: TLRUCache[Hashable, _State], key: str, state: _State | None) -> None:
        if state is None:
            table.pop(key, None)
        elif table.get(key) is not state:
            table[key] = state

    @staticmethod
    def _has_room(table: TLRUCache[Hashable, _State], key: str) -> bool:
        return key in table or table.currsize < table.maxsize

    @classmethod
    def _require_room(cls, table: TLRUCache[Hashable, _State], key: str) -> None:
        if not cls._has_room(table, key):
            raise StoreError(
                f"The MemoryStore is full ({int(table.maxsize)} entries); nothing was evicted. "
                "Give it more capacity, or use RedisStore."
            )
