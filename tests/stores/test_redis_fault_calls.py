"""Promise 8 for every call, on the store itself and through the verifier, where `test_redis_faults`
follows one person's way: what the calls say of a fault, and what they leave behind.
"""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NoReturn

import pytest
import test_redis_faults as faults
from servers import Server, binary, free_port
from support import LONG, OTHER_PHONE, PHONE, SECRET, long_form
from test_redis_faults import (
    BOUND,
    EVERY_KIND,
    PASSED,
    POLICY,
    Site,
    Visit,
    Walk,
    Wire,
    full,
    locked,
    serving,
    settle,
    stands_alone,
    visit,
)

from otpverify import DeliveryStatus, DeliveryUnavailable, HmacHasher, Limit, Message, StoreError
from otpverify.core.keys import Key
from otpverify.core.state import Opening
from otpverify.testing import OutboxSender, code_in

pytestmark = pytest.mark.sync_in_short_form

__all__ = ["visit"]

KEY = Key("phone", "scope", "challenge")
DIRECT: dict[str, tuple[Any, ...]] = {
    "open": (KEY, Opening(bytes(32), new=True), POLICY),
    "peek": (KEY, POLICY),
    "place": (KEY, 1, bytes(32), POLICY),
    "claim": (KEY, POLICY),
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

    @pytest.mark.parametrize(
        "form",
        [
            "redis://{}",
            pytest.param("redis+sentinel://{}/it", marks=long_form),
            "redis+cluster://{}",
        ],
    )
    def test_where_nothing_listens(self, visit: Visit, form: str) -> None:
        site = visit(form.format(f"127.0.0.1:{free_port()}"))
        assert len(fails(site)) == 1
        assert site.outcome(lambda: site.verifier.start(PHONE)) == "StoreError"

    @EVERY_KIND
    def test_with_a_wrong_password(self, visit: Visit, kind: str) -> None:
        with Server(binary(kind), options={"requirepass": "right"}) as server:
            for user in ("", ":wrong@", "nobody:right@"):
                site = visit(server.url.replace("//", f"//{user}"))
                assert fails(site) == REFUSED

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
    """An address where connections are never made: its queue is full, and nothing takes from it."""
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
        within = 2 * 0.05 + 3
        started = time.monotonic()
        assert site.outcome(partial(site.verifier.start, PHONE)) == "StoreError"
        assert time.monotonic() - started < within
        assert fails(site, within) <= {
            "Redis did not answer in time.",
            "Redis could not be reached, or closed the connection.",
            "The Redis cluster could not be reached, or this Redis is not a cluster.",
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
                # A client asks the cluster where its nodes are: on the wire. Its bus is not needed.
                server.options["cluster-announce-port"] = str(wire.port)
                server.options["cluster-announce-bus-port"] = str(server.port + 10_000)
                stack.enter_context(server)
                stack.enter_context(serving(wire))
            return running[kind]

        yield get


class TestLostRepliesOfACluster(faults.TestLostReplies):
    """The same through redis-py's client for clusters, which has its own ways to repeat."""

    @pytest.fixture
    def visit(self, visit: Visit) -> Visit:
        """It asks for the layout again before it repeats, which takes long on a busy machine."""
        return partial(visit, timeout=2.0 if LONG else 0.8)

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


class Held:
    """What one verifier has issued: a proof for one phone, and a code and a report's token for
    another. Each call here is about one of them."""

    def __init__(self, site: Site) -> None:
        verifier = site.verifier
        self.site = site
        proved = verifier.start(PHONE).id
        proof = verifier.check(PHONE, site.outbox.code(), challenge=proved).proof
        live = verifier.start(OTHER_PHONE).id
        token = site.outbox.last.report
        assert token
        self.redeem = partial(verifier.redeem, PHONE, proof)
        self.right = partial(verifier.check, OTHER_PHONE, site.outbox.code(), challenge=live)
        self.cancel = partial(verifier.cancel, OTHER_PHONE, challenge=live)
        self.status = partial(verifier.status, OTHER_PHONE, challenge=live)
        report = partial(verifier.delivery_report, {"report_token": token, "status": "delivered"})
        self.delivered = report
        self.failed = partial(verifier.delivery_report, {"report_token": token, "status": "failed"})

    def outcomes(self, *calls: str) -> list[str]:
        """The outcomes of calls, in this order."""
        return [self.site.outcome(getattr(self, call)) for call in calls]

    def goes_on(self, call: str, *, done: frozenset[bool]) -> None:
        """See that the call can be made again, and that nothing but it has left a trace.

        Args:
            call: The one that met a fault.
            done: Whether it may have been done despite the error.
        """
        if call == "redeem":
            first, second = self.outcomes("redeem", "redeem")
            assert first in {"ChallengeExpired" if was else "Verified" for was in done}
            assert second == "ChallengeExpired"
        else:
            assert self.outcomes("redeem", "redeem") == ["Verified", "ChallengeExpired"]
        if call == "cancel":
            (status,) = self.outcomes("status")
            assert status in {"ChallengeExpired" if was else "DeliveryStatus" for was in done}
            assert self.outcomes("cancel", "status") == ["NoneType", "ChallengeExpired"]
            assert self.outcomes("right") == ["ChallengeExpired"]
            return
        expected = DeliveryStatus.QUEUED
        if call in ("delivered", "failed"):
            expected = DeliveryStatus(call)
            report = getattr(self, call)
            first, second = report(), report()
            assert first.known
            assert second.known
            assert first.changed in {not was for was in done}
            assert first.given_back == (first.changed and call == "failed")
            assert not second.changed
            assert not second.given_back
        assert self.status() == expected
        assert self.outcomes("right", "right") == ["Verified", "ChallengeExpired"]
        sends_left = self.site.verifier.start(OTHER_PHONE).sends_left
        assert sends_left == (19 if call == "failed" else 18)

    def is_lost(self) -> None:
        """See that nobody gets in after the server has forgotten everything."""
        assert self.outcomes("redeem", "right", "status", "cancel") == [
            *["ChallengeExpired"] * 3,
            "NoneType",
        ]
        assert not self.delivered().known
        assert not self.failed().known


@contextlib.contextmanager
def killed(server: Server) -> Iterator[None]:
    server.kill()
    yield
    server.start()


@contextlib.contextmanager
def paused(server: Server) -> Iterator[None]:
    with server.paused():
        yield
    settle(server)


KEPT = {"appendonly": "yes", "appendfsync": "always"}
FAULTS: dict[str, tuple[Callable[[Server], contextlib.AbstractContextManager[None]], Any]] = {
    "killed": (killed, KEPT),
    "emptied": (killed, None),
    "paused": (paused, None),
    "full": (full, None),
    "locked": (locked, None),
}
CALLS = ("redeem", "cancel", "delivered", "failed", "status")
NEEDS_NO_MEMORY = {"cancel": "NoneType", "status": "DeliveryStatus"}


@EVERY_KIND
@pytest.mark.parametrize("fault", FAULTS)
class TestEveryCall:
    """Through the verifier: redeem, cancel, reports, status, and the send that is given back."""

    @pytest.fixture(autouse=True)
    def asks_for_reports(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(OutboxSender, "takes_reports", True, raising=False)

    @pytest.mark.parametrize("call", CALLS)
    def test_fails_in_time_and_can_be_made_again(
        self, visit: Visit, kind: str, fault: str, call: str
    ) -> None:
        begin, options = FAULTS[fault]
        with Server(binary(kind), options=options) as server:
            site = visit(server.url)
            held = Held(site)
            expected = NEEDS_NO_MEMORY.get(call, "StoreError") if fault == "full" else "StoreError"
            with begin(server):
                assert held.outcomes(call) == [expected]
            if fault == "emptied":
                held.is_lost()
            elif fault == "paused":  # what was sent is done after the client has left
                held.goes_on(call, done=frozenset({True, False}))
            else:
                held.goes_on(call, done=frozenset({expected != "StoreError"}))
            site.works()

    def test_a_send_that_is_not_given_back_stays_counted(
        self, visit: Visit, kind: str, fault: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        """The gateway was not reached, and then the store is not: the caller learns of the first,
        the code stays good, and the limits admit no more than before."""
        begin, options = FAULTS[fault]
        with (
            Server(binary(kind), options=options) as server,
            contextlib.ExitStack() as stack,
        ):
            site = visit(server.url)
            site.verifier.start(PHONE)
            sender = Unreached(lambda: stack.enter_context(begin(server)))
            verifier = site.mode.make(
                sender, store=site.store, policy=POLICY, hasher=HmacHasher(), secret=SECRET
            )
            started = time.monotonic()
            with pytest.raises(DeliveryUnavailable) as caught:
                verifier.start(PHONE)
            assert time.monotonic() - started < BOUND
            assert "A send could not be given back" in caplog.text
            stack.close()
            assert caught.value.challenge is not None
            late = partial(
                site.verifier.check, PHONE, sender.code, challenge=caught.value.challenge.id
            )
            assert site.outcome(late) == ("ChallengeExpired" if fault == "emptied" else "Verified")
            left = site.verifier.start(PHONE).sends_left
            assert left in {"emptied": (19,), "paused": (17, 18)}.get(fault, (17,))
            site.works()


class Unreached:
    """A gateway that is not reached, and takes the store down with it.

    Args:
        before: Called before the failure.
    """

    code = ""

    def __init__(self, before: Callable[[], object]) -> None:
        self._before = before

    def send(self, message: Message) -> NoReturn:
        self.code = code_in(message.text)
        self._before()
        raise DeliveryUnavailable(maybe_sent=False)


REFUSED = {"Redis refused the credentials or their permissions."}
# What is wrong on the server, what puts it right, and who the verifier says that it is.
CORRECTIONS = {
    "password": ("CONFIG SET requirepass other", "CONFIG SET requirepass mine", ":mine"),
    "user": ("ACL SETUSER app off >mine ~* +@all", "ACL SETUSER app on", "app:mine"),
    "user-s-password": (
        "ACL SETUSER app on >other ~* +@all",
        "ACL SETUSER app <other >mine",
        "app:mine",
    ),
    "permission": (
        "ACL SETUSER app on >mine ~* +@all -@scripting",
        "ACL SETUSER app +@scripting",
        "app:mine",
    ),
}


@EVERY_KIND
@pytest.mark.parametrize("what", CORRECTIONS)
def test_what_is_put_right_on_the_server_needs_no_new_verifier(
    visit: Visit, kind: str, what: str
) -> None:
    wrong, right, user = CORRECTIONS[what]
    with Server(binary(kind)) as server, server.client(single_connection_client=True) as admin:
        admin.execute_command(*wrong.split())
        site = visit(server.url.replace("//", f"//{user}@"))
        assert site.outcome(partial(site.verifier.start, PHONE)) == "StoreError"
        if what == "permission":
            assert site.directly("health").role == "master"  # which is not a script
        else:
            assert fails(site) == REFUSED
        assert not len(site.outbox)
        admin.execute_command(*right.split())
        site.works()
