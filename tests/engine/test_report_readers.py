"""A sender reads its gateway's delivery reports, also behind other senders."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest
from celery import Celery
from support import PHONE, QUICK, SECRET, AsyncMode, Mode

from otpverify import (
    AsyncFallbackSender,
    CooldownActive,
    DeliveryRejected,
    DeliveryStatus,
    FallbackSender,
    MemoryStore,
    SmspmClient,
)
from otpverify.gateways import ReportFields
from otpverify.gateways.delivery_reports import report_reader
from otpverify.integrations.celery import CelerySender
from otpverify.testing import OutboxSender

WORDS = {"DELIVRD": DeliveryStatus.DELIVERED, "REJECTD": DeliveryStatus.REJECTED}


class Acme(OutboxSender):
    """A gateway with names and words of its own."""

    takes_reports = True

    def read_report(self, params: object) -> ReportFields:
        assert isinstance(params, Mapping)
        status = WORDS.get(str(params.get("state")))
        return ReportFields(token=params.get("ref"), status=status)


class Common(OutboxSender):
    """A gateway whose reports have the common names."""

    takes_reports = True


def eager(sender: Any, store: MemoryStore) -> CelerySender:
    app = Celery("reports", set_as_current=False)
    app.conf.task_always_eager = True
    return CelerySender(app, sender, store=store, secret=SECRET)


Wrap = Callable[[Any, MemoryStore, Mode], Any]


def fallback(*senders: Any, mode: Mode) -> Any:
    return (AsyncFallbackSender if isinstance(mode, AsyncMode) else FallbackSender)(*senders)


WRAPS: dict[str, Wrap] = {
    "itself": lambda sender, _store, _mode: sender,
    "first of two": lambda sender, _store, mode: fallback(sender, Common(), mode=mode),
    "behind Celery": lambda sender, store, _mode: eager(sender, store),
    "behind both": lambda sender, store, _mode: eager(FallbackSender(sender, Common()), store),
}


@pytest.mark.parametrize("wrap", WRAPS)
@pytest.mark.parametrize("kind", [Acme, Common])
def test_a_report_is_read_as_its_sender_does(
    wrap: str, kind: type[OutboxSender], mode: Mode
) -> None:
    store, sender = MemoryStore(), kind()
    options = {"store": store, "secret": SECRET, "hasher": QUICK}
    verifier = mode.make(WRAPS[wrap](sender, store, mode), **options)
    challenge = verifier.start(PHONE)
    token = sender.last.report
    assert token
    with pytest.raises(CooldownActive):
        verifier.resend(PHONE, challenge=challenge.id)
    acme = {"ref": token, "state": "REJECTD"}
    common = {"report_token": token, "status": "rejected"}
    report = verifier.delivery_report(acme if kind is Acme else common)
    assert (report.known, report.given_back) == (True, True)
    assert verifier.status(PHONE, challenge=challenge.id) is DeliveryStatus.REJECTED
    verifier.resend(PHONE, challenge=challenge.id)


def test_celery_gives_back_whatever_its_sender_reads(mode: Mode) -> None:
    store, sender = MemoryStore(), Acme()
    verifier = mode.make(eager(sender, store), store=store, secret=SECRET, hasher=QUICK)
    sender.fail_with = DeliveryRejected("No.")
    challenge = verifier.start(PHONE)
    assert verifier.status(PHONE, challenge=challenge.id) is DeliveryStatus.REJECTED


@pytest.mark.parametrize("nonsense", [None, "delivered", {}, KeyError("+37256789045")])
def test_a_reader_that_fails_reads_nothing(
    nonsense: object, mode: Mode, caplog: pytest.LogCaptureFixture
) -> None:
    class Broken(Common):
        def read_report(self, params: object) -> Any:
            if isinstance(nonsense, Exception):
                raise nonsense
            return nonsense

    verifier = mode.make(Broken(), store=MemoryStore(), hasher=QUICK)
    report = verifier.delivery_report({"report_token": "x", "status": "delivered"})
    assert (report.known, report.status) == (False, None)
    assert PHONE[1:] not in caplog.text


def test_the_client_reads_its_own() -> None:
    client = SmspmClient("hash", "token")
    params = {"report_token": "T", "status": "delivered", "messageId": "m-1"}
    expected = ReportFields("T", DeliveryStatus.DELIVERED, "delivered", "m-1")
    assert report_reader(client)(params) == client.read_report(params) == expected
