"""Other ways in than a code by SMS, and what the session says of the step before."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from freezegun.api import FrozenDateTimeFactory
from hypothesis import given, strategies as st
from support import OTHER_SECRET, PHONE, QUICK, SECRET

from otpverify import ConfigurationError, IncorrectAnswer, Limit, RateLimited, Verifier
from otpverify.integrations.web import run_sync
from otpverify.integrations.web.other_ways import (
    OtherWay,
    available_ways,
    check_answer,
    check_ways,
)
from otpverify.integrations.web.sentences import Sentence
from otpverify.integrations.web.session import forget_flows
from otpverify.integrations.web.session_stamp import FIRST_STEP, REPROVED, SessionStamp
from otpverify.testing import OutboxSender

LABEL = Sentence("Use your authenticator app")


def verifier(secret: Any = SECRET) -> Verifier:
    return Verifier(OutboxSender(), secret=secret, hasher=QUICK)


def app(**options: Any) -> OtherWay:
    return OtherWay("app", LABEL, **{"check": lambda _, answer: answer == "right", **options})


def test_only_true_lets_in() -> None:
    site = verifier()
    run_sync(check_answer(site, app(), "7", "right"))
    for account, found in enumerate([False, None, 1, "right", object()]):
        way = app(check=lambda *_, found=found: found)
        with pytest.raises(IncorrectAnswer):
            run_sync(check_answer(site, way, str(account), "right"))


def test_guesses_are_counted_for_each_account_and_way() -> None:
    site, way = verifier(), app(limits=(Limit(2, 60),))
    for _ in range(2):
        with pytest.raises(IncorrectAnswer):
            run_sync(check_answer(site, way, "7", "wrong"))
    with pytest.raises(RateLimited):
        run_sync(check_answer(site, way, "7", "right"))
    run_sync(check_answer(site, way, "8", "right"))
    other = OtherWay("mail", LABEL, check=way.check, limits=way.limits)
    run_sync(check_answer(site, other, "7", "right"))


def test_an_answer_too_long_or_empty_is_not_judged() -> None:
    asked: list[str] = []
    way = app(check=lambda _, answer: asked.append(answer))
    for answer in ("", " \t", "x" * 257):
        with pytest.raises(IncorrectAnswer):
            run_sync(check_answer(verifier(), way, "7", answer))
    assert not asked


def test_an_account_has_the_ways_that_are_available_to_it() -> None:
    ways = [app(available=lambda account: account == "7"), OtherWay("key", LABEL, url="/passkey")]
    assert run_sync(available_ways(ways, "7")) == ways
    assert run_sync(available_ways(ways, "8")) == ways[1:]
    assert OtherWay("key", LABEL, url=lambda: "/made").address == "/made"


@pytest.mark.parametrize(
    "options",
    [
        {"name": "Two Words"},
        {"name": "../up"},
        {"name": ""},
        {"check": None},
        {"url": "/both"},
    ],
)
def test_a_way_that_cannot_be_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        OtherWay(**{"name": "app", "label": LABEL, "check": lambda *_: True, **options})


@pytest.mark.parametrize("ways", [[app(), app()], ["app"], [app(), None]])
def test_names_are_there_once(ways: Any) -> None:
    with pytest.raises(ConfigurationError):
        check_ways(ways)


class TestSessionStamp:
    FACTS = ("hash", PHONE)

    def stamp(self, session: Any, name: str = FIRST_STEP, secret: Any = SECRET) -> SessionStamp:
        return SessionStamp(verifier(secret), session, name)

    def test_it_is_valid_for_its_seconds(self, clock: FrozenDateTimeFactory) -> None:
        session: dict[str, Any] = {}
        self.stamp(session).save("7", *self.FACTS)
        assert self.stamp(session).account(lambda _: self.FACTS) == "7"
        clock.tick(600)
        assert self.stamp(session).account(lambda _: self.FACTS) is None

    @pytest.mark.parametrize(
        "facts",
        [
            ("new", PHONE),
            ("hash", None),
            ("hash", ""),
            ("hash",),
            ("hash", PHONE, None),
            (PHONE, "hash"),
        ],
    )
    def test_it_ends_when_a_fact_changes_also_in_old_copies(self, facts: Any) -> None:
        session: dict[str, Any] = {}
        self.stamp(session).save("7", *self.FACTS)
        assert self.stamp(copy.deepcopy(session)).account(lambda _: facts) is None

    def test_one_kind_is_never_another(self) -> None:
        session: dict[str, Any] = {}
        self.stamp(session).save("7")
        (entry,) = session.values()
        planted = {f"otpverify.stamp.{REPROVED}": entry}
        assert self.stamp(planted, REPROVED).account() is None
        assert self.stamp(session, secret=OTHER_SECRET).account() is None
        assert self.stamp(session, secret=[OTHER_SECRET, SECRET]).account() == "7"

    def test_an_entry_for_another_account_is_not_valid(self) -> None:
        session: dict[str, Any] = {}
        self.stamp(session).save("7")
        (entry,) = session.values()
        entry["account"] = "8"
        assert self.stamp(session).account() is None

    def test_it_goes_with_the_flows(self) -> None:
        session: dict[str, Any] = {}
        self.stamp(session).save("7")
        forget_flows(session)
        assert not session
        self.stamp(session).save("7")
        self.stamp(session).drop()
        assert not session

    @given(
        st.recursive(
            st.none() | st.text() | st.integers(),
            lambda x: st.dictionaries(st.sampled_from(["account", "stamp"]), x),
        )
    )
    def test_any_other_entry_is_none(self, entry: Any) -> None:
        assert self.stamp({f"otpverify.stamp.{FIRST_STEP}": entry}).account() is None
