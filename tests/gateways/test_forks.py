"""A client that was used before its process is forked: every process gets its own replies."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
from support import long_form

from otpverify.sandbox import Sandbox

SCRIPT = """
import asyncio, json, os, sys, threading, warnings
from otpverify import AsyncSmspmClient, Message, Retry, SmspmClient

warnings.simplefilter("ignore")  # Python 3.12 warns of forks beside threads
kind, rounds = sys.argv[1], 20
options = {"url": sys.argv[2], "retry": Retry(attempts=1, total_seconds=20)}


def send_all(client, first):
    def one(number):
        phone = f"+1202555{number:04}"
        return phone, client.send(Message(phone, "Hello.")).message_id
    return [one(first + n) for n in range(rounds)]


async def send_all_async(client, first):
    async def one(number):
        phone = f"+1202555{number:04}"
        return phone, (await client.send(Message(phone, "Hello."))).message_id
    return await asyncio.gather(*(one(first + n) for n in range(rounds)))


if kind == "sync":
    client = SmspmClient("hash", "token", **options)
    work = send_all
elif kind == "bulk":
    client = SmspmClient("hash", "token", **options)
    def work(client, first):
        numbers = [f"+1202555{first + n:04}" for n in range(rounds)]
        result = client.send_bulk(numbers, "Hello.", batch_size=2)
        return [(entry.phone, entry.message_id) for entry in result.entries]
else:
    client = AsyncSmspmClient("hash", "token", **options)
    def work(client, first):
        return asyncio.run(send_all_async(client, first))


busy = threading.Thread(target=lambda: kind == "bulk" and work(client, 5000))
found = work(client, 2000)
busy.start()  # in one case connections are in use when the process is forked, not idle
children = []
for child in range(3):
    read, write = os.pipe()
    pid = os.fork()
    if not pid:
        own = work(client, 3000 + 100 * child)
        if kind != "async":
            client.close()
        os.write(write, json.dumps(own).encode())
        os._exit(0)
    os.close(write)
    children.append((pid, read))
found += work(client, 4000)
for pid, read in children:
    with os.fdopen(read) as pipe:
        found += json.loads(pipe.read())
    assert os.waitpid(pid, 0)[1] == 0
busy.join()
found += work(client, 2100)  # a child that closed its copy took nothing away
print(json.dumps(found))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")
@pytest.mark.parametrize(
    "kind", ["sync", *(pytest.param(kind, marks=long_form) for kind in ("async", "bulk"))]
)
def test_each_process_gets_its_own_replies(kind: str) -> None:
    with Sandbox(hash="hash", token="token") as sandbox:
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT, kind, sandbox.url],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        sent = {message.id: message.to for message in sandbox.messages}
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(done.stdout)
    assert len(found) == 20 * 6
    assert {message_id: phone for phone, message_id in found}.items() <= sent.items()
