"""The rows of a `SqliteStore`: their names, and its states as they hold them."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, TypeAlias

from otpverify.core.fraud import EMPTY, Charge, Group, Record
from otpverify.core.fraud_ledger import ACCOUNTS, Bill, Bills, Counted, Kept, KnownNumber
from otpverify.core.keys import Key
from otpverify.core.results import DeliveryStatus
from otpverify.core.state import (
    ChallengeState,
    CounterState,
    Failure,
    FailureStreak,
    LiveCode,
    PhoneState,
    Retention,
    Send,
)
from otpverify.core.traffic import Counts, Tally
from otpverify.errors import StoreError

MOST = 1e15
"""No sum of messages or of millionths of money comes near it; beyond it, sums are not exact."""
State: TypeAlias = (
    PhoneState | ChallengeState | CounterState | Kept | KnownNumber | Bills | Counted | Tally
)


def names(key: Key) -> tuple[str, str]:
    """The rows of a phone and of a challenge."""
    return phone_name(key.phone), challenge_name(key.challenge)


def phone_name(phone: str) -> str:
    """The row of a phone."""
    return f"p{phone}"


def challenge_name(challenge: str) -> str:
    """The row of a challenge."""
    return f"c{challenge}"


def counter_name(counter: str) -> str:
    """The row of a counter."""
    return f"n{counter}"


def fraud_name(name: str) -> str:
    """The row of one of the states that `fraud_ledger.names` gives."""
    return f"f{name}"


def encode(state: State) -> str:
    """What a row holds of a state."""
    plain: list[object]
    if isinstance(state, PhoneState):
        plain = [
            [[s.at, s.scope, s.challenge, s.status, s.concealed, s.answered] for s in state.sends],
            [[failure.at, failure.scope] for failure in state.failures],
            [state.retention.window, state.retention.count],
            state.expires,
            [[streak.scope, streak.count, streak.at, streak.window] for streak in state.streaks],
        ]
    elif isinstance(state, ChallengeState):
        codes = [[_hex(c.digest), c.expires, c.at, c.status] for c in state.codes]
        plain = [codes, state.attempts, state.decoy, state.proof, state.concealed]
    elif isinstance(state, Kept):
        plain = [list(state.record), state.expires]
    elif isinstance(state, KnownNumber | Bills | Counted | Tally):
        plain = list(state)
    else:
        plain = [state.log, [state.retention.window, state.retention.count], state.expires]
    return json.dumps(plain, separators=(",", ":"))


def _hex(digest: bytes | None) -> str | None:
    return None if digest is None else digest.hex()


def decode(name: str, text: object) -> Any:
    """The state of a row.

    Raises:
        StoreError: `encode` did not make it.
    """
    try:
        if isinstance(text, str):
            kind = name[:2] if name.startswith("f") else name[0]
            return _KINDS[kind](*json.loads(text))
    except (ValueError, TypeError, RecursionError):
        pass
    raise foreign()


def foreign() -> StoreError:
    """The error for a row that `encode` did not make."""
    return StoreError(
        "The SQLite file holds what this version of otpverify did not write. Move it away and "
        "start again: challenges end, and limits start from zero."
    )


def encode_instants(instant: int, steady: int) -> str:
    """What the clock's row holds."""
    return json.dumps([instant, steady])


def decode_instants(text: object) -> tuple[int, int]:
    """The clock's row: an instant, and what the monotonic clock showed then, in milliseconds."""
    instant, steady = decode("t", text)
    return instant, steady


# Rows of earlier versions end sooner: one field for each that has a default here.
def _phone(
    sends: Any, failures: Any, retention: Any, expires: Any, streaks: Any = ()
) -> PhoneState:
    return PhoneState(
        tuple([_send(*send) for send in sends]),
        tuple([Failure(_whole(at), _text(scope)) for at, scope in failures]),
        _horizon(*retention),
        _whole(expires),
        tuple([_streak(*streak) for streak in streaks]),
    )


def _streak(scope: Any, count: Any, at: Any, window: Any) -> FailureStreak:
    return FailureStreak(_text(scope), _whole(count), _whole(at), _whole(window))


def _send(
    at: Any,
    scope: Any,
    challenge: Any,
    status: Any,
    concealed: Any = False,
    answered: Any = False,
) -> Send:
    known, flags = DeliveryStatus(status), (_truth(concealed), _truth(answered))
    return Send(_whole(at), _text(scope), _text(challenge), known, *flags)


def _challenge(
    codes: Any, attempts: Any, decoy: Any, proof: Any, concealed: Any = False
) -> ChallengeState:
    live = tuple([_code(*code) for code in codes])
    return ChallengeState(live, _whole(attempts), _truth(decoy), _whole(proof), _truth(concealed))


def _code(digest: Any, expires: Any, at: Any, status: Any) -> LiveCode:
    known = None if digest is None else bytes.fromhex(digest)
    return LiveCode(known, _whole(expires), _whole(at), DeliveryStatus(status))


def _counter(log: Any, retention: Any, expires: Any) -> CounterState:
    return CounterState(tuple([_whole(at) for at in log]), _horizon(*retention), _whole(expires))


def _accounts(record: Any, expires: Any, *, balances_of: Record = EMPTY.prefix) -> Kept:
    at, earned, balances = record
    if len(balances) != len(balances_of.balances):
        raise ValueError
    found = Record(_whole(at), _amount(earned), tuple([_amount(one) for one in balances]))
    return Kept(found, _whole(expires))


def _country(record: Any, expires: Any) -> Kept:
    return _accounts(record, expires, balances_of=EMPTY.country)


def _number(unanswered: Any, expires: Any) -> KnownNumber:
    return KnownNumber(_whole(unanswered), _whole(expires))


def _bills(bills: Any) -> Bills:
    if not bills:
        raise ValueError
    return Bills(tuple([_bill(*bill) for bill in bills]))


def _bill(paid: Any, price: Any, would_refuse: Any, expires: Any, name: Any) -> Bill:
    if paid is not None:
        group, world = paid
        paid = Charge(Group(_whole(group)), _truth(world))
    if would_refuse is not None and (paid is not None or would_refuse not in ACCOUNTS):
        raise ValueError
    return Bill(paid, _amount(price), would_refuse, _whole(expires), _whole(name))


def _cap(parts: Any, expires: Any) -> Counted:
    return Counted(
        tuple([(_whole(part), _amount(taken)) for part, taken in parts]), _whole(expires)
    )


def _tally(hour: Any, current: Any, past: Any, expires: Any) -> Tally:
    hours = tuple([(_whole(begin), _counts(*counts)) for begin, counts in past])
    return Tally(_whole(hour), _counts(*current), hours, _whole(expires))


def _counts(sent: Any, verified: Any, refused: Any, would_refuse: Any, cost: Any) -> Counts:
    # Negative where something was given back.
    for value in (sent, verified, refused, would_refuse, cost):
        if type(value) is not int or not abs(value) < MOST:
            raise TypeError
    return Counts(sent, verified, refused, would_refuse, cost)


def _amount(value: Any) -> float:
    if type(value) is not float or not abs(value) < MOST:
        raise TypeError
    return value


def _horizon(window: Any, count: Any) -> Retention:
    return Retention(_whole(window), _whole(count))


def _instants(instant: Any, steady: Any) -> tuple[int, int]:
    return _whole(instant), _whole(steady)


def _whole(value: Any) -> int:
    # Instants and counts that a calendar has, and that no sum of two takes out of a row's bounds.
    if type(value) is not int or not -1 < value < 1 << 48:
        raise TypeError
    return value


def _truth(value: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


_KINDS: dict[str, Callable[..., Any]] = {
    "p": _phone,
    "c": _challenge,
    "n": _counter,
    "fp": _accounts,
    "fc": _country,
    "fw": _accounts,
    "fk": _number,
    "fb": _bills,
    "fi": _counter,
    "fm": _cap,
    "ft": _tally,
    "t": _instants,
}
