"""Notices to the person when the phone or another factor of the account changed (OWASP ASVS 5.0,
6.3.7): by SMS and by e-mail."""

from __future__ import annotations

from functools import partial
from typing import Any

from django.core.mail import send_mail
from django.http import HttpRequest

from otpverify.integrations.django import accounts, conf, requests
from otpverify.integrations.django.base import FlowView
from otpverify.integrations.web import account_notices as web
from otpverify.integrations.web.account_notices import AccountChange, AccountNotice


async def notify(view: FlowView, user: Any, change: AccountChange, phone: str | None) -> bool:
    """Notify the person of a change, by SMS and in the project's way or by e-mail.

    Args:
        view: The view that made it.
        user: The account.
        change: What changed.
        phone: The number that the account had before.

    Returns:
        Whether one of the ways took the notice.
    """
    return await web.notify(
        view.web_flow.verifier,
        AccountNotice(accounts.key(user), change, phone, requests.locale()),
        by_sms=conf.option("NOTICES") is not False,
        brand=getattr(conf.option("MESSAGES"), "brand", None),
        own=partial(view.call, _send_otherwise, view.request, user),
    )


def _send_otherwise(request: HttpRequest, user: Any, notice: AccountNotice) -> bool:
    """Call `ON_ACCOUNT_CHANGE`; without it, send an e-mail to a user who has an address.

    Returns:
        Whether the person has such a way, and it did not return `False`.
    """
    own = conf.function("ON_ACCOUNT_CHANGE")
    if own is not None:
        return own(request, user, notice) is not False
    address = getattr(user, user.get_email_field_name(), "")
    if address:
        subject, text = map(requests.say, notice.sentences)
        send_mail(subject, f"{subject} {text}", None, [address])
    return bool(address)
