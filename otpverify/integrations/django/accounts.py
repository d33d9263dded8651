"""An account: its name and stamps in sessions, and its phone: whose it is, and saving another
one."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

from django.contrib.auth import get_user_model
from django.core.exceptions import ImproperlyConfigured
from django.db import IntegrityError, models, transaction

from otpverify import ChallengeExpired, InvalidPhoneNumber
from otpverify.integrations.django import conf
from otpverify.integrations.django.requests import (
    get_phone,
    phone_field,
    phone_is_username,
    users_with,
)
from otpverify.integrations.web.session_stamp import SessionStamp
from otpverify.phone import normalize


def key(user: Any) -> str:
    """The account's id, as sessions and signed texts name it."""
    return str(user._meta.pk.value_to_string(user))


def save_stamp(stamp: SessionStamp, user: Any) -> None:
    """State something of an account in the session, until its password or phone changes."""
    stamp.save(key(user), *facts(user))


def has_stamp(stamp: SessionStamp, user: Any) -> bool:
    """Whether the session states it of this account, as it is now."""
    return stamp.account(lambda _: facts(user)) == key(user)


def facts(user: Any) -> tuple[str | None, ...]:
    """What statements about an account depend on: its session auth hash, and its phone."""
    return user.get_session_auth_hash(), get_phone(user)


def has_other_owner(phone: str, user: Any) -> bool:
    """Whether another account has this number.

    Args:
        phone: In E.164.
        user: The account that may have it.

    Raises:
        ImproperlyConfigured: `PHONE_FIELD` is not set.
    """
    return any(other.pk != user.pk for other in users_with(phone))


def normalize_new(instance: Any, raw: bool = False, **_: Any) -> None:
    """A receiver of `pre_save`: where the phone is the user name, a new account is saved with the
    number in E.164, however it was typed, such as for `createsuperuser`. Otherwise `PhoneBackend`
    would not find it. A user name that is not a phone stays."""
    if raw or not instance._state.adding:
        return
    try:
        users = get_user_model()
    except ImproperlyConfigured:  # a project without users saves other models
        return
    if not isinstance(instance, users):
        return
    if not phone_is_username():
        return
    with suppress(InvalidPhoneNumber):
        phone = normalize(str(instance.get_username()), conf.option("REGION"))
        setattr(instance, phone_field(), phone)


def save_phone(user: Any, phone: str | None, old: str | None) -> None:
    """Save the number of an account in `PHONE_FIELD`, if the account still has the old one.

    Args:
        user: The account. The object has the new number, too.
        phone: In E.164; `None` removes it.
        old: What `get_phone` gave.

    Raises:
        ChallengeExpired: Another request saved another number in between.
        ImproperlyConfigured: `PHONE_FIELD` is not set, or names nothing that this account has.
    """
    *path, name = phone_field().split("__")
    holder = user
    for step in path:
        holder = getattr(holder, step, None)
    if holder is None:
        raise ImproperlyConfigured(
            f"This account has no {'.'.join(path)} to save the phone in. Override save_phone()."
        )
    field = holder._meta.get_field(name)
    value = ("" if not field.null else None) if phone is None else phone
    missing = models.Q(**{name: ""}) | models.Q(**{f"{name}__isnull": True})
    with transaction.atomic():
        same = holder._meta.concrete_model._default_manager.filter(pk=holder.pk)
        same = same.filter(missing) if old is None else same.filter(**{name: old})
        if same.update(**{name: value}) != 1:  # one request of several
            raise ChallengeExpired
        setattr(holder, name, value)
        holder.save(update_fields=[name])  # for receivers of post_save


def saved_alone(save: Callable[..., object], user: Any, phone: str, old: str | None) -> bool:
    """Save a number, unless a unique field shows that another account has it.

    Args:
        save: As `save_phone`.
        user, phone, old: Its arguments.

    Returns:
        Whether it was saved.
    """
    try:
        with transaction.atomic():
            save(user, phone, old)
    except IntegrityError:
        if not has_other_owner(phone, user):
            raise
        user.refresh_from_db()  # nothing was saved
        return False
    return True
