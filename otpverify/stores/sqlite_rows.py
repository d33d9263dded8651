"""How states lie in a row: compact JSON, read back with distrust. Nothing of it is ever run."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, TypeAlias

from otpverify.core.keys import Key
from otpverify.core.results import DeliveryStatus
from otpverify.core.state import (
    ChallengeState,
    CounterState,
    Failure,
    Horizon,
    LiveCode,
    PhoneState,
    Send,
)
from otpverify.errors import StoreError

State: TypeAlias = PhoneState | ChallengeState | CounterState


def names(key: Key) -> tuple[str, str]:
    """The rows of a phone and of a challenge."""
    return f"p{key.phone}", f"c{key.challenge}"


def counter_name(counter: str) -> str:
    """The row of a counter."""
    return f"n{counter}"


def encode(state: State) -> str:
    """What a row holds of a state."""
    plain: list[object]
    if isinstance(state, PhoneState):
        plain = [
            [[s.at, s.scope, s.challenge, s.status] for s in state.sends],
            [[failure.at, failure.scope] for failure in state.failures],
            [state.horizon.window, state.horizon.count],
            state.expires,
        ]
    elif isinstance(state, ChallengeState):
        codes = [[c.digest.hex(), c.expires, c.at, c.status] for c in state.codes]
        plain = [codes, state.attempts, state.decoy, state.proof]
    else:
        plain = [state.log, [state.horizon.window, state.horizon.count], state.expires]
    return json.dumps(plain, separators=(",", ":"))


def decode(name: str, text: object) -> Any:
    """The state of a row.

    Raises:
        StoreError: It is none that `encode` made.
    """
    try:
        if isinstance(text, str):
            return _KINDS[name[0]](*json.loads(text))
    except (ValueError, TypeError, RecursionError):
        pass
    raise StoreError(
        "The SQLite file holds what this version of otpverify did not write. Move it away and "
        "start anew; challenges end, and limits begin again."
    )


def encode_instants(instant: int, steady: int) -> str:
    """What the clock's row holds."""
    return json.dumps([instant, steady])


def decode_instants(text: object) -> tuple[int, int]:
    """The clock's row: an instant, and what the monotonic clock showed then, in milliseconds."""
    instant, steady = decode("t", text)
    return instant, steady


def _phone(sends: Any, failures: Any, horizon: Any, expires: Any) -> PhoneState:
    return PhoneState(
        tuple([_send(*send) for send in sends]),
        tuple([Failure(_whole(at), _text(scope)) for at, scope in failures]),
        _horizon(*horizon),
        _whole(expires),
    )


def _send(at: Any, scope: Any, challenge: Any, status: Any) -> Send:
    return Send(_whole(at), _text(scope), _text(challenge), DeliveryStatus(status))


def _challenge(codes: Any, attempts: Any, decoy: Any, proof: Any) -> ChallengeState:
    if not isinstance(decoy, bool):
        raise TypeError
    live = tuple([_code(*code) for code in codes])
    return ChallengeState(live, _whole(attempts), decoy, _whole(proof))


def _code(digest: Any, expires: Any, at: Any, status: Any) -> LiveCode:
    return LiveCode(bytes.fromhex(digest), _whole(expires), _whole(at), DeliveryStatus(status))


def _counter(log: Any, horizon: Any, expires: Any) -> CounterState:
    return CounterState(tuple([_whole(at) for at in log]), _horizon(*horizon), _whole(expires))


def _horizon(window: Any, count: Any) -> Horizon:
    return Horizon(_whole(window), _whole(count))


def _instants(instant: Any, steady: Any) -> tuple[int, int]:
    return _whole(instant), _whole(steady)


def _whole(value: Any) -> int:
    # Within what a row may hold, so that no sum of two leaves it.
    if type(value) is not int or not -1 < value < 1 << 60:
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
    "t": _instants,
}
