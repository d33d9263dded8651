"""Promise 8 on real servers that are killed, paused, full, read-only, busy, or lie, and on
connections that break between a request and its reply.

In every case: a typed error within the configured time, no wrong or used code accepted, no
limit exceeded, and the same verifier works again by itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import select
import socket
import socketserver
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import pytest
import redis
from servers import Server, binary, free_port, store_of, until
from support import LONG, OTHER_PHONE, PHONE, QUICK, SECRET, AsyncMode, Mode, wrong

from otpverify import (
    AsyncRedisStore,
    AsyncVerifier,
    AttemptsExhausted,
    DeliveryUnavailable,
    HmacHasher,
    IncorrectCode,
    Limit,
    OtpVerifyError,
    Policy,
    StoreError,
    Verified,
)
from otpverify.core.keys import Key
from otpverify.testing import OutboxSender, code_in

pytestmark = pytest.mark.sync_in_short_form

# A machine that runs all of the long form stands still for half a second now and then.
TIMEOUT = 1.0 if LONG else 0.3
BOUND = 2 * (TIMEOUT + TIMEOUT) + 3
"""What the timeouts promise, and three seconds for a machine that does other things."""

POLICY = Policy(resend_cooldown_seconds=0, sends_per_phone=(Limit(20, 3600),), sends_per_ip=())
KINDS = ("valkey9", "redis6", "redis7")
# Faults depend little on the server: they are met on one, and in CI on each.
EVERY_KIND = pytest.mark.parametrize("kind", KINDS if LONG else KINDS[:1])


class Site:
    """A verifier of one mode that talks to one address, and its outbox."""

    def __init__(self, mode: Mode, store: Any, **options: Any) -> None:
        self.mode = mode
        self.store = store
        self.outbox = OutboxSender()
        self.errors: list[str] = []
        options = {"policy": POLICY, "hasher": HmacHasher(), "secret": SECRET} | options
        self.verifier = mode.make(self.outbox, store=store, **options)

    def outcome(self, call: Callable[[], Any]) -> str:
        """What came of a call. Whatever is no error of otpverify fails the test, and so does a
        call that takes longer than the timeouts allow."""
        started = time.monotonic()
        try:
            found = type(call()).__name__
        except OtpVerifyError as error:
            found = type(error).__name__
            self.errors.append(str(error))
            if isinstance(error, StoreError):
                stands_alone(error)
        assert time.monotonic() - started < BOUND
        return found

    def directly(self, operation: str, *arguments: Any) -> Any:
        """Call the store without a verifier."""
        call = getattr(self.store, operation)(*arguments)
        return self.mode.runner.run(call) if isinstance(self.mode, AsyncMode) else call

    def attempts_left(self, id_: str, code: str) -> int | None:
        """What a wrong code leaves."""
        with pytest.raises(OtpVerifyError) as caught:
            self.verifier.check(PHONE, wrong(code), challenge=id_)
        left: int | None = getattr(caught.value, "attempts_left", None)
        return left

    def works(self) -> None:
        """Go once through everything with the same verifier."""
        walk = Walk(self)
        self.errors.clear()
        assert [self.outcome(step) for step in walk.steps] == list(Walk.expected), self.errors


def stands_alone(error: BaseException) -> None:
    """That nothing is chained to an error: redis-py's own exceptions may hold what was sent."""
    assert error.__context__ is None
    assert error.__cause__ is None


class Walk:
    """One person's way through a verification, call by call."""

    expected = ("Challenge", "IncorrectCode", "Challenge", "Verified", "ChallengeExpired")
    names = ("start", "wrong", "resend", "right", "replay")

    def __init__(self, site: Site) -> None:
        self.site = site
        self.id = ""
        self.code = "000000"
        right = self._right
        self.steps = (self._start, self._wrong, self._resend, right, right)

    def _start(self) -> Any:
        challenge = self.site.verifier.start(PHONE)
        self.id, self.code = challenge.id, self.site.outbox.code()
        return challenge

    def _wrong(self) -> Any:
        return self.site.verifier.check(PHONE, wrong(self.code), challenge=self.id)

    def _resend(self) -> Any:
        challenge = self.site.verifier.resend(PHONE, challenge=self.id)
        self.code = self.site.outbox.code()
        return challenge

    def _right(self) -> Any:
        return self.site.verifier.check(PHONE, self.code, challenge=self.id)


@pytest.fixture
def visit(mode: Mode) -> Iterator[Callable[..., Site]]:
    """Makes sites, with short timeouts, and closes their stores."""
    with contextlib.ExitStack() as stack:

        def make(
            url: str, *, timeout: float = TIMEOUT, connect: float | None = None, **options: Any
        ) -> Site:
            bounds = {
                "connect_timeout_seconds": connect or timeout,
                "socket_timeout_seconds": timeout,
            }
            return Site(mode, stack.enter_context(store_of(mode, url, **bounds)), **options)

        yield make


Visit = Callable[..., Site]


@pytest.fixture(scope="module")
def lasting() -> Iterator[Callable[[str], Server]]:
    """Servers that survive their tests, by name."""
    with contextlib.ExitStack() as stack:
        running: dict[str, Server] = {}

        def get(kind: str) -> Server:
            if kind not in running:
                running[kind] = stack.enter_context(Server(binary(kind)))
            with running[kind].client() as admin:
                admin.flushall()
            return running[kind]

        yield get


Lasting = Callable[[str], Server]


class TestKilled:
    """SIGKILL, and started again on the same port."""

    @pytest.mark.parametrize(
        ("kind", "kept"),
        [(kind, kept) for kind in KINDS for kept in (False, True) if LONG or kind == KINDS[0]],
        ids=lambda value: value if isinstance(value, str) else ("emptied", "kept")[value],
    )
    @pytest.mark.parametrize("nth", range(5), ids=Walk.names)
    def test_before_any_call(self, visit: Visit, kind: str, nth: int, kept: bool) -> None:
        saved = {"appendonly": "yes", "appendfsync": "always"}
        with Server(binary(kind), options=saved if kept else None) as server:
            site = visit(server.url)
            walk = Walk(site)
            for step, expected in zip(walk.steps[:nth], Walk.expected, strict=False):
                assert site.outcome(step) == expected
            sent = len(site.outbox)
            server.kill()
            assert site.outcome(walk.steps[nth]) == "StoreError"
            assert len(site.outbox) == sent
            server.start()
            found = [site.outcome(step) for step in walk.steps[nth:]]
            lost = ["ChallengeExpired"] * (5 - nth)
            # What was stored works as before; what was lost lets nobody in.
            assert found == (list(Walk.expected[nth:]) if kept or not nth else lost)
            site.works()

    @EVERY_KIND
    @pytest.mark.parametrize("nth", range(1, 5), ids=Walk.names[1:])
    def test_unnoticed(self, visit: Visit, kind: str, nth: int) -> None:
        with Server(binary(kind)) as server:
            site = visit(server.url)
            walk = Walk(site)
            for step in walk.steps[:nth]:
                site.outcome(step)
            server.kill()
            server.start()
            found = [site.outcome(step) for step in walk.steps[nth:]]
            assert found == ["ChallengeExpired"] * (5 - nth)
            site.works()

    @EVERY_KIND
    def test_under_load(self, visit: Visit, mode: Mode, kind: str) -> None:
        """If the writes are kept, nothing is counted or accepted again after a restart."""
        options = {"appendonly": "yes", "appendfsync": "always"}
        with Server(binary(kind), options=options) as server:
            site = visit(server.url, policy=STORMY)
            for _ in range(3):
                storm(site, mode, around=disturbed(partial(crash, server)))
            site.works()

    @EVERY_KIND
    def test_between_the_deed_and_its_reply(self, visit: Visit, kind: str) -> None:
        """What was done and kept before the crash is done once, and the repeat gets its answer."""
        options = {"appendonly": "yes", "appendfsync": "always"}
        with Server(binary(kind), options=options) as server, serving(wire := Wire(server)):
            site = visit(wire.url, timeout=2)
            walk = Walk(site)
            walk.steps[0]()
            wire.before = partial(crash, server)
            wire.spoils.append(CLOSED)
            assert site.attempts_left(walk.id, walk.code) == 4
            assert site.attempts_left(walk.id, walk.code) == 3
            wire.spoils.append(CLOSED)
            assert site.outcome(walk.steps[3]) == "Verified"
            assert site.outcome(walk.steps[3]) == "ChallengeExpired"
            assert not wire.spoils


class TestPaused:
    """SIGSTOP: connections stay open, nothing is answered, and what was sent is done later."""

    @EVERY_KIND
    @pytest.mark.parametrize("nth", range(5), ids=Walk.names)
    def test_for_longer_than_the_timeouts(
        self, visit: Visit, lasting: Lasting, kind: str, nth: int
    ) -> None:
        server = lasting(kind)
        site = visit(server.url)
        walk = Walk(site)
        for step, expected in zip(walk.steps[:nth], Walk.expected, strict=False):
            assert site.outcome(step) == expected
        sent = len(site.outbox)
        with server.paused():
            assert site.outcome(walk.steps[nth]) == "StoreError"
        assert len(site.outbox) == sent
        settle(server)
        # What was sent is done while nobody listens any more, unless the time was up before it
        # was sent. Done twice, from the first request and its repeat, is one too many.
        if 0 < nth < 3:
            assert site.attempts_left(walk.id, walk.code) in (5 - 2, 5 - 1)
        elif nth == 3:
            found = [site.outcome(walk.steps[3]) for _ in range(2)]
            assert found in (["ChallengeExpired"] * 2, ["Verified", "ChallengeExpired"])
        site.works()

    @EVERY_KIND
    def test_until_the_repeat_is_under_way(self, visit: Visit, lasting: Lasting, kind: str) -> None:
        """Both the first request and its repeat are executed then."""
        server = lasting(kind)
        site = visit(server.url, timeout=2 * TIMEOUT)
        site.works()

        def during_a_pause(call: Callable[[], Any]) -> str:
            server.pause()
            waker = threading.Timer(3 * TIMEOUT, server.resume)
            waker.start()
            found = site.outcome(call)
            waker.join()
            settle(server)
            return found

        walk = Walk(site)
        walk.steps[0]()
        first = during_a_pause(walk.steps[1])
        assert first in ("IncorrectCode", "StoreError")
        left = site.attempts_left(walk.id, walk.code)
        assert left == 3 or (first == "StoreError" and left == 4)
        accepted = [during_a_pause(walk.steps[3]), *(site.outcome(walk.steps[3]) for _ in range(2))]
        assert accepted.count("Verified") <= 1
        assert accepted[-1] == "ChallengeExpired"
        assert accepted[0] in ("Verified", "StoreError")


@EVERY_KIND
def test_a_cluster_that_is_down_paused_or_killed(visit: Visit, kind: str) -> None:
    server = Server(binary(kind), cluster=True)
    site = visit(server.url)  # a program can start before its cluster does
    assert site.outcome(Walk(site).steps[0]) == "StoreError"
    began = time.monotonic()
    crowd = site.mode.together([partial(site.verifier.start, PHONE)] * 25)
    for one in crowd:
        assert isinstance(one, StoreError)
        stands_alone(one)
    assert time.monotonic() - began < BOUND  # none of them waited for another one
    with server:
        site.works()
        walk = Walk(site)
        walk.steps[0]()
        with server.paused():
            assert site.outcome(walk.steps[1]) == "StoreError"
        settle(server)
        assert site.attempts_left(walk.id, walk.code) in (3, 4)
        server.kill()
        assert site.outcome(walk.steps[3]) == "StoreError"
        server.start()
        assert site.outcome(walk.steps[3]) == "ChallengeExpired"
        site.works()


class TestRefused:
    """The server is there and will not write."""

    @EVERY_KIND
    @pytest.mark.parametrize("fault", ["full", "replica", "lonely", "busy", "locked"])
    def test_lets_nobody_in_and_counts_nothing(
        self, visit: Visit, lasting: Lasting, kind: str, fault: str
    ) -> None:
        server = lasting(kind)
        site = visit(server.url)
        walk = Walk(site)
        walk.steps[0]()
        sent = len(site.outbox)
        with FAULTS[fault](server):
            assert site.outcome(partial(site.verifier.start, OTHER_PHONE)) == "StoreError"
            assert [site.outcome(step) for step in walk.steps] == ["StoreError"] * 5
            assert len(site.outbox) == sent
        assert site.attempts_left(walk.id, walk.code) == 4
        assert [site.outcome(step) for step in walk.steps[2:]] == list(Walk.expected[2:])
        site.works()

    @EVERY_KIND
    def test_wrong_password(self, visit: Visit, kind: str) -> None:
        with Server(binary(kind)) as server:
            with server.client() as admin:
                admin.config_set("requirepass", "right horse")
                admin.close()
            for password in ("", ":wrong-horse@", "nobody:right%20horse@"):
                site = visit(server.url.replace("//", f"//{password}"))
                with pytest.raises(StoreError) as caught:
                    site.verifier.start(PHONE)
                stands_alone(caught.value)
                assert "horse" not in f"{caught.value!r}"
                assert not len(site.outbox)
            visit(server.url.replace("//", "//:right%20horse@")).works()

    @EVERY_KIND
    def test_a_user_that_may_run_no_scripts(
        self, visit: Visit, lasting: Lasting, kind: str
    ) -> None:
        server = lasting(kind)
        with server.client() as admin:
            admin.execute_command(
                *"ACL SETUSER reader on >pw ~* +@all -@scripting".split()  # noqa: SIM905
            )
        site = visit(server.url.replace("//", "//reader:pw@"))
        assert site.outcome(partial(site.verifier.start, PHONE)) == "StoreError"
        assert not len(site.outbox)


@contextlib.contextmanager
def full(server: Server) -> Iterator[None]:
    """Out of memory, and nothing may be evicted."""
    with server.client() as admin:
        admin.config_set("maxmemory-policy", "noeviction")
        admin.config_set("maxmemory", "1")
        yield
        admin.config_set("maxmemory", "0")


@contextlib.contextmanager
def replica(server: Server) -> Iterator[None]:
    """A read-only replica of a primary that is gone."""
    with server.client() as admin:
        admin.replicaof("127.0.0.1", free_port())
        yield
        admin.replicaof("NO", "ONE")


@contextlib.contextmanager
def lonely(server: Server) -> Iterator[None]:
    """A primary without the replicas that it must have to write."""
    with server.client() as admin:
        admin.config_set("min-replicas-to-write", "1")
        yield
        admin.config_set("min-replicas-to-write", "0")


@contextlib.contextmanager
def busy(server: Server) -> Iterator[None]:
    """Someone's script does not end."""

    def hog() -> None:
        with server.client(socket_timeout=30) as client, contextlib.suppress(redis.RedisError):
            client.eval("while true do end", 0)

    with server.client() as admin:
        admin.config_set("lua-time-limit", "1")
        thread = threading.Thread(target=hog)
        thread.start()
        until(lambda: refuses(admin, "BUSY"))
        try:
            yield
        finally:
            admin.script_kill()
            thread.join()
        until(lambda: bool(admin.ping()))


@contextlib.contextmanager
def locked(server: Server) -> Iterator[None]:
    """A password was set, and everyone must log in again."""
    with server.client(single_connection_client=True) as admin:
        admin.config_set("requirepass", "new")
        admin.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        yield
        admin.config_set("requirepass", "")


FAULTS: dict[str, Callable[[Server], contextlib.AbstractContextManager[None]]] = {
    fault.__name__: fault for fault in (full, replica, lonely, busy, locked)
}


@EVERY_KIND
@pytest.mark.parametrize("once", [True, False], ids=["once-a-crowd", "over-and-over"])
def test_connections_killed_in_the_middle_of_load(
    visit: Visit, mode: Mode, lasting: Lasting, kind: str, once: bool
) -> None:
    """Once in each crowd, every call is answered by its repeat, and nothing is left in doubt; over
    and over, repeats are hit, too."""
    server = lasting(kind)
    site = visit(server.url, policy=STORMY)
    killed: list[int] = []

    def kill() -> None:
        with severed(server, killed):
            pass
        time.sleep(0.002)

    for _ in range(10 if LONG else 1):
        with server.client() as admin:
            admin.flushall()
        if once:
            storm(site, mode, beside=partial(severed, server, killed))
        else:
            storm(site, mode, around=disturbed(kill))
    assert sum(killed)
    site.works()


@contextlib.contextmanager
def severed(server: Server, killed: list[int]) -> Iterator[None]:
    """Close all connections when what they sent meanwhile is done and not yet answered. Adds how
    many these were."""
    with server.client() as admin:
        connection = admin.connection_pool.get_connection()

        def kill() -> None:
            time.sleep(0.004)  # requests come in, and are read before this one
            connection.send_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
            server.resume()

        server.pause()
        with meanwhile(kill):
            yield
        killed.append(int(connection.read_response()))
        admin.connection_pool.release(connection)


STORMY = Policy(
    code_length=8,
    max_attempts=20,
    failures_per_phone=Limit(40, 3600),
    resend_cooldown_seconds=0,
    sends_per_phone=(Limit(20, 3600),),
    sends_per_ip=(),
)


def storm(
    site: Site,
    mode: Mode,
    *,
    around: contextlib.AbstractContextManager[None] | None = None,
    beside: Callable[[], contextlib.AbstractContextManager[None]] = contextlib.nullcontext,
) -> None:
    """Eight callers at a time, who guess, or know the code, and do not let go, while the server is
    disturbed around them all, or beside each crowd. What they were told is what it holds."""
    guessed = [Crowds(site, [True] * 8) for _ in range(4)]
    raced = [Crowds(site, [False, True] * 4) for _ in range(4)]
    with around or contextlib.nullcontext():
        for crowds in guessed + raced:
            for nth in range(3):
                with beside():
                    crowds.come(mode, nth)
    for crowds in guessed:
        # Only what a StoreError hid may have been counted or not.
        counted, told = crowds.counted(), crowds.told["IncorrectCode"]
        assert told <= counted <= told + crowds.told["StoreError"]
    for crowds in raced:
        # Later calls come too late, or one of them is accepted.
        late = [site.outcome(crowds.right) for _ in range(2)]
        accepted = crowds.told["Verified"] + late.count("Verified")
        assert accepted == 1 or (accepted == 0 and crowds.unsure)
        assert late[1] == "ChallengeExpired"


class Crowds:
    """Callers of one challenge, and their outcomes.

    Args:
        site: Where.
        wrong: Whether each of a crowd guesses.
    """

    def __init__(self, site: Site, wrong: list[bool]) -> None:
        self.site = site
        self.wrong = wrong
        self.phone = f"+3725678{len(site.outbox) % 10_000:04}"
        self.id = site.verifier.start(self.phone).id
        self.code = site.outbox.code()
        self.right = partial(site.verifier.check, self.phone, self.code, challenge=self.id)
        self.told: Counter[str] = Counter()
        self.unsure = False  # whether a right code met a StoreError

    def guess(self, nth: int) -> partial[Any]:
        """Another wrong code for every `nth`."""
        typed = wrong(self.code, 1 + nth)
        return partial(self.site.verifier.check, self.phone, typed, challenge=self.id)

    def come(self, mode: Mode, nth: int) -> None:
        """All at once, for the nth time."""
        calls = [
            self.guess(8 * nth + one) if guesses else self.right
            for one, guesses in enumerate(self.wrong)
        ]
        for call, outcome in zip(calls, mode.together(calls), strict=True):
            name = type(outcome).__name__
            assert name in KNOWN
            self.told[name] += 1
            self.unsure = self.unsure or (name == "StoreError" and call is self.right)

    def counted(self) -> int:
        """How many attempts the server has counted. Costs one."""
        with pytest.raises((IncorrectCode, AttemptsExhausted)) as caught:
            self.guess(999)()
        left: int = getattr(caught.value, "attempts_left", -1)
        return STORMY.max_attempts - 1 - left


KNOWN = ("Verified", "IncorrectCode", "AttemptsExhausted", "ChallengeExpired", "StoreError")


CLOSED, SILENT, PASSED = "closed", "silent", "passed"


class Wire(socketserver.ThreadingTCPServer):
    """Between a client and a server: forwards all, and spoils the replies to scripts.

    Args:
        server: The server behind it.

    Attributes:
        spoils: What happens to the next replies to scripts that are not errors: `CLOSED` (the
            connection closes instead), `SILENT` (nothing comes), `PASSED` (nothing bad) or other
            bytes in their place.
        before: Called before a reply is spoiled, once the server has done what was asked.
    """

    daemon_threads = True

    def __init__(self, server: Server) -> None:
        super().__init__(("127.0.0.1", 0), _Relay)
        self.behind = server
        self.spoils: deque[str | bytes] = deque()
        self.before: Callable[[], object] = lambda: None
        self.port: int = self.server_address[1]
        self.url = server.url.replace(str(server.port), str(self.port))


class _Relay(socketserver.BaseRequestHandler):
    server: Wire

    def handle(self) -> None:
        behind = ("127.0.0.1", self.server.behind.port)
        with contextlib.suppress(OSError), socket.create_connection(behind) as upstream:
            script = False
            while True:
                ready, _, _ = select.select([self.request, upstream], [], [])
                if self.request in ready:
                    asked = self.request.recv(65_536)
                    script = script or b"EVAL" in asked
                    upstream.sendall(asked)
                    if not asked:
                        return
                if upstream in ready:
                    reply = upstream.recv(65_536)
                    if script and self.server.spoils and not reply.startswith(b"-"):
                        spoil = self.server.spoils.popleft()
                        self.server.before()
                        if spoil == SILENT:
                            self.request.recv(1)  # until the client has had enough
                        if spoil in (SILENT, CLOSED):
                            return
                        reply = spoil if isinstance(spoil, bytes) else reply
                    script = False
                    self.request.sendall(reply)


@contextlib.contextmanager
def serving(server: socketserver.BaseServer) -> Iterator[None]:
    """Serve in a thread meanwhile."""
    with server:
        thread = threading.Thread(target=server.serve_forever, args=(0.005,))
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def wire(lasting: Lasting, kind: str) -> Iterator[Wire]:
    made = Wire(lasting(kind))
    with serving(made):
        yield made


@EVERY_KIND
class TestLostReplies:
    """The server has done what it was asked, and its reply gets lost."""

    @pytest.mark.parametrize("how", [CLOSED, SILENT])
    def test_the_repeat_of_a_check_counts_once_and_is_answered(
        self, visit: Visit, wire: Wire, kind: str, how: str
    ) -> None:
        site = visit(wire.url)
        site.works()
        walk = Walk(site)
        walk.steps[0]()
        wire.spoils.append(how)
        assert site.attempts_left(walk.id, walk.code) == 4
        assert site.attempts_left(walk.id, walk.code) == 3
        wire.spoils.append(how)
        assert site.outcome(walk.steps[3]) == "Verified"
        assert site.outcome(walk.steps[3]) == "ChallengeExpired"
        assert not wire.spoils

    @pytest.mark.parametrize("how", [CLOSED, SILENT])
    def test_the_repeat_of_a_send_reserves_once(
        self, visit: Visit, wire: Wire, kind: str, how: str
    ) -> None:
        site = visit(wire.url)
        site.works()  # two of twenty sends
        wire.spoils.append(how)
        challenge = site.verifier.start(PHONE)
        assert (challenge.sends_left, len(site.outbox)) == (17, 3)
        first = site.outbox.code()
        wire.spoils.append(how)
        again = site.verifier.resend(PHONE, challenge=challenge.id)
        assert (again.sends_left, len(site.outbox)) == (16, 4)
        assert (
            site.outcome(partial(site.verifier.check, PHONE, first, challenge=challenge.id))
            == "Verified"
        )
        assert not wire.spoils

    def test_even_when_another_resend_comes_between(
        self, visit: Visit, wire: Wire, kind: str
    ) -> None:
        site = visit(wire.url)
        id_ = site.verifier.start(PHONE).id
        with store_of(Mode(), wire.behind.url) as store:
            other = Site(Mode(), store)
            wire.before = partial(other.verifier.resend, PHONE, challenge=id_)
            wire.spoils.append(CLOSED)
            mine = site.verifier.resend(PHONE, challenge=id_)
        assert mine.sends_left == 17
        # Three codes were sent and three are live: the first is one of them.
        first = code_in(site.outbox.messages[0].text)
        assert site.verifier.check(PHONE, first, challenge=id_)

    def test_a_cancellation_is_repeated(self, visit: Visit, wire: Wire, kind: str) -> None:
        site = visit(wire.url)
        walk = Walk(site)
        walk.steps[0]()
        wire.spoils.append(CLOSED)
        cancel = partial(site.verifier.cancel, PHONE, challenge=walk.id)
        assert site.outcome(cancel) == "NoneType"
        assert site.outcome(walk.steps[3]) == "ChallengeExpired"

    def test_a_proof_is_redeemed_though_the_reply_was_lost(
        self, visit: Visit, wire: Wire, kind: str
    ) -> None:
        site = visit(wire.url)
        id_ = site.verifier.start(PHONE).id
        verified = site.verifier.check(PHONE, site.outbox.code(), challenge=id_)
        wire.spoils.append(CLOSED)
        redeem = partial(site.verifier.redeem, PHONE, verified.proof)
        assert redeem() == verified
        assert not wire.spoils
        assert site.outcome(redeem) == "ChallengeExpired"

    def test_a_network_s_send_counts_once(self, visit: Visit, wire: Wire, kind: str) -> None:
        policy = Policy(resend_cooldown_seconds=0, sends_per_ip=(Limit(3, 3600),))
        site = visit(wire.url, policy=policy)
        start = partial(site.verifier.start, client_ip="192.0.2.7")
        start(PHONE)
        wire.spoils.append(CLOSED)
        outcomes = [site.outcome(partial(start, OTHER_PHONE)) for _ in range(3)]
        assert outcomes == ["Challenge", "Challenge", "RateLimited"]

    def test_what_was_not_sent_is_given_back_once(
        self, visit: Visit, wire: Wire, kind: str
    ) -> None:
        policy = Policy(
            resend_cooldown_seconds=0,
            sends_per_phone=(Limit(10, 3600),),
            sends_per_ip=(Limit(3, 3600),),
        )
        site = visit(wire.url, policy=policy)
        start = partial(site.verifier.start, PHONE, client_ip="192.0.2.7")
        start()
        site.outbox.fail_with = DeliveryUnavailable(maybe_sent=False)
        # To reserve and to open are answered; to release and to give back, when repeated.
        wire.spoils.extend([PASSED, PASSED, CLOSED, PASSED, CLOSED])
        assert site.outcome(start) == "DeliveryUnavailable"
        assert not wire.spoils
        site.outbox.fail_with = None
        assert start().sends_left == 8
        assert [site.outcome(start) for _ in range(2)] == ["Challenge", "RateLimited"]

    def test_the_cheap_read_is_repeated(self, visit: Visit, wire: Wire, kind: str) -> None:
        site = visit(wire.url, hasher=QUICK)
        walk = Walk(site)
        walk.steps[0]()
        wire.spoils.append(CLOSED)
        assert site.attempts_left(walk.id, walk.code) == 4
        wire.spoils.append(CLOSED)
        assert site.outcome(walk.steps[3]) == "Verified"

    @pytest.mark.parametrize("how", [CLOSED, SILENT] if LONG else [CLOSED])
    def test_with_the_repeat_s_reply_nobody_gets_in(
        self, visit: Visit, wire: Wire, kind: str, how: str
    ) -> None:
        site = visit(wire.url)
        site.works()
        sent = len(site.outbox)
        wire.spoils.extend([how, how])
        assert site.outcome(partial(site.verifier.start, PHONE)) == "StoreError"
        assert len(site.outbox) == sent
        walk = Walk(site)
        assert walk.steps[0]().sends_left == 16  # two of `works`, the lost one, and this
        wire.spoils.extend([how, how])
        assert site.outcome(walk.steps[1]) == "StoreError"
        assert site.attempts_left(walk.id, walk.code) == 3
        wire.spoils.extend([how, how])
        assert site.outcome(walk.steps[3]) == "StoreError"
        assert [site.outcome(walk.steps[3]) for _ in range(3)] == ["ChallengeExpired"] * 3
        site.works()


NONSENSE = (
    b"+OK\r\n",
    b"+4\r\n",
    b":4\r\n",
    b"$-1\r\n",
    b"*-1\r\n",
    b"*0\r\n",
    b"*1\r\n:4\r\n",
    b"*3\r\n:4\r\n:0\r\n:0\r\n",
    b"*2\r\n$1\r\n4\r\n$1\r\n0\r\n",
    b"*2\r\n:-1\r\n:0\r\n",
    b"*2\r\n:5\r\n:0\r\n",
    b"*2\r\n*1\r\n:4\r\n:0\r\n",
    b"*2\r\n#t\r\n#t\r\n",
    b"*2\r\n,4.0\r\n,0.0\r\n",
    b"%1\r\n:4\r\n:0\r\n",
    b":four\r\n",
    b"*99999999999999999999\r\n",
    b"-NOSCRIPT\r\n",
    b"-\xff\xfe\r\n",
    b"*1\r\n" * 3_000 + b":1\r\n",
    b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n",
    b"\x15\x03\x01\x00\x02\x02\x46",
    b"\x00\r\n",
    b"*2\r\n:4\r\n",  # and then nothing
    b"",
)


class Liar(socketserver.ThreadingTCPServer):
    """Answers the same to everything.

    Args:
        port: Where.
    """

    daemon_threads = True
    allow_reuse_address = True
    reply = b""

    def __init__(self, port: int) -> None:
        super().__init__(("127.0.0.1", port), _Lie)


class _Lie(socketserver.BaseRequestHandler):
    server: Liar

    def handle(self) -> None:
        with contextlib.suppress(OSError):
            while self.request.recv(65_536):
                self.request.sendall(self.server.reply)
                if not self.server.reply:
                    return


class TestNonsense:
    """Something answers that is not a Redis, or not this Redis."""

    def test_from_the_first_byte(self, visit: Visit) -> None:
        port = free_port()
        liar = Liar(port)
        with Server(binary("valkey9")) as server, serving(liar):
            real = visit(server.url)
            walk = Walk(real)
            walk.steps[0]()
            site = visit(f"redis://127.0.0.1:{port}", timeout=0.2)
            for reply in NONSENSE[:: 1 if LONG else 3]:
                liar.reply = reply
                assert site.outcome(partial(site.verifier.start, PHONE)) == "StoreError", reply
                guess = partial(site.verifier.check, PHONE, walk.code, challenge=walk.id)
                assert site.outcome(guess) == "StoreError", reply
                with pytest.raises(StoreError):  # the store itself, not the flow for it
                    site.directly("cancel", Key("phone", "scope", "challenge"))
            assert not len(site.outbox)
        honest = Server(binary("valkey9"))
        honest.port = port
        with honest:
            site.works()

    @EVERY_KIND
    def test_in_place_of_a_script_s_reply(self, visit: Visit, wire: Wire, kind: str) -> None:
        site = visit(wire.url)
        site.works()
        sent = len(site.outbox)
        for reply in NONSENSE[: -1 : 1 if LONG else 3]:
            walk = Walk(site)
            wire.spoils.extend([reply, reply])
            assert site.outcome(walk.steps[0]) == "StoreError", reply
            assert len(site.outbox) == sent
            wire.spoils.clear()
        for reply in NONSENSE[: -1 : 1 if LONG else 3]:
            with wire.behind.client() as admin:
                admin.flushall()
            walk = Walk(site)
            walk.steps[0]()
            wire.spoils.extend([reply, reply])
            assert site.outcome(walk.steps[1]) == "StoreError", reply
            wire.spoils.clear()
            wire.spoils.extend([reply, reply])
            assert site.outcome(walk.steps[3]) == "StoreError", reply
            wire.spoils.clear()
            assert site.outcome(walk.steps[3]) == "ChallengeExpired", reply
        site.works()


@EVERY_KIND
def test_tasks_that_are_cancelled_leave_nobody_else_s_answer_behind(
    lasting: Lasting, kind: str
) -> None:
    """A reply that its task no longer waits for must not become the answer to another one."""
    phones = [f"+372567890{n:02}" for n in range(40)]

    async def scene() -> None:
        outbox = OutboxSender()
        store = AsyncRedisStore.from_url(lasting(kind).url)
        verifier = AsyncVerifier(
            outbox, store=store, policy=POLICY, hasher=HmacHasher(), secret=SECRET
        )
        ids = {phone: (await verifier.start(phone)).id for phone in phones}

        def check(phone: str, code: str) -> asyncio.Task[Any]:
            return asyncio.create_task(verifier.check(phone, code, challenge=ids[phone]))

        for steps in range(0, 120, 1 if LONG else 10):
            doomed = [check(phone, wrong(outbox.code(phone))) for phone in phones[:4]]
            for _ in range(steps % 40):
                await asyncio.sleep(0)
            for task in doomed:
                task.cancel()
            right, guessed = phones[4 + steps % 18], phones[22 + steps % 18]
            ids[right] = (await verifier.start(right)).id
            ids[guessed] = (await verifier.start(guessed)).id
            answers = await asyncio.gather(
                check(right, outbox.code(right)),
                check(guessed, wrong(outbox.code(guessed))),
                *doomed,
                return_exceptions=True,
            )
            assert isinstance(answers[0], Verified)
            assert answers[0].phone == right
            assert isinstance(answers[1], IncorrectCode)
            assert answers[1].attempts_left == 4
        await store.aclose()

    asyncio.run(scene())


@contextlib.contextmanager
def disturbed(disturb: Callable[[], None]) -> Iterator[None]:
    """Do something over and over meanwhile."""
    over = threading.Event()

    def go_on() -> None:
        while not over.is_set():
            disturb()

    with meanwhile(go_on):
        try:
            yield
        finally:
            over.set()


@contextlib.contextmanager
def meanwhile(do: Callable[[], object]) -> Iterator[None]:
    """Do something in another thread. What it raises is raised in the end."""
    with ThreadPoolExecutor(1) as pool:
        doing = pool.submit(do)
        yield
    doing.result()


def crash(server: Server) -> None:
    time.sleep(0.01)
    server.kill()
    server.start()


def settle(server: Server) -> None:
    """Wait until the server has done all that was sent to it before."""
    for _ in range(3):
        # A new connection is accepted after all that came earlier.
        with server.client() as client:
            client.ping()


def refuses(admin: Any, how: str) -> bool:
    """Whether the server answers an error that begins so."""
    try:
        admin.ping()
    except redis.RedisError as error:
        return how in str(error)
    return False
