"""What a sender ID may be: the name or number that recipients see.

GSM has two kinds (3GPP TS 23.040, 9.1.2.5): a name of up to 11 characters of the GSM-7 alphabet,
or a number of up to 15 digits (ITU-T E.164).
"""

from __future__ import annotations

from typing import Final

from otpverify.core.invisible import is_invisible
from otpverify.errors import ConfigurationError
from otpverify.sms.gsm7 import is_gsm7, segments

DEFAULT_SENDER_ID: Final = "SMSPM.com"
LONGEST_SENDER_ID: Final = 11
_MOST_DIGITS = 15


def sender_id_problem(sender_id: object) -> str | None:
    """Why something cannot be a sender ID.

    Args:
        sender_id: The sender ID.

    Returns:
        A sentence; `None` if it can be one. Whether the account may use it is another question.
    """
    if not isinstance(sender_id, str):
        return "The sender ID must be a string."
    if not sender_id.strip():
        return "The sender ID is empty."
    if sender_id != sender_id.strip():
        return "The sender ID begins or ends with a blank; remove it."
    if any(not character.isprintable() or is_invisible(character) for character in sender_id):
        return "The sender ID has control characters or invisible characters; remove them."
    digits = sender_id.removeprefix("+").replace(" ", "").replace("-", "")
    if digits.isascii() and digits.isdecimal():
        if digits != sender_id:
            return "Write a numeric sender ID with digits only, without + and spaces."
        if len(digits) > _MOST_DIGITS:
            return (
                f"A numeric sender ID has up to {_MOST_DIGITS} digits; this one has {len(digits)}."
            )
        return None
    if not is_gsm7(sender_id):
        other = next(character for character in sender_id if not is_gsm7(character))
        return (
            f"An alphanumeric sender ID has the characters of GSM-7, such as letters without "
            f"accents and digits; not {other!r}."
        )
    length = segments(sender_id).units
    if length > LONGEST_SENDER_ID:
        return (
            f"An alphanumeric sender ID has 1 to {LONGEST_SENDER_ID} characters (GSM 03.40); "
            f"{sender_id!r} has {length}."
        )
    return None


def is_sender_id(sender_id: object) -> bool:
    """Whether something can be a sender ID, see `sender_id_problem`."""
    return sender_id_problem(sender_id) is None


def check_sender_id(sender_id: str) -> str:
    """The sender ID.

    Raises:
        ConfigurationError: It cannot be one; the message says why.
    """
    problem = sender_id_problem(sender_id)
    if problem is not None:
        raise ConfigurationError(problem)
    return sender_id
