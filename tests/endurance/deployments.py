"""The servers under the traffic: one, a Sentinel group, or a cluster of three nodes, all Valkey 9;
and what an operator does to them."""

from __future__ import annotations

import contextlib
import random
import time
from collections.abc import Iterator
from typing import Any

from clusters import Cluster, three_nodes
from redis.crc import key_slot
from sentinels import DOWN_AFTER, SERVICE, Group, ask, role
from servers import Server, binary, until

PROGRAM = "valkey9"
SLOTS = 16_384
FRAUD_SLOT = int(key_slot(b"otpverify:{f}:w"))
"""Where everything lies that a `FraudPolicy` counts."""
_PATIENT_MILLISECONDS = 60_000


class Deployment:
    """Servers that hold one store's data.

    Attributes:
        name: `"single"`, `"sentinel"` or `"cluster"`.
        url: Their address.
    """

    name = "single"

    def __init__(self, servers: list[Server]) -> None:
        self.servers = servers
        self.url = servers[0].url

    @property
    def primaries(self) -> list[Server]:
        """Those that hold the data, one for each shard."""
        return self.servers

    def kept(self) -> list[tuple[bytes, int]]:
        """All keys that have not expired, and their milliseconds to live; -1 for for ever."""
        found: list[tuple[bytes, int]] = []
        for server in self.primaries:
            with server.client() as client:
                names = list(client.scan_iter(count=1000))
                for at in range(0, len(names), 1000):
                    some = names[at : at + 1000]
                    asked = client.pipeline(transaction=False)
                    for name in some:
                        asked.pttl(name)
                    found += zip(some, asked.execute(), strict=True)
        return [(name, left) for name, left in found if left != -2]

    def facts(self) -> list[dict[str, Any]]:
        """`INFO` of each server that runs."""
        found = []
        for server in self.servers:
            with contextlib.suppress(Exception), server.client() as client:
                found.append(client.info("everything"))
        return found


class SentinelGroup(Deployment):
    """A primary, a replica and a sentinel. Either server may be the primary."""

    name = "sentinel"

    def __init__(self, group: Group) -> None:
        self.group = group
        self.servers = [group.primary, group.replica]
        self.url = group.url
        group.stays()

    @property
    def primaries(self) -> list[Server]:
        return [self.primary]

    @property
    def primary(self) -> Server:
        """The one that the sentinel names."""
        port = self.group.admin.sentinel_masters()[SERVICE]["port"]
        return next(server for server in self.servers if server.port == port)

    @property
    def replica(self) -> Server:
        """The other one."""
        return next(server for server in self.servers if server is not self.primary)

    def fail_over_coordinated(self) -> None:
        """Make the replica the primary, with writes held back meanwhile: nothing is lost."""
        old, new = self.primary, self.replica
        ask(self.group, "COORDINATED")
        until(lambda: self._leads(new))
        until(lambda: role(old) == "slave")
        self._in_step(old)

    def kill_primary(self) -> None:
        """Kill the primary, let the sentinel promote the replica, and bring the old one back as
        its replica. What it had not replicated is lost."""
        old, new = self.primary, self.replica
        patience = ("SENTINEL", "SET", SERVICE, "down-after-milliseconds")
        old.kill()
        self.group.admin.execute_command(*patience, int(DOWN_AFTER * 1000))
        until(lambda: self._leads(new))
        self.group.admin.execute_command(*patience, _PATIENT_MILLISECONDS)
        self.recovered = time.monotonic()
        old.start()
        with old.client() as client:
            client.replicaof("127.0.0.1", new.port)
        self._in_step(old)

    recovered = 0.0
    """When the last killed primary had been replaced."""

    def _leads(self, server: Server) -> bool:
        return role(server) == "master" and self.primary is server

    def _in_step(self, server: Server) -> None:
        def linked() -> bool:
            with server.client() as client:
                return bool(client.info("replication").get("master_link_status") == "up")

        until(linked)


class ThreeNodes(Deployment):
    """A cluster of three nodes."""

    name = "cluster"

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.servers = list(cluster.nodes)
        self.url = cluster.url
        self._owners = [cluster.owner(slot) for slot in range(SLOTS)]

    def move(self, slots: list[int], *, keys_at_once: int = 100) -> None:
        """Move slots to the next node, one after the other, as `redis-cli --cluster reshard` does:
        their keys first, then the slot."""
        for slot in slots:
            source = self._owners[slot]
            target = (source + 1) % 3
            self.cluster.begin(slot, source, target)
            self._move_keys(slot, source, target, keys_at_once)
            for nth in (target, source, 3 - target - source):
                node = self.cluster.ids[target]
                self.cluster.clients[nth].execute_command("CLUSTER SETSLOT", slot, "NODE", node)
            self._owners[slot] = target

    def count(self, slot: int) -> int:
        """How many keys a slot has."""
        owner = self.cluster.clients[self._owners[slot]]
        return int(owner.execute_command("CLUSTER COUNTKEYSINSLOT", slot))

    def _move_keys(self, slot: int, source: int, target: int, keys_at_once: int) -> None:
        client, port = self.cluster.clients[source], self.cluster.nodes[target].port
        while keys := client.execute_command("CLUSTER GETKEYSINSLOT", slot, keys_at_once):
            # A key may expire before it is moved; the answer then is NOKEY.
            client.execute_command("MIGRATE", "127.0.0.1", port, "", 0, 5000, "KEYS", *keys)

    def move_atomically(self, slots: list[int]) -> None:
        """The same by Valkey 9's own command, which hands a slot over at once."""
        owned = [[slot for slot in slots if self._owners[slot] == node] for node in range(3)]
        for source, mine in enumerate(owned):
            if not mine:
                continue
            target = (source + 1) % 3
            ranges = [part for slot in mine for part in (slot, slot)]
            client = self.cluster.clients[source]
            client.execute_command(
                "CLUSTER MIGRATESLOTS", "SLOTSRANGE", *ranges, "NODE", self.cluster.ids[target]
            )
            until(lambda client=client: self._is_done(client))  # type: ignore[misc]  # mypy cannot infer a default's type
            for slot in mine:
                self._owners[slot] = target

    @staticmethod
    def _is_done(client: Any) -> bool:
        jobs = client.execute_command("CLUSTER GETSLOTMIGRATIONS")
        states = [_fields(job).get("state") for job in jobs]  # the newest first
        if "failed" in states[:1]:
            raise RuntimeError("a slot could not be moved")
        return all(state in ("success", "failed", "cancelled") for state in states)

    @staticmethod
    def some_slots(count: int) -> list[int]:
        """Slots at random; not the fraud policy's."""
        slots = random.sample(range(SLOTS), count)
        return [slot for slot in slots if slot != FRAUD_SLOT]


def _fields(told: Any) -> dict[str, str]:
    """A map as the server's protocol of either version tells it."""
    pairs = told.items() if isinstance(told, dict) else zip(told[::2], told[1::2], strict=True)
    return {_text(name): _text(value) for name, value in pairs}


def _text(told: Any) -> str:
    return told.decode() if isinstance(told, bytes) else str(told)


@contextlib.contextmanager
def deployed(name: str) -> Iterator[Any]:
    """The servers of that name; they stop in the end."""
    if name == "single":
        with Server(binary(PROGRAM)) as server:
            yield Deployment([server])
    elif name == "sentinel":
        with contextlib.ExitStack() as stack:
            yield SentinelGroup(Group(PROGRAM, stack))
    else:
        with three_nodes(PROGRAM) as cluster:
            yield ThreeNodes(cluster)
