"""Flask-Security's codes, sent by otpverify.

    otp = OtpVerify(app)
    app.config["SECURITY_SMS_SERVICE"] = sms_service(otp)

The codes are Flask-Security's: time-based, and checked by it. What is sent has otpverify's
cooldown, send limits, guards, fraud policy, languages, retries and events. It needs the extra
`flask-security`.
"""

from __future__ import annotations

import re
from typing import Any, Final

from otpverify import ConfigurationError
from otpverify.errors import needs_extra
from otpverify.integrations.web import foreign_codes
from otpverify.integrations.web.requests import client_address

with needs_extra("flask-security", "The sender for Flask-Security"):
    import cryptography  # noqa: F401  # Flask-Security itself asks for it at the first code
    from flask import current_app, has_request_context, request, session
    from flask_security import (
        SmsSenderBaseClass,
        SmsSenderFactory,
        tf_code_confirmed,
        tf_profile_changed,
        us_profile_changed,
        user_authenticated,
    )

    from otpverify.integrations.flask import OtpVerify

PURPOSE: Final = "login"
_CODE = re.compile(r"(?<!\d)\d{6,9}(?!\d)")  # as long as its codes can be
_services: dict[str, OtpVerify] = {}


def sms_service(otp: OtpVerify, name: str = "otpverify") -> str:
    """Let Flask-Security send its codes by this extension's verifier.

    Args:
        otp: The extension.
        name: The service's name. Each extension of a process needs its own.

    Returns:
        The name, for `SECURITY_SMS_SERVICE`. `SECURITY_SMS_SERVICE_CONFIG` is not needed: the
        sender ID is a setting of the gateway.
    """

    class Sender(SmsSenderBaseClass):
        """The sender of one extension; Flask-Security makes it without arguments."""

        def send_sms(self, from_number: str, to_number: str, msg: str) -> None:  # noqa: ARG002 - its interface
            """Send the code of a message, in otpverify's own text.

            Raises:
                ConfigurationError: The message does not have one code.
                OtpVerifyError: It was not sent. Flask-Security's page says that it failed.
            """
            found = _CODE.findall(msg)
            if len(found) != 1:
                raise ConfigurationError(
                    "There is not one code in the message: SECURITY_MSG_USE_CODE needs %(code)s, "
                    "and no other number of 6 to 9 digits."
                )
            here = has_request_context()
            foreign_codes.send_code(
                otp.verifier,
                session if here else None,
                to_number,
                found[0],
                ttl_seconds=current_app.config["SECURITY_TWO_FACTOR_SMS_VALIDITY"],
                purpose=PURPOSE,
                locale=otp._site.locale() if here else "en",
                client_ip=client_address(request.remote_addr) if here else None,
            )

    _services[name] = otp
    SmsSenderFactory.senders[name] = Sender
    return name


def _confirm(phone: str | None) -> None:
    otp = _services.get(current_app.config.get("SECURITY_SMS_SERVICE", ""))
    if otp is not None and phone and has_request_context():
        foreign_codes.confirm(otp.verifier, session, phone, purpose=PURPOSE)


# The signals after a right code. Those that other ways in send, too, say which way it was.


def _second_factor(_: object, *, user: Any, method: str, **__: object) -> None:
    if method == "sms":
        _confirm(user.tf_phone_number)


def _unified_setup(_: object, *, user: Any, methods: list[str], delete: bool, **__: object) -> None:
    if "sms" in methods and not delete:
        _confirm(user.us_phone_number)


def _unified_sign_in(_: object, *, user: Any, authn_via: list[str] | None, **__: object) -> None:
    if "sms" in (authn_via or ()):
        _confirm(user.us_phone_number)


tf_code_confirmed.connect(_second_factor)
tf_profile_changed.connect(_second_factor)
us_profile_changed.connect(_unified_setup)
user_authenticated.connect(_unified_sign_in)
