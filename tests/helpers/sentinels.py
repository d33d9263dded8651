"""A Sentinel group: a primary, a replica and a sentinel."""

from __future__ import annotations

import contextlib

import redis
from servers import Server, binary, free_port, until

SERVICE = "codes"
DOWN_AFTER = 0.2  # until a sentinel gives a primary up


class Group:
    """A primary, a replica that is in step, and a sentinel that watches them.

    Args:
        kind: Which server.
        stack: Stops them in the end.
    """

    def __init__(self, kind: str, stack: contextlib.ExitStack) -> None:
        at_once = {"repl-diskless-sync-delay": "0"}
        program = binary(kind)
        self.primary = stack.enter_context(Server(program, options=at_once))
        self.replica = stack.enter_context(Server(program, options=at_once))
        with self.replica.client() as client:
            client.replicaof("127.0.0.1", self.primary.port)
            until(lambda: client.info("replication")["master_link_status"] == "up")
        config = (
            f"sentinel monitor {SERVICE} 127.0.0.1 {self.primary.port} 1\n"
            f"sentinel down-after-milliseconds {SERVICE} {DOWN_AFTER * 1000:.0f}\n"
            f"sentinel failover-timeout {SERVICE} 2000\n"
        )
        self.sentinel = stack.enter_context(Server(program, sentinel=True, config=config))
        self.admin = stack.enter_context(self.sentinel.client(decode_responses=True))
        until(lambda: len(self.admin.execute_command("SENTINEL", "REPLICAS", SERVICE)) == 1)

    @property
    def url(self) -> str:
        """The group's address, with a sentinel in front that is down."""
        hosts = f"127.0.0.1:{free_port()},127.0.0.1:{self.sentinel.port}"
        return f"redis+sentinel://{hosts}/{SERVICE}"

    def replicated(self) -> None:
        """Wait until the replica has all that was written."""
        with self.primary.client() as client:
            assert client.wait(1, 5_000) == 1

    def stays(self) -> None:
        """Let the sentinel give nobody up any more, however slow this machine is."""
        patience = ("down-after-milliseconds", "60000")
        self.admin.execute_command("SENTINEL", "SET", SERVICE, *patience)

    def failed_over(self) -> bool:
        """Whether the replica is the primary now, and the sentinel says so."""
        state = self.admin.sentinel_masters()[SERVICE]
        return role(self.replica) == "master" and state["port"] == self.replica.port


def role(server: Server) -> str:
    """`"master"` or `"slave"`."""
    with server.client() as client:
        return str(client.info("replication")["role"])


def ask(group: Group, *how: str) -> None:
    """Ask the sentinel for a failover."""

    def accepted() -> bool:
        with contextlib.suppress(redis.ResponseError):  # it does not trust the replica yet
            return bool(group.admin.execute_command("SENTINEL", "FAILOVER", SERVICE, *how))
        return False

    until(accepted)
