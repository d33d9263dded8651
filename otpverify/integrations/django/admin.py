"""The admin's page for support: what the store knows of a phone number, and clearing its limits.

It needs the permission `otpverify.inspect_phone`, and for clearing `otpverify.unlock_phone`, too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import admin
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.contenttypes.models import ContentType
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils.decorators import method_decorator
from django.views.decorators.debug import sensitive_post_parameters

from otpverify import InvalidPhoneNumber, OtpVerifyError
from otpverify.console.inspection import Section, inspection_sections, unlocked_text
from otpverify.core.results import mask
from otpverify.integrations.django.conf import verifier_for
from otpverify.integrations.django.models import Phone

if TYPE_CHECKING:
    PhoneAdminBase = admin.ModelAdmin[Phone]
else:
    PhoneAdminBase = admin.ModelAdmin


class PhoneLookupForm(forms.Form):
    """Which number, and which of its purposes."""

    phone: forms.CharField = forms.CharField(
        label="Phone number",
        max_length=64,
        widget=forms.TextInput(attrs={"type": "tel", "autocomplete": "off"}),
    )
    purpose: forms.CharField = forms.CharField(
        label="Purpose", max_length=64, required=False, help_text="Empty for all of them."
    )


@admin.register(Phone)
class PhoneAdmin(PhoneAdminBase):
    """One page, which looks a number up by POST: numbers are in no address and no server's log."""

    def has_module_permission(self, request: HttpRequest) -> bool:
        """Whether the admin's index shows it."""
        return self.has_view_permission(request)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Whether the user may look numbers up."""
        return _has_permission(request, "otpverify.inspect_phone")

    def has_unlock_permission(self, request: HttpRequest) -> bool:
        """Whether the user may clear limits."""
        return _has_permission(request, "otpverify.unlock_phone")

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Never: there are no rows."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Never: there are no rows."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Never: there are no rows."""
        return False

    def get_urls(self) -> list[URLPattern]:
        """The page, in place of a list."""
        page = self.admin_site.admin_view(self.lookup_view)
        return [path("", page, name="otpverify_phone_changelist")]

    @method_decorator(sensitive_post_parameters("phone"))
    def lookup_view(self, request: HttpRequest) -> HttpResponse:
        """The page."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        form = PhoneLookupForm(request.POST if request.method == "POST" else None)
        context = {
            **self.admin_site.each_context(request),
            "title": "Look up a phone number",
            "opts": self.opts,
            "form": form,
            "may_unlock": self.has_unlock_permission(request),
        }
        if form.is_valid():
            try:
                context |= self._look_up(request, **form.cleaned_data)
            except InvalidPhoneNumber as error:
                form.add_error("phone", str(error))
            except OtpVerifyError as error:
                form.add_error(None, str(error))
        return TemplateResponse(request, "admin/otpverify/phone/lookup.html", context)

    def _look_up(self, request: HttpRequest, phone: str, purpose: str) -> dict[str, Any]:
        verifier, only = verifier_for(request), purpose or None
        found: dict[str, Any] = {}
        if "unlock" in request.POST:
            if not self.has_unlock_permission(request):
                raise PermissionDenied
            shown = mask(verifier.normalize(phone))
            verifier.unlock(phone, purpose=only)
            found["unlocked"] = unlocked_text(shown, only)
            self._log(request, shown, found["unlocked"])
        sections: list[Section] = list(inspection_sections(verifier.inspect(phone, purpose=only)))
        return {**found, "sections": sections}

    def _log(self, request: HttpRequest, shown: str, message: str) -> None:
        LogEntry.objects.create(
            user_id=request.user.pk,
            content_type=ContentType.objects.get_for_model(Phone),
            object_repr=shown,
            action_flag=CHANGE,
            change_message=message,
        )


def _has_permission(request: HttpRequest, name: str) -> bool:
    user: Any = request.user  # the admin needs users with permissions
    return bool(user.has_perm(name))
