"""The one flow of all web frameworks, over a dict as session, synchronous and asynchronous."""

from __future__ import annotations

import asyncio
import copy
import json
import logging
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import replace
from typing import Any

import pytest
from freezegun.api import FrozenDateTimeFactory
from support import OTHER_PHONE, PHONE, QUICK, SECRET, wrong

from otpverify import (
    AsyncVerifier,
    AttemptsExhausted,
    ChallengeExpired,
    ConfigurationError,
    CooldownActive,
    DeliveryRejected,
    DeliveryStatus,
    DeliveryUnavailable,
    IncorrectCode,
    InvalidPhoneNumber,
    Limit,
    MemoryStore,
    Messages,
    OtpVerifyError,
    Policy,
    RateLimited,
    StoreError,
    Verifier,
)
from otpverify.integrations.web import run_sync
from otpverify.integrations.web.flow import Flow
from otpverify.integrations.web.notices import Notice
from otpverify.integrations.web.outcome import Outcome, Page, State
from otpverify.integrations.web.problems import ProofRequired
from otpverify.integrations.web.session import (
    Delivery,
    Pending,
    Proof,
    Recipient,
    forget_flows,
    load_entry,
)
from otpverify.sms.languages import languages
from otpverify.testing import OutboxSender

ACCOUNT = Recipient(PHONE, "account 7")
PAYMENT = Recipient(PHONE, "account 7", {"amount": "25.00 EUR", "payee": "Bob"})


class Site:
    """A verifier, a person's session, and how flows over it are run.

    Attributes:
        outbox: What was sent.
        session: The person's; always as JSON would give it back.
    """

    def __init__(self, run: Callable[[Coroutine[Any, Any, Any]], Any], kind: Any) -> None:
        self._run = run
        self._kind = kind
        self.outbox = OutboxSender()
        self.session: dict[str, Any] = {}
        self.verifier: Verifier | AsyncVerifier
        self.set_up()

    def set_up(self, **options: Any) -> None:
        options = {"secret": SECRET, "hasher": QUICK, "store": MemoryStore(), **options}
        self.verifier = self._kind(self.outbox, **options)

    def __call__(
        self,
        operation: str,
        *args: Any,
        session: dict[str, Any] | None = None,
        to: Any = None,
        purpose: str = "phone",
        concealed: bool = False,
        locale: str = "en",
        **options: Any,
    ) -> Outcome:
        """Make a flow and run one operation."""
        held = self.session if session is None else session
        flow = Flow(
            self.verifier,
            held,
            purpose=purpose,
            recipient=to,
            concealed=concealed,
            locale=locale,
        )
        before = copy.deepcopy(held)
        outcome: Outcome = self._run(getattr(flow, operation)(*args, **options))
        assert json.loads(json.dumps(held)) == held, "a session holds JSON"
        assert outcome.saved or held == before, "what was not saved is not changed"
        return outcome

    def current(self, to: Any = None, **options: Any) -> Pending | Proof | None:
        flow = Flow(self.verifier, self.session, purpose="phone", recipient=to)
        found: Pending | Proof | None = self._run(flow.current(**options))
        return found

    @property
    def code(self) -> str:
        return self.outbox.code()


@pytest.fixture(params=["sync", "async"])
def site(request: pytest.FixtureRequest) -> Iterator[Site]:
    if request.param == "sync":
        yield Site(run_sync, Verifier)
    else:
        with asyncio.Runner() as runner:
            yield Site(runner.run, AsyncVerifier)


# From beginning to end


def test_a_flow_from_start_to_redeem(site: Site) -> None:
    assert site("status").state == State("none")
    outcome = site("start", "+372 5678 9045")
    assert (outcome.page, outcome.notice, outcome.saved) == (Page.CODE, None, True)
    assert outcome.challenge is not None
    assert outcome.pending is not None
    assert outcome.pending.subject == PHONE
    assert outcome.state == State("pending", 600, 60, 5, "sent") or outcome.state
    outcome = site("check", site.code)
    assert (outcome.page, outcome.repeated) == (Page.NEXT, False)
    assert outcome.verified is not None
    assert outcome.verified.phone == PHONE
    assert outcome.state == State("verified")
    assert outcome.proof == site.current()
    outcome = site("redeem")
    assert outcome.verified is not None
    assert outcome.verified.phone == PHONE
    assert site.session == {}
    assert isinstance(site("redeem").error, ProofRequired), "a proof serves once"


def test_an_incorrect_code_counts_down_and_the_last_one_ends_it(site: Site) -> None:
    site("start", PHONE)
    outcome = site("check", "letters")
    assert (outcome.page, outcome.saved) == (Page.CODE, False)
    assert outcome.notice is not None
    assert outcome.notice.field == "code"
    for left in (4, 3, 2, 1):
        outcome = site("check", wrong(site.code, left))
        assert isinstance(outcome.error, IncorrectCode)
        assert (outcome.page, outcome.state and outcome.state.attempts_left) == (Page.CODE, left)
    outcome = site("check", wrong(site.code))
    assert (outcome.page, outcome.state) == (Page.FIRST, State("none"))
    assert isinstance(outcome.error, IncorrectCode)
    assert outcome.notice is not None
    assert "Too many" in str(outcome.notice.sentence)
    assert site.session == {}


def test_resend(site: Site, clock: FrozenDateTimeFactory) -> None:
    site("start", PHONE)
    outcome = site("resend")
    assert isinstance(outcome.error, CooldownActive)
    assert (outcome.page, outcome.saved) == (Page.CODE, False)
    assert outcome.pending is not None
    assert outcome.pending.resend_in == 60
    clock.tick(60)
    site("check", wrong(site.code))
    outcome = site("resend")
    assert outcome.notice is not None
    assert not outcome.notice.error
    assert outcome.state == State("pending", 600, 60, 4, "sent")
    assert site("check", site.code).page is Page.NEXT


def test_cancel_voids_a_code_and_a_proof(site: Site) -> None:
    site.set_up(policy=Policy(resend_cooldown_seconds=0))
    site("start", PHONE)
    before = copy.deepcopy(site.session)
    outcome = site("cancel")
    assert (outcome.page, outcome.state, site.session) == (Page.FIRST, State("none"), {})
    assert isinstance(site("check", site.code, session=before).error, ChallengeExpired)
    site("start", PHONE)
    site("check", site.code)
    before = copy.deepcopy(site.session)
    site("cancel")
    assert isinstance(site("redeem", session=before).error, ProofRequired)
    assert site("cancel").error is None, "nothing to cancel is cancelled"


def test_status_says_what_reports_say(
    site: Site, monkeypatch: pytest.MonkeyPatch, clock: FrozenDateTimeFactory
) -> None:
    site("start", PHONE)

    def delivered(*_: object, **__: object) -> DeliveryStatus:
        return DeliveryStatus.DELIVERED

    monkeypatch.setattr(site.verifier, "status", delivered)
    state = site("status").state
    assert state is not None
    assert (state.delivery, state.resend_in) == ("delivered", 60)


@pytest.mark.parametrize("status", [status for status in DeliveryStatus if status.failed])
def test_after_a_failed_message_there_is_nothing_to_wait_for(
    site: Site,
    monkeypatch: pytest.MonkeyPatch,
    clock: FrozenDateTimeFactory,
    status: DeliveryStatus,
) -> None:
    site("start", PHONE)
    monkeypatch.setattr(site.verifier, "status", lambda *_, **__: status)
    outcome = site("status")
    assert outcome.state == State("pending", 600, 0, 5, status.value)
    assert outcome.pending is not None
    assert outcome.pending.resend_in == 0


def test_a_concealed_message_that_failed_shows_in_no_status(
    site: Site, clock: FrozenDateTimeFactory
) -> None:
    states = []
    for known in (True, False):
        site.set_up()
        site("start", PHONE, concealed=True, deliver=known)
        states.append(site("status", concealed=True).state)
    assert states == [State("pending", 600, 60, 5, "sent")] * 2


@pytest.mark.parametrize("origin", ["shop.example", None])
@pytest.mark.parametrize("language", sorted(languages()))
def test_a_whole_message_may_be_entered(site: Site, language: str, origin: str | None) -> None:
    for carried in ("{}", " {}\r\n", "one line"):
        site.set_up(messages=Messages(brand="Shop", origin=origin))
        site("start", PHONE, locale=language)
        text = site.outbox.last.text
        pasted = text.replace("\n", " ") if carried == "one line" else carried.format(text)
        assert site("check", pasted).page is Page.NEXT, carried


def test_a_message_with_two_codes_is_not_guessed_at(site: Site) -> None:
    site("start", PHONE)
    outcome = site("check", f"{site.code} or {wrong(site.code)} from the message")
    assert isinstance(outcome.error, IncorrectCode)
    assert outcome.error.attempts_left is None
    assert site("check", site.code).page is Page.NEXT


@pytest.mark.parametrize("ended", ["cancel", "check"])
def test_a_slow_resend_does_not_bring_back_a_challenge_that_ended(
    site: Site, monkeypatch: pytest.MonkeyPatch, ended: str
) -> None:
    """The session is one on the server, which two requests change at the same time."""
    site.set_up(policy=Policy(resend_cooldown_seconds=0))
    site("start", PHONE)
    code = site.code
    during = copy.deepcopy(site.session)
    renewed = site("resend").challenge
    site(ended, *([code] if ended == "check" else []))

    def resend(*_: object, **__: object) -> object:
        during.clear()
        during.update(site.session)
        return renewed

    monkeypatch.setattr(site.verifier, "resend", resend)
    outcome = site._run(Flow(site.verifier, during, purpose="phone").resend())
    assert not isinstance(load_entry(during, "phone"), Pending)
    assert isinstance(outcome.error, ChallengeExpired)
    assert not outcome.saved


def test_no_session_has_no_flow(site: Site) -> None:
    for operation, args in (("check", ["123456"]), ("resend", [])):
        outcome = site(operation, *args)
        assert isinstance(outcome.error, ChallengeExpired)
        assert (outcome.page, outcome.state) == (Page.FIRST, State("none"))


def test_purposes_do_not_mix(site: Site) -> None:
    site("start", PHONE)
    assert isinstance(site("check", site.code, purpose="login").error, ChallengeExpired)
    assert site("check", site.code).page is Page.NEXT
    assert isinstance(site("redeem", purpose="login").error, ProofRequired)


@pytest.mark.parametrize(
    "rubbish",
    [1, [], "x", {"challenge": "x"}, {"pending": 1}, {"proof": "x", "challenge": "y"}],
)
def test_a_session_that_holds_anything_else_holds_nothing(site: Site, rubbish: object) -> None:
    site.session["otpverify.phone"] = rubbish
    assert site("status").state == State("none")
    assert site("start", PHONE).page is Page.CODE


# Recipients and bindings


def test_the_session_holds_no_phone_that_was_not_typed(site: Site) -> None:
    site("start", ACCOUNT)
    code = site.code
    assert PHONE[3:] not in str(site.session)
    site("check", code, to=ACCOUNT)
    assert PHONE[3:] not in str(site.session)
    assert code not in str(site.session)


def test_recipients_are_found_by_their_subject(site: Site) -> None:
    asked: list[str] = []

    def find(subject: str) -> Recipient | None:
        asked.append(subject)
        return ACCOUNT if subject == ACCOUNT.subject else None

    site("check", "123456", to=find)
    assert asked == [], "nothing is looked up for nothing"
    site("start", ACCOUNT, to=find)
    assert site("check", site.code, to=find).page is Page.NEXT
    assert site("redeem", to=find).verified is not None
    assert set(asked) == {ACCOUNT.subject}


def test_an_asynchronous_hook_is_awaited_or_refused(site: Site) -> None:
    async def find(subject: str) -> Recipient | None:
        await asyncio.sleep(0)
        return ACCOUNT

    site("start", ACCOUNT)
    if isinstance(site.verifier, Verifier):
        with pytest.raises(RuntimeError):
            site("check", site.code, to=find)
    else:
        assert site("check", site.code, to=find).page is Page.NEXT


def test_another_account_inherits_nothing(site: Site) -> None:
    other = Recipient(OTHER_PHONE, "account 8")
    site("start", ACCOUNT)
    assert isinstance(site("check", site.code, to=other).error, ChallengeExpired)
    assert site("status", to=other).state == State("none")
    site("check", site.code, to=ACCOUNT)
    assert isinstance(site("redeem", to=other).error, ProofRequired)
    assert site.current(to=other) is None
    moved = replace(ACCOUNT, phone=OTHER_PHONE)
    assert isinstance(site("redeem", to=moved).error, ProofRequired), "the phone is another one now"


def test_a_code_and_a_proof_serve_one_binding(site: Site) -> None:
    dearer = replace(PAYMENT, binding={"amount": "999999.00 EUR", "payee": "Bob"})
    swapped = replace(PAYMENT, binding={"payee": "Bob", "amount": "25.00 EUR"})
    site("start", to=PAYMENT)
    assert "25.00 EUR" in site.outbox.last.text
    for other in (dearer, ACCOUNT):
        outcome = site("check", site.code, to=other)
        assert isinstance(outcome.error, ChallengeExpired)
    outcome = site("check", site.code, to=swapped)
    assert outcome.page is Page.NEXT, "no attempt was lost, and the order is of no account"
    for other in (dearer, ACCOUNT):
        assert isinstance(site("redeem", to=other).error, ProofRequired)
    forged = copy.deepcopy(site.session)
    forged["otpverify.phone"]["bound"] = dearer.bound
    assert isinstance(site("redeem", to=dearer, session=forged).error, ProofRequired)
    assert site("redeem", to=PAYMENT).verified is not None


def test_what_is_awaited_for_another_recipient_is_left_alone(site: Site) -> None:
    site("start", PHONE)
    outcome = site("start", "12")
    assert isinstance(outcome.error, InvalidPhoneNumber)
    assert (outcome.page, outcome.state) == (Page.FIRST, None)
    assert outcome.notice is not None
    assert outcome.notice.field == "phone"
    assert site("check", site.code).page is Page.NEXT


# Proofs


def test_a_proof_has_an_age(site: Site, clock: FrozenDateTimeFactory) -> None:
    site("start", PHONE)
    site("check", site.code)
    clock.tick(31)
    assert site.current(max_age=30) is None
    assert isinstance(site("redeem", max_age=30).error, ProofRequired)
    assert isinstance(site.current(), Proof)
    before = copy.deepcopy(site.session)
    assert site("redeem", max_age=32).verified is not None
    clock.tick(570)
    assert isinstance(site("redeem", session=before).error, ProofRequired)
    site.session = before
    assert site.current() is None, "the policy's age for proofs"
    assert site("status").state == State("none")


def test_a_week_old_cookie_looks_up_no_account(site: Site, clock: FrozenDateTimeFactory) -> None:
    site("start", ACCOUNT)
    site("check", site.code, to=ACCOUNT)
    clock.tick(7 * 86400)
    asked: list[str] = []
    assert site.current(to=asked.append) is None
    assert asked == []


def test_signing_in_drops_what_was_planted(site: Site) -> None:
    site("start", PHONE)
    site("check", site.code)
    site("start", OTHER_PHONE, purpose="login")
    site.session["cart"] = [1]
    kept = copy.deepcopy(site.session)
    forget_flows(kept, "login")
    assert set(kept) == {"cart", "otpverify.login"}
    forget_flows(site.session)
    assert site.session == {"cart": [1]}


def test_a_new_start_drops_an_earlier_proof(site: Site) -> None:
    site("start", PHONE)
    site("check", site.code)
    site("start", OTHER_PHONE)
    assert isinstance(site("redeem").error, ProofRequired)


# Requests that come twice


def test_a_code_sent_twice_with_a_session_on_the_server(site: Site) -> None:
    site("start", PHONE)
    site("check", site.code)
    outcome = site("check", site.code)
    assert outcome.repeated
    assert (outcome.page, outcome.error, outcome.saved) == (Page.NEXT, None, False)
    assert outcome.state == State("verified")
    assert site("redeem").verified is not None


def test_a_code_sent_twice_with_a_cookie(site: Site) -> None:
    for policy in (Policy(resend_cooldown_seconds=0), Policy(max_attempts=1)):
        site.set_up(policy=policy)
        site.session = {}
        site("start", PHONE)
        cookie = copy.deepcopy(site.session)
        assert site("check", site.code).page is Page.NEXT
        old = copy.deepcopy(cookie)
        outcome = site("check", site.code, session=old)
        assert isinstance(outcome.error, ChallengeExpired | AttemptsExhausted)
        assert not outcome.saved, "its reply must not set the session"
        assert site("status").state == State("verified")
        assert site("redeem").verified is not None


def test_other_requests_with_the_old_cookie_write_nothing_either(
    site: Site, clock: FrozenDateTimeFactory
) -> None:
    site("start", PHONE)
    cookie = copy.deepcopy(site.session)
    site("check", site.code)
    clock.tick(61)
    for operation in ("status", "resend"):
        outcome = site(operation, session=copy.deepcopy(cookie))
        assert not outcome.saved
        assert outcome.state == State("none")
    assert site("redeem").verified is not None


def test_a_start_sent_twice(site: Site) -> None:
    assert site("start", PHONE).saved
    outcome = site("start", PHONE)
    assert isinstance(outcome.error, CooldownActive)
    assert (outcome.page, outcome.saved) == (Page.CODE, False)
    outcome = site("start", PHONE, session={})
    assert isinstance(outcome.error, CooldownActive)
    assert (outcome.page, outcome.saved) == (Page.FIRST, False)
    assert site("check", site.code).page is Page.NEXT


def test_a_start_within_the_cooldown_of_another_device_waits(
    site: Site, clock: FrozenDateTimeFactory
) -> None:
    site("start", PHONE)
    clock.tick(61)
    site("start", PHONE, session={})
    outcome = site("start", PHONE)
    assert outcome.page is Page.CODE
    assert outcome.pending is not None
    assert outcome.pending.resend_in == 60


def test_a_proof_redeemed_twice(site: Site) -> None:
    site("start", PHONE)
    site("check", site.code)
    cookie = copy.deepcopy(site.session)
    site("redeem")
    outcome = site("redeem", session=cookie)
    assert isinstance(outcome.error, ProofRequired)
    assert not outcome.saved


# Failures


@pytest.mark.parametrize("maybe_sent", [True, False])
def test_a_code_that_may_arrive_has_its_page(site: Site, maybe_sent: bool) -> None:
    site.outbox.fail_with = DeliveryUnavailable("Away.", maybe_sent=maybe_sent)
    outcome = site("start", PHONE)
    assert (outcome.page, outcome.saved) == (Page.CODE, True)
    assert outcome.pending is not None
    assert outcome.pending.delivery is (Delivery.MAYBE if maybe_sent else Delivery.NOT_SENT)
    assert outcome.reply().status == 503
    site.outbox.fail_with = None
    if not maybe_sent:
        outcome = site("resend")
        assert outcome.notice is not None
        assert str(outcome.notice.sentence) == "A code is on its way."
        assert site("check", site.code).page is Page.NEXT


def test_a_rejected_message_has_no_challenge(site: Site) -> None:
    site.outbox.fail_with = DeliveryRejected("No.", provider_code="invalid_phone_number")
    outcome = site("start", PHONE)
    assert (outcome.page, outcome.state, outcome.saved) == (Page.FIRST, State("none"), False)
    assert outcome.notice is not None
    assert outcome.notice.field == "phone"


def test_a_resend_that_fails_leaves_what_is_out(site: Site, clock: FrozenDateTimeFactory) -> None:
    site.set_up(policy=Policy(sends_per_phone=(Limit(2, 3600),), resend_cooldown_seconds=0))
    site("start", PHONE)
    first = site.code
    site.outbox.fail_with = DeliveryUnavailable("Away.", maybe_sent=True)
    outcome = site("resend")
    assert outcome.pending is not None
    assert outcome.pending.delivery is Delivery.SENT
    outcome = site("resend")
    assert isinstance(outcome.error, RateLimited)
    assert outcome.pending is not None
    assert outcome.pending.resend_in == 3600
    assert not outcome.saved
    assert site("check", first).page is Page.NEXT


@pytest.mark.parametrize("operation", ["start", "resend", "check", "cancel", "status", "redeem"])
def test_a_store_that_is_away_changes_nothing_and_is_logged(
    site: Site, operation: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def away(*_: object, **__: object) -> None:
        raise StoreError("The store is away.")

    if operation != "start":
        site("start", PHONE)
    if operation == "redeem":
        site("check", site.code)
    before = copy.deepcopy(site.session)
    args = {"start": [PHONE], "check": ["123456"]}.get(operation, [])
    monkeypatch.setattr(site.verifier, operation, away)
    with caplog.at_level(logging.WARNING):
        outcome = site(operation, *args)
    assert isinstance(outcome.error, StoreError)
    assert site.session == before
    assert outcome.reply().status == 503
    assert "The store is away" in caplog.text


@pytest.mark.parametrize("operation", ["start", "resend", "check"])
def test_the_program_s_fault_is_raised(
    site: Site, operation: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise ConfigurationError("Set up wrongly.")

    site("start", PHONE)
    monkeypatch.setattr(site.verifier, operation, refuse)
    with pytest.raises(ConfigurationError, match="Set up wrongly"):
        site(operation, *{"start": [PHONE], "check": ["123456"]}.get(operation, []))


def test_a_start_says_for_whom(site: Site) -> None:
    with pytest.raises(ConfigurationError, match="for whom"):
        site("start")
    with pytest.raises(ConfigurationError, match="deliver"):
        site("start", PHONE, concealed=True)
    with pytest.raises(ConfigurationError, match="deliver"):
        site("start", PHONE, deliver=False)


# Concealed


@pytest.mark.parametrize(
    "failure",
    [
        None,
        DeliveryRejected("No.", provider_code="invalid_phone_number"),
        DeliveryUnavailable("Away.", maybe_sent=False),
        DeliveryUnavailable("Late.", maybe_sent=True),
        ValueError("A fault of the sender."),
    ],
    ids=repr,
)
def test_nobody_learns_who_has_an_account(
    site: Site, failure: Any, clock: FrozenDateTimeFactory
) -> None:
    def has_account(phone: str) -> bool:
        return phone == PHONE

    def seen(phone: str) -> list[str]:
        session: dict[str, Any] = {}
        found = []
        conceal: dict[str, Any] = {"deliver": has_account}
        for _ in range(6):
            for operation, args, options in (
                ("start", [phone], conceal),
                ("status", [], {}),
                ("resend", [], {}),
                ("check", ["letters"], {}),
                ("check", ["00"], {}),
            ):
                outcome = site(operation, *args, session=session, concealed=True, **options)
                reply = outcome.reply()
                held = json.dumps(session)
                entry = outcome.entry
                if isinstance(entry, Pending):
                    held = held.replace(entry.challenge, "<challenge>")
                found.append(f"{outcome!r} {reply.body} {reply} {outcome.notice} {held}")
            clock.tick(61)
        return [text.replace(phone, "<phone>") for text in found]

    site.outbox.fail_with = failure
    frozen = clock.time_to_freeze
    known = seen(PHONE)
    clock.move_to(frozen)
    assert known == seen(OTHER_PHONE)


def test_an_unknown_account_gets_no_message(site: Site) -> None:
    outcome = site("start", PHONE, concealed=True, deliver=False)
    assert outcome.page is Page.CODE
    assert len(site.outbox) == 0


# For programs


def test_replies_for_programs(site: Site, clock: FrozenDateTimeFactory) -> None:
    reply = site("start", PHONE).reply()
    assert (reply.status, reply.headers["Content-Type"]) == (202, "application/json")
    assert reply.body == {
        "state": "pending",
        "expires_in": 600,
        "resend_in": 60,
        "attempts_left": 5,
        "delivery": "sent",
    }
    reply = site("resend").reply(lambda sentence: f"<{sentence}>")
    assert (reply.status, reply.headers["Retry-After"]) == (429, "60")
    assert reply.headers["Content-Type"] == "application/problem+json"
    assert reply.headers["Cache-Control"] == "no-store"
    assert reply.body["type"] == "urn:otpverify:problem:cooldown-active"
    assert reply.body["detail"].startswith("<")
    assert reply.body["flow"]["resend_in"] == 60
    reply = site("check", wrong(site.code)).reply()
    assert (reply.status, reply.body["attempts_left"]) == (400, 4)
    assert site("redeem").reply().body["type"] == "urn:otpverify:problem:proof-required"
    assert site("check", site.code).reply().body["state"] == "verified"
    assert site("status").reply().status == 200
    assert site("cancel").reply().body["state"] == "none"
    assert "flow" not in replace(site("check", "1"), elsewhere=True).reply().body


def test_an_outcome_can_be_raised(site: Site) -> None:
    assert site("start", PHONE).raised().challenge is not None
    with pytest.raises(CooldownActive):
        site("start", PHONE).raised()


@pytest.mark.parametrize(
    "error",
    [CooldownActive(retry_after=59), IncorrectCode(attempts_left=1), ChallengeExpired()],
    ids=repr,
)
def test_a_notice_is_carried_as_json(error: OtpVerifyError) -> None:
    notice = Notice.of(error)
    assert Notice.load(json.loads(json.dumps(notice.dump()))) == notice
    text, parts = notice.translated()
    assert "".join(parts) == text
    assert bool(parts[1]) is isinstance(error, CooldownActive)


@pytest.mark.parametrize(
    "rubbish",
    [
        None,
        {},
        {"sentence": {"text": 1}, "wait": 0, "field": ""},
        {"sentence": {"text": ""}, "wait": 0, "field": ""},
        {"sentence": {"text": "x", "params": {"when": {"text": 1}}}, "wait": 0, "field": ""},
        {"sentence": {"text": "x"}, "wait": "0", "field": ""},
        {"sentence": {"text": "x"}, "wait": 0, "field": "other"},
    ],
)
def test_no_other_notice_is_read(rubbish: object) -> None:
    assert Notice.load(rubbish) is None


WAITING = {"challenge": "a", "subject": "7", "bound": "", "expires_at": 9e9, "resend_at": 1}
WAITING |= {"attempts_left": 5, "delivery": 2}
PROVEN = {"proof": "a", "challenge": "a", "subject": "7", "bound": "", "verified_at": 9e9}
NO_NUMBERS: list[object] = [None, "5", True, -1, float("nan"), float("inf"), 10**400, [], {}]


@pytest.mark.parametrize("value", NO_NUMBERS, ids=lambda value: repr(value)[:20])
def test_no_other_entry_is_read(value: object) -> None:
    assert Pending.load(WAITING) is not None
    for name in ("expires_at", "resend_at", "attempts_left", "delivery", "subject"):
        assert Pending.load({**WAITING, name: value if name != "subject" else 5}) is None
    assert Proof.load(PROVEN) is not None
    assert Proof.load({**PROVEN, "verified_at": value}) is None
    assert Pending.load(value) is None
    assert Proof.load(value) is None


def test_nothing_shows_a_number_a_code_or_a_proof(site: Site) -> None:
    shown = [repr(ACCOUNT), repr(site("start", PHONE))]
    shown += [repr(load_entry(site.session, "phone"))]
    code = site.code
    outcome = site("check", code)
    assert outcome.proof is not None
    proof = outcome.proof.proof
    shown += [repr(outcome), repr(outcome.proof), repr(outcome.reply())]
    for text in shown:
        for secret in (PHONE, PHONE[4:], code, proof, proof[:24]):
            assert secret not in text
