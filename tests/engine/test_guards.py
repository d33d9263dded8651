"""Guards: what they see of a request, and those that let it through."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any

import pytest
from support import OTHER_PHONE, PHONE, Face

from otpverify import (
    AllowCountries,
    AllowNumbers,
    BlockNumberTypes,
    ConfigurationError,
    CooldownActive,
    Destination,
    DestinationBlocked,
    FraudPolicy,
    HumanCheckRequired,
    OtpVerifyError,
    Policy,
    SendRequest,
)

Make = Callable[..., Face]
FRENCH = "+33612345678"
FICTIONAL = "+15555550100"


class Seeing:
    """A guard that keeps what it is asked about."""

    def __init__(self) -> None:
        self.requests: list[SendRequest] = []

    def refuse(self, request: SendRequest) -> str | None:
        self.requests.append(request)
        return None


class Named:
    """A guard written for destinations, which calls its argument by another name."""

    def refuse(self, destination: Destination) -> str | None:
        return "french" if destination.country == "FR" else None


class Trusting:
    """A guard that lets trusted requests through."""

    def refuse(self, _request: SendRequest) -> str | None:
        return None

    def allows(self, request: SendRequest) -> bool:
        return request.trusted


def test_a_guard_sees_the_whole_request(make: Make) -> None:
    guard = Seeing()
    verifier = make(guards=[guard])
    verifier.start(
        PHONE,
        purpose="login",
        locale="de",
        client_ip="192.0.2.7",
        trusted=True,
        human_checked=True,
    )
    verifier.start(OTHER_PHONE)
    assert guard.requests == [
        SendRequest(
            PHONE,
            "EE",
            "mobile",
            purpose="login",
            client_ip="192.0.2.7",
            locale="de",
            trusted=True,
            human_checked=True,
        ),
        SendRequest(OTHER_PHONE, "EE", "mobile", purpose="verify"),
    ]
    assert isinstance(guard.requests[0], Destination)
    assert "192.0.2.7" not in repr(guard.requests[0])
    assert PHONE not in repr(guard.requests[0])


class ChangedSims:
    """As in docs/recipes.md: refuses numbers whose SIM changed lately."""

    def __init__(self, *changed: str) -> None:
        self.changed = changed

    def refuse(self, request: SendRequest) -> str | None:
        return "sim_changed" if request.phone in self.changed else None


@pytest.mark.parametrize("deliver", [None, True, False])
def test_a_guard_refuses_a_number_whose_sim_changed(make: Make, deliver: bool | None) -> None:
    """NIST SP 800-63B-4, 3.1.3.3; the same whether there is an account."""
    policy = Policy(resend_cooldown_seconds=0)
    verifier = make(guards=[ChangedSims(PHONE)], policy=policy)
    with pytest.raises(DestinationBlocked) as caught:
        verifier.start(PHONE, purpose="login", deliver=deliver)
    assert (caught.value.reason, caught.value.retry_after) == ("sim_changed", None)
    assert verifier.start(OTHER_PHONE, purpose="login", deliver=deliver)


def test_a_guard_for_destinations_goes_on_working(make: Make) -> None:
    verifier = make(guards=[Named()])
    verifier.start(PHONE)
    with pytest.raises(DestinationBlocked) as raised:
        verifier.start(FRENCH)
    assert (raised.value.reason, raised.value.retry_after) == ("french", None)


@pytest.mark.parametrize(
    "allowing",
    [
        AllowNumbers(FRENCH),
        AllowNumbers("+33 6 12 34 56 78"),
        AllowNumbers(prefixes=["+336"]),
        AllowNumbers(prefixes="+3361"),
        AllowNumbers(networks=["192.0.2.0/24"]),
        AllowNumbers(networks="192.0.2.7"),
        AllowNumbers(OTHER_PHONE, prefixes=["+49"], networks=["2001:db8::/32", "192.0.2.7"]),
        Trusting(),
    ],
    ids=lambda guard: "Trusting" if isinstance(guard, Trusting) else repr(guard),
)
@pytest.mark.parametrize("first", [True, False], ids=["first", "last"])
def test_a_guard_that_allows_overrides_all_others(make: Make, allowing: Any, first: bool) -> None:
    others = [AllowCountries("EE"), Named(), BlockNumberTypes("mobile")]
    verifier = make(guards=[allowing, *others] if first else [*others, allowing])
    assert verifier.start(FRENCH, client_ip="192.0.2.7", trusted=True).phone == FRENCH
    with pytest.raises(CooldownActive):
        verifier.start(FRENCH, client_ip="192.0.2.7", trusted=True)
    with pytest.raises(DestinationBlocked):
        verifier.start("+14155550123", client_ip="198.51.100.1")


@pytest.mark.parametrize(
    ("client_ip", "known"),
    [
        ("192.0.2.255", True),
        ("192.0.3.0", False),
        ("[::ffff:192.0.2.1]:443", True),
        ("192.0.2.1:443", True),
        ("2001:db8:1::1", True),
        ("2001:db9::1", False),
        ("2002:c000:0201::1", False),  # 6to4: a relay may write any IPv4 address
        ("an address", False),
        (None, False),
    ],
)
def test_networks_that_are_allowed(client_ip: str | None, known: bool) -> None:
    guard = AllowNumbers(networks=["192.0.2.0/24", "2001:db8::/32"])
    request = SendRequest(PHONE, "EE", "mobile", purpose="verify", client_ip=client_ip)
    assert guard.allows(request) is known


def test_a_fictional_number_can_be_allowed() -> None:
    guard = AllowNumbers(FICTIONAL)
    assert guard.allows(SendRequest(FICTIONAL, "US", "unknown", purpose="verify"))


@pytest.mark.parametrize(
    "make_guard",
    [
        lambda: AllowNumbers(),
        lambda: AllowNumbers("56789045"),
        lambda: AllowNumbers(""),
        lambda: AllowNumbers(None),  # type: ignore[arg-type]  # what is tested
        lambda: AllowNumbers(37256789045),  # type: ignore[arg-type]  # what is tested
        lambda: AllowNumbers(["+37256789045"]),  # type: ignore[arg-type]  # what is tested
        lambda: AllowNumbers("+3725678904500000000"),
        lambda: AllowNumbers(prefixes=["37256"]),
        lambda: AllowNumbers(prefixes=["+"]),
        lambda: AllowNumbers(prefixes=[""]),
        lambda: AllowNumbers(prefixes=["+372 56"]),
        lambda: AllowNumbers(prefixes=["+\u0663\u0667"]),
        lambda: AllowNumbers(prefixes=37),  # type: ignore[arg-type]  # what is tested
        lambda: AllowNumbers(networks=["10.0.0.1/8"]),
        lambda: AllowNumbers(networks=["a host"]),
        lambda: AllowNumbers(networks=[10]),  # type: ignore[list-item]  # what is tested
        lambda: AllowNumbers(networks=[""]),
    ],
)
def test_what_allow_numbers_cannot_understand(make_guard: Callable[[], object]) -> None:
    with pytest.raises(ConfigurationError) as raised:
        make_guard()
    assert "567890" not in str(raised.value)


def test_allow_numbers_shows_no_number() -> None:
    guard = AllowNumbers(PHONE, prefixes=["+49"], networks=["192.0.2.0/24"])
    assert repr(guard) == ("AllowNumbers(<1 numbers>, prefixes=['+49'], networks=['192.0.2.0/24'])")


class Faulty:
    """A guard whose `allows` is of one's choice."""

    def __init__(self, allows: Any) -> None:
        self.allows = allows

    def refuse(self, _request: SendRequest) -> str | None:
        return None


@pytest.mark.parametrize("answer", [None, "yes", 1], ids=repr)
def test_an_answer_that_a_guard_may_not_give(make: Make, answer: object) -> None:
    verifier = make(guards=[Faulty(lambda _request: answer)])
    with pytest.raises(ConfigurationError):
        verifier.start(PHONE)


def test_a_guard_that_fails_lets_nobody_through(make: Make) -> None:
    def fail(_request: SendRequest) -> bool:
        raise ZeroDivisionError(PHONE)

    with pytest.raises(ConfigurationError) as raised:
        make(guards=[Faulty(fail)]).start(PHONE)
    assert PHONE not in str(raised.value)


def test_a_guard_whose_allows_cannot_be_called(make: Make) -> None:
    async def allows(_request: SendRequest) -> bool:
        return True

    for wrong in (True, allows):
        with pytest.raises(ConfigurationError):
            make(guards=[Faulty(wrong)])


@pytest.mark.parametrize("name", ["trusted", "human_checked"])
@pytest.mark.parametrize("value", [None, 1, "yes"], ids=repr)
def test_trusted_and_human_checked_are_bools(make: Make, name: str, value: object) -> None:
    policy = Policy(resend_cooldown_seconds=0)
    verifier = make(policy=policy)
    challenge = verifier.start(PHONE)
    with pytest.raises(ConfigurationError, match=name):
        verifier.start(PHONE, **{name: value})
    with pytest.raises(ConfigurationError, match=name):
        verifier.resend(PHONE, challenge=challenge.id, **{name: value})
    assert verifier.start(PHONE).sends_left == 3, "nothing was counted"


class TestCountries:
    """What `FraudPolicy` says of a country by name."""

    def test_a_blocked_country(self, make: Make) -> None:
        verifier = make(fraud=FraudPolicy(mode="enforce", countries={"fr": "block"}))
        verifier.start(PHONE)
        with pytest.raises(DestinationBlocked) as raised:
            verifier.start(FRENCH, trusted=True, human_checked=True)
        assert type(raised.value) is DestinationBlocked
        assert (raised.value.reason, raised.value.retry_after) == ("blocked_country", None)

    def test_it_is_blocked_while_others_are_observed_and_allowed(self, make: Make) -> None:
        policy = FraudPolicy(countries={"FR": "block", "EE": "allow"})
        verifier = make(fraud=policy, guards=[AllowNumbers(FRENCH)])
        verifier.start(PHONE)
        with pytest.raises(DestinationBlocked):
            verifier.start(FRENCH)

    def test_a_challenge_is_not_resent_to_a_country_that_was_blocked_since(
        self, make: Make, outbox: Any
    ) -> None:
        from otpverify import MemoryStore

        store, policy = MemoryStore(), Policy(resend_cooldown_seconds=0)
        challenge = make(store=store, policy=policy).start(FRENCH)
        verifier = make(store=store, policy=policy, fraud=FraudPolicy(countries={"FR": "block"}))
        with pytest.raises(DestinationBlocked):
            verifier.resend(FRENCH, challenge=challenge.id)
        assert verifier.check(FRENCH, outbox.code(), challenge=challenge.id).phone == FRENCH


@pytest.mark.parametrize("value", ["enforce", True, {}, FraudPolicy], ids=repr)
def test_fraud_must_be_a_policy(make: Make, value: object) -> None:
    with pytest.raises(ConfigurationError, match="FraudPolicy"):
        make(fraud=value)


def test_a_store_without_the_operations(make: Make) -> None:
    from otpverify import MemoryStore

    class Old(MemoryStore):
        charge = None  # type: ignore[assignment]  # as a store that was written before

    make(store=Old()).start(PHONE)
    with pytest.raises(ConfigurationError, match="charge"):
        make(store=Old(), fraud=FraudPolicy())


@pytest.mark.parametrize("kind", [DestinationBlocked, HumanCheckRequired])
def test_a_refusal_survives_pickle_with_its_data(kind: type[DestinationBlocked]) -> None:
    error = pickle.loads(pickle.dumps(kind(reason="prefix", retry_after=7)))
    assert type(error) is kind
    assert (error.reason, error.retry_after) == ("prefix", 7)
    assert isinstance(error, OtpVerifyError)
