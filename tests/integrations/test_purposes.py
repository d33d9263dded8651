"""A purpose is checked where the application is made, not at the first request."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from otpverify import ConfigurationError
from otpverify.integrations.fastapi import fresh_proof, held_proof, otp_router
from otpverify.integrations.flask import OtpVerify
from otpverify.testing import OutboxSender


def view() -> str:
    """What a decorator is given where its parentheses are left out."""
    return ""


@pytest.mark.parametrize(
    "purpose",
    ["", None, 5, b"login", ["login"], view],
    ids=lambda p: getattr(p, "__name__", repr(p)),
)
@pytest.mark.parametrize(
    "make",
    [
        otp_router,
        fresh_proof,
        held_proof,
        lambda purpose: OtpVerify(sender=OutboxSender()).json_blueprint(purpose),
        lambda purpose: OtpVerify(sender=OutboxSender()).code_required(purpose),
    ],
    ids=["otp_router", "fresh_proof", "held_proof", "json_blueprint", "code_required"],
)
def test_a_purpose_that_is_no_text_is_refused_at_once(
    make: Callable[[Any], object], purpose: object
) -> None:
    with pytest.raises(ConfigurationError, match="purpose must be a str that is not empty"):
        make(purpose)
