"""Modules and tables are loaded when they are first needed, also by many threads at once."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import re, sys, threading
import otpverify

THREADS = 16
barrier, found, failed = threading.Barrier(THREADS), [], []

def first_of_all():
    try:
        barrier.wait()
        client = otpverify.SmspmClient("hash", "token", url="http://127.0.0.1:9")
        from otpverify.testing import OutboxSender
        outbox = OutboxSender()
        hasher = otpverify.Argon2Hasher(memory_kib=8, iterations=1, allow_weak=True)
        policy = otpverify.Policy(sends_per_ip=())
        verifier = otpverify.Verifier(outbox, policy=policy, hasher=hasher)
        phone = "+37256789045"
        challenge = verifier.start(phone, locale="de-AT")
        verified = verifier.check(phone, outbox.code(), challenge=challenge.id)
        text = re.sub("[0-9]{6}", "CODE", outbox.messages[0].text)
        found.append((repr(client), verified.phone, text, otpverify.sms.segments(text).parts))
    except BaseException as error:
        failed.append(repr(error))

sys.setswitchinterval(1e-5)
threads = [threading.Thread(target=first_of_all) for _ in range(THREADS)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(len(found), len(set(found)), failed)
"""


def test_16_threads_load_everything_at_once() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.stdout, done.stderr) == ("16 1 []\n", "")
