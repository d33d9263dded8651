"""Sign in with a password, and the phone number as the user name, however people type it:

AUTHENTICATION_BACKENDS = ["otpverify.integrations.django.backends.PhoneBackend"]
"""

from __future__ import annotations

from typing import Any

from asgiref.sync import sync_to_async
from django import forms
from django.contrib.auth import get_user_model
from django.contrib.auth.backends import ModelBackend
from django.contrib.auth.forms import AuthenticationForm
from django.http import HttpRequest

from otpverify import InvalidPhoneNumber
from otpverify.integrations.django import requests
from otpverify.integrations.django.conf import averifier_for, get_async_verifier
from otpverify.integrations.django.forms import PhoneField
from otpverify.integrations.web.sentences import LONGEST_PHONE


class PhoneBackend(ModelBackend):
    """Django's `ModelBackend`, which also takes a phone number in any spelling, read by the
    verifier's region. `PHONE_FIELD` holds the number, in E.164. It may be the `USERNAME_FIELD`, or
    a field beside it; then people sign in by either, and a number that several accounts have
    signs nobody in.

    A user name that is not a phone number is looked up as it was typed. As in `ModelBackend`, a
    password is hashed once, whether there is an account or not; the same number of queries are
    made for both.
    """

    def authenticate(
        self,
        request: HttpRequest | None,
        username: str | None = None,
        password: str | None = None,
        **kwargs: Any,
    ) -> Any:
        """The user with this number, or name, and password; `None` if there is none."""
        return super().authenticate(
            request, self._username(request, username, kwargs), password, **kwargs
        )

    async def aauthenticate(
        self,
        request: HttpRequest | None,
        username: str | None = None,
        password: str | None = None,
        **kwargs: Any,
    ) -> Any:
        """`authenticate`, asynchronous."""
        found = await sync_to_async(self._username)(request, username, kwargs)
        return await super().aauthenticate(request, found, password, **kwargs)

    def _username(
        self, request: HttpRequest | None, username: str | None, more: dict[str, Any]
    ) -> str | None:
        known: Any = get_user_model()
        typed = more.get(known.USERNAME_FIELD) if username is None else username
        if not isinstance(typed, str):
            return typed
        verifier = get_async_verifier() if request is None else averifier_for(request)
        try:
            phone = verifier.normalize(typed)
        except InvalidPhoneNumber:
            return typed
        if requests.phone_is_username():
            return phone
        users = requests.users_with(phone)
        return users[0].get_username() if len(users) == 1 else typed


class PhoneAuthenticationForm(AuthenticationForm):
    """Django's form for user name and password, where the user name is a phone number. It takes
    every spelling, and cleans the number to E.164."""

    username: PhoneField = PhoneField(
        widget=forms.TelInput(attrs={"autocomplete": "username", "autofocus": True})
    )

    def __init__(self, request: Any = None, *args: Any, **kwargs: Any) -> None:
        super().__init__(request, *args, **kwargs)
        field: Any = self.fields["username"]
        # The model's field holds E.164, which is shorter than what people type.
        field.widget.attrs["maxlength"] = LONGEST_PHONE
        if self.is_bound and request is not None:
            field.verifier = averifier_for(request)
