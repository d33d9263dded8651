"""One call of a script: what is repeated, and for how long. The same for threads and event loops.

Every call is safe to repeat, so what passes within moments is waited for: a pool whose connections
are all in use, and a cluster that moves the slot of the keys from one node to another.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import NamedTuple

from redis.exceptions import NoScriptError

from otpverify.stores.redis.health import is_demoted, is_passing, store_error
from otpverify.stores.redis.scripts import Call

_SHORTEST_PAUSE_SECONDS = 0.001
_LONGEST_PAUSE_SECONDS = 0.016


class Ports(NamedTuple):
    """How to reach the server.

    Attributes:
        execute: Sends a command, and reads its reply.
        sleep: Waits, for seconds.
        leave: Lets a Sentinel's client look for the primary again.
    """

    execute: Callable[..., Awaitable[object]]
    sleep: Callable[[float], Awaitable[None]]
    leave: Callable[[], Awaitable[None]]


async def run(ports: Ports, call: Call, patience_seconds: float) -> object:
    """The reply to a call.

    Args:
        ports: How to reach the server.
        call: The script, with its keys and arguments.
        patience_seconds: How long a state that passes by itself is waited for.

    Raises:
        StoreError: The server gave no reply that can be used.
    """
    ends, pause = 0.0, _SHORTEST_PAUSE_SECONDS
    while True:
        try:
            return await _once(ports, call)
        except Exception as error:  # a server that answers nonsense raises anything in redis-py
            passing = is_passing(error)
            demoted = is_demoted(error)
            failure = store_error(error)
        now = time.monotonic()
        ends = ends or now + patience_seconds
        if not passing or now >= ends:
            break
        await ports.sleep(min(pause, ends - now))
        pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)
    if demoted:
        await ports.leave()
    # Raised out here: redis-py's exception may hold what was sent.
    raise failure


async def _once(ports: Ports, call: Call) -> object:
    keys, rest = len(call.keys), (*call.keys, *call.args)
    try:
        return await ports.execute("EVALSHA", call.script.sha, keys, *rest)
    except NoScriptError:
        # A server that restarted, failed over or was flushed; it keeps it from now on.
        return await ports.execute("EVAL", call.script.text, keys, *rest)
