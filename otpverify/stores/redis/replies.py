"""What the Lua scripts answer: from a reply to the outcome, or an error for a reply
that the script did not give."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import TypeVar

from otpverify.core.answers import (
    Checked,
    Opened,
    Refusal,
    Refused,
    Reported,
    Reserved,
    Standing,
    Verdict,
)
from otpverify.core.caps import LEVELS, Full
from otpverify.core.fraud import Charge, Group, Overdrawn
from otpverify.core.fraud_ledger import (
    ACCOUNTS,
    Charged,
    Credited,
    KnownNumber,
    Rules,
    is_sound,
)
from otpverify.core.limits import Limit
from otpverify.core.phone import COUNTRIES
from otpverify.core.policy import Policy
from otpverify.core.results import DeliveryStatus
from otpverify.core.state import (
    ChallengeState,
    Failure,
    FailureStreak,
    Inspected,
    LiveCode,
    PhoneState,
    Retention,
    Send,
)
from otpverify.core.traffic import Counts, Totals
from otpverify.errors import StoreError
from otpverify.stores.redis.scripts import NOBODY, OBSERVED, STATUSES, WORLD_PAID

T = TypeVar("T")

_VERDICTS = (Verdict.GONE, Verdict.EXHAUSTED, Verdict.PENDING, Verdict.WRONG, Verdict.ACCEPTED)
_ACCEPTED = re.compile(rb"4 0(?: (0|[1-9][0-9]{0,14}))?")
# No script gives a number of more digits, and `int` reads more than scripts write.
_WHOLE = re.compile("0|[1-9][0-9]{0,23}")
_NUMBERS = re.compile(rb"-?[0-9]{1,15}(?: -?[0-9]{1,15}){0,6}")


def opened(reply: object, policy: Policy) -> Opened | Refused:
    """The answer to `open`."""
    numbers = _integers(reply)
    if len(numbers) == 7 and numbers[0] == 1:
        return _sound(Opened(numbers[1], _standing(numbers[2:])))
    return _sound(_refused(numbers, policy))


def _refused(numbers: Sequence[int], policy: Policy) -> Refused:
    match numbers:
        case [0, wait, 0]:
            cooldown = Limit(1, policy.resend_cooldown_seconds)
            return Refused(Refusal.COOLDOWN, wait, cooldown)
        case [0, wait, -1]:
            return Refused(Refusal.FAILURES, wait, policy.failures_per_phone)
        case [0, wait, -2]:
            return Refused(Refusal.STREAK, wait, policy.consecutive_failures)
        case [0, wait, which] if 0 < which <= len(policy.sends_per_phone):
            return Refused(Refusal.SENDS, wait, policy.sends_per_phone[which - 1])
        case [2, wait]:
            return Refused(Refusal.ATTEMPTS, wait)
        case [3]:
            return Refused(Refusal.GONE)
    raise nonsense()


def checked(reply: object) -> Checked:
    """The answer to `peek`, `claim` and `check`."""
    numbers = _integers(reply)
    verdict = _VERDICTS[numbers[0]] if 0 <= numbers[0] < len(_VERDICTS) else None
    if verdict is Verdict.ACCEPTED:
        # To the letter, where somebody is let in.
        exact = _ACCEPTED.fullmatch(_text(reply).encode())
        if exact is None:
            raise nonsense()
        return _sound(Checked(verdict, age=int(exact[1]) if exact[1] else None))
    if len(numbers) != 2 or verdict is None:
        raise nonsense()
    if verdict is Verdict.WRONG:
        return _sound(Checked(verdict, attempts_left=numbers[1]))
    return _sound(Checked(verdict, retry_in=numbers[1]))


def redeemed(reply: object) -> bool:
    """The answer to `redeem`."""
    match _integers(reply):
        case [0 | 1 as used]:
            return used == 1
    raise nonsense()


def standing(reply: object) -> Standing | None:
    """The answer to `place` and `release`."""
    match _integers(reply):
        case [0]:
            return None
        case [1, 0, *rest]:
            return _sound(_standing(rest))
    raise nonsense()


def reserved(reply: object, limits: tuple[Limit, ...]) -> Reserved | Refused:
    """The answer to `reserve`."""
    match _integers(reply):
        case [1, at]:
            return _sound(Reserved(at))
        case [0, wait, which] if 0 < which <= len(limits):
            return _sound(Refused(Refusal.NETWORK, wait, limits[which - 1]))
    raise nonsense()


_CHARGED = re.compile(rb"1 ([0-9]{1,15}) ([0-9]{1,15}) ([0-9]|10|11) ([01]) ([0-9]{1,15}) ([0-7]*)")


def charged(reply: object, rules: Rules) -> Charged | Overdrawn | Full | Refused:
    """The answer to `charge`."""
    found = _CHARGED.fullmatch(_text(reply).encode())
    if found is not None and len(found[6]) == len(rules.caps):
        at, event, payer, raised, bill = (int(number) for number in found.groups()[:5])
        paid, would_refuse = _payer(payer)
        levels = zip(rules.caps, (int(digit) for digit in found[6].decode()), strict=True)
        reached = tuple(
            (cap, level)
            for cap, digit in levels
            for place, level in enumerate(LEVELS)
            if digit >> place & 1
        )
        return _sound(Charged(at, paid, would_refuse, reached, event or None, raised == 1, bill))
    match _integers(reply):
        case [0, account, wait] if 0 <= account < len(ACCOUNTS):
            return _sound(Overdrawn(ACCOUNTS[account], wait))
        case [2, which, wait] if 0 < which <= len(rules.sends_per_ip):
            return _sound(Refused(Refusal.NETWORK, wait, rules.sends_per_ip[which - 1]))
        case [3, which, wait] if 0 < which <= len(rules.caps) and wait >= -1:
            return _sound(Full(rules.caps[which - 1], None if wait < 0 else wait))
    raise nonsense()


def _payer(kind: int) -> tuple[Charge | None, str | None]:
    """Who paid, or whose account refused; fraud_ledger.lua describes it."""
    if kind == NOBODY:
        return None, None
    if kind >= OBSERVED:
        return None, ACCOUNTS[kind - OBSERVED]
    return Charge(Group(kind % WORLD_PAID), kind >= WORLD_PAID), None


def credited(reply: object) -> Credited | None:
    """The answer to `credit`."""
    match _integers(reply):
        case [0]:
            return None
        case [1]:
            return Credited()
        case [2, account] if 0 <= account < len(ACCOUNTS):
            return Credited(ACCOUNTS[account])
    raise nonsense()


def traffic(reply: object) -> Totals:
    """The answer to `traffic`."""
    words = _text(reply).split(" ")
    if len(words) % 6 != 1 or not all(map(_WHOLE.fullmatch, words)):
        raise nonsense()
    at, *numbers = map(int, words)
    found = []
    for place in range(0, len(numbers), 6):
        country, *counts = numbers[place : place + 6]
        if not 0 < country <= len(COUNTRIES):
            raise nonsense()
        found.append((COUNTRIES[country - 1], Counts(*counts)))
    return _sound(Totals(at, tuple(found)))


def known(reply: object) -> KnownNumber | None:
    """The answer to `known`."""
    match _integers(reply):
        case [0]:
            return None
        case [1, unanswered, expires]:
            return _sound(KnownNumber(unanswered, expires))
    raise nonsense()


def reported(reply: object) -> Reported:
    """The answer to `report`."""
    numbers = _integers(reply)
    if len(numbers) != 3 or not set(numbers) <= {0, 1}:
        raise nonsense()
    known, changed, given_back = map(bool, numbers)
    return Reported(known, changed, given_back)


def status(reply: object) -> DeliveryStatus | None:
    """The answer to `status`."""
    match _integers(reply):
        case [0]:
            return None
        case [1, number] if 0 <= number < len(STATUSES):
            return STATUSES[number]
    raise nonsense()


_SENDS = dict(
    zip(
        "STDKUVWXstdk",
        [
            (status, concealed, answered)
            for concealed, answered in ((False, False), (False, True), (True, False))
            for status in (
                DeliveryStatus.QUEUED,
                DeliveryStatus.SENT,
                DeliveryStatus.DELIVERED,
                DeliveryStatus.FAILED,
            )
        ],
        strict=True,
    )
)
"""What the kind of a send says; common.lua describes it."""


def inspected(reply: object) -> Inspected:
    """The answer to `inspect`, without the challenges."""
    words = iter(_text(reply).split(" "))
    sends, failures, streaks = [], [], []
    try:
        at, window, count = (_whole(next(words)) for _ in range(3))
        for kind in words:
            instant, scope, rest = _whole(next(words)), next(words), next(words)
            if kind == "R":
                streaks.append(FailureStreak(scope, _whole(rest), instant, _whole(next(words))))
            elif kind == "F":
                failures.append(Failure(instant, scope))
            else:
                sends.append(Send(instant, scope, rest, *_SENDS[kind]))
    except (ValueError, KeyError, StopIteration, RuntimeError):
        pass
    else:
        retention = Retention(window, count)
        return Inspected(
            at, PhoneState(tuple(sends), tuple(failures), retention, 0, tuple(streaks))
        )
    raise nonsense()


def inspected_challenges(reply: object, names: Sequence[str]) -> dict[str, ChallengeState | None]:
    """The answer to `inspect_challenges`."""
    words = iter(_text(reply).split())
    found: dict[str, ChallengeState | None] = {}
    try:
        for name in names:
            found[name] = _challenge(next(words), words)
        if next(words, None) is None:
            return found
    except (ValueError, IndexError, StopIteration, RuntimeError):
        pass
    raise nonsense()


def _challenge(kind: str, words: Iterator[str]) -> ChallengeState | None:
    if kind == "-":
        return None
    if kind not in ("L", "C", "D"):
        raise ValueError
    attempts, count = _whole(next(words)), _whole(next(words))
    codes = []
    for _ in range(count):
        expires, at, status = (
            _whole(next(words)),
            _whole(next(words)),
            STATUSES[_whole(next(words))],
        )
        codes.append(LiveCode(b"", expires, at, status))
    return ChallengeState(tuple(codes), attempts, kind == "D", 0, kind != "L")


def done(reply: object) -> None:
    """The answer to `cancel`, `give_back`, `unlock`, `refund` and `unlock_number`."""
    if _integers(reply) != [1]:
        raise nonsense()


def nonsense() -> StoreError:
    """The error for a reply that the script did not give."""
    return StoreError(
        "Unexpected reply from Redis. Is this the right server, and a compatible version?"
    )


def _standing(numbers: Sequence[int]) -> Standing:
    if len(numbers) != 5 or not 0 <= numbers[4] <= 2:
        raise nonsense()
    expires_in, resend_in, attempts_left, sends_left, kind = numbers
    known = None if sends_left == -1 else sends_left
    return Standing(expires_in, resend_in, attempts_left, known, kind == 2, kind > 0)


def _text(reply: object) -> str:
    if isinstance(reply, bytes | str) and reply.isascii():
        return reply if isinstance(reply, str) else reply.decode()
    raise nonsense()


def _whole(word: str) -> int:
    """A number that is not negative, as scripts write it."""
    if not (_NUMBERS.fullmatch(word.encode()) and word.isdigit()):
        raise ValueError
    return int(word)


def _sound(answer: T) -> T:
    if not is_sound(answer):
        raise nonsense()
    return answer


def _integers(reply: object) -> list[int]:
    """The numbers of a reply. It is one text, because redis-py takes longer to read a list. A
    client may decode texts."""
    text = reply.encode("utf-8", "replace") if isinstance(reply, str) else reply
    if isinstance(text, bytes) and _NUMBERS.fullmatch(text):
        return [int(number) for number in text.split()]
    raise nonsense()
