"""How an engine is composed of the parts that the caller gave."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Iterable, Sequence
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any, TypeAlias

from otpverify._per_process import PerProcess, thread_pool
from otpverify._sync import in_thread, inline, run_sync, straight, suspends, to_its_end
from otpverify.core.keys import Keyring
from otpverify.core.phone import check_region, load_plans
from otpverify.core.policy import Policy
from otpverify.core.results import Event
from otpverify.core.secret_strength import ADVICE, SECRET_BYTES, Secrets, read_secrets
from otpverify.engine.issuing import Issuer
from otpverify.engine.operations import Engine
from otpverify.engine.ports import Ports
from otpverify.errors import ConfigurationError
from otpverify.protocols import AsyncSender, AsyncStore, Guard, Hasher, Renderer, Sender, Store

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from otpverify.core.fraud_policy import FraudPolicy
    from otpverify.engine.fraud import Protection

Lift: TypeAlias = Callable[[Callable[..., Any]], Callable[..., Any]]

_STORE_OPERATIONS = (
    "open",
    "place",
    "peek",
    "claim",
    "check",
    "redeem",
    "release",
    "report",
    "status",
    "cancel",
    "inspect",
    "unlock",
    "reserve",
    "give_back",
)
_FRAUD_OPERATIONS = ("charge", "credit", "refund", "known", "unlock_number", "traffic")
_IO_THREADS = 32


def compose(
    make_ports: Callable[..., Ports],
    sender: Sender | AsyncSender,
    store: Store | AsyncStore | None,
    policy: Policy | None,
    secret: Secrets | None,
    hasher: Hasher | None,
    messages: Renderer | None,
    guards: Sequence[Guard],
    region: str | None,
    on_event: Callable[[Event], object] | None,
    fraud: FraudPolicy | None,
) -> Engine:
    """A engine, its parts checked against each other.

    Raises:
        ConfigurationError: They do not fit together.
    """
    load_plans()
    store = _default_store() if store is None else store
    hasher = _default_hasher() if hasher is None else hasher
    _require("sender", sender, "send")
    _require("store", store, *_STORE_OPERATIONS)
    _require("hasher", hasher, "digest")
    if not isinstance(guards, Iterable):
        raise ConfigurationError("guards must be a list of guards.")
    guards = tuple(guards)
    for guard in guards:
        _require("guard", guard, "refuse")
        _require_direct(guard.refuse)
        if hasattr(guard, "allows"):
            _require("guard", guard, "allows")
            _require_direct(guard.allows)
    messages = _default_messages() if messages is None else messages
    _require("renderer", messages, "render")
    _require_direct(messages.render)
    if policy is not None and not isinstance(policy, Policy):
        raise ConfigurationError("policy must be a Policy(...).")
    if on_event is not None:
        if not callable(on_event):
            raise ConfigurationError("on_event must be a function that takes an Event.")
        _require_direct(on_event)
        from otpverify.sms import gsm7  # noqa: F401 - for the events of the first message
    _require_direct(hasher.digest)
    ports = make_ports(sender, store, hasher, messages, guards)
    policy = Policy() if policy is None else policy
    keyring = _keyring(secret, store, hasher)
    issuer = Issuer(
        ports=ports,
        costly_hash=hasher.costly,
        policy=policy,
        keyring=keyring,
        fraud=_protection(fraud, store, policy, keyring, sender),
    )
    return Engine(
        issuer=issuer,
        region=check_region(region),
        on_event=on_event,
    )


def sync_ports(
    sender: Sender, store: Store, hasher: Hasher, messages: Renderer, guards: Sequence[Guard]
) -> Ports:
    """Ports that never suspend."""
    _require_sync(sender, sender.send)
    _require_sync(store, store.open)
    return _ports(sender, inline, store, inline, hasher, inline, messages, guards, straight)


def async_ports(
    sender: AsyncSender | Sender,
    store: AsyncStore | Store,
    hasher: Hasher,
    messages: Renderer,
    guards: Sequence[Guard],
) -> Ports:
    """Ports for an event loop: what could block it runs in threads, of a bounded number, and
    apart, so that a slow gateway holds up no check."""
    lift_send = _lift(sender.send, brief=False, threads=_IO_THREADS)
    lift_store = _lift(store.open, brief=store.process_local, threads=_IO_THREADS)
    lift_hash = _lift(hasher.digest, brief=not hasher.costly, threads=os.cpu_count() or 1)
    lifts = (sender, lift_send, store, lift_store, hasher, lift_hash)
    return _ports(*lifts, messages, guards, to_its_end)


def _ports(
    sender: Any,
    lift_send: Lift,
    store: Any,
    lift_store: Lift,
    hasher: Hasher,
    lift_hash: Lift,
    messages: Renderer,
    guards: Sequence[Guard],
    runs_to_its_end: Callable[..., Any],
) -> Ports:
    operations: dict[str, Any] = {
        name: lift_store(getattr(store, name)) for name in _STORE_OPERATIONS
    }
    for name in _FRAUD_OPERATIONS:
        operations[name] = lift_store(getattr(store, name, _not_offered))
    return Ports(
        digest=lift_hash(hasher.digest),
        render=inline(messages.render),
        to_its_end=runs_to_its_end,
        guards=tuple(inline(guard.refuse) for guard in guards),
        allows=tuple(inline(guard.allows) for guard in guards if hasattr(guard, "allows")),
        **_sending(sender, lift_send),
        **operations,
    )


def _not_offered(*_args: object) -> None:
    """What a store does not offer, and what is called with a `FraudPolicy` only."""


def _sending(sender: Any, lift: Lift) -> dict[str, Any]:
    """The ports that a sender gives."""
    from otpverify.gateways.delivery_reports import report_reader  # gateways' clients load it

    return {
        "send": lift(sender.send),
        "takes_reports": bool(getattr(sender, "takes_reports", False)),
        "read_report": report_reader(sender),
    }


def with_sender(engine: Engine, sender: Sender | AsyncSender, *, asynchronous: bool) -> Engine:
    """An engine that delivers with another sender and shares everything else.

    Raises:
        ConfigurationError: It is not a sender, or an asynchronous one for a synchronous engine.
    """
    _require("sender", sender, "send")
    if not asynchronous:
        _require_sync(sender, sender.send)
    lift = _lift(sender.send, brief=False, threads=_IO_THREADS) if asynchronous else inline
    ports = replace(engine.issuer.ports, **_sending(sender, lift))
    return replace(engine, issuer=replace(engine.issuer, ports=ports))


def in_threads(engine: Engine) -> Engine:
    """The asynchronous counterpart of a synchronous engine: everything that may block runs in
    threads, sends apart from the rest, and everything else is shared."""
    ports = engine.issuer.ports
    sends, others = (thread_pool(_IO_THREADS) for _ in range(2))
    changed: dict[str, Any] = {"to_its_end": to_its_end}
    for name in (field.name for field in fields(ports)):
        port = getattr(ports, name)
        if suspends(port) and name not in ("render", "to_its_end"):  # renderers wait for nothing
            changed[name] = _threaded(port, sends if name == "send" else others)
    ports = replace(ports, **changed)
    return replace(engine, issuer=replace(engine.issuer, ports=ports))


def _threaded(port: Callable[..., Any], executors: PerProcess[Executor]) -> Callable[..., Any]:
    """A port that never suspends, as one that runs in a thread."""

    def call(*args: Any, **kwargs: Any) -> Any:
        return run_sync(port(*args, **kwargs))

    return in_thread(call, executors.get)


def _lift(example: Callable[..., object], *, brief: bool, threads: int) -> Lift:
    """How functions like `example` become ports: as they are, inline, or in threads."""
    if suspends(example):
        return lambda function: function
    if brief:
        return inline
    executors = thread_pool(threads)
    return lambda function: in_thread(function, executors.get)


def _default_store() -> Store:
    from otpverify.stores.memory import MemoryStore  # programs with a store of their own skip it

    return MemoryStore()


def _default_hasher() -> Hasher:
    from otpverify.hashing import Argon2Hasher  # it loads Argon2

    return Argon2Hasher()


def _default_messages() -> Renderer:
    from otpverify.sms.messages import Messages  # programs with texts of their own skip it

    return Messages()


def _keyring(secret: Secrets | None, store: Store | AsyncStore, hasher: Hasher) -> Keyring:
    if secret is None:
        require_no_secret(store, hasher)
        return Keyring([secrets.token_bytes(SECRET_BYTES)])
    return Keyring(read_secrets(secret))


def _protection(
    fraud: FraudPolicy | None,
    store: Store | AsyncStore,
    policy: Policy,
    keyring: Keyring,
    sender: object,
) -> Protection | None:
    if fraud is None:
        return None
    # Programs without a FraudPolicy skip all that it needs.
    from otpverify.core.fraud_policy import FraudPolicy
    from otpverify.core.prices import Prices
    from otpverify.engine.fraud import Protection

    if not isinstance(fraud, FraudPolicy):
        raise ConfigurationError("fraud must be a FraudPolicy(...).")
    _require("store that fraud=... can use", store, *_FRAUD_OPERATIONS)
    prices = None if fraud.spend is None else fraud.spend.prices
    if prices is None:
        prices = getattr(sender, "prices", None)
    if prices is None:
        from otpverify.gateways.smspm.prices import published_prices  # needed here alone

        prices = published_prices()
    if not isinstance(prices, Prices):
        raise ConfigurationError(f"{type(sender).__name__}.prices must be Prices(...), or None.")
    return Protection(policy=fraud, prices=prices, rules=fraud.rules(policy), keyring=keyring)


def require_no_secret(store: Store | AsyncStore, hasher: Hasher) -> None:
    """Check that a verifier may draw its own secret.

    Raises:
        ConfigurationError: The store or the hasher needs one that is the same elsewhere.
    """
    if not store.process_local:
        raise ConfigurationError(
            f"{type(store).__name__} outlives this process, so it needs secret=..., the same "
            f"in every process. {ADVICE}"
        )
    if hasher.needs_secret:
        raise ConfigurationError(
            f"{type(hasher).__name__} protects codes by the secret alone, so it needs "
            f"secret=.... {ADVICE}"
        )


def _require(what: str, part: object, *names: str) -> None:
    if isinstance(part, type):
        raise ConfigurationError(f"Pass an instance: {part.__name__}(...), not the class.")
    missing = [name for name in names if not callable(getattr(part, name, None))]
    if missing:
        raise ConfigurationError(
            f"{type(part).__name__} is not a {what}: it has no {', '.join(missing)}()."
        )


def _require_sync(part: object, function: Callable[..., object]) -> None:
    if suspends(function):
        raise ConfigurationError(
            f"{type(part).__name__} is asynchronous; use AsyncVerifier, or a synchronous one."
        )


def _require_direct(function: Callable[..., object]) -> None:
    if suspends(function):
        name = getattr(function, "__qualname__", type(function).__name__)
        raise ConfigurationError(f"{name}() must not be asynchronous.")
