"""The admin, behind the login with a code."""

from __future__ import annotations

from collections.abc import Callable
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

from otpverify.integrations.django.pending_login import ask_again, has_second_factor
from otpverify.integrations.web.step_up import LONGEST_WINDOW, check_window

Site = TypeVar("Site", bound=AdminSite)


def protect_admin(
    site: Site,
    *,
    within: int = LONGEST_WINDOW,
    proven: Callable[[HttpRequest], bool] | None = None,
) -> Site:
    """Close the admin's own login, which asks for a password alone: its visitors go to
    `LOGIN_URL`, and come back. A user who is signed in and not allowed into the admin is refused.

        path("admin/", protect_admin(admin.site).urls)

    Each page needs a session that `LoginView` began with a second factor of this user: a code,
    another way in (also by `complete_login`), or a remembered browser. It ends when the user's
    password or phone changes. A sign-in by phone, a password alone, and other logins lead to
    `LOGIN_URL` again. So a user for whom `needs_code` is false does not get in.

    Args:
        site: The admin site, before its `urls` are read.
        within: For how many seconds after the login pages open, from 1 to 86400, a day.
        proven: Says in place of all this whether a request comes from a user who proved enough,
            such as `lambda request: True` where any login is enough, or for a login of another
            library.

    Returns:
        The same site.

    Raises:
        ConfigurationError: `within` is not such a number.
    """
    check_window(within, bound=False, aged=False)
    may_enter = site.has_permission

    def is_proven(request: HttpRequest) -> bool:
        return has_second_factor(request, within) if proven is None else bool(proven(request))

    def has_permission(request: HttpRequest) -> bool:
        return may_enter(request) and is_proven(request)

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
            if not may_enter(request):
                raise PermissionDenied
            ask_again(request)
        return redirect_to_login(target)

    site.has_permission = has_permission  # type: ignore[method-assign]  # every view asks it
    site.login = login  # type: ignore[method-assign, assignment]  # `urls` takes it from the site
    return site
