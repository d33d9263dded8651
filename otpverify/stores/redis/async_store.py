"""The store for event loops: what `RedisStore` is for threads."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any, ClassVar, Self

from redis.asyncio import Redis, RedisCluster, Sentinel
from redis.asyncio.cluster import ClusterNode
from redis.asyncio.retry import Retry

from otpverify._event_loops import PerLoop
from otpverify._sync import AsyncClosing, require_asyncio
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
from otpverify.stores.redis.connections import AsyncPooledClient
from otpverify.stores.redis.health import Health, asking, read_health, store_error, warn_of_eviction

_CLASSES = clients.ClientClasses(Redis, RedisCluster, ClusterNode, Sentinel, Retry)


def _pooled_client(make: Callable[[], Any]) -> AsyncPooledClient:
    """A client made from a URL, with the faster way if it talks to one server."""
    return AsyncPooledClient.from_url(make())


async def _close_pooled(pooled: AsyncPooledClient) -> None:
    await _close(pooled.client)


async def _close(client: Any) -> None:
    for one in (client, *clients.sentinels_of(client)):
        await one.aclose()


class AsyncRedisStore(AsyncClosing):
    """`RedisStore`, awaitable: many tasks may share one.

    Args:
        client: Made by `redis.asyncio`: `Redis`, a `Sentinel`'s `master_for(...)`, or
            `RedisCluster`. It belongs to the event loop that first uses it; a store made by
            `from_url` serves any loop, each by a client of its own.
        prefix: What every key begins with.
    """

    process_local: ClassVar[bool] = False

    def __init__(self, client: Any, *, prefix: str = "otpverify") -> None:
        clients.check_client(client, asynchronous=True)
        self._clients: AsyncPooledClient | PerLoop[AsyncPooledClient] = AsyncPooledClient(client)
        self._begin(prefix, clients.PATIENCE_SECONDS)

    def _begin(self, prefix: str, patience_seconds: float) -> None:
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
        """See `RedisStore.from_url`. An event loop that ends closes the connections that it used,
        and `aclose` closes them sooner."""
        make = clients.maker(_CLASSES, url, connect_timeout_seconds, socket_timeout_seconds)
        store = cls.__new__(cls)
        store._clients = PerLoop("AsyncRedisStore", partial(_pooled_client, make), _close_pooled)
        bound = clients.patience(connect_timeout_seconds, socket_timeout_seconds)
        store._begin(prefix, bound)
        return store

    def __repr__(self) -> str:
        clients_in_use = self._clients
        where = (
            type(clients_in_use.client).__name__
            if isinstance(clients_in_use, AsyncPooledClient)
            else "a URL"
        )
        return f"<AsyncRedisStore on {where}>"

    async def aclose(self) -> None:
        """Close the client's connections; of a store made by `from_url`, those of the event loop
        that runs."""
        if isinstance(self._clients, AsyncPooledClient):
            await _close(self._clients.client)
        else:
            await self._clients.aclose()

    async def open(self, key: Key, opening: Opening, policy: Policy) -> Opened | Refused:
        """See `Store.open`."""
        return replies.opened(await self._run(self.scripts.open(key, opening, policy)), policy)

    async def place(self, key: Key, at: int, digest: bytes, policy: Policy) -> Standing | None:
        """See `Store.place`."""
        return replies.standing(await self._run(self.scripts.place(key, at, digest, policy)))

    async def peek(self, key: Key, policy: Policy) -> Checked:
        """See `Store.peek`."""
        return replies.checked(await self._run(self.scripts.peek(key, policy)))

    async def claim(self, key: Key, policy: Policy) -> Checked:
        """See `Store.claim`."""
        return replies.checked(await self._run(self.scripts.claim(key, policy)))

    async def check(
        self, key: Key, digest: bytes, policy: Policy, claimed: bool = False
    ) -> Checked:
        """See `Store.check`."""
        call = self.scripts.check(key, digest, policy, claimed)
        return replies.checked(await self._run(call))

    async def redeem(self, key: Key) -> bool:
        """See `Store.redeem`."""
        return replies.redeemed(await self._run(self.scripts.redeem(key)))

    async def release(
        self, key: Key, at: int, undelivered: bytes | None, policy: Policy
    ) -> Standing | None:
        """See `Store.release`."""
        call = self.scripts.release(key, at, undelivered, policy)
        return replies.standing(await self._run(call))

    async def report(
        self, key: Key, at: int, status: DeliveryStatus, policy: Policy, give_back: bool = True
    ) -> Reported:
        """See `Store.report`."""
        call = self.scripts.report(key, at, status, policy, give_back)
        return replies.reported(await self._run(call))

    async def status(self, key: Key, policy: Policy) -> DeliveryStatus | None:
        """See `Store.status`."""
        return replies.status(await self._run(self.scripts.status(key, policy)))

    async def cancel(self, key: Key) -> None:
        """See `Store.cancel`."""
        replies.done(await self._run(self.scripts.cancel(key)))

    async def inspect(self, phone: str) -> Inspected:
        """See `Store.inspect`. One round trip, and one more where challenges may be live: a
        challenge may change between the two."""
        kept = replies.inspected(await self._run(self.scripts.inspect(phone)))
        names = transitions.challenges_of(kept.phone, kept.at)
        found = await self._run(self.scripts.inspect_challenges(phone, names)) if names else ""
        challenges = replies.inspected_challenges(found, names)
        return transitions.inspect(kept.phone, challenges, kept.at)

    async def unlock(self, phone: str, scope: str | None = None) -> None:
        """See `Store.unlock`."""
        replies.done(await self._run(self.scripts.unlock(phone, scope)))

    async def reserve(self, counter: str, limits: tuple[Limit, ...]) -> Reserved | Refused:
        """See `Store.reserve`."""
        return replies.reserved(await self._run(self.scripts.reserve(counter, limits)), limits)

    async def give_back(self, counter: str, at: int) -> None:
        """See `Store.give_back`."""
        replies.done(await self._run(self.scripts.give_back(counter, at)))

    async def charge(
        self, key: FraudKey, request: Request, rules: Rules
    ) -> Charged | Overdrawn | Full | Refused:
        """See `FraudStore.charge`."""
        call = self.scripts.charge(key, request, rules)
        return replies.charged(await self._run(call), rules)

    async def credit(self, key: FraudKey, rules: Rules) -> Credited | None:
        """See `FraudStore.credit`."""
        return replies.credited(await self._run(self.scripts.credit(key, rules)))

    async def refund(self, key: FraudKey, charged: Charged, price: float, rules: Rules) -> None:
        """See `FraudStore.refund`."""
        replies.done(await self._run(self.scripts.refund(key, charged, price, rules)))

    async def known(self, number: str) -> KnownNumber | None:
        """See `FraudStore.known`."""
        return replies.known(await self._run(self.scripts.known(number)))

    async def unlock_number(self, number: str) -> None:
        """See `FraudStore.unlock_number`."""
        replies.done(await self._run(self.scripts.unlock_number(number)))

    async def traffic(self, hours: int) -> Totals:
        """See `FraudStore.traffic`."""
        return replies.traffic(await self._run(self.scripts.traffic(hours)))

    async def health(self) -> Health:
        """What the server says of itself: version, eviction, persistence, and what to fix.

        Raises:
            StoreError: It cannot be asked.
        """
        client = (await self._pooled()).client
        try:
            info = await client.info("everything", **asking(client))
        except Exception as error:
            failure = store_error(error)
        else:
            return read_health(info)
        raise failure

    async def _pooled(self) -> AsyncPooledClient:
        require_asyncio("AsyncRedisStore")
        return (
            self._clients
            if isinstance(self._clients, AsyncPooledClient)
            else await self._clients.current()
        )

    async def _look(self, pooled: AsyncPooledClient) -> None:
        """Once, when the server first answers: tell of an eviction policy that is unsafe. A server
        that does not let itself be asked is not asked again."""
        self._looked = True
        if pooled.pool is not None:
            await pooled.pool.lend()
        with suppress(Exception):
            warn_of_eviction(await pooled.client.info("memory", **asking(pooled.client)))

    async def _run(self, call: scripts.Call) -> object:
        pooled = await self._pooled()
        reply = await scripts.run(pooled.ports, call, self._patience)
        if not self._looked:
            await self._look(pooled)
        return reply
