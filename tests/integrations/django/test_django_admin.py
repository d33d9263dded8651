"""The admin's page for support, in the real admin."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import unescape
from typing import Any

import django_site
import pytest
from django.apps import apps
from django.contrib import admin
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.core.management import call_command
from django.test import Client, override_settings
from django.urls import include, path
from django_support import BASE, Broken, urlconf
from support import OTHER_PHONE, PHONE, wrong

from otpverify import CooldownActive, Event, IncorrectCode, Verifier
from otpverify.integrations.django import get_verifier
from otpverify.integrations.django.backup_codes import backup_codes
from otpverify.integrations.django.second_factor.models import BackupCode
from otpverify.integrations.web import run_sync
from otpverify.testing import OutboxSender

PAGE = "/admin/otpverify/phone/"
MASKED = "+37*******45"
UNLOCK = "Clear its limits"
_PROCESSORS = (
    "django.contrib.auth.context_processors.auth",
    "django.contrib.messages.context_processors.messages",
)


@pytest.fixture(autouse=True)
def _admin(_site: None) -> Iterator[None]:
    templates = [dict(django_site.TEMPLATES[0])]
    templates[0]["OPTIONS"] = {
        **templates[0]["OPTIONS"],
        "context_processors": [*templates[0]["OPTIONS"]["context_processors"], *_PROCESSORS],
    }
    installed = [
        "django.contrib.admin",
        "django.contrib.messages",
        *(config.name for config in apps.get_app_configs()),
    ]
    middleware = [*django_site.MIDDLEWARE, "django.contrib.messages.middleware.MessageMiddleware"]
    with (
        override_settings(INSTALLED_APPS=installed, MIDDLEWARE=middleware, TEMPLATES=templates),
        urlconf(
            path("admin/", admin.site.urls), path("", include("otpverify.integrations.django.urls"))
        ),
    ):
        call_command("migrate", run_syncdb=True, verbosity=0)
        yield
        apps.get_model("admin.LogEntry").objects.all().delete()


def staff(*permissions: str, app: str = "otpverify", name: str = "sue", **fields: Any) -> Client:
    """The browser of somebody who may enter the admin, with these permissions of the app."""
    users: Any = get_user_model().objects
    user = users.create_user(name, password="open", is_staff=True, **fields)
    found = Permission.objects.filter(content_type__app_label=app, codename__in=permissions)
    assert found.count() == len(permissions)
    user.user_permissions.set(found)
    client = Client(enforce_csrf_checks=False)
    client.force_login(user)
    return client


def text(response: Any) -> str:
    return unescape(response.content.decode())


@pytest.fixture
def locked(outbox: OutboxSender) -> Verifier:
    verifier = get_verifier()
    challenge = verifier.start(PHONE, purpose="login")
    with pytest.raises(IncorrectCode):
        verifier.check(PHONE, wrong(outbox.code(PHONE)), challenge=challenge.id, purpose="login")
    return verifier


def test_support_sees_what_limits_a_number_and_never_a_code(
    locked: Verifier, outbox: OutboxSender
) -> None:
    client = staff("inspect_phone")
    first = client.get(PAGE)
    assert first.status_code == 200
    assert "no-store" in first.headers["Cache-Control"]
    page = text(client.post(PAGE, {"phone": PHONE}))
    assert f"<h2>{MASKED} at 20" in page
    assert "<h2>Purpose: login</h2>" in page
    assert "<li>Wrong codes: 1 in the window, 1 in a row</li>" in page
    assert "4 attempts left, queued" in page
    assert outbox.code(PHONE) not in page
    assert page.count(PHONE) == 1  # in the field, where it was typed
    assert UNLOCK not in page
    page = text(client.post(PAGE, {"phone": PHONE, "purpose": "phone"}))
    assert "Nothing else is known of it." in page


def test_a_number_that_was_typed_in_another_way_is_not_completed(locked: Verifier) -> None:
    page = text(staff("inspect_phone").post(PAGE, {"phone": PHONE.removeprefix("+372")}))
    assert MASKED in page
    assert PHONE not in page


@pytest.mark.parametrize("permissions", [(), ("unlock_phone",)])
def test_without_the_permission_there_is_no_page(permissions: tuple[str, ...]) -> None:
    client = staff(*permissions)
    assert client.get(PAGE).status_code == 403
    assert client.post(PAGE, {"phone": PHONE}).status_code == 403
    assert PAGE not in text(client.get("/admin/"))


def test_who_is_not_staff_is_sent_to_the_login() -> None:
    client = staff("inspect_phone")
    assert PAGE in text(client.get("/admin/"))
    get_user_model().objects.update(is_staff=False)
    for response in (client.get(PAGE), client.post(PAGE, {"phone": PHONE})):
        address = response.headers["Location"]
        assert (response.status_code, address) == (302, f"/admin/login/?next={PAGE}")
    assert Client().get(PAGE).status_code == 302


def test_looking_up_changes_nothing(locked: Verifier) -> None:
    client = staff("inspect_phone")
    before = locked.inspect(PHONE)
    client.post(PAGE, {"phone": PHONE})
    assert locked.inspect(PHONE).purposes == before.purposes


def test_clearing_needs_a_permission_of_its_own(locked: Verifier) -> None:
    client = staff("inspect_phone")
    assert client.post(PAGE, {"phone": PHONE, "unlock": UNLOCK}).status_code == 403
    with pytest.raises(CooldownActive):
        locked.start(PHONE, purpose="login")


def test_clearing_is_an_event_and_in_the_admins_log(outbox: OutboxSender) -> None:
    events: list[Event] = []
    with override_settings(OTPVERIFY={**BASE, "SENDER": outbox, "ON_EVENT": events.append}):
        verifier = get_verifier()
        for purpose in ("login", "phone"):
            verifier.start(PHONE, purpose=purpose)
        client = staff("inspect_phone", "unlock_phone")
        page = text(client.post(PAGE, {"phone": PHONE}))
        assert f'name="unlock" value="{UNLOCK}"' in page
        page = text(client.post(PAGE, {"phone": PHONE, "purpose": "login", "unlock": UNLOCK}))
        assert f"{MASKED}: unlocked for the purpose login." in page
        verifier.start(PHONE, purpose="login")
        with pytest.raises(CooldownActive):
            verifier.start(PHONE, purpose="phone")
        client.post(PAGE, {"phone": PHONE, "unlock": UNLOCK})
        verifier.start(PHONE, purpose="phone")
    assert [(e.operation, e.outcome) for e in events if e.operation == "unlock"] == [
        ("unlock", "unlocked"),
        ("unlock", "unlocked"),
    ]
    entries = apps.get_model("admin.LogEntry").objects.order_by("id")
    assert [(e.user.username, e.object_repr, e.change_message) for e in entries] == [
        ("sue", MASKED, f"{MASKED}: unlocked for the purpose login."),
        ("sue", MASKED, f"{MASKED}: unlocked for all purposes."),
    ]
    assert PHONE not in text(client.get("/admin/"))


@pytest.mark.parametrize("phone", ["", "no number", "+1", "9" * 65])
def test_what_is_not_a_number_is_said_beside_the_field(phone: str) -> None:
    response = staff("inspect_phone").post(PAGE, {"phone": phone})
    assert response.status_code == 200
    assert 'class="errorlist"' in text(response)
    assert "<h2>" not in text(response).partition('id="content-main"')[2]


def test_a_store_that_is_away_is_said(outbox: OutboxSender) -> None:
    class Away(Broken):
        def inspect(self, phone: str) -> Any:
            self.broken = ("inspect",)
            self._fail("inspect")

    with override_settings(OTPVERIFY={**BASE, "SENDER": outbox, "STORE": Away()}):
        response = staff("inspect_phone").post(PAGE, {"phone": OTHER_PHONE})
    assert response.status_code == 200
    assert "The store is away." in text(response)


def test_a_form_from_another_site_is_refused(locked: Verifier) -> None:
    client = staff("inspect_phone", "unlock_phone")
    client.handler.enforce_csrf_checks = True
    assert client.post(PAGE, {"phone": PHONE, "unlock": UNLOCK}).status_code == 403
    with pytest.raises(CooldownActive):
        locked.start(PHONE, purpose="login")


def test_backup_codes_are_counted_and_not_shown() -> None:
    users: Any = get_user_model().objects
    ann, bob = users.create_user("ann"), users.create_user("bob")
    made = {
        name: run_sync(backup_codes(get_verifier()).make(str(one.pk)))
        for name, one in (("ann", ann), ("bob", bob))
    }
    run_sync(backup_codes(get_verifier()).check(str(ann.pk), made["ann"][0]))
    page = "/admin/otpverify_second_factor/backupcode/"
    support = staff("view_backupcode", app="otpverify_second_factor")
    lines = re.findall(
        r"field-user[^>]*>(?:<a[^>]*>)?(\w+).*?field-codes_left[^>]*>(\d+)",
        support.get(page).content.decode(),
        re.DOTALL,
    )
    assert sorted(lines) == [("ann", "9"), ("bob", "10")]
    stored = [str(code) for code in BackupCode.objects.values_list("code", flat=True)]
    one = BackupCode.objects.values_list("pk", flat=True)[0]
    for path_ in (page, f"{page}{one}/change/", f"{page}?q=ann"):
        html = support.get(path_, follow=True).content.decode()
        assert "codes left" in html.lower()
        assert not any(code in html for code in stored)
    for path_ in (f"{page}add/", f"{page}{one}/delete/"):
        assert support.get(path_).status_code == 403
    assert staff(name="joe").get(page).status_code == 403
