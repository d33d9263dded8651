"""The transitions and MemoryStore against a model that remembers everything and knows the
rules only as the documentation states them."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field

from hypothesis import settings, strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, rule
from support import LONG

from otpverify import Limit, MemoryStore, Policy
from otpverify.core import challenge as transitions
from otpverify.core.answers import Opened, Refusal, Refused, Reported, Verdict
from otpverify.core.keys import Key
from otpverify.core.results import DeliveryStatus
from otpverify.core.send_limits import SPARE
from otpverify.core.state import Opening, PhoneState

POLICY = Policy(
    max_attempts=3,
    live_codes=2,
    ttl_seconds=60,
    resend_cooldown_seconds=5,
    sends_per_phone=(Limit(3, 30), Limit(6, 200)),
    failures_per_phone=Limit(7, 120),
    consecutive_failures=Limit(5, 300),
    proof_ttl_seconds=25,
    allow_weak=True,
)
OTHER = Policy(
    max_attempts=4,
    live_codes=1,
    ttl_seconds=60,
    resend_cooldown_seconds=90,
    sends_per_phone=(Limit(5, 10),),
    failures_per_phone=Limit(3, 40),
    consecutive_failures=Limit(4, 30),
    proof_ttl_seconds=5,
    allow_weak=True,
)
BRIEF = Policy(
    max_attempts=3,
    live_codes=2,
    ttl_seconds=60,
    resend_cooldown_seconds=0,
    sends_per_phone=(Limit(6, 20),),
    failures_per_phone=None,
    consecutive_failures=None,
    allow_weak=True,
)
EACH = st.sampled_from([POLICY, OTHER, BRIEF])
REACH = {POLICY: 200, OTHER: 90, BRIEF: 20}
"""The seconds that a policy looks back."""
ONE = st.integers(0, 2)
"""Which of up to three policies a step has."""
RANK = dict.fromkeys(DeliveryStatus, 2) | {DeliveryStatus.QUEUED: 0, DeliveryStatus.SENT: 1}
PHONES = ("phone 1", "phone 2")
KINDS = ((False, False), (True, False), (True, True))
"""Ordinary, concealed, and a decoy, which is concealed, too."""
SCOPES = ("login", "reset")
_count = itertools.count()


@dataclass
class Sent:
    """A code as the model sees it."""

    digest: bytes
    at: float
    expires: float
    given_back: bool = False
    status: DeliveryStatus = DeliveryStatus.QUEUED
    void: bool = False
    placed: bool = True


@dataclass
class Model:
    """A challenge as the model sees it."""

    key: Key
    concealed: bool
    decoy: bool
    codes: list[Sent] = field(default_factory=list)
    wrong: int = 0
    over: bool = False
    proof: float = 0

    def good(self, now: float) -> list[Sent]:
        return [c for c in self.codes if not c.void and now < c.expires]

    def accepts(self, digest: bytes, policy: Policy, now: float) -> bool:
        newest = [code for code in self.good(now) if code.placed][-policy.live_codes :]
        return not self.decoy and digest in [code.digest for code in newest]

    def alive(self, now: float) -> bool:
        return not self.over and bool(self.good(now))


@dataclass
class Happened:
    """A send or a wrong code."""

    key: Key
    sent: Sent | None
    at: float
    concealed: bool = False
    forgotten: bool = False
    answered: bool = False


@dataclass
class Row:
    """Wrong codes in a row for a phone and purpose."""

    count: int = 0
    last: float = 0
    seconds: int = 0


class Store(RuleBasedStateMachine):
    challenges = Bundle("challenges")

    @initialize(policies=st.lists(EACH, min_size=1, max_size=3))
    def begin(self, policies: list[Policy]) -> None:
        self.policies = policies
        self.now = 1_000_000.0
        self.store = MemoryStore(clock=lambda: self.now)
        self.all: list[Model] = []
        self.log: list[Happened] = []
        self.reach = dict.fromkeys(PHONES, 0)
        self.rows: dict[str, Row] = {}

    def policy(self, one: int) -> Policy:
        return self.policies[one % len(self.policies)]

    def counted(self, phone: str) -> list[Happened]:
        """What counts for a phone: all that was not given back, as far as the policies look
        back that wrote to its log since it was last empty."""
        found = [
            one
            for one in self.log
            if one.key.phone == phone
            and not one.forgotten
            and not (one.sent and one.sent.given_back)
        ]
        for one in found:
            one.forgotten = self.now >= one.at + self.reach[phone]
        return [one for one in found if not one.forgotten]

    def happened(self, model: Model, sent: Sent | None, policy: Policy) -> None:
        key = model.key
        if not self.counted(key.phone):
            self.reach[key.phone] = 0
        self.reach[key.phone] = max(self.reach[key.phone], REACH[policy])
        at = sent.at if sent else self.now
        self.log.append(Happened(key, sent, at, model.concealed))

    def row(self, scope: str) -> Row:
        """The wrong codes in a row: since the last right one, and without too long a pause."""
        row = self.rows.setdefault(scope, Row())
        if self.now >= row.last + row.seconds:
            row = self.rows[scope] = Row()
        return row

    def failed(self, model: Model, policy: Policy) -> None:
        row, limit = self.row(model.key.scope), policy.consecutive_failures
        if row.count or limit:
            row.count, row.last = row.count + 1, self.now
            row.seconds = max(row.seconds, limit.seconds if limit else 0)
        self.happened(model, None, policy)

    def refusals(self, model: Model, policy: Policy) -> dict[Refusal, float]:
        """Every limit that refuses a send now, with the seconds until it no longer does."""
        key, counted = model.key, self.counted(model.key.phone)
        sent = [one for one in counted if one.sent and one.concealed == model.concealed]
        sends = [one.at for one in sent]
        own = [one.at for one in sent if one.key.scope == key.scope and not one.answered]
        failed = [one.at for one in counted if not one.sent and one.key.scope == key.scope]
        logs = [(Refusal.SENDS, sends, one.count, one.seconds) for one in policy.sends_per_phone]
        if policy.resend_cooldown_seconds:
            logs.append((Refusal.COOLDOWN, own, 1, policy.resend_cooldown_seconds))
        if budget := policy.failures_per_phone:
            logs.append((Refusal.FAILURES, failed, budget.count, budget.seconds))
        found: dict[Refusal, float] = {}
        row, most = self.row(key.scope), policy.consecutive_failures
        if most and row.count >= most.count:
            found[Refusal.STREAK] = row.last + row.seconds - self.now
        for refusal, log, count, window in logs:
            inside = sorted((at for at in log if self.now < at + window), reverse=True)
            if len(inside) >= count:
                wait = inside[count - 1] + window - self.now
                found[refusal] = max(wait, found.get(refusal, 0))
        return found

    def opened(
        self,
        answer: Opened | Refused,
        model: Model,
        digest: bytes,
        policy: Policy,
        *,
        follows: bool,
    ) -> bool:
        refusals = self.refusals(model, policy)
        if refusals:
            assert isinstance(answer, Refused)
            assert answer.refusal in refusals
            assert answer.retry_in == round(max(refusals.values()) * 1000)
            return False
        assert isinstance(answer, Opened)
        at = round(self.now * 1000)
        if model.alive(self.now):
            # A void one's instant may be taken again: its send was given back with it.
            named = [round(code.at * 1000) + 1 for code in model.codes if not code.void]
            at = max([at, *named])
        assert answer.at == at, "no two of a challenge are the same"
        sent = Sent(digest, at / 1000, self.now + 60, placed=not follows)
        model.codes.append(sent)
        self.happened(model, sent, policy)
        assert answer.standing.expires_in == 60_000
        assert answer.standing.attempts_left == self.left(model, policy)
        assert answer.standing.decoy == model.decoy
        assert answer.standing.concealed == model.concealed
        return True

    def left(self, model: Model, policy: Policy) -> int:
        """How many codes may still be compared."""
        left = max(0, policy.max_attempts - model.wrong)
        if budget := policy.failures_per_phone:
            failed = [
                one
                for one in self.counted(model.key.phone)
                if not one.sent
                and one.key.scope == model.key.scope
                and self.now < one.at + budget.seconds
            ]
            left = min(left, max(0, budget.count - len(failed)))
        if most := policy.consecutive_failures:
            left = min(left, max(0, most.count - self.row(model.key.scope).count))
        return left

    @rule(
        target=challenges,
        phone=st.sampled_from(PHONES),
        scope=st.sampled_from(SCOPES),
        kind=st.sampled_from(KINDS),
        one=ONE,
        follows=st.booleans(),
    )
    def start(
        self, phone: str, scope: str, kind: tuple[bool, bool], one: int, follows: bool
    ) -> Model:
        number, policy = next(_count), self.policy(one)
        model = Model(Key(phone, f"{phone} {scope}", f"challenge {number}"), *kind)
        digest = b"code %d" % number
        code = None if follows else digest
        opening = Opening(code, new=True, concealed=kind[0], decoy=kind[1])
        answer = self.store.open(model.key, opening, policy)
        if self.opened(answer, model, digest, policy, follows=follows):
            self.all.append(model)
        return model

    @rule(model=challenges, one=ONE, follows=st.booleans())
    def resend(self, model: Model, one: int, follows: bool) -> None:
        digest, policy = b"code %d" % next(_count), self.policy(one)
        code = None if follows else digest
        answer = self.store.open(model.key, Opening(code, new=False), policy)
        if not model.alive(self.now):
            assert answer == Refused(Refusal.GONE)
        elif model.wrong >= policy.max_attempts:
            assert isinstance(answer, Refused)
            assert answer.refusal is Refusal.ATTEMPTS
        else:
            self.opened(answer, model, digest, policy, follows=follows)

    @rule(model=challenges, which=st.integers(0, 5), other=st.booleans(), one=ONE)
    def place(self, model: Model, which: int, other: bool, one: int) -> None:
        """The digest of a code that waits for it; or of one that does not, which is a repeat."""
        if which >= len(model.codes):
            return
        sent, policy = model.codes[which], self.policy(one)
        if sent.void and any(code.at == sent.at for code in model.codes if code is not sent):
            return  # its instant names another send by now
        digest = b"another" if other and sent.placed else sent.digest
        standing = self.store.place(model.key, round(sent.at * 1000), digest, policy)
        fits = not model.over and sent in model.good(self.now) and digest == sent.digest
        assert (standing is not None) == fits
        if standing is not None:
            sent.placed = True
            assert standing.attempts_left == self.left(model, policy)
            assert (standing.decoy, standing.concealed) == (model.decoy, model.concealed)
            newest = max(code.expires for code in model.good(self.now))
            assert standing.expires_in == round(1000 * (newest - self.now))

    @rule(model=challenges, which=st.integers(-1, 5), one=ONE, claim=st.booleans())
    def check(self, model: Model, which: int, one: int, claim: bool) -> None:
        policy = self.policy(one)
        known = which >= 0 and which < len(model.codes)
        digest = model.codes[which].digest if known else b"a wrong one"
        peeked = self.store.peek(model.key, policy).verdict
        if claim:
            claimed = self.store.claim(model.key, policy)
            assert claimed.verdict is peeked
            if peeked is not Verdict.PENDING:
                return  # nothing is hashed, so there is nothing to check
        answer = self.store.check(model.key, digest, policy, claim)
        if not model.alive(self.now):
            assert peeked is answer.verdict is Verdict.GONE
        elif not self.left(model, policy):
            assert peeked is answer.verdict is Verdict.EXHAUSTED
        elif model.accepts(digest, policy, self.now):
            assert peeked is Verdict.PENDING
            assert answer.verdict is Verdict.ACCEPTED
            (sent,) = [code for code in model.codes if code.digest == digest]
            assert answer.age == max(0, round(1000 * (self.now - sent.at)))
            model.over = True
            model.proof = self.now + policy.proof_ttl_seconds
            self.rows[model.key.scope] = Row()
            for happened in self.log:
                happened.answered |= happened.key == model.key and not model.concealed
        else:
            assert peeked is Verdict.PENDING
            assert answer.verdict is Verdict.WRONG
            model.wrong += 1
            self.failed(model, policy)
            assert answer.attempts_left == self.left(model, policy)

    @rule(model=challenges)
    def redeem(self, model: Model) -> None:
        assert self.store.redeem(model.key) == (self.now < model.proof)
        model.proof = 0

    @rule(model=challenges, which=st.integers(0, 5), void=st.booleans(), one=ONE)
    def release(self, model: Model, which: int, void: bool, one: int) -> None:
        if which >= len(model.codes) or model.codes[which].given_back:
            return  # a send is given back once
        sent = model.codes[which]
        undelivered = sent.digest if void else None
        at = round(sent.at * 1000)
        answer = self.store.release(model.key, at, undelivered, self.policy(one))
        sent.given_back = True
        sent.void = sent.void or void or not sent.placed
        assert (answer is not None) == model.alive(self.now)

    @rule(
        model=challenges,
        which=st.integers(0, 5),
        status=st.sampled_from(DeliveryStatus),
        one=ONE,
        give_back=st.booleans(),
    )
    def report(
        self, model: Model, which: int, status: DeliveryStatus, one: int, give_back: bool
    ) -> None:
        if which >= len(model.codes):
            return
        sent = model.codes[which]
        if sent.void and any(code.at == sent.at for code in model.codes if code is not sent):
            return  # its instant names another send by now
        counted = any(one.sent is sent for one in self.counted(model.key.phone))
        remembered = counted or (not model.over and sent in model.good(self.now))
        at, policy = round(sent.at * 1000), self.policy(one)
        answer = self.store.report(model.key, at, status, policy, give_back)
        order = [*map(RANK.__getitem__, (sent.status, status))]
        news = remembered and order[0] < order[1]
        failed = news and order[1] == 2 and status is not DeliveryStatus.DELIVERED
        failed = failed and give_back and not model.concealed
        assert answer == Reported(remembered, news, failed and counted)
        if news:
            sent.status = status
        sent.given_back = sent.given_back or failed

    @rule(model=challenges, one=ONE)
    def status(self, model: Model, one: int) -> None:
        answer = self.store.status(model.key, self.policy(one))
        if not model.alive(self.now):
            assert answer is None
        elif model.concealed:
            assert answer is DeliveryStatus.QUEUED
        else:
            assert answer is model.good(self.now)[-1].status

    @rule(model=consumes(challenges))
    def cancel(self, model: Model) -> None:
        self.store.cancel(model.key)
        model.over, model.proof = True, 0
        assert self.store.peek(model.key, POLICY).verdict is Verdict.GONE

    @rule(seconds=st.sampled_from([0.001, 0.5, 4.999, 5, 24.5, 30, 59.999, 60, 120, 200]))
    def wait(self, seconds: float) -> None:
        self.now = round(self.now + seconds, 3)

    @invariant()
    def no_more_than_is_alive_is_kept(self) -> None:
        kept = [model for model in self.all if model.alive(self.now) or self.now < model.proof]
        assert len(self.store) == len(kept)


Store.TestCase.settings = settings(
    max_examples=150 if LONG else 75, stateful_step_count=60, deadline=None
)
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


def test_a_log_grows_no_longer_than_limits_look() -> None:
    """However much is sent by a policy that has no limits, beside one that has."""
    free = Policy(
        resend_cooldown_seconds=0, sends_per_phone=(), failures_per_phone=None, allow_weak=True
    )
    phone, challenge, key = PhoneState(), None, Key("phone", "scope", "challenge")
    for step in range(300):
        policy = free if step else POLICY
        opening = Opening(b"x", new=True)
        _, phone, challenge = transitions.open_(phone, challenge, key, opening, policy, 5)
    assert len(phone.sends) == 7 + SPARE, "seven failures are the largest count"
    counter = None
    for step in range(300):
        limits = (Limit(3, 1) if step else Limit(5, 86_400),)
        _, counter = transitions.reserve(counter, limits, step * 500)
    assert counter is not None
    assert len(counter.log) == 5 + SPARE
