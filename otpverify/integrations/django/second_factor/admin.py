"""The admin's page for support: how many backup codes a user has left. It shows no code."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.contrib.auth import get_user_model
from django.db.models import Count, OuterRef, Subquery
from django.http import HttpRequest

from otpverify.integrations.django.second_factor.models import BackupCode

if TYPE_CHECKING:
    CodeAdminBase = admin.ModelAdmin[BackupCode]
else:
    CodeAdminBase = admin.ModelAdmin


@admin.register(BackupCode)
class BackupCodeAdmin(CodeAdminBase):
    """A list with a line for each user who has codes, and nothing behind it."""

    list_display: tuple[str, ...] = ("user", "codes_left")
    list_display_links: None = None
    actions: None = None

    def get_search_fields(self, request: HttpRequest) -> tuple[str, ...]:
        """By user name."""
        return (f"user__{get_user_model().USERNAME_FIELD}",)

    def get_queryset(self, request: HttpRequest) -> Any:
        """One code of each user, with their number."""
        every = BackupCode.objects.filter(user=OuterRef("user")).order_by("pk")
        count = every.order_by().values("user").annotate(count=Count("pk")).values("count")
        found = super().get_queryset(request).select_related("user")
        return found.filter(pk=Subquery(every.values("pk")[:1])).annotate(left=Subquery(count))

    @admin.display(description="codes left")
    def codes_left(self, code: Any) -> int:
        """How many codes the user has left."""
        return int(code.left)

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Only the user makes codes."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """There is nothing to change."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """There is nothing to delete here."""
        return False

    def change_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        """No page shows a code, not even its hash."""
        return self.changelist_view(request)
