"""The site, and a person on it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import django_site
import pytest
from django.apps import apps
from django.contrib.auth import get_user_model
from django.test import override_settings
from django_support import ACCOUNT_PHONE, BASE, PASSWORD, Person
from support import LONG

from otpverify.settings import ENVIRONMENT
from otpverify.testing import OutboxSender


@pytest.fixture(autouse=True)
def _site(outbox: OutboxSender) -> Iterator[None]:
    django_site.migrate()
    get_user_model().objects.all().delete()
    apps.get_model("sessions.Session").objects.all().delete()
    with override_settings(OTPVERIFY={**BASE, "SENDER": outbox}):
        yield


@pytest.fixture(params=["sync", "async"] if LONG else ["sync"])
def person(request: pytest.FixtureRequest) -> Person:
    return Person(request.param)


@pytest.fixture
def user() -> Any:
    users: Any = get_user_model().objects
    return users.create_user("ann", password=PASSWORD, phone=ACCOUNT_PHONE)


@pytest.fixture
def bare_environ(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [*ENVIRONMENT.names, "WEB_CONCURRENCY"]:
        monkeypatch.delenv(name, raising=False)
