"""django-allauth's codes for phones, sent by otpverify.

    INSTALLED_APPS += ["otpverify.integrations.django"]
    ACCOUNT_ADAPTER = "otpverify.integrations.allauth.PhoneAdapter"

The codes are allauth's, and checked by it: phone verification, sign-in by code and
reauthentication by code, as pages and headless. What is sent has otpverify's cooldown, send
limits, guards, fraud policy, languages, retries and events. The verifier is that of `OTPVERIFY`.
It needs the extra `allauth`.
"""

from __future__ import annotations

import secrets
import time
from typing import Any, ClassVar, Final

from otpverify import (
    ConfigurationError,
    DeliveryError,
    InvalidPhoneNumber,
    OtpVerifyError,
    Verifier,
)
from otpverify.errors import needs_extra
from otpverify.integrations.web import foreign_codes, run_sync
from otpverify.integrations.web.sentences import explain
from otpverify.integrations.web.sign_in import match_account

with needs_extra("allauth", "The adapter for django-allauth"):
    from allauth.account import app_settings
    from allauth.account.adapter import DefaultAccountAdapter
    from allauth.core.exceptions import ImmediateHttpResponse, RateLimited
    from allauth.core.ratelimit import respond_429
    from django.contrib import messages
    from django.http import HttpRequest

    from otpverify.integrations.django import requests
    from otpverify.integrations.django.conf import verifier_for
    from otpverify.integrations.django.forms import PhoneError, PhoneField

VERIFY: Final = "phone"
SIGN_IN: Final = "sign-in"
_HELD: Final = "otpverify_allauth"


class NotSent(RateLimited, ImmediateHttpResponse):  # type: ignore[misc]  # the package has no types
    """A message was refused. allauth's views for another code show it as their own limit; all
    others answer 429, as a page or as JSON."""

    def __init__(self, request: HttpRequest) -> None:
        ImmediateHttpResponse.__init__(self, respond_429(request))


class PhoneAdapter(DefaultAccountAdapter):  # type: ignore[misc]  # the package has no types
    """The account adapter. Phones are in the user's fields; override the methods that read and
    write them where they are elsewhere.

    Attributes:
        phone_verified_field: The boolean field that says whether the phone was verified; the phone
            itself is in `OTPVERIFY["PHONE_FIELD"]`.
    """

    phone_verified_field: ClassVar[str] = "phone_verified"

    # Codes.

    def generate_phone_verification_code(self, *, user: Any, phone: str) -> str:
        """Draw a code; or give the one that this session's last message to the number has, while
        allauth accepts it. allauth replaces the code before it asks whether another message may be
        sent, so a new one would make the code of the last message invalid."""
        held = self.request.session.get(_HELD)
        if isinstance(held, list) and len(held) == 4:
            *whose, code, until = held
            if whose == [str(user.pk), phone] and time.time() < until:
                return str(code)
        drawn: str = super().generate_phone_verification_code(user=user, phone=phone)
        return drawn

    def send_verification_code_sms(
        self,
        user: Any,
        phone: str,
        code: str,
        **kwargs: Any,
    ) -> None:
        """Send a code.

        Args:
            user: The account.
            phone: Its number, in E.164.
            code: The code.
            kwargs: `reauthentication` from sign-in by code; nothing from phone verification.

        Raises:
            NotSent: A limit, a guard or the fraud policy refused it.
        """
        seconds = self._send(phone, code, sign_in="reauthentication" in kwargs, exists=True)
        self.request.session[_HELD] = [str(user.pk), phone, code, time.time() + seconds]

    def send_unknown_account_sms(self, phone: str, **kwargs: Any) -> None:  # noqa: ARG002 - its interface
        """Count a message to a number without an account, and send none, so that limits do not
        show who has an account.

        Raises:
            NotSent: As for a number that has one.
        """
        self._send(phone, _nothing(), sign_in=True, exists=False)

    def send_account_already_exists_sms(self, phone: str) -> None:
        """The same for a sign-up with a number that has an account.

        Raises:
            NotSent: As for a number that has none.
        """
        self._send(phone, _nothing(), sign_in=False, exists=False)

    def _send(self, phone: str, code: str, *, sign_in: bool, exists: bool) -> float:
        """Send a code, or count it; return how many seconds allauth accepts it."""
        request = self.request
        seconds: float = (
            app_settings.LOGIN_BY_CODE_TIMEOUT
            if sign_in
            else app_settings.PHONE_VERIFICATION_TIMEOUT
        )
        concealed = bool(app_settings.PREVENT_ENUMERATION) and not request.user.is_authenticated
        if not exists and not concealed:
            return seconds
        try:
            foreign_codes.send_code(
                self.get_verifier(background=concealed),
                request.session,
                phone,
                code,
                ttl_seconds=seconds,
                purpose=SIGN_IN if sign_in else VERIFY,
                locale=requests.locale(),
                client_ip=requests.client_ip(request),
                deliver=exists if concealed else None,
            )
        except DeliveryError as error:
            self.add_message(request, messages.ERROR, message=requests.say(explain(error)))
        except (ConfigurationError, InvalidPhoneNumber):
            raise
        except OtpVerifyError as error:
            self.add_message(request, messages.ERROR, message=requests.say(explain(error)))
            raise NotSent(request) from error
        return seconds

    def get_verifier(self, *, background: bool = False) -> Verifier:
        """The verifier for this request.

        Args:
            background: Whether it delivers in threads, so that the time of a reply does not show
                whether there is an account.
        """
        return verifier_for(self.request, background=background)

    # Numbers in any spelling.

    def phone_form_field(self, **kwargs: Any) -> Any:
        """A field that takes a number in any spelling."""
        return PhoneField(**kwargs)

    def clean_phone(self, phone: str) -> str:
        """The number in E.164, where allauth's own field reads it (headless).

        Raises:
            ValidationError: It is not valid.
        """
        try:
            return self.get_verifier().normalize(phone)
        except InvalidPhoneNumber as error:
            invalid = error
        raise PhoneError(invalid)

    # Where the account keeps its number.

    def get_phone(self, user: Any) -> tuple[str, bool] | None:
        """The account's number, and whether it was verified; `None` if there is none."""
        phone = requests.get_phone(user)
        return (phone, bool(getattr(user, self.phone_verified_field))) if phone else None

    def set_phone(self, user: Any, phone: str, verified: bool) -> None:
        """Save the account's number."""
        setattr(user, self._phone_field, phone)
        setattr(user, self.phone_verified_field, verified)
        user.save(update_fields=[self._phone_field, self.phone_verified_field])

    def set_phone_verified(self, user: Any, phone: str) -> None:
        """Save that the number was verified, and confirm its code."""
        self.set_phone(user, phone, True)
        if self.request is None:  # a command or a task of the site
            return
        self.request.session.pop(_HELD, None)
        for purpose in (VERIFY, SIGN_IN):
            foreign_codes.confirm(self.get_verifier(), self.request.session, phone, purpose=purpose)

    def get_user_by_phone(self, phone: str) -> Any:
        """The one account with the number; `None` if there is none, or more than one."""
        return run_sync(match_account(phone, requests.users_with)).account

    @property
    def _phone_field(self) -> str:
        found = requests.phone_field()
        if "__" in found:
            raise ConfigurationError(
                f"{found} is not a field of the user: override set_phone of PhoneAdapter."
            )
        return found


def _nothing() -> str:
    """Text in place of a code, for a message that is counted and not sent."""
    return secrets.token_hex(3)
