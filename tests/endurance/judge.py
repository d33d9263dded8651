"""Counts every promise after the traffic: what was asked, what was answered, and what a promise
does not allow.

A call had its effect at some moment between its begin and its end. A promise is broken only where
no such moments keep it; a call whose process was killed, or whose store failed, is unknown: it may
have had its effect or not. Where a primary was killed, its last writes may be lost, because
replication is asynchronous; what concerns calls of that moment is counted apart.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from endurance.faults import Fault
from endurance.ledger import Arrived, Call
from endurance.people import PUMPED
from otpverify import Limit, Policy

LAG_SECONDS = 1.0
"""How long before a primary's death its writes may not have been replicated."""
LONGEST_CALL_SECONDS = 30.0
"""A start makes up to five calls of the store, each of which waits for 3 seconds with the workers'
settings, and one of the gateway, with 2: 17 seconds, and as much again on a busy machine."""
_EXAMPLES = 3
_REFUSED = ("IncorrectCode", "ChallengeExpired", "AttemptsExhausted")
_EXPECTED = frozenset(
    (
        *("Challenge", "Verified", "NoneType", "DeliveryReport", "DeliveryStatus"),
        *("PhoneInspection", "IncorrectCode", "ChallengeExpired", "AttemptsExhausted"),
        *("RateLimited", "CooldownActive", "DestinationBlocked", "DeliveryRejected"),
        *("DeliveryUnavailable", "StoreError"),
    )
)


@dataclass(slots=True)
class Row:
    """What was found of one promise.

    Attributes:
        counted: How many cases there were.
        broken: How many broke it.
        lost: How many did because a killed primary had lost its last writes.
        examples: The first of those that broke it, in words without a number or a code.
    """

    counted: int = 0
    broken: int = 0
    lost: int = 0
    examples: list[str] = field(default_factory=list)


ONCE = "a challenge accepts a code once"
PROOF_ONCE = "a proof is redeemed once"
ATTEMPTS = "no more codes are compared than attempts"
FAILURES = "no more wrong codes for a phone and purpose than its limit"
SENDS = "no more sends to a phone than its limits"
NETWORK = "no more sends for an IP network than its limit"
COOLDOWN = "no second send within the cooldown"
ONE_MESSAGE = "at most one message at the gateway for a start or resend"
TAKEN = "a message that the gateway took is there"
GIVEN_BACK = "a send is given back only if its message is not there"
OWN = "a Verified is for its own phone, purpose, binding and code"
EXPIRED = "no code is accepted after its end, or after cancel"
NEVER_REFUSED = "a right code in time is accepted"
REPORTS = "a forged delivery report changes nothing"
TYPED = "every error is a typed one that belongs there"
IN_TIME = f"every call ends within {LONGEST_CALL_SECONDS:.0f} seconds"
PROMISES = (
    *(ONCE, PROOF_ONCE, ATTEMPTS, FAILURES, SENDS, NETWORK, COOLDOWN, ONE_MESSAGE, TAKEN),
    *(GIVEN_BACK, OWN, EXPIRED, NEVER_REFUSED, REPORTS, TYPED, IN_TIME),
)


class Judge:
    """Takes all calls of some phones at a time, and counts.

    Args:
        policy: The policy of all verifiers.
        faults: What broke.
    """

    def __init__(self, policy: Policy, faults: Iterable[Fault] = ()) -> None:
        self.policy = policy
        self.losses = [fault for fault in faults if fault.loses]
        self.rows = {promise: Row() for promise in PROMISES}
        self.outcomes: Counter[tuple[str, str]] = Counter()
        self.good: Counter[tuple[str, int]] = Counter()
        self.pumped: Counter[str] = Counter()
        self.fraud: Counter[str] = Counter()
        self.unknown = 0
        self.longest = 0.0
        self._networks: dict[tuple[str, str, bool], list[Call]] = defaultdict(list)

    def take(self, calls: Sequence[Call], arrived: Sequence[Arrived]) -> None:
        """Judge all calls, and all messages at the gateway, of some phones."""
        phones: dict[tuple[str, str], list[Call]] = defaultdict(list)
        for call in calls:
            phones[call.store, call.phone].append(call)
            self._count(call)
        for of_phone in phones.values():
            of_phone.sort(key=lambda call: call.begun)
            self._limits(of_phone)
            challenges: dict[str, list[Call]] = defaultdict(list)
            for call in of_phone:
                if call.challenge:
                    challenges[call.challenge].append(call)
            for of_challenge in challenges.values():
                self._challenge(of_challenge, of_phone)
        self._gateway(calls, arrived)

    def finish(self) -> None:
        """Judge what spans phones, when all were taken."""
        for of_network in self._networks.values():
            of_network.sort(key=lambda call: call.begun)
            for limit in self.policy.sends_per_ip:
                self._within(NETWORK, of_network, limit, [])

    @property
    def broken(self) -> int:
        """How many times a promise was broken."""
        return sum(row.broken for row in self.rows.values())

    def may_be_lost(self, calls: Iterable[Call]) -> bool:
        """Whether a killed primary may have lost the effect of one of these calls."""
        return any(
            call.begun <= loss.ended and call.until >= loss.begun - LAG_SECONDS
            for call in calls
            for loss in self.losses
            if loss.store == call.store
        )

    def _break(self, promise: str, calls: Sequence[Call], why: str = "") -> None:
        row = self.rows[promise]
        if self.may_be_lost(calls):
            row.lost += 1
            return
        row.broken += 1
        if len(row.examples) < _EXAMPLES:
            told = "; ".join(
                f"{call.store} {call.variant} {call.operation} {call.begun:.3f}-"
                f"{call.until:.3f} {call.outcome} {call.detail if call.outcome[:1] != 'V' else ''}"
                for call in calls[:8]
            )
            row.examples.append(f"{why} [{told}]")

    def _count(self, call: Call) -> None:
        self.outcomes[call.operation, call.outcome or "unknown"] += 1
        if call.ended is None:
            self.unknown += 1
            return
        if call.outcome not in ("StoreError", "DeliveryUnavailable"):
            self.good[call.store, int(call.ended)] += 1
        took = call.ended - call.begun
        self.longest = max(self.longest, took)
        self.rows[IN_TIME].counted += 1
        if took > LONGEST_CALL_SECONDS:
            self._break(IN_TIME, [call], f"{took:.1f} seconds")
        self.rows[TYPED].counted += 1
        if call.outcome not in _EXPECTED:
            self._break(TYPED, [call])
        if call.operation == "delivery_report" and call.code == "forged" and call.detail:
            self.rows[REPORTS].counted += 1
            if any(call.detail):
                self._break(REPORTS, [call])
        if call.operation == "start" and call.variant == "fraud":
            pumped = call.phone.startswith(PUMPED)
            sent = _is_send(call)
            who, blocked = "attacker" if pumped else "user", call.outcome == "DestinationBlocked"
            self.fraud[f"{who} {'sent' if sent else 'refused' if blocked else 'other'}"] += 1
            if pumped and sent and not self.may_be_lost([call]):
                self.pumped[call.store] += 1
        if call.network and _is_send(call):
            self._networks[call.store, call.network, call.variant == "fraud"].append(call)

    def _limits(self, calls: list[Call]) -> None:
        """The limits and the cooldown of a phone."""
        returned = [call for call in calls if _gives_back(call)]
        for hidden in (False, True):
            sends = [
                call for call in calls if _is_send(call) and (call.kind != "ordinary") is hidden
            ]
            for limit in self.policy.sends_per_phone:
                self._within(SENDS, sends, limit, returned)
            self._cooldown(sends, calls)
        wrong: dict[str, list[Call]] = defaultdict(list)
        for call in calls:
            if call.operation == "check" and _is_compared(call) and call.outcome != "Verified":
                wrong[call.purpose].append(call)
        for of_purpose in wrong.values():
            if self.policy.failures_per_phone is not None:
                self._within(FAILURES, of_purpose, self.policy.failures_per_phone, [])

    def _within(self, promise: str, events: list[Call], limit: Limit, returned: list[Call]) -> None:
        """No window of that length holds more than the limit's count; those that were given back
        count no more."""
        self.rows[promise].counted += len(events)
        at = 0
        while at + limit.count < len(events):
            free = sum(
                1
                for back in returned
                if back.begun < events[at + limit.count].until
                and back.until > events[at].begun - limit.seconds
            )
            group = events[at : at + limit.count + free + 1]
            fits = max(call.until for call in group) - group[0].begun < limit.seconds
            if len(group) == limit.count + free + 1 and fits:
                self._break(promise, group, f"{len(group)} in {limit.seconds} seconds")
                at += limit.count
            at += 1

    def _cooldown(self, sends: list[Call], calls: list[Call]) -> None:
        last: dict[str, Call] = {}
        for call in sends:
            before = last.get(call.purpose)
            last[call.purpose] = call
            self.rows[COOLDOWN].counted += 1
            if before is None:
                continue
            # Calls that overlap may have had their effect in either order.
            end = max(before.until, call.until)
            if end - before.begun >= self.policy.resend_cooldown_seconds:
                continue
            ended_early = any(
                other.begun < end
                and other.until > before.begun
                and (
                    _gives_back(other) or (other.operation == "check" and _may_have_accepted(other))
                )
                for other in calls
            )
            if not ended_early:
                self._break(COOLDOWN, [before, call])

    def _challenge(self, calls: list[Call], of_phone: list[Call]) -> None:
        """All calls that name one challenge."""
        checks = [call for call in calls if call.operation == "check"]
        accepted = [call for call in checks if call.outcome == "Verified"]
        redeems = [call for call in calls if call.operation == "redeem"]
        redeemed = [call for call in redeems if call.outcome == "Verified"]
        compared = [call for call in checks if _is_compared(call)]
        if checks:
            self.rows[ONCE].counted += 1
            self.rows[ATTEMPTS].counted += 1
        if len(accepted) > 1:
            self._break(ONCE, accepted, f"{len(accepted)} times")
        if len(compared) > self.policy.max_attempts:
            self._break(ATTEMPTS, compared, f"{len(compared)} codes")
        if redeems:
            self.rows[PROOF_ONCE].counted += 1
        if len(redeemed) > 1:
            self._break(PROOF_ONCE, redeemed, f"{len(redeemed)} times")
        starts = [call for call in calls if call.operation == "start"]
        sends = [call for call in calls if call.operation in ("start", "resend")]
        for call in accepted:
            self._accepted(call, starts, sends, calls)
        for call in redeemed:
            self._redeemed(call, starts, checks)
        for call in checks:
            if call.outcome in _REFUSED and _is_right(call, starts, sends):
                self._refused(call, sends, calls, of_phone)

    def _accepted(
        self, call: Call, starts: list[Call], sends: list[Call], calls: list[Call]
    ) -> None:
        self.rows[OWN].counted += 1
        named = call.detail == [call.phone, call.purpose, call.challenge]
        if not named or not _is_right(call, starts, sends):
            self._break(OWN, [call], "not for what it was asked")
            return
        self.rows[EXPIRED].counted += 1
        ends = max(
            send.until
            for send in sends
            if any(message.code == call.code for message in send.messages)
        )
        cancelled = [
            other
            for other in calls
            if other.operation == "cancel"
            and other.outcome == "NoneType"
            and other.until < call.begun
        ]
        if call.begun > ends + self.policy.ttl_seconds or cancelled:
            self._break(EXPIRED, [*sends, *cancelled, call])
        self.rows[NEVER_REFUSED].counted += 1

    def _redeemed(self, call: Call, starts: list[Call], checks: list[Call]) -> None:
        self.rows[OWN].counted += 1
        named = call.detail == [call.phone, call.purpose, call.challenge]
        if (
            not named
            or not any(_is_same(call, start) for start in starts)
            or not any(_may_have_accepted(check) for check in checks)
        ):
            self._break(OWN, [call], "a proof of something else")

    def _refused(
        self, call: Call, sends: list[Call], calls: list[Call], of_phone: list[Call]
    ) -> None:
        """A right code was refused: was there a reason?"""
        policy = self.policy
        sent = [
            send for send in sends if any(message.code == call.code for message in send.messages)
        ]
        live = any(
            call.until < send.begun + policy.ttl_seconds
            and any(one.outcome == "taken" for one in send.messages if one.code == call.code)
            for send in sent
        )
        earlier = [other for other in calls if other is not call and other.begun < call.until]
        used = any(
            other.operation == "cancel"
            or (other.operation == "check" and _may_have_accepted(other))
            or other.operation == "delivery_report"  # a failed message's code may be void
            for other in earlier
        )
        tried = sum(other.operation == "check" for other in earlier)
        budget = policy.failures_per_phone
        wrong = sum(
            other.operation == "check"
            and other is not call
            and other.purpose == call.purpose
            and other.begun < call.until
            for other in of_phone
        )
        spent = tried >= policy.max_attempts or (budget is not None and wrong >= budget.count)
        if live and not used and not spent and len(sends) <= policy.live_codes:
            self.rows[NEVER_REFUSED].counted += 1
            self._break(NEVER_REFUSED, [*sends, *earlier, call], "refused")

    def _gateway(self, calls: Sequence[Call], arrived: Sequence[Arrived]) -> None:
        there = Counter((one.phone, one.code, one.reference) for one in arrived)
        for call in calls:
            if len(call.messages) > 1:
                self._break(ONE_MESSAGE, [call], f"{len(call.messages)} messages in one call")
            for message in call.messages:
                if not message.by_http:
                    continue
                key = (call.phone, message.code, message.reference)
                many = there.pop(key, 0)
                self.rows[ONE_MESSAGE].counted += 1
                if many > 1:
                    self._break(ONE_MESSAGE, [call], f"{many} messages at the gateway")
                if message.outcome == "taken":
                    self.rows[TAKEN].counted += 1
                    if not many:
                        self._break(TAKEN, [call], "a lost message")
                elif message.outcome == "refused":
                    self.rows[GIVEN_BACK].counted += 1
                    if many:
                        self._break(GIVEN_BACK, [call], "it was sent, and given back")
        for many in there.values():
            row = self.rows[ONE_MESSAGE]
            row.broken += many
            row.examples.append("a message that no call asked for")


def _is_send(call: Call) -> bool:
    """Whether it certainly counts as a send."""
    if call.operation not in ("start", "resend") or call.ended is None:
        return False
    if call.outcome == "Challenge":
        return True
    return any(message.outcome in ("taken", "doubt") for message in call.messages)


def _is_compared(call: Call) -> bool:
    """Whether its code was certainly compared."""
    return call.outcome == "Verified" or (
        call.outcome == "IncorrectCode" and call.detail is not None
    )


def _may_have_accepted(call: Call) -> bool:
    return call.outcome in ("Verified", "StoreError", "") or call.outcome.startswith("!")


def _gives_back(call: Call) -> bool:
    """Whether it may have given a send back: a report of a failed message."""
    if call.operation != "delivery_report" or call.code == "forged":
        return False
    return call.outcome != "DeliveryReport" or bool(call.detail[2])


def _is_same(call: Call, start: Call) -> bool:
    """Whether it is for what the challenge was started for."""
    return (call.phone, call.purpose, call.binding) == (start.phone, start.purpose, start.binding)


def _is_right(call: Call, starts: list[Call], sends: list[Call]) -> bool:
    """Whether its code was sent, for what it is entered for."""
    return any(_is_same(call, start) and start.kind != "decoy" for start in starts) and any(
        message.code == call.code for send in sends for message in send.messages
    )
