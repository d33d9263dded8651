"""Getting a message to the phone: retries, HTTP and fallback; one package for each gateway.

To write a sender for another gateway, describe each request as a `Call` and perform it with an
`HttpClient` or an `AsyncHttpClient`, which add retries, a deadline and errors without secrets.
Check the address with `check_url`. `docs/how-to/write-a-sender.md` shows an example.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from otpverify.core.results import ReportFields as ReportFields
    from otpverify.gateways.call import OUTCOME_UNKNOWN as OUTCOME_UNKNOWN, Call as Call
    from otpverify.gateways.http import HttpClient as HttpClient
    from otpverify.gateways.http_async import AsyncHttpClient as AsyncHttpClient
    from otpverify.gateways.retry import HttpSettings as HttpSettings
    from otpverify.gateways.urls import (
        check_report_url as check_report_url,
        check_url as check_url,
        report_address as report_address,
    )

# Imported on first use, because they load HTTP libraries.
_HOMES = {
    "OUTCOME_UNKNOWN": "call",
    "Call": "call",
    "HttpClient": "http",
    "AsyncHttpClient": "http_async",
    "HttpSettings": "retry",
    "check_report_url": "urls",
    "check_url": "urls",
    "report_address": "urls",
    "ReportFields": "delivery_reports",
}
__all__ = sorted(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
