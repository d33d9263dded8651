"""The store for threads: Redis 6.2 or later, or Valkey; one, a Sentinel group, or a Cluster."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any, ClassVar, Self

from redis import Redis, RedisCluster
from redis.cluster import ClusterNode
from redis.retry import Retry
from redis.sentinel import Sentinel

from otpverify._per_process import PerProcess
from otpverify._sync import Closing, run_sync
from otpverify.core import challenge as transitions
from otpverify.core.answers import Checked, Opened, Refused, Reported, Reserved, Standing
from otpverify.core.caps import Full
from otpverify.core.fraud import Overdrawn, Request
from otpverify.core.fraud_ledger import Charged, Credited, FraudKey, KnownNumber, Rules
from otpverify.core.keys import Key
from otpverify.core.limits import Limit
from otpverify.core.policy import Policy
from otpverify.core.results import DeliveryStatus
from otpverify.core.state import Inspected, Opening
from otpverify.core.traffic import Totals
from otpverify.stores.redis import clients, replies, scripts
from otpverify.stores.redis.connections import SyncPooledClient
from otpverify.stores.redis.health import Health, asking, read_health, store_error, warn_of_eviction

_CLASSES = clients.ClientClasses(Redis, RedisCluster, ClusterNode, Sentinel, Retry)


class RedisStore(Closing):
    """Keeps challenges and counters in Redis or Valkey, shared by all processes and hosts.

    Every operation is one script, one round trip, on one cluster slot; the server's clock
    counts; every key expires. Calls are safe to repeat, so a client may retry them.

    Args:
        client: Made by redis-py: `Redis`, a `Sentinel`'s `master_for(...)`, or `RedisCluster`.
            Set its timeouts: before version 8 redis-py has none.
        prefix: What every key begins with. Verifiers that share it (and the secret) share
            challenges and limits; their policies may differ.
    """

    process_local: ClassVar[bool] = False

    def __init__(self, client: Any, *, prefix: str = "otpverify") -> None:
        clients.check_client(client, asynchronous=False)
        self._open_clients(lambda: SyncPooledClient(client), type(client).__name__, prefix)

    def _open_clients(
        self,
        make: Callable[[], SyncPooledClient],
        name: str,
        prefix: str,
        patience_seconds: float = clients.PATIENCE_SECONDS,
    ) -> None:
        self._clients = PerProcess(make)
        self._name = name
        self._patience = patience_seconds
        self.scripts: scripts.Scripts = scripts.Scripts(prefix)
        self._looked = False

    @classmethod
    def from_url(
        cls,
        url: str,
        *,
        prefix: str = "otpverify",
        connect_timeout_seconds: float = clients.CONNECT_TIMEOUT_SECONDS,
        socket_timeout_seconds: float = clients.SOCKET_TIMEOUT_SECONDS,
    ) -> Self:
        """A store with a client of its own. Connects when it is first used.

        Args:
            url: `redis://`, `rediss://`, `unix://`, `redis+sentinel://host,host/service`,
                `redis+cluster://host,host`, or the same with `valkey`.
            prefix: What every key begins with.
            connect_timeout_seconds: For a connection to be made.
            socket_timeout_seconds: For each wait for more of a reply, which is one short line.
                A call is repeated once, so one server that does not answer fails it after twice
                the sum of both. Each sentinel, or node of a cluster that has to be looked for,
                that does not answer takes as long again.

        Raises:
            ConfigurationError: It is not such a URL, or a timeout is not above 0.
        """
        make = clients.maker(_CLASSES, url, connect_timeout_seconds, socket_timeout_seconds)
        bound = clients.patience(connect_timeout_seconds, socket_timeout_seconds)
        store = cls.__new__(cls)
        store._open_clients(lambda: SyncPooledClient.from_url(make()), "a URL", prefix, bound)
        return store

    def __repr__(self) -> str:
        return f"<RedisStore on {self._name}>"

    def close(self) -> None:
        """Close the client's connections; of a store made by `from_url`, those of this process."""
        client = self._clients.get().client
        for one in (client, *clients.sentinels_of(client)):
            one.close()

    def open(self, key: Key, opening: Opening, policy: Policy) -> Opened | Refused:
        """See `Store.open`."""
        return replies.opened(self._run(self.scripts.open(key, opening, policy)), policy)

    def place(self, key: Key, at: int, digest: bytes, policy: Policy) -> Standing | None:
        """See `Store.place`."""
        return replies.standing(self._run(self.scripts.place(key, at, digest, policy)))

    def peek(self, key: Key, policy: Policy) -> Checked:
        """See `Store.peek`."""
        return replies.checked(self._run(self.scripts.peek(key, policy)))

    def claim(self, key: Key, policy: Policy) -> Checked:
        """See `Store.claim`."""
        return replies.checked(self._run(self.scripts.claim(key, policy)))

    def check(self, key: Key, digest: bytes, policy: Policy, claimed: bool = False) -> Checked:
        """See `Store.check`."""
        call = self.scripts.check(key, digest, policy, claimed)
        return replies.checked(self._run(call))

    def redeem(self, key: Key) -> bool:
        """See `Store.redeem`."""
        return replies.redeemed(self._run(self.scripts.redeem(key)))

    def release(
        self, key: Key, at: int, undelivered: bytes | None, policy: Policy
    ) -> Standing | None:
        """See `Store.release`."""
        return replies.standing(self._run(self.scripts.release(key, at, undelivered, policy)))

    def report(
        self, key: Key, at: int, status: DeliveryStatus, policy: Policy, give_back: bool = True
    ) -> Reported:
        """See `Store.report`."""
        call = self.scripts.report(key, at, status, policy, give_back)
        return replies.reported(self._run(call))

    def status(self, key: Key, policy: Policy) -> DeliveryStatus | None:
        """See `Store.status`."""
        return replies.status(self._run(self.scripts.status(key, policy)))

    def cancel(self, key: Key) -> None:
        """See `Store.cancel`."""
        replies.done(self._run(self.scripts.cancel(key)))

    def inspect(self, phone: str) -> Inspected:
        """See `Store.inspect`. One round trip, and one more where challenges may be live: a
        challenge may change between the two."""
        kept = replies.inspected(self._run(self.scripts.inspect(phone)))
        names = transitions.challenges_of(kept.phone, kept.at)
        found = self._run(self.scripts.inspect_challenges(phone, names)) if names else ""
        challenges = replies.inspected_challenges(found, names)
        return transitions.inspect(kept.phone, challenges, kept.at)

    def unlock(self, phone: str, scope: str | None = None) -> None:
        """See `Store.unlock`."""
        replies.done(self._run(self.scripts.unlock(phone, scope)))

    def reserve(self, counter: str, limits: tuple[Limit, ...]) -> Reserved | Refused:
        """See `Store.reserve`."""
        return replies.reserved(self._run(self.scripts.reserve(counter, limits)), limits)

    def give_back(self, counter: str, at: int) -> None:
        """See `Store.give_back`."""
        replies.done(self._run(self.scripts.give_back(counter, at)))

    def charge(
        self, key: FraudKey, request: Request, rules: Rules
    ) -> Charged | Overdrawn | Full | Refused:
        """See `FraudStore.charge`."""
        call = self.scripts.charge(key, request, rules)
        return replies.charged(self._run(call), rules)

    def credit(self, key: FraudKey, rules: Rules) -> Credited | None:
        """See `FraudStore.credit`."""
        return replies.credited(self._run(self.scripts.credit(key, rules)))

    def refund(self, key: FraudKey, charged: Charged, price: float, rules: Rules) -> None:
        """See `FraudStore.refund`."""
        replies.done(self._run(self.scripts.refund(key, charged, price, rules)))

    def known(self, number: str) -> KnownNumber | None:
        """See `FraudStore.known`."""
        return replies.known(self._run(self.scripts.known(number)))

    def unlock_number(self, number: str) -> None:
        """See `FraudStore.unlock_number`."""
        replies.done(self._run(self.scripts.unlock_number(number)))

    def traffic(self, hours: int) -> Totals:
        """See `FraudStore.traffic`."""
        return replies.traffic(self._run(self.scripts.traffic(hours)))

    def health(self) -> Health:
        """What the server says of itself: version, eviction, persistence, and what to fix.

        Raises:
            StoreError: It cannot be asked.
        """
        client = self._clients.get().client
        try:
            info = client.info("everything", **asking(client))
        except Exception as error:
            failure = store_error(error)
        else:
            return read_health(info)
        raise failure

    def _look(self, pooled: SyncPooledClient) -> None:
        """Once, when the server first answers: tell of an eviction policy that is unsafe. A server
        that does not let itself be asked is not asked again."""
        self._looked = True
        if pooled.pool is not None:
            pooled.pool.lend()
        with suppress(Exception):
            warn_of_eviction(pooled.client.info("memory", **asking(pooled.client)))

    def _run(self, call: scripts.Call) -> object:
        pooled = self._clients.get()
        reply = run_sync(scripts.run(pooled.ports, call, self._patience))
        if not self._looked:
            self._look(pooled)
        return reply
