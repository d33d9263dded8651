"""`CelerySender` with a real worker, Valkey as the broker, and the sandbox as the gateway."""

from __future__ import annotations

import base64
import json
import os
import re
import secrets
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from celery import Celery
from celery_app import application
from celery_process import Overheard, Worker
from servers import Server, binary, store_of, until
from support import QUICK, SECRET, Face, Mode, long_form

from otpverify import Challenge, CooldownActive, DeliveryStatus, Limit, Policy, RateLimited
from otpverify.integrations.celery import CelerySender
from otpverify.sandbox import Captured, Sandbox
from otpverify.testing import OutboxSender


class Site:
    """The parts that belong together, and a verifier in front."""

    def __init__(self, server: Server, sandbox: Sandbox, folder: Path) -> None:
        self.server = server
        self.sandbox = sandbox
        self.environ = {
            **sandbox.environ,
            "BROKER": f"{server.url}/0",
            "STORE": f"{server.url}/1",
            "SECRET": SECRET,
            "PATIENCE": "60",
        }
        self.log = folder / "worker.log"
        self.app, self.sender, self.bulk, self.store = application(self.environ)
        self.worker = Worker(self.environ, self.log)

    def close(self) -> None:
        self.worker.kill()
        self.store.close()
        self.app.close()

    def verifier(self, **options: Any) -> Face:
        given = {"store": self.store, "secret": SECRET, "hasher": QUICK}
        return Mode().make(self.sender, **(given | options))

    def sent(self, phone: str) -> list[Captured]:
        return [message for message in self.sandbox.messages if message.to == phone]

    def arrived(self, phone: str) -> Captured:
        """The message to this phone, once it is there."""
        until(lambda: bool(self.sent(phone)))
        (message,) = self.sent(phone)
        return message


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with Server(binary("valkey9")) as server, Sandbox(stall_seconds=60) as sandbox:
        made = Site(server, sandbox, tmp_path_factory.mktemp("celery"))
        yield made
        made.close()


def reported(verifier: Face, phone: str, challenge: str) -> DeliveryStatus:
    """The status, once the worker gave one."""

    def status() -> DeliveryStatus:
        return verifier.status(phone, challenge=challenge)

    until(lambda: status() is not DeliveryStatus.QUEUED)
    return status()


def test_a_code_arrives_and_nothing_on_its_way_shows_it(site: Site, mode: Mode) -> None:
    phone = {"sync": "+12025550130", "async": "+12025550131"}[mode.name]
    with store_of(mode, site.environ["STORE"]) as store, Overheard(site.server) as heard:
        verifier = mode.make(site.sender, store=store, secret=SECRET, hasher=QUICK)
        challenge = verifier.start(phone, purpose="login")
        message = site.arrived(phone)
        site.worker.wait_for(f"{challenge.message_id}] succeeded")
        heard.wait_for("task-succeeded")
        code = message.code or ""
        assert verifier.check(phone, code, challenge=challenge.id, purpose="login").phone == phone
    shown = heard.text
    for known in (str(challenge.message_id), "task-received", "task-succeeded", "(<sealed>,)"):
        assert known in shown, "it is overheard"
    assert "DEBUG" in site.worker.said
    for secret in (phone[1:], phone[-8:], code, message.text[10:30], challenge.id, SECRET):
        assert secret not in shown
        assert secret not in site.worker.said


def test_a_dead_code_is_not_delivered_after_an_outage(site: Site) -> None:
    phone = "+12025550132"
    once = Policy(ttl_seconds=1, sends_per_phone=(Limit(1, 86_400),), resend_cooldown_seconds=0)
    verifier = site.verifier(policy=once)
    site.worker.pause()
    challenge = verifier.start(phone)
    until(lambda: time.time() > challenge.expires_at.timestamp())
    with pytest.raises(RateLimited):
        verifier.start(phone)
    site.worker.resume()
    site.worker.wait_for(f"Discarding revoked task: otpverify.deliver[{challenge.message_id}]")
    assert not site.sent(phone)

    def starts() -> bool:
        try:
            return bool(verifier.start(phone))
        except RateLimited:
            return False

    until(starts)  # its send was given back


def test_what_the_gateway_refuses_is_given_back(site: Site) -> None:
    phone, verifier = "+12025550140", site.verifier()
    challenge = verifier.start(phone)
    assert reported(verifier, phone, challenge.id) is DeliveryStatus.REJECTED
    assert verifier.resend(phone, challenge=challenge.id).sends_left == challenge.sends_left


def test_what_the_gateway_is_too_busy_for_is_tried_again(site: Site) -> None:
    phone, verifier = "+12025550113", site.verifier()  # takes every other request
    challenge = verifier.start(phone)
    code = site.arrived(phone).code or ""
    assert verifier.check(phone, code, challenge=challenge.id).phone == phone
    said = re.findall(rf"{challenge.message_id}\] retry: Retry in ([0-9.e-]+)s", site.worker.said)
    assert len(said) == 1


def test_what_may_have_been_sent_stays_counted(site: Site) -> None:
    phone, verifier = "+12025550150", site.verifier()
    challenge = verifier.start(phone)
    site.worker.wait_for(f"{challenge.message_id}] raised expected")
    with pytest.raises(CooldownActive):
        verifier.resend(phone, challenge=challenge.id)
    assert f"{challenge.message_id}] retry" not in site.worker.said


@long_form
def test_the_gateway_says_when_to_come_back(site: Site) -> None:
    phone, verifier = "+12025550129", site.verifier()  # 429 with `Retry-After: 1`
    challenge = verifier.start(phone)
    assert reported(verifier, phone, challenge.id) is DeliveryStatus.FAILED
    said = re.findall(rf"{challenge.message_id}\] retry: Retry in ([0-9.]+)s", site.worker.said)
    assert len(said) == 2
    assert all(1 < float(wait) < 1.1 for wait in said)
    assert said[0] != said[1]
    verifier.resend(phone, challenge=challenge.id)


def test_a_pool_process_that_dies_while_it_sends_sends_nothing_twice(site: Site) -> None:
    phone, verifier = "+12025550108", site.verifier()  # no answer, though it arrives
    challenge = verifier.start(phone)
    code = site.arrived(phone).code or ""
    (child,) = site.worker.children
    os.kill(child, signal.SIGKILL)
    site.worker.wait_for("A worker began to send this before")
    assert len(site.sent(phone)) == 1
    with pytest.raises(CooldownActive):
        verifier.resend(phone, challenge=challenge.id)
    assert verifier.check(phone, code, challenge=challenge.id).phone == phone


def test_bulk_sending(site: Site) -> None:
    numbers = [f"+1202555{last}" for last in range(2000, 2150)]
    with Overheard(site.server) as heard:
        job = site.bulk.send(numbers, "The bus to Narva leaves at eight.", job="buses")
        until(lambda: job.progress().done == len(numbers))
    assert job.result().sent == len(numbers)
    assert site.bulk.send(numbers, "Again.", job="buses").id != job.id
    assert len(site.sent(numbers[0])) == 1
    shown = heard.text + site.worker.said
    assert "(<sealed>,)" in shown
    for secret in (numbers[0][1:], numbers[-1][-8:], "Narva"):
        assert secret not in shown


@long_form
def test_a_pool_process_that_dies_while_it_sends_in_bulk(site: Site) -> None:
    numbers = ["+12125550108", "+12025552500"]  # no answer to the first's request
    job = site.bulk.send(numbers, "The bus to Narva leaves at eight.", job="trams")
    site.arrived(numbers[0])
    (child,) = site.worker.children
    os.kill(child, signal.SIGKILL)
    until(lambda: job.progress().done == 2)
    assert [entry.status for entry in job.result().entries] == ["unknown", "unknown"]
    assert [entry.reason for entry in job.result().entries] == ["begun_before"] * 2
    assert len(site.sent(numbers[0])) == 1


@long_form
def test_a_machine_that_dies_loses_nothing_that_was_not_begun(site: Site) -> None:
    """The worker is killed with one message under way and one taken; another worker has the
    second one after the visibility timeout, which is a second here."""
    begun, taken, verifier = "+13025550108", "+12025550133", site.verifier()
    verifier.start(begun)
    site.arrived(begun)
    waits = verifier.start(taken)
    site.worker.wait_for(f"{waits.message_id}] received")
    site.worker.kill()
    site.worker = Worker(site.environ, site.log)
    code = site.arrived(taken).code or ""
    assert verifier.check(taken, code, challenge=waits.id).phone == taken
    site.worker.wait_for("A worker began to send this before")
    assert len(site.sent(begun)) == 1


def held(site: Site, phones: list[str]) -> tuple[Face, list[Challenge], list[dict[str, Any]]]:
    """Start for these phones, and take what was queued from the broker before a worker has it."""
    app = Celery("held", broker=site.environ["BROKER"], set_as_current=False)
    sender = CelerySender(app, OutboxSender(), store=site.store, secret=SECRET, queue="held")
    verifier = Mode().make(sender, store=site.store, secret=SECRET, hasher=QUICK)
    challenges = [verifier.start(phone) for phone in phones]
    with site.server.client() as broker:
        queued = [json.loads(message) for message in broker.lrange("held", 0, -1)]
        broker.delete("held")
    app.close()
    assert len(queued) == len(phones)
    return verifier, challenges, queued


def altered(queued: dict[str, Any], change: str) -> bytes:
    """A queued message as somebody with access to the broker changes it and puts it back."""
    message = json.loads(json.dumps(queued))
    message["properties"]["delivery_info"]["routing_key"] = "celery"
    message["properties"]["delivery_tag"] = secrets.token_hex(16)
    (sealed, *_), kwargs, embedded = json.loads(base64.b64decode(message["body"]))
    if change != "nothing":
        message["headers"]["id"] = f"altered {change}"
    if change == "envelope":
        message["headers"] |= {"retries": 7, "expires": None, "timelimit": [9, 9], "argsrepr": ""}
    elif change == "retries":
        message["headers"]["retries"] = -5
    elif change == "expired":
        message["headers"]["expires"] = "2020-01-01T00:00:00+00:00"
    elif change == "by name":
        kwargs = {"sealed": sealed}
    elif change == "both":
        kwargs = {"sealed": sealed, "more": 1}
    elif change == "padding":
        sealed = sealed.rstrip("=")
    elif change not in {"nothing", "id"}:
        sealed = sealed[:40] + change + sealed[40:]
    body = json.dumps([[] if change == "by name" else [sealed], kwargs, embedded])
    message["body"] = base64.b64encode(body.encode()).decode()
    return json.dumps(message).encode()


def test_one_start_is_one_message_whatever_is_put_on_the_broker(site: Site) -> None:
    phone, other = "+12025550134", "+12025550135"
    changes = ["nothing", "id", "envelope", "retries", "by name", "both"]
    changes += ["!", "\n", " ", "=", "\0", "é", "padding"]
    verifier, (challenge,), (queued,) = held(site, [phone])
    with site.server.client() as broker:
        for change in (*changes, *changes[::-1], "expired"):
            broker.lpush("celery", altered(queued, change))
        until(lambda: not broker.llen("celery"))
    last = site.verifier().start(other)
    site.worker.wait_for(f"{last.message_id}] succeeded")
    assert len(site.sent(phone)) == 1
    with pytest.raises(CooldownActive):
        verifier.resend(phone, challenge=challenge.id)
    assert verifier.status(phone, challenge=challenge.id) is DeliveryStatus.QUEUED
    code = site.sent(phone)[0].code or ""
    assert verifier.check(phone, code, challenge=challenge.id).phone == phone


@long_form
def test_a_machine_that_dies_while_it_sends_gives_nothing_back_once_the_code_expired(
    site: Site,
) -> None:
    phone = "+14155550108"  # no answer, though it arrives
    policy = Policy(ttl_seconds=1, sends_per_phone=(Limit(1, 86_400),), resend_cooldown_seconds=0)
    verifier = site.verifier(policy=policy)
    challenge = verifier.start(phone)
    site.arrived(phone)
    site.worker.kill()
    until(lambda: time.time() > challenge.expires_at.timestamp())
    site.worker = Worker(site.environ, site.log)
    site.worker.wait_for(f"Discarding revoked task: otpverify.deliver[{challenge.message_id}]")
    last = site.verifier().start("+12025550136")
    site.worker.wait_for(f"{last.message_id}] succeeded")
    assert len(site.sent(phone)) == 1
    with pytest.raises(RateLimited):
        verifier.start(phone)


@long_form
@pytest.mark.parametrize("workers", [3])
def test_workers_that_are_handed_the_same_task_at_once_send_it_once(
    workers: int, site: Site
) -> None:
    phones = [f"+1202555{last}" for last in range(6000, 6020)]
    more = [Worker(site.environ, site.log.with_name(f"{n}.log")) for n in range(1, workers)]
    _, _, queued = held(site, phones)
    with site.server.client() as broker:
        again = [altered(message, "nothing") for message in queued for _ in range(workers)]
        broker.lpush("celery", *again)
        begun = "A worker began to send this before"
        logs = [site.worker, *more]
        before = site.worker.said.count(f"not delivered: {begun}")
        until(
            lambda: (
                sum(worker.said.count(f"not delivered: {begun}") for worker in logs) - before
                >= len(again) - len(phones)
            )
        )
    for worker in more:
        worker.kill()
    assert [len(site.sent(phone)) for phone in phones] == [1] * len(phones)
