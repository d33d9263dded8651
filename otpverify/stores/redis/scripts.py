"""The Lua scripts, what they are sent, and how a call is made: both Redis stores prepare a call
here, run it over ports, sync or async, and conclude from its reply with `replies`.

One `.lua` file holds one operation; its header states keys, arguments and reply. What is sent
once more because a reply got lost is recognised by its nonce, so that every call is safe to
repeat, by any caller. So what passes within moments is waited for: a pool whose connections are
all in use, and a cluster that moves the slot of the keys from one node to another.
"""

from __future__ import annotations

import hashlib
import os
import re
import struct
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib import resources
from typing import NamedTuple, TypeAlias

from redis.exceptions import NoScriptError

from otpverify.core.fraud import Request
from otpverify.core.fraud_ledger import (
    ACCOUNTS,
    Charged,
    FraudKey,
    Rules,
    amounts,
    country_name,
    counts_network,
    counts_number,
    millionths,
    names as fraud_names,
    number_name,
)
from otpverify.core.keys import Key
from otpverify.core.limits import Limit
from otpverify.core.phone import COUNTRIES
from otpverify.core.policy import Policy
from otpverify.core.results import DeliveryStatus
from otpverify.core.send_limits import policy_retention, retention_of
from otpverify.core.state import Opening
from otpverify.errors import ConfigurationError
from otpverify.stores.redis.health import is_demoted, is_passing, store_error

Value: TypeAlias = str | bytes | int

_NONCE_BYTES = 6
_SHORTEST_PAUSE_SECONDS = 0.001
_LONGEST_PAUSE_SECONDS = 0.016
_DIGEST_BYTES = 32  # what a record has room for
_TO_FOLLOW = bytes(_DIGEST_BYTES)  # in place of the digest that `place` brings
_INCLUDE = re.compile(r"^-- include (\w+)$", re.MULTILINE)
_TALLY = 5  # among the names of a ledger; a country's tally lies with its accounts
_SCOPE_LENGTH = 8  # of the tag's 22 characters: 48 bits tell the purposes of one phone apart
STATUSES = tuple(DeliveryStatus)
"""By the number that the scripts know a status by."""
WORLD_PAID, OBSERVED, NOBODY = 4, 8, 11
"""What a bill adds to a group, and to the place of an account, and what it says if nobody paid;
fraud_ledger.lua says how."""


@dataclass(frozen=True, slots=True)
class Script:
    """A script and the digest by which the server knows it."""

    text: str
    sha: str


class Call(NamedTuple):
    """One script, once, with its keys and arguments."""

    script: Script
    keys: tuple[bytes, ...]
    args: tuple[Value, ...]

    def __repr__(self) -> str:
        return f"<Call of {self.script.sha[:8]} with {len(self.keys)} keys>"


@lru_cache(maxsize=64)
def load(name: str, first_line: str = "", clock: str | None = None) -> Script:
    """A script by its file's name, with the common functions in front.

    Args:
        name: Without `.lua`.
        first_line: Such as `"#!lua"`, by which clusters of Redis 7 and Valkey check keys.
        clock: Lua that defines `now` in place of `clock.lua`, for tests that move time.
    """
    text = _read(name, clock)
    text = f"{first_line}\n{text}" if first_line else text
    return Script(text, hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest())


def _read(name: str, clock: str | None) -> str:
    """A file, with the files that it includes in their place."""
    if name == "clock" and clock is not None:
        return clock
    return _INCLUDE.sub(lambda found: _read(found[1], clock), files()[name])


@cache
def files() -> Mapping[str, str]:
    """The text of every file of `lua/`, by its name without `.lua`."""
    folder = resources.files("otpverify.stores.redis") / "lua"
    return {
        file.name.removesuffix(".lua"): file.read_text("utf-8")
        for file in folder.iterdir()
        if file.name.endswith(".lua")
    }


class Scripts:
    """The calls of all operations, for one key prefix.

    Args:
        prefix: What every key begins with.
        loader: Gives a script by its name.
    """

    def __init__(self, prefix: str, loader: Callable[[str], Script] = load) -> None:
        if not isinstance(prefix, str):
            raise ConfigurationError("prefix must be a str.")
        files()  # at the first call of an operation no file may be left to open
        self._prefix = prefix
        self._load = loader
        # A policy's hash is of all its fields; most stores see one policy alone.
        self._last: tuple[Policy | None, bytes] = (None, b"")

    def open(self, key: Key, opening: Opening, policy: Policy) -> Call:
        digest = _TO_FOLLOW if opening.digest is None else _digest(opening.digest)
        return self._call("open", key, policy, _nonce() + digest + _mode(opening))

    def place(self, key: Key, at: int, digest: bytes, policy: Policy) -> Call:
        return self._call("place", key, policy, at.to_bytes(6, "big") + _digest(digest))

    def peek(self, key: Key, policy: Policy) -> Call:
        return self._call("peek", key, policy)

    def claim(self, key: Key, policy: Policy) -> Call:
        return self._call("claim", key, policy, _nonce())

    def check(self, key: Key, digest: bytes, policy: Policy, claimed: bool = False) -> Call:
        proof_ttl = policy.proof_ttl.to_bytes(6, "big")
        added = _nonce() + _digest(digest) + proof_ttl + bytes([claimed])
        return self._call("check", key, policy, added)

    def redeem(self, key: Key) -> Call:
        return Call(self._load("redeem"), self._keys(key)[1:], (_nonce(),))

    def release(self, key: Key, at: int, undelivered: bytes | None, policy: Policy) -> Call:
        void = b"" if undelivered is None else _digest(undelivered)
        return self._call("release", key, policy, at.to_bytes(6, "big") + void)

    def report(
        self, key: Key, at: int, status: DeliveryStatus, policy: Policy, give_back: bool = True
    ) -> Call:
        added = at.to_bytes(6, "big") + bytes([STATUSES.index(status), give_back])
        return self._call("report", key, policy, added)

    def status(self, key: Key, policy: Policy) -> Call:
        return self._call("status", key, policy)

    def cancel(self, key: Key) -> Call:
        return Call(self._load("cancel"), self._keys(key)[1:], ())

    def inspect(self, phone: str) -> Call:
        return Call(self._load("inspect"), (self._phone(phone),), ())

    def inspect_challenges(self, phone: str, names: Sequence[str]) -> Call:
        keys = tuple(self._phone(phone) + b":" + name.encode() for name in names)
        return Call(self._load("inspect_challenges"), keys, ())

    def unlock(self, phone: str, scope: str | None) -> Call:
        of = b"" if scope is None else scope[:_SCOPE_LENGTH].encode()
        return Call(self._load("unlock"), (self._phone(phone),), (of,))

    def reserve(self, counter: str, limits: tuple[Limit, ...]) -> Call:
        return Call(self._load("reserve"), (self._counter(counter),), (_counted(limits), _nonce()))

    def give_back(self, counter: str, at: int) -> Call:
        return Call(self._load("give_back"), (self._counter(counter),), (at,))

    def charge(self, key: FraudKey, request: Request, rules: Rules) -> Call:
        number = counts_number(key, rules) and not request.concealed
        known = request.known and not request.concealed
        flags = bytes([known, request.human, request.forced, request.observed, number])
        numbers = struct.pack(">ddd", request.price, rules.rates.at_risk, millionths(request.price))
        argument = numbers + rules.remember.to_bytes(6, "big") + flags
        for cap, taken in amounts(rules, request.price):
            argument += struct.pack(">dd", taken, cap.amount) + cap.window.to_bytes(6, "big")
        if counts_network(key, rules):
            argument += _counted(rules.sends_per_ip)
        return Call(self._load("fraud_charge"), self._ledger(key, rules), (argument,))

    def credit(self, key: FraudKey, rules: Rules) -> Call:
        trusted = rules.trusted if counts_number(key, rules) else 0
        numbers = struct.pack(">dd", rules.rates.at_risk, 1 / rules.rates.conversion)
        argument = numbers + trusted.to_bytes(6, "big")
        # Nothing of the network or the caps comes back.
        keys = self._ledger(key, rules)
        return Call(self._load("fraud_credit"), (*keys[:6], keys[-1]), (argument,))

    def refund(self, key: FraudKey, charged: Charged, price: float, rules: Rules) -> Call:
        argument = struct.pack(">ddd", price, rules.rates.at_risk, millionths(price))
        argument += _packed(((charged.at, 6), (charged.network or 0, 6), (charged.bill, 6)))
        argument += bytes([_payer(charged), charged.raised])
        for cap, taken in amounts(rules, price):
            argument += struct.pack(">d", taken) + cap.window.to_bytes(6, "big")
        return Call(self._load("fraud_refund"), self._ledger(key, rules), (argument,))

    def known(self, number: str) -> Call:
        return Call(self._load("fraud_known"), (self._fraud(number_name(number)),), ())

    def unlock_number(self, number: str) -> Call:
        return Call(self._load("fraud_unlock"), (self._fraud(number_name(number)),), ())

    def traffic(self, hours: int) -> Call:
        keys = [
            self._fraud(name)
            for country in COUNTRIES
            for name in (country_name(country), _past_name(country))
        ]
        return Call(self._load("traffic"), tuple(keys), (hours,))

    def _ledger(self, key: FraudKey, rules: Rules) -> tuple[bytes, ...]:
        nonce = self._fraud("n") + _nonce()
        names = [*fraud_names(key, rules), _past_name(key.country)]
        del names[_TALLY]
        return (nonce, *map(self._fraud, names))

    def _fraud(self, name: str) -> bytes:
        # One slot for all: one script answers for everything that a message concerns.
        return f"{self._prefix}:{{f}}:{name}".encode()

    def _call(self, name: str, key: Key, policy: Policy, added: bytes = b"") -> Call:
        # One argument for all: redis-py takes longer over each than the script over unpacking.
        argument = key.scope[:_SCOPE_LENGTH].encode() + self._numbers(policy) + added
        return Call(self._load(name), self._keys(key), (argument,))

    def _numbers(self, policy: Policy) -> bytes:
        last, numbers = self._last
        if last is not policy:
            numbers = _numbers(policy)
            self._last = policy, numbers
        return numbers

    def _keys(self, key: Key) -> tuple[bytes, bytes]:
        # The braces are a hash tag: all keys of a phone lie in one slot of a cluster. Bytes, so
        # that a client's encoding makes no other keys of them.
        phone = self._phone(key.phone)
        return phone, phone + b":" + key.challenge.encode()

    def _phone(self, phone: str) -> bytes:
        return f"{self._prefix}:{{{phone}}}".encode()

    def _counter(self, counter: str) -> bytes:
        return f"{self._prefix}:ip:{{{counter}}}".encode()


def _mode(opening: Opening) -> bytes:
    """What is opened: a further code, a decoy, a concealed challenge or an ordinary one."""
    if not opening.new:
        return b"R"
    return b"D" if opening.decoy else b"C" if opening.concealed else b"N"


def _digest(digest: bytes) -> bytes:
    """A digest as a record holds it. A hasher of someone's own may give any length, and any
    bytes."""
    as_it_is = len(digest) == _DIGEST_BYTES and digest != _TO_FOLLOW
    return digest if as_it_is else hashlib.sha256(digest).digest()


def _past_name(country: str) -> str:
    """Of the hours of a tally that are over, which a message need not read."""
    return f"h{country}"


def _payer(charged: Charged) -> int:
    """Who paid, as fraud_ledger.lua writes it."""
    if charged.would_refuse is not None:
        return OBSERVED + ACCOUNTS.index(charged.would_refuse)
    if charged.paid is None:
        return NOBODY
    return charged.paid.group + WORLD_PAID * charged.paid.world


def _nonce() -> bytes:
    return os.urandom(_NONCE_BYTES)


@lru_cache(maxsize=64)
def _numbers(policy: Policy) -> bytes:
    """The policy as the scripts read it; common.lua says how."""
    failures, retention = policy.failures_per_phone, policy_retention(policy)
    streak = policy.consecutive_failures
    numbers = (
        (policy.ttl, 6),
        (policy.max_attempts, 4),
        (policy.live_codes, 4),
        (policy.cooldown, 6),
        (failures.count if failures else 0, 4),
        (failures.window if failures else 0, 6),
        (streak.count if streak else 0, 4),
        (streak.window if streak else 0, 6),
        (retention.window, 6),
        (retention.count, 4),
        (len(policy.sends_per_phone), 2),
    )
    return _packed(numbers) + _windows(policy.sends_per_phone)


@lru_cache(maxsize=64)
def _counted(limits: tuple[Limit, ...]) -> bytes:
    """A counter's limits as `reserve` reads them."""
    retention = retention_of(*limits)
    return _packed(((retention.window, 6), (retention.count, 4))) + _windows(limits)


def _windows(limits: tuple[Limit, ...]) -> bytes:
    return b"".join(_packed(((limit.count, 4), (limit.window, 6))) for limit in limits)


def _packed(numbers: Iterable[tuple[int, int]]) -> bytes:
    """Numbers and their sizes in bytes; the policy's bounds see that they fit."""
    return b"".join(number.to_bytes(size, "big") for number, size in numbers)


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
