"""The transitions and MemoryStore against a model that remembers everything and knows the
rules only as the documentation states them."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    rule,
)

from otpverify import Limit, MemoryStore, Policy
from otpverify.core.keys import Key
from otpverify.core.outcomes import Opened, Refusal, Refused, Verdict
from otpverify.core.state import Opening

POLICY = Policy(
    max_attempts=3,
    live_codes=2,
    ttl_seconds=60,
    resend_cooldown_seconds=5,
    sends_per_phone=(Limit(3, 30), Limit(6, 200)),
    failures_per_phone=Limit(7, 120),
    allow_weak=True,
)
PHONES = ("phone 1", "phone 2")
SCOPES = ("login", "reset")
_count = itertools.count()


@dataclass
class Sent:
    """A code as the model sees it."""

    digest: bytes
    at: float
    given_back: bool = False
    void: bool = False


@dataclass
class Model:
    """A challenge as the model sees it."""

    key: Key
    decoy: bool
    codes: list[Sent] = field(default_factory=list)
    wrong: int = 0
    over: bool = False

    def good(self, now: float) -> list[Sent]:
        return [c for c in self.codes if not c.void and now < c.at + 60]

    def alive(self, now: float) -> bool:
        return not self.over and bool(self.good(now))


class Store(RuleBasedStateMachine):
    challenges = Bundle("challenges")

    @initialize()
    def begin(self) -> None:
        self.now = 1_000_000.0
        self.store = MemoryStore(clock=lambda: self.now)
        self.all: list[Model] = []
        self.sends: list[tuple[Key, Sent]] = []
        self.failures: list[tuple[Key, float]] = []

    def refusals(self, key: Key) -> dict[Refusal, float]:
        """Every limit that refuses a send now, with the seconds until it no longer does."""
        counted = [(k, s.at) for k, s in self.sends if k.phone == key.phone and not s.given_back]
        own = [at for k, at in counted if k.scope == key.scope]
        failed = [at for k, at in self.failures if k.scope == key.scope]
        logs = [
            (Refusal.COOLDOWN, own, 1, 5),
            (Refusal.SENDS, [at for _, at in counted], 3, 30),
            (Refusal.SENDS, [at for _, at in counted], 6, 200),
            (Refusal.FAILURES, failed, 7, 120),
        ]
        found: dict[Refusal, float] = {}
        for refusal, log, count, window in logs:
            inside = sorted((at for at in log if self.now < at + window), reverse=True)
            if len(inside) >= count:
                wait = inside[count - 1] + window - self.now
                found[refusal] = max(wait, found.get(refusal, 0))
        return found

    def opened(self, answer: Opened | Refused, model: Model, digest: bytes) -> bool:
        refusals = self.refusals(model.key)
        if refusals:
            assert isinstance(answer, Refused)
            assert answer.refusal in refusals
            assert answer.retry_in == round(max(refusals.values()) * 1000)
            return False
        assert isinstance(answer, Opened)
        sent = Sent(digest, self.now)
        model.codes.append(sent)
        self.sends.append((model.key, sent))
        assert answer.at == round(self.now * 1000)
        assert answer.standing.expires_in == 60_000
        assert answer.standing.attempts_left == min(3 - model.wrong, self.budget(model.key))
        assert answer.standing.decoy == model.decoy
        return True

    def budget(self, key: Key) -> int:
        failed = [at for k, at in self.failures if k.scope == key.scope and self.now < at + 120]
        return max(0, 7 - len(failed))

    @rule(
        target=challenges,
        phone=st.sampled_from(PHONES),
        scope=st.sampled_from(SCOPES),
        decoy=st.booleans(),
    )
    def start(self, phone: str, scope: str, decoy: bool) -> Model:
        number = next(_count)
        model = Model(Key(phone, f"{phone} {scope}", f"challenge {number}"), decoy)
        digest = b"code %d" % number
        answer = self.store.open(model.key, Opening(digest, new=True, decoy=decoy), POLICY)
        if self.opened(answer, model, digest):
            self.all.append(model)
        return model

    @rule(model=challenges)
    def resend(self, model: Model) -> None:
        digest = b"code %d" % next(_count)
        answer = self.store.open(model.key, Opening(digest, new=False), POLICY)
        if not model.alive(self.now):
            assert answer == Refused(Refusal.GONE)
        elif model.wrong >= 3:
            assert isinstance(answer, Refused)
            assert answer.refusal is Refusal.ATTEMPTS
        else:
            self.opened(answer, model, digest)

    @rule(model=challenges, which=st.integers(-1, 5))
    def check(self, model: Model, which: int) -> None:
        known = which >= 0 and which < len(model.codes)
        digest = model.codes[which].digest if known else b"a wrong one"
        peeked = self.store.peek(model.key, POLICY).verdict
        answer = self.store.check(model.key, digest, POLICY)
        if not model.alive(self.now):
            assert peeked is answer.verdict is Verdict.GONE
        elif model.wrong >= 3 or not self.budget(model.key):
            assert peeked is answer.verdict is Verdict.EXHAUSTED
        elif digest in [c.digest for c in model.good(self.now)[-2:]] and not model.decoy:
            assert peeked is Verdict.PENDING
            assert answer.verdict is Verdict.ACCEPTED
            model.over = True
        else:
            assert peeked is Verdict.PENDING
            assert answer.verdict is Verdict.WRONG
            model.wrong += 1
            self.failures.append((model.key, self.now))
            assert answer.attempts_left == min(3 - model.wrong, self.budget(model.key))

    @rule(model=challenges, which=st.integers(0, 5), void=st.booleans())
    def release(self, model: Model, which: int, void: bool) -> None:
        if which >= len(model.codes) or model.codes[which].given_back:
            return  # a send is given back once
        sent = model.codes[which]
        undelivered = sent.digest if void else None
        answer = self.store.release(model.key, round(sent.at * 1000), undelivered, POLICY)
        sent.given_back = True
        sent.void = sent.void or void
        assert (answer is not None) == model.alive(self.now)

    @rule(model=consumes(challenges))
    def cancel(self, model: Model) -> None:
        self.store.cancel(model.key)
        model.over = True
        assert self.store.peek(model.key, POLICY).verdict is Verdict.GONE

    @rule(seconds=st.sampled_from([0.001, 0.5, 4.999, 5, 24.5, 30, 59.999, 60, 120, 200]))
    def wait(self, seconds: float) -> None:
        self.now = round(self.now + seconds, 3)

    @invariant()
    def no_more_than_is_alive_is_kept(self) -> None:
        assert len(self.store) == sum(model.alive(self.now) for model in self.all)


Store.TestCase.settings = settings(max_examples=150, stateful_step_count=60, deadline=None)
TestStore = Store.TestCase


def test_two_sends_in_the_same_millisecond_are_given_back_one_by_one() -> None:
    policy = Policy(resend_cooldown_seconds=0, sends_per_phone=(Limit(2, 30),))
    store = MemoryStore(clock=lambda: 1.0)
    keys = [Key("phone", "scope", name) for name in ("a", "b", "c")]
    for key in keys[:2]:
        assert isinstance(store.open(key, Opening(b"x", new=True), policy), Opened)
    store.release(keys[0], 1000, b"x", policy)
    assert isinstance(store.open(keys[2], Opening(b"x", new=True), policy), Opened)
    assert isinstance(store.open(keys[0], Opening(b"x", new=True), policy), Refused)
