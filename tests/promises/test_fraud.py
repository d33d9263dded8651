"""Promise 12: with a fraud policy the loss to pumping is bounded by a computed figure, and people
who enter their codes are not locked out with the attacker. Sync and async, on memory, SQLite and a
real server."""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import Callable, Iterator
from datetime import timedelta
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

import pytest
from freezegun.api import FrozenDateTimeFactory
from redis_support import open_store, stop_servers
from support import LONG, PHONE, QUICK, SECRET, Face, fixture_secret, long_form

from otpverify import (
    AllowNumbers,
    Argon2Hasher,
    AsyncVerifier,
    Challenge,
    ChallengeExpired,
    CooldownActive,
    DeliveryRejected,
    DeliveryUnavailable,
    DestinationBlocked,
    Event,
    FraudPolicy,
    HmacHasher,
    HumanCheckRequired,
    Limit,
    MemoryStore,
    Message,
    OtpVerifyError,
    Policy,
    Prices,
    RateLimited,
    Receipt,
    SpendLimit,
    StoreError,
    TestNumber,
    Verified,
    Verifier,
)
from otpverify.core.caps import Full
from otpverify.core.fraud import Overdrawn
from otpverify.core.fraud_ledger import Charged
from otpverify.testing import OutboxSender

__all__ = ["stop_servers"]

Make = Callable[..., Face]
FREE = Policy(resend_cooldown_seconds=0, sends_per_ip=(), sends_per_phone=())
UZ_PRICE = Decimal("0.434")
pytestmark = pytest.mark.sync_in_short_form
PRICES = Prices(
    {"UZ": UZ_PRICE, "EE": Decimal("0.1"), "DE": Decimal("0.1")}, default=Decimal("0.2")
)
SPEND = SpendLimit(prices=PRICES)
ENFORCED = FraudPolicy(mode="enforce", spend=SPEND)
HUMAN = FraudPolicy(mode="enforce", spend=SPEND, over="human_check")
ONE_PREFIX = [f"+99890123{n:04}" for n in range(10_000)]
"""Numbers of Uzbekistan that have their first seven digits in common."""
OTHERS = [f"+9989{operator}{n:07}" for n in range(0, 9_000_000, 10_007) for operator in (3, 4, 7)]
"""Others, of as many prefixes."""


@pytest.fixture(params=["memory", pytest.param("sqlite", marks=long_form), "redis"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Any]:
    with open_store(request.param, tmp_path) as found:
        yield found


class Reporting(OutboxSender):
    """A sender with delivery reports."""

    takes_reports = True


class Site:
    """A verifier, and what happens to it."""

    def __init__(
        self, make: Make, store: Any, outbox: OutboxSender | None = None, **options: Any
    ) -> None:
        self.outbox = outbox or OutboxSender()
        self.events: list[Event] = []
        options = {"fraud": ENFORCED, "policy": FREE, "hasher": HmacHasher(), **options}
        self.face = make(self.outbox, store=store, on_event=self.events.append, **options)

    def start(self, phone: str, **options: Any) -> Any:
        """The challenge, or the error."""
        return self.ask(self.face.start, phone, **options)

    def ask(self, call: Callable[..., Any], *args: Any, **options: Any) -> Any:
        try:
            return call(*args, **options)
        except OtpVerifyError as error:
            return error

    def sent(self, phones: Any, **options: Any) -> int:
        """Start for each of them; how many messages went out."""
        before = len(self.outbox)
        for phone in phones:
            self.start(phone, **options)
        return len(self.outbox) - before

    def enter(self, phone: str, challenge: Challenge) -> Any:
        """Enter the newest code that was sent to a phone."""
        return self.face.check(phone, self.outbox.code(phone), challenge=challenge.id)

    def verify(self, phone: str, **options: Any) -> None:
        self.enter(phone, self.face.start(phone, **options))

    def exhaust(self, phone: str = ONE_PREFIX[0], **options: Any) -> None:
        """Use up what strangers of the phone's prefix have."""
        numbers = (phone[:-4] + f"{n:04}" for n in range(9000, 9100))
        while not isinstance(self.start(next(numbers), **options), DestinationBlocked):
            pass

    @property
    def cost(self) -> Decimal:
        """What all messages cost, as the events say."""
        return sum((event.cost for event in self.events if event.cost is not None), Decimal(0))

    @property
    def last(self) -> Event:
        return self.events[-1]


@pytest.fixture
def site(make: Make, store: Any, clock: FrozenDateTimeFactory) -> Callable[..., Site]:
    """Makes sites on one store, at a time that stands still."""

    def build(**options: Any) -> Site:
        return Site(make, options.pop("store", store), **options)

    return build


Sites = Callable[..., Site]


class TestAttack:
    def test_one_prefix_from_rotating_addresses(
        self, site: Sites, clock: FrozenDateTimeFactory
    ) -> None:
        attacked = site(policy=Policy())
        worst = ENFORCED.worst_case(price_abroad=UZ_PRICE)
        for day, most in enumerate((worst.prefix.first_day, worst.prefix.further_day)):
            before = attacked.cost
            for number, phone in enumerate(ONE_PREFIX[day * 400 : day * 400 + 400]):
                attacked.start(phone, client_ip=f"10.{day}.{number // 256}.{number % 256}")
                clock.tick(timedelta(days=1) / 400)
            assert 0 < attacked.cost - before <= most
        assert len(attacked.outbox) <= 16 + 8

    def test_one_country_at_random(self, site: Sites, clock: FrozenDateTimeFactory) -> None:
        attacked = site()
        worst = ENFORCED.worst_case(price_abroad=UZ_PRICE)
        for phone in OTHERS[:600]:
            attacked.start(phone)
            clock.tick(timedelta(days=1) / 600)
        assert 0 < attacked.cost <= worst.country.first_day

    def test_others_are_not_refused(self, site: Sites) -> None:
        attacked = site()
        assert attacked.sent(ONE_PREFIX[:100]) == 8
        assert attacked.last.reason == "prefix"
        assert attacked.sent(["+998931234567"]) == 1, "another prefix of the country"
        assert attacked.sent(OTHERS[:100]) < 12
        assert attacked.last.reason == "country"
        assert attacked.sent([PHONE, "+4915123456789", "+33612345678"]) == 3, "other countries"

    def test_a_refusal_says_when_to_come_back(
        self, site: Sites, clock: FrozenDateTimeFactory
    ) -> None:
        attacked = site()
        for phones, reason in ((ONE_PREFIX, "prefix"), (OTHERS, "country")):
            attacked.sent(phones[:60])
            refused = attacked.start(phones[99])
            assert type(refused) is DestinationBlocked
            assert refused.reason == reason
            assert refused.retry_after is not None
            clock.tick(refused.retry_after)
            assert isinstance(attacked.start(phones[99]), Challenge)


class TestKnownNumbers:
    def test_they_pass_while_their_prefix_is_exhausted(
        self, site: Sites, clock: FrozenDateTimeFactory
    ) -> None:
        owner = ONE_PREFIX[1234]
        attacked = site()
        attacked.verify(owner)
        attacked.exhaust()
        for _ in range(3):
            assert isinstance(attacked.start(owner), Challenge)
        refused = attacked.start(owner)
        assert isinstance(refused, DestinationBlocked), "three were not answered"
        assert isinstance(attacked.start(ONE_PREFIX[5]), DestinationBlocked)

    def test_each_code_makes_the_number_known_again(self, site: Sites) -> None:
        owner = ONE_PREFIX[1234]
        attacked = site()
        attacked.verify(owner)
        attacked.exhaust()
        for _ in range(5):
            attacked.start(owner)
            attacked.verify(owner)

    def test_it_is_forgotten_after_trusted_days(
        self, site: Sites, clock: FrozenDateTimeFactory
    ) -> None:
        owner = ONE_PREFIX[1234]
        attacked = site(fraud=FraudPolicy(mode="enforce", spend=SPEND, trusted_days=2))
        attacked.verify(owner)
        clock.tick(timedelta(days=2, seconds=-1))
        attacked.exhaust()
        assert isinstance(attacked.start(owner), Challenge)
        clock.tick(timedelta(seconds=1))
        assert isinstance(attacked.start(owner), DestinationBlocked)

    def test_none_is_known_with_trusted_days_0(self, site: Sites) -> None:
        attacked = site(fraud=FraudPolicy(mode="enforce", spend=SPEND, trusted_days=0))
        attacked.verify(ONE_PREFIX[1234])
        attacked.exhaust()
        assert isinstance(attacked.start(ONE_PREFIX[1234]), DestinationBlocked)

    def test_the_caller_vouches(self, site: Sites) -> None:
        attacked = site()
        attacked.exhaust()
        assert isinstance(attacked.start(ONE_PREFIX[7], trusted=True), Challenge)
        challenge = attacked.start(ONE_PREFIX[8], trusted=True)
        assert isinstance(
            attacked.ask(attacked.face.resend, ONE_PREFIX[8], challenge=challenge.id),
            DestinationBlocked,
        )
        attacked.face.resend(ONE_PREFIX[8], challenge=challenge.id, trusted=True)


class TestComesBack:
    def test_a_right_code_gives_back_thrice(self, site: Sites) -> None:
        attacked = site()
        first = attacked.face.start(ONE_PREFIX[0])
        attacked.exhaust()
        attacked.enter(ONE_PREFIX[0], first)
        assert attacked.sent(ONE_PREFIX[10:30]) == 3

    def test_a_challenge_earns_once(self, site: Sites) -> None:
        attacked = site()
        first = attacked.face.start(ONE_PREFIX[0])
        attacked.face.resend(ONE_PREFIX[0], challenge=first.id)
        attacked.exhaust()
        attacked.enter(ONE_PREFIX[0], first)
        assert attacked.sent(ONE_PREFIX[10:30]) == 3

    @pytest.mark.parametrize("again", [False, True], ids=["start", "resend"])
    @pytest.mark.parametrize(
        "failure",
        [DeliveryRejected("no"), DeliveryUnavailable("away", maybe_sent=False)],
        ids=["rejected", "not reached"],
    )
    def test_what_is_certainly_not_sent_costs_nothing(
        self, site: Sites, failure: Exception, again: bool
    ) -> None:
        fraud = FraudPolicy(
            mode="enforce",
            total=(Limit(6, 3600),),
            spend=SpendLimit(per_hour=6 * UZ_PRICE, prices=PRICES),
        )
        policy = Policy(resend_cooldown_seconds=0, sends_per_ip=(Limit(6, 3600),))
        attacked = site(fraud=fraud, policy=policy)
        ip = {"client_ip": "192.0.2.7"}
        challenge = attacked.face.start(ONE_PREFIX[0], **ip)
        attacked.outbox.fail_with = failure  # type: ignore[assignment]  # both are DeliveryErrors
        for n in range(20):
            if again:
                call = partial(attacked.face.resend, ONE_PREFIX[0], challenge=challenge.id)
            else:
                call = partial(attacked.face.start, ONE_PREFIX[n])
            assert isinstance(attacked.ask(call, **ip), type(failure))
        attacked.outbox.fail_with = None
        assert attacked.sent(ONE_PREFIX[30:50], **ip) == 5
        assert attacked.cost == 6 * UZ_PRICE
        attacked.enter(ONE_PREFIX[0], challenge)

    def test_a_known_number_is_not_charged_for_what_was_not_sent(self, site: Sites) -> None:
        owner = ONE_PREFIX[1234]
        attacked = site()
        attacked.verify(owner)
        attacked.outbox.fail_with = DeliveryRejected("no")
        for _ in range(10):
            attacked.start(owner)
        attacked.outbox.fail_with = None
        attacked.exhaust()
        assert isinstance(attacked.start(owner), Challenge)

    def test_what_is_allowed_and_comes_back_makes_room_for_nobody(self, site: Sites) -> None:
        """What the accounts had no room for, neither a failure nor a right code gives them."""
        friend = ONE_PREFIX[1234]
        attacked = site(guards=[AllowNumbers(friend)])
        attacked.exhaust()
        attacked.outbox.fail_with = DeliveryRejected("no")
        for _ in range(20):
            attacked.start(friend)
        attacked.outbox.fail_with = None
        assert attacked.sent(ONE_PREFIX[:20]) == 0
        attacked.verify(friend)
        assert attacked.sent(ONE_PREFIX[:20]) == 0

    def test_what_may_have_been_sent_is_charged(self, site: Sites) -> None:
        attacked = site()
        attacked.outbox.fail_with = DeliveryUnavailable("time-out", maybe_sent=True)
        for phone in ONE_PREFIX[:8]:
            attacked.start(phone)
        assert attacked.cost == 8 * UZ_PRICE
        attacked.outbox.fail_with = None
        assert attacked.sent(ONE_PREFIX[8:20]) == 0

    def test_a_failed_report_gives_nothing_back(self, site: Sites) -> None:
        """A carrier in league with the attacker would send it."""
        outbox = Reporting()
        attacked = site(outbox=outbox)
        for phone in ONE_PREFIX[:8]:
            attacked.face.start(phone)
            params = {"id": "an id", "status": "failed", "report_token": outbox.last.report}
            assert attacked.face.delivery_report(params).given_back
        assert attacked.sent(ONE_PREFIX[8:20]) == 0

    @pytest.mark.parametrize("limit", ["cooldown", "phone", "address"])
    def test_other_refusals_leave_all_as_before(self, site: Sites, limit: str) -> None:
        policy = {
            "cooldown": Policy(sends_per_ip=(Limit(9, 3600),), sends_per_phone=()),
            "phone": Policy(
                resend_cooldown_seconds=0,
                sends_per_ip=(Limit(9, 3600),),
                sends_per_phone=(Limit(1, 3600),),
            ),
            "address": Policy(
                resend_cooldown_seconds=0, sends_per_ip=(Limit(1, 3600),), sends_per_phone=()
            ),
        }[limit]
        fraud = FraudPolicy(mode="enforce", total=(Limit(6, 3600),), spend=SPEND)
        attacked = site(policy=policy, fraud=fraud)
        attacked.face.start(ONE_PREFIX[0], client_ip="192.0.2.7")
        for _ in range(20):
            refused = attacked.start(ONE_PREFIX[0], client_ip="192.0.2.7")
            assert isinstance(refused, CooldownActive if limit == "cooldown" else RateLimited)
        if limit != "address":
            assert attacked.sent(ONE_PREFIX[1:3], client_ip="192.0.2.7") == 2
        left = 5 if limit == "address" else 3
        others = zip(ONE_PREFIX[3:20], itertools.count(20), strict=False)
        assert sum(attacked.sent([to], client_ip=f"192.0.2.{n}") for to, n in others) == left

    def test_a_resend_of_what_is_gone_costs_nothing(self, site: Sites) -> None:
        attacked = site()
        challenge = attacked.face.start(ONE_PREFIX[0])
        attacked.face.cancel(ONE_PREFIX[0], challenge=challenge.id)
        for _ in range(20):
            attacked.ask(attacked.face.resend, ONE_PREFIX[0], challenge=challenge.id)
        assert attacked.sent(ONE_PREFIX[1:20]) == 7


class TestCaps:
    @pytest.mark.parametrize("scope", ["total", "spend"])
    def test_levels_are_reported_once_each(self, site: Sites, scope: str) -> None:
        fraud = {
            "total": FraudPolicy(total=(Limit(10, 3600),), spend=SPEND),
            "spend": FraudPolicy(spend=SpendLimit(per_hour=10 * UZ_PRICE, prices=PRICES)),
        }[scope]
        watched = site(fraud=fraud)
        assert watched.sent(ONE_PREFIX[:30]) == 10
        found = [event for event in watched.events if event.operation == "cap"]
        assert [(event.scope, event.outcome) for event in found] == [
            (scope, "50"),
            (scope, "80"),
            (scope, "100"),
        ]
        assert {event.phone for event in found} == {"***"}
        assert (watched.last.outcome, watched.last.reason) == ("DestinationBlocked", scope)
        refused = watched.start(ONE_PREFIX[99])
        assert refused.retry_after is not None
        assert 3600 <= refused.retry_after <= 3660

    def test_what_another_limit_refuses_reaches_no_level(self, site: Sites) -> None:
        fraud = FraudPolicy(mode="enforce", spend=SPEND, total=(Limit(4, 3600),))
        capped = site(fraud=fraud, policy=Policy())
        capped.start(PHONE)
        for _ in range(5):
            assert isinstance(capped.start(PHONE), CooldownActive)
        assert [event.operation for event in capped.events] == ["start"] * 6

    @pytest.mark.parametrize("how", ["observe", "enforce", "allow"])
    def test_caps_hold_in_every_mode_and_for_everybody(self, site: Sites, how: str) -> None:
        fraud = FraudPolicy(
            mode="enforce", countries={"UZ": how}, total=(Limit(5, 3600),), spend=SPEND
        )
        watched = site(fraud=fraud, guards=[AllowNumbers(prefixes=["+99890"])])
        watched.verify(ONE_PREFIX[0])
        assert watched.sent([ONE_PREFIX[0]] * 20, trusted=True, human_checked=True) == 4

    def test_a_message_that_costs_more_than_the_cap_is_refused_for_good(self, site: Sites) -> None:
        fraud = FraudPolicy(spend=SpendLimit(per_day=Decimal("0.3"), prices=PRICES))
        watched = site(fraud=fraud)
        refused = watched.start(ONE_PREFIX[0])
        assert isinstance(refused, DestinationBlocked)
        assert (refused.reason, refused.retry_after) == ("spend", None)
        assert watched.sent([PHONE]) == 1

    def test_segments_are_paid(self, site: Sites) -> None:
        class Long:
            def render(self, code: str, **_: object) -> str:
                return f"{code} " + "x" * 200

        watched = site(messages=Long())
        watched.start(PHONE)
        assert (watched.last.segments, watched.last.cost) == (2, Decimal("0.2"))


class TestHumanCheck:
    def test_the_flow(self, site: Sites) -> None:
        attacked = site(fraud=HUMAN)
        for phone in ONE_PREFIX[:8]:
            attacked.face.start(phone)
        refused = attacked.start(ONE_PREFIX[8])
        assert type(refused) is HumanCheckRequired
        assert (refused.reason, refused.retry_after) == ("prefix", 10_800)
        challenge = attacked.face.start(ONE_PREFIX[8], human_checked=True)
        attacked.enter(ONE_PREFIX[8], challenge)
        assert attacked.sent(ONE_PREFIX[9:30], human_checked=True) == 8 + 3 - 1
        refused = attacked.start(ONE_PREFIX[30], human_checked=True)
        assert type(refused) is DestinationBlocked
        assert type(attacked.start(ONE_PREFIX[30])) is HumanCheckRequired

    def test_a_resend_asks_too(self, site: Sites) -> None:
        attacked = site(fraud=HUMAN)
        challenge = attacked.face.start(ONE_PREFIX[0])
        attacked.sent(ONE_PREFIX[1:8])
        resend = partial(attacked.face.resend, ONE_PREFIX[0], challenge=challenge.id)
        assert type(attacked.ask(resend)) is HumanCheckRequired
        attacked.face.resend(ONE_PREFIX[0], challenge=challenge.id, human_checked=True)

    def test_nothing_else_than_the_accounts_asks(self, site: Sites) -> None:
        fraud = FraudPolicy(
            mode="enforce",
            over="human_check",
            total=(Limit(2, 3600),),
            countries={"FR": "block"},
            spend=SPEND,
        )
        attacked = site(fraud=fraud)
        assert attacked.sent(ONE_PREFIX[:2]) == 2
        assert type(attacked.start(ONE_PREFIX[2])) is DestinationBlocked
        assert type(attacked.start("+33612345678", human_checked=True)) is DestinationBlocked

    def test_without_it_a_human_check_changes_nothing(self, site: Sites) -> None:
        attacked = site()
        attacked.exhaust()
        assert attacked.sent(ONE_PREFIX[:20], human_checked=True) == 0


class TestModes:
    def test_observed(self, site: Sites) -> None:
        watched = site(fraud=FraudPolicy(spend=SPEND))
        assert watched.sent(ONE_PREFIX[:20]) == 20
        assert [event.would_refuse for event in watched.events] == [None] * 8 + ["prefix"] * 12
        assert {(event.mode, event.outcome) for event in watched.events} == {("observe", "sent")}
        assert watched.cost == 20 * UZ_PRICE
        challenge = watched.face.start(ONE_PREFIX[20])
        watched.enter(ONE_PREFIX[20], challenge)
        assert (watched.last.operation, watched.last.outcome) == ("check", "verified")
        assert (watched.last.mode, watched.last.would_refuse) == ("observe", "prefix")
        enforced = site()
        assert enforced.sent([ONE_PREFIX[30]]) == 0, "it gave nothing back"
        assert enforced.sent([ONE_PREFIX[20]]) == 1, "its number is known"

    @pytest.mark.parametrize("how", ["observe", "enforce"])
    def test_by_country(self, site: Sites, how: str) -> None:
        countries = {"UZ": "allow", "EE": "observe", "DE": "enforce", "FR": "block"}
        watched = site(fraud=FraudPolicy(mode=how, countries=countries, spend=SPEND))
        # What is allowed counts, too, so that it comes after what is enforced.
        prefixes = {"DE": "+491512345", "EE": "+3725678", "UZ": "+99890123", "FR": "+3361234"}
        found = {
            country: watched.sent(f"{prefix}{n:04}" for n in range(9000, 9015))
            for country, prefix in prefixes.items()
        }
        assert found == {"UZ": 15, "EE": 15, "DE": 8, "FR": 0}
        modes = {event.country: event.mode for event in watched.events}
        assert modes == countries
        assert not any(event.would_refuse for event in watched.events if event.country == "UZ")

    def test_an_allowed_country_takes_nothing_from_others(self, site: Sites) -> None:
        """What is allowed is never refused, and counts in the accounts of its own country."""
        # One country's account admits less than the world's, so that it takes several of them.
        launches = {
            "UZ": "+99891{:03}5678",
            "TJ": "+99291{:03}3456",
            "KG": "+99670{:03}3456",
            "AM": "+37477{:03}456",
            "FR": "+3361{:03}5678",
            "PL": "+4851{:03}5678",
        }
        allowed = dict.fromkeys(launches, "allow")
        launched = site(fraud=FraudPolicy(mode="enforce", countries=allowed, spend=SPEND))
        for form in launches.values():
            assert launched.sent(form.format(n) for n in range(70)) == 70
        assert {(event.mode, event.would_refuse) for event in launched.events} == {("allow", None)}
        assert launched.sent([PHONE, "+4915123456789", "+447400123456"]) == 3, "nobody else's"
        afterwards = site()
        assert afterwards.sent([launches["UZ"].format(999)]) == 0
        assert afterwards.last.reason == "country"

    def test_a_check_says_its_mode(self, site: Sites) -> None:
        watched = site()
        watched.verify(PHONE)
        assert [(event.operation, event.mode) for event in watched.events] == [
            ("start", "enforce"),
            ("check", "enforce"),
        ]
        plain = site(fraud=None)
        plain.verify("+37256789046")
        assert {(event.mode, event.cost) for event in plain.events} == {(None, None)}

    def test_a_number_of_no_country(self, site: Sites) -> None:
        watched = site()
        assert watched.sent([f"+88351000{n:07}" for n in range(20)]) == 8
        assert watched.events[0].cost == Decimal("0.2")

    def test_numbers_that_a_guard_allows(self, site: Sites) -> None:
        guards = [AllowNumbers(ONE_PREFIX[50], networks=["192.0.2.0/24"])]
        attacked = site(guards=guards)
        attacked.exhaust()
        assert attacked.sent(ONE_PREFIX[:20], client_ip="192.0.2.9") == 20
        challenge = attacked.face.start(ONE_PREFIX[50])
        attacked.face.resend(ONE_PREFIX[50], challenge=challenge.id)
        assert attacked.last.mode == "allow"
        assert attacked.sent(ONE_PREFIX[60:80]) == 0


def test_test_numbers_cost_and_earn_nothing(site: Sites, clock: FrozenDateTimeFactory) -> None:
    expires = clock().date() + timedelta(days=30)
    numbers = {"+998901230000": TestNumber("123456", expires, acknowledge_real=True)}
    policy = Policy(
        resend_cooldown_seconds=0, sends_per_ip=(), sends_per_phone=(), test_numbers=numbers
    )
    watched = site(policy=policy)
    for _ in range(20):
        challenge = watched.face.start("+998901230000")
        watched.face.check("+998901230000", "123456", challenge=challenge.id)
    assert watched.face.inspect("+998901230000").known is False
    assert watched.sent(ONE_PREFIX[1:30]) == 8


class Prepaid(OutboxSender):
    """A sender that has prices of its own."""

    prices = Prices({"UZ": Decimal(2)}, default=Decimal(3))


@pytest.mark.parametrize(
    ("sender", "fraud", "cost"),
    [
        (Prepaid(), FraudPolicy(), Decimal(2)),
        (Prepaid(), FraudPolicy(spend=SPEND), UZ_PRICE),
        (Prepaid(), FraudPolicy(spend=SpendLimit(per_day=Decimal(9))), Decimal(2)),
        (OutboxSender(), FraudPolicy(), UZ_PRICE),
    ],
    ids=["the sender's", "the policy's", "the sender's, capped", "the list that ships"],
)
def test_prices(make: Make, sender: Any, fraud: FraudPolicy, cost: Decimal) -> None:
    events: list[Event] = []
    make(sender, fraud=fraud, on_event=events.append).start(ONE_PREFIX[0])
    assert events[0].cost == cost


class TestConcealed:
    """What is refused is shown as sent."""

    @pytest.mark.parametrize("deliver", [True, False], ids=["known", "decoy"])
    def test_the_accounts_refuse(
        self, site: Sites, deliver: bool, caplog: pytest.LogCaptureFixture
    ) -> None:
        attacked = site()
        attacked.exhaust()
        before = len(attacked.outbox)
        with caplog.at_level(logging.WARNING, "otpverify"):
            challenge = attacked.face.start(ONE_PREFIX[0], deliver=deliver)
        assert isinstance(challenge, Challenge)
        assert len(attacked.outbox) == before
        assert (attacked.last.outcome, attacked.last.reason) == ("DestinationBlocked", "prefix")
        assert attacked.last.concealed
        assert attacked.last.cost is None
        assert "prefix" in caplog.text
        assert ONE_PREFIX[0] not in caplog.text

    def test_it_is_resent_when_there_is_room(
        self, site: Sites, clock: FrozenDateTimeFactory
    ) -> None:
        attacked = site()
        first = attacked.face.start(ONE_PREFIX[1])
        attacked.exhaust()
        challenge = attacked.face.start(ONE_PREFIX[0], deliver=True)
        attacked.enter(ONE_PREFIX[1], first)
        attacked.face.resend(ONE_PREFIX[0], challenge=challenge.id)
        attacked.enter(ONE_PREFIX[0], challenge)

    def test_a_resend_that_is_not_sent_leaves_the_code_that_was(self, site: Sites) -> None:
        for hasher in (HmacHasher(), QUICK):
            attacked = site(hasher=hasher, secret=fixture_secret(hasher.costly))
            challenge = attacked.face.start(ONE_PREFIX[0], deliver=True)
            attacked.exhaust()
            before = len(attacked.outbox)
            for _ in range(4):
                attacked.face.resend(ONE_PREFIX[0], challenge=challenge.id)
            assert len(attacked.outbox) == before
            attacked.enter(ONE_PREFIX[0], challenge)

    def test_what_is_not_sent_is_not_hashed(self, site: Sites) -> None:
        hasher = Counting()
        attacked = site(hasher=hasher)
        attacked.exhaust()
        before = hasher.calls
        for deliver in (True, False):
            challenge = attacked.face.start(ONE_PREFIX[0], deliver=deliver)
            attacked.face.resend(ONE_PREFIX[0], challenge=challenge.id)
        assert hasher.calls == before

    def test_known_numbers_and_trust_do_not_matter(self, site: Sites) -> None:
        attacked = site()
        attacked.verify(ONE_PREFIX[0])
        attacked.exhaust()
        before = len(attacked.outbox)
        challenge = attacked.face.start(ONE_PREFIX[0], deliver=True, trusted=True)
        attacked.face.resend(ONE_PREFIX[0], challenge=challenge.id, trusted=True)
        assert len(attacked.outbox) == before
        assert attacked.sent([ONE_PREFIX[0]]) == 1

    def test_resends_of_what_is_gone_do_not_show_known_numbers(self, site: Sites) -> None:
        attacked = site()
        attacked.verify(ONE_PREFIX[0])
        attacked.exhaust()
        found = []
        for phone in (ONE_PREFIX[0], ONE_PREFIX[1]):
            challenge = attacked.face.start(phone, deliver=True)
            attacked.face.cancel(phone, challenge=challenge.id)
            found.append(type(attacked.ask(attacked.face.resend, phone, challenge=challenge.id)))
        assert found[0] is found[1]

    @pytest.mark.parametrize("deliver", [True, False], ids=["known", "decoy"])
    def test_a_human_check_is_asked_for(self, site: Sites, deliver: bool) -> None:
        attacked = site(fraud=HUMAN)
        attacked.verify(ONE_PREFIX[0])
        attacked.exhaust()
        refused = attacked.start(ONE_PREFIX[0], deliver=deliver)
        assert type(refused) is HumanCheckRequired
        attacked.face.start(ONE_PREFIX[0], deliver=deliver, human_checked=True)

    def test_caps(self, site: Sites) -> None:
        attacked = site(fraud=FraudPolicy(total=(Limit(4, 3600),), spend=SPEND))
        for phone, deliver in zip(ONE_PREFIX[:8], itertools.cycle([True, False])):
            attacked.face.start(phone, deliver=deliver)
        assert len(attacked.outbox) == 2, "decoys take like real ones"
        assert attacked.last.reason == "total"

    def test_an_address_is_limited_all_the_same(self, site: Sites) -> None:
        """Each of them makes a challenge, and a hash."""
        policy = Policy(resend_cooldown_seconds=0, sends_per_ip=(Limit(5, 3600),))
        attacked = site(policy=policy)
        attacked.exhaust(client_ip=None)
        answers = [
            attacked.start(phone, deliver=True, client_ip="192.0.2.7") for phone in ONE_PREFIX[:10]
        ]
        assert [isinstance(answer, Challenge) for answer in answers] == [True] * 5 + [False] * 5
        assert isinstance(answers[-1], RateLimited)

    def test_block_and_guards_refuse_as_ever(self, site: Sites) -> None:
        attacked = site(fraud=FraudPolicy(countries={"UZ": "block"}))
        assert isinstance(attacked.start(ONE_PREFIX[0], deliver=True), DestinationBlocked)

    def test_a_decoy_takes_like_a_real_one(self, site: Sites) -> None:
        attacked = site()
        for phone in ONE_PREFIX[:8]:
            attacked.face.start(phone, deliver=False)
        assert attacked.sent(ONE_PREFIX[8:20]) == 0


class Counting(Argon2Hasher):
    """Counts what it hashes."""

    def __init__(self) -> None:
        super().__init__(memory_kib=8, iterations=1, allow_weak=True)
        self.calls = 0

    def digest(self, secret: bytes, message: bytes, salt: bytes) -> bytes:
        self.calls += 1
        return super().digest(secret, message, salt)


class Failing:
    """A store some of whose operations fail."""

    def __init__(self, store: Any, *names: str, error: Exception | None = None) -> None:
        self._store, self._names = store, names
        self._error = error or StoreError("away")

    @property
    def process_local(self) -> bool:
        return bool(self._store.process_local)

    def __getattr__(self, name: str) -> Any:
        if name in self._names:
            return self._fail
        return getattr(self._store, name)

    def _fail(self, *_args: object) -> Any:
        raise self._error


class TestFailures:
    def test_nothing_is_sent_that_cannot_be_charged(self, site: Sites, store: Any) -> None:
        failing = site(store=Failing(store, "charge"))
        assert isinstance(failing.start(PHONE), StoreError)
        assert len(failing.outbox) == 0
        assert site().face.start(PHONE).sends_left is None

    @pytest.mark.parametrize("error", [StoreError("away"), ZeroDivisionError(PHONE)])
    def test_a_right_code_is_never_refused(
        self, site: Sites, store: Any, error: Exception, caplog: pytest.LogCaptureFixture
    ) -> None:
        failing = site(store=Failing(store, "credit", error=error))
        with caplog.at_level(logging.WARNING, "otpverify"):
            failing.verify(PHONE)
        assert failing.last.outcome == "verified"
        assert "right code" in caplog.text
        assert PHONE not in caplog.text

    @pytest.mark.parametrize("answer", [True, "prefix", 5], ids=repr)
    def test_a_store_that_credits_nonsense(self, site: Sites, store: Any, answer: object) -> None:
        odd = Failing(store)
        odd.credit = lambda *_args: answer  # type: ignore[attr-defined]  # goes before the store's
        failing = site(store=odd)
        failing.verify(PHONE)

    @pytest.mark.parametrize(
        "answer",
        [
            None,
            True,
            Overdrawn("a reason", 5),
            Overdrawn("prefix", -1),
            Overdrawn("prefix", 1.5),  # type: ignore[arg-type]  # as from a faulty store
            Full("total", 5),  # type: ignore[arg-type]  # as from a faulty store
            Charged(0, None, "a reason"),
            Charged(0, None, reached=((None, 50),)),  # type: ignore[arg-type]  # as above
        ],
        ids=repr,
    )
    def test_a_store_that_charges_nonsense(self, site: Sites, store: Any, answer: object) -> None:
        odd = Failing(store)
        odd.charge = lambda *_args: answer  # type: ignore[attr-defined]  # goes before the store's
        failing = site(store=odd)
        assert isinstance(failing.start(PHONE), StoreError)
        assert len(failing.outbox) == 0

    def test_what_cannot_be_refunded_is_logged(
        self, site: Sites, store: Any, caplog: pytest.LogCaptureFixture
    ) -> None:
        failing = site(store=Failing(store, "refund"))
        failing.outbox.fail_with = DeliveryRejected("no")
        with caplog.at_level(logging.WARNING, "otpverify"):
            assert isinstance(failing.start(PHONE), DeliveryRejected)
        logged = "What a message was charged could not be given back: away"
        assert caplog.record_tuples == [("otpverify", logging.WARNING, logged)]

    def test_what_was_charged_comes_back_where_the_send_does_not(
        self, site: Sites, store: Any
    ) -> None:
        """They may be on two nodes of a cluster."""
        failing = site(store=Failing(store, "release"))
        failing.outbox.fail_with = DeliveryRejected("no")
        for phone in ONE_PREFIX[:20]:
            assert isinstance(failing.start(phone), DeliveryRejected)
        assert site().sent(ONE_PREFIX[20:40]) == 8

    def test_a_failing_open_gives_back_what_was_charged(self, site: Sites, store: Any) -> None:
        failing = site(store=Failing(store, "open"))
        for phone in ONE_PREFIX[:20]:
            assert isinstance(failing.start(phone), StoreError)
        assert site().sent(ONE_PREFIX[:20]) == 8


class Held:
    """An asynchronous store that holds up the reply to one operation until it is let go."""

    process_local = False

    def __init__(self, store: Any, operation: str) -> None:
        self._store, self._operation = store, operation
        self.reached, self.go = asyncio.Event(), asyncio.Event()

    def __getattr__(self, name: str) -> Any:
        async def call(*args: Any) -> Any:
            answer = getattr(self._store, name)(*args)
            if name == self._operation:
                self.reached.set()
                await self.go.wait()
            return answer

        return call

    async def open(self, *args: Any) -> Any:  # by this the verifier tells an asynchronous store
        return await self.__getattr__("open")(*args)


class TestCancelled:
    """A call of `AsyncVerifier` whose task is cancelled, as when a browser goes away."""

    ALL = Policy(resend_cooldown_seconds=60, sends_per_ip=(Limit(1, 3600),))

    async def start(self, held: Any, outbox: Any, hasher: Any, *, times: int) -> None:
        """Start, and cancel that while the store's reply is on its way."""
        verifier = AsyncVerifier(
            outbox, store=held, fraud=ENFORCED, policy=self.ALL, hasher=hasher, secret=SECRET
        )
        starting = asyncio.ensure_future(verifier.start(ONE_PREFIX[0], client_ip="192.0.2.7"))
        reached = asyncio.ensure_future(held.reached.wait())
        await asyncio.wait({reached, starting}, return_when=asyncio.FIRST_COMPLETED)
        assert reached.done(), "it was refused"
        for _ in range(times):
            starting.cancel()
            await asyncio.sleep(0)
        with pytest.raises(asyncio.CancelledError):
            await starting
        held.go.set()
        # The loop ends when nothing is left to be done in the background.
        while others := asyncio.all_tasks() - {asyncio.current_task()}:
            await asyncio.wait(others)

    @pytest.mark.parametrize("times", [1, 2])
    @pytest.mark.parametrize("operation", ["charge", "open", "place"])
    def test_before_the_message_is_sent_nothing_stays_charged(
        self, operation: str, times: int
    ) -> None:
        store, outbox = MemoryStore(), OutboxSender()
        hasher = Counting() if operation == "place" else HmacHasher()
        for _ in range(20):
            asyncio.run(self.start(Held(store, operation), outbox, hasher, times=times))
        assert len(outbox) == 0
        verifier = Verifier(
            outbox, store=store, fraud=ENFORCED, policy=self.ALL, hasher=HmacHasher(), secret=SECRET
        )
        challenge = verifier.start(ONE_PREFIX[0], client_ip="192.0.2.7")
        assert challenge.sends_left == 4, "nor does a limit count it"
        for n in range(1, 8):
            verifier.start(ONE_PREFIX[n])
        with pytest.raises(DestinationBlocked):
            verifier.start(ONE_PREFIX[8])
        (traffic,) = verifier.traffic()
        assert (traffic.sent, traffic.cost) == (8, 8 * UZ_PRICE)

    def test_a_refused_start_is_no_error_in_the_background(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        store, outbox = MemoryStore(), OutboxSender()
        verifier = Verifier(outbox, store=store, policy=self.ALL, secret=SECRET)
        verifier.start(ONE_PREFIX[0])
        asyncio.run(self.start(Held(store, "open"), outbox, HmacHasher(), times=1))
        assert not [record for record in caplog.records if record.name == "asyncio"]
        assert len(outbox) == 1

    def test_nor_is_a_send_that_cannot_be_given_back(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        class Down(MemoryStore):
            def release(self, *_: object, **__: object) -> NoReturn:
                raise StoreError("down")

        held = Held(Down(), "open")
        asyncio.run(self.start(held, OutboxSender(), HmacHasher(), times=1))
        messages = [(record.name, record.getMessage()) for record in caplog.records]
        assert messages == [("otpverify", "A send could not be given back: down")]

    def test_what_may_have_been_sent_stays_charged(self) -> None:
        sending = asyncio.Event()

        class Slow:
            async def send(self, message: Message) -> Receipt:
                sending.set()
                await asyncio.get_running_loop().create_future()
                raise AssertionError

        store = MemoryStore()

        async def run() -> None:
            verifier = AsyncVerifier(
                Slow(), store=store, fraud=ENFORCED, hasher=HmacHasher(), secret=SECRET
            )
            starting = asyncio.ensure_future(verifier.start(ONE_PREFIX[0]))
            await sending.wait()
            starting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await starting

        asyncio.run(run())
        verifier = Verifier(OutboxSender(), store=store, fraud=ENFORCED, secret=SECRET)
        for n in range(1, 8):
            verifier.start(ONE_PREFIX[n])
        with pytest.raises(DestinationBlocked):
            verifier.start(ONE_PREFIX[8])

    def test_a_challenge_that_is_cancelled_while_its_code_is_hashed(self) -> None:
        class Hooked(Counting):
            hook: Callable[[], object] = staticmethod(lambda: None)

            def digest(self, secret: bytes, message: bytes, salt: bytes) -> bytes:
                self.hook()
                return super().digest(secret, message, salt)

        hasher, outbox = Hooked(), OutboxSender()
        options: dict[str, Any] = {"store": MemoryStore(), "policy": FREE, "secret": SECRET}
        verifier = Verifier(outbox, fraud=ENFORCED, hasher=hasher, **options)
        challenge = verifier.start(ONE_PREFIX[0])
        hasher.hook = partial(
            Verifier(outbox, **options).cancel, ONE_PREFIX[0], challenge=challenge.id
        )
        with pytest.raises(ChallengeExpired):
            verifier.resend(ONE_PREFIX[0], challenge=challenge.id)
        hasher.hook = lambda: None
        for n in range(1, 8):
            verifier.start(ONE_PREFIX[n])
        with pytest.raises(DestinationBlocked):
            verifier.start(ONE_PREFIX[8])


class TestRaces:
    @pytest.mark.parametrize("count", [1, 7])
    def test_200_at_once_never_pass_a_cap(self, site: Sites, mode: Any, count: int) -> None:
        fraud = FraudPolicy(mode="enforce", total=(Limit(count, 3600),), spend=SPEND)
        crowded = site(fraud=fraud, guards=[AllowNumbers(prefixes=["+99890"])])
        calls = [partial(crowded.face.start, phone) for phone in ONE_PREFIX[:200]]
        answers = mode.together(calls)
        assert sum(isinstance(answer, Challenge) for answer in answers) == count
        assert len(crowded.outbox) == count
        assert {type(a) for a in answers} == {Challenge, DestinationBlocked}

    def test_200_at_once_never_pass_an_account(self, site: Sites, mode: Any) -> None:
        crowded = site()
        calls = [partial(crowded.face.start, phone) for phone in ONE_PREFIX[:200]]
        answers = mode.together(calls)
        assert sum(isinstance(answer, Challenge) for answer in answers) == 8
        assert len(crowded.outbox) == 8

    def test_a_code_entered_often_at_once_gives_back_once(self, site: Sites, mode: Any) -> None:
        crowded = site()
        challenge = crowded.face.start(ONE_PREFIX[0])
        code = crowded.outbox.code()
        crowded.exhaust()
        check = partial(crowded.face.check, ONE_PREFIX[0], code, challenge=challenge.id)
        answers = mode.together([check] * (200 if LONG else 50))
        assert sum(isinstance(answer, Verified) for answer in answers) == 1
        assert crowded.sent(ONE_PREFIX[1:30]) == 3
