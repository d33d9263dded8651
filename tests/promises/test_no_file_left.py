"""A process that has no file left to open gets typed errors at once, and recovers."""

from __future__ import annotations

import subprocess
import sys

import pytest

PROGRAM = """
import asyncio, os, resource, sys

from otpverify import (
    AsyncSmspmClient, DeliveryUnavailable, OtpVerifyError, Policy, Retry, SmspmClient,
    Verifier,
)
from otpverify.testing import OutboxSender

retry = Retry(attempts=2)
loop = asyncio.new_event_loop()
async_client = AsyncSmspmClient("hash", "token", url="http://127.0.0.1:9", retry=retry)
client = SmspmClient("hash", "token", url="http://127.0.0.1:9", retry=retry)
outbox = OutboxSender()
verifier = Verifier(outbox, policy=Policy(sends_per_ip=()))
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
        try:
            verifier.start(phone)
        except OtpVerifyError:
            pass
    list(map(os.close, taken))
    for phone in PHONES[:3]:
        code = verifier.start(phone)
        verifier.check(phone, outbox.code(phone), challenge=code.id)
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


@pytest.mark.parametrize("part", ["verifier", "client", "async client"])
def test_a_process_without_a_file_left_to_open_gets_typed_errors_and_recovers(part: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, part],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split()[-1] == "done"
