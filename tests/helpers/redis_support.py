"""What the tests of the Redis stores share: servers that start once, and time that is moved."""

from __future__ import annotations

import hashlib
import itertools
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from redis import Redis, RedisCluster
from redis.asyncio import Redis as AsyncRedis, RedisCluster as AsyncRedisCluster
from servers import Server, binaries, binary
from support import LONG

from otpverify import AsyncRedisStore, MemoryStore, RedisStore, SqliteStore
from otpverify.protocols import Clock
from otpverify.stores.redis import scripts as redis_scripts
from otpverify.stores.redis.scripts import Script, Scripts

_EVERY = ("valkey9", "redis6", "redis7")
NAMES = _EVERY if LONG else _EVERY[:2]
PLACES = (
    [(name, mode) for name in NAMES for mode in ("standalone", "cluster")]
    if LONG
    else [("valkey9", "standalone"), ("redis6", "cluster")]
)
"""Where a store's tests run: on every server of both kinds; in the short form, on the newest one
and on a cluster of the oldest."""
_count = itertools.count()

# Time stands still at `at`, and keys expire by it: each value carries its deadline, and is not
# there any more when that has come. The server itself must not expire it sooner.
_MOVED_TIME = """
local now, at, server = {at}, {at}, redis
local function due_of(raw)
  return raw and struct.unpack('>I6', raw) or 0
end
local function put(key, value, duration)
  local due = duration and at + duration or due_of(server.call('GET', key))
  assert(due > at and due % 1 == 0, 'a duration is a whole number above 0')
  return server.call('SET', key, struct.pack('>I6', due) .. value, 'PX', 3600000)
end
local redis = {{call = function(command, key, ...)
  local given = {{...}}
  local declared = false
  for _, one in ipairs(KEYS) do
    declared = declared or one == key
  end
  assert(declared, 'a key that was not declared')
  if command == 'MGET' then
    for place, one in ipairs(given) do
      assert(one == KEYS[place + 1], 'a key that was not declared')
    end
    local found = server.call('MGET', key, unpack(given))
    for place = 1, #given + 1 do
      found[place] = due_of(found[place]) > at and found[place]:sub(7)
    end
    return found
  end
  if command == 'GET' then
    local raw = server.call('GET', key)
    return due_of(raw) > at and raw:sub(7)
  elseif command == 'EXISTS' then
    local there = 0
    for place, one in ipairs({{key, unpack(given)}}) do
      assert(one == KEYS[place + 1], 'a key that was not declared')
      there = there + (due_of(server.call('GET', one)) > at and 1 or 0)
    end
    return there
  elseif command == 'PSETEX' then
    return put(key, given[2], tonumber(given[1]))
  elseif command == 'SET' and given[2] == 'PX' then
    return put(key, given[1], tonumber(given[3]))
  elseif command == 'SET' and given[2] == 'KEEPTTL' then
    return put(key, given[1])
  end
  assert(command == 'DEL', 'no such command in moved time: ' .. command)
  return server.call('DEL', key)
end}}
"""


def load_at(clock: Clock, *, declared: bool) -> Callable[[str], Script]:
    """A loader of scripts whose time is `clock`'s.

    Args:
        clock: Seconds, as `time.time`.
        declared: Let the server check that scripts touch no key of another slot than that of the
            keys that they declare.
    """

    def loader(name: str) -> Script:
        moved = _MOVED_TIME.format(at=int(clock() * 1000))
        first = "#!lua" if declared else ""
        script = redis_scripts.load(name, first, moved)
        if moved in script.text:
            return script
        # One that needs no time is watched, too.
        text = f"{first}\n{moved}\n{script.text.removeprefix(first)}".lstrip()
        return Script(text, hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest())

    return loader


_servers: dict[tuple[str, str], Future[Server]] = {}
_clients: dict[Server, Redis | RedisCluster] = {}


def _start(name: str, mode: str) -> Server:
    server = Server(binaries()[name], cluster=mode == "cluster")
    server.start()
    return server


def _started(name: str, mode: str) -> Server:
    """The one server of its kind. Clusters need two seconds to come up, so all that the long form
    needs come at once."""
    if (name, mode) not in _servers:
        with ThreadPoolExecutor() as pool:
            for one in binaries() if LONG and mode == "cluster" else [name]:
                _servers[one, mode] = pool.submit(_start, one, mode)
    return _servers[name, mode].result()


class Place:
    """A server of one kind in one mode, started when it is first asked for.

    Args:
        name: One of `NAMES`.
        mode: `"standalone"`, or `"cluster"` for a cluster of one node.
    """

    def __init__(self, name: str, mode: str = "standalone") -> None:
        binary(name)  # or the test is skipped
        self.cluster = mode == "cluster"
        self.server = _started(name, mode)
        # Redis 6.2 does not know such a first line.
        self.declared = self.cluster and name != "redis6"

    def client(self) -> Redis | RedisCluster:
        """A client of the kind that the server needs."""
        if self.cluster:
            return RedisCluster("127.0.0.1", self.server.port, socket_timeout=5)
        return self.server.client()

    def async_client(self) -> AsyncRedis | AsyncRedisCluster:
        """Its counterpart for event loops."""
        kind = AsyncRedisCluster if self.cluster else AsyncRedis
        return kind(host="127.0.0.1", port=self.server.port, socket_timeout=5)

    def scripts(self, clock: Clock) -> Scripts:
        """Scripts that live at the clock's time, under a new prefix."""
        return Scripts(f"test{next(_count)}", load_at(clock, declared=self.declared))

    def store(self, clock: Clock) -> RedisStore:
        """An empty store whose time is the clock's."""
        store = RedisStore(_shared_client(self))
        store.scripts = self.scripts(clock)
        return store

    def async_store(self, clock: Clock) -> AsyncRedisStore:
        """Its counterpart for event loops."""
        store = AsyncRedisStore(self.async_client())
        store.scripts = self.scripts(clock)
        return store

    def tidy(self) -> None:
        """Now and then, forget all data and all scripts; each instant has scripts of its own."""
        if next(_count) % 20 == 0:
            with self.server.client() as client:
                client.flushall()
                client.script_flush()


def _shared_client(place: Place) -> Redis | RedisCluster:
    """One for all tests: a client of a cluster begins by asking for its layout."""
    if place.server not in _clients:
        _clients[place.server] = place.client()
    return _clients[place.server]


@pytest.fixture(scope="session", autouse=True)
def stop_servers() -> Iterator[None]:
    """Imported by every module that uses a `Place`."""
    yield
    for client in _clients.values():
        client.close()
    _clients.clear()
    for server in _servers.values():
        if not server.exception():
            server.result().stop()
    _servers.clear()


@contextmanager
def open_store(kind: str, folder: Path) -> Iterator[Any]:
    """A synchronous store: `"memory"`, `"sqlite"` (a file in the folder) or `"redis"` (a real
    server)."""
    if kind == "redis":
        place = Place("valkey9")
        yield place.store(lambda: time.time())  # looked up late: the clock may stand still
        place.tidy()
        return
    if kind == "memory":
        yield MemoryStore()
        return
    with SqliteStore(folder / "codes.db") as store:
        yield store
