"""The Lua scripts are the transitions of `otpverify.core.challenge`: hypothesis looks for a
sequence of steps after which they answer anything else, on every server. In the long form it looks
longer."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, settings, strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    multiple,
    rule,
    run_state_machine_as_test,
)
from redis_support import NAMES, Place, stop_servers
from support import LONG

from otpverify import Limit, Policy
from otpverify.core.answers import Opened, Reserved, Verdict
from otpverify.core.keys import Key
from otpverify.core.results import DeliveryStatus
from otpverify.core.state import Opening
from otpverify.testing.conformance import Reference, Timeline
from otpverify.testing.conformance.base import digest, key
from otpverify.testing.conformance.inspection import comparable
from otpverify.testing.conformance.random_walk import NETWORKS, POLICIES

__all__ = ["stop_servers"]

# The servers share the examples of the long form, since they run the same scripts.
EXAMPLES, STEPS = (500 // len(NAMES), 100) if LONG else (25, 80)
EDGES = [1, 999, 1000, 4_999, 5_000, 29_999, 30_000, 59_999, 60_000, 120_000, 200_000, 86_400_000]


ALL = [*POLICIES.values(), Policy()]
ONE = st.integers(0, 2)
"""Which of up to three policies a step has."""
KIND = st.sampled_from([{}, {"concealed": True}, {"decoy": True}])
MAY = st.booleans()
STATUSES = st.sampled_from(DeliveryStatus)
REPORTS = st.tuples(STATUSES, st.booleans())


class Beside(RuleBasedStateMachine):
    """The store and the reference take the same steps."""

    place: Place
    challenges = Bundle("challenges")
    sends = Bundle("sends")
    taken = Bundle("taken")

    @initialize(policies=st.lists(st.sampled_from(ALL), min_size=1, max_size=3))
    def begin(self, policies: list[Policy]) -> None:
        self.policies = policies
        self.clock = Timeline()
        self.store = self.place.store(self.clock)
        self.reference = Reference(lambda: self.clock.ms)
        self.count = 0

    def both(self, operation: str, *args: Any) -> Any:
        answer: object = getattr(self.store, operation)(*args)
        assert comparable(answer) == comparable(getattr(self.reference, operation)(*args))
        return answer

    def policy(self, one: int) -> Policy:
        return self.policies[one % len(self.policies)]

    def open(self, where: Key, opening: Opening, one: int, *, follows: bool = False) -> Any:
        """Its digest follows with `place` sooner or later, or not at all."""
        code = opening.digest
        opening = replace(opening, digest=None) if follows else opening
        answer = self.both("open", where, opening, self.policy(one))
        if isinstance(answer, Opened):
            return multiple((where, answer.at, code))
        return multiple()

    @rule(
        target=challenges,
        phone=st.integers(1, 2),
        purpose=st.sampled_from(["login", "reset"]),
        kind=KIND,
        one=ONE,
    )
    def begin_another(self, phone: int, purpose: str, kind: dict[str, bool], one: int) -> Key:
        self.count += 1
        where = key(phone, purpose, self.count)
        self.open(where, Opening(digest(0), new=True, **kind), one)
        return where

    @rule(target=sends, where=challenges, kind=KIND, code=st.integers(0, 2), one=ONE, follows=MAY)
    def begin_again(
        self, where: Key, kind: dict[str, bool], code: int, one: int, follows: bool
    ) -> Any:
        return self.open(where, Opening(digest(code), new=True, **kind), one, follows=follows)

    @rule(send=sends, code=st.integers(0, 9), one=ONE)
    def bring_the_digest(self, send: tuple[Key, int, bytes], code: int, one: int) -> None:
        """Mostly the digest of that send."""
        where, at, own = send
        self.both("place", where, at, digest(code) if code < 3 else own, self.policy(one))

    @rule(where=challenges, ago=st.integers(0, 5_000), one=ONE)
    def place_what_was_not_reserved(self, where: Key, ago: int, one: int) -> None:
        self.both("place", where, self.clock.ms - ago, digest(0), self.policy(one))

    @rule(where=challenges, claims=st.integers(1, 6), code=st.integers(0, 3), one=ONE)
    def claim(self, where: Key, claims: int, code: int, one: int) -> None:
        answers = [self.both("claim", where, self.policy(one)) for _ in range(claims)]
        for answer in answers:
            if answer.verdict is Verdict.PENDING:
                self.both("check", where, digest(code), self.policy(one), True)

    @rule(target=sends, where=challenges, code=st.integers(0, 2), one=ONE, follows=MAY)
    def resend(self, where: Key, code: int, one: int, follows: bool) -> Any:
        return self.open(where, Opening(digest(code), new=False), one, follows=follows)

    @rule(where=challenges, codes=st.lists(st.integers(0, 3), min_size=1, max_size=6), one=ONE)
    def check(self, where: Key, codes: list[int], one: int) -> None:
        for code in codes:
            self.both("peek", where, self.policy(one))
            self.both("check", where, digest(code), self.policy(one))

    @rule(where=challenges, one=ONE)
    def guess(self, where: Key, one: int) -> None:
        for _ in range(3):
            self.both("check", where, digest("wrong"), self.policy(one))

    @rule(where=challenges, code=st.integers(0, 2), one=ONE)
    def use(self, where: Key, code: int, one: int) -> None:
        self.both("check", where, digest(code), self.policy(one))
        self.both("redeem", where)

    @rule(where=challenges)
    def redeem(self, where: Key) -> None:
        self.both("redeem", where)

    @rule(where=challenges)
    def cancel(self, where: Key) -> None:
        self.both("cancel", where)

    @rule(where=challenges)
    def inspect(self, where: Key) -> None:
        self.both("inspect", where.phone)

    @rule(where=challenges, every=st.booleans())
    def unlock(self, where: Key, every: bool) -> None:
        self.both("unlock", where.phone, None if every else where.scope)
        self.both("inspect", where.phone)

    @rule(send=sends, void=st.booleans(), one=ONE)
    def release(self, send: tuple[Key, int, bytes], void: bool, one: int) -> None:
        where, at, code = send
        self.both("release", where, at, code if void else None, self.policy(one))

    @rule(where=challenges, ago=st.integers(0, 5_000), one=ONE)
    def release_what_was_not_reserved(self, where: Key, ago: int, one: int) -> None:
        self.both("release", where, self.clock.ms - ago, None, self.policy(one))

    @rule(send=sends, reports=st.lists(REPORTS, min_size=1, max_size=3), one=ONE)
    def report(
        self,
        send: tuple[Key, int, bytes],
        reports: list[tuple[DeliveryStatus, bool]],
        one: int,
    ) -> None:
        for status, give_back in reports:
            self.both("report", *send[:2], status, self.policy(one), give_back)
        self.both("status", send[0], self.policy(one))

    @rule(where=challenges, ago=st.integers(0, 3), status=STATUSES, one=ONE)
    def report_what_may_not_be_known(
        self, where: Key, ago: int, status: DeliveryStatus, one: int
    ) -> None:
        self.both("report", where, self.clock.ms - ago, status, self.policy(one))

    @rule(where=challenges, one=ONE)
    def status(self, where: Key, one: int) -> None:
        self.both("status", where, self.policy(one))

    @rule(target=taken, network=st.sampled_from("ab"), limits=st.sampled_from(NETWORKS))
    def reserve(self, network: str, limits: tuple[Limit, ...]) -> Any:
        answer = self.both("reserve", network, limits)
        return multiple((network, answer.at)) if isinstance(answer, Reserved) else multiple()

    @rule(one=taken)
    def give_back(self, one: tuple[str, int]) -> None:
        self.both("give_back", *one)

    @rule(milliseconds=st.sampled_from(EDGES) | st.integers(1, 100_000))
    def pass_time(self, milliseconds: int) -> None:
        self.clock.ms += milliseconds

    @rule()
    def forget_scripts(self) -> None:
        with self.place.server.client() as client:
            client.script_flush()


@pytest.mark.parametrize("name", NAMES if LONG else NAMES[:1])
def test_the_scripts_answer_as_the_transitions_do(name: str) -> None:
    class Machine(Beside):
        place = Place(name)

    checks = [HealthCheck.too_slow, HealthCheck.data_too_large]
    run_state_machine_as_test(
        Machine,
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=STEPS,
            deadline=None,
            suppress_health_check=checks,
        ),
    )
    Machine.place.tidy()


@pytest.mark.parametrize("name", NAMES)
def test_they_do_so_when_the_clock_went_back(name: str) -> None:
    """After a failover the new primary's clock may be behind. The logs stay in order."""
    place, clock = Place(name), Timeline()
    store, reference = place.store(clock), Reference(lambda: clock.ms)
    policies = [
        Policy(sends_per_phone=(Limit(3, 60), Limit(7, 90)), resend_cooldown_seconds=cooldown)
        for cooldown in (0, 30)
    ]
    network = (Limit(4, 60),)
    for number, back in enumerate((0, 700, 20_000, -50_000, 9_000, 1, -61_000, 5_000, 2_000)):
        clock.ms -= back
        where, new, policy = key(1, "login", number), Opening(digest(0), new=True), policies[0]
        for operation, *args in (
            ("open", where, new, policy),
            ("open", key(1, f"purpose {number}", number), new, policies[1]),
            ("check", where, digest("wrong"), policy),
            ("reserve", "network", network),
        ):
            answer = getattr(reference, operation)(*args)
            assert getattr(store, operation)(*args) == answer, (number, operation)
    place.tidy()
