"""How verifiers are made and what they do beside the ten promises."""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import Callable
from contextvars import ContextVar
from datetime import UTC, date, datetime, timedelta
from enum import Enum
from typing import Any, ClassVar

import pytest
from freezegun.api import FrozenDateTimeFactory
from support import (
    OTHER_PHONE,
    OTHER_SECRET,
    PHONE,
    QUICK,
    SECRET,
    Face,
    Mode,
    fixture_secret,
    wrong,
)

from otpverify import (
    AllowCountries,
    Argon2Hasher,
    AsyncVerifier,
    BlockNumberTypes,
    Challenge,
    ChallengeExpired,
    ConfigurationError,
    CooldownActive,
    DeliveryStatus,
    Destination,
    DestinationBlocked,
    Event,
    HmacHasher,
    IncorrectCode,
    InvalidPhoneNumber,
    MemoryStore,
    Message,
    Messages,
    Policy,
    RateLimited,
    Receipt,
    TestNumber,
    Verifier,
)
from otpverify._sync import run_sync
from otpverify.core import phone as phone_rules
from otpverify.guards import COSTLY_KINDS
from otpverify.sandbox import Sandbox
from otpverify.testing import OutboxSender

Make = Callable[..., Face]
FICTIONAL = "+447700900123"
OLD = OTHER_SECRET


class LastingStore(MemoryStore):
    """As a store outside this process looks to a verifier."""

    process_local = False


class TestMaking:
    def test_five_lines_are_enough(self, mode: Mode, outbox: OutboxSender) -> None:
        verifier = mode.make(outbox)
        challenge = verifier.start("+372 5678 9045")
        done = verifier.check("+37256789045", outbox.code(), challenge=challenge.id)
        assert (done.phone, done.purpose) == (PHONE, "verify")
        assert datetime.now(UTC) - done.verified_at < timedelta(seconds=30)

    def test_a_sender_learns_when_the_code_expires(
        self, make: Make, outbox: OutboxSender, clock: FrozenDateTimeFactory
    ) -> None:
        verifier = make(policy=Policy(ttl_seconds=300))
        started = verifier.start(PHONE)
        assert outbox.last.expires_at == started.expires_at
        assert started.expires_at == datetime.now(UTC) + timedelta(seconds=300)
        clock.tick(100)
        resent = verifier.resend(PHONE, challenge=started.id)
        assert outbox.last.expires_at == resent.expires_at == datetime.now(UTC) + timedelta(0, 300)

    @pytest.mark.parametrize(
        ("options", "says"),
        [
            ({"store": LastingStore()}, "needs secret"),
            ({"hasher": HmacHasher()}, "needs secret"),
            ({"secret": "short"}, "at least 32 bytes"),
            ({"secret": []}, "at least one"),
            ({"secret": [SECRET, "short"]}, "at least 32 bytes"),
            ({"secret": 5 * [1]}, "str or bytes"),
            ({"secret": 5}, "str or bytes"),
            ({"secret": SECRET + "\udcff"}, "valid Unicode"),
            ({"secret": [SECRET, SECRET]}, "the same"),
            ({"region": "Estonia"}, "ISO 3166-1"),
            ({"store": object()}, "is not a store"),
            ({"hasher": "argon2"}, "is not a hasher"),
            ({"guards": [lambda phone: None]}, "is not a guard"),
            ({"guards": BlockNumberTypes()}, "list of guards"),
            ({"policy": {"code_length": 6}}, "must be a Policy"),
            ({"policy": Policy}, "must be a Policy"),
            ({"store": MemoryStore}, r"MemoryStore\(\.\.\.\)"),
            ({"hasher": Argon2Hasher}, r"Argon2Hasher\(\.\.\.\)"),
            ({"messages": "Your code"}, "is not a renderer"),
            ({"on_event": "log"}, "on_event must be"),
            ({"on_event": asyncio.sleep}, "must not be asynchronous"),
        ],
    )
    def test_parts_that_do_not_fit(
        self, mode: Mode, outbox: OutboxSender, options: dict[str, Any], says: str
    ) -> None:
        with pytest.raises(ConfigurationError, match=says) as caught:
            mode.make(outbox, **options)
        assert "short" not in str(caught.value)
        assert SECRET not in str(caught.value)

    def test_a_sender_must_be_one(self, mode: Mode) -> None:
        with pytest.raises(ConfigurationError, match="is not a sender"):
            mode.make(object())
        with pytest.raises(ConfigurationError, match="Pass an instance"):
            mode.make(OutboxSender)

    def test_no_part_but_sender_and_store_may_be_asynchronous(
        self, mode: Mode, outbox: OutboxSender
    ) -> None:
        class Awaitable:
            costly = needs_secret = False

            async def refuse(self, destination: Destination) -> str | None:
                return None

            async def render(self, code: str, **_: Any) -> str:
                return code

            async def digest(self, *_: Any) -> bytes:
                return b""

        for options in (
            {"guards": [Awaitable()]},
            {"messages": Awaitable()},
            {"hasher": Awaitable()},
        ):
            with pytest.raises(ConfigurationError, match="must not be asynchronous"):
                mode.make(outbox, **options)

    def test_a_secret_is_str_or_bytes(self, mode: Mode, outbox: OutboxSender) -> None:
        store = LastingStore()
        id_ = mode.make(outbox, store=store, secret=SECRET).start(PHONE).id
        counterpart = mode.make(outbox, store=store, secret=SECRET.encode())
        assert counterpart.check(PHONE, outbox.code(), challenge=id_)

    def test_without_a_secret_two_verifiers_do_not_know_each_other(
        self, mode: Mode, outbox: OutboxSender
    ) -> None:
        store = MemoryStore()
        id_ = mode.make(outbox, store=store).start(PHONE).id
        with pytest.raises(ChallengeExpired):
            mode.make(outbox, store=store).check(PHONE, outbox.code(), challenge=id_)

    def test_the_synchronous_one_takes_no_asynchronous_parts(self) -> None:
        class Awaitable:
            async def send(self, message: Message) -> Receipt:
                return Receipt()

        with pytest.raises(ConfigurationError, match="AsyncVerifier"):
            Verifier(Awaitable())  # type: ignore[arg-type]  # the mistake that is tested

    def test_no_secret_in_a_repr(self, verifier: Face) -> None:
        assert SECRET not in repr(verifier.verifier)
        assert "max_attempts=5" in repr(verifier.verifier)


class TestFromEnv:
    ENV: ClassVar = {"SMSPM_HASH": "the-hash", "SMSPM_TOKEN": "the-token"}

    @pytest.mark.parametrize("cls", [Verifier, AsyncVerifier])
    def test_all_variables(self, cls: Any) -> None:
        verifier = cls.from_env(
            self.ENV
            | {
                "SMSPM_SENDER": "MyApp",
                "SMSPM_URL": "http://127.0.0.1:8025",
                "OTPVERIFY_SECRET": f"{SECRET}, {OLD}",
                "OTPVERIFY_REGION": "EE",
            }
        )
        assert isinstance(verifier, cls)
        assert "the-token" not in repr(verifier)

    @pytest.mark.parametrize("name", ["sync", "async"])
    def test_the_rest_are_arguments(self, name: str, smspm_sandbox: Sandbox) -> None:
        seen: list[Event] = []
        options: dict[str, Any] = {
            "policy": Policy(max_attempts=3),
            "hasher": QUICK,
            "messages": Messages(brand="Example"),
            "guards": [AllowCountries(["EE"])],
            "on_event": seen.append,
        }
        environ = smspm_sandbox.environ

        async def awaited() -> Challenge:
            async with AsyncVerifier.from_env(environ, **options) as verifier:
                with pytest.raises(DestinationBlocked):
                    await verifier.start("+12025550123")
                return await verifier.start(PHONE)

        if name == "async":
            challenge = asyncio.run(awaited())
        else:
            with Verifier.from_env(environ, **options) as verifier:
                with pytest.raises(DestinationBlocked):
                    verifier.start("+12025550123")
                challenge = verifier.start(PHONE)
        assert challenge.attempts_left == 3
        assert smspm_sandbox.messages[0].text.startswith("Example: ")
        assert [event.outcome for event in seen] == ["DestinationBlocked", "sent"]

    def test_from_the_process(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for name, value in self.ENV.items():
            monkeypatch.setenv(name, value)
        assert Verifier.from_env()

    @pytest.mark.parametrize(
        ("change", "says"),
        [
            ({"SMSPM_HASH": ""}, "SMSPM_HASH"),
            ({"SMSPM_TOKEN": ""}, "SMSPM_TOKEN"),
            ({"SMSPM_URL": "api.smspm.com"}, "SMSPM_URL"),
            ({"OTPVERIFY_SECRET": "short"}, "32 bytes"),
            ({"OTPVERIFY_REGION": "Estonia"}, "region"),
            ({"OTPVERIFY_REDIS_URL": "localhost:6379"}, "Redis URL"),
            ({"OTPVERIFY_REDIS_URL": "redis://localhost"}, "needs secret"),
        ],
    )
    def test_what_is_missing_is_named(self, change: dict[str, str], says: str) -> None:
        with pytest.raises(ConfigurationError, match=says):
            Verifier.from_env(self.ENV | change)


class TestRotation:
    def test_a_rotation_in_three_steps_refuses_nobody(
        self, make: Make, outbox: OutboxSender
    ) -> None:
        """As SECURITY.md says: hosts are one step apart, and meet each other's challenges."""
        store = MemoryStore()
        free = Policy(resend_cooldown_seconds=0, sends_per_phone=())
        steps = [OLD, [OLD, SECRET], [SECRET, OLD], SECRET]
        hosts = [make(store=store, secret=step, policy=free) for step in steps]
        for early, late in itertools.pairwise(hosts[:3]):
            for one, other in ((early, late), (late, early)):
                challenge = one.start(PHONE)
                assert other.check(PHONE, outbox.code(), challenge=challenge.id)
        challenge = hosts[2].start(PHONE)
        assert hosts[3].check(PHONE, outbox.code(), challenge=challenge.id)

    def test_challenges_of_the_old_secret_live_on(
        self, make: Make, outbox: OutboxSender, clock: FrozenDateTimeFactory
    ) -> None:
        store = MemoryStore()
        started = make(store=store, secret=OLD).start(PHONE)
        first = outbox.code()
        rotated = make(store=store, secret=[SECRET, OLD])
        with pytest.raises(IncorrectCode) as caught:
            rotated.check(PHONE, wrong(first), challenge=started.id)
        assert caught.value.attempts_left == 4
        clock.tick(60)
        assert rotated.resend(PHONE, challenge=started.id).attempts_left == 4
        assert rotated.check(PHONE, first, challenge=started.id)

    def test_the_first_signs(self, make: Make, outbox: OutboxSender) -> None:
        store = MemoryStore()
        started = make(store=store, secret=[SECRET, OLD]).start(PHONE)
        with pytest.raises(ChallengeExpired):
            make(store=store, secret=OLD).check(PHONE, outbox.code(), challenge=started.id)
        assert make(store=store, secret=SECRET).check(PHONE, outbox.code(), challenge=started.id)

    def test_a_check_is_one_look_up_however_many_secrets(
        self, make: Make, outbox: OutboxSender
    ) -> None:
        looked: list[str] = []

        class Counting(MemoryStore):
            def check(self, *args: Any) -> Any:
                looked.append("check")
                return super().check(*args)

        verifier = make(
            store=Counting(),
            hasher=HmacHasher(),
            secret=[SECRET] + [fixture_secret(n) for n in range(9)],
        )
        id_ = verifier.start(PHONE).id
        verifier.check(PHONE, outbox.code(), challenge=id_)
        assert looked == ["check"]


class TestArguments:
    def test_the_region_reads_national_numbers(self, make: Make, outbox: OutboxSender) -> None:
        verifier = make(region="EE")
        challenge = verifier.start("5678 9045")
        assert challenge.phone == PHONE
        assert verifier.check("5678-9045", outbox.code(), challenge=challenge.id).phone == PHONE

    @pytest.mark.parametrize("call", ["start", "check", "resend", "cancel"])
    def test_what_is_no_number(self, verifier: Face, call: str) -> None:
        arguments: dict[str, Any] = {} if call == "start" else {"challenge": "x"}
        if call == "check":
            arguments["code"] = "123456"
        with pytest.raises(InvalidPhoneNumber) as caught:
            getattr(verifier, call)("5678 9045", **arguments)
        assert caught.value.reason == "country_code_missing"

    def test_a_canonical_number_is_not_parsed_again(
        self, verifier: Face, outbox: OutboxSender, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        challenge = verifier.start(PHONE)

        def parse(*_: object) -> str:
            raise AssertionError("parsed again")

        monkeypatch.setattr(phone_rules, "parse", parse)
        with pytest.raises(CooldownActive):
            verifier.resend(PHONE, challenge=challenge.id)
        assert verifier.status(PHONE, challenge=challenge.id) is DeliveryStatus.QUEUED
        assert verifier.check(PHONE, outbox.code(), challenge=challenge.id)

    @pytest.mark.parametrize("typed", ["+4407400123456", "+44 07400 123456", "07400 123456"])
    def test_what_start_understood_the_others_understand(
        self, make: Make, outbox: OutboxSender, typed: str, clock: FrozenDateTimeFactory
    ) -> None:
        """E.164's form alone does not make a number E.164: here a trunk 0 is too many."""
        verifier = make(region="GB")
        challenge = verifier.start(typed)
        assert challenge.phone == "+447400123456"
        clock.tick(60)
        verifier.resend(typed, challenge=challenge.id)
        done = verifier.check(typed, outbox.code(), challenge=challenge.id)
        assert done.phone == "+447400123456"
        clock.tick(60)
        challenge = verifier.start(typed)
        verifier.cancel(typed, challenge=challenge.id)
        with pytest.raises(ChallengeExpired):
            verifier.check(typed, outbox.code(), challenge=challenge.id)

    def test_a_purpose_and_facts_may_be_members_of_an_enum(
        self, verifier: Face, outbox: OutboxSender
    ) -> None:
        """What a session gives back is the value alone."""

        class Word(str, Enum):  # noqa: UP042 - a StrEnum is written by its value anyway
            PURPOSE = "payment"
            CURRENCY = "EUR"

        bound = {"currency": Word.CURRENCY}
        challenge = verifier.start(PHONE, purpose=Word.PURPOSE, binding=bound)
        verified = verifier.check(
            PHONE,
            outbox.code(),
            challenge=challenge.id,
            purpose="payment",
            binding={"currency": "EUR"},
        )
        assert verifier.redeem(PHONE, verified.proof, purpose=Word.PURPOSE, binding=bound)

    BOUND: ClassVar = {
        "start": {},
        "resend": {"challenge": "A" * 22},
        "check": {"challenge": "A" * 22, "code": "123456"},
        "redeem": {"proof": "A" * 56},
    }
    UNBOUND: ClassVar = {"cancel": {"challenge": "A" * 22}, "status": {"challenge": "A" * 22}}

    @pytest.mark.parametrize("purpose", ["", None, 5])
    def test_a_purpose_is_a_word(self, verifier: Face, purpose: Any) -> None:
        for operation, given in {**self.BOUND, **self.UNBOUND}.items():
            with pytest.raises(ConfigurationError, match="purpose"):
                getattr(verifier, operation)(PHONE, **given, purpose=purpose)

    @pytest.mark.parametrize("binding", [{"amount": 25}, {1: "x"}, ["amount"], "amount"])
    def test_a_binding_maps_str_to_str(self, verifier: Face, binding: Any) -> None:
        for operation, given in self.BOUND.items():
            with pytest.raises(ConfigurationError, match="binding"):
                getattr(verifier, operation)(PHONE, **given, binding=binding)

    def test_a_binding_may_be_given_in_any_order(
        self, verifier: Face, outbox: OutboxSender
    ) -> None:
        challenge = verifier.start(PHONE, binding={"amount": "5 EUR", "payee": "Shop"})
        assert "amount: 5 EUR, payee: Shop" in outbox.messages[0].text
        assert verifier.check(
            PHONE,
            outbox.code(),
            challenge=challenge.id,
            binding={"payee": "Shop", "amount": "5 EUR"},
        )

    def test_a_challenge_where_its_id_is_due(self, verifier: Face) -> None:
        challenge = verifier.start(PHONE)
        with pytest.raises(ConfigurationError, match=r"challenge\.id"):
            verifier.check(PHONE, "123456", challenge=challenge)

    @pytest.mark.parametrize(
        "ip", ["localhost", "192.0.2.1:port", "192.0.2.1, 198.51.100.1", "", "unknown"]
    )
    def test_a_client_ip_is_one_address(
        self, verifier: Face, outbox: OutboxSender, ip: str
    ) -> None:
        with pytest.raises(ConfigurationError, match="client_ip"):
            verifier.start(PHONE, client_ip=ip)
        assert not outbox.messages

    def test_a_missing_client_ip_is_told_once(
        self, make: Make, caplog: pytest.LogCaptureFixture
    ) -> None:
        verifier = make()
        with caplog.at_level(logging.WARNING):
            verifier.start(PHONE)
            verifier.start(OTHER_PHONE)
        assert caplog.text.count("client_ip") >= 1
        assert len(caplog.records) == 1
        make(policy=Policy(sends_per_ip=())).start(PHONE)
        assert len(caplog.records) == 1


class TestGuards:
    def test_a_guard_refuses_before_anything_is_sent_or_counted(
        self, make: Make, outbox: OutboxSender
    ) -> None:
        store = MemoryStore()
        verifier = make(store=store, guards=[BlockNumberTypes(), AllowCountries(["EE"])])
        with pytest.raises(DestinationBlocked) as caught:
            verifier.start("+12025550123")
        assert caught.value.reason == "country_not_allowed"
        with pytest.raises(DestinationBlocked) as caught:
            verifier.start("+18005550199")
        assert caught.value.reason == "toll_free"
        assert not outbox.messages
        assert len(store) == 0
        assert verifier.start(PHONE)

    def test_ones_own(self, make: Make) -> None:
        seen: list[Destination] = []

        class Mine:
            def refuse(self, destination: Destination) -> str | None:
                seen.append(destination)
                return "no"

        with pytest.raises(DestinationBlocked):
            make(guards=[Mine()]).start(PHONE, deliver=False)
        assert (seen[0].phone, seen[0].country, seen[0].kind) == (PHONE, "EE", "mobile")

    @pytest.mark.parametrize("answer", [False, 5, KeyError(PHONE)], ids=repr)
    def test_one_that_misbehaves_lets_nothing_out_and_shows_nothing(
        self, make: Make, outbox: OutboxSender, answer: object
    ) -> None:
        class Odd:
            def refuse(self, destination: Destination) -> Any:
                if isinstance(answer, Exception):
                    raise answer
                return answer

        with pytest.raises(ConfigurationError, match="guard") as caught:
            make(guards=[Odd()]).start(PHONE)
        assert caught.value.__context__ is None
        assert PHONE not in str(caught.value)
        assert not outbox.messages

    @pytest.mark.parametrize("countries", [[], "EST", ["EE", "XX"], [""], ["372"]])
    def test_countries_are_iso_codes(self, countries: Any) -> None:
        with pytest.raises(ConfigurationError):
            AllowCountries(countries)

    @pytest.mark.parametrize(
        ("countries", "number", "reason"),
        [
            ("EE", "+37256789045", None),
            (["us"], "+12025550123", None),
            (["US"], "+12042345678", "country_not_allowed"),
            (["CA"], "+12042345678", None),
            (["GB"], "+447797123456", "country_not_allowed"),
            (["JE"], "+447797123456", None),
            (["RU"], "+77012345678", "country_not_allowed"),
            (["KZ"], "+77012345678", None),
            (["US"], "+8816123456789", "country_not_allowed"),
        ],
    )
    def test_countries(self, countries: Any, number: str, reason: str | None) -> None:
        assert AllowCountries(countries).refuse(phone_rules.describe(number)) == reason

    @pytest.mark.parametrize(
        ("number", "kind"),
        [
            ("+37256789045", None),
            ("+12025550123", None),
            ("+442071838750", None),
            ("+19002345678", "premium_rate"),
            ("+33884012345", "shared_cost"),
            ("+18005550199", "toll_free"),
            ("+447640123456", "pager"),
            ("+445612345678", None),
            ("+3933101234501", "voicemail"),
            ("+443331234567", "universal_access"),
            ("+870773111632", "satellite"),
            ("+88213123456", "international_network"),
            ("+80012345678", "toll_free"),
            ("+491801234567", "shared_cost"),
        ],
    )
    def test_kinds(self, number: str, kind: str | None) -> None:
        assert BlockNumberTypes().refuse(phone_rules.describe(number)) == kind

    def test_voip_is_refused_where_a_site_chooses_so(
        self, make: Make, outbox: OutboxSender
    ) -> None:
        """NIST SP 800-63B-4, 3.1.3.1 no longer forbids it; the first edition did (5.1.3.1)."""
        voip = "+445612345678"
        chosen = make(guards=[BlockNumberTypes(COSTLY_KINDS | {"voip"})])
        with pytest.raises(DestinationBlocked) as caught:
            chosen.start(voip)
        assert caught.value.reason == "voip"
        with pytest.raises(DestinationBlocked):
            chosen.start("+19002345678")
        assert not outbox.messages
        assert make(guards=[BlockNumberTypes()]).start(voip)

    def test_kinds_are_known_ones(self) -> None:
        assert BlockNumberTypes("fixed_line").refuse(phone_rules.describe("+442071838750"))
        assert not BlockNumberTypes([]).refuse(phone_rules.describe("+19002345678"))
        with pytest.raises(ConfigurationError, match="landline"):
            BlockNumberTypes(["landline"])


class TestTestNumbers:
    POLICY = Policy(test_numbers={FICTIONAL: TestNumber("424242", date(2026, 3, 31))})

    def test_fixed_code_nothing_sent(
        self, make: Make, outbox: OutboxSender, clock: FrozenDateTimeFactory
    ) -> None:
        verifier = make(policy=self.POLICY)
        challenge = verifier.start("+44 7700 900123")
        assert not outbox.messages
        with pytest.raises(IncorrectCode):
            verifier.check(FICTIONAL, "424243", challenge=challenge.id)
        assert verifier.check(FICTIONAL, "424242", challenge=challenge.id).phone == FICTIONAL
        with pytest.raises(ChallengeExpired):
            verifier.check(FICTIONAL, "424242", challenge=challenge.id)

    def test_every_other_rule_is_in_force(self, make: Make, clock: FrozenDateTimeFactory) -> None:
        verifier = make(policy=self.POLICY, guards=[AllowCountries(["GB"])])
        challenge = verifier.start(FICTIONAL)
        with pytest.raises(CooldownActive):
            verifier.start(FICTIONAL)
        for left in (4, 3, 2, 1, 0):
            with pytest.raises(IncorrectCode) as caught:
                verifier.check(FICTIONAL, "000000", challenge=challenge.id)
            assert caught.value.attempts_left == left
        with pytest.raises(Exception, match="Too many"):
            verifier.check(FICTIONAL, "424242", challenge=challenge.id)
        for _ in range(4):
            clock.tick(60)
            verifier.start(FICTIONAL)
        clock.tick(60)
        with pytest.raises(RateLimited):
            verifier.start(FICTIONAL)
        with pytest.raises(DestinationBlocked):
            make(policy=self.POLICY, guards=[AllowCountries(["EE"])]).start(FICTIONAL)

    def test_no_other_number_has_it(self, make: Make, outbox: OutboxSender) -> None:
        verifier = make(policy=self.POLICY)
        challenge = verifier.start(PHONE)
        if outbox.code() != "424242":
            with pytest.raises(IncorrectCode):
                verifier.check(PHONE, "424242", challenge=challenge.id)

    def test_a_decoy_of_it_matches_nothing(self, make: Make, clock: FrozenDateTimeFactory) -> None:
        verifier = make(policy=self.POLICY)
        decoy = verifier.start(FICTIONAL, deliver=False)
        with pytest.raises(IncorrectCode):
            verifier.check(FICTIONAL, "424242", challenge=decoy.id)

    def test_it_ends_with_its_last_day(
        self, make: Make, outbox: OutboxSender, clock: FrozenDateTimeFactory
    ) -> None:
        valid = "+12025550123"
        both = {number: TestNumber("424242", date(2026, 3, 31)) for number in (valid, FICTIONAL)}
        verifier = make(policy=Policy(test_numbers=both))
        clock.move_to("2026-03-31 23:59:59")
        for number in both:
            verifier.start(number)
        assert not outbox.messages
        clock.move_to("2026-04-01 00:01:00")
        challenge = verifier.start(valid)
        assert outbox.messages[0].to == valid
        if outbox.code() != "424242":
            with pytest.raises(IncorrectCode):
                verifier.check(valid, "424242", challenge=challenge.id)
        with pytest.raises(InvalidPhoneNumber):
            verifier.start(FICTIONAL)


class TestEvents:
    def test_one_for_every_operation(
        self, make: Make, outbox: OutboxSender, clock: FrozenDateTimeFactory
    ) -> None:
        events: list[Event] = []
        verifier = make(on_event=events.append)
        challenge = verifier.start(PHONE, purpose="login")
        with pytest.raises(CooldownActive):
            verifier.resend(PHONE, challenge=challenge.id, purpose="login")
        with pytest.raises(IncorrectCode):
            verifier.check(PHONE, "12", challenge=challenge.id, purpose="login")
        verifier.check(PHONE, outbox.code(), challenge=challenge.id, purpose="login")
        verifier.cancel(PHONE, challenge=challenge.id, purpose="login")
        with pytest.raises(InvalidPhoneNumber):
            verifier.start("123456", purpose="login")
        verifier.start(OTHER_PHONE, deliver=False)
        assert [(event.operation, event.outcome, event.scope) for event in events] == [
            ("start", "sent", None),
            ("resend", "CooldownActive", "resend_cooldown"),
            ("check", "IncorrectCode", None),
            ("check", "verified", None),
            ("cancel", "cancelled", None),
            ("start", "InvalidPhoneNumber", None),
            ("start", "decoy", None),
        ]
        assert {event.phone for event in events} == {"+37*******45", "+37*******46", "***"}
        assert {event.purpose for event in events} == {"login", "verify"}

    def test_an_observer_that_fails_keeps_nobody_out(
        self, make: Make, outbox: OutboxSender, caplog: pytest.LogCaptureFixture
    ) -> None:
        def fails(event: Event) -> None:
            raise RuntimeError("the metrics are down")

        verifier = make(on_event=fails)
        challenge = verifier.start(PHONE)
        assert verifier.check(PHONE, outbox.code(), challenge=challenge.id)
        assert "the metrics are down" in caplog.text


class TestMessagesOfCallers:
    def test_ones_own_renderer(self, make: Make, outbox: OutboxSender) -> None:
        class Mine:
            def render(self, code: str, **facts: Any) -> str:
                assert facts == {
                    "ttl_seconds": 600,
                    "purpose": "login",
                    "locale": "et-EE",
                    "binding": None,
                }
                return f"Kood {code}"

        make(messages=Mine()).start(PHONE, purpose="login", locale="et-EE")
        assert outbox.messages[0].text == f"Kood {outbox.code()}"

    def test_one_that_fails_sends_and_counts_nothing(
        self, make: Make, outbox: OutboxSender
    ) -> None:
        class Faulty:
            def render(self, code: str, **_: Any) -> str:
                raise KeyError(code)

        store = MemoryStore()
        with pytest.raises(ConfigurationError, match="KeyError") as caught:
            make(messages=Faulty(), store=store).start(PHONE)
        assert caught.value.__cause__ is None
        assert caught.value.__context__ is None
        assert len(store) == 0

    @pytest.mark.parametrize("text", [None, 5, "Your code is on its way."])
    def test_one_that_leaves_the_code_out_sends_and_counts_nothing(
        self, make: Make, outbox: OutboxSender, text: Any
    ) -> None:
        class Odd:
            def render(self, code: str, **_: Any) -> Any:
                return text

        store = MemoryStore()
        with pytest.raises(ConfigurationError, match="render"):
            make(messages=Odd(), store=store).start(PHONE)
        assert len(store) == 0
        assert not outbox.messages

    def test_brand_and_origin(self, make: Make, outbox: OutboxSender) -> None:
        make(messages=Messages(brand="Example", origin="example.com")).start(PHONE)
        code = outbox.code()
        assert outbox.messages[0].text == (
            f"Example: {code} is your verification code. It expires in 10 minutes. "
            "Do not share it.\n"
            f"@example.com #{code}"
        )


def test_the_costly_hash_is_spared_where_the_answer_is_no_anyway(
    make: Make, outbox: OutboxSender
) -> None:
    class Counting(Argon2Hasher):
        digests = 0

        def digest(self, *args: Any) -> bytes:
            Counting.digests += 1
            return super().digest(*args)

    verifier = make(hasher=Counting(memory_kib=8, iterations=1, allow_weak=True))
    challenge = verifier.start(PHONE)
    for nth in range(5):
        with pytest.raises(IncorrectCode):
            verifier.check(PHONE, wrong(outbox.code(), nth + 1), challenge=challenge.id)
    assert Counting.digests == 6
    for call in (
        lambda: verifier.check(PHONE, "123456", challenge=challenge.id),
        lambda: verifier.check(PHONE, "123456", challenge="unknown"),
        lambda: verifier.check(OTHER_PHONE, "123456", challenge=challenge.id),
        lambda: verifier.resend(PHONE, challenge=challenge.id),
    ):
        with pytest.raises(Exception, match=r"wrong codes|expired"):
            call()
    assert Counting.digests == 6


def test_the_default_hasher(mode: Mode, outbox: OutboxSender) -> None:
    verifier = mode.make(outbox)
    challenge = verifier.start(PHONE)
    with pytest.raises(IncorrectCode):
        verifier.check(PHONE, wrong(outbox.code()), challenge=challenge.id)
    assert verifier.check(PHONE, outbox.code(), challenge=challenge.id)


def test_argon2_does_not_hold_up_the_event_loop(outbox: OutboxSender) -> None:
    """While many digests are computed, the loop runs on."""
    hasher = Argon2Hasher(memory_kib=7168, iterations=5)
    policy = Policy(resend_cooldown_seconds=0, sends_per_phone=())
    verifier = AsyncVerifier(outbox, hasher=hasher, policy=policy, secret=SECRET)

    async def run() -> int:
        turns = 0
        starts = asyncio.gather(*(verifier.start(PHONE) for _ in range(8)))
        while not starts.done():
            await asyncio.sleep(0)
            turns += 1
        await starts
        return turns

    assert asyncio.run(run()) > 100


def test_a_cancelled_send_blocks_nobody_for_longer_than_the_cooldown(
    outbox: OutboxSender, clock: FrozenDateTimeFactory
) -> None:
    class Slow:
        async def send(self, message: Message) -> Receipt:
            sending.set()
            await asyncio.get_running_loop().create_future()
            raise AssertionError

    store = MemoryStore()
    sending = asyncio.Event()

    async def cancelled() -> None:
        verifier = AsyncVerifier(Slow(), store=store, hasher=QUICK, secret=SECRET)
        task = asyncio.ensure_future(verifier.start(PHONE))
        await sending.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancelled())
    verifier = Verifier(outbox, store=store, hasher=QUICK, secret=SECRET)
    with pytest.raises(CooldownActive):
        verifier.start(PHONE)
    clock.tick(60)
    assert verifier.start(PHONE)


def test_a_synchronous_sequence_that_suspends_is_a_bug_and_says_so() -> None:
    async def suspends() -> None:
        await asyncio.sleep(0)

    with pytest.raises(RuntimeError, match="suspended"):
        run_sync(suspends())


def test_worker_threads_see_the_context_of_the_task(outbox: OutboxSender) -> None:
    """What a request's logging or tracing put there."""
    request_id: ContextVar[str] = ContextVar("request_id")
    seen: list[str] = []

    class Traced:
        def send(self, message: Message) -> Receipt:
            seen.append(request_id.get())
            return outbox.send(message)

    async def run() -> None:
        request_id.set("request 7")
        await AsyncVerifier(Traced(), hasher=QUICK, secret=SECRET).start(PHONE)

    asyncio.run(run())
    assert seen == ["request 7"]
