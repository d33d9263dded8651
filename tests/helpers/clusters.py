"""A cluster of three nodes."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from servers import Server, binary, until


class Node(Server):
    """One of several nodes: it takes no slots by itself."""

    def _take_all_slots(self, client: Any) -> None:
        raise NotImplementedError

    def _wait(self) -> None:
        with self.client() as client:
            until(lambda: answers(client))


def answers(client: Any) -> bool:
    with contextlib.suppress(Exception):
        return bool(client.ping())
    return False


class Cluster:
    """Three nodes; each has a third of the slots."""

    def __init__(self, nodes: list[Node]) -> None:
        self.nodes = nodes
        self.clients: list[Any] = [node.client() for node in nodes]
        for client in self.clients:
            # redis-py makes text of the names, and so other names of those with any bytes in them.
            client.response_callbacks.pop("CLUSTER GETKEYSINSLOT")
        self.ids = [client.cluster("myid").decode() for client in self.clients]
        for nth, client in enumerate(self.clients):
            first, last = nth * 16384 // 3, (nth + 1) * 16384 // 3 - 1
            client.execute_command("CLUSTER ADDSLOTS", *range(first, last + 1))
            client.execute_command("CLUSTER SET-CONFIG-EPOCH", nth + 1)
        for node in nodes[1:]:
            self.clients[0].execute_command("CLUSTER MEET", "127.0.0.1", node.port)
        until(lambda: all(one.cluster("info")["cluster_state"] == "ok" for one in self.clients))
        until(
            lambda: all(one.cluster("info")["cluster_known_nodes"] == "3" for one in self.clients)
        )

    @property
    def url(self) -> str:
        return f"redis+cluster://127.0.0.1:{self.nodes[0].port}"

    def owner(self, slot: int) -> int:
        return slot * 3 // 16384

    def begin(self, slot: int, source: int, target: int) -> None:
        """From now on, new keys of the slot belong to the target."""
        self.clients[target].execute_command("CLUSTER SETSLOT", slot, "IMPORTING", self.ids[source])
        self.clients[source].execute_command("CLUSTER SETSLOT", slot, "MIGRATING", self.ids[target])

    def end(self, slot: int, source: int, target: int) -> None:
        """Move the keys, one by one, and then the slot."""
        while keys := self.clients[source].execute_command("CLUSTER GETKEYSINSLOT", slot, 1):
            port = self.nodes[target].port
            self.clients[source].execute_command("MIGRATE", "127.0.0.1", port, keys[0], 0, 5000)
        for nth in (target, source, 3 - target - source):
            self.clients[nth].execute_command("CLUSTER SETSLOT", slot, "NODE", self.ids[target])


@contextlib.contextmanager
def three_nodes(name: str) -> Iterator[Cluster]:
    """A cluster of three servers of that name; they stop in the end."""
    with contextlib.ExitStack() as stack:
        nodes = [stack.enter_context(Node(binary(name), cluster=True)) for _ in range(3)]
        made = Cluster(nodes)
        yield made
        for client in made.clients:
            client.close()
