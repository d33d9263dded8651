"""The verifiers of this process, made when they are first asked for, and those of a request."""

from __future__ import annotations

from typing import Any
from weakref import WeakKeyDictionary

from django.core.signals import setting_changed
from django.http import HttpRequest

from otpverify import AsyncVerifier, ConfigurationError, Verifier
from otpverify.integrations.django import conf
from otpverify.integrations.web.verifiers import Derived, Verifiers
from otpverify.settings import Parts

# One entry: `setdefault` is atomic, so that threads share one without a lock.
_current: dict[str, Verifiers] = {}
_derived: WeakKeyDictionary[Verifier | AsyncVerifier, Derived] = WeakKeyDictionary()


def get_verifier(*, background: bool = False) -> Verifier:
    """The verifier of this process, as the settings describe it.

    Args:
        background: One that hands messages to threads, for flows in which the time that a reply
            takes must not tell a known number from an unknown one.

    Raises:
        ConfigurationError: A setting is missing or not valid; `manage.py check --deploy` names it.
    """
    return _verifiers().verifier(background=background)


def get_async_verifier(*, background: bool = False) -> AsyncVerifier:
    """The asynchronous verifier of this process, as `get_verifier`. A sender that blocks runs in
    threads."""
    return _verifiers().async_verifier(background=background)


def verifier_for(request: HttpRequest, *, background: bool = False) -> Verifier:
    """The verifier for a request: that of `OTPVERIFY["GET_VERIFIER"]`, or else that of this
    process. The views' hook `get_verifier` calls it.

    Args:
        request: The request.
        background: As for `get_verifier`. A verifier of `GET_VERIFIER` then gets a counterpart
            that shares all else with it.

    Raises:
        ConfigurationError: As `get_verifier`; or the function gave something else.
    """
    found = _of_request(request)
    if found is None:
        return get_verifier(background=background)
    if isinstance(found, AsyncVerifier):
        raise ConfigurationError(
            f"{conf.SOURCE.spell('GET_VERIFIER')} must give a Verifier in synchronous views, not "
            "an AsyncVerifier."
        )
    return _derived_of(found).verifier() if background else found


def averifier_for(request: HttpRequest, *, background: bool = False) -> AsyncVerifier:
    """The asynchronous verifier for a request, as `verifier_for`. If `GET_VERIFIER` gives a
    `Verifier`, its counterpart runs in threads."""
    found = _of_request(request)
    if found is None:
        return get_async_verifier(background=background)
    if isinstance(found, AsyncVerifier) and not background:
        return found
    return _derived_of(found).async_verifier(background=background)


def forget(**changed: Any) -> None:
    """Make the verifiers again when they are next asked for: the settings changed."""
    if changed.get("setting", conf.NAME) != conf.NAME:
        return
    if old := _current.pop(conf.NAME, None):
        old.close()
    for derived in list(_derived.values()):
        derived.close()
    _derived.clear()


def _verifiers() -> Verifiers:
    found = _current.get(conf.NAME)
    if found is None:
        found = _current.setdefault(conf.NAME, Verifiers(Parts(conf.shared())))
    return found


def _of_request(request: HttpRequest) -> Verifier | AsyncVerifier | None:
    function = conf.function("GET_VERIFIER")
    if function is None:
        return None
    found = function(request)
    if not isinstance(found, Verifier | AsyncVerifier):
        raise ConfigurationError(
            f"{conf.SOURCE.spell('GET_VERIFIER')} must give a Verifier or an AsyncVerifier, not "
            f"{type(found).__name__}."
        )
    return found


def _derived_of(verifier: Verifier | AsyncVerifier) -> Derived:
    found = _derived.get(verifier)
    if found is None:
        found = _derived.setdefault(verifier, Derived(verifier))
    return found


setting_changed.connect(forget, dispatch_uid="otpverify")
