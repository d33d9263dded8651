"""What a sender ID may be, by one rule for the client, the settings and the sandbox."""

from __future__ import annotations

from typing import Any

import pytest

from otpverify import ConfigurationError, SmspmClient
from otpverify.gateways.smspm.account import is_sender_id, sender_id_problem


@pytest.mark.parametrize(
    "sender_id",
    [
        "37256789045",
        "123456789012345",
        "3725678904512",
        "SMSPM.com",
        "MyApp",
        "A",
        "Eleven-char",
        "My Shop",
        "Cafés & Bär"[:11],
        "24seven",
        "112",
    ],
)
def test_names_and_numbers(sender_id: str) -> None:
    assert sender_id_problem(sender_id) is None
    assert SmspmClient("hash", "token", sender_id=sender_id).sender_id == sender_id


@pytest.mark.parametrize(
    ("sender_id", "why"),
    [
        ("+37256789045", "digits only, without [+]"),
        ("+1234", "digits only, without [+]"),
        ("372 5678 9045", "digits only"),
        ("1234567890123456", "up to 15 digits; this one has 16"),
        ("TwelveLetter", "1 to 11 characters .* has 12"),
        ("Seven[x]ab", "1 to 11 characters .* has 12"),
        ("", "empty"),
        ("   ", "empty"),
        (" MyApp", "blank"),
        ("MyApp ", "blank"),
        ("MyApp\n", "blank"),
        ("My\nApp", "control characters"),
        ("My\x00App", "control characters"),
        ("My\u200bApp", "invisible"),
        ("\u202eMyApp", "invisible"),
        ("My\u00a0App", "control characters"),
        ("MyApp\U0001f600", "GSM-7"),
        ("Škoda", "GSM-7.*'Š'"),
        ("Магазин", "GSM-7"),
        ("\u0663\u0667\u0662\u0665\u0666", "GSM-7"),
        (5, "string"),
        (None, "string"),
    ],
    ids=ascii,
)
def test_what_is_refused(sender_id: Any, why: str) -> None:
    assert not is_sender_id(sender_id)
    with pytest.raises(ConfigurationError, match=why) as caught:
        SmspmClient("hash", "token", sender_id=sender_id)
    assert "56789045" not in str(caught.value)
