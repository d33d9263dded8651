"""One worker process: three verifiers on one store, sync in threads or async in tasks, and the
people who call them. It writes down every call before it makes it, and what came of it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import socket
import threading
import time
from collections.abc import Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

from clients import HASH, TOKEN
from support import QUICK, SECRET

from endurance.ledger import Call, Ledger, Sent
from endurance.people import POLICY, SHARED_NETWORKS, Answer, Numbers, live
from otpverify import (
    AsyncRedisStore,
    AsyncSmspmClient,
    AsyncVerifier,
    Challenge,
    DeliveryError,
    DeliveryRejected,
    DeliveryReport,
    FraudPolicy,
    HmacHasher,
    IncorrectCode,
    Message,
    OtpVerifyError,
    Prices,
    Receipt,
    RedisStore,
    Retry,
    SmspmClient,
    SpendLimit,
    Verified,
    Verifier,
)
from otpverify._sync import run_sync

PRICE = Decimal("0.10")
FRAUD = FraudPolicy(
    mode="enforce", trusted_days=1, spend=SpendLimit(prices=Prices({}, default=PRICE))
)
_PEOPLE = {"plain": 8, "gateway": 6, "fraud": 3}
_MEETING_SECONDS = 0.05
_GATEWAY: dict[str, Any] = {
    "connect_timeout_seconds": 0.5,
    "read_timeout_seconds": 0.5,
    "retry": Retry(total_seconds=2.0),
}
_STORE: dict[str, Any] = {"connect_timeout_seconds": 0.5, "socket_timeout_seconds": 0.5}


@dataclass(frozen=True, slots=True)
class Orders:
    """What a worker needs to know.

    Attributes:
        name: The name of the servers, a dot, and a name that no other process has.
        number: The worker's number; it is the same again after a restart.
        life: How often it was started before.
        workers: How many workers there are.
        store_url: The servers' address.
        gateway_url: The gateway's address.
        folder: Where the ledger is, and the sockets by which workers meet.
        asynchronous: Whether it has an event loop, or threads.
        tempo: The seconds that a person rests between two ways.
    """

    name: str
    number: int
    life: int
    workers: int
    store_url: str
    gateway_url: str
    folder: str
    asynchronous: bool
    tempo: float


@dataclass(slots=True)
class _Current:
    """The call that is being made."""

    phone: str
    number: int
    sent: list[tuple[str, str | None]]


_current: ContextVar[_Current] = ContextVar("current")


class _Recorder:
    """Writes down what is handed to a sender.

    Args:
        ledger: Where.
        client: The gateway's client; `None` for a sender that takes everything.
    """

    takes_reports = True

    def __init__(self, ledger: Ledger, client: Any) -> None:
        self.ledger = ledger
        self.client = client

    @contextlib.contextmanager
    def handing(self, message: Message) -> Iterator[None]:
        call, code = _current.get(), message.text[: POLICY.code_length]
        call.sent.append((code, message.report))
        sent = Sent(code, message.reference or "", self.client is not None)
        self.ledger.message(message.to, call.number, sent)
        outcome = "doubt"
        try:
            yield
            outcome = "taken"
        except DeliveryError as error:
            refused = isinstance(error, DeliveryRejected) or not error.maybe_sent
            outcome = "refused" if refused else "doubt"
            raise
        finally:
            self.ledger.handed(message.to, call.number, outcome)


class _SyncSender(_Recorder):
    def send(self, message: Message) -> Receipt:
        with self.handing(message):
            receipt: Receipt = Receipt() if self.client is None else self.client.send(message)
            return receipt


class _AsyncSender(_Recorder):
    async def send(self, message: Message) -> Receipt:
        with self.handing(message):
            if self.client is None:
                return Receipt()
            receipt: Receipt = await self.client.send(message)
            return receipt


class _Meeting:
    """Lets a worker of the same servers make a call at an agreed time. Messages may get lost."""

    def __init__(self, orders: Orders) -> None:
        self._line = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._line.settimeout(0.2)
        own = self._path(orders, orders.number)
        own.unlink(missing_ok=True)
        self._line.bind(str(own))
        self._other = self._path(orders, orders.number ^ 1)

    @staticmethod
    def _path(orders: Orders, number: int) -> Path:
        return Path(orders.folder) / f"meeting-{number}"

    def tell(self, phone: str, arguments: dict[str, Any]) -> float:
        told = json.dumps([time.monotonic() + _MEETING_SECONDS, phone, arguments]).encode()
        with contextlib.suppress(OSError):  # the other one may have been killed
            self._line.sendto(told, socket.MSG_DONTWAIT, str(self._other))
        return _MEETING_SECONDS

    def hear(self) -> tuple[float, str, dict[str, Any]] | None:
        try:
            at, phone, arguments = json.loads(self._line.recv(65_536))
        except OSError:
            return None
        return at - time.monotonic(), phone, arguments


class _Desk:
    """Where people meet one verifier; writes everything down."""

    def __init__(self, verifier: Any, variant: str, ledger: Ledger, meeting: _Meeting) -> None:
        self.verifier = verifier
        self.variant = variant
        self.ledger = ledger
        self.meeting = meeting

    async def call(self, operation: str, phone: str, **arguments: Any) -> Answer:
        about = self._about(operation, phone, arguments)
        about_id = arguments.pop("about", None)
        if operation == "delivery_report":
            del arguments["forged"]
            call: dict[str, Any] = {"params": arguments}
        else:
            call = {"phone": phone, **arguments}
        number = self.ledger.begin(about)
        current = _Current(phone, number, [])
        token = _current.set(current)
        outcome: Any
        try:
            outcome = await self._made(getattr(self.verifier, operation), call)
        except OtpVerifyError as error:
            outcome, name = error, type(error).__name__
        except Exception as error:
            outcome, name = error, f"!{type(error).__name__}: {error}"[:300]
            logging.getLogger("endurance").exception("%s failed", operation)
        else:
            name = type(outcome).__name__
        finally:
            _current.reset(token)
        challenge = about_id or _challenge_of(outcome)
        self.ledger.end(phone, number, name, challenge, _detail(outcome))
        return Answer(outcome, tuple(current.sent))

    def _about(self, operation: str, phone: str, given: dict[str, Any]) -> Call:
        deliver = given.get("deliver")
        binding = given.get("binding") or {}
        address = given.get("client_ip", "")
        if operation == "delivery_report":
            code = "forged" if given["forged"] else given["status"]
        else:
            code = given.get("code") or given.get("proof") or ""
        return Call(
            store="",
            operation=operation,
            variant=self.variant,
            phone=phone,
            purpose=given.get("purpose", "verify"),
            challenge=given.get("challenge") or given.get("about") or "",
            code=code,
            binding=binding.get("amount", ""),
            kind="ordinary" if deliver is None else "concealed" if deliver else "decoy",
            network=address if address in SHARED_NETWORKS else "",
            begun=time.monotonic(),
        )

    def elsewhere(self, phone: str, arguments: dict[str, Any]) -> float:
        return self.meeting.tell(phone, arguments)

    async def _made(self, method: Any, arguments: dict[str, Any]) -> Any:
        raise NotImplementedError


class _SyncDesk(_Desk):
    pool: ThreadPoolExecutor

    async def together(self, calls: list[Coroutine[Any, Any, Answer]]) -> list[Answer]:
        return list(self.pool.map(run_sync, calls))

    async def pause(self, seconds: float) -> None:
        time.sleep(seconds)  # noqa: ASYNC251 - of a thread

    async def _made(self, method: Any, arguments: dict[str, Any]) -> Any:
        return method(**arguments)


class _AsyncDesk(_Desk):
    async def together(self, calls: list[Coroutine[Any, Any, Answer]]) -> list[Answer]:
        return list(await asyncio.gather(*calls))

    async def pause(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    async def _made(self, method: Any, arguments: dict[str, Any]) -> Any:
        return await method(**arguments)


def _challenge_of(outcome: Any) -> str:
    if isinstance(outcome, Challenge):
        return outcome.id
    if isinstance(outcome, DeliveryError) and outcome.challenge is not None:
        return outcome.challenge.id
    return ""


def _detail(outcome: Any) -> Any:
    match outcome:
        case IncorrectCode():
            return outcome.attempts_left
        case DeliveryError():
            return [bool(outcome.maybe_sent), outcome.challenge is not None]
        case Verified():
            return [outcome.phone, outcome.purpose, outcome.challenge]
        case DeliveryReport():
            return [outcome.known, outcome.changed, outcome.given_back]
        case OtpVerifyError():
            return getattr(outcome, "reason", None) or str(outcome)[:120]
    return None


def verifiers(orders: Orders, ledger: Ledger) -> dict[str, Any]:
    """The worker's verifiers, by their names."""
    account: dict[str, Any] = {"hash": HASH, "token": TOKEN, "url": orders.gateway_url}
    store: Any
    if orders.asynchronous:
        kind, sender, client = AsyncVerifier, _AsyncSender, AsyncSmspmClient
        store = AsyncRedisStore.from_url(orders.store_url, **_STORE)
    else:
        kind, sender, client = Verifier, _SyncSender, SmspmClient  # type: ignore[assignment]  # the counterparts
        store = RedisStore.from_url(orders.store_url, **_STORE)
    shared: dict[str, Any] = {"store": store, "secret": SECRET, "policy": POLICY}
    local, far = sender(ledger, None), sender(ledger, client(**account, **_GATEWAY))
    return {
        "plain": kind(local, hasher=HmacHasher(), **shared),
        "gateway": kind(far, hasher=QUICK, **shared),
        "fraud": kind(local, hasher=HmacHasher(), fraud=FRAUD, **shared),
    }


def main(orders: Orders, stop: Any) -> None:
    """Be a worker, until the other end of `stop`, a pipe, sends something or is closed."""
    os.nice(5)
    logging.getLogger("otpverify").setLevel(logging.ERROR)  # faults are expected
    ledger = Ledger(Path(orders.folder), orders.name)
    people = [name for name, many in _PEOPLE.items() for _ in range(many)]
    every = orders.workers * len(people)
    jobs = [
        (name, Numbers(orders.number * len(people) + nth, every, orders.life))
        for nth, name in enumerate(people)
    ]
    shift = _Shift(orders.tempo, stop, jobs, verifiers(orders, ledger), ledger, _Meeting(orders))
    stop.send("ready")
    (_run_tasks if orders.asynchronous else _run_threads)(shift)


@dataclass(frozen=True, slots=True)
class _Shift:
    """The work of one worker.

    Attributes:
        tempo: The seconds that a person rests between two ways.
        stop: A pipe; the work ends when its other end sends something or is closed.
        jobs: The people, each by the name of their verifier and their numbers.
        verifiers: The verifiers, by their names.
        ledger: Where everything is written down.
        meeting: How another worker makes a call at an agreed time.
    """

    tempo: float
    stop: Any
    jobs: list[tuple[str, Numbers]]
    verifiers: dict[str, Any]
    ledger: Ledger
    meeting: _Meeting


def _run_threads(shift: _Shift) -> None:
    stopped = threading.Event()
    with ThreadPoolExecutor(16) as pool:

        def desk(name: str) -> _SyncDesk:
            found = _SyncDesk(shift.verifiers[name], name, shift.ledger, shift.meeting)
            found.pool = pool
            return found

        def person(name: str, numbers: Numbers) -> None:
            while not stopped.is_set():
                run_sync(live(desk(name), numbers, name))
                time.sleep(shift.tempo)

        def mate() -> None:
            while not stopped.is_set():
                if found := shift.meeting.hear():
                    wait, phone, arguments = found
                    time.sleep(max(0.0, wait))
                    run_sync(desk("plain").call("check", phone, **arguments))

        threads = [threading.Thread(target=person, args=job) for job in shift.jobs]
        threads += [threading.Thread(target=mate) for _ in range(2)]
        for thread in threads:
            thread.start()
        shift.stop.poll(None)
        stopped.set()
        for thread in threads:
            thread.join()


def _run_tasks(shift: _Shift) -> None:
    stopped = threading.Event()

    def desk(name: str) -> _AsyncDesk:
        return _AsyncDesk(shift.verifiers[name], name, shift.ledger, shift.meeting)

    async def person(name: str, numbers: Numbers) -> None:
        while not stopped.is_set():
            await live(desk(name), numbers, name)
            await asyncio.sleep(shift.tempo)

    async def mate() -> None:
        while not stopped.is_set():
            if found := await asyncio.to_thread(shift.meeting.hear):
                wait, phone, arguments = found
                await asyncio.sleep(max(0.0, wait))
                await desk("plain").call("check", phone, **arguments)

    async def all_of_them() -> None:
        async with asyncio.TaskGroup() as group:
            for job in shift.jobs:
                group.create_task(person(*job))
            group.create_task(mate())
            await asyncio.to_thread(shift.stop.poll, None)
            stopped.set()

    asyncio.run(all_of_them())


def restarted(orders: Orders) -> Orders:
    """The orders of a worker that takes the place of one that was killed."""
    name = orders.name.rpartition("-")[0]
    return replace(orders, life=orders.life + 1, name=f"{name}-{orders.life + 1}")
