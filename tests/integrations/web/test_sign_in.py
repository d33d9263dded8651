"""What follows a right code where people sign in by phone, synchronous and asynchronous."""

from __future__ import annotations

import asyncio
import copy
import logging
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import pytest
from freezegun.api import FrozenDateTimeFactory
from support import OTHER_PHONE, PHONE, QUICK, SECRET

from otpverify import (
    AsyncVerifier,
    ChallengeExpired,
    MemoryStore,
    StoreError,
    Verified,
    Verifier,
)
from otpverify.integrations.web import run_sync
from otpverify.integrations.web.flow import Flow
from otpverify.integrations.web.outcome import Page
from otpverify.integrations.web.problems import SignInRefused
from otpverify.integrations.web.sentences import SIGN_IN_REFUSED
from otpverify.integrations.web.session import Proof
from otpverify.integrations.web.sign_in import PURPOSE, SignedIn, SignIn, Standing
from otpverify.testing import OutboxSender


class Failing(MemoryStore):
    """A store that can be away."""

    away = False

    def redeem(self, *args: Any, **options: Any) -> Any:
        if self.away:
            raise StoreError("away")
        return super().redeem(*args, **options)


class Site:
    """A site with accounts, by number; those of `closed` may not sign in."""

    def __init__(
        self, run: Callable[[Coroutine[Any, Any, Any]], Any], kind: Any, asynchronous: bool
    ) -> None:
        self.run = run
        self.outbox = OutboxSender()
        self.store = Failing()
        self.verifier = kind(self.outbox, secret=SECRET, hasher=QUICK, store=self.store)
        self.accounts: list[tuple[str, str]] = []
        self.closed: set[str] = set()
        self.session: dict[str, Any] = {}
        self.asynchronous = asynchronous

    def port(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """A function of the site, asynchronous where the site is."""
        if not self.asynchronous:
            return function

        async def wrapped(*args: Any) -> Any:
            await asyncio.sleep(0)
            return function(*args)

        return wrapped

    def find(self, phone: str) -> list[str]:
        return [name for name, number in self.accounts if number == phone]

    def create(self, verified: Verified) -> str | None:
        """As a database with a unique phone does it."""
        if self.find(verified.phone):
            return None
        self.accounts.append((f"account {len(self.accounts) + 1}", verified.phone))
        return self.accounts[-1][0]

    def sign_in(self, sign_up: bool, session: dict[str, Any] | None = None) -> SignIn[str]:
        held = self.session if session is None else session
        flow = Flow(self.verifier, held, purpose=PURPOSE, concealed=not sign_up)
        return SignIn(
            flow,
            find=self.port(self.find),
            may_sign_in=self.port(lambda account: account not in self.closed),
            sign_up=sign_up,
        )

    def begin(
        self, phone: str = PHONE, *, sign_up: bool = False, session: dict[str, Any] | None = None
    ) -> None:
        """Send a code, and enter it."""
        one = self.sign_in(sign_up, session)
        deliver = None if sign_up else one.exists
        assert self.run(one.flow.start(phone, deliver=deliver)).error is None
        checked = self.run(one.flow.check(self.outbox.code(phone)))
        assert checked.verified is not None

    def finish(
        self,
        *,
        sign_up: bool = False,
        session: dict[str, Any] | None = None,
        create: bool | Callable[[Verified], Any] = True,
        hold: Callable[[str], Any] | None = None,
    ) -> SignedIn[str]:
        made = self.create if create is True else create
        found: SignedIn[str] = self.run(
            self.sign_in(sign_up, session).finish(
                self.port(made) if callable(made) else None,
                self.port(hold) if hold is not None else None,
            )
        )
        return found


@pytest.fixture(params=["sync", "async"])
def site(request: pytest.FixtureRequest) -> Iterator[Site]:
    if request.param == "sync":
        yield Site(run_sync, Verifier, asynchronous=False)
    else:
        with asyncio.Runner() as runner:
            yield Site(runner.run, AsyncVerifier, asynchronous=True)


def test_an_account_is_signed_in_once(site: Site) -> None:
    site.accounts = [("alice", PHONE)]
    site.begin()
    earlier = copy.deepcopy(site.session)
    done = site.finish()
    assert (done.account, done.created, done.step) == ("alice", False, "signed_in")
    assert done.outcome.verified is not None
    assert done.outcome.verified.phone == PHONE
    assert site.session == {}
    for session in (site.session, earlier):  # the second is an old cookie
        again = site.finish(session=session)
        assert isinstance(again.outcome.error, ChallengeExpired)
        assert (again.account, again.step, again.outcome.page) == (None, "refused", Page.FIRST)


def test_nothing_is_signed_in_before_the_code(site: Site) -> None:
    site.accounts = [("alice", PHONE)]
    one = site.sign_in(sign_up=False)
    assert site.run(one.flow.start(PHONE, deliver=one.exists)).error is None
    assert site.run(one.current()) is None
    done = site.finish()
    assert isinstance(done.outcome.error, ChallengeExpired)
    assert done.outcome.pending is not None, "the code can still be entered"


@pytest.mark.parametrize(
    ("accounts", "closed", "sent"),
    [
        ([], set(), False),
        ([("alice", OTHER_PHONE)], set(), False),
        ([("alice", PHONE)], set(), True),
        ([("alice", PHONE)], {"alice"}, False),
        ([("alice", PHONE), ("bob", PHONE)], set(), False),
        ([("alice", PHONE), ("bob", PHONE)], {"alice"}, True),
        ([("alice", PHONE), ("bob", PHONE)], {"alice", "bob"}, False),
    ],
)
def test_a_concealed_flow_sends_only_to_one_account_that_may_sign_in(
    site: Site, accounts: list[tuple[str, str]], closed: set[str], sent: bool
) -> None:
    site.accounts, site.closed = [*accounts], closed
    one = site.sign_in(sign_up=False)
    outcome = site.run(one.flow.start(PHONE, deliver=one.exists))
    assert (outcome.page, outcome.error, outcome.saved) == (Page.CODE, None, True)
    assert bool(len(site.outbox)) == sent


@pytest.mark.parametrize("sign_up", [False, True])
@pytest.mark.parametrize(
    ("accounts", "closed"),
    [
        ([], set()),
        ([("alice", PHONE)], {"alice"}),
        ([("alice", PHONE), ("bob", PHONE)], set()),
    ],
)
def test_the_account_is_looked_up_again_after_the_code(
    site: Site, accounts: list[tuple[str, str]], closed: set[str], sign_up: bool
) -> None:
    """It may be closed, gone, or have a second one beside it by then."""
    site.accounts = [("alice", PHONE)]
    site.begin(sign_up=sign_up)
    site.accounts, site.closed = [*accounts], closed
    before = copy.deepcopy(site.session)
    if not accounts and sign_up:
        assert site.finish(sign_up=True).created
        return
    for _ in range(2):
        done = site.finish(sign_up=sign_up)
        assert isinstance(done.outcome.error, SignInRefused)
        assert (done.account, done.step) == (None, "refused")
        assert done.outcome.notice is not None
        assert done.outcome.notice.sentence == SIGN_IN_REFUSED
        assert done.outcome.page is Page.NEXT
        assert site.session == before, "the next page, and a repeat, find the same"
    site.accounts, site.closed = [("alice", PHONE)], set()
    assert site.finish(sign_up=sign_up).account == "alice", "the operator solved it"


def test_two_accounts_are_logged_without_the_number(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    site.accounts = [("alice", PHONE), ("bob", PHONE)]
    site.begin(sign_up=True)
    with caplog.at_level(logging.WARNING, "otpverify"):
        assert site.finish(sign_up=True).step == "refused"
    (said,) = (one for one in caplog.messages if "accounts" in one)
    assert said.startswith("2 accounts have the number ")
    assert PHONE not in said
    assert PHONE[4:] not in said


def test_a_new_number_gets_one_account(site: Site) -> None:
    site.begin(sign_up=True)
    match = site.run(site.sign_in(sign_up=True).current())
    assert match.standing is Standing.NEW
    waits = site.finish(sign_up=True, create=False)
    assert (waits.step, waits.account, waits.outcome.error) == ("sign_up", None, None)
    assert isinstance(waits.outcome.entry, Proof), "the proof waits for the site's form"
    earlier = copy.deepcopy(site.session)
    done = site.finish(sign_up=True)
    assert (done.account, done.created, done.step) == ("account 1", True, "signed_in")
    again = site.finish(sign_up=True, session=earlier)
    assert isinstance(again.outcome.error, ChallengeExpired)
    assert site.accounts == [("account 1", PHONE)]


def test_two_people_who_sign_up_with_one_number_have_one_account(site: Site) -> None:
    """Both looked, and found none; the database's unique phone lets one in."""
    site.begin(sign_up=True)

    def create(verified: Verified) -> str | None:
        site.accounts.append(("rival", verified.phone))  # the other request is faster
        return site.create(verified)

    done = site.finish(sign_up=True, create=create)
    assert (done.account, done.created, done.step) == ("rival", False, "signed_in")
    assert site.accounts == [("rival", PHONE)]


@pytest.mark.parametrize("rivals", [0, 2], ids=["an e-mail address", "the phone, twice"])
def test_nobody_is_signed_in_if_the_account_cannot_be_created(site: Site, rivals: int) -> None:
    """Another request took a value. If the number is still new, the person can begin again."""
    site.begin(sign_up=True)

    def create(verified: Verified) -> str | None:
        site.accounts += [(f"rival {nth}", verified.phone) for nth in range(rivals)]
        return None

    done = site.finish(sign_up=True, create=create)
    assert isinstance(done.outcome.error, SignInRefused if rivals else ChallengeExpired)
    assert (done.account, done.outcome.page, done.outcome.saved) == (None, Page.FIRST, True)
    assert site.session == {}, "the proof is used up"


def test_the_site_may_ask_for_more_before_it_signs_an_account_in(site: Site) -> None:
    """Such as the password, where the number may belong to another person by now."""
    site.accounts = [("alice", PHONE)]
    site.begin()
    asked: list[str] = []

    def hold(account: str) -> str | None:
        asked.append(account)
        return "the password, please" if len(asked) < 3 else None

    for _ in range(2):
        held = site.finish(hold=hold)
        assert (held.step, held.held) == ("held", "the password, please")
        assert held.outcome.verified is None
        assert isinstance(held.outcome.entry, Proof)
    done = site.finish(hold=hold)
    assert (done.step, done.account) == ("signed_in", "alice")
    assert asked == ["alice"] * 3


def test_a_proof_outlives_a_store_that_is_away(site: Site) -> None:
    site.accounts = [("alice", PHONE)]
    site.begin()
    site.store.away = True
    done = site.finish()
    assert isinstance(done.outcome.error, StoreError)
    assert (done.account, done.outcome.page) == (None, Page.NEXT)
    site.store.away = False
    assert site.finish().account == "alice"


def test_a_proof_that_is_too_old_signs_nobody_in(site: Site, clock: FrozenDateTimeFactory) -> None:
    site.accounts = [("alice", PHONE)]
    site.begin()
    clock.tick(601)
    assert isinstance(site.finish().outcome.error, ChallengeExpired)
    assert site.run(site.sign_in(sign_up=False).current()) is None


def test_a_proof_for_another_purpose_signs_nobody_in(site: Site) -> None:
    site.accounts = [("alice", PHONE)]
    flow = Flow(site.verifier, site.session, purpose="phone")
    site.run(flow.start(PHONE))
    site.run(flow.check(site.outbox.code(PHONE)))
    planted = {f"otpverify.{PURPOSE}": site.session["otpverify.phone"]}
    assert isinstance(site.finish(session=planted).outcome.error, ChallengeExpired)


@pytest.mark.parametrize("found", [None, [], (), "alice", ["alice"], ("alice",), [None, "alice"]])
def test_accounts_are_a_list_one_or_none(site: Site, found: Any) -> None:
    flow = Flow(site.verifier, {}, purpose=PURPOSE)
    match = site.run(SignIn(flow, find=site.port(lambda _: found)).match(PHONE))
    known = bool(found)
    assert match.account == ("alice" if known else None)
    assert match.standing is (Standing.KNOWN if known else Standing.REFUSED)


def test_the_reply_for_programs(site: Site) -> None:
    def reply(**options: Any) -> tuple[int, Any, Any]:
        made = site.finish(sign_up=True, **options).reply()
        assert made.headers["Cache-Control"] == "no-store"
        return made.status, made.body.get("type", made.body.get("state")), made.body["sign_in"]

    assert reply() == (410, "urn:otpverify:problem:challenge-expired", "refused")
    site.begin(sign_up=True)
    assert reply(create=False) == (200, "verified", "sign_up")
    assert reply() == (200, "none", "signed_in")
    site.begin(OTHER_PHONE, sign_up=True)
    site.accounts.append(("bob", OTHER_PHONE))
    assert reply(hold=lambda account: account) == (200, "verified", "held")
    site.closed = {"bob"}
    refused = site.finish(sign_up=True).reply()
    assert (refused.status, refused.body["title"]) == (403, "Sign-in refused")
    assert refused.body["detail"] == str(SIGN_IN_REFUSED)
    assert refused.body["flow"]["state"] == "verified"
