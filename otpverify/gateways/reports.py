"""How the delivery reports of any sender are read."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from otpverify.core.results import ReportFields


def report_reader(sender: Any) -> Callable[[object], ReportFields]:
    """The function that reads the parameters of this sender's delivery reports.

    Returns:
        The sender's own `read_report`. For a sender without one, a reader of the fields
        `report_token`, `status`, `messageId` or `id`, and `toNumber` or `to`.
    """
    own = getattr(sender, "read_report", None)
    return own if callable(own) else _common


def _common(params: object) -> ReportFields:
    from otpverify.gateways.smspm.reports import read_report  # few processes take reports

    return read_report(params)
