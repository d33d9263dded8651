"""start and check against the floor, one thread, in interleaved rounds; server time and round
trips from INFO commandstats; the CPU share of Argon2."""

from __future__ import annotations

import resource
from typing import Any

from benchmarks.common import (
    POLICY,
    SECRET,
    NoOpSender,
    best,
    floor,
    microseconds,
    phone,
    pinned_server,
    row,
    verifier_on,
)
from otpverify import Argon2Hasher, RedisStore, Verifier
from otpverify.core.keys import Keyring, Subject

ROUNDS = 9
CALLS = 1_500


def commands(client: Any) -> tuple[int, float]:
    """How many scripts ran since the last reset, and microseconds of server time for each."""
    found = client.info("commandstats")
    calls = sum(found.get(f"cmdstat_{name}", {}).get("calls", 0) for name in ("evalsha", "eval"))
    spent = sum(found.get(f"cmdstat_{name}", {}).get("usec", 0) for name in ("evalsha", "eval"))
    return calls, spent / max(1, calls)


def main() -> None:
    with pinned_server() as server:
        client = server.client()
        sender = NoOpSender()
        verifier = verifier_on(server.url, sender)
        samples: dict[str, list[float]] = {"floor": [], "start": [], "check": []}
        served: dict[str, list[float]] = {"start": [], "check": []}
        trips: dict[str, float] = {}
        pending: list[tuple[str, str, str]] = []

        def start(number: int) -> None:
            to = phone(number)
            challenge = verifier.start(to)
            pending.append((to, challenge.id, sender.code))

        def check(number: int) -> None:
            to, challenge, code = pending[number]
            verifier.check(to, code, challenge=challenge)

        for _ in range(ROUNDS):
            client.flushall()
            start(CALLS)  # loads the scripts, and connects
            check(len(pending) - 1)
            pending.clear()
            samples["floor"].append(floor(client, CALLS))
            for name, call in (("start", start), ("check", check)):
                client.config_resetstat()
                samples[name].append(microseconds(call, CALLS))
                calls, spent = commands(client)
                trips[name] = calls / CALLS
                served[name].append(spent)
        bare = best(samples["floor"])
        row("operation", "time, us", "to the floor", "round trips", "server time, us")
        row("---", "---", "---", "---", "---")
        row("bare EVALSHA (the floor)", f"{bare:.0f}", "1.00", "1", "")
        for name, limit in (("start", 1.9), ("check", 1.4)):
            took = best(samples[name])
            row(
                f"{name}, HmacHasher (at most {limit})",
                f"{took:.0f}",
                f"{took / bare:.2f}",
                f"{trips[name]:.0f}",
                f"{best(served[name]):.1f}",
            )
        pair = best([a + b for a, b in zip(samples["start"], samples["check"], strict=True)])
        row("start and right check (at least 0.30)", f"{pair:.0f}", f"{bare / pair:.2f}", "2", "")
        argon(server.url)


def argon(url: str) -> None:
    """How much of a check's CPU time is Argon2."""
    sender, hasher = NoOpSender(), Argon2Hasher()
    store = RedisStore.from_url(url)
    verifier = Verifier(sender, store=store, secret=SECRET, hasher=hasher, policy=POLICY)
    checks = []
    for number in range(40):
        challenge = verifier.start(phone(3_000_000 + number))
        checks.append((challenge.phone, challenge.id, sender.code))
    secret = Keyring([SECRET.encode()]).signing
    whole = alone = 0.0
    for to, challenge_id, code in checks:
        subject = Subject(secret, to, "verify", challenge_id)
        began = resource.getrusage(resource.RUSAGE_SELF)
        hasher.digest(secret.value, subject.code_message(code), subject.code_salt)
        alone += cpu_since(began)
        began = resource.getrusage(resource.RUSAGE_SELF)
        verifier.check(to, code, challenge=challenge_id)
        whole += cpu_since(began)
    share = alone / whole
    row("check, Argon2Hasher: its CPU that is Argon2 (at least 95%)", "", f"{share:.1%}", "2", "")


def cpu_since(began: resource.struct_rusage) -> float:
    now = resource.getrusage(resource.RUSAGE_SELF)
    return now.ru_utime + now.ru_stime - began.ru_utime - began.ru_stime


if __name__ == "__main__":
    main()
