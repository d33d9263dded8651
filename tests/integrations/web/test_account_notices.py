"""Notices to the person when a factor of the account changes, or when sign-ins fail."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from freezegun.api import FrozenDateTimeFactory
from support import OTHER_PHONE, PHONE, QUICK, SECRET

from otpverify import (
    AsyncVerifier,
    ConfigurationError,
    DeliveryRejected,
    DeliveryUnavailable,
    IncorrectAnswer,
    InvalidPhoneNumber,
    MemoryStore,
    Message,
    Policy,
    Receipt,
    StoreError,
    Verifier,
)
from otpverify.integrations.web import run_sync
from otpverify.integrations.web.account_notices import (
    NOTICE_LIMITS,
    AccountChange,
    AccountNotice,
    notify,
    send_notice,
)
from otpverify.integrations.web.attempts import (
    FAILED_SIGN_INS,
    SIGN_IN_NOTICES,
    count_failed_sign_in,
)
from otpverify.integrations.web.enrolment import enrolled, enrolling
from otpverify.testing import OutboxSender

CHANGED = AccountNotice("7", AccountChange.PHONE_CHANGED, PHONE, "de")


def verifier(sender: Any, **options: Any) -> Verifier:
    return Verifier(sender, secret=SECRET, hasher=QUICK, **options)


def test_the_message_goes_to_the_number_in_the_persons_language() -> None:
    outbox = OutboxSender()
    assert run_sync(send_notice(verifier(outbox), CHANGED, brand="Shop"))
    (message,) = outbox.messages
    assert message.to == PHONE
    assert message.text.startswith("Shop: Die Telefonnummer Ihres Kontos wurde geändert.")


def test_it_is_counted_apart_from_codes(clock: FrozenDateTimeFactory) -> None:
    outbox = OutboxSender()
    site = verifier(outbox, policy=Policy(resend_cooldown_seconds=0))
    sent = [run_sync(send_notice(site, CHANGED)) for _ in range(7)]
    assert sent == [True] * NOTICE_LIMITS[0].count + [False] * 2
    assert site.start(PHONE).sends_left == verifier(outbox).start(OTHER_PHONE).sends_left
    assert run_sync(send_notice(site, AccountNotice("8", AccountChange.PHONE_ADDED, OTHER_PHONE)))
    clock.tick(NOTICE_LIMITS[0].seconds)
    assert run_sync(send_notice(site, CHANGED))


def test_without_a_phone_nothing_is_sent() -> None:
    outbox = OutboxSender()
    notice = AccountNotice("7", AccountChange.BACKUP_CODES_MADE)
    assert not run_sync(send_notice(verifier(outbox), notice))
    assert not outbox.messages


class Failing:
    def __init__(self, error: Exception) -> None:
        self.error = error

    def send(self, message: Message) -> Receipt:
        raise self.error


@pytest.mark.parametrize(
    "error", [DeliveryUnavailable("away"), OSError(f"{PHONE} is away")], ids=["typed", "any"]
)
def test_a_failure_is_logged_without_the_number(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    assert not run_sync(send_notice(verifier(Failing(error)), CHANGED))
    assert "PHONE_CHANGED" in caplog.text
    assert PHONE not in caplog.text


def test_a_store_that_is_away_sends_nothing(caplog: pytest.LogCaptureFixture) -> None:
    class Away(MemoryStore):
        def reserve(self, *args: Any) -> Any:
            raise StoreError("The store is away.")

    outbox = OutboxSender()
    assert not run_sync(send_notice(verifier(outbox, store=Away()), CHANGED))
    assert not outbox.messages
    assert "The store is away." in caplog.text


FAILED = AccountNotice("7", AccountChange.SIGN_IN_FAILED, PHONE)


async def reported(site: Any, account: str, *, delivered: bool = True) -> bool:
    """Whether an incorrect answer leads to a notice."""
    notices = []

    async def notify() -> bool:
        notices.append(account)
        return delivered

    await count_failed_sign_in(site, InvalidPhoneNumber("not an attempt"), account, notify)
    await count_failed_sign_in(site, IncorrectAnswer(), account, notify)
    return bool(notices)


def test_the_fifth_incorrect_answer_in_an_hour_is_suspicious_once_a_day(
    clock: FrozenDateTimeFactory,
) -> None:
    site = verifier(OutboxSender())

    def fail(times: int, account: str = "7") -> list[bool]:
        return [run_sync(reported(site, account)) for _ in range(times)]

    usual = FAILED_SIGN_INS.count
    assert fail(usual) == [False] * usual
    clock.tick(FAILED_SIGN_INS.seconds + 1)
    assert fail(usual) == [False] * usual, "it is a person who mistypes now and then"
    assert fail(1, "8") == [False], "another account"
    assert fail(3) == [True, False, False]
    clock.tick(SIGN_IN_NOTICES.seconds - 60)
    assert fail(usual + 1) == [False] * (usual + 1), "one a day"
    clock.tick(61)
    assert fail(2) == [True, False]


def test_a_notice_of_failed_sign_ins_that_cannot_be_sent_is_tried_again() -> None:
    outbox = OutboxSender(fail_with=DeliveryRejected("no"))
    site, answers = verifier(outbox), iter([OSError("the mail server is away"), False, None])

    def own(notice: AccountNotice) -> bool | None:
        answer = next(answers)
        if isinstance(answer, OSError):
            raise answer
        return answer

    async def fail(**more: Any) -> None:
        await count_failed_sign_in(
            site, IncorrectAnswer(), "7", lambda: notify(site, FAILED, **more)
        )

    for _ in range(FAILED_SIGN_INS.count + 1):
        run_sync(fail())  # the gateway refuses
    run_sync(fail(own=own))  # and so does the mail server
    run_sync(fail(own=own))
    with pytest.raises(ConfigurationError):
        run_sync(fail(brand="line\nbreak"))
    run_sync(fail(own=own))  # a mail went out
    assert next(answers, "all asked") == "all asked"
    outbox.fail_with = None
    run_sync(fail())
    assert len(outbox) == 0, "one a day"


def test_it_is_counted_with_the_async_verifier() -> None:
    site = AsyncVerifier(OutboxSender(), secret=SECRET, hasher=QUICK)

    async def fail() -> list[bool]:
        return [await reported(site, "7") for _ in range(6)]

    assert asyncio.run(fail()) == [False] * 4 + [True, False]


def test_failed_sign_ins_use_up_no_notice_about_a_change() -> None:
    outbox = OutboxSender()
    site = verifier(outbox)
    for _ in range(9):
        run_sync(send_notice(site, FAILED))
    assert len(outbox) == NOTICE_LIMITS[0].count
    assert run_sync(send_notice(site, CHANGED)), "a takeover must still be reported"


def test_a_store_that_is_away_is_logged_and_suspects_nobody(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Away(MemoryStore):
        def reserve(self, *args: Any) -> Any:
            raise StoreError("The store is away.")

    site = verifier(OutboxSender(), store=Away())
    assert not any(run_sync(reported(site, "7")) for _ in range(6))
    assert "The store is away." in caplog.text


def test_a_faulty_brand_is_the_programs_error() -> None:
    with pytest.raises(ConfigurationError):
        run_sync(send_notice(verifier(OutboxSender()), CHANGED, brand="line\nbreak"))


@pytest.mark.parametrize(
    ("error", "left"),
    [
        (DeliveryRejected("no credit", provider_code="no_credit"), 5),
        (DeliveryUnavailable("refused", maybe_sent=False), 5),
        (DeliveryUnavailable("no answer", maybe_sent=True), 1),
        (KeyError("a fault of the sender"), 1),
    ],
    ids=["rejected", "not reached", "unknown", "fault"],
)
def test_only_what_was_perhaps_sent_uses_up_a_notice(error: Exception, left: int) -> None:
    outbox, failures = OutboxSender(), [error] * 4

    class Failing:
        def send(self, message: Message) -> Receipt:
            if failures:
                raise failures.pop()
            return outbox.send(message)

    site = verifier(Failing())
    assert [run_sync(send_notice(site, CHANGED)) for _ in range(4)] == [False] * 4
    assert [run_sync(send_notice(site, CHANGED)) for _ in range(6)].count(True) == left


@pytest.mark.parametrize(("before", "change"), [(PHONE, "PHONE_CHANGED"), (None, "PHONE_ADDED")])
def test_an_account_that_has_got_a_phone(before: str | None, change: str) -> None:
    assert AccountChange.to_phone(before).name == change


@pytest.mark.parametrize("by_sms", [True, False])
def test_the_sites_own_way_follows_the_message(by_sms: bool) -> None:
    outbox, given = OutboxSender(), []

    def own(notice: AccountNotice) -> None:
        given.append((notice, len(outbox.messages)))

    run_sync(notify(verifier(outbox), CHANGED, by_sms=by_sms, own=own))
    assert given == [(CHANGED, int(by_sms))]


def test_the_sites_own_way_may_fail(caplog: pytest.LogCaptureFixture) -> None:
    outbox = OutboxSender()

    async def own(notice: AccountNotice) -> None:
        raise OSError("the mail server is away")

    site = AsyncVerifier(outbox, secret=SECRET, hasher=QUICK)
    asyncio.run(notify(site, CHANGED, own=own))
    assert len(outbox.messages) == 1
    assert "the mail server is away" in caplog.text
    assert PHONE not in caplog.text


def test_it_works_with_the_async_verifier() -> None:
    outbox = OutboxSender()
    site = AsyncVerifier(outbox, secret=SECRET, hasher=QUICK)
    assert asyncio.run(send_notice(site, CHANGED))
    assert len(outbox.messages) == 1


def test_an_enrolment_is_for_one_account() -> None:
    to = enrolling("7 b", PHONE)
    assert enrolled("7 b", to.subject) == to
    for account in ("7", "b", "", None, "7 b "):
        assert enrolled(account, to.subject) is None
    assert enrolled("7", PHONE) is None  # a number that another flow confirms
