"""The expected answers: the pure functions of `otpverify.core.challenge` over plain dicts that
forget nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from otpverify.core import challenge as transitions
from otpverify.core.answers import Checked, Opened, Refused, Reported, Reserved, Standing
from otpverify.core.keys import Key
from otpverify.core.limits import Limit
from otpverify.core.policy import Policy
from otpverify.core.results import DeliveryStatus
from otpverify.core.state import ChallengeState, CounterState, Inspected, Opening, PhoneState


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

    def admit(self, key: Key, opening: Opening, policy: Policy) -> Refused | None:
        """See `Store.admit`."""
        return transitions.admit(*self._load(key), key, opening, policy, self._now())

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
