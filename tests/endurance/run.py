"""The program: start servers, the gateway and workers, let things break, stop, and judge.

    cd tests && python -m endurance.run --minutes 60

It ends with 1 if a promise was broken.
"""

from __future__ import annotations

import argparse
import contextlib
import multiprocessing
import os
import signal
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from endurance import gateway, report, worker
from endurance.deployments import Deployment, deployed
from endurance.faults import happen, plans
from endurance.judge import Judge
from endurance.ledger import PARTS, read
from endurance.machine import watched
from endurance.people import POLICY
from endurance.report import GATEWAY, Outcome

STORES = ("sentinel", "cluster")
_CONTEXT = multiprocessing.get_context("spawn")
_GOODBYE_SECONDS = 40.0
DRAIN_SECONDS = POLICY.ttl_seconds + 60 + 5
"""After so long everything has expired but for what a fraud policy learns: see `SLACK` in
otpverify/core/fraud_policy.py."""


@dataclass(slots=True)
class Worker:
    """A worker process, and the one that takes its place when it is killed."""

    orders: worker.Orders
    process: BaseProcess
    line: Any


class Crew:
    """The workers: two for each store, one with threads and one with an event loop.

    Args:
        stores: The servers by name.
        gateway_url: The gateway's address.
        folder: Where the ledger is.
        tempo: The seconds that people rest.
    """

    def __init__(
        self, stores: dict[str, Deployment], gateway_url: str, folder: Path, tempo: float
    ) -> None:
        self.workers: list[Worker] = []
        for number in range(2 * len(stores)):
            store = stores[list(stores)[number // 2]]
            name = f"{store.name}.{number}-0"
            orders = worker.Orders(
                name=name,
                number=number,
                life=0,
                workers=2 * len(stores),
                store_url=store.url,
                gateway_url=gateway_url,
                folder=str(folder),
                asynchronous=bool(number % 2),
                tempo=tempo,
            )
            self.workers.append(self._begin(orders))
        for one in self.workers:
            one.line.recv()  # it has loaded everything, and begins

    @staticmethod
    def _begin(orders: worker.Orders) -> Worker:
        near, far = _CONTEXT.Pipe()
        process = _CONTEXT.Process(target=worker.main, args=(orders, far), daemon=True)
        process.start()
        far.close()
        return Worker(orders, process, near)

    def kill(self, store: str) -> None:
        """Kill a worker of that store, always the same one, and start another in its place."""
        place = {"sentinel": 0, "cluster": 3}[store]
        killed = self.workers[place]
        assert killed.process.pid is not None
        os.kill(killed.process.pid, signal.SIGKILL)
        killed.process.join()
        killed.line.close()
        self.workers[place] = self._begin(worker.restarted(killed.orders))

    @property
    def pids(self) -> dict[str, int]:
        """The processes that are never killed."""
        return {
            f"worker, {'tasks' if one.orders.asynchronous else 'threads'}": one.process.pid or 0
            for place, one in enumerate(self.workers)
            if place in (1, 2)
        }

    def stop(self) -> int:
        """Let them end what they do. Gives how many did not."""
        for one in self.workers:
            with contextlib.suppress(OSError):
                one.line.send("stop")
        deadline, stuck = time.monotonic() + _GOODBYE_SECONDS, 0
        for one in self.workers:
            one.process.join(max(0.1, deadline - time.monotonic()))
            if one.process.is_alive():
                stuck += 1
                one.process.kill()
                one.process.join()
            elif one.process.exitcode:
                stuck += 1
        return stuck


def run(
    seconds: float, *, rest: float = 5.0, fault: float = 5.0, drain: bool = True, tempo: float = 0.0
) -> Outcome:
    """Let the traffic last so long, and judge it.

    Args:
        seconds: How long.
        rest: The seconds between two faults.
        fault: The seconds for which the gateway is slow or fails.
        drain: Whether to wait until everything has expired.
        tempo: The seconds that people rest.
    """
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="otpverify-load-")))
        stores = {name: stack.enter_context(deployed(name)) for name in STORES}
        near, far = _CONTEXT.Pipe()
        served = _CONTEXT.Process(target=gateway.serve, args=(str(folder), far), daemon=True)
        served.start()
        far.close()
        crew = Crew(stores, near.recv(), folder, tempo)
        begun = time.monotonic()

        def pids() -> dict[str, int]:
            nodes = {
                f"cluster, node {nth + 1}": server.pid
                for nth, server in enumerate(stores["cluster"].servers)
            }
            return {**crew.pids, GATEWAY: served.pid or 0, **nodes}

        with watched(pids) as memory:
            time.sleep(min(5.0, seconds / 4))
            kinds = plans(stores["sentinel"], stores["cluster"], near.send, crew.kill, fault)
            faults = happen(kinds, begun + seconds, rest)
            time.sleep(max(0.0, begun + seconds - time.monotonic()))
            seconds = time.monotonic() - begun
        stuck = crew.stop()
        keys = [key for store in stores.values() for key in store.kept()]
        for_ever, kept = sum(left < 0 for _, left in keys), None
        if drain:
            time.sleep(DRAIN_SECONDS)
            keys = [key for store in stores.values() for key in store.kept()]
            kept = Counter(_kind_of(name) for name, _ in keys)
        near.send(None)
        served.join(_GOODBYE_SECONDS)
        judge = Judge(POLICY, faults)
        for part in range(PARTS):
            judge.take(*read(folder, part))
        judge.finish()
        return Outcome(judge, faults, memory, seconds, kept, for_ever, stuck)


def _kind_of(name: bytes) -> str:
    """What a key holds, in words."""
    _, mark, rest = name.partition(b"{f}:")
    if mark:
        kinds = {b"k": "known number", b"p": "prefix", b"b": "charge", b"n": "once-marker"}
        return f"fraud policy: {kinds.get(rest[:1], 'country')}"
    return "counter" if b":ip:" in name else "phone or challenge"


def main() -> int:
    """Read the command line, run, print the tables, and say whether all promises held."""
    parser = argparse.ArgumentParser(prog="endurance", description=__doc__)
    parser.add_argument("--minutes", type=float, default=60.0, help="how long the traffic lasts")
    parser.add_argument("--rest", type=float, default=5.0, help="seconds between two faults")
    given = parser.parse_args()
    return report.write(run(60 * given.minutes, rest=given.rest))


if __name__ == "__main__":
    sys.exit(main())
