"""Form fields and forms."""

from __future__ import annotations

from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.core.validators import MaxLengthValidator

from otpverify import AsyncVerifier, InvalidPhoneNumber, Verifier
from otpverify.integrations.django.conf import get_async_verifier
from otpverify.integrations.django.requests import lazy_text as _, say
from otpverify.integrations.web.sentences import (
    LONGEST_PASTE,
    LONGEST_PHONE,
    Sentence,
    explain,
)
from otpverify.phone import normalize


class PhoneError(ValidationError):
    """A phone number is not valid.

    Attributes:
        error: The library's error.
    """

    def __init__(self, error: InvalidPhoneNumber) -> None:
        super().__init__(say(explain(error)), code=error.reason or "invalid")
        self.error = error


class PhoneField(forms.CharField):
    """A phone number, in E.164 once it is clean.

    Args:
        region: ISO 3166-1 code for numbers typed without country code. If left out, numbers are
            read as the verifier does, by `OTPVERIFY["REGION"]` and the policy's test numbers.
        kwargs: As for `CharField`.

    Attributes:
        verifier: The verifier that reads numbers; that of the process if it is `None`. The views
            set their own.
    """

    verifier: Verifier | AsyncVerifier | None = None
    widget: forms.Widget = forms.TelInput(attrs={"autocomplete": "tel"})

    def __init__(self, *, region: str | None = None, **kwargs: Any) -> None:
        kwargs.setdefault("label", _("Phone number"))
        super().__init__(**kwargs)
        self.region = region
        self.validators.append(MaxLengthValidator(LONGEST_PHONE))

    def offer_countries(self, address: str) -> None:
        """Let the pages' script put a list of countries above the field, and group its digits.

        Args:
            address: Where the page has `otpverify-countries.json`.
        """
        region = self.region or (self.verifier or get_async_verifier()).engine.region
        self.widget.attrs |= {
            "data-countries": address,
            "data-country": say(Sentence("Country")),
            "data-no-country": say(Sentence("No country found.")),
            **({"data-region": region} if region else {}),
        }

    def clean(self, value: Any) -> str:
        """The number in E.164.

        Raises:
            PhoneError: It is not valid; the code is `InvalidPhoneNumber.reason`.
            ValidationError: It is missing or too long.
        """
        typed = super().clean(value)
        if typed in self.empty_values:
            return ""
        try:
            if self.region is not None:
                return normalize(typed, self.region)
            # The asynchronous verifier can be made with any sender; reading a number never waits.
            return (self.verifier or get_async_verifier()).normalize(typed)
        except InvalidPhoneNumber as error:
            invalid = error
        raise PhoneError(invalid)


class CodeField(forms.CharField):
    """The code of a message, or the message that holds it. `check` ignores spaces and hyphens, so
    the code's length is not the greatest length."""

    widget: forms.Widget = forms.TextInput(
        attrs={
            "inputmode": "numeric",
            "autocomplete": "one-time-code",
            "autocapitalize": "none",
            "spellcheck": "false",
            "dir": "ltr",
            "class": "otpverify-code",
        }
    )

    def __init__(self, **kwargs: Any) -> None:
        kwargs.setdefault("label", _("Code from the message"))
        super().__init__(**kwargs)
        self.validators.append(MaxLengthValidator(LONGEST_PASTE))


class PhoneForm(forms.Form):
    """Asks for a number."""

    phone: PhoneField = PhoneField()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["phone"].widget.attrs["autofocus"] = True


class CodeForm(forms.Form):
    """Asks for a code."""

    code: CodeField = CodeField()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["code"].widget.attrs["autofocus"] = True
