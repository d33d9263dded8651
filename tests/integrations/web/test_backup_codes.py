"""Backup codes: drawn, stored, used once, and not to be guessed, also by many at once."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from functools import partial
from typing import Any

import pytest
from freezegun.api import FrozenDateTimeFactory
from hypothesis import given, strategies as st
from servers import Server, binary
from support import OTHER_SECRET, QUICK, SECRET

from otpverify import (
    AsyncVerifier,
    ConfigurationError,
    HmacHasher,
    IncorrectAnswer,
    MemoryStore,
    RateLimited,
    RedisStore,
    StoreError,
    Verifier,
)
from otpverify.integrations.web import run_sync
from otpverify.integrations.web.attempts import ANSWER_LIMITS
from otpverify.integrations.web.backup_codes import (
    BackupCodes,
    MemoryBackupCodes,
    read_backup_code,
)
from otpverify.integrations.web.other_ways import available_ways, check_answer
from otpverify.testing import OutboxSender

WRONG = "00000-00000"
ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"


class Site:
    """Backup codes over one store and one storage."""

    def __init__(self, store: Any = None, storage: Any = None, secret: Any = SECRET) -> None:
        self.storage = MemoryBackupCodes() if storage is None else storage
        self.verifier = Verifier(OutboxSender(), store=store, secret=secret, hasher=QUICK)
        self.codes = BackupCodes(self.verifier, self.storage)

    def make(self, account: str = "7") -> list[str]:
        return run_sync(self.codes.make(account))

    def check(self, typed: str, account: str = "7") -> int:
        return run_sync(self.codes.check(account, typed))

    def left(self) -> int:
        return run_sync(self.codes.left("7"))


def test_each_code_is_accepted_once() -> None:
    site = Site()
    codes = site.make()
    assert len(set(codes)) == 10
    assert site.check(codes[0]) == site.left() == 9
    with pytest.raises(IncorrectAnswer):
        site.check(codes[0])
    assert site.left() == 9


def test_all_codes_of_a_list_are_right() -> None:
    site = Site()
    for code in site.make():
        site.check(code)
    assert site.left() == 0


def test_a_new_list_voids_the_old_one() -> None:
    site = Site()
    old, new = site.make(), site.make()
    with pytest.raises(IncorrectAnswer):
        site.check(old[0])
    assert site.check(new[0]) == 9


def test_voided_codes_are_gone() -> None:
    site = Site()
    code = site.make()[0]
    run_sync(site.codes.void("7"))
    with pytest.raises(IncorrectAnswer):
        site.check(code)


@given(st.data())
def test_a_code_is_read_however_people_type_it(data: st.DataObject) -> None:
    code = data.draw(st.text(ALPHABET, min_size=10, max_size=10))
    typed = ""
    for one in code:
        spelled = {"0": "0oO", "1": "1iIlL"}.get(one, one + one.upper())
        gap = data.draw(st.sampled_from(["", "", "", " ", "-", "\u2011", "\u00a0"]))
        typed += gap + data.draw(st.sampled_from(spelled))
    assert read_backup_code(typed) == code


@given(st.one_of(st.text(), st.binary(), st.none(), st.integers()))
def test_other_input_is_never_an_error_of_ours(typed: Any) -> None:
    code = read_backup_code(typed)
    assert code is None or (len(code) == 10 and set(code) <= set(ALPHABET))


def test_input_that_cannot_be_a_code_costs_no_attempt() -> None:
    site = Site()
    code = site.make()[0]
    for typed in ["", "123456", "x" * 5000, "00000-0000", "uuuuu-uuuuu"] * 5:
        with pytest.raises(IncorrectAnswer):
            site.check(typed)
    assert site.check(code) == 9


def test_wrong_codes_are_counted_and_then_refused(clock: FrozenDateTimeFactory) -> None:
    site = Site()
    code = site.make()[0]
    for _ in range(ANSWER_LIMITS[0].count):
        with pytest.raises(IncorrectAnswer):
            site.check(WRONG)
    with pytest.raises(RateLimited) as caught:
        site.check(code)
    assert caught.value.scope == "other_ways"
    assert 0 < caught.value.retry_after <= ANSWER_LIMITS[0].seconds
    assert site.left() == 10
    clock.tick(caught.value.retry_after)
    assert site.check(code) == 9


def test_one_account_cannot_use_up_another_accounts_attempts() -> None:
    site = Site()
    code = site.make()[0]
    for _ in range(10):
        with pytest.raises((IncorrectAnswer, RateLimited)):
            site.check(WRONG, "8")
    assert site.check(code) == 9


def test_right_codes_are_not_counted() -> None:
    site = Site()
    for _ in range(3):
        for code in site.make():
            site.check(code)


def race(calls: Sequence[Any]) -> list[Any]:
    barrier = threading.Barrier(len(calls))

    def one(call: Any) -> Any:
        barrier.wait()
        try:
            return call()
        except (IncorrectAnswer, RateLimited) as error:
            return type(error)

    with ThreadPoolExecutor(len(calls)) as threads:
        return list(threads.map(one, calls))


def test_of_two_requests_with_one_code_one_is_right() -> None:
    storage = MemoryBackupCodes()
    for code in Site(storage=storage).make():
        site = Site(storage=storage)  # whose attempts are new
        found = race([partial(site.check, code)] * 4)
        assert sorted(map(str, found))[1:] == [str(IncorrectAnswer)] * 3, found


def test_a_storage_that_lost_the_race_lets_nobody_in() -> None:
    class Lost(MemoryBackupCodes):
        def remove(self, account: str, code: str) -> bool:
            super().remove(account, code)
            return False

    site = Site(storage=Lost())
    code = site.make()[0]
    with pytest.raises(IncorrectAnswer):
        site.check(code)


def test_many_processes_share_the_attempts() -> None:
    storage = MemoryBackupCodes()
    with ExitStack() as stack:
        server = stack.enter_context(Server(binary("valkey9")))
        stores = [RedisStore.from_url(server.url) for _ in range(8)]
        sites = [Site(stack.enter_context(closing(store)), storage) for store in stores]
        sites[0].make()
        found = race([partial(site.check, WRONG) for site in sites * 3])
    assert found.count(IncorrectAnswer) == ANSWER_LIMITS[0].count
    assert found.count(RateLimited) == 24 - ANSWER_LIMITS[0].count


def test_a_store_that_is_away_lets_nobody_in() -> None:
    class Away(MemoryStore):
        def reserve(self, *args: Any) -> Any:
            raise StoreError("away")

    site = Site(Away())
    code = site.make()[0]
    with pytest.raises(StoreError):
        site.check(code)
    assert site.left() == 10


def test_the_storage_holds_no_code_and_is_no_use_elsewhere() -> None:
    site = Site()
    codes = site.make()
    stored = site.storage.load("7")
    for text in stored:
        assert len(text) <= 80
        assert text.isascii()
        assert not any(code.replace("-", "") in text for code in codes)
    site.storage.replace("8", stored)  # a row that was copied to another account
    with pytest.raises(IncorrectAnswer):
        site.check(codes[0], "8")
    other = Site(storage=site.storage, secret=OTHER_SECRET)
    with pytest.raises(IncorrectAnswer):
        other.check(codes[0])
    rotated = Site(storage=site.storage, secret=[OTHER_SECRET, SECRET])
    assert rotated.check(codes[0]) == 9


def test_lists_have_salts_of_their_own() -> None:
    site = Site()
    site.make()
    first = {text.split(".")[1] for text in site.storage.load("7")}
    site.make()
    second = {text.split(".")[1] for text in site.storage.load("7")}
    assert len(first) == len(second) == 1
    assert first != second


@given(st.lists(st.text(max_size=90), max_size=5))
def test_a_storage_that_holds_anything_else_lets_nobody_in(rows: list[str]) -> None:
    site = Site()
    site.storage.replace("7", rows)
    with pytest.raises(IncorrectAnswer):
        site.check("12345-6789a")


def test_it_works_with_the_async_verifier_and_an_async_storage() -> None:
    inner = MemoryBackupCodes()

    class Storage:
        async def load(self, account: str) -> Sequence[str]:
            return inner.load(account)

        async def replace(self, account: str, codes: Sequence[str]) -> None:
            inner.replace(account, codes)

        async def remove(self, account: str, code: str) -> bool:
            return inner.remove(account, code)

    async def use() -> None:
        verifier = AsyncVerifier(OutboxSender(), secret=SECRET, hasher=HmacHasher())
        codes = BackupCodes(verifier, Storage(), count=3)
        made = await codes.make("7")
        way = codes.way()
        assert await available_ways([way], "7") == [way]
        for code in made:
            await check_answer(verifier, way, "7", code)
        with pytest.raises(IncorrectAnswer):
            await codes.check("7", made[0])
        assert await available_ways([way], "7") == []

    asyncio.run(use())


def test_a_storage_that_lacks_a_method_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="load"):
        BackupCodes(Site().verifier, object())  # type: ignore[arg-type]  # it is not one
