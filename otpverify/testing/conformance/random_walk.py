"""Conformance: a random walk beside the reference, every answer compared.

The reference gives the expected answers: the pure functions of `otpverify.core.challenge` over
plain dicts that forget nothing.
"""

# ruff: noqa: S101, S311 - tests assert, and this randomness is repeated on purpose

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from typing import ClassVar

import pytest

from otpverify.core import challenge as transitions
from otpverify.core.answers import Checked, Opened, Refused, Reported, Reserved, Standing, Verdict
from otpverify.core.keys import Key
from otpverify.core.limits import Limit
from otpverify.core.policy import Policy
from otpverify.core.results import DeliveryStatus
from otpverify.core.state import ChallengeState, CounterState, Inspected, Opening, PhoneState
from otpverify.testing.conformance.base import Base, Driven, Step, digest, key
from otpverify.testing.conformance.inspection import comparable


class Reference:
    """A `Store` to compare others with: no lock, no capacity, nothing ever freed.

    Args:
        now: The instant, in whole milliseconds.
    """

    process_local: ClassVar[bool] = True

    def __init__(self, now: Callable[[], int]) -> None:
        self._now = now
        self._phones: dict[str, PhoneState] = {}
        self._challenges: dict[str, ChallengeState | None] = {}
        self._counters: dict[str, CounterState | None] = {}

    def open(self, key: Key, opening: Opening, policy: Policy) -> Opened | Refused:
        """See `Store.open`."""
        answer, phone, challenge = transitions.open_(
            *self._load(key), key, opening, policy, self._now()
        )
        self._save(key, phone, challenge)
        return answer

    def place(self, key: Key, at: int, digest: bytes, policy: Policy) -> Standing | None:
        """See `Store.place`."""
        answer, phone, challenge = transitions.place(
            *self._load(key), key, at, digest, policy, self._now()
        )
        self._save(key, phone, challenge)
        return answer

    def peek(self, key: Key, policy: Policy) -> Checked:
        """See `Store.peek`."""
        return transitions.peek(*self._load(key), key, policy, self._now())

    def claim(self, key: Key, policy: Policy) -> Checked:
        """See `Store.claim`."""
        answer, phone, challenge = transitions.claim(*self._load(key), key, policy, self._now())
        self._save(key, phone, challenge)
        return answer

    def check(self, key: Key, digest: bytes, policy: Policy, claimed: bool = False) -> Checked:
        """See `Store.check`."""
        answer, phone, challenge = transitions.check(
            *self._load(key), key, digest, policy, claimed, self._now()
        )
        self._save(key, phone, challenge)
        return answer

    def redeem(self, key: Key) -> bool:
        """See `Store.redeem`."""
        state = self._challenges.get(key.challenge)
        answer, self._challenges[key.challenge] = transitions.redeem(state, self._now())
        return answer

    def release(
        self, key: Key, at: int, undelivered: bytes | None, policy: Policy
    ) -> Standing | None:
        """See `Store.release`."""
        answer, phone, challenge = transitions.release(
            *self._load(key), key, at, undelivered, policy, self._now()
        )
        self._save(key, phone, challenge)
        return answer

    def report(
        self, key: Key, at: int, status: DeliveryStatus, policy: Policy, give_back: bool = True
    ) -> Reported:
        """See `Store.report`."""
        answer, phone, challenge = transitions.report(
            *self._load(key), key, at, status, policy, give_back, self._now()
        )
        self._save(key, phone, challenge)
        return answer

    def status(self, key: Key, policy: Policy) -> DeliveryStatus | None:
        """See `Store.status`."""
        return transitions.status(self._challenges.get(key.challenge), policy, self._now())

    def cancel(self, key: Key) -> None:
        """See `Store.cancel`."""
        self._challenges[key.challenge] = None

    def inspect(self, phone: str) -> Inspected:
        """See `Store.inspect`."""
        state = self._phones.get(phone, PhoneState())
        return transitions.inspect(state, self._challenges, self._now())

    def unlock(self, phone: str, scope: str | None = None) -> None:
        """See `Store.unlock`."""
        state = self._phones.get(phone, PhoneState())
        self._phones[phone] = transitions.unlock(state, scope, self._now())

    def reserve(self, counter: str, limits: tuple[Limit, ...]) -> Reserved | Refused:
        """See `Store.reserve`."""
        state = self._counters.get(counter)
        answer, self._counters[counter] = transitions.reserve(state, limits, self._now())
        return answer

    def give_back(self, counter: str, at: int) -> None:
        """See `Store.give_back`."""
        state = transitions.give_back(self._counters.get(counter), at, self._now())
        self._counters[counter] = state

    def _load(self, key: Key) -> tuple[PhoneState, ChallengeState | None]:
        return self._phones.get(key.phone, PhoneState()), self._challenges.get(key.challenge)

    def _save(self, key: Key, phone: PhoneState, challenge: ChallengeState | None) -> None:
        self._phones[key.phone] = phone
        self._challenges[key.challenge] = challenge


POLICIES = {
    "tight": Policy(
        max_attempts=3,
        live_codes=2,
        ttl_seconds=60,
        resend_cooldown_seconds=5,
        sends_per_phone=(Limit(3, 30), Limit(4, 100)),
        failures_per_phone=Limit(6, 120),
        consecutive_failures=Limit(8, 400),
        proof_ttl_seconds=15,
        allow_weak=True,
    ),
    "roomy": Policy(
        max_attempts=12,
        live_codes=3,
        ttl_seconds=200,
        resend_cooldown_seconds=0,
        sends_per_phone=(Limit(40, 200),),
        failures_per_phone=Limit(25, 60),
        consecutive_failures=Limit(10, 100),
        proof_ttl_seconds=45,
        allow_weak=True,
    ),
    "unlimited": Policy(
        max_attempts=4,
        live_codes=1,
        ttl_seconds=30,
        resend_cooldown_seconds=0,
        sends_per_phone=(),
        failures_per_phone=None,
        consecutive_failures=None,
        allow_weak=True,
    ),
    "patient": Policy(
        max_attempts=6,
        live_codes=3,
        ttl_seconds=120,
        resend_cooldown_seconds=90,
        sends_per_phone=(Limit(8, 60),),
        failures_per_phone=None,
        consecutive_failures=Limit(12, 5_000),
        allow_weak=True,
    ),
}
WALKS = {name: (policy,) for name, policy in POLICIES.items()} | {
    "changing": tuple(POLICIES.values())
}
"""The policies of the walks: one for a whole walk, or a different one for each step."""
NETWORK = (Limit(3, 20), Limit(5, 100))
NETWORKS = (NETWORK, (Limit(9, 5),), (Limit(2, 50),))
SEED = "walk 182"
"""500 steps of it meet every answer and every limit."""
# Mostly short: otherwise nothing would be refused.
PAUSES = (1, 1, 999, 4_999, 5_000, 5_000, 5_000, 9_999, 25_000, 60_000, 99_999)
_OPERATIONS = {
    "start": 18,
    "resend": 18,
    "place": 10,
    "claim": 5,
    "check": 50,
    "peek": 12,
    "redeem": 6,
    "release": 10,
    "report": 16,
    "status": 12,
    "cancel": 2,
    "inspect": 8,
    "unlock": 1,
    "reserve": 10,
    "give_back": 4,
    "pass_time": 20,
}


class Walker:
    """Draws steps that are valid often enough to reach every answer.

    Args:
        draw: The random generator.
        policies: The numbers. With several, each step has those of one of them.
    """

    def __init__(self, draw: random.Random, policies: Sequence[Policy]) -> None:
        self._draw = draw
        self._policies = policies
        self._codes: dict[Key, list[bytes]] = {}
        self._sent: list[tuple[Key, int, bytes]] = []
        self._awaited: list[tuple[Key, int, bytes]] = []
        self._released: list[tuple[Key, int]] = []
        self._taken: list[tuple[str, int]] = []
        self._used: list[Key] = []
        self._claimed: list[Key] = []
        self._count = 0

    def steps(self) -> Iterator[Step]:
        """One step after the other, without end."""
        while True:
            kind = self._draw.choices([*_OPERATIONS], [*_OPERATIONS.values()])[0]
            yield getattr(self, f"_{kind}")()

    def saw(self, step: Step, answer: object) -> None:
        """Record the values that a later step may use."""
        name, *args = step
        if name == "open" and isinstance(answer, Opened):
            where, opening, _ = args
            code = opening.digest or self._new_digest()
            self._codes.setdefault(where, []).append(code)
            self._sent.append((where, answer.at, code))
            if opening.digest is None:
                self._awaited.append((where, answer.at, code))
        elif name == "claim" and answer == Checked(Verdict.PENDING):
            self._claimed.append(args[0])
        elif name == "check" and answer == Checked(Verdict.ACCEPTED):
            self._used.append(args[0])
        elif name == "reserve" and isinstance(answer, Reserved):
            self._taken.append((args[0], answer.at))

    @property
    def _policy(self) -> Policy:
        return self._draw.choice(self._policies) if len(self._policies) > 1 else self._policies[0]

    def _new_digest(self) -> bytes:
        self._count += 1
        return digest(self._count)

    def _code(self) -> bytes | None:
        """The digest of an opening, or none: then it follows."""
        code = self._new_digest()
        return code if self._draw.random() < 0.7 else None

    def _some_key(self) -> Key:
        known = list(self._codes)
        if not known or self._draw.random() < 0.05:
            return key(challenge=0)
        # Often the same one: otherwise none would receive enough calls.
        return known[-1] if self._draw.random() < 0.5 else self._draw.choice(known[-4:])

    def _start(self) -> Step:
        phone, purpose = self._draw.choice((1, 2)), self._draw.choice(("login", "reset"))
        kind = self._draw.random()
        code = self._code()
        opening = Opening(code, new=True, concealed=kind < 0.25, decoy=kind < 0.1)
        return "open", key(phone, purpose, self._count), opening, self._policy

    def _place(self) -> Step:
        if not self._awaited or self._draw.random() < 0.1:
            return "place", self._some_key(), 1, self._new_digest(), self._policy
        # Sometimes again, as when an answer was lost.
        again = self._draw.random() < 0.2
        return "place", *(self._awaited[-1] if again else self._awaited.pop()), self._policy

    def _claim(self) -> Step:
        return "claim", self._some_key(), self._policy

    def _resend(self) -> Step:
        return "open", self._some_key(), Opening(self._code(), new=False), self._policy

    def _check(self) -> Step:
        claimed = bool(self._claimed) and self._draw.random() < 0.5
        where = self._claimed.pop() if claimed else self._some_key()
        known = self._codes.get(where, [])
        right = known and self._draw.random() < 0.1
        typed = self._draw.choice(known) if right else digest("wrong")
        return "check", where, typed, self._policy, claimed

    def _peek(self) -> Step:
        return "peek", self._some_key(), self._policy

    def _redeem(self) -> Step:
        if not self._used or self._draw.random() < 0.1:
            return "redeem", self._some_key()
        return "redeem", self._draw.choice(self._used[-2:])

    def _release(self) -> Step:
        if not self._sent or self._draw.random() < 0.1:
            return "release", self._some_key(), 1, None, self._policy
        # Mostly a late one: what is given back as a rule was sent a moment ago.
        place = -1 if self._draw.random() < 0.7 else self._draw.randrange(len(self._sent))
        where, at, code = self._sent.pop(place)
        self._released.append((where, at))
        return "release", where, at, code if self._draw.random() < 0.5 else None, self._policy

    def _report(self) -> Step:
        # Mostly of what was sent a moment ago, or it would never be news.
        known = [*self._released[-2:], *((where, at) for where, at, _ in self._sent[-5:])]
        if not known or self._draw.random() < 0.1:
            known = [(self._some_key(), 1)]
        status = self._draw.choices([*DeliveryStatus], (2, 8, 6, 1, 1, 1, 1))[0]
        where, at = self._draw.choice(known)
        return "report", where, at, status, self._policy, self._draw.random() < 0.7

    def _status(self) -> Step:
        return "status", self._some_key(), self._policy

    def _cancel(self) -> Step:
        return "cancel", self._some_key()

    def _inspect(self) -> Step:
        return "inspect", self._some_key().phone

    def _unlock(self) -> Step:
        where = self._some_key()
        return "unlock", where.phone, where.scope if self._draw.random() < 0.7 else None

    def _reserve(self) -> Step:
        limits = NETWORK if len(self._policies) == 1 else self._draw.choice(NETWORKS)
        return "reserve", self._draw.choice(("network 1", "network 2")), limits

    def _give_back(self) -> Step:
        if not self._taken or self._draw.random() < 0.1:
            return "give_back", "network 1", 1
        return "give_back", *self._taken.pop(self._draw.randrange(len(self._taken)))

    def _pass_time(self) -> Step:
        return "pass_time", self._draw.choice(PAUSES)


class RandomWalk(Base):
    """The same steps on the store and on the reference."""

    @pytest.mark.parametrize("walk", list(WALKS))
    def test_every_answer_of_a_random_walk_is_the_reference_s(
        self, store: Driven, walk: str
    ) -> None:
        store.pass_time(0)  # skips the test for a store with its own clock
        reference = Reference(lambda: store.clock.ms)
        walker = Walker(random.Random(f"{SEED} on {walk}"), WALKS[walk])
        for number, step in zip(range(self.steps), walker.steps(), strict=False):
            name, *args = step
            answer = getattr(store, name)(*args)
            if name != "pass_time":
                expected = getattr(reference, name)(*args)
                assert comparable(answer) == comparable(expected), (
                    f"step {number}: {name}{tuple(args)}"
                )
                walker.saw(step, expected)
