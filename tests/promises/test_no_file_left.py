"""A process that has no file left to open gets typed errors at once, and recovers."""

from __future__ import annotations

import subprocess
import sys

import pytest
from servers import Server, binary

PROGRAM = """
import asyncio, os, resource, sys

from otpverify import (
    AsyncSmspmClient, AsyncVerifier, DeliveryUnavailable, Policy, Retry,
    RedisStore, SmspmClient, Verifier,
)
from otpverify.integrations.web import run_sync
from otpverify.integrations.web.account_notices import AccountChange, AccountNotice, send_notice
from otpverify.testing import AsyncOutboxSender, OutboxSender

if sys.argv[1] == "redis":
    store = RedisStore.from_url(sys.argv[2])
    shared = Verifier(OutboxSender(), store=store, secret="IVKyqv658P1UUfs7FIPkHIFCfhGBIzc9LecQbj3")
    waiting = shared.start("+37256789045")  # it connects
retry = Retry(attempts=2)
loop = asyncio.new_event_loop()
async_client = AsyncSmspmClient("hash", "token", url="http://127.0.0.1:9", retry=retry)
client = SmspmClient("hash", "token", url="http://127.0.0.1:9", retry=retry)
outbox = OutboxSender()
events = []
verifier = Verifier(outbox, policy=Policy(sends_per_ip=()), on_event=events.append)
async_outbox = AsyncOutboxSender()
async_verifier = AsyncVerifier(async_outbox, policy=Policy(sends_per_ip=()))
hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (64, hard))
taken = []
try:
    while True:
        taken.append(os.open(os.devnull, os.O_RDONLY))
except OSError:
    pass

PHONES = "+37256789045", "+12025550123", "+447911123456", "+870773111632"
if sys.argv[1] == "verifier":
    for phone in PHONES:
        code = verifier.start(phone, locale="de")
        verifier.check(phone, outbox.code(phone), challenge=code.id)
    assert [event.outcome for event in events] == ["sent", "verified"] * len(PHONES), events
    list(map(os.close, taken))
elif sys.argv[1] == "async verifier":
    async def prove():
        for phone in PHONES:
            code = await async_verifier.start(phone)
            await async_verifier.check(phone, async_outbox.code(phone), challenge=code.id)
    loop.run_until_complete(prove())
    list(map(os.close, taken))
elif sys.argv[1] == "account notice":
    change = AccountNotice("7", AccountChange.PHONE_CHANGED, PHONES[0], "de")
    assert run_sync(send_notice(verifier, change, brand="Example"))
    assert "Example" in outbox.messages[0].text
    list(map(os.close, taken))
elif sys.argv[1] == "redis":
    shared.unlock(waiting.phone)
    shared.cancel(waiting.phone, challenge=waiting.id)
    list(map(os.close, taken))
elif sys.argv[1] == "bulk":
    result = client.send_bulk(PHONES, "Hello")
    assert {type(entry.error) for entry in result.entries} == {DeliveryUnavailable}, result
    list(map(os.close, taken))
elif sys.argv[1] == "async bulk":
    async def send():
        result = await async_client.send_bulk(PHONES, "Hello")
        assert {type(entry.error) for entry in result.entries} == {DeliveryUnavailable}, result
        list(map(os.close, taken))
    loop.run_until_complete(send())
elif sys.argv[1] == "client":
    try:
        client.balance()
    except DeliveryUnavailable:
        pass
else:
    async def ask():
        try:
            await async_client.balance()
        except DeliveryUnavailable:
            list(map(os.close, taken))  # asyncio's own end needs files
    loop.run_until_complete(ask())
print("done")
"""


@pytest.mark.parametrize(
    "part",
    [
        "verifier",
        "async verifier",
        "account notice",
        "client",
        "async client",
        "bulk",
        "async bulk",
    ],
)
def test_a_process_without_a_file_left_to_open_gets_typed_errors_and_recovers(part: str) -> None:
    assert run(part) == "done"


def test_a_store_in_redis_that_is_connected_needs_no_file() -> None:
    with Server(binary("valkey9")) as server:
        assert run("redis", server.url) == "done"


def run(*arguments: str) -> str:
    """The last word of the program."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *arguments],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()[-1]
