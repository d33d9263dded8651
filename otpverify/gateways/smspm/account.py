"""An account at the SMSPM gateway: its credentials, its sender ID, and the addresses that it uses.

The sender ID is the name or number that recipients see. GSM has two kinds (3GPP TS 23.040,
9.1.2.5): a name of up to 11 characters of the GSM-7 alphabet, or a number of up to 15 digits
(ITU-T E.164).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from otpverify.core.invisible import is_invisible
from otpverify.errors import ConfigurationError
from otpverify.gateways.urls import check_report_url, check_url
from otpverify.sms.gsm7 import is_gsm7, segments

DEFAULT_URL = "https://api.smspm.com"
ALLOW_WITH = "allow_insecure=True (SMSPM_ALLOW_INSECURE=1)"
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


@dataclass(frozen=True, slots=True, repr=False)
class Account:
    """Credentials and sender ID of an account, and where its delivery reports go, if anywhere; and
    whether that may be plain http to a private network.

    Raises:
        ConfigurationError: A value is empty, an alphanumeric sender ID is too long, or the address
            for reports is unsafe.
    """

    hash: str
    token: str
    sender_id: str = DEFAULT_SENDER_ID
    report_url: str | None = None
    allow_insecure: bool = False

    def __post_init__(self) -> None:
        if not all(isinstance(part, str) and part for part in (self.hash, self.token)):
            raise ConfigurationError("SMSPM needs both a hash and a token.")
        check_sender_id(self.sender_id)
        if self.report_url is not None:
            check_report_url(
                self.report_url,
                "report_url (SMSPM_REPORT_URL)",
                allow_insecure=self.allow_insecure,
                allow_with=ALLOW_WITH,
            )

    def __repr__(self) -> str:
        return f"Account(sender_id={self.sender_id!r})"

    @property
    def credentials(self) -> dict[str, str]:
        """The fields that every request carries."""
        return {"hash": self.hash, "token": self.token}


def check_gateway_url(url: str, name: str = "SMSPM_URL", *, allow_insecure: bool = False) -> str:
    """The gateway's address without a trailing slash. Raises `ConfigurationError`, see
    `check_url`."""
    return check_url(
        url, name, example=DEFAULT_URL, allow_insecure=allow_insecure, allow_with=ALLOW_WITH
    )


def read_switch(value: object, name: str = "SMSPM_ALLOW_INSECURE") -> bool:
    """A switch of the environment: `1` or `true` is on; `0`, `false`, empty or `None` is off.

    Raises:
        ConfigurationError: It is anything else.
    """
    if value is None or isinstance(value, bool):
        return bool(value)
    word = value.strip().lower() if isinstance(value, str) else None
    if word not in ("", "0", "1", "false", "true"):
        raise ConfigurationError(f"{name} must be 1 or 0.")
    return word in ("1", "true")


def missing_credentials(names: Sequence[str]) -> ConfigurationError:
    """The error for credentials that are not set.

    Args:
        names: The settings, as the person writes them.
    """
    return ConfigurationError(
        f"Set {' and '.join(names)} to the account's credentials at the gateway. "
        "Without an account, run `otpverify sandbox` and set the variables that it prints."
    )
