"""The admin, behind the login with a code."""

from __future__ import annotations

from typing import TypeVar

from django.contrib.admin import AdminSite
from django.contrib.auth import REDIRECT_FIELD_NAME
from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponseBase, HttpResponseRedirect
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.cache import never_cache

Site = TypeVar("Site", bound=AdminSite)


def protect_admin(site: Site) -> Site:
    """Close the admin's own login, which asks for a password alone: its visitors go to
    `LOGIN_URL`, and come back. A user who is signed in and not allowed into the admin is refused.

        path("admin/", protect_admin(admin.site).urls)

    Args:
        site: The admin site, before its `urls` are read.

    Returns:
        The same site.
    """

    @never_cache
    @login_not_required
    def login(request: HttpRequest, extra_context: object = None) -> HttpResponseBase:
        index = reverse("admin:index", current_app=site.name)
        wanted = request.GET.get(REDIRECT_FIELD_NAME, "")
        safe = url_has_allowed_host_and_scheme(
            wanted, {request.get_host()}, require_https=request.is_secure()
        )
        target = wanted if safe else index
        if site.has_permission(request):
            return HttpResponseRedirect(target)
        if request.user.is_authenticated:
            raise PermissionDenied
        return redirect_to_login(target)

    site.login = login  # type: ignore[method-assign, assignment]  # `urls` takes it from the site
    return site
