"""Views that a reader of the documentation writes on the Django integration."""

from __future__ import annotations

from typing import Any

import django_site

django_site.set_up()

from django.contrib.auth import get_user_model  # noqa: E402 - the settings come first
from django.http import HttpResponse, HttpResponseBase  # noqa: E402

from otpverify.integrations.django.forms import PhoneForm  # noqa: E402
from otpverify.integrations.django.requests import find_users  # noqa: E402 - as above
from otpverify.integrations.django.views import AsyncFlow, FlowView, Recipient  # noqa: E402


class Enter(FlowView):
    """Signs in by phone, people who have an account: what a reader of the page writes."""

    flow = "enter"
    purpose = "enter"
    public = True
    concealed = True
    form_class = PhoneForm
    template_name = "otpverify/phone.html"

    def get_recipient(self, form: Any) -> Recipient:
        return Recipient.typed(form.cleaned_data["phone"])

    def get_deliver(self, recipient: Recipient) -> bool:
        return bool(find_users(recipient.phone))

    def code_valid(self, verified: Any) -> HttpResponseBase:
        return HttpResponse("in")


class AsyncEnter(AsyncFlow, Enter):
    async def get_deliver(self, recipient: Recipient) -> bool:  # type: ignore[override]  # it is awaited
        found = get_user_model().objects.filter(phone=recipient.phone)
        return await found.aexists()
