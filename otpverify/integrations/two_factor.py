"""django-two-factor-auth's codes, sent by otpverify.

    INSTALLED_APPS += ["otpverify.integrations.django"]
    MIDDLEWARE += ["two_factor.middleware.threadlocals.ThreadLocals"]
    TWO_FACTOR_SMS_GATEWAY = "otpverify.integrations.two_factor.Gateway"

The codes are django-two-factor-auth's: time-based, and checked by it. What is sent has otpverify's
cooldown, send limits, guards, fraud policy, languages, retries and events. The verifier is that of
`OTPVERIFY`. It needs the extra `two-factor`.
"""

from __future__ import annotations

import logging
from typing import Any, Final

from otpverify import CooldownActive, OtpVerifyError
from otpverify.errors import needs_extra
from otpverify.integrations.web import foreign_codes
from otpverify.integrations.web.sentences import explain

with needs_extra("two-factor", "The gateway for django-two-factor-auth"):
    from django.contrib import messages
    from django.db.models.signals import post_save
    from django.http import HttpRequest
    from two_factor.middleware.threadlocals import get_current_request
    from two_factor.signals import user_verified

    from otpverify.integrations.django import requests
    from otpverify.integrations.django.conf import get_verifier, verifier_for

PURPOSE: Final = "login"
_STEP_SECONDS: Final = 30
_EARLIER_STEPS: Final = 5  # that PhoneDevice.validate_token accepts
_log = logging.getLogger("otpverify.integrations")


class Gateway:
    """The gateway for `TWO_FACTOR_SMS_GATEWAY`.

    The person's address, for the limit per network, the language and the confirmation of accepted
    codes need `two_factor.middleware.threadlocals.ThreadLocals`.
    """

    def send_sms(self, device: Any, token: str) -> None:
        """Send a code.

        At a login, a refusal by the cooldown changes nothing, since the code of a moment ago is
        still good; any other failure is logged, and the page says so by `django.contrib.messages`.

        Args:
            device: The `PhoneDevice`.
            token: The code.

        Raises:
            OtpVerifyError: The code was not sent, while a phone is being added: the page of
                django-two-factor-auth says that it failed.
        """
        request = get_current_request()
        try:
            foreign_codes.send_code(
                _verifier(request),
                None if request is None else request.session,
                device.number.as_e164,
                token,
                ttl_seconds=_STEP_SECONDS * _EARLIER_STEPS,
                purpose=PURPOSE,
                locale=requests.locale(),
                client_ip=None if request is None else requests.client_ip(request),
                trusted=device.pk is not None,
            )
        except CooldownActive:
            if device.pk is None:
                raise
        except OtpVerifyError as error:
            if device.pk is None or request is None:
                raise
            messages.error(request, requests.say(explain(error)), fail_silently=True)

    def make_call(self, device: Any, token: str) -> None:
        """Refuse: otpverify sends messages only.

        Raises:
            NotImplementedError: Always. Leave `TWO_FACTOR_CALL_GATEWAY` unset.
        """
        raise NotImplementedError("otpverify makes no calls; leave TWO_FACTOR_CALL_GATEWAY unset.")


def _verifier(request: HttpRequest | None) -> Any:
    return get_verifier() if request is None else verifier_for(request)


def _accepted(request: HttpRequest | None, device: Any) -> None:
    if request is not None and hasattr(device, "number"):  # not an authenticator app
        foreign_codes.confirm(
            _verifier(request), request.session, device.number.as_e164, purpose=PURPOSE
        )


def _at_login(*, request: HttpRequest, device: Any, **_: Any) -> None:
    _accepted(request, device)


def _at_enrolment(*, instance: Any, created: bool, **_: Any) -> None:
    """A device is saved once its first code was right."""
    if created:
        _accepted(get_current_request(), instance)


user_verified.connect(_at_login, dispatch_uid="otpverify")
post_save.connect(_at_enrolment, sender="phonenumber.PhoneDevice", dispatch_uid="otpverify")
