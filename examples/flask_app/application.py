"""A Flask application whose flows come from otpverify."""

from __future__ import annotations

import secrets

from flask import Flask, abort, redirect, render_template, request, session, url_for
from werkzeug.wrappers import Response

from examples.flask_app import accounts
from otpverify import Limit, Policy, Verified
from otpverify.integrations.flask import OtpVerify, harden
from otpverify.integrations.web.backup_codes import MemoryBackupCodes

AMOUNTS, PAYEE = ("25.00 EUR", "40.00 EUR"), "Bookshop"  # yours come from the database

otp = OtpVerify()

otp.authenticate(accounts.with_password)
otp.get_phone(accounts.get_phone)
otp.find_accounts(accounts.with_phone)
otp.create_account(accounts.create)
otp.set_password(accounts.set_password)

# Enrolment: people change and remove their phone, make backup codes, and forget browsers.
otp.confirm_password(accounts.confirm_password)
otp.phone_taken(accounts.phone_taken)
otp.save_phone(accounts.save_phone)
otp.remove_phone(accounts.remove_phone)
otp.may_remove(accounts.has_user_name)
otp.auth_hash(accounts.auth_hash)
otp.forget_browsers(accounts.forget_browsers)
otp.use_backup_codes(MemoryBackupCodes())  # yours are in a table


@otp.needs_code
def needs_code(account: str) -> bool:
    """Without a phone, the password is enough."""
    return accounts.get_phone(account) is not None


@otp.account_loader
def account() -> str | None:
    """Who is signed in."""
    return session.get("account")


@otp.on_sign_in
@otp.on_login
def sign_in(account: str) -> None:
    """Password and code were right; or the phone and a code, without a password."""
    session["account"] = account


@otp.before_sign_in
def needs_password(account: str) -> Response | None:
    """An account with a user name has two factors: the phone alone is not enough."""
    return redirect(url_for("otpverify.login")) if accounts.has_user_name(account) else None


@otp.on_confirmed
def confirmed(verified: Verified) -> None:
    """Your application stores `verified.phone` here."""


def create_app(smspm: dict[str, str], **config: object) -> Flask:
    """The application.

    Args:
        smspm: The gateway's settings; here, the sandbox's.
        config: Further configuration.
    """
    app = Flask(__name__)
    app.config.update(
        SECRET_KEY=secrets.token_hex(32),  # yours comes from the environment
        SESSION_COOKIE_SAMESITE="Lax",
        SESSION_COOKIE_SECURE=False,  # this example has no TLS; set True on your site
        OTPVERIFY_BRAND="Example",
        OTPVERIFY_REGION="EE",
        OTPVERIFY_REMEMBER_DAYS=30,
        OTPVERIFY_FRAUD="observe",  # sign-up is public; enforce it on your site
        # Higher limits, for one person who tries everything from one address.
        OTPVERIFY_POLICY=Policy(sends_per_phone=(Limit(30, 3600),), sends_per_ip=()),
        **smspm,
    )
    app.config.update(config)
    otp.init_app(app)
    app.register_blueprint(otp.blueprint(), url_prefix="/account")
    app.after_request(harden)
    app.add_url_rule("/", view_func=index)
    app.add_url_rule("/sign-out", view_func=sign_out, methods=["POST"])
    app.add_url_rule("/payment", view_func=payment)
    app.add_url_rule("/payment", view_func=pay, methods=["POST"])
    return app


def index() -> str:
    """The first page."""
    return render_template("index.html", signed_in=account() is not None, **_demo())


def sign_out() -> Response:
    """SameSite=Lax keeps other sites from sending this form. Flask-WTF protects more."""
    session.pop("account", None)
    otp.forget()
    return redirect("/", 303)


def payment() -> str:
    """The form of a payment."""
    return render_template("payment.html", amounts=AMOUNTS, payee=PAYEE)


def approved() -> dict[str, str]:
    """What the code approves, and the message names."""
    amount = request.form.get("amount", "")
    if amount not in AMOUNTS:
        abort(400)
    return {"amount": amount, "payee": PAYEE}


@otp.code_required("payment", binding=approved)
def pay(verified: Verified) -> str:
    """Each payment needs a fresh code. The form is kept: after the code, one press pays."""
    assert verified.purpose == "payment"
    return render_template("payment.html", paid=request.form["amount"], payee=PAYEE)


def _demo() -> dict[str, str]:
    return {"user": accounts.USER, "password": accounts.PASSWORD, "phone": accounts.PHONE}
