"""Remembered browsers: what a cookie is valid for, and what a stranger can make of it."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from freezegun.api import FrozenDateTimeFactory
from hypothesis import given, strategies as st
from support import OTHER_PHONE, OTHER_SECRET, PHONE, QUICK, SECRET

from otpverify import AsyncVerifier, ConfigurationError, MemoryStore, Verifier
from otpverify.integrations.web.remembered import MOST_ACCOUNTS, RememberedBrowsers
from otpverify.testing import OutboxSender

DAY = 86_400
FACTS = {"auth_hash": "hash 1", "phone": PHONE}


def browsers(secret: Any = SECRET, *, days: int = 30, purpose: str = "login") -> RememberedBrowsers:
    verifier = Verifier(OutboxSender(), store=MemoryStore(), secret=secret, hasher=QUICK)
    return RememberedBrowsers(verifier, days=days, purpose=purpose)


COOKIE = browsers().remember("7", **FACTS)


def test_a_browser_is_remembered_for_its_days(clock: FrozenDateTimeFactory) -> None:
    site = browsers(days=2)
    cookie = site.remember("7", **FACTS)
    found = site.find(cookie, "7", **FACTS)
    assert found is not None
    assert (found.until - found.since).days == 2
    clock.tick(2 * DAY - 1)
    assert site.find(cookie, "7", **FACTS) == found
    clock.tick(1)
    assert site.find(cookie, "7", **FACTS) is None


def test_fewer_days_apply_to_earlier_cookies(clock: FrozenDateTimeFactory) -> None:
    cookie = browsers(days=30).remember("7", **FACTS)
    clock.tick(7 * DAY)
    assert browsers(days=30).find(cookie, "7", **FACTS)
    assert browsers(days=7).find(cookie, "7", **FACTS) is None


@pytest.mark.parametrize(
    ("account", "facts"),
    [
        ("8", {}),
        ("7", {"auth_hash": "hash 2"}),
        ("7", {"phone": OTHER_PHONE}),
        ("7", {"phone": None}),
    ],
    ids=["another account", "a new password", "another phone", "no phone"],
)
def test_a_cookie_is_for_one_account_as_it_is(account: str, facts: dict[str, Any]) -> None:
    assert browsers().find(COOKIE, account, **{**FACTS, **facts}) is None


def test_a_cookie_is_for_one_purpose() -> None:
    assert browsers(purpose="admin").find(COOKIE, "7", **FACTS) is None


def test_another_spelling_of_the_phone_is_the_same_phone() -> None:
    assert browsers().find(COOKIE, "7", auth_hash="hash 1", phone="+372 5678 9045")


def test_an_older_hash_is_accepted_where_the_site_gives_it() -> None:
    assert browsers().find(COOKIE, "7", auth_hash=["hash 2", "hash 1"], phone=PHONE)


def test_secrets_rotate() -> None:
    assert browsers([OTHER_SECRET, SECRET]).find(COOKIE, "7", **FACTS)
    assert browsers(OTHER_SECRET).find(COOKIE, "7", **FACTS) is None


def test_the_async_verifier_accepts_the_same_cookie() -> None:
    verifier = AsyncVerifier(OutboxSender(), secret=SECRET, hasher=QUICK)
    assert RememberedBrowsers(verifier, days=30).find(COOKIE, "7", **FACTS)


def test_a_browser_is_remembered_for_several_accounts() -> None:
    site, cookie = browsers(), None
    for account in "123":
        cookie = site.remember(account, cookie=cookie, **FACTS)
    assert all(site.find(cookie, account, **FACTS) for account in "123")
    again = site.remember("2", cookie=cookie, **FACTS)
    assert again.count(".") == 2  # the account's earlier stamp is replaced
    forgotten = site.forget(again, "2", **FACTS)
    assert [bool(site.find(forgotten, account, **FACTS)) for account in "123"] == [
        True,
        False,
        True,
    ]
    for account in "456789":
        cookie = site.remember(account, cookie=cookie, **FACTS)
    assert cookie is not None
    assert cookie.count(".") == MOST_ACCOUNTS - 1
    assert not site.find(cookie, "1", **FACTS)


def test_forgetting_the_last_account_leaves_nothing() -> None:
    assert browsers().forget(COOKIE, "7", **FACTS) == ""


def test_a_cookie_shows_neither_account_nor_phone_nor_hash() -> None:
    cookie = browsers().remember("account-name", auth_hash="hash-text", phone=PHONE)
    raw = base64.urlsafe_b64decode(cookie + "==")
    for known in (b"account", b"hash", PHONE.encode(), PHONE[1:].encode()):
        assert known not in raw
        assert known not in cookie.encode()


@given(st.one_of(st.none(), st.text(), st.binary().map(repr)), st.integers(0, 45), st.characters())
def test_no_text_is_taken_but_the_cookie_itself(text: str | None, at: int, put: str) -> None:
    site = browsers()
    assert site.find(text, "7", **FACTS) is None
    assert site.forget(text, "7", **FACTS) is not None
    changed = COOKIE[:at] + put + COOKIE[at + 1 :]
    assert (site.find(changed, "7", **FACTS) is not None) == (changed == COOKIE)


@pytest.mark.parametrize("days", [0, -1, 366, "30", True])
def test_days_out_of_range_are_refused(days: Any) -> None:
    with pytest.raises(ConfigurationError, match="days"):
        browsers(days=days)


@pytest.mark.parametrize("facts", [("", "hash"), ("7", ""), ("7", []), (7, "hash")])
def test_a_site_that_passes_no_facts_is_refused(facts: tuple[Any, Any]) -> None:
    with pytest.raises(ConfigurationError, match="auth_hash"):
        browsers().find(COOKIE, facts[0], auth_hash=facts[1])
