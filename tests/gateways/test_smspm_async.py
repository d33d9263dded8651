"""What only event loops have: cancelling, loops that end, and a pool that is waited for. And the
ways through a proxy, of either mode."""

from __future__ import annotations

import asyncio
import gc
import logging
import socket
import subprocess
import sys
import threading
import traceback
import warnings
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest
import uvloop
from clients import HASH, ONCE, TOKEN, Client
from faulty_gateways import CODE, GOOD, TEXT, answering, assert_secret, recording
from freezegun.api import FrozenDateTimeFactory
from support import PHONE, QUICK, SECRET, Mode

from otpverify import (
    AsyncSmspmClient,
    AsyncVerifier,
    ConfigurationError,
    CooldownActive,
    DeliveryRejected,
    DeliveryUnavailable,
    Message,
    Policy,
    Receipt,
    Retry,
    SmspmClient,
)
from otpverify.gateways import http_async as smspm_pool
from otpverify.gateways.retry import HttpSettings
from otpverify.sandbox import Sandbox
from otpverify.settings import Parts, Settings

STALLED = "+12025550108"
PATIENCE_SECONDS = 20.0


async def arrival(sandbox: Sandbox, count: int = 1) -> None:
    """Wait until the sandbox has so many messages."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while len(sandbox.messages) < count:  # noqa: ASYNC110 - another thread brings them
            await asyncio.sleep(0.002)


def account(sandbox: Sandbox) -> dict[str, Any]:
    return dict(zip(("hash", "token", "url"), sandbox.environ.values(), strict=True))


# Cancelling


def test_a_cancelled_start_blocks_for_its_cooldown_and_no_longer(
    clock: FrozenDateTimeFactory,
) -> None:
    async def run(sandbox: Sandbox) -> None:
        async with AsyncSmspmClient(**account(sandbox)) as client:
            verifier = AsyncVerifier(client, hasher=QUICK)
            starting = asyncio.create_task(verifier.start(STALLED))
            await arrival(sandbox)
            starting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await starting
            with pytest.raises(CooldownActive) as raised:
                await verifier.start(STALLED)
            assert raised.value.retry_after == Policy().resend_cooldown_seconds
            clock.tick(raised.value.retry_after)
            again = asyncio.create_task(verifier.start(STALLED))
            await arrival(sandbox, 2)
            again.cancel()
            with suppress(asyncio.CancelledError):
                await again

    with Sandbox(stall_seconds=PATIENCE_SECONDS) as sandbox:
        asyncio.run(run(sandbox))


def test_a_code_whose_resend_was_cancelled_works_if_it_arrives() -> None:
    policy = Policy(resend_cooldown_seconds=0, allow_weak=True)

    class Switch:
        client: AsyncSmspmClient

        async def send(self, message: Message) -> Receipt:
            return await self.client.send(message)

    async def run(sandbox: Sandbox) -> None:
        sender = Switch()
        verifier = AsyncVerifier(sender, hasher=QUICK, policy=policy)
        async with AsyncSmspmClient(**account(sandbox), read_timeout_seconds=0.05) as hasty:
            sender.client = hasty
            with pytest.raises(DeliveryUnavailable) as raised:
                await verifier.start(STALLED)
            challenge = raised.value.challenge
            assert challenge is not None
        async with AsyncSmspmClient(**account(sandbox)) as patient:
            sender.client = patient
            resending = asyncio.create_task(verifier.resend(STALLED, challenge=challenge.id))
            await arrival(sandbox, 2)
            resending.cancel()
            with pytest.raises(asyncio.CancelledError):
                await resending
        code = sandbox.messages[0].code
        assert code is not None
        assert (await verifier.check(STALLED, code, challenge=challenge.id)).phone == STALLED

    with Sandbox(stall_seconds=PATIENCE_SECONDS) as sandbox:
        asyncio.run(run(sandbox))


def test_cancelled_sends_leave_nothing_in_the_pool(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(smspm_pool, "_POOL_SIZE", 1)
    stalled = Message(STALLED, "1234 is your code.")

    async def run(sandbox: Sandbox) -> None:
        async with AsyncSmspmClient(**account(sandbox), retry=ONCE) as client:
            # Each is cancelled one step of the loop later than the one before it: waiting for
            # the pool, connecting, between that and the request, waiting for the reply.
            for steps in range(60):
                send = asyncio.create_task(client.send(stalled))
                for _ in range(steps):
                    await asyncio.sleep(0)
                send.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await send
            # On a busy machine the sandbox has read none of them yet.
            send = asyncio.create_task(client.send(stalled))
            await arrival(sandbox)
            send.cancel()
            with pytest.raises(asyncio.CancelledError):
                await send
            assert 0 < len(sandbox.messages) < 60
            for _ in range(2):
                assert (await client.send(Message("+12025550123", "4321 is your code."))).message_id

    with Sandbox(stall_seconds=PATIENCE_SECONDS) as sandbox:
        asyncio.run(run(sandbox))


def test_nor_do_those_that_waited_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(smspm_pool, "_POOL_SIZE", 1)
    stalled = Message(STALLED, "1234 is your code.")

    async def run(sandbox: Sandbox) -> None:
        async with AsyncSmspmClient(**account(sandbox), retry=ONCE) as client:
            for steps in range(20):
                sandbox.clear()
                first, second = (asyncio.create_task(client.send(stalled)) for _ in range(2))
                await arrival(sandbox)
                first.cancel()
                # The second is cancelled while it gets what the first gives up.
                for _ in range(steps):
                    await asyncio.sleep(0)
                second.cancel()
                done = await asyncio.gather(first, second, return_exceptions=True)
                assert all(isinstance(outcome, asyncio.CancelledError) for outcome in done)
            assert (await client.send(Message("+12025550123", "4321 is your code."))).message_id

    with Sandbox(stall_seconds=PATIENCE_SECONDS) as sandbox:
        asyncio.run(run(sandbox))


def test_a_handshake_that_is_cancelled_is_closed() -> None:
    async def run(url: str) -> None:
        async with AsyncSmspmClient(HASH, TOKEN, url=url) as client:
            for pause in (0.0, 0.001, 0.01):
                send = asyncio.create_task(client.send(GOOD))
                await asyncio.sleep(pause)
                send.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await send

    with socket.create_server(("127.0.0.1", 0)) as listener:
        asyncio.run(run(f"https://127.0.0.1:{listener.getsockname()[1]}"))
    gc.collect()  # a socket that is still open would warn, and a warning fails the test


def test_cancelling_between_attempts_ends_the_call() -> None:
    async def run() -> None:
        failed = asyncio.Event()
        plan = Retry(first_wait_seconds=5, longest_wait_seconds=5)
        with recording() as gateway:
            gateway.status = 503
            options: dict[str, Any] = {"retry": plan, "on_attempt": lambda _: failed.set()}
            async with AsyncSmspmClient(HASH, TOKEN, url=gateway.url, **options) as client:
                sending = asyncio.create_task(client.send(GOOD))
                async with asyncio.timeout(PATIENCE_SECONDS):
                    await failed.wait()
                sending.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await sending
            assert len(gateway.requests) == 1

    asyncio.run(run())


# What asyncio itself logs


def echo(before: bytes) -> Callable[[bytes], bytes]:
    return lambda request: before + request.replace(b"\r\n", b" ") + b"\r\n\r\n"


@pytest.mark.parametrize("operation", ["send", "send_bulk", "balance", "sender_ids"])
@pytest.mark.parametrize(
    "before", [b"HTTP/1.1 ", b"HTTP/1.1 200 OK\r\n"], ids=["status line", "header"]
)
def test_asyncios_debug_mode_tells_nothing_of_an_echo(
    before: bytes, operation: str, caplog: pytest.LogCaptureFixture
) -> None:
    arguments: dict[str, tuple[Any, ...]] = {"send": (GOOD,), "send_bulk": ([GOOD.to], TEXT)}
    sends = operation in arguments

    async def run(url: str) -> None:
        asyncio.get_running_loop().slow_callback_duration = 0
        async with AsyncSmspmClient(HASH, TOKEN, url=url, retry=ONCE) as client:
            with suppress(DeliveryUnavailable):
                await getattr(client, operation)(*arguments.get(operation, ()))

    caplog.set_level(logging.DEBUG)
    with answering(echo(before), until=CODE.encode() if sends else b"\r\n\r\n") as url:
        asyncio.run(run(url), debug=True)
    assert "Executing <Task finished" in caplog.text
    assert_secret(RuntimeError(), caplog.records)


def test_nor_of_a_reply_that_names_a_number(caplog: pytest.LogCaptureFixture) -> None:
    invalid = "+12025550140"

    async def run(sandbox: Sandbox) -> None:
        asyncio.get_running_loop().slow_callback_duration = 0
        async with AsyncSmspmClient(**account(sandbox)) as client:
            (entry,) = (await client.send_bulk([invalid], TEXT)).entries
            assert entry.status == "failed"
            with pytest.raises(DeliveryRejected):
                await client.send(Message(invalid, TEXT))

    caplog.set_level(logging.DEBUG)
    with Sandbox() as sandbox:
        asyncio.run(run(sandbox), debug=True)
    assert "Executing <Task finished" in caplog.text
    assert "b'{" not in caplog.text
    secrets = (invalid[1:], "sandbox-hash", "sandbox-token")
    assert_secret(RuntimeError(), caplog.records, *secrets)


# The pool


def test_no_more_connections_than_the_pool_has(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(smspm_pool, "_POOL_SIZE", 2)

    async def run() -> None:
        with recording() as gateway:
            async with AsyncSmspmClient(HASH, TOKEN, url=gateway.url) as client:
                await asyncio.gather(*(client.send(GOOD) for _ in range(20)))
            assert len(gateway.requests) == 20
            assert gateway.connections <= 2

    asyncio.run(run())


def test_waiting_for_the_pool_is_within_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(smspm_pool, "_POOL_SIZE", 1)

    async def run(sandbox: Sandbox) -> None:
        stalled = Message(STALLED, "1234 is your code.")
        async with AsyncSmspmClient(**account(sandbox)) as client:
            first = asyncio.create_task(client.send(stalled))
            await arrival(sandbox)
            client._http._settings = HttpSettings(retry=Retry(attempts=1, total_seconds=0.1))
            with pytest.raises(DeliveryUnavailable) as raised:
                await client.send(stalled)
            first.cancel()
            with pytest.raises(asyncio.CancelledError):
                await first
        # It had no connection: it certainly was not sent.
        assert (raised.value.provider_code, raised.value.maybe_sent) == ("pool_full", False)
        assert len(sandbox.messages) == 1

    with Sandbox(stall_seconds=PATIENCE_SECONDS) as sandbox:
        asyncio.run(run(sandbox))


@pytest.mark.parametrize(
    "loop", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"]
)
def test_every_loop_has_connections_of_its_own_and_closes_them(
    loop: Callable[[], asyncio.AbstractEventLoop],
) -> None:
    with recording() as gateway:
        client = AsyncSmspmClient(HASH, TOKEN, url=gateway.url)
        for _ in range(3):
            # Not closed: the loop does that as it ends. A socket that stays open would warn,
            # and a warning fails the test.
            with asyncio.Runner(loop_factory=loop) as runner:
                runner.run(client.send(GOOD))
            gc.collect()
        assert len(gateway.requests) == 3

        async def drop() -> None:
            await AsyncSmspmClient(HASH, TOKEN, url=gateway.url).send(GOOD)
            gc.collect()
            await asyncio.sleep(0.01)

        with asyncio.Runner(loop_factory=loop) as runner:
            runner.run(drop())
        gc.collect()


def test_loops_that_are_closed_without_order_leave_nothing_for_long() -> None:
    with recording() as gateway, warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # they were left open, and Python says so
        client = AsyncSmspmClient(HASH, TOKEN, url=gateway.url)
        opened: list[weakref.ref[asyncio.AbstractEventLoop]] = []
        for _ in range(5):
            loop = asyncio.new_event_loop()
            loop.run_until_complete(client.send(GOOD))
            loop.close()
            opened.append(weakref.ref(loop))
            del loop
        asyncio.run(client.send(GOOD))
        gc.collect()
        assert [ref() for ref in opened] == [None] * 5


def test_a_closed_client_opens_anew() -> None:
    async def run() -> None:
        with recording() as gateway:
            client = AsyncSmspmClient(HASH, TOKEN, url=gateway.url)
            for _ in range(2):
                await client.send(GOOD)
                await client.aclose()
            await client.aclose()
            assert gateway.connections == 2

    asyncio.run(run())


def test_a_verifier_from_the_environment_uses_it(smspm_sandbox: Sandbox) -> None:
    async def run() -> None:
        environ = smspm_sandbox.environ | {"OTPVERIFY_SECRET": SECRET}
        parts = Parts(Settings(environ=environ))
        assert isinstance(parts.async_sender, AsyncSmspmClient)
        assert isinstance(parts.sender, SmspmClient)
        await parts.aclose()
        async with AsyncVerifier.from_env(environ) as verifier:
            challenge = await verifier.start(PHONE)
            code = smspm_sandbox.messages[0].code or ""
            assert (await verifier.check(PHONE, code, challenge=challenge.id)).phone == PHONE

    asyncio.run(run())


WITHOUT = """
import sys
sys.modules["httpx2"] = None
import inspect, otpverify
from otpverify import *
verifier = AsyncVerifier.from_env({"SMSPM_HASH": "h", "SMSPM_TOKEN": "t"})
print("AsyncSmspmClient" in {*otpverify.__all__, *dir(otpverify), *globals()})
print("AsyncVerifier" in dict(inspect.getmembers(otpverify)))
try:
    from otpverify import AsyncSmspmClient
except ImportError as error:
    print(isinstance(error, otpverify.ConfigurationError), error)
"""


def test_without_the_extra_there_is_a_way_and_a_hint() -> None:
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.stdout == (
        "False\nTrue\nTrue httpx2 is not installed. An asynchronous sender needs the extra "
        "'async': pip install 'otpverify[async]', or in a clone: pip install '.[async]'\n"
    ), done.stderr


# Proxies


@contextmanager
def proxy(answer: bytes) -> Iterator[tuple[str, list[bytes]]]:
    """A proxy that answers one request for a tunnel, and hangs up."""
    asked: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(PATIENCE_SECONDS)

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.settimeout(PATIENCE_SECONDS)
                while b"\r\n\r\n" not in b"".join(asked):
                    asked.append(connection.recv(65_536))
                connection.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"127.0.0.1:{listener.getsockname()[1]}", asked
        thread.join()


@pytest.mark.parametrize("answer", [b"HTTP/1.1 502 No\r\nContent-Length: 0\r\n\r\n", b""])
def test_a_proxy_that_fails_took_nothing_and_learnt_nothing(
    answer: bytes, mode: Mode, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("no_proxy", "NO_PROXY", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with proxy(answer) as (address, asked):
        monkeypatch.setenv("https_proxy", f"http://{address}")
        with (
            Client(mode, url="https://gateway.example") as client,
            pytest.raises(DeliveryUnavailable) as raised,
        ):
            client.send(GOOD)
    assert (raised.value.provider_code, raised.value.maybe_sent) == ("unreachable", False)
    said = b"".join(asked)
    assert said.startswith(b"CONNECT gateway.example:443 ")
    assert TOKEN.encode() not in said


@pytest.mark.parametrize("named", ["ftp://me:word@127.0.0.1:1", "socks5://me:word@127.0.0.1:1"])
def test_a_proxy_that_cannot_be_used_is_said_at_once(
    named: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.setenv("https_proxy", named)
    with pytest.raises(ConfigurationError, match="proxy") as raised:
        AsyncSmspmClient(HASH, TOKEN)
    assert "word" not in "".join(traceback.format_exception(raised.value))
    monkeypatch.setenv("no_proxy", "*")
    AsyncSmspmClient(HASH, TOKEN)
