"""The options of `send_bulk`, in one place: their types, documentation, checks and signature."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ParamSpec, TypedDict, TypeVar

from otpverify.errors import ConfigurationError

if TYPE_CHECKING:
    from otpverify.gateways.send_bulk import BulkProgress

P = ParamSpec("P")
T = TypeVar("T")
Batch = tuple[str, ...]
LARGEST_BATCH = 100
"""The largest number of recipients that the gateway takes in a request."""
LARGEST_CONCURRENCY = 32
"""The number of connections that the clients keep."""


class BulkOptions(TypedDict, total=False):
    """The options of `send_bulk`; all are optional.

    Attributes:
        region: The ISO 3166-1 alpha-2 code, such as `"EE"`, for numbers without a country code.
        reference: Your own reference, sent as `smsId`. No delivery reports are requested, so it
            appears only in the gateway's own records.
        batch_size: The largest number of recipients in a request, 1 to 100; 100 if left out.
        concurrency: The largest number of requests at a time, 1 to 32; 4 if left out.
        recipients_per_second: The largest number of recipients per second, spread evenly. A
            batch is never larger than this. No limit if left out.
        on_sending: Called with the numbers (E.164) of a request right before it is made, so that
            you can record them first. If it raises, the request is not made. When the gateway
            refuses a batch that it may accept in another form, it is called again with those
            numbers.
        on_progress: Called with a `BulkProgress` after entries are settled. The first call has
            the invalid numbers and duplicates, if there are any.
    """

    region: str | None
    reference: str | None
    batch_size: int
    concurrency: int
    recipients_per_second: float | None
    on_sending: Callable[[Batch], object] | None
    on_progress: Callable[[BulkProgress], object] | None


DEFAULTS: dict[str, Any] = {"batch_size": LARGEST_BATCH, "concurrency": 4}
"""The options that are not `None` if left out."""


def names_options(method: Callable[P, T]) -> Callable[P, T]:
    """Let editors and `inspect` show each option of a method that takes `**options`."""
    signature = inspect.signature(method)
    own = [one for one in signature.parameters.values() if one.kind is not one.VAR_KEYWORD]
    named = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=DEFAULTS.get(name))
        for name in BulkOptions.__annotations__
    ]
    method.__signature__ = signature.replace(parameters=own + named)  # type: ignore[attr-defined]  # inspect reads it
    return method


def check_options(options: BulkOptions) -> None:
    """Check the options, except `region`, which is checked with the numbers.

    Raises:
        TypeError: There is no such option.
        ConfigurationError: An option is invalid.
    """
    for name in options:
        if name not in BulkOptions.__annotations__:
            raise TypeError(f"send_bulk() got an unexpected keyword argument {name!r}")
    _check_range("batch_size", options.get("batch_size", 1), LARGEST_BATCH)
    _check_range("concurrency", options.get("concurrency", 1), LARGEST_CONCURRENCY)
    rate = options.get("recipients_per_second")
    if rate is not None and (
        isinstance(rate, bool) or not isinstance(rate, int | float) or not 0 < rate < float("inf")
    ):
        raise ConfigurationError("recipients_per_second must be a number above 0.")
    if not isinstance(options.get("reference"), str | None):
        raise ConfigurationError("reference must be a str.")
    for name in ("on_sending", "on_progress"):
        hook = options.get(name)
        if hook is not None and not callable(hook):
            raise ConfigurationError(f"{name} must be callable.")


def _check_range(name: str, value: object, largest: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= largest:
        raise ConfigurationError(f"{name} must be a whole number from 1 to {largest}.")
