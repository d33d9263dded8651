"""The fields of a delivery report, in a form that is the same for all gateways."""

from __future__ import annotations

from dataclasses import dataclass

from otpverify.core.results import DeliveryStatus


@dataclass(frozen=True, slots=True, repr=False)
class ReportFields:
    """The contents of a delivery report, as far as they can be understood.

    Attributes:
        token: Our token, not yet checked.
        status: The status; `None` when it is not a known one.
        word: The gateway's own word for the status, if it is a single word.
        message_id: The gateway's id of the message.
        number: The number in E.164, if it has that form.
    """

    token: str | None = None
    status: DeliveryStatus | None = None
    word: str | None = None
    message_id: str | None = None
    number: str | None = None
