"""A Django project for the tests, in a process that has no settings module: `set_up` configures it
once, `migrate` makes its tables."""

from __future__ import annotations

import atexit
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import django
from django.conf import settings
from django.core.management import call_command

_folder = tempfile.TemporaryDirectory(prefix="otpverify-django-")
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
]
TEMPLATES: list[dict[str, Any]] = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": ["django.template.context_processors.request"],
            "string_if_invalid": "",
        },
    }
]
VALIDATORS = "django.contrib.auth.password_validation"


@cache
def set_up() -> None:
    """Configure Django, once a process."""
    settings.configure(
        ALLOWED_HOSTS=["testserver", "localhost"],
        AUTH_PASSWORD_VALIDATORS=[{"NAME": f"{VALIDATORS}.MinimumLengthValidator"}],
        AUTH_USER_MODEL="django_site.Customer",
        DATABASES={
            "default": {
                "ENGINE": "django.db.backends.sqlite3",
                "NAME": Path(_folder.name) / "db.sqlite3",
                "OPTIONS": {"init_command": "PRAGMA synchronous=OFF;", "timeout": 60},
            }
        },
        DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
        INSTALLED_APPS=[
            "django.contrib.auth",
            "django.contrib.contenttypes",
            "django.contrib.sessions",
            "otpverify.integrations.django",
            "otpverify.integrations.django.second_factor",
            "django_site",
        ],
        LANGUAGES=[("en", "English"), ("de", "Deutsch"), ("et", "eesti")],
        LOGIN_REDIRECT_URL="/account/",
        LOGIN_URL="/login/",
        MIDDLEWARE=MIDDLEWARE,
        OTPVERIFY={},
        PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"],
        ROOT_URLCONF="django_site.urls",
        SECRET_KEY="a key that signs nothing but the sessions of tests",
        SILENCED_SYSTEM_CHECKS=["otpverify.W007"],  # tests have accounts that share a number
        TEMPLATES=TEMPLATES,
        USE_TZ=True,
    )
    django.setup()
    atexit.register(_folder.cleanup)


@cache
def migrate() -> None:
    """Make the tables, once a process."""
    set_up()
    call_command("migrate", run_syncdb=True, verbosity=0)
