"""An SMSPM account as its client holds it."""

from __future__ import annotations

from dataclasses import dataclass

from otpverify.errors import ConfigurationError
from otpverify.sms.report_url import check_report_url

DEFAULT_SENDER_ID = "SMSPM.com"
LONGEST_SENDER_ID = 11


@dataclass(frozen=True, slots=True, repr=False)
class Account:
    """Credentials and sender ID of an account, and where its delivery reports go, if anywhere.

    Raises:
        ConfigurationError: One is empty, an alphanumeric sender ID is too long, or the address
            for reports is unsafe.
    """

    hash: str
    token: str
    sender_id: str = DEFAULT_SENDER_ID
    report_url: str | None = None

    def __post_init__(self) -> None:
        if not all(isinstance(part, str) and part for part in (self.hash, self.token)):
            raise ConfigurationError("SMSPM needs both a hash and a token.")
        if not isinstance(self.sender_id, str):
            raise ConfigurationError("The sender ID must be a string.")
        if not is_sender_id(self.sender_id):
            raise ConfigurationError(
                "An alphanumeric sender ID has 1 to 11 characters (GSM 03.40); "
                f"{self.sender_id!r} has {len(self.sender_id)}."
            )
        if self.report_url is not None:
            check_report_url(self.report_url)

    def __repr__(self) -> str:
        return f"Account(sender_id={self.sender_id!r})"

    @property
    def credentials(self) -> dict[str, str]:
        """What every request carries."""
        return {"hash": self.hash, "token": self.token}


def is_sender_id(sender_id: str) -> bool:
    """Whether messages can come from this: digits, or at most 11 characters (GSM 03.40)."""
    return bool(sender_id) and (len(sender_id) <= LONGEST_SENDER_ID or sender_id.isdecimal())
