"""The verifiers of this process, made when they are first asked for."""

from __future__ import annotations

import os
import secrets
import threading
from functools import cached_property
from inspect import iscoroutinefunction
from typing import Any, TypeVar

from django.core.signals import setting_changed
from django.http import HttpRequest

from otpverify import AsyncVerifier, ConfigurationError, MemoryStore, Verifier
from otpverify.integrations.django import conf
from otpverify.integrations.web.background import BackgroundSender

V = TypeVar("V", Verifier, AsyncVerifier)


class Parts:
    """What the settings describe, each made once; all verifiers share store and secret."""

    def __init__(self) -> None:
        self.rules = conf.rules()
        self.process = os.getpid()
        self._lock = threading.RLock()
        self._made: dict[str, Any] = {}

    @cached_property
    def sender(self) -> Any:
        """The sender."""
        own = conf.part("SENDER", "send")
        if own is not None:
            return own
        from otpverify import SmspmClient  # loads requests, which those with another sender lack

        client = SmspmClient.from_env(conf.environ())
        self._made["client"] = client
        return client

    @cached_property
    def behind(self) -> BackgroundSender:
        """The same, behind the reply's back."""
        made = BackgroundSender(self.sender)
        self._made["behind"] = made
        return made

    @cached_property
    def store(self) -> Any:
        """The store of the synchronous verifiers."""
        own = conf.part("STORE", "open")
        if own is not None:
            return own
        url, path = conf.option("REDIS_URL"), conf.option("SQLITE_PATH")
        if url and path:
            raise ConfigurationError(
                "REDIS_URL and SQLITE_PATH are both set; there is one store. Leave one of them out."
            )
        if url:
            from otpverify import RedisStore

            self._made["store"] = RedisStore.from_url(url)
        elif path:
            from otpverify import SqliteStore

            self._made["store"] = SqliteStore(path)
        else:
            return MemoryStore()
        return self._made["store"]

    @cached_property
    def async_store(self) -> Any:
        """The store of the asynchronous ones: the same, or its twin on the same server."""
        url = conf.option("REDIS_URL")
        if conf.option("STORE") is not None or not url:
            return self.store
        from otpverify import AsyncRedisStore

        return AsyncRedisStore.from_url(url)

    @cached_property
    def secret(self) -> Any:
        """The secret; one of this process where the store is its own, too."""
        found = conf.option("SECRET")
        if found is None and getattr(self.store, "process_local", False):
            return secrets.token_bytes(32)
        return found

    def verifier(self, kind: type[V], *, background: bool) -> V:
        """A verifier of this colour."""
        name = f"{kind.__name__} {background}"
        with self._lock:
            if name not in self._made:
                store = self.store if kind is Verifier else self.async_store
                self._made[name] = kind(
                    self.behind if background else self.sender,
                    store=store,
                    secret=self.secret,
                    **self.rules.arguments(),
                )
            made: V = self._made[name]
            return made

    def verify(self) -> None:
        """Put them together, and close them.

        Raises:
            ConfigurationError: They do not fit together.
        """
        awaits = iscoroutinefunction(getattr(self.sender, "send", None))
        try:
            if awaits:  # for asynchronous views alone
                self.verifier(AsyncVerifier, background=False)
            else:
                self.verifier(Verifier, background=False)
        finally:
            self.close()

    def close(self) -> None:
        """Close what was made here; what the settings hold is its owner's."""
        for name in ("behind", "client", "store"):
            if name in self._made:
                self._made[name].close()


_lock = threading.Lock()
_parts: Parts | None = None


def get_verifier(*, background: bool = False) -> Verifier:
    """The verifier of this process, as the settings describe it.

    Args:
        background: One that hands messages to threads, for flows in which the time that a reply
            takes must not tell a known number from an unknown one.

    Raises:
        ConfigurationError: The settings make no sense; `manage.py check` says more.
    """
    return _here().verifier(Verifier, background=background)


def get_async_verifier(*, background: bool = False) -> AsyncVerifier:
    """The asynchronous verifier of this process, as `get_verifier`. A sender that blocks runs in
    threads."""
    return _here().verifier(AsyncVerifier, background=background)


def forget(**changed: Any) -> None:
    """Make them anew when they are next asked for: the settings changed."""
    global _parts
    if changed.get("setting", conf.NAME) == conf.NAME:
        with _lock:
            old, _parts = _parts, None
        if old is not None and old.process == os.getpid():
            old.close()


def _here() -> Parts:
    global _parts
    with _lock:
        # A fork has no threads of its parent's, which would never send what they are given.
        if _parts is None or _parts.process != os.getpid():
            _parts = Parts()
        return _parts


setting_changed.connect(forget, dispatch_uid="otpverify")


def verifier_for(request: HttpRequest, *, background: bool = False) -> Verifier:
    """The verifier for a request: that of this process. The views' hook `get_verifier` calls it.

    Args:
        request: The request.
        background: As for `get_verifier`.

    Raises:
        ConfigurationError: As `get_verifier`.
    """
    return get_verifier(background=background)


def averifier_for(request: HttpRequest, *, background: bool = False) -> AsyncVerifier:
    """The asynchronous verifier for a request, as `verifier_for`."""
    return get_async_verifier(background=background)
