"""The judge finds what it is there for: each violation is planted once, and beside it stands what
looks like it and is allowed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from endurance import judge as promises
from endurance.faults import Fault
from endurance.judge import Judge
from endurance.ledger import PARTS, Arrived, Call, Ledger, Sent, read
from endurance.people import POLICY

PHONE = "+4915110000001"
CODE, OTHER_CODE = "123456", "654321"
FAULT = Fault("primary is killed", "sentinel", 100.0, 102.0, loses=True)


def call(operation: str, begun: float, outcome: str, detail: Any = None, **facts: Any) -> Call:
    """A call of a tenth of a second."""
    known = {
        "store": "sentinel",
        "variant": "plain",
        "phone": PHONE,
        "purpose": "login",
        "challenge": "c1",
        "code": "",
        "binding": "",
        "kind": "ordinary",
        "network": "",
    }
    made = Call(operation=operation, begun=begun, **(known | facts))
    made.ended, made.outcome, made.detail = begun + 0.1, outcome, detail
    return made


def start(begun: float = 10.0, *, code: str = CODE, took: str = "taken", **facts: Any) -> Call:
    operation = facts.pop("operation", "start")
    outcome = {"taken": "Challenge", "doubt": "DeliveryUnavailable", "refused": "DeliveryRejected"}
    made = call(operation, begun, outcome[took], **facts)
    made.messages = [Sent(code, "ref", True, took)]
    return made


def check(begun: float = 11.0, *, code: str = CODE, **facts: Any) -> Call:
    """A code that was accepted."""
    named = [facts.get("phone", PHONE), facts.get("purpose", "login"), facts.get("challenge", "c1")]
    return call("check", begun, "Verified", named, code=code, **facts)


def wrong(begun: float, left: int | None = 3, **facts: Any) -> Call:
    return call("check", begun, "IncorrectCode", left, code="000000", **facts)


def refused(begun: float = 11.0, outcome: str = "ChallengeExpired", **facts: Any) -> Call:
    return call("check", begun, outcome, code=CODE, **facts)


def redeem(begun: float, **facts: Any) -> Call:
    named = [facts.get("phone", PHONE), facts.get("purpose", "login"), "c1"]
    return call("redeem", begun, "Verified", named, code="proof", **facts)


def report(code: str, detail: list[bool]) -> Call:
    return call("delivery_report", 10.5, "DeliveryReport", detail, code=code)


def lasting(call: Call, seconds: float) -> Call:
    """The call, with that duration."""
    call.ended = call.begun + seconds
    return call


def spread(many: int, seconds: float, **facts: Any) -> list[Call]:
    """Starts of as many challenges, each for a purpose of its own."""
    starts = [
        start(10.0 + seconds * nth, challenge=f"c{nth}", purpose=f"p{nth}", **facts)
        for nth in range(many)
    ]
    for nth, one in enumerate(starts):
        one.messages[0].code = f"{nth:06}"
    return starts


def judged(*calls: Call, arrived: list[Arrived] | None = None, faults: Any = ()) -> Judge:
    """The verdict. The gateway has what it took, if nothing else is said."""
    made = Judge(POLICY, faults)
    there = arrived
    if there is None:
        there = [
            Arrived(one.phone, sent.code, sent.reference, one.begun)
            for one in calls
            for sent in one.messages
            if sent.outcome == "taken" and sent.by_http
        ]
    made.take(calls, there)
    made.finish()
    return made


HERE = Arrived(PHONE, CODE, "ref", 10.0)
VIOLATIONS: dict[str, tuple[str, list[Call], list[Arrived] | None]] = {
    "a double acceptance": (promises.ONCE, [start(), check(), check(11.5)], None),
    "a double acceptance at once": (promises.ONCE, [start(), check(), check()], None),
    "a proof that is redeemed twice": (
        promises.PROOF_ONCE,
        [start(), check(), redeem(12.0), redeem(12.0)],
        None,
    ),
    "a sixth comparison": (
        promises.ATTEMPTS,
        [start(), *(wrong(11.0 + nth / 10) for nth in range(6))],
        None,
    ),
    "a ninth wrong code of a phone": (
        promises.FAILURES,
        [wrong(11.0 + nth, challenge=f"c{nth}") for nth in range(9)],
        None,
    ),
    "a fourth send in five seconds": (promises.SENDS, spread(4, 1.2), None),
    "a seventh send in fifteen seconds": (promises.SENDS, spread(7, 2.2), None),
    "a send too many in secret": (promises.SENDS, spread(4, 1.2, kind="concealed"), None),
    "a send too many for a network": (
        promises.NETWORK,
        [
            start(
                10.0, phone=f"+49151{10_000_000 + nth}", challenge=f"c{nth}", network="203.0.113.1"
            )
            for nth in range(31)
        ],
        None,
    ),
    "a second send within the cooldown": (
        promises.COOLDOWN,
        [start(), start(10.5, code=OTHER_CODE, challenge="c2")],
        None,
    ),
    "a message too many": (promises.ONE_MESSAGE, [start()], [HERE, HERE]),
    "a message in doubt that was sent twice": (
        promises.ONE_MESSAGE,
        [start(took="doubt")],
        [HERE, HERE],
    ),
    "a message that nobody asked for": (promises.ONE_MESSAGE, [], [HERE]),
    "a lost message": (promises.TAKEN, [start()], []),
    "a send that is given back and sent": (promises.GIVEN_BACK, [start(took="refused")], [HERE]),
    "another's code": (promises.OWN, [start(), check(code=OTHER_CODE)], None),
    "another's phone": (
        promises.OWN,
        [start(), check(phone="+4915110000002"), start(phone="+4915110000002", challenge="c2")],
        None,
    ),
    "another purpose": (promises.OWN, [start(), check(purpose="payment")], None),
    "another amount": (
        promises.OWN,
        [start(binding="25.00 EUR"), check(binding="5000.00 EUR")],
        None,
    ),
    "a decoy's code": (promises.OWN, [start(kind="decoy"), check()], None),
    "a proof of another purpose": (
        promises.OWN,
        [start(), check(), redeem(12.0, purpose="payment")],
        None,
    ),
    "a code after its time": (promises.EXPIRED, [start(), check(17.0)], None),
    "a code after a cancel": (
        promises.EXPIRED,
        [start(), call("cancel", 10.3, "NoneType"), check()],
        None,
    ),
    "a right code that is refused": (promises.NEVER_REFUSED, [start(), refused()], None),
    "a right code that is refused after wrong ones": (
        promises.NEVER_REFUSED,
        [start(), wrong(10.5), wrong(10.6), refused(outcome="AttemptsExhausted")],
        None,
    ),
    "a forged report that is taken": (promises.REPORTS, [report("forged", [True] * 3)], None),
    "an error that is not typed": (promises.TYPED, [call("check", 10.0, "!KeyError: 1")], None),
    "an error that does not belong there": (
        promises.TYPED,
        [call("start", 10.0, "ConfigurationError")],
        None,
    ),
}


@pytest.mark.parametrize("name", VIOLATIONS)
def test_a_violation_is_found(name: str) -> None:
    promise, calls, arrived = VIOLATIONS[name]
    found = judged(*calls, arrived=arrived)
    assert {one for one, row in found.rows.items() if row.broken} == {promise}
    assert found.broken == 1
    assert not any(row.lost for row in found.rows.values())


def test_every_promise_has_a_violation() -> None:
    slow = call("check", 10.0, "StoreError")
    slow.ended = 10.0 + promises.LONGEST_CALL_SECONDS + 1
    assert judged(slow).rows[promises.IN_TIME].broken == 1
    planted = {promise for promise, _, _ in VIOLATIONS.values()}
    assert planted | {promises.IN_TIME} == set(promises.PROMISES)


ALLOWED: dict[str, list[Call]] = {
    "a code that is right once": [start(), wrong(10.5), check(), refused(12.0)],
    "five wrong codes, then none": [
        start(),
        *(wrong(10.2 + nth / 10, 4 - nth) for nth in range(5)),
        refused(outcome="AttemptsExhausted"),
    ],
    "what is not a code": [start(), *(wrong(10.2 + nth / 10, None) for nth in range(9))],
    "sends that are far enough apart": spread(6, 2.6),
    "sends that were refused": spread(7, 1.2, took="refused"),
    "a send that a report gave back": [
        *spread(4, 1.2),
        call("delivery_report", 10.5, "DeliveryReport", [True] * 3, code="undelivered"),
    ],
    "a send after a right code": [start(), check(10.2), start(10.5, challenge="c2", code="222222")],
    "a start that waits while another's code is entered": [
        lasting(start(10.0), 0.9),
        start(10.1, challenge="c2", code="222222"),
        check(10.3, challenge="c2", code="222222"),
    ],
    "a code that is late": [start(), refused(17.0)],
    "a code whose message was refused": [start(took="refused"), refused()],
    "a code beside one whose answer was lost": [
        start(),
        call("check", 11.0, "StoreError", code=CODE),
        refused(12.0),
    ],
    "a code beside one that is under way": [start(), check(11.05), refused(11.0)],
    "a code after the phone's failures": [
        *(wrong(10.0 + nth / 10, challenge=f"c{nth}") for nth in range(10, 18)),
        start(12.0),
        refused(12.5, "AttemptsExhausted"),
    ],
    "a true report": [report("delivered", [True, True, False])],
}


@pytest.mark.parametrize("name", ALLOWED)
def test_what_is_allowed_breaks_nothing(name: str) -> None:
    found = judged(*ALLOWED[name])
    assert [row.examples for row in found.rows.values() if row.broken] == []


def test_a_call_of_a_killed_process_may_have_had_its_effect() -> None:
    killed = check(11.0)
    killed.ended, killed.outcome, killed.detail = None, "", None
    found = judged(start(), killed, refused(12.0))
    assert found.broken == 0
    assert found.unknown == 1


class TestKilledPrimary:
    """Its last writes may be lost; nothing else may."""

    def test_a_use_of_its_last_second_is_counted_apart(self) -> None:
        found = judged(start(98.0), check(99.5), check(102.5), faults=[FAULT])
        assert found.rows[promises.ONCE].lost == 1
        assert found.broken == 0

    @pytest.mark.parametrize("moments", [(96.0, 97.5), (103.5, 104.5)])
    def test_a_use_before_or_after_is_not(self, moments: tuple[float, float]) -> None:
        first, second = moments
        found = judged(start(first - 1), check(first), check(second), faults=[FAULT])
        assert found.rows[promises.ONCE].broken == 1

    def test_of_other_servers_nothing_is_lost(self) -> None:
        on = {"store": "cluster"}
        calls = [start(98.0, **on), check(99.5, **on), check(102.5, **on)]
        assert judged(*calls, faults=[FAULT]).rows[promises.ONCE].broken == 1


def test_the_ledger_gives_back_what_was_written(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path, "sentinel.0-0")
    asked = start()
    number = ledger.begin(asked)
    ledger.message(PHONE, number, Sent(CODE, "ref", by_http=True))
    ledger.handed(PHONE, number, "taken")
    ledger.end(PHONE, number, "Challenge", "c1", None)
    ledger.begin(check())  # its process is killed now
    ledger.arrived(HERE)
    found = [read(tmp_path, part) for part in range(PARTS)]
    calls = [one for of_part, _ in found for one in of_part]
    assert [one for _, of_part in found for one in of_part] == [HERE]
    assert [one.operation for one in calls] == ["start", "check"]
    assert calls[0].messages == asked.messages
    assert (calls[0].outcome, calls[0].challenge) == ("Challenge", "c1")
    assert (calls[1].ended, calls[1].outcome, calls[1].code) == (None, "", CODE)
