"""Promise 8 for every call, on the store itself and through the verifier, where `test_redis_faults`
follows one person's way: what the calls say of a fault, and what they leave behind.
"""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest
import test_redis_faults as faults
from servers import Server, binary, free_port
from support import PHONE
from test_redis_faults import (
    BOUND,
    EVERY_KIND,
    PASSED,
    POLICY,
    Site,
    Visit,
    Walk,
    Wire,
    serving,
    stands_alone,
    visit,
)

from otpverify import DeliveryStatus, Limit, StoreError
from otpverify.core.keys import Key
from otpverify.core.state import Opening

__all__ = ["visit"]

KEY = Key("phone", "scope", "challenge")
DIRECT: dict[str, tuple[Any, ...]] = {
    "open": (KEY, Opening(bytes(32), new=True), POLICY),
    "peek": (KEY, POLICY),
    "check": (KEY, bytes(32), POLICY),
    "redeem": (KEY,),
    "release": (KEY, 1, bytes(32), POLICY),
    "report": (KEY, 1, DeliveryStatus.DELIVERED, POLICY),
    "status": (KEY, POLICY),
    "cancel": (KEY,),
    "reserve": ("counter", (Limit(1, 60),)),
    "give_back": ("counter", 1),
    "health": (),
}
"""What can be asked of a store."""


def fails(site: Site, within: float = BOUND) -> set[str]:
    """See each call on the store itself fail in time, with nothing chained to its error, whatever
    the flow would make of it; what the errors say."""
    words = set()
    for operation, arguments in DIRECT.items():
        started = time.monotonic()
        with pytest.raises(StoreError) as caught:
            site.directly(operation, *arguments)
        assert time.monotonic() - started < within
        stands_alone(caught.value)
        words.add(str(caught.value))
    return words


class TestEveryOperation:
    """Of the store itself."""

    @pytest.mark.parametrize("form", ["redis://{}", "redis+sentinel://{}/it", "redis+cluster://{}"])
    def test_where_nothing_listens(self, visit: Visit, form: str) -> None:
        site = visit(form.format(f"127.0.0.1:{free_port()}"))
        assert len(fails(site)) == 1
        assert site.outcome(lambda: site.verifier.start(PHONE)) == "StoreError"

    @EVERY_KIND
    def test_with_a_wrong_password(self, visit: Visit, kind: str) -> None:
        with Server(binary(kind), options={"requirepass": "right"}) as server:
            for user in ("", ":wrong@", "nobody:right@"):
                site = visit(server.url.replace("//", f"//{user}"))
                assert fails(site) == {"Redis refused the credentials or their permissions."}

    @EVERY_KIND
    def test_of_a_server_that_was_killed(self, visit: Visit, kind: str) -> None:
        with Server(binary(kind)) as server:
            site = visit(server.url)
            site.works()
            server.kill()
            fails(site)
            server.start()
            site.works()


@pytest.fixture
def stuck() -> Iterator[str]:
    """An address where connections are never made: its queue is full, and nobody takes from it."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(50):
            waiting = stack.enter_context(socket.socket())
            waiting.settimeout(0.05)
            try:
                waiting.connect(listener.getsockname())
            except TimeoutError:
                break
        else:
            pytest.fail("the queue does not fill up")
        yield f"127.0.0.1:{listener.getsockname()[1]}"


class TestConnectsThatHang:
    """As to a host behind a firewall that drops what comes."""

    @pytest.mark.parametrize("form", ["redis://{}", "redis+sentinel://{}/it", "redis+cluster://{}"])
    def test_end_in_the_time_that_is_theirs(self, visit: Visit, stuck: str, form: str) -> None:
        """Replies may take long here; of connections, twice 0.05 seconds are due."""
        site = visit(form.format(stuck), connect=0.05, timeout=20)
        within = 2 * 0.05 + 1
        started = time.monotonic()
        assert site.outcome(partial(site.verifier.start, PHONE)) == "StoreError"
        assert time.monotonic() - started < within
        assert fails(site, within) <= {
            "Redis did not answer in time.",
            "Redis could not be reached, or closed the connection.",
            "Redis failed (RedisClusterException).",
        }
        assert not len(site.outbox)


@pytest.fixture(scope="module")
def clusters() -> Iterator[Callable[[str], Wire]]:
    """Clusters of one node behind a wire, by name; each takes two seconds until it is one."""
    with contextlib.ExitStack() as stack:
        running: dict[str, Wire] = {}

        def get(kind: str) -> Wire:
            if kind not in running:
                server = Server(binary(kind), cluster=True)
                wire = running[kind] = Wire(server)
                # A client asks the cluster where its nodes are: on the wire. Nobody needs its bus.
                server.options["cluster-announce-port"] = str(wire.port)
                server.options["cluster-announce-bus-port"] = str(server.port + 10_000)
                stack.enter_context(server)
                stack.enter_context(serving(wire))
            return running[kind]

        yield get


class TestLostRepliesOfACluster(faults.TestLostReplies):
    """The same through redis-py's client for clusters, which has its own ways to repeat."""

    @pytest.fixture
    def wire(self, clusters: Callable[[str], Wire], kind: str) -> Wire:
        wire = clusters(kind)
        with wire.behind.client() as admin:
            admin.flushall()
        wire.spoils.clear()
        wire.before = lambda: None
        return wire

    def test_nothing_goes_past_the_wire(self, visit: Visit, wire: Wire, kind: str) -> None:
        """Otherwise no reply would ever be lost, and everything here would pass."""
        site = visit(wire.url)
        assert wire.url.startswith("redis+cluster://")
        wire.spoils.extend([PASSED] * 3)
        walk = Walk(site)
        for step in walk.steps[:2]:
            site.outcome(step)
        assert len(wire.spoils) == 1
