"""Form fields and forms."""

from __future__ import annotations

from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.core.validators import MaxLengthValidator
from django.utils.translation import gettext_lazy as _

from otpverify import InvalidPhoneNumber
from otpverify.integrations.django.requests import said
from otpverify.integrations.django.verifiers import get_async_verifier
from otpverify.integrations.web.sentences import explain
from otpverify.phone import normalize

_LONGEST = 256


class PhoneField(forms.CharField):
    """A phone number, in E.164 once it is clean.

    Args:
        region: ISO 3166-1 code for numbers typed without country code. If left out, numbers are
            read as the verifier does, by `OTPVERIFY["REGION"]` and the policy's test numbers.
        kwargs: As for `CharField`.
    """

    widget = forms.TelInput(attrs={"autocomplete": "tel"})

    def __init__(self, *, region: str | None = None, **kwargs: Any) -> None:
        kwargs.setdefault("label", _("Phone number"))
        super().__init__(**kwargs)
        self.region = region
        self.validators.append(MaxLengthValidator(_LONGEST))

    def clean(self, value: Any) -> str:
        """The number in E.164.

        Raises:
            ValidationError: It is none; the code is `InvalidPhoneNumber.reason`.
        """
        typed = super().clean(value)
        if typed in self.empty_values:
            return ""
        try:
            if self.region is not None:
                return normalize(typed, self.region)
            # It is of either colour, whatever parts the settings name.
            return get_async_verifier().normalize(typed)
        except InvalidPhoneNumber as error:
            message, reason = said(explain(error)), error.reason
        raise ValidationError(message, code=reason or "invalid")


class CodeField(forms.CharField):
    """The code of a message. Spaces and hyphens in it are for `check` to forgive, so there is no
    greatest length of six."""

    widget = forms.TextInput(
        attrs={
            "inputmode": "numeric",
            "autocomplete": "one-time-code",
            "autocapitalize": "none",
            "spellcheck": "false",
            "class": "otpverify-code",
        }
    )

    def __init__(self, **kwargs: Any) -> None:
        kwargs.setdefault("label", _("Code from the message"))
        super().__init__(**kwargs)
        self.validators.append(MaxLengthValidator(_LONGEST))


class PhoneForm(forms.Form):
    """Asks for a number."""

    phone = PhoneField()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["phone"].widget.attrs["autofocus"] = True


class CodeForm(forms.Form):
    """Asks for a code."""

    code = CodeField()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["code"].widget.attrs["autofocus"] = True
