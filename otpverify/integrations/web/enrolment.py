"""Enrolment: a signed-in person adds, changes and removes the phone of the account.

A person who only finds an open session must not be able to do so. The person first proves again
who they are (OWASP ASVS 5.0, 7.5.1): by the account's password, if it has one, and by what
`step_after_password` names. The password stops a person at an open browser, also one who holds the
unlocked phone; the code stops a person who knows the password. `SessionStamp` (`REPROVED`) keeps
the proof for some minutes. It covers the account's authentication hash and its phone, so one change
uses it up, also where another session changes the phone meanwhile.

Then the new number is confirmed by a code. Whether another account has it is looked up only after
the right code, so that no person can find it out about numbers of other people.
"""

from __future__ import annotations

from enum import Enum
from typing import Final

from otpverify import ConfigurationError, OtpVerifyError
from otpverify.integrations.web.sentences import Sentence
from otpverify.integrations.web.session import Recipient

NEW_PHONE: Final = "phone-enrolment"
"""The purpose of a code to the number that is added."""
OLD_PHONE: Final = "phone-change"
"""The purpose of a code to the number that the account has."""

TAKEN: Final = Sentence("This number belongs to another account. Use another number.")
PROVE_AGAIN: Final = Sentence("First confirm that it is you.")
PHONE_REMOVED: Final = Sentence("The phone number was removed.")
BROWSERS_FORGOTTEN: Final = Sentence("No browser is remembered any more.")
SAME_NUMBER: Final = Sentence("Your account has this number already.")

WITHOUT_PHONE: Final = ("refuse", "sign_in", "enrol")
"""What can happen at the login to an account that needs a code, and has no phone and no other way:
it is refused; or the password is enough; or it is enough to add a phone, and then the person is
signed in. Anyone who knows the password can add a phone of their own."""


def check_without_phone(choice: object, name: str) -> str:
    """One of `WITHOUT_PHONE`; the first for `None` or an empty text.

    Args:
        choice: What the site says.
        name: Where it says so, for the error.

    Raises:
        ConfigurationError: It is not one of them.
    """
    found = choice or WITHOUT_PHONE[0]
    if found not in WITHOUT_PHONE:
        raise ConfigurationError(f"{name} must be {', '.join(WITHOUT_PHONE)}.")
    return str(found)


class AfterPassword(Enum):
    """What follows the password where a person proves again who they are."""

    CODE = "code"
    OTHER_WAY = "other way"
    NOTHING = "nothing"


def step_after_password(*, has_phone: bool, has_other_way: bool) -> AfterPassword:
    """What a person must prove beside the password, before the phone or another factor of the
    account changes: each second factor that the account has must be passed once.

    Args:
        has_phone: The account has a phone: a code goes to it. Another way stands in for it.
        has_other_way: The account has another way, such as backup codes.
    """
    if has_phone:
        return AfterPassword.CODE
    return AfterPassword.OTHER_WAY if has_other_way else AfterPassword.NOTHING


class PhoneTaken(OtpVerifyError):
    """Another account has the number. A site's function that stores a number raises it, such as
    when the database reports that the number must be unique."""

    def __init__(self, message: str = TAKEN.text) -> None:
        super().__init__(message)


def enrolling(account: str, phone: str) -> Recipient:
    """The recipient of a code to a number that is added to an account. A challenge that was
    started for one account cannot be continued for another.

    Args:
        account: The account that is signed in.
        phone: The number that the person typed, in E.164.
    """
    return Recipient(phone, f"{phone} {account}")


def enrolled(account: str | None, subject: str) -> Recipient | None:
    """The recipient that the session names; `None` if it is not one for the account that is signed
    in.

    Args:
        account: The account that is signed in.
        subject: The session's text, as `Flow` passes it to its function for recipients.
    """
    phone, _, owner = subject.partition(" ")
    return enrolling(account, phone) if account is not None and owner == account else None
