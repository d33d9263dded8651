"""Delivery in the background."""

from __future__ import annotations

import logging
import multiprocessing
import threading

import pytest
from support import PHONE, QUICK

from otpverify import DeliveryUnavailable, Message, Receipt, Verifier
from otpverify.integrations.web.background import BackgroundSender


class Gateway:
    """A sender that waits to be let go."""

    def __init__(self, error: Exception | None = None) -> None:
        self.go = threading.Event()
        self.error = error
        self.texts: list[str] = []

    def send(self, message: Message) -> Receipt:
        assert self.go.wait(10)
        if self.error:
            raise self.error
        self.texts.append(message.text)
        return Receipt("id")


def test_delivery_in_the_background_answers_at_once() -> None:
    gateway = Gateway()
    sender = BackgroundSender(gateway, threads=1)
    verifier = Verifier(sender, hasher=QUICK)
    assert verifier.start(PHONE).message_id is None
    assert not gateway.texts
    gateway.go.set()
    sender.close()
    assert len(gateway.texts) == 1
    with pytest.raises(DeliveryUnavailable, match="closed") as caught:
        verifier.start("+37256789046")
    assert not caught.value.maybe_sent


def test_a_background_that_is_full_says_so_and_has_room_again() -> None:
    gateway = Gateway()
    sender = BackgroundSender(gateway, threads=1, waiting=1)
    message = Message(PHONE, "123456")
    sender.send(message)
    sender.send(message)
    with pytest.raises(DeliveryUnavailable, match="wait"):
        sender.send(message)
    gateway.go.set()
    sender.close()
    assert len(gateway.texts) == 2


@pytest.mark.parametrize(
    "error", [DeliveryUnavailable("Not now."), ValueError(f"{PHONE} 123456")], ids=repr
)
def test_what_fails_in_the_background_is_logged_without_secrets(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    gateway = Gateway(error)
    gateway.go.set()
    sender = BackgroundSender(gateway)
    sender.send(Message(PHONE, "your code is 123456"))
    sender.close()
    assert len(caplog.records) == 1
    assert "123456" not in caplog.text
    assert PHONE not in caplog.text


def test_nothing_is_made_before_the_first_message(monkeypatch: pytest.MonkeyPatch) -> None:
    """Such as under `gunicorn --preload -k gevent`, which patches locks and threads later."""

    def early(*_: object, **__: object) -> None:
        raise AssertionError("made too early")

    gateway = Gateway()
    gateway.go.set()
    with monkeypatch.context() as patched:
        for name in ("ThreadPoolExecutor", "BoundedSemaphore"):
            patched.setattr(f"otpverify.integrations.web.background.{name}", early)
        sender = BackgroundSender(gateway)
    sender.send(Message(PHONE, "123456"))
    sender.close()
    assert gateway.texts == ["123456"]
    unused = BackgroundSender(gateway)
    unused.close()
    with pytest.raises(DeliveryUnavailable, match="closed"):
        unused.send(Message(PHONE, "123456"))


def test_first_messages_at_once_are_all_sent() -> None:
    gateway = Gateway()
    gateway.go.set()
    sender = BackgroundSender(gateway, threads=2)
    barrier = threading.Barrier(8)

    def send() -> None:
        barrier.wait()
        sender.send(Message(PHONE, "123456"))

    threads = [threading.Thread(target=send) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    sender.close()
    assert len(gateway.texts) == 8


@pytest.mark.skipif(
    "fork" not in multiprocessing.get_all_start_methods(), reason="no fork on this platform"
)
def test_it_works_after_a_fork() -> None:
    gateway = Gateway()
    gateway.go.set()
    sender = BackgroundSender(gateway)
    sender.send(Message(PHONE, "123456"))
    context = multiprocessing.get_context("fork")
    parent, child = context.Pipe()

    def work() -> None:
        sender.send(Message(PHONE, "654321"))
        sender.close()
        child.send(gateway.texts[-1])

    process = context.Process(target=work)
    process.start()
    assert parent.poll(30), "the child sent nothing"
    assert parent.recv() == "654321"
    process.join()
    sender.close()
