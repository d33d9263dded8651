"""A Django project for the packages of other authors: `set_up` configures it, once a process."""

from __future__ import annotations

from typing import Any

import django
from django.conf import settings
from django.core.management import call_command

BASE: dict[str, Any] = {
    "ALLOWED_HOSTS": ["testserver"],
    "AUTH_USER_MODEL": "auth_site.Person",
    "DATABASES": {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
    "DEFAULT_AUTO_FIELD": "django.db.models.BigAutoField",
    "LOGIN_REDIRECT_URL": "/",
    "MESSAGE_STORAGE": "django.contrib.messages.storage.session.SessionStorage",
    "OTPVERIFY": {},
    "PASSWORD_HASHERS": ["django.contrib.auth.hashers.MD5PasswordHasher"],
    "SECRET_KEY": "a key that signs nothing but the sessions of tests",
    "TEMPLATES": [
        {
            "BACKEND": "django.template.backends.django.DjangoTemplates",
            "APP_DIRS": True,
            "OPTIONS": {
                "context_processors": [
                    "django.template.context_processors.request",
                    "django.contrib.auth.context_processors.auth",
                    "django.contrib.messages.context_processors.messages",
                ]
            },
        }
    ],
    "USE_TZ": True,
}
APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "otpverify.integrations.django",
    "auth_site",
]
MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
]


def set_up(*, apps: list[str], middleware: list[str], **more: Any) -> None:
    """Configure Django with further apps, and make the tables."""
    settings.configure(
        **{**BASE, **more}, INSTALLED_APPS=[*APPS, *apps], MIDDLEWARE=[*MIDDLEWARE, *middleware]
    )
    django.setup()
    call_command("migrate", run_syncdb=True, verbosity=0)
