"""Whom a code goes to: the number that was typed, or an account's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends
from starlette.requests import Request

from otpverify import AsyncVerifier, ConfigurationError
from otpverify.integrations.fastapi.models import OtpStart
from otpverify.phone import mask

VERIFIER = "otpverify_router_verifier"


@dataclass(frozen=True, slots=True, repr=False)
class Recipient:
    """Whom a code goes to, where the application knows it. What a dependency for `recipient` gives.

    Attributes:
        phone: The account's phone.
        subject: What the session keeps in its place, and what a proof is good for: the account's
            id, with the payment's where a code approves one.
        binding: What the code also approves, and the message says.
    """

    phone: str
    subject: str
    binding: Mapping[str, str] | None = None

    def __repr__(self) -> str:
        return f"Recipient(phone={mask(self.phone)!r})"


async def typed_phone(request: Request, body: OtpStart) -> str:
    """What was typed, in E.164, as the router's verifier reads it.

    Raises:
        InvalidPhoneNumber: It is no phone number.
        ConfigurationError: It was asked for outside of `otp_router`.
    """
    verifier = getattr(request.state, VERIFIER, None)
    if not isinstance(verifier, AsyncVerifier):
        raise ConfigurationError("TypedPhone is for the dependencies of otp_router alone.")
    return verifier.normalize(body.phone)


TypedPhone = Annotated[str, Depends(typed_phone)]
"""The number that was typed, in E.164, for a dependency that says whether a code may really go
there: `async def has_account(phone: TypedPhone) -> bool`."""
