"""The Lua scripts are the transitions of `otpverify.core.challenge`: hypothesis looks for a
sequence of steps after which they answer anything else, on every server. With
`OTPVERIFY_TEST_REPEATS` at 200 or more it looks longer."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    multiple,
    rule,
    run_state_machine_as_test,
)
from redis_support import NAMES, Place, stop_servers
from support import REPEATS

from otpverify import Policy
from otpverify.core.keys import Key
from otpverify.core.outcomes import Opened, Reserved
from otpverify.core.state import Opening
from otpverify.testing.conformance import Reference, Timeline
from otpverify.testing.conformance.base import digest, key
from otpverify.testing.conformance.walk import NETWORK, POLICIES

__all__ = ["stop_servers"]

LONG = REPEATS >= 200
EXAMPLES, STEPS = (500, 100) if LONG else (40, 80)
EDGES = [1, 999, 1000, 4_999, 5_000, 29_999, 30_000, 59_999, 60_000, 120_000, 200_000, 86_400_000]


class Beside(RuleBasedStateMachine):
    """The store and the reference take the same steps."""

    place: Place
    challenges = Bundle("challenges")
    sends = Bundle("sends")
    taken = Bundle("taken")

    @initialize(policy=st.sampled_from([*POLICIES.values(), Policy()]))
    def begin(self, policy: Policy) -> None:
        self.policy = policy
        self.clock = Timeline()
        self.store = self.place.store(self.clock)
        self.reference = Reference(lambda: self.clock.ms)
        self.count = 0

    def both(self, operation: str, *args: Any) -> Any:
        answer: object = getattr(self.store, operation)(*args)
        assert answer == getattr(self.reference, operation)(*args)
        return answer

    def open(self, where: Key, opening: Opening) -> Any:
        answer = self.both("open", where, opening, self.policy)
        if isinstance(answer, Opened):
            return multiple((where, answer.at, opening.digest))
        return multiple()

    @rule(
        target=challenges,
        phone=st.integers(1, 2),
        purpose=st.sampled_from(["login", "reset"]),
        decoy=st.booleans(),
    )
    def begin_another(self, phone: int, purpose: str, decoy: bool) -> Key:
        self.count += 1
        where = key(phone, purpose, self.count)
        self.open(where, Opening(digest(0), new=True, decoy=decoy))
        return where

    @rule(target=sends, where=challenges, decoy=st.booleans(), code=st.integers(0, 2))
    def begin_anew(self, where: Key, decoy: bool, code: int) -> Any:
        return self.open(where, Opening(digest(code), new=True, decoy=decoy))

    @rule(target=sends, where=challenges, code=st.integers(0, 2))
    def resend(self, where: Key, code: int) -> Any:
        return self.open(where, Opening(digest(code), new=False))

    @rule(where=challenges, codes=st.lists(st.integers(0, 3), min_size=1, max_size=6))
    def check(self, where: Key, codes: list[int]) -> None:
        for code in codes:
            self.both("peek", where, self.policy)
            self.both("check", where, digest(code), self.policy)

    @rule(where=challenges)
    def guess(self, where: Key) -> None:
        for _ in range(3):
            self.both("check", where, digest("wrong"), self.policy)

    @rule(where=challenges)
    def cancel(self, where: Key) -> None:
        self.both("cancel", where)

    @rule(send=sends, void=st.booleans())
    def release(self, send: tuple[Key, int, bytes], void: bool) -> None:
        where, at, code = send
        self.both("release", where, at, code if void else None, self.policy)

    @rule(where=challenges, ago=st.integers(0, 5_000))
    def release_what_was_not_reserved(self, where: Key, ago: int) -> None:
        self.both("release", where, self.clock.ms - ago, None, self.policy)

    @rule(target=taken, network=st.sampled_from("ab"))
    def reserve(self, network: str) -> Any:
        answer = self.both("reserve", network, NETWORK)
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


@pytest.mark.parametrize("name", NAMES)
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
