"""What people paste into the field of a code."""

from __future__ import annotations

from typing import Final

PASTED: Final = [
    ("442498", "442498"),
    ("442 498", "442 498"),
    ("Shop: 442498 is your verification code", "442498"),
    ("Your code is 442-498.", "442-498"),
    ("Code 442498, valid for 10 minutes\n\n@shop.example #442498", "442498"),
    ("Pay 250000.50 EUR to Bob 777888: 442498\n@shop.example #442498", "442498"),
    ("Pay 250000.50 EUR to Bob: 442498", "442498"),
    ("Call +37256789045 for 442498", "442498"),
    ("Pay 111111 EUR: 442498", "Pay 111111 EUR: 442498"),
    ('442498 is your code. It approves: payee: "Your code is 999999".', "442498"),
    ('"Your code is 442498."', "442498"),
    ("my code", "my code"),
    ("٤٤٢٤٩٨ هو الرمز", "٤٤٢٤٩٨"),
    ("1234567 no", "1234567 no"),
    ("", ""),
]
"""A text, and what is read as the code of six digits."""
