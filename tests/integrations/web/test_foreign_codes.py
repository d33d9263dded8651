"""Codes of another library: what the session remembers, and what is logged."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from support import OTHER_PHONE, PHONE, SECRET

from otpverify import CooldownActive, HmacHasher, Verifier
from otpverify.integrations.web import foreign_codes
from otpverify.testing import OutboxSender

LOGGER = "otpverify.integrations"


def test_a_code_is_confirmed_once_and_faults_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    verifier = Verifier(OutboxSender(), secret=SECRET, hasher=HmacHasher())

    def send(session: dict[str, Any] | None, phone: str) -> None:
        foreign_codes.send_code(
            verifier, session, phone, "KX7-22", ttl_seconds=180, purpose="login"
        )

    session: dict[str, Any] = {}
    send(session, PHONE)
    send(None, OTHER_PHONE)
    assert not foreign_codes.confirm(verifier, session, PHONE, purpose="reset")
    assert foreign_codes.confirm(verifier, session, PHONE, purpose="login")
    assert session == {}
    assert not foreign_codes.confirm(verifier, session, PHONE, purpose="login")
    caplog.clear()
    with caplog.at_level(logging.INFO, LOGGER), pytest.raises(CooldownActive) as refused:
        send(session, OTHER_PHONE)
    logged = f"A code was not sent: {refused.value}"
    assert (LOGGER, logging.INFO, logged) in caplog.record_tuples
    assert session == {}


def test_a_challenge_of_another_number_is_not_confirmed(caplog: pytest.LogCaptureFixture) -> None:
    verifier = Verifier(OutboxSender(), secret=SECRET, hasher=HmacHasher())
    session: dict[str, Any] = {}
    foreign_codes.send_code(verifier, session, PHONE, "KX7-22", ttl_seconds=180, purpose="login")
    caplog.clear()
    assert not foreign_codes.confirm(verifier, session, OTHER_PHONE, purpose="login")
    assert session == {}
    ((name, level, message),) = caplog.record_tuples
    assert (name, level) == (LOGGER, logging.WARNING)
    assert message.startswith("An accepted code was not confirmed: ")
