"""Flask-Security with `sms_service`: two-factor set-up and login, unified sign-in. It is run by
`test_auth_libraries.py`."""

from __future__ import annotations

import json
from typing import Any

import pytest
from flask import Flask
from flask_security import RoleMixin, Security, UserMixin
from flask_security.datastore import UserDatastore
from support import QUICK

from otpverify import ConfigurationError, DeliveryRejected, FraudPolicy, MemoryStore
from otpverify.integrations.flask import OtpVerify
from otpverify.integrations.flask_security import sms_service
from otpverify.testing import OutboxSender

PHONE = "+37256789045"
PASSWORD = "open sesame, please"
# Flask-Security's forms do not follow the newest WTForms yet.
pytestmark = pytest.mark.filterwarnings("ignore:Passing SelectField choices:DeprecationWarning")


class User(UserMixin):
    """An account."""

    id = 1
    email = "ann@example.com"
    username = "ann"
    password = PASSWORD
    fs_uniquifier = "unique"
    active = True
    roles: list[Any] = []  # noqa: RUF012 - nobody changes it
    tf_phone_number: str | None = None
    tf_primary_method: str | None = None
    tf_totp_secret: str | None = None
    us_phone_number: str | None = None
    us_totp_secrets: str | None = None


class Users(UserDatastore):
    """Users in memory."""

    def __init__(self) -> None:
        super().__init__(User, RoleMixin)
        self.users: list[User] = []

    def find_user(self, case_insensitive: bool = False, **query: Any) -> Any:
        for user in self.users:
            if all(str(getattr(user, name)) == str(value) for name, value in query.items()):
                return user
        return None

    def put(self, model: Any) -> Any:
        return model

    def commit(self) -> None:
        pass

    def delete(self, model: Any) -> None:
        self.users.remove(model)


class Site:
    def __init__(self, **config: Any) -> None:
        self.outbox = OutboxSender()
        self.app = Flask("shop")
        self.app.config.update(
            SECRET_KEY="a key of the session's cookie",
            SECURITY_PASSWORD_SALT="a salt of the passwords",
            SECURITY_PASSWORD_HASH="plaintext",
            SECURITY_PASSWORD_SINGLE_HASH=True,
            SECURITY_PASSWORD_SCHEMES=["plaintext"],
            SECURITY_TWO_FACTOR=True,
            SECURITY_TWO_FACTOR_ENABLED_METHODS=["sms"],
            SECURITY_TWO_FACTOR_REQUIRED=False,
            SECURITY_TOTP_SECRETS={"1": "TjQ9Qa31VOrfEzuPy4VHQWPCTmRzCnFzMKLxXYiZu9B"},
            SECURITY_TOTP_ISSUER="shop",
            SECURITY_PHONE_REGION_DEFAULT="EE",
            OTPVERIFY_REGION="EE",
            WTF_CSRF_ENABLED=False,
            TESTING=True,
            **config,
        )
        self.otp = OtpVerify(
            self.app,
            sender=self.outbox,
            store=MemoryStore(),
            hasher=QUICK,
            fraud=FraudPolicy(),
        )
        self.app.config["SECURITY_SMS_SERVICE"] = sms_service(self.otp)
        self.users = Users()
        Security(self.app, self.users)
        self.user = User()
        self.users.users.append(self.user)

    @property
    def known(self) -> Any:
        with self.app.app_context():
            return self.otp.verifier.inspect(PHONE).known

    def log_in(self, browser: Any) -> Any:
        return browser.post("/login", json={"email": self.user.email, "password": PASSWORD})


def test_a_second_factor_is_set_up_and_used() -> None:
    site = Site()
    browser = site.app.test_client()
    assert site.log_in(browser).status_code == 200
    reply = browser.post("/tf-setup", json={"setup": "sms", "phone": "5678 9045"})
    assert reply.status_code == 200, reply.json
    assert [message.to for message in site.outbox.messages] == [PHONE]
    assert "2 minutes" in site.outbox.last.text
    assert site.known is False
    replied: Any = reply.json
    address = f"/tf-setup/{replied['response']['tf_state_token']}"
    reply = browser.post(address, json={"code": site.outbox.code()})
    assert reply.status_code == 200, reply.json
    assert site.known is True


def test_a_login_is_confirmed() -> None:
    site = Site()
    with site.app.app_context():
        secret = site.app.extensions["security"].totp_factory.generate_totp_secret()
    site.user.tf_primary_method = "sms"
    site.user.tf_totp_secret = secret
    site.user.tf_phone_number = PHONE
    browser = site.app.test_client()
    reply = site.log_in(browser)
    assert reply.json["response"]["tf_required"] is True
    wrong = "000000" if site.outbox.code() != "000000" else "111111"
    assert browser.post("/tf-validate", json={"code": wrong}).status_code == 400
    assert site.known is False
    assert browser.post("/tf-validate", json={"code": site.outbox.code()}).status_code == 200
    assert site.known is True


@pytest.mark.parametrize("fault", ["gateway", "cooldown"])
def test_a_code_that_is_not_sent_is_reported(fault: str) -> None:
    site = Site()
    browser = site.app.test_client()
    site.log_in(browser)
    if fault == "gateway":
        site.outbox.fail_with = DeliveryRejected("no", provider_code="no_balance")
    else:
        browser.post("/tf-setup", json={"setup": "sms", "phone": PHONE})
    reply = browser.post("/tf-setup", json={"setup": "sms", "phone": PHONE})
    assert reply.status_code in (400, 500)
    assert len(site.outbox) == (fault == "cooldown")


def test_unified_sign_in() -> None:
    site = Site(
        SECURITY_UNIFIED_SIGNIN=True,
        SECURITY_US_ENABLED_METHODS=["sms", "password"],
        SECURITY_US_MFA_REQUIRED=[],
        SECURITY_USER_IDENTITY_ATTRIBUTES=[
            {"email": {"mapper": lambda typed: typed if "@" in typed else None}},
            {"us_phone_number": {"mapper": lambda typed: None if "@" in typed else typed}},
        ],
    )
    with site.app.app_context():
        secret = site.app.extensions["security"].totp_factory.generate_totp_secret()
    site.user.us_phone_number = PHONE
    site.user.us_totp_secrets = json.dumps({"sms": secret})
    browser = site.app.test_client()
    body = {"identity": site.user.email, "chosen_method": "sms"}
    assert browser.post("/us-signin/send-code", json=body).status_code == 200
    assert [message.to for message in site.outbox.messages] == [PHONE]
    body = {"identity": site.user.email, "passcode": site.outbox.code()}
    assert browser.post("/us-signin", json=body).status_code == 200
    assert site.known is True


def test_a_message_without_a_code_is_a_mistake_of_the_site() -> None:
    site = Site()
    from flask_security import SmsSenderFactory

    sender = SmsSenderFactory.createSender("otpverify")
    for text in ("Hello", "123456 or 234567"):
        with site.app.app_context(), pytest.raises(ConfigurationError):
            sender.send_sms(from_number="", to_number=PHONE, msg=text)
