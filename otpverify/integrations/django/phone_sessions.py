"""Ends the sessions of a user when the phone changes, for the user model."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.utils.crypto import salted_hmac

from otpverify.integrations.django.requests import get_phone

_SALT = "otpverify.integrations.django.phone_sessions"


class EndsSessionsWithPhone:
    """Put before the other bases of the user model, makes the phone part of the session auth hash,
    beside the password:

        class Customer(EndsSessionsWithPhone, AbstractUser): ...

    A change of the phone then ends all sessions but the one that made it, as Django does for a
    change of the password: in every session backend, without middleware or a table. Users with a
    phone sign in once again after you add it.
    """

    def get_session_auth_hash(self) -> str:
        """See `AbstractBaseUser`."""
        return self._with_phone(super().get_session_auth_hash())  # type: ignore[misc]  # a mixin

    def get_session_auth_fallback_hash(self) -> Iterator[str]:
        """See `AbstractBaseUser`."""
        earlier: Any = super().get_session_auth_fallback_hash()  # type: ignore[misc]  # a mixin
        return map(self._with_phone, earlier)

    def _with_phone(self, auth_hash: str) -> str:
        phone = get_phone(self)
        if not phone:
            return auth_hash
        # Django's own hash has a key in it, one of SECRET_KEY_FALLBACKS, too. So this needs none.
        return salted_hmac(_SALT, phone, secret=auth_hash, algorithm="sha256").hexdigest()
