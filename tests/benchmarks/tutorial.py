"""For orientation: the implementation that the tutorial suggests (a JSON value, GET, compare,
SET), on the same server, timed and raced."""

from __future__ import annotations

import json
import secrets
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import redis

from benchmarks.common import best, floor, microseconds, phone, pinned_server, row

THREADS = 50
MAX_ATTEMPTS = 5


def start(client: redis.Redis, to: str) -> str:
    code = f"{secrets.randbelow(10**6):06}"
    client.set(f"otp:{to}", json.dumps({"code": code, "attempts": 0}), ex=600)
    return code


def check(client: redis.Redis, to: str, code: str) -> str:
    raw = client.get(f"otp:{to}")
    if raw is None:
        return "gone"
    found = json.loads(raw)
    if found["attempts"] >= MAX_ATTEMPTS:
        return "exhausted"
    if found["code"] == code:
        client.delete(f"otp:{to}")
        return "accepted"
    found["attempts"] += 1
    client.set(f"otp:{to}", json.dumps(found), keepttl=True)
    return "compared"


def race(client: redis.Redis, to: str, code: str) -> Counter[str]:
    barrier = threading.Barrier(THREADS)

    def one(_: int) -> str:
        barrier.wait()
        return check(client, to, code)

    with ThreadPoolExecutor(THREADS) as pool:
        return Counter(pool.map(one, range(THREADS)))


def main() -> None:
    with pinned_server() as server:
        client = server.client()
        pairs, floors = [], []
        for number in range(9):

            def pair(n: int, first: int = number * 500) -> None:
                to = phone(first + n)
                check(client, to, start(client, to))

            floors.append(floor(client, 500))
            pairs.append(microseconds(pair, 500))
        row("tutorial style", "seen", "must be")
        row("---", "---", "---")
        row("start and right check, of the floor's rate", f"{best(floors) / best(pairs):.2f}", "")
        code = start(client, "a")
        wrong = race(client, "a", "x" * len(code))["compared"]
        row(f"{THREADS} wrong codes at once: compared", wrong, MAX_ATTEMPTS)
        right = race(client, "b", start(client, "b"))["accepted"]
        row(f"{THREADS} right codes at once: accepted", right, 1)


if __name__ == "__main__":
    main()
