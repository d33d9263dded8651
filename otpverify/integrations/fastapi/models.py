"""The routes' requests and replies."""

from __future__ import annotations

from typing import ClassVar, Final, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field

from otpverify.integrations.web.outcome import Outcome, State
from otpverify.integrations.web.sentences import LONGEST_PASTE, LONGEST_PHONE

TOKEN_HEADER: Final = "Otp-Flow"  # noqa: S105 - its name

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


class OtpStart(BaseModel):
    """The phone that a code goes to."""

    model_config: ClassVar[ConfigDict] = ConfigDict(
        json_schema_extra={"examples": [{"phone": "+37256789045"}]}
    )

    phone: str = Field(
        max_length=LONGEST_PHONE,
        repr=False,
        description="As the person typed it, or in E.164.",
    )


class OtpCode(BaseModel):
    """What the person typed."""

    model_config: ClassVar[ConfigDict] = ConfigDict(
        json_schema_extra={"examples": [{"code": "123 456"}]}
    )

    code: str = Field(
        max_length=LONGEST_PASTE,
        repr=False,
        description="The code, or the message that holds it. Spaces and hyphens do not matter.",
    )


class OtpEmpty(BaseModel):
    """An empty object. A request without a JSON body could be another site's."""

    model_config: ClassVar[ConfigDict] = ConfigDict(json_schema_extra={"examples": [{}]})


class FlowState(BaseModel):
    """Where a flow stands."""

    model_config: ClassVar[ConfigDict] = ConfigDict(
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
        },
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
    def of(cls, outcome: Outcome) -> FlowState:
        """Where the flow stands after an operation."""
        state = outcome.state or State("none")
        return cls.model_validate(state.body())
