"""What a new customer is asked for."""

from __future__ import annotations

from django import forms

from accounts.models import Customer


class NewCustomerForm(forms.ModelForm):  # type: ignore[type-arg]  # generic in the stubs alone
    """On the page after the code. The number is the verified one, and no field."""

    class Meta:
        model = Customer
        fields = ("username", "email")
