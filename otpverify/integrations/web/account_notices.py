"""Notices to the person when the phone, the password or another factor of the account changes
(OWASP ASVS 5.0, 6.3.7), and when somebody who has the password fails at the second factor (6.3.5):
a sentence for the site's own channel, such as e-mail, and a message by SMS.

When a phone is changed or removed, the message goes to the old number, so that its owner knows of a
takeover. It never holds a code, a link or a number.

Such messages go out by the verifier's sender. They are counted apart from codes, in the verifier's
store, with limits of their own, so that they neither use up what the person needs to sign in, nor
are sent without end where a phone is changed again and again. Those about failed sign-ins have a
count of their own, so that nobody uses up the notices about changes. A `FraudPolicy` counts none.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Final

from otpverify import (
    AsyncVerifier,
    ConfigurationError,
    DeliveryError,
    Limit,
    Message,
    OtpVerifyError,
    Receipt,
    Verifier,
)
from otpverify.core.answers import Refused, Reserved
from otpverify.core.keys import mac, tag
from otpverify.engine.ports import call_port
from otpverify.errors import DeliveryUnavailable
from otpverify.integrations.web.flow import settled
from otpverify.integrations.web.sentences import Sentence
from otpverify.phone import mask
from otpverify.sms.account_notices import NoticeText, notice_text

_log = logging.getLogger("otpverify.integrations")

NOTICE_LIMITS: Final = (Limit(5, 86_400),)
"""How many such messages a number gets: 5 a day. One that certainly was not sent is not counted."""


class AccountChange(Enum):
    """What changed, or what was tried. The value is the sentence for e-mail and the like."""

    PHONE_ADDED = Sentence("A phone number was added to your account.")
    PHONE_CHANGED = Sentence("The phone number of your account was changed.")
    PHONE_REMOVED = Sentence("The phone number was removed from your account.")
    BACKUP_CODES_MADE = Sentence("New backup codes were made for your account.")
    BACKUP_CODE_USED = Sentence("A backup code was used to sign in to your account.")
    BROWSERS_FORGOTTEN = Sentence("All remembered browsers of your account were forgotten.")
    PASSWORD_RESET = Sentence("The password of your account was changed.")
    SIGN_IN_FAILED = Sentence("Somebody entered your password and then several incorrect codes.")

    @classmethod
    def to_phone(cls, before: str | None) -> AccountChange:
        """The change of an account that has got a phone.

        Args:
            before: The phone that it had.
        """
        return cls.PHONE_CHANGED if before else cls.PHONE_ADDED

    @property
    def sentence(self) -> Sentence:
        """The sentence."""
        return self.value

    @property
    def text(self) -> NoticeText:
        """Which text a message by SMS has."""
        if self is AccountChange.SIGN_IN_FAILED:
            return "sign_in"
        return "phone" if self.name.startswith("PHONE") else "factor"


NOT_YOU: Final = Sentence("If this was not you, contact us at once.")
"""The sentence that follows in an e-mail."""


@dataclass(frozen=True, slots=True, repr=False)
class AccountNotice:
    """A change to report to the person. The site's hook takes it, to send an e-mail.

    Attributes:
        account: The account's id.
        change: What changed.
        phone: The number that a message by SMS goes to, in E.164: the one that the account had
            before the change. `None` if it had none, and after a reset by phone: the person who
            reset the password holds that phone.
        locale: The person's language, a BCP 47 tag.
    """

    account: str
    change: AccountChange
    phone: str | None = None
    locale: str = "en"

    def __repr__(self) -> str:
        phone = None if self.phone is None else mask(self.phone)
        return f"AccountNotice({self.change.name}, phone={phone!r})"

    @property
    def sentences(self) -> tuple[Sentence, Sentence]:
        """What changed, and what to do if it was somebody else, for an e-mail."""
        return self.change.sentence, NOT_YOU


async def notify(
    verifier: Verifier | AsyncVerifier,
    notice: AccountNotice,
    *,
    by_sms: bool = True,
    brand: str | None = None,
    own: Callable[[AccountNotice], object] | None = None,
) -> bool:
    """Notify the person of a change, by SMS and in the site's own way. The change is made already,
    so that failures are logged, and change nothing.

    Args:
        verifier, brand: As for `send_notice`.
        notice: The notice.
        by_sms: Whether a message by SMS goes out.
        own: The site's own way, such as an e-mail. `False` says that it did not notify the person.

    Returns:
        Whether one of the two took the notice.

    Raises:
        ConfigurationError: As `send_notice`.
    """
    sent = by_sms and await send_notice(verifier, notice, brand=brand)
    if own is None:
        return sent
    try:
        return await settled(own(notice)) is not False or sent
    except Exception:  # of the site's function, or of any e-mail backend
        _log.exception("The person was not notified: %s", notice)
        return sent


async def send_notice(
    verifier: Verifier | AsyncVerifier, notice: AccountNotice, *, brand: str | None = None
) -> bool:
    """Send a notice by SMS. It raises no error of the gateway or the store: the change is made
    already, and stays. Failures are logged.

    Args:
        verifier: Its sender delivers. Take one that delivers in the background, so that the person
            need not wait.
        notice: The notice.
        brand: The name by which people know you, as for `Messages`.

    Returns:
        Whether the gateway took it.

    Raises:
        ConfigurationError: The brand cannot be used, or the verifier's parts do not work.
    """
    if notice.phone is None:
        return False
    issuer = verifier.engine.issuer
    text = notice_text(notice.change.text, locale=notice.locale, brand=brand)
    try:
        to = verifier.normalize(notice.phone)
        kind = "failed sign-in" if notice.change.text == "sign_in" else "account notice"
        counter = tag(mac(issuer.keyring.signing.tag_key, kind, to))
        reserved = await call_port(issuer.ports.reserve(counter, NOTICE_LIMITS), Reserved, Refused)
        if isinstance(reserved, Refused):
            _log.warning("%s was not sent by SMS: too many today.", notice)
            return False
        message = Message(to, text, secrets.token_hex(8))
        sent = issuer.ports.send(message)
        try:
            await call_port(sent, Receipt, part="The sender", error=DeliveryUnavailable)
        except DeliveryError as error:
            if not error.maybe_sent:
                await issuer.give_back(counter, reserved.at)
            raise
    except ConfigurationError:
        raise
    except OtpVerifyError as error:
        _log.warning("%s was not sent by SMS: %s", notice, error)
        return False
    return True
