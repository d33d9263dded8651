"""The conformance suite: what every store must do, as a class to inherit.

    from otpverify.testing import StoreConformance

    class TestMyStore(StoreConformance):
        def make_store(self, clock):
            return MyStore(clock=clock)

pytest runs some hundred tests on it: the answers and counts of all operations, expiry to the
millisecond, rolling windows, races from threads or tasks with exact counts, and a random walk
of which every answer is compared with the pure functions of `otpverify.core.challenge`.
Synchronous and asynchronous stores run the same tests.
"""

# ruff: noqa: E402 - pytest explains failed assertions only in modules registered before import

import pytest

pytest.register_assert_rewrite(
    *(
        f"{__name__}.{name}"
        for name in (
            "base",
            "cooldown",
            "costly_hash",
            "delivery",
            "fraud",
            "limits",
            "operations",
            "shared_store",
            "random_walk",
            "inspection",
            "times",
        )
    )
)

from otpverify.testing.conformance.base import Driven, Timeline
from otpverify.testing.conformance.cooldown import Cooldown
from otpverify.testing.conformance.costly_hash import CostlyHash
from otpverify.testing.conformance.delivery import Delivery
from otpverify.testing.conformance.fraud import FraudStoreConformance
from otpverify.testing.conformance.inspection import Inspection
from otpverify.testing.conformance.limits import Limits, Streaks
from otpverify.testing.conformance.operations import Concealment, Operations, Proofs
from otpverify.testing.conformance.random_walk import RandomWalk, Reference
from otpverify.testing.conformance.shared_store import Races, Sharing
from otpverify.testing.conformance.times import Times

__all__ = ["Driven", "FraudStoreConformance", "Reference", "StoreConformance", "Timeline"]


class StoreConformance(
    Operations,
    Proofs,
    CostlyHash,
    Concealment,
    Delivery,
    Limits,
    Cooldown,
    Streaks,
    Inspection,
    Sharing,
    Times,
    Races,
    RandomWalk,
):
    """Inherit this, override `make_store`, and let pytest collect your class.

    `make_store(clock)` gives a new, empty store that takes its time from `clock()`, in seconds
    as `time.time`; it may be `async def`. `close_store(store)` is called after each test and
    may be `async def` as well.

    Attributes:
        moves_time: `False` for a store whose clock cannot be replaced. Tests are then skipped
            at the point where time has to pass, and durations compared roughly.
        crowd: How many threads or tasks a race has.
        repeats: How often each race is run.
        many: How many challenges the store must hold at once. A full store may refuse more
            with `StoreError`, but never forget one.
        steps: How long a random walk is.
    """
