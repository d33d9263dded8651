"""Checks read only, and those of a deployment are apart; verifiers of a request, and settings that
change."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from celery import Celery
from django.conf import settings
from django.contrib import admin
from django.contrib.auth import get_user_model
from django.contrib.auth.views import redirect_to_login
from django.core import checks
from django.db.models import Q, UniqueConstraint
from django.http import HttpRequest
from django.test import Client, RequestFactory, override_settings
from django.urls import NoReverseMatch, Resolver404, include, path, resolve, reverse
from django_support import BASE, urlconf
from support import LONG, OTHER_PHONE, OTHER_SECRET, PHONE, QUICK, SECRET, long_form

from otpverify import (
    AsyncRedisStore,
    AsyncVerifier,
    ConfigurationError,
    HmacHasher,
    MemoryStore,
    Message,
    Receipt,
    Verifier,
)
from otpverify.integrations.celery import CelerySender
from otpverify.integrations.django import get_async_verifier, get_verifier
from otpverify.integrations.django.admin_login import protect_admin
from otpverify.integrations.django.checks import (
    check_admin,
    check_enrolment,
    check_sign_in,
    check_views,
)
from otpverify.integrations.django.conf import averifier_for, verifier_for
from otpverify.integrations.django.phone_sessions import EndsSessionsWithPhone
from otpverify.integrations.django.urls import flow_urls
from otpverify.integrations.django.views import (
    AsyncDeliveryReportView,
    AsyncEnrolmentView,
    AsyncFlow,
    AsyncSignInView,
    CurrentPhoneView,
    DeliveryReportView,
    EnrolmentView,
    LoginView,
    PasswordResetView,
    PhoneView,
    SignInView,
)
from otpverify.testing import OutboxSender

PROJECT = {
    "project.py": """
SECRET_KEY = "a key of the project's sessions"
INSTALLED_APPS = [
    "django.contrib.auth", "django.contrib.contenttypes", "django.contrib.sessions",
    "otpverify.integrations.django", "shop",
]
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": "site.db"}}
MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
OTPVERIFY = {options}
""",
    "shop/__init__.py": "",
    "shop/migrations/__init__.py": "",
    "shop/models.py": """
from django.db import models
class Order(models.Model):
    phone = models.CharField(max_length=16)
""",
    "shop/tests.py": """
from django.test import TestCase
from shop.models import Order
class Orders(TestCase):
    def test_order(self):
        Order.objects.create(phone="+37256789045")
""",
}


def managed(folder: Path, *arguments: str) -> tuple[int, str]:
    names = ("SMSPM_", "OTPVERIFY_", "DJANGO_")
    environ = {name: value for name, value in os.environ.items() if not name.startswith(names)}
    done = subprocess.run(
        [sys.executable, "-m", "django", *arguments],
        cwd=folder,
        env={**environ, "DJANGO_SETTINGS_MODULE": "project", "PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize(
    "options",
    [
        pytest.param({}, marks=long_form),
        {"SQLITE_PATH": "codes.db"},
        pytest.param({"REDIS_URL": "redis://127.0.0.1:1"}, marks=long_form),
    ],
    ids=["nothing", "file", "redis"],
)
def test_commands_work_without_credentials(tmp_path: Path, options: dict[str, str]) -> None:
    for name, text in PROJECT.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text.replace("{options}", repr(options)))
    # Each is a process; `test` migrates and checks, too.
    for command in ("makemigrations", "test", *(("migrate", "check") if LONG else ())):
        code, said = managed(tmp_path, command)
        assert code == 0, said
    code, said = managed(tmp_path, "check", "--deploy")
    assert code == 1
    assert "otpverify.E004" in said
    assert not (tmp_path / "codes.db").exists()


@pytest.mark.parametrize("deployment", [False, True])
@pytest.mark.parametrize(
    "where",
    [
        {"SQLITE_PATH": "codes.db"},
        {"REDIS_URL": "redis://no-such-host.invalid"},
        {"REDIS_URL": "redis+cluster://127.0.0.1:1"},
        {"REDIS_URL": "redis+sentinel://127.0.0.1:1/main"},
    ],
    ids=lambda where: next(iter(where.values())),
)
def test_checks_open_nothing(
    where: dict[str, str],
    deployment: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    bare_environ: None,
) -> None:
    monkeypatch.chdir(tmp_path)

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a connection was opened")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    own = {"HASH": "h", "TOKEN": "t", "SENDER_ID": "Shop", "SECRET": SECRET, "FRAUD": "observe"}
    options = {**BASE, **own, **where}
    threads = set(threading.enumerate())
    with override_settings(OTPVERIFY=options):
        found = checks.run_checks(tags=["security"], include_deployment_checks=deployment)
    ours = {one.id for one in found if (one.id or "").startswith("otpverify.")}
    ends = {"otpverify.W011"} if deployment else set()
    assert ours == {"otpverify.W007", *ends}, "accounts may share a number, and sessions go on"
    assert list(tmp_path.iterdir()) == []
    assert set(threading.enumerate()) <= threads  # other tests' threads may end


# The admin.

FLOWS = path("account/", include("otpverify.integrations.django.urls"))
ADMIN = "django.contrib.admin"


def admin_findings(*patterns: Any) -> list[str]:
    with urlconf(*patterns):
        return [one.msg for one in check_admin() if one.id == "otpverify.W004"]


def test_an_admin_with_a_login_of_its_own_is_found(settings_with_admin: None) -> None:
    own = path("admin/", admin.AdminSite().urls)
    (found,) = admin_findings(FLOWS, own)
    assert found.startswith("/admin/login/ signs in by password alone")
    nested = admin_findings(FLOWS, path("staff/", include([path("site/", admin.AdminSite().urls)])))
    assert nested[0].startswith("/staff/site/login/")
    second = admin.AdminSite(name="second")
    assert len(admin_findings(FLOWS, own, path("second/", second.urls))) == 2
    assert admin_findings(own) == [], "no second factor is mounted"
    assert admin_findings(FLOWS) == []


def test_an_admin_whose_login_is_closed_is_not_found(settings_with_admin: None) -> None:
    def login(request: HttpRequest) -> Any:
        return redirect_to_login(request.GET.get("next", "/admin/"))

    class Site(admin.AdminSite):
        def login(self, request: HttpRequest, extra_context: Any = None) -> Any:
            return login(request)

    assert (
        admin_findings(FLOWS, path("admin/login/", login), path("admin/", admin.AdminSite().urls))
        == []
    )
    assert admin_findings(FLOWS, path("admin/", Site().urls)) == []
    protected = protect_admin(admin.AdminSite(name="protected"))
    assert admin_findings(FLOWS, path("admin/", protected.urls)) == []


@pytest.fixture
def settings_with_admin() -> Iterator[None]:
    installed = [*settings.INSTALLED_APPS, ADMIN, "django.contrib.messages"]
    with override_settings(INSTALLED_APPS=installed):
        yield


# The flows that are mounted.


class Strict(LoginView):
    def needs_code(self, user: Any) -> bool:
        return True


class StrictAsync(AsyncFlow, Strict):
    pass


class Invoices(PhoneView):
    flow = "invoice"
    purpose = "invoice"


def findings(*patterns: Any, about: str) -> list[str]:
    with urlconf(*patterns):
        return [one.msg for one in check_views() if one.id == about]


@pytest.mark.parametrize("own", [Strict, StrictAsync])
@pytest.mark.parametrize("stock", ["urls", "async_urls"])
def test_a_stock_view_beside_one_that_changes_it_is_found(own: Any, stock: str) -> None:
    ours = include(f"otpverify.integrations.django.{stock}")
    (found,) = findings(*own.urls(), path("account/", ours), about="otpverify.W006")
    assert "/account/login/" in found
    assert "/login/, the page of Strict" in found
    tenants = path("<slug:tenant>/", include([path("", ours), path("own/", include(own.urls()))]))
    assert len(findings(tenants, about="otpverify.W006")) == 1


def test_views_that_stand_in_for_the_stock_view_are_not_found() -> None:
    ours = path("", include("otpverify.integrations.django.urls"))
    both_kinds = path("async/", include("otpverify.integrations.django.async_urls"))
    for patterns in (
        [*Strict.urls(), ours],  # at the same address, and first
        [path("", include(flow_urls(Strict, PhoneView)))],
        [ours, both_kinds],
        [ours, *Invoices.urls()],  # for another purpose
        [ours, *PhoneView.urls(purpose="invoice")],
        [],
    ):
        assert findings(*patterns, about="otpverify.W006") == []


class Own(PasswordResetView):
    def find_users(self, phone: str) -> Any:
        return []


def test_numbers_that_accounts_may_share_are_found() -> None:
    def found(*patterns: Any) -> list[str]:
        return findings(*patterns, about="otpverify.W007")

    (said,) = found(path("a/", include(flow_urls(PasswordResetView))))
    assert said.startswith("Several accounts may have the same phone, by which these pages look")
    assert "/a/reset/" in said
    assert found(path("", include(flow_urls(LoginView, PhoneView)))) == []
    assert found(*Own.urls()) == []
    assert len(found(*SignInView.urls())) == 1
    with override_settings(OTPVERIFY={**BASE, "FIND_USERS": "django_site.options.make_sender"}):
        assert found(*PasswordResetView.urls()) == []
        assert found(*SignInView.urls()) == []
    for field, problems in (("id", 0), ("username", 0), ("no_field", 0), ("groups__name", 1)):
        with override_settings(OTPVERIFY={**BASE, "PHONE_FIELD": field}):
            assert len(found(*PasswordResetView.urls())) == problems
    with override_settings(AUTH_USER_MODEL="django_site.Member"):
        assert found(*PasswordResetView.urls()) == []


def test_numbers_of_a_sign_up_must_be_unique() -> None:
    def found(*patterns: Any, **options: Any) -> list[str]:
        with override_settings(OTPVERIFY={**BASE, **options}):
            return findings(*patterns, about="otpverify.E008")

    class Open(SignInView):
        sign_up = True

    assert len(found(*Open.urls())) == 1
    assert len(found(*SignInView.urls(sign_up=True))) == 1
    assert len(found(*SignInView.urls(), SIGN_UP=True)) == 1
    assert found(*SignInView.urls(sign_up=False), SIGN_UP=True) == []
    assert found(*SignInView.urls()) == []
    with override_settings(AUTH_USER_MODEL="django_site.Member"):
        assert found(*Open.urls()) == []


def test_constraints_make_numbers_unique(monkeypatch: pytest.MonkeyPatch) -> None:
    options = get_user_model()._meta
    constraint = UniqueConstraint(fields=["phone"], condition=~Q(phone=""), name="one_phone")
    pair = UniqueConstraint(fields=["phone", "email"], name="a_pair")
    for name, value, problems in (
        ("constraints", [constraint], 0),
        ("constraints", [pair], 1),
        ("unique_together", [("phone",)], 0),
    ):
        with monkeypatch.context() as patched:
            patched.setattr(options, name, value)
            found = findings(*PasswordResetView.urls(), about="otpverify.W007")
            assert len(found) == problems


def stock(at: str = "account/", **options: Any) -> Any:
    return path(at, include("otpverify.integrations.django.urls", **options))


def chosen(at: str = "account/", **options: Any) -> Any:
    return path(at, include(flow_urls(SignInView), **options))


@pytest.mark.parametrize(
    ("patterns", "said"),
    [
        ([stock()], None),
        ([chosen()], None),
        ([stock(), chosen()], "2 times, at /account/, /account/: names such as otpverify:login"),
        ([chosen(), stock("other/")], "2 times, at /account/, /other/"),
        ([stock(), path("shop/", include([chosen()]))], "2 times, at /account/, /shop/account/"),
        ([stock(), chosen(), stock("x/")], "3 times"),
        ([stock(), chosen(namespace="second")], None),
        ([stock(), path("b/", include(([chosen()], "shop"), namespace="b"))], None),
        (
            [path("b/", include(([stock(), chosen()], "shop"), namespace="b"))],
            "2 times, at /b/account/, /b/account/: names such as b:otpverify:login",
        ),
    ],
)
def test_flows_that_are_included_twice_are_found(patterns: list[Any], said: str | None) -> None:
    found = findings(*patterns, about="otpverify.W010")
    assert len(found) == (said is not None)
    if said is not None:
        assert said in found[0]


class Limited(SignInView):
    def may_sign_in(self, user: Any) -> bool:
        return not user.is_staff

    def get_human_check(self) -> Any:
        return lambda request: True


def test_a_sign_in_without_a_human_check_is_found() -> None:
    def found(*patterns: Any, about: str, **options: Any) -> list[str]:
        with urlconf(*patterns), override_settings(OTPVERIFY={**BASE, **options}):
            return [one.msg for one in check_sign_in() if one.id == about]

    for view in (SignInView, AsyncSignInView):
        (said,) = found(*view.urls(), about="otpverify.W008")
        assert said.startswith("/sign-in/ sends a message to every number")
    checked = {"HUMAN_CHECK": "django_site.options.client_ip"}
    assert found(*SignInView.urls(), about="otpverify.W008", **checked) == []
    assert found(*Limited.urls(), about="otpverify.W008") == []
    assert found(*LoginView.urls(), about="otpverify.W008") == []
    (said,) = found(*SignInView.urls(), *LoginView.urls(), about="otpverify.W009")
    assert said.startswith("A code alone signs in at /sign-in/, while the login asks")
    assert found(*Limited.urls(), *LoginView.urls(), about="otpverify.W009") == []
    (said,) = found(*Limited.urls(), *LoginView.urls(), about="otpverify.I002")
    assert "Limited.may_sign_in lets in" in said, "the check cannot see whom"
    assert found(*Limited.urls(), about="otpverify.I002") == []
    assert found(*SignInView.urls(), *LoginView.urls(), about="otpverify.I002") == []
    assert found(*SignInView.urls(), about="otpverify.W009") == []
    with override_settings(OTPVERIFY=[]):
        assert check_sign_in() == []


class OtherWays:
    """The site's own, for all views."""

    def other_ways(self, user: Any) -> list[Any]:
        return []


class LoginOtherwise(OtherWays, LoginView):
    pass


class CheckOtherwise(OtherWays, CurrentPhoneView):
    pass


class EnrolmentOtherwise(EnrolmentView):
    check_view = CheckOtherwise


def enrolment_findings(*patterns: Any) -> dict[str | None, str]:
    with urlconf(*patterns):
        return {one.id: f"{one.msg} {one.hint}" for one in check_enrolment()}


def test_a_change_of_the_phone_that_leaves_sessions_open_is_found() -> None:
    for view in (EnrolmentView, AsyncEnrolmentView):
        (said,) = enrolment_findings(*view.urls(), *LoginView.urls()).values()
        assert said.startswith("People change their phone at /my-phone/, and their other sessions")
        assert "EndsSessionsWithPhone" in said
    assert enrolment_findings(*LoginView.urls()) == {}
    known: Any = get_user_model()
    before = known.__bases__
    known.__bases__ = (EndsSessionsWithPhone, *before)
    try:
        assert enrolment_findings(*EnrolmentView.urls()) == {}
    finally:
        known.__bases__ = before


def test_ways_of_the_login_that_the_enrolment_does_not_know_are_found() -> None:
    found = enrolment_findings(*EnrolmentView.urls(), *LoginOtherwise.urls())
    assert found["otpverify.W012"].startswith("LoginOtherwise has other ways of its own, which /my")
    for patterns in (
        [*EnrolmentOtherwise.urls(), *LoginOtherwise.urls()],
        [*EnrolmentView.urls(check_view=CheckOtherwise), *LoginOtherwise.urls()],
        [*EnrolmentOtherwise.urls(), *LoginView.urls()],
        [*EnrolmentView.urls(), *LoginView.urls()],
        LoginOtherwise.urls(),
    ):
        assert "otpverify.W012" not in enrolment_findings(*patterns)


def test_the_sign_in_is_not_among_the_stock_flows() -> None:
    """A site that updates must not get a way around its passwords."""
    for module in ("urls", "async_urls"):
        with urlconf(path("", include(f"otpverify.integrations.django.{module}"))):
            with pytest.raises(NoReverseMatch):
                reverse("otpverify:signin")
            with pytest.raises(Resolver404):
                resolve("/sign-in/")


def view_at(address: str) -> Any:
    found: Any = resolve(address).func
    return found.view_class


def test_chosen_flows_and_no_others_are_mounted() -> None:
    with urlconf(path("account/", include(flow_urls(Strict, PhoneView)))):
        assert reverse("otpverify:login") == "/account/login/"
        assert view_at("/account/login/code/") is Strict
        assert reverse("otpverify:asset", kwargs={"name": "otpverify.css"})
        assert view_at("/account/sms/report/") is DeliveryReportView
        with pytest.raises(NoReverseMatch):
            reverse("otpverify:reset")
        page = Client().get("/account/login/").content.decode()
        assert "/account/otpverify/otpverify.css" in page
    with urlconf(path("account/", include(flow_urls(StrictAsync)))):
        assert view_at("/account/sms/report/") is AsyncDeliveryReportView


# The verifier of a request.


def by_host(outboxes: dict[str, OutboxSender]) -> Any:
    made = {
        host: Verifier(outbox, secret=secret, hasher=QUICK)
        for (host, outbox), secret in zip(outboxes.items(), (SECRET, OTHER_SECRET), strict=True)
    }
    return lambda request: made[request.get_host()]


def test_each_request_has_its_verifier() -> None:
    outboxes = {"north.example": OutboxSender(), "south.example": OutboxSender()}
    request = RequestFactory().get("/", headers={"Host": "south.example"})
    options = {**BASE, "GET_VERIFIER": by_host(outboxes)}
    with override_settings(OTPVERIFY=options, ALLOWED_HOSTS=["*"]):
        own = verifier_for(request)
        assert own is verifier_for(request)
        challenge = own.start(PHONE)
        south = outboxes["south.example"]
        later = verifier_for(request, background=True)
        assert later.check(PHONE, south.code(), challenge=challenge.id).phone == PHONE
        later.start(OTHER_PHONE)

        async def asynchronous() -> None:
            for background in (False, True):
                awaitable = averifier_for(request, background=background)
                assert isinstance(awaitable, AsyncVerifier)
                started = await awaitable.start(f"+3725678905{background:d}")
                await awaitable.cancel(started.phone, challenge=started.id)

        asyncio.run(asynchronous())
    # The settings changed: what was on its way was delivered.
    assert {message.to for message in south.messages} == {
        PHONE,
        OTHER_PHONE,
        "+37256789050",
        "+37256789051",
    }
    assert outboxes["north.example"].messages == []


def test_a_background_verifier_does_not_wait_for_its_sender() -> None:
    released, sent = threading.Event(), threading.Event()

    class Slow:
        def send(self, message: Message) -> Receipt:
            released.wait(10)
            sent.set()
            return Receipt()

    verifier = Verifier(Slow(), secret=SECRET, hasher=QUICK)
    with override_settings(OTPVERIFY={"GET_VERIFIER": lambda request: verifier}):
        verifier_for(HttpRequest(), background=True).start(PHONE, deliver=True)
        assert not sent.is_set()
        released.set()
    assert sent.is_set()


def test_an_asynchronous_verifier_of_a_request() -> None:
    outbox = OutboxSender()
    verifier = AsyncVerifier(outbox, secret=SECRET, hasher=QUICK)

    async def use() -> None:
        assert averifier_for(HttpRequest()) is verifier
        challenge = await averifier_for(HttpRequest(), background=True).start(PHONE)
        assert challenge.phone == PHONE

    with override_settings(OTPVERIFY={"GET_VERIFIER": lambda request: verifier}):
        with pytest.raises(ConfigurationError, match="must give a Verifier in synchronous views"):
            verifier_for(HttpRequest())
        asyncio.run(use())
    assert [message.to for message in outbox.messages] == [PHONE]


@pytest.mark.parametrize("wrong", [None, 5, Verifier, {"HASH": "h"}])
def test_something_else_is_refused(wrong: object) -> None:
    with override_settings(OTPVERIFY={"GET_VERIFIER": lambda request: wrong}):
        for make in (verifier_for, averifier_for):
            with pytest.raises(ConfigurationError, match=r'^OTPVERIFY\["GET_VERIFIER"\] must give'):
                make(HttpRequest())


# Settings that change.


class Counted(OutboxSender):
    made = 0
    closed = 0

    def __init__(self) -> None:
        super().__init__()
        type(self).made += 1

    def close(self) -> None:
        type(self).closed += 1


def test_changed_settings_make_new_verifiers_and_close_old_ones() -> None:
    for times in (1, 2, 3):
        with override_settings(OTPVERIFY={**BASE, "SENDER": Counted}):
            get_verifier().start(PHONE)
            get_verifier(background=True)
        assert (Counted.made, Counted.closed) == (times, times)


def test_a_celery_sender_survives_changed_settings() -> None:
    app = Celery("shop", broker="memory://", set_as_current=False)
    app.conf.task_always_eager = True
    outbox = OutboxSender()

    def make() -> CelerySender:
        return CelerySender(app, outbox, store=MemoryStore(), secret=SECRET)

    one = CelerySender(app, outbox, store=MemoryStore(), secret=SECRET, name="another")
    for sender in (make, make, one, one):
        with override_settings(OTPVERIFY={**BASE, "SENDER": sender, "SECRET": SECRET}):
            get_verifier().start(PHONE)
    assert len(outbox.messages) == 4


def test_an_asynchronous_store_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    closed: list[AsyncRedisStore] = []

    async def aclose(store: AsyncRedisStore) -> None:
        closed.append(store)

    monkeypatch.setattr(AsyncRedisStore, "aclose", aclose)
    where = {"REDIS_URL": "redis://127.0.0.1:1", "SECRET": SECRET, "HASHER": HmacHasher()}
    options = {"SENDER": OutboxSender(), **where}
    with override_settings(OTPVERIFY=options):
        assert get_async_verifier()
    assert len(closed) == 1

    async def within_a_loop() -> None:
        with override_settings(OTPVERIFY=options):
            assert get_async_verifier()
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    asyncio.run(within_a_loop())
    assert len(closed) == 2
