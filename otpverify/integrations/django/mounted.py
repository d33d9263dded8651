"""The flows that a project's URL patterns mount, for the system checks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from django.conf import settings
from django.urls import get_resolver

APP: Final = "otpverify"
"""`app_name` of the flows' addresses."""


@dataclass(frozen=True)
class Mounted:
    """A page of a flow that a request can reach: its address, its view, and what `as_view` took."""

    address: str
    view: type[Any]
    given: Mapping[str, Any]

    def get(self, name: str) -> Any:
        """An attribute of the view as it is mounted."""
        return self.given.get(name, getattr(self.view, name, None))


def mounted_flows() -> list[Mounted]:
    """The first pages of all flows, as they are mounted."""
    from otpverify.integrations.django.base import FlowView  # needs the models to be loaded

    if not getattr(settings, "ROOT_URLCONF", None):
        return []
    found: dict[str, Any] = {}
    for address, callback in _addresses(get_resolver().url_patterns, "/"):
        found.setdefault(address, callback)  # the first of two answers
    mounted = []
    for address, callback in found.items():
        view, given = (
            getattr(callback, "view_class", None),
            getattr(callback, "view_initkwargs", {}),
        )
        if isinstance(view, type) and issubclass(view, FlowView) and given.get("step") == "first":
            mounted.append(Mounted(address, view, given))
    return mounted


def _addresses(patterns: Iterable[Any], before: str) -> Iterator[tuple[str, Any]]:
    for pattern in patterns:
        address = f"{before}{pattern.pattern}"
        if hasattr(pattern, "url_patterns"):
            yield from _addresses(pattern.url_patterns, address)
        else:
            yield address, pattern.callback


def includes(patterns: Iterable[Any], before: str, outer: str = "") -> Iterator[tuple[str, str]]:
    """The namespace and the address of each include of the flows."""
    for pattern in patterns:
        if not hasattr(pattern, "url_patterns"):
            continue
        address, namespace = f"{before}{pattern.pattern}", outer
        if pattern.namespace:
            namespace = f"{outer}:{pattern.namespace}".lstrip(":")
        if pattern.app_name == APP:
            yield namespace, address
        yield from includes(pattern.url_patterns, address, namespace)
