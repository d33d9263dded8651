"""The settings of a verifier: one reading and one builder for all integrations.

`settings_table` has the table: add a row there for a new setting.

A source is the environment, Flask's `app.config` or Django's dict `OTPVERIFY`. A name that a
source lacks, or whose value is `None`, is looked up in the environment. An empty value means that
the setting is not set, and the environment is not asked. White space around a text is ignored.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from importlib.util import find_spec
from typing import Any, Final

from otpverify import settings_table as values
from otpverify._per_process import process
from otpverify.core.secret_strength import SECRET_BYTES
from otpverify.errors import ConfigurationError
from otpverify.settings_table import SETTINGS
from otpverify.wiring import require_no_secret

_PREFIXES: Final = ("OTPVERIFY_", "SMSPM_")
_NEAR: Final = 0.7


@dataclass(frozen=True, slots=True)
class Source:
    """Where settings are written, and how a person writes their names there.

    Attributes:
        written: How a name appears in a message, with `{}` for the name.
        short: Whether names are short.
        more: Further names, which the integration reads itself.
        closed: Whether every name belongs to the settings. If not, only a name that resembles a
            setting's is refused.
    """

    written: str = "{}"
    short: bool = False
    more: frozenset[str] = frozenset()
    closed: bool = False

    def name(self, key: str) -> str:
        """The name of a setting here, by its short name."""
        return key if self.short or key not in SETTINGS else SETTINGS[key].name

    def spell(self, key: str) -> str:
        """A setting as a person writes it here."""
        return self.written.format(self.name(key))

    @property
    def names(self) -> frozenset[str]:
        """All names that are known here."""
        return self.more | {self.name(key) for key in SETTINGS}


ENVIRONMENT: Final = Source()


@dataclass(frozen=True, slots=True, repr=False)
class Settings:
    """What a source says, and the environment where the source says nothing.

    Args:
        given: The source's mapping; `None` for the environment alone.
        source: How the source writes names.
        environ: The environment; `os.environ` if `None`.
    """

    given: Mapping[str, Any] | None = None
    source: Source = ENVIRONMENT
    environ: Mapping[str, str] | None = None
    _seen: dict[str, Any] = field(default_factory=dict, init=False)

    def _find(self, key: str) -> tuple[Any, str]:
        """A raw value, `None` if it is not set; and the setting as it is written there."""
        found = (self.given or {}).get(self.source.name(key))
        if found is None and SETTINGS[key].variable:
            environ = os.environ if self.environ is None else self.environ
            found = environ.get(ENVIRONMENT.name(key))
            if found is not None and found.strip():
                return found.strip(), ENVIRONMENT.spell(key)
            found = None
        if isinstance(found, str):
            found = found.strip()
        return (None if _is_empty(found) else found), self.source.spell(key)

    def spell(self, key: str) -> str:
        """A setting as it is written where it was found; in the source if it was not found."""
        return self._find(key)[1]

    def in_source(self, key: str) -> bool:
        """Whether the source itself sets it."""
        value, spelled = self._find(key)
        return value is not None and spelled == self.source.spell(key)

    def raw(self, key: str) -> Any:
        """A setting as it was written, which may not be valid; `None` if it is not set."""
        return self._find(key)[0]

    def get(self, key: str) -> Any:
        """A setting, by its short name; `None` if it is not set.

        Raises:
            ConfigurationError: The value is not valid. The message names the setting as it is
                written where it was found.
        """
        if key not in self._seen:
            value, spelled = self._find(key)
            self._seen[key] = None if value is None else SETTINGS[key].read(value, spelled)
        return self._seen[key]

    def unknown(self) -> Iterator[ConfigurationError]:
        """An error for each name that is not known, but resembles a setting's."""
        if self.given is not None:
            yield from _unknown(self.given, self.source)
        environ = os.environ if self.environ is None else self.environ
        if self.given is not environ:
            yield from _unknown(environ, ENVIRONMENT)

    def check(self) -> None:
        """Check every name and every value that is set. It opens nothing.

        Raises:
            ConfigurationError: One is not valid.
        """
        for error in self.unknown():
            raise error
        for key in SETTINGS:
            self.get(key)
        one_store(self)
        values.require_secure(self)


def _is_empty(value: object) -> bool:
    return value is None or (isinstance(value, str | bytes | list | tuple | dict) and not value)


def one_store(settings: Settings) -> None:
    """Check that one store is set, not two.

    Raises:
        ConfigurationError: Two are set.
    """
    found = [key for key in ("REDIS_URL", "SQLITE_PATH") if settings.get(key) is not None]
    if settings.get("STORE") is not None:  # it goes before what the environment says
        found = ["STORE", *(key for key in found if settings.in_source(key))]
    if len(found) > 1:
        first, second = map(settings.spell, found[:2])
        raise ConfigurationError(
            f"{first} and {second} are both set, and there is one store. Leave one of them out."
        )


def _unknown(given: Mapping[str, Any], source: Source) -> Iterator[ConfigurationError]:
    names = source.names
    for name in sorted(map(str, given)):
        if name in names or not (source.closed or name.upper().startswith(_PREFIXES)):
            continue
        near = _near(name.upper(), source)
        # A longer name, such as OTPVERIFY_SECRET_FILE, is the program's own.
        own = _bare(name) not in SETTINGS and any(name.startswith(f"{one}_") for one in names)
        if not source.closed and (near is None or own):
            continue
        hint = f" Did you mean {near!r}?" if near else f" Known are {', '.join(sorted(names))}."
        yield ConfigurationError(f"There is no setting {source.written.format(name)}.{hint}")


def _near(name: str, source: Source) -> str | None:
    """The known name that a person probably meant."""
    import difflib  # costly to import, and of no use where names are right

    names = {**{_bare(known): known for known in source.more}}
    for key, setting in SETTINGS.items():
        if source.short or setting.variable or source.more:
            names[key] = names[_bare(setting.name)] = source.name(key)
    found = difflib.get_close_matches(_bare(name), names, 1, _NEAR)
    return names[found[0]] if found else None


def _bare(name: str) -> str:
    for prefix in _PREFIXES:
        name = name.removeprefix(prefix)
    return name


_METHODS: Final = {"sender": "send", "store": "open", "hasher": "digest"}


class Parts:
    """Makes what a verifier consists of, each part once, and closes what it made.

    Args:
        settings: What is set.
        **given: Parts that the program passes, which go before the settings: `sender`, `store`,
            `policy`, `hasher`, `messages`, `guards`, `on_event`, `fraud`. Their owner
            closes them.
    """

    def __init__(self, settings: Settings, **given: Any) -> None:
        for error in settings.unknown():
            raise error
        self.settings = settings
        self._opener = process()
        self._given = {name: part for name, part in given.items() if part is not None}
        self._closing: list[Any] = []

    @cached_property
    def sender(self) -> Any:
        """The sender for synchronous verifiers, which an `AsyncVerifier` can use, too."""
        own = self._own("sender")
        if own is not None:
            return own
        from otpverify.gateways.smspm.client import SmspmClient  # loads requests

        return self._made(SmspmClient(**self._account()))

    @cached_property
    def async_sender(self) -> Any:
        """The sender for `AsyncVerifier`: without the extra `async` the synchronous one."""
        own = self._own("sender")
        if own is not None or find_spec("httpx2") is None:
            return self.sender if own is None else own
        from otpverify.gateways.smspm.client_async import AsyncSmspmClient

        return self._made(AsyncSmspmClient(**self._account()))

    @cached_property
    def store(self) -> Any:
        """The store for synchronous verifiers."""
        one_store(self.settings)
        own = self._own("store")
        url, path = self.settings.get("REDIS_URL"), self.settings.get("SQLITE_PATH")
        if own is not None:
            return own
        if url:
            from otpverify.stores.redis.store import RedisStore

            with values.naming(self.settings.spell("REDIS_URL")):
                return self._made(RedisStore.from_url(url))
        if path:
            from otpverify.stores.sqlite.store import SqliteStore

            with values.naming(self.settings.spell("SQLITE_PATH")):
                return self._made(SqliteStore(path))
        from otpverify.stores.memory import MemoryStore

        return MemoryStore()

    @cached_property
    def async_store(self) -> Any:
        """The store for asynchronous verifiers: the same, or its counterpart on the same server."""
        one_store(self.settings)
        url = self.settings.get("REDIS_URL")
        if not url or "store" in self._given or self.settings.get("STORE") is not None:
            return self.store
        from otpverify.stores.redis.async_store import AsyncRedisStore

        with values.naming(self.settings.spell("REDIS_URL")):
            return self._made(AsyncRedisStore.from_url(url))

    @cached_property
    def hasher(self) -> Any:
        """The hasher."""
        own = self._own("hasher")
        if own is not None:
            return own
        from otpverify.hashing import Argon2Hasher

        return Argon2Hasher()

    @cached_property
    def secret(self) -> Any:
        """The secrets; of a store that lives in this process, one that is drawn."""
        found = self.settings.get("SECRET")
        return [secrets.token_bytes(SECRET_BYTES)] if found is None else found

    @cached_property
    def shared(self) -> dict[str, Any]:
        """The arguments of every verifier beside sender, store and secret."""
        names = ("policy", "messages", "on_event", "fraud")
        found = {name: self._option(name) for name in names}
        guards = self._option("guards")
        region = self.settings.get("REGION")
        return {**found, "guards": guards or (), "hasher": self.hasher, "region": region}

    def arguments(self, *, asynchronous: bool = False) -> dict[str, Any]:
        """The arguments of a verifier beside its sender. All verifiers of these parts share
        challenges and counters.

        Raises:
            ConfigurationError: A setting is missing or not valid.
            StoreError: The SQLite file is damaged or locked, or its disk is full.
        """
        store, hasher = self.async_store if asynchronous else self.store, self.hasher
        if self.settings.get("SECRET") is None:
            with values.naming(self.settings.spell("SECRET")):
                require_no_secret(store, hasher)
        return {"store": store, "secret": self.secret, **self.shared}

    def forked(self) -> Parts:
        """Parts of the same settings for a forked process, which uses no client or store of its
        parent's. A store in memory stays: it refuses to be used by several processes."""
        other = Parts(self.settings, **self._given)
        for name in ("store", "secret"):
            if name in vars(self) and getattr(self.store, "process_local", False):
                vars(other)[name] = vars(self)[name]
        return other

    def close(self) -> None:
        """Close what was made here. In a forked process, what its parent made stays open.

        Asynchronous parts are closed with the event loop that runs; other event loops close their
        connections when they end.
        """
        for part in self._to_close():
            if hasattr(part, "close"):
                part.close()
            else:
                _close_in_loop(part)

    async def aclose(self) -> None:
        """`close`, awaitable."""
        for part in self._to_close():
            if hasattr(part, "aclose"):
                await part.aclose()
            else:
                part.close()

    def _to_close(self) -> Iterator[Any]:
        if self._opener == process():
            while self._closing:
                yield self._closing.pop()

    def _made(self, part: Any) -> Any:
        self._closing.append(part)
        return part

    def _option(self, name: str) -> Any:
        return self._given[name] if name in self._given else self.settings.get(name.upper())

    def _own(self, name: str) -> Any:
        """A part that is passed or set; `None` if neither."""
        if name in self._given:
            return self._given[name]
        found = self.settings.get(name.upper())
        if found is None:
            return None
        spelled = self.settings.spell(name.upper())
        made = values.instance(found, _METHODS[name], spelled)
        values.require_method(made, name, _METHODS[name], spelled)
        if isinstance(found, type) and hasattr(made, "close"):
            self._made(made)
        return made

    def _account(self) -> dict[str, Any]:
        needed = ("HASH", "TOKEN")
        missing = [self.settings.spell(key) for key in needed if self.settings.get(key) is None]
        if missing:
            from otpverify.gateways.smspm.account import missing_credentials

            raise missing_credentials(missing)
        values.require_secure(self.settings)
        options = ("HASH", "TOKEN", "SENDER_ID", "URL", "REPORT_URL", "ALLOW_INSECURE")
        found = {key.lower(): self.settings.get(key) for key in options}
        return {name: value for name, value in found.items() if value is not None}


def _close_in_loop(part: Any) -> None:
    import asyncio  # costly to import, and of no use to synchronous programs

    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        asyncio.run(part.aclose())
    else:
        task = loop.create_task(part.aclose())
        _closing_tasks.add(task)
        task.add_done_callback(_closing_tasks.discard)


_closing_tasks: set[Any] = set()
"""Event loops hold their tasks weakly."""
