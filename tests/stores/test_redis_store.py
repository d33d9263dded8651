"""What is the Redis stores' own: URLs, clients, round trips, keys, and calls that are repeated."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
import redis
import uvloop
from freezegun import freeze_time
from redis import Redis, RedisCluster
from redis.asyncio import Redis as AsyncRedis
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import NoBackoff
from redis.exceptions import MovedError, RedisClusterException
from redis.retry import Retry
from redis_support import NAMES, PLACES, Place, load_at, stop_servers
from servers import until
from support import OTHER_PHONE, PHONE, QUICK, SECRET, wrong

from otpverify import (
    AsyncRedisStore,
    AsyncVerifier,
    ChallengeExpired,
    ConfigurationError,
    CooldownActive,
    HmacHasher,
    IncorrectCode,
    Limit,
    OtpVerifyError,
    Policy,
    RedisStore,
    StoreError,
    Verifier,
)
from otpverify.core.answers import Checked, Opened, Refused, Reported, Reserved, Verdict
from otpverify.core.results import DeliveryStatus
from otpverify.core.send_limits import SPARE
from otpverify.sandbox import Sandbox
from otpverify.stores.redis import clients as redis_client
from otpverify.stores.redis.clients import Address, read_url
from otpverify.stores.redis.health import store_error
from otpverify.stores.redis.scripts import Call, Scripts
from otpverify.testing import AsyncOutboxSender, OutboxSender
from otpverify.testing.conformance import Timeline
from otpverify.testing.conformance.base import FREE, digest, first, further, key, to_follow

__all__ = ["stop_servers"]

SENT, FAILED = DeliveryStatus.SENT, DeliveryStatus.FAILED
MANY_SENDS = Policy(resend_cooldown_seconds=0, sends_per_phone=(), sends_per_ip=())
ON_EVERY_SERVER = pytest.mark.parametrize("place", PLACES, ids="-".join, indirect=True)
ON_EVERY_STANDALONE = pytest.mark.parametrize(
    "place", [(name, "standalone") for name in NAMES], ids="-".join, indirect=True
)


@pytest.fixture
def place(request: pytest.FixtureRequest) -> Iterator[Place]:
    """A server, empty before and after."""
    found = Place(*getattr(request, "param", ("valkey9", "standalone")))
    with found.server.client() as client:
        client.flushall()
        yield found
        client.flushall()


@pytest.fixture
def client(place: Place) -> Iterator[Redis]:
    """A plain client, for a look inside."""
    with place.server.client() as found:
        yield found


def names(client: Redis) -> list[str]:
    """All keys."""
    return [name.decode() for name in client.scan_iter()]


@pytest.fixture
def store(place: Place) -> Iterator[RedisStore]:
    with contextlib.closing(RedisStore.from_url(place.server.url)) as found:
        yield found


class TestUrl:
    @pytest.mark.parametrize(
        ("url", "address"),
        [
            ("redis://localhost", Address("single", "redis://localhost", (), "", {})),
            ("REDIS://h:1/2", Address("single", "redis://h:1/2", (), "", {})),
            ("valkey://u:p%40@h", Address("single", "redis://u:p%40@h", (), "", {})),
            ("rediss://[::1]:7", Address("single", "rediss://[::1]:7", (), "", {})),
            ("valkeys://h", Address("single", "rediss://h", (), "", {})),
            ("unix:///run/r.sock?db=2", Address("single", "unix:///run/r.sock?db=2", (), "", {})),
            ("redis+cluster://h", Address("cluster", "", (("h", 6379),), "", {})),
            (
                "valkeys+cluster://:p%40%2F%3A@a:1,[::1]:2,[::2]?socket_timeout=2",
                Address(
                    "cluster",
                    "",
                    (("a", 1), ("::1", 2), ("::2", 6379)),
                    "",
                    {"password": "p@/:", "socket_timeout": 2.0, "ssl": True},
                ),
            ),
            (
                "redis+sentinel://user:p%40ss@a,b:27000/main",
                Address(
                    "sentinel",
                    "",
                    (("a", 26379), ("b", 27000)),
                    "main",
                    {"username": "user", "password": "p@ss"},
                ),
            ),
            (
                "valkey+sentinel://a/my%20service/3?ssl_check_hostname=no",
                Address(
                    "sentinel",
                    "",
                    (("a", 26379),),
                    "my service",
                    {"db": 3, "ssl_check_hostname": False},
                ),
            ),
        ],
        ids=lambda value: value if isinstance(value, str) else "",
    )
    def test_is_read(self, url: str, address: Address) -> None:
        assert read_url(url) == address

    @pytest.mark.parametrize(
        "url",
        [
            "",
            "localhost:6379",
            "redis:",
            "redis://",
            "http://u:hunter2@h",
            "xvalkey://u:hunter2@h",
            "unix+cluster:///hunter2",
            "unix://?db=1",
            "redis+http://u:hunter2@h",
            "redis+://u:hunter2@h",
            "redis://u:hunter2/2@h",
            "redis://:12/hunter2@h:6379/0",
            "redis://:12?hunter2@h:6379",
            "redis://u:hunter2@h/production",
            "redis://u:hunter2@h/0/1",
            "redis://u:hunter2@h?foo=hunter2",
            "redis://u:hunter2@h?ssl_cert_reqs=none",
            "redis://u:hunter2@h:port",
            "redis://u:12#hunter2@h",
            "redis://u:hunter2@[::1",
            "redis://u:hunter2@h?db=hunter2",
            "redis+cluster://u:hunter2/2@h",
            "redis+cluster://u:hunter2@h/1",
            "redis+cluster://u:hunter2@",
            "redis+cluster://u:hunter2@a,,b",
            "redis+cluster://u:hunter2@a:99999",
            "redis+sentinel://u:hunter2@a",
            "redis+sentinel://u:hunter2@a/",
            "redis+sentinel://u:hunter2@a/main/x",
            "redis+sentinel://u:hunter2@a/main/1/2",
            "redis+sentinel://u:hunter2@a/main?socket_timeout=hunter2",
        ],
    )
    @pytest.mark.parametrize("kind", [RedisStore, AsyncRedisStore])
    def test_that_is_malformed_is_refused_and_not_repeated(self, url: str, kind: Any) -> None:
        with pytest.raises(ConfigurationError) as caught:
            kind.from_url(url)
        assert "hunter2" not in "".join(map(repr, [caught.value, caught.value.__cause__]))
        assert "hunter2" not in str(caught.value)
        assert "URL" in str(caught.value)

    @pytest.mark.parametrize("url", [None, b"redis://localhost", 5])
    @pytest.mark.parametrize("kind", [RedisStore, AsyncRedisStore])
    def test_is_a_str(self, url: Any, kind: Any) -> None:
        with pytest.raises(ConfigurationError, match="is a str"):
            kind.from_url(url)

    @pytest.mark.parametrize("seconds", [0, -1, float("nan"), None, "1"])
    @pytest.mark.parametrize("which", ["connect_timeout_seconds", "socket_timeout_seconds"])
    def test_a_timeout_is_above_0(self, seconds: Any, which: str) -> None:
        options: dict[str, Any] = {which: seconds}
        with pytest.raises(ConfigurationError):
            RedisStore.from_url("redis://localhost", **options)

    @pytest.mark.parametrize(
        "url",
        ["redis://u:hunter2@h", "redis+sentinel://:hunter2@h/m", "redis+cluster://:hunter2@h"],
    )
    @pytest.mark.parametrize("kind", [RedisStore, AsyncRedisStore])
    def test_nothing_connects_before_it_is_used_and_repr_tells_no_password(
        self, url: str, kind: Any
    ) -> None:
        assert "hunter2" not in repr(kind.from_url(url))


def walk(store: RedisStore) -> None:
    """Every operation once, with the answers that they must give."""
    opened = store.open(key(), first("a"), FREE)
    assert isinstance(opened, Opened)
    again = store.open(key(), further("b"), FREE)
    assert isinstance(again, Opened)
    assert store.peek(key(), FREE).verdict is Verdict.PENDING
    assert store.check(key(), digest("wrong"), FREE) == Checked(Verdict.WRONG, attempts_left=4)
    assert store.report(key(), again.at, SENT, FREE) == Reported(known=True, changed=True)
    assert store.status(key(), FREE) is SENT
    assert store.release(key(), again.at, digest("b"), FREE) is not None
    assert store.check(key(), digest("b"), FREE) == Checked(Verdict.WRONG, attempts_left=3)
    assert store.check(key(), digest("a"), FREE).verdict is Verdict.ACCEPTED
    assert store.check(key(), digest("a"), FREE).verdict is Verdict.GONE
    store.open(key(), first("c"), FREE)
    store.cancel(key())
    assert store.peek(key(), FREE).verdict is Verdict.GONE
    one = (Limit(1, 60),)
    taken = store.reserve("network", one)
    assert isinstance(taken, Reserved)
    assert isinstance(store.reserve("network", one), Refused)
    store.give_back("network", taken.at)
    assert isinstance(store.reserve("network", one), Reserved)


class Awaited:
    """An asynchronous store behind plain calls."""

    def __init__(self, store: AsyncRedisStore, runner: asyncio.Runner) -> None:
        self._store = store
        self._runner = runner

    def __getattr__(self, name: str) -> Any:
        async def call(*args: Any) -> Any:
            return await getattr(self._store, name)(*args)

        return lambda *args: self._runner.run(call(*args))


OPTIONS: list[dict[str, Any]] = [
    {},
    {"decode_responses": True},
    {"protocol": 2},
    {"protocol": 3},
    {"protocol": 3, "decode_responses": True, "encoding": "latin-1"},
]


@pytest.mark.parametrize("client", [None, "redis://localhost", Redis, object()], ids="abcd")
@pytest.mark.parametrize("kind", [RedisStore, AsyncRedisStore])
def test_a_client_that_is_none_is_refused(client: Any, kind: Any) -> None:
    with pytest.raises(ConfigurationError, match=rf"{kind.__name__}\.from_url"):
        kind(client)


SENTINEL: Any = redis.Sentinel
ASYNC_SENTINEL: Any = redis.asyncio.Sentinel


@pytest.mark.parametrize(
    ("kind", "client", "wanted"),
    [
        (RedisStore, AsyncRedis(), "AsyncRedisStore"),
        (AsyncRedisStore, Redis(), "RedisStore"),
        (RedisStore, ASYNC_SENTINEL([("h", 1)]).master_for("m"), "AsyncRedisStore"),
        (AsyncRedisStore, SENTINEL([("h", 1)]).master_for("m"), "RedisStore"),
    ],
)
def test_a_client_of_the_other_mode_is_refused(kind: Any, client: Any, wanted: str) -> None:
    with pytest.raises(ConfigurationError, match=f"this one is {wanted}'s"):
        kind(client)


@pytest.mark.parametrize("kind", [RedisStore, AsyncRedisStore])
def test_a_prefix_is_a_str(kind: Any) -> None:
    for prefix in (None, b"otp", 5):
        with pytest.raises(ConfigurationError, match="prefix"):
            kind.from_url("redis://localhost", prefix=prefix)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (redis.ConnectionError("Error 111 connecting to h:1. Refused."), "Redis (h:1) could not"),
        (redis.ConnectionError("Error 111 connecting to ::1:6379."), "Redis (::1:6379) could not"),
        (redis.ConnectionError("Connection closed by hunter2."), "Redis could not be reached"),
        (redis.ConnectionError("connecting to hunter2@h:1."), "Redis could not be reached"),
        (OSError(24, "Too many open files"), "could not be reached"),
        (redis.ResponseError("MISCONF Errors writing to the AOF file: hunter2"), "(MISCONF)"),
        (redis.ResponseError("NOREPLICAS Not enough good replicas"), "(NOREPLICAS)"),
        (redis.ResponseError("hunter2 Wrong"), "Redis failed (ResponseError)"),
        (redis.ResponseError("HUNTER2"), "Redis failed (ResponseError)"),
        (MovedError("1 h:2"), "redis+cluster://"),
        (RedisClusterException("hunter2"), "cluster could not be reached"),
        (redis.ResponseError("Error running script (call to f_1): -READONLY hunter2"), "read-only"),
        (RuntimeError("got Future attached to a different loop"), "another event loop"),
        (RuntimeError("hunter2"), "Redis failed (RuntimeError)"),
        (redis.AuthenticationError("hunter2"), "credentials"),
        (redis.TimeoutError("hunter2"), "in time"),
    ],
    ids=lambda value: value if isinstance(value, str) else repr(value),
)
def test_what_went_wrong_is_said_and_nothing_repeated(error: Exception, said: str) -> None:
    text = str(store_error(error))
    assert said in text
    assert "hunter2" not in text.lower()


class TestClients:
    @ON_EVERY_SERVER
    @pytest.mark.parametrize("options", OPTIONS, ids=lambda o: "-".join(o) or "plain")
    def test_made_by_redis_py(self, place: Place, options: dict[str, Any]) -> None:
        kind = RedisCluster if place.cluster else Redis
        retry = Retry(NoBackoff(), 3)
        with kind(host="127.0.0.1", port=place.server.port, retry=retry, **options) as client:
            walk(RedisStore(client))

    @ON_EVERY_SERVER
    @pytest.mark.parametrize(
        ("options", "loop"),
        [*((options, None) for options in OPTIONS), ({}, uvloop.new_event_loop)],
        ids=[*("-".join(options) or "plain" for options in OPTIONS), "uvloop"],
    )
    def test_made_by_redis_asyncio(
        self, place: Place, options: dict[str, Any], loop: Callable[[], Any] | None
    ) -> None:
        kind: Any = redis.asyncio.RedisCluster if place.cluster else AsyncRedis
        with asyncio.Runner(loop_factory=loop) as runner:
            retry = AsyncRetry(NoBackoff(), 3)
            client = kind(host="127.0.0.1", port=place.server.port, retry=retry, **options)
            store: Any = Awaited(AsyncRedisStore(client), runner)
            walk(store)
            store.aclose()

    @ON_EVERY_SERVER
    def test_made_of_a_url(self, place: Place, store: RedisStore) -> None:
        walk(store)
        with asyncio.Runner() as runner:
            async_store: Any = Awaited(AsyncRedisStore.from_url(place.server.url), runner)
            with place.server.client() as client:
                client.flushall()
            walk(async_store)
            async_store.aclose()

    def test_a_unix_socket(self, place: Place) -> None:
        from servers import Server, binary

        with Server(binary("valkey9")) as other:
            pass
        path = other.folder.with_suffix(".sock")
        with (
            Server(binary("valkey9"), options={"unixsocket": str(path)}),
            contextlib.closing(RedisStore.from_url(f"unix://{path}")) as store,
        ):
            walk(store)
        path.unlink(missing_ok=True)

    @ON_EVERY_SERVER
    @pytest.mark.parametrize("loop", [None, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
    def test_200_tasks_share_one_store(self, place: Place, loop: Callable[[], Any] | None) -> None:
        async def together(steps: list[Any]) -> Counter[Any]:
            answers = await asyncio.gather(*steps, return_exceptions=True)
            return Counter(getattr(answer, "verdict", answer) for answer in answers)

        async def main() -> None:
            store = AsyncRedisStore.from_url(
                place.server.url, connect_timeout_seconds=10, socket_timeout_seconds=10
            )
            async with store:
                await store.open(key(), first("a"), FREE)
                guesses = [store.check(key(), digest(n), FREE) for n in range(200)]
                verdicts = await together(guesses)
                assert verdicts == {Verdict.WRONG: 5, Verdict.EXHAUSTED: 195}
                await store.open(key(2), first("a"), FREE)
                right = [store.check(key(2), digest("a"), FREE) for _ in range(200)]
                verdicts = await together(right)
                assert verdicts == {Verdict.ACCEPTED: 1, Verdict.GONE: 199}

        with asyncio.Runner(loop_factory=loop) as runner:
            runner.run(main())

    @pytest.mark.parametrize(
        "place", [("valkey9", "cluster"), ("redis6", "cluster")], ids="-".join, indirect=True
    )
    def test_a_prefix_of_one_s_own(self, place: Place, client: Redis) -> None:
        for prefix in ("app", "{app}:codes", "a}b{c", "ü"):
            with place.client() as cluster:
                walk(RedisStore(cluster, prefix=prefix))
        assert all(name.startswith(("app:", "{app}:", "a}b{c:", "ü:")) for name in names(client))

    def test_an_encoding_of_the_client_s_makes_no_other_keys(self, place: Place) -> None:
        with Redis(host="127.0.0.1", port=place.server.port, encoding="latin-1") as client:
            RedisStore(client, prefix="ü").open(key(), first("a"), FREE)
        with RedisStore.from_url(place.server.url, prefix="ü") as other:
            assert other.check(key(), digest("a"), FREE).verdict is Verdict.ACCEPTED

    def test_health_checks_that_a_url_asks_for(self, place: Place, client: Redis) -> None:
        url = f"{place.server.url}?health_check_interval=30"
        with RedisStore.from_url(url) as store, asyncio.Runner() as runner:
            async_store: Any = Awaited(AsyncRedisStore.from_url(url), runner)
            for one in (store, async_store):
                before = calls(client)["ping"]
                one.peek(key(), FREE)
                due = calls(client)["ping"]
                assert due > before
                one.peek(key(), FREE)
                assert calls(client)["ping"] == due
            async_store.aclose()


def calls(client: Redis) -> Counter[str]:
    """How often each command came in."""
    stats = client.info("commandstats")
    return Counter({name.removeprefix("cmdstat_"): found["calls"] for name, found in stats.items()})


class TestRoundTrips:
    @ON_EVERY_STANDALONE
    @pytest.mark.parametrize(
        ("hasher", "one"), [(HmacHasher(), 1), (QUICK, 2)], ids=["hmac", "argon2"]
    )
    def test_one_script_an_operation(
        self, place: Place, client: Redis, store: RedisStore, hasher: Any, one: int
    ) -> None:
        """One, and one more before a costly hash; the address's counter is another."""
        outbox = OutboxSender()
        plain = Verifier(outbox, store=store, secret=SECRET, hasher=hasher, policy=MANY_SENDS)
        limited = Verifier(outbox, store=store, secret=SECRET, hasher=hasher)

        def scripts_of(call: Callable[[], Any]) -> Counter[str]:
            before = calls(client)
            with contextlib.suppress(OtpVerifyError):
                call()
            spent = calls(client) - before
            del spent["info"]
            # What the script itself does is counted, too; what else a client might send is not
            # among it.
            assert set(spent) <= {"evalsha", "time", "get", "mget", "set", "psetex", "del"}
            return Counter({"evalsha": spent["evalsha"]})

        id_ = plain.start(PHONE).id
        plain.resend(PHONE, challenge=id_)
        plain.check(PHONE, outbox.code(), challenge=id_)
        plain.cancel(PHONE, challenge=id_)
        limited.start(OTHER_PHONE, client_ip="192.0.2.1")
        with pytest.raises(CooldownActive):  # every script is on the server after that
            limited.start(OTHER_PHONE, client_ip="192.0.2.1")
        assert scripts_of(lambda: plain.start(PHONE)) == {"evalsha": one}
        assert scripts_of(lambda: plain.start(PHONE, client_ip="192.0.2.1")) == {"evalsha": one}
        other = "+37256789047"
        spent = scripts_of(lambda: limited.start(other, client_ip="192.0.2.1"))
        assert spent == {"evalsha": one + 1}
        spent = scripts_of(lambda: limited.start(other, client_ip="192.0.2.1"))
        assert spent == {"evalsha": 3}, "refused: counted, refused, given back"
        id_ = plain.start(PHONE).id
        code = outbox.code()
        typed = wrong(code)
        spent = scripts_of(lambda: plain.check(PHONE, typed, challenge=id_))
        assert spent == {"evalsha": one}
        assert scripts_of(lambda: plain.check(PHONE, code, challenge=id_)) == {"evalsha": one}
        assert scripts_of(lambda: plain.check(PHONE, code, challenge=id_)) == {"evalsha": 1}
        assert scripts_of(lambda: plain.cancel(PHONE, challenge=id_)) == {"evalsha": 1}
        id_ = plain.start(PHONE).id
        assert scripts_of(lambda: plain.resend(PHONE, challenge=id_)) == {"evalsha": one}

    @ON_EVERY_SERVER
    def test_scripts_that_the_server_forgot_are_sent_again(
        self, place: Place, client: Redis, store: RedisStore
    ) -> None:
        class Forgetful(RedisStore):
            def _run(self, call: Call) -> object:
                client.script_flush()
                return super()._run(call)

        with place.client() as shared:
            walk(Forgetful(shared))

        class AsyncForgetful(AsyncRedisStore):
            async def _run(self, call: Call) -> object:
                client.script_flush()
                return await super()._run(call)

        client.flushall()
        with asyncio.Runner() as runner:
            async_store: Any = Awaited(AsyncForgetful.from_url(place.server.url), runner)
            walk(async_store)
            async_store.aclose()

    def test_a_script_is_sent_in_full_once(self, client: Redis, store: RedisStore) -> None:
        client.script_flush()
        before = calls(client)
        for number in range(5):
            store.open(key(number), first("a"), FREE)
        spent = calls(client) - before
        assert (spent["eval"], spent["evalsha"]) == (1, 5)


class Short(Policy):
    """The defaults, a hundred thousand times as fast."""

    @property
    def ttl(self) -> int:
        return 6

    @property
    def cooldown(self) -> int:
        return 2


class Blink(Limit):
    @property
    def window(self) -> int:
        return 6


class TestKeys:
    @ON_EVERY_SERVER
    def test_every_key_ends_when_nothing_needs_it_any_more(
        self, place: Place, client: Redis, store: RedisStore
    ) -> None:
        policy = Policy(
            resend_cooldown_seconds=0,
            sends_per_phone=(Limit(9, 7200),),
            failures_per_phone=Limit(9, 86_400),
            consecutive_failures=Limit(9, 604_800),
            ttl_seconds=300,
            proof_ttl_seconds=200,
        )
        counted = (Limit(9, 900),)
        kinds = ["sent", "wrong", "used", "decoy", "released", "void", "redeemed"]
        kinds += ["resent", "one void", "placed", "claimed", "failed", "canceled"]
        for number, purpose in enumerate(kinds):
            where = key(number, purpose)
            opening = first("a", decoy=purpose == "decoy")
            opened = store.open(where, to_follow() if purpose == "placed" else opening, policy)
            assert isinstance(opened, Opened)
            resent = purpose in ("resent", "one void")
            again = store.open(where, further("b"), policy) if resent else opened
            assert isinstance(again, Opened)
            if purpose == "one void":
                assert store.release(where, again.at, digest("b"), policy)
            if purpose == "placed":
                assert store.place(where, opened.at, digest("a"), policy)
            if purpose == "claimed":
                assert store.claim(where, policy).verdict is Verdict.PENDING
            if purpose == "failed":
                store.report(where, opened.at, DeliveryStatus.FAILED, policy)
            if purpose == "canceled":
                store.cancel(where)
            if purpose in ("wrong", "used", "redeemed"):
                store.check(where, digest("b" if purpose == "wrong" else "a"), policy)
            if purpose == "redeemed":
                assert store.redeem(where)
            if purpose in ("released", "void"):
                store.release(where, opened.at, digest("a") if purpose == "void" else None, policy)
            taken = store.reserve(f"network {number}", counted)
            assert isinstance(taken, Reserved)
            if number % 2:
                store.give_back(f"network {number}", taken.at)
        lives = {name: client.pttl(name) for name in names(client)}
        assert all(0 < life <= 604_800_000 for life in lives.values()), lives

        def life_of(name: str) -> int:
            return int(lives.get(name, 0))

        for number, purpose in enumerate(kinds):
            where = key(number, purpose)
            phone = f"otpverify:{{{where.phone}}}"
            life = life_of(f"{phone}:{where.challenge}")
            gone = {"void": 0, "canceled": 0}
            most = {"redeemed": 30_000, "used": 200_000, **gone}.get(purpose, 300_000)
            assert most - 25_000 < life <= most or life == most, purpose
            longest = 604_800_000 if purpose in ("wrong", "claimed") else 86_400_000
            given_back = purpose in ("released", "void", "failed")
            assert longest / 8 < life_of(phone) <= longest or given_back, purpose
            assert life_of(f"otpverify:ip:{{network {number}}}") <= (0 if number % 2 else 900_000)

    @ON_EVERY_SERVER
    def test_nothing_is_left(self, place: Place, client: Redis, store: RedisStore) -> None:
        blink = Blink(9, 1)
        policy = Short(
            sends_per_phone=(blink,),
            failures_per_phone=blink,
            consecutive_failures=blink,
            allow_weak=True,
        )
        for number in range(10):
            store.open(key(number), first("a", decoy=number % 2 == 0), policy)
            store.check(key(number), digest("wrong"), policy)
            store.reserve(f"network {number}", (blink,))
        with freeze_time(tick=True):
            asyncio.run(asyncio.sleep(0.012))
        assert names(client) == []

    @ON_EVERY_STANDALONE
    def test_no_log_grows_beyond_what_limits_look_at(
        self, place: Place, client: Redis, store: RedisStore
    ) -> None:
        """However much is sent by a policy that has no limits, beside one that has."""
        limited = Policy(
            sends_per_phone=(Limit(3, 3600),),
            failures_per_phone=Limit(5, 86_400),
            consecutive_failures=Limit(9, 864_000),
        )
        free = Policy(
            resend_cooldown_seconds=0,
            sends_per_phone=(),
            failures_per_phone=None,
            consecutive_failures=None,
            allow_weak=True,
        )
        store.open(key(challenge=999), first("a"), limited)
        store.check(key(challenge=999), digest("wrong"), limited)
        for number in range(150):
            store.open(key(challenge=number), first("a"), free)
            store.check(key(challenge=number), digest("wrong"), free)
            store.reserve("network", (Limit(10**6, 3600),))
        phone = f"otpverify:{{{key().phone}}}"
        assert client.strlen(phone) == 10 + 25 + 2 * (5 + SPARE) * 37
        assert client.pttl(phone) <= 864_000_000, "as long as the wrong codes in a row count"
        assert client.strlen("otpverify:ip:{network}") == 10 + 150 * 12

    @ON_EVERY_SERVER
    def test_a_log_of_an_earlier_version_is_as_if_there_were_none(
        self, place: Place, client: Redis, store: RedisStore
    ) -> None:
        """It had records of 19 bytes."""
        now = int(time.time() * 1000)
        record = b"S" + now.to_bytes(6, "big") + key().scope[:8].encode() + b"name"
        name = f"otpverify:{{{key().phone}}}"
        for count in (1, 2, 36):
            header = (86_400_000).to_bytes(6, "big") + (30).to_bytes(4, "big")
            client.set(name, header + count * record, ex=86_400)
            assert store.inspect(key().phone).phone.sends == ()
            opened = store.open(key(challenge=count), first("a"), Policy())
            assert isinstance(opened, Opened)
            assert opened.standing.sends_left == 4
            assert client.strlen(name) == 10 + 37

    @ON_EVERY_SERVER
    def test_a_counter_keeps_what_its_largest_limit_looks_at(
        self, place: Place, client: Redis, store: RedisStore
    ) -> None:
        """And is begun anew when all that it holds has lapsed."""
        seconds, micros = client.time()
        now = seconds * 1000 + micros // 1000
        counter, day = "otpverify:ip:{network}", 86_400_000
        for age, records, left in ((3_600_000, 300, 5 + SPARE), (day + 1000, 300, 1)):
            held = b"".join(
                (now - age + n).to_bytes(6, "big") + b"%06d" % n for n in range(records)
            )
            client.set(counter, day.to_bytes(6, "big") + (5).to_bytes(4, "big") + held)
            store.reserve("network", (Limit(3, 1),))
            assert client.strlen(counter) == 10 + left * 12
            store.give_back("network", now - age + 299)  # a full log may have dropped older ones
            assert client.strlen(counter) == 10 + left * 12
        assert client.pttl(counter) <= 1000

    def test_a_log_lives_as_long_as_the_longest_window_that_wrote_to_it(
        self, place: Place, client: Redis, store: RedisStore
    ) -> None:
        brief = Policy(
            resend_cooldown_seconds=0,
            sends_per_phone=(Limit(9, 60),),
            failures_per_phone=None,
            allow_weak=True,
        )
        phone, counter = f"otpverify:{{{key().phone}}}", "otpverify:ip:{network}"
        store.open(key(), first("a"), brief)
        store.reserve("network", (Limit(9, 60),))
        assert all(0 < client.pttl(name) <= 60_000 for name in (phone, counter))
        store.open(key(1, "other"), first("a"), Policy())
        store.reserve("network", (Limit(9, 86_400),))
        for number in range(3):
            store.open(key(challenge=number), first("a"), brief)
            store.reserve("network", (Limit(9, 60),))
            lives = [client.pttl(name) for name in (phone, counter)]
            # Events of one instant differ by a millisecond each.
            assert all(86_000_000 < life <= 86_400_003 for life in lives)

    @pytest.mark.parametrize(
        "place", [p for p in PLACES if p[1] == "cluster"], ids="-".join, indirect=True
    )
    def test_all_keys_of_a_phone_lie_in_one_slot(self, place: Place, client: Redis) -> None:
        with place.client() as cluster:
            store = RedisStore(cluster, prefix="a prefix")
            for phone in range(20):
                for number, purpose in enumerate(("login", "reset", "login")):
                    store.open(key(phone, purpose, number), first("a"), FREE)
        slots: dict[str, set[int]] = {}
        for name in names(client):
            tag = name.split("{")[1].split("}")[0]
            slots.setdefault(tag, set()).add(client.cluster("keyslot", name))
        assert len(slots) == 20
        assert all(len(found) == 1 for found in slots.values())
        assert len(set.union(*slots.values())) > 10, "and phones are spread"


class TestRepeats:
    """The same call sent twice, as a client does that lost the reply."""

    @pytest.fixture
    def scripts(self, place: Place) -> Scripts:
        return Scripts("repeats", load_at(Timeline(), declared=place.declared))

    @pytest.fixture
    def twice(self, place: Place, client: Redis) -> Callable[[Call], Any]:
        def send(call: Call) -> Any:
            answer = sent(client, call)
            before = {name: client.get(name) for name in names(client)}
            again = sent(client, call)
            # A used challenge does not remember how old its message was.
            assert again == answer or again == answer[:2] == [4, 0]
            assert {name: client.get(name) for name in names(client)} == before
            return answer

        return send

    @ON_EVERY_SERVER
    def test_change_nothing(
        self, place: Place, scripts: Scripts, twice: Callable[[Call], Any], client: Redis
    ) -> None:
        policy = Policy(sends_per_phone=(Limit(5, 60),), resend_cooldown_seconds=0)

        def twice_the_last(call: Call) -> Any:
            """For what is news once."""
            answer = sent(client, call)
            assert twice(call) == [1, 0, 0]
            return answer

        assert twice(scripts.open(key(), first("a"), policy))[-4:] == [0, 5, 4, 0]
        assert twice(scripts.open(key(), further("b"), policy))[-4:] == [0, 5, 3, 0]
        for left in (4, 3, 2):
            assert twice(scripts.check(key(), digest("wrong"), policy)) == [3, left]
        assert twice(scripts.peek(key(), policy)) == [2, 0]
        awaited = twice(scripts.open(key(), to_follow(new=False), policy))
        assert twice(scripts.place(key(), awaited[1], digest("c"), policy)) == [1, 0, *awaited[2:]]
        assert twice(scripts.claim(key(), policy)) == [2, 0]
        assert twice(scripts.check(key(), digest("wrong"), policy, True)) == [3, 1]
        assert twice(scripts.check(key(), digest("a"), policy)) == [4, 0, 0]
        assert twice(scripts.check(key(), digest("a"), policy)) == [0, 0], "but that is another"
        assert twice(scripts.redeem(key())) == [1]
        assert twice(scripts.redeem(key())) == [0], "but that is another"
        opened = twice(scripts.open(key(2), first("a"), policy))
        assert twice(scripts.status(key(2), policy)) == [1, 0]
        assert twice_the_last(scripts.report(key(2), opened[1], SENT, policy)) == [1, 1, 0]
        assert twice_the_last(scripts.report(key(2), opened[1], FAILED, policy)) == [1, 1, 1]
        assert twice(scripts.status(key(2), policy)) == [1, 6]
        kept = twice(scripts.open(key(3), first("a"), policy))
        assert twice_the_last(scripts.report(key(3), kept[1], FAILED, policy, False)) == [1, 1, 0]
        assert sent(client, scripts.report(key(3), kept[1], FAILED, policy)) == [1, 0, 0]
        assert twice(scripts.release(key(2), opened[1], digest("a"), policy)) == [0]
        assert twice(scripts.cancel(key(2))) == [1]
        one = (Limit(2, 60),)
        taken = twice(scripts.reserve("network", one))
        assert twice(scripts.reserve("network", one))[0] == 1
        assert twice(scripts.reserve("network", one))[0] == 0
        client.delete("repeats:ip:{network}")
        taken = twice(scripts.reserve("network", one))
        assert twice(scripts.give_back("network", taken[1])) == [1]

    def test_even_behind_other_calls(self, place: Place, scripts: Scripts, client: Redis) -> None:
        send = partial(sent, client)
        send(scripts.open(key(), first("a"), FREE))
        resend = scripts.open(key(), further("b"), FREE)
        guess = scripts.check(key(), digest("wrong"), FREE)
        assert send(resend)[0] == 1
        assert send(guess) == [3, 4]
        send(scripts.open(key(), further("c"), FREE))
        assert send(scripts.check(key(), digest("wrong"), FREE)) == [3, 3]
        assert send(resend)[0] == 1
        assert send(guess) == [3, 3], "it was counted when it came first"
        assert send(scripts.check(key(), digest("a"), FREE)) == [4, 0, 0], "of three live codes"
        assert send(guess) == [0, 0]

    def test_behind_a_policy_s_many_attempts(self, scripts: Scripts, client: Redis) -> None:
        policy = Policy(max_attempts=30)
        sent(client, scripts.open(key(), first("a"), policy))
        guesses = [scripts.check(key(), digest("wrong"), policy) for _ in range(29)]
        for left, guess in enumerate(reversed(guesses), start=1):
            assert sent(client, guess) == [3, 30 - left]
        for guess in guesses:
            assert sent(client, guess) == [3, 1]
        assert sent(client, scripts.check(key(), digest("a"), policy)) == [4, 0, 0]

    @pytest.mark.parametrize(("seconds", "remembered"), [(1, 30_000), (600, 600_000)])
    def test_within_half_a_minute(
        self, place: Place, client: Redis, seconds: int, remembered: int
    ) -> None:
        """However short a proof lives: the client that lost the reply asks again soon after."""
        clock, policy = Timeline(), Policy(proof_ttl_seconds=seconds)
        loader = load_at(clock, declared=place.declared)
        scripts = Scripts("repeats", loader)

        def later(milliseconds: int, name: str, call: Call) -> list[int]:
            clock.ms += milliseconds
            return sent(client, call._replace(script=loader(name)))

        sent(client, scripts.open(key(), first("a"), policy))
        check = scripts.check(key(), digest("a"), policy)
        assert sent(client, check) == [4, 0, 0]
        assert later(remembered - 1, "check", check) == [4, 0]
        assert later(1, "check", check) == [0, 0]
        sent(client, scripts.open(key(2), first("a"), policy))
        sent(client, scripts.check(key(2), digest("a"), policy))
        redeem = scripts.redeem(key(2))
        assert later(999, "redeem", redeem) == [1]
        assert later(29_999, "redeem", redeem) == [1]
        assert later(1, "redeem", redeem) == [0]


def sent(client: Redis, call: Call) -> list[int]:
    """The numbers that a script answers."""
    reply = client.eval(call.script.text, len(call.keys), *call.keys, *call.args)
    assert isinstance(reply, bytes)
    return [int(number) for number in reply.split()]


REPLIES: list[Any] = [
    None, b"OK", "OK", True, 1, 1.0, [], [1], [1, 2], {}, {1: 2}, b"", "", b" ", b"1.0", b"1 x",
    b"\xff", b"9 9", b"-1 0", b"1", "1", b"1 2", "1 2", b"1 1 2", b"0 0 False",
    b"1 2 3 4 5 6 7", b"0 5 99", b"0 5 -3", b"5 0", b"1 2 3 4 5 6 7 8",
]  # fmt: skip


class Liar:
    """A client whose server answers nonsense."""

    def __init__(self, reply: Any) -> None:
        self.reply = reply

    def execute_command(self, *args: Any) -> Any:
        return self.reply


class AsyncLiar(Liar):
    async def execute_command(self, *args: Any) -> Any:
        return self.reply


@pytest.mark.parametrize("reply", REPLIES, ids=repr)
@pytest.mark.parametrize("mode", ["sync", "async"])
def test_nonsense_is_an_error_and_lets_nobody_in(reply: Any, mode: str) -> None:
    limits = (Limit(1, 60),)
    operations: list[tuple[str, tuple[Any, ...]]] = [
        ("open", (key(), first("a"), FREE)),
        ("release", (key(), 1, None, FREE)),
        ("report", (key(), 1, DeliveryStatus.FAILED, FREE)),
        ("status", (key(), FREE)),
        ("cancel", (key(),)),
        ("redeem", (key(),)),
        ("reserve", ("network", limits)),
        ("give_back", ("network", 1)),
        ("check", (key(), digest("a"), FREE)),
        ("peek", (key(), FREE)),
        ("claim", (key(), FREE)),
        ("place", (key(), 1, digest("a"), FREE)),
        ("inspect", (key().phone,)),
        ("unlock", (key().phone,)),
    ]
    fitting = {
        "cancel": (b"1", "1"),
        "redeem": (b"1", "1"),
        "give_back": (b"1", "1"),
        "unlock": (b"1", "1"),
        "inspect": (b"1 1 2", b"0 5 99"),
        "reserve": (b"1 2", "1 2"),
        "check": (b"1 2", "1 2"),  # exhausted
        "peek": (b"1 2", "1 2"),
        "claim": (b"1 2", "1 2"),
        "status": (b"1 2", "1 2"),
    }
    with asyncio.Runner() as runner:
        store: Any
        if mode == "async":
            store = Awaited(AsyncRedisStore(AsyncLiar(reply)), runner)
        else:
            store = RedisStore(Liar(reply))
        for name, args in operations:
            if reply in fitting.get(name, ()):
                continue
            with pytest.raises(StoreError):
                getattr(store, name)(*args)


NOT_LET_IN = [b"+4 0", b"4 0_0", b"04 0", b"4  0", b"4 1", "4 0\n", b"4 0 ", b"4 0 -1", b"4 0 01"]
NOT_LET_IN += [b"4 1 5", b"4 0 5 5", "4 0 5\n", "4 0 \u0665", b"4 0 999999999999999"]


@pytest.mark.parametrize("reply", NOT_LET_IN, ids=repr)
def test_who_is_let_in_is_said_to_the_letter(reply: Any) -> None:
    for exact, age in [(b"4 0", None), ("4 0", None), (b"4 0 0", 0), ("4 0 61000", 61_000)]:
        accepted = RedisStore(Liar(exact)).check(key(), digest("a"), FREE)
        assert accepted.verdict is Verdict.ACCEPTED
        assert accepted.age == age
    with pytest.raises(StoreError):
        RedisStore(Liar(reply)).check(key(), digest("a"), FREE)


@pytest.mark.parametrize("reply", [b"1 7", b"1 -1", b"0 0", b"2 0", b"1"], ids=repr)
def test_a_status_that_is_none_is_an_error(reply: Any) -> None:
    with pytest.raises(StoreError):
        RedisStore(Liar(reply)).status(key(), FREE)


@ON_EVERY_STANDALONE
def test_the_client_s_clock_does_not_matter(place: Place, store: RedisStore, client: Redis) -> None:
    outbox = OutboxSender()
    verifier = Verifier(outbox, store=store, secret=SECRET, hasher=QUICK)
    started = verifier.start(PHONE, client_ip="192.0.2.1")
    for years in (-30, 30):
        with freeze_time(started.expires_at + timedelta(days=365 * years), tick=True):
            with pytest.raises(OtpVerifyError, match="moment ago"):
                verifier.start(PHONE)
            with pytest.raises(IncorrectCode):
                verifier.check(PHONE, wrong(outbox.code()), challenge=started.id)
    assert all(0 < client.pttl(name) <= 30 * 86_400_000 for name in names(client))
    with freeze_time("2099-01-01", tick=True):
        assert verifier.check(PHONE, outbox.code(), challenge=started.id).phone == PHONE
        with pytest.raises(ChallengeExpired):
            verifier.check(PHONE, outbox.code(), challenge=started.id)


@ON_EVERY_SERVER
def test_two_processes_worth_of_verifiers_of_both_modes_from_env(
    place: Place, smspm_sandbox: Sandbox
) -> None:
    """One process starts, another checks; one is asynchronous."""
    environ = {
        **smspm_sandbox.environ,
        "OTPVERIFY_REDIS_URL": place.server.url,
        "OTPVERIFY_SECRET": SECRET,
    }

    def code(phone: str) -> str:
        return next(m.code or "" for m in smspm_sandbox.messages if m.to == phone)

    with place.server.client() as admin, Verifier.from_env(environ) as verifier:
        before = len(admin.client_list())
        started = verifier.start(PHONE, purpose="login")

        async def other_process() -> str:
            async with AsyncVerifier.from_env(environ) as async_verifier:
                done = await async_verifier.check(
                    PHONE, code(PHONE), challenge=started.id, purpose="login"
                )
                assert done.phone == PHONE
                return (await async_verifier.start(OTHER_PHONE)).id

        id_ = asyncio.run(other_process())
        assert verifier.check(OTHER_PHONE, code(OTHER_PHONE), challenge=id_).phone == OTHER_PHONE
        with pytest.raises(ChallengeExpired):
            verifier.check(PHONE, code(PHONE), challenge=started.id, purpose="login")
        assert len(admin.client_list()) > before
        verifier.close()
        until(lambda: len(admin.client_list()) == before)


@ON_EVERY_SERVER
def test_an_async_verifier_end_to_end(place: Place) -> None:
    async def main() -> None:
        outbox = AsyncOutboxSender()
        store = AsyncRedisStore.from_url(place.server.url)
        verifier = AsyncVerifier(outbox, store=store, secret=SECRET, hasher=QUICK)
        challenge = await verifier.start(PHONE, client_ip="192.0.2.1")
        with pytest.raises(IncorrectCode):
            await verifier.check(PHONE, wrong(outbox.code()), challenge=challenge.id)
        await verifier.check(PHONE, outbox.code(), challenge=challenge.id)
        with pytest.raises(ChallengeExpired):
            await verifier.resend(PHONE, challenge=challenge.id)
        await store.aclose()

    asyncio.run(main())


def test_the_default_timeouts_are_bounded() -> None:
    assert 0 < redis_client.CONNECT_TIMEOUT_SECONDS <= 5
    assert 0 < redis_client.SOCKET_TIMEOUT_SECONDS <= 5
