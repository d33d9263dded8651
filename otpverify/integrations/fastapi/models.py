"""What the routes take and answer."""

from __future__ import annotations

import time
from typing import Literal, TypeAlias, cast

from pydantic import BaseModel, ConfigDict, Field

from otpverify import DeliveryStatus
from otpverify.integrations.web.pending import Delivery, Pending

Delivered: TypeAlias = Literal[
    "not_sent",
    "unconfirmed",
    "queued",
    "sent",
    "delivered",
    "undelivered",
    "rejected",
    "expired",
    "failed",
]
_KNOWN: dict[Delivery, Delivered] = {
    Delivery.NOT_SENT: "not_sent",
    Delivery.MAYBE: "unconfirmed",
    Delivery.SENT: "sent",
}


class OtpStart(BaseModel):
    """Whom a code goes to."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"phone": "+37256789045"}]})

    phone: str = Field(
        max_length=64, repr=False, description="As the person typed it, or in E.164."
    )


class OtpCode(BaseModel):
    """What the person typed."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"code": "123 456"}]})

    code: str = Field(
        max_length=64, repr=False, description="The code. Spaces and hyphens are forgiven."
    )


class OtpEmpty(BaseModel):
    """An empty object. A request without a JSON body could be another site's."""

    model_config = ConfigDict(json_schema_extra={"examples": [{}]})


class FlowState(BaseModel):
    """Where a flow stands.

    Attributes:
        state: `"none"`; `"pending"`, a code is awaited; `"verified"`, a right code was entered, and
            its proof waits for the request that needs it.
        expires_in: Whole seconds until the newest code expires.
        resend_in: Whole seconds until another code may be sent.
        attempts_left: How many codes may still be tried.
        delivery: How far the newest message got, as far as is known.
    """

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "state": "pending",
                    "expires_in": 600,
                    "resend_in": 60,
                    "attempts_left": 5,
                    "delivery": "sent",
                },
                {
                    "state": "none",
                    "expires_in": None,
                    "resend_in": None,
                    "attempts_left": None,
                    "delivery": None,
                },
            ]
        }
    )

    state: Literal["none", "pending", "verified"] = Field(
        description="Whether a code is awaited, or was right and its proof waits to be used."
    )
    expires_in: int | None = Field(
        default=None, ge=0, description="Whole seconds until the newest code expires."
    )
    resend_in: int | None = Field(
        default=None, ge=0, description="Whole seconds until another code may be sent."
    )
    attempts_left: int | None = Field(
        default=None, ge=0, description="How many codes may still be tried."
    )
    delivery: Delivered | None = Field(
        default=None, description="How far the newest message got, as far as is known."
    )

    @classmethod
    def of(cls, pending: Pending | None, reported: DeliveryStatus | None = None) -> FlowState:
        """The state while this is pending; `reported` is what delivery reports say."""
        if pending is None:
            return cls(state="none")
        delivery = _KNOWN[pending.delivery]
        if reported is not None and reported is not DeliveryStatus.QUEUED:
            delivery = cast("Delivered", reported.value)
        return cls(
            state="pending",
            expires_in=max(0, int(pending.expires_at - time.time())),
            resend_in=pending.resend_in,
            attempts_left=pending.attempts_left,
            delivery=delivery,
        )
