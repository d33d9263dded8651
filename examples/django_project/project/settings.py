"""Settings. `OTPVERIFY`, the app, LOGIN_URL and CSRF_FAILURE_VIEW are otpverify's; most of the
rest is as `django-admin startproject` writes it."""

import os
import secrets
from pathlib import Path

import django

from otpverify import Limit

BASE_DIR = Path(__file__).resolve().parent.parent
DEBUG = False
SECRET_KEY = os.environ.get("EXAMPLE_SECRET_KEY") or secrets.token_urlsafe(50)
ALLOWED_HOSTS = ["127.0.0.1", "localhost"]

OTPVERIFY = {
    # Yours has SECRET, REDIS_URL or SQLITE_PATH, and SENDER_ID. The gateway's address and
    # credentials come from the environment, where main.py puts the sandbox's.
    "SENDER_ID": "SMSPM.com",
    "REGION": "EE",
    "PHONE_FIELD": "phone",
    "REMEMBER_DAYS": 30,
    "WITHOUT_PHONE": "enrol",
    "MESSAGES": {"brand": "Example"},
    "FRAUD": "observe",  # yours: "enforce" after two weeks, since strangers may ask for codes
    # What one person needs who tries everything from one address.
    "POLICY": {
        "resend_cooldown_seconds": int(os.environ.get("EXAMPLE_COOLDOWN_SECONDS", "60")),
        "sends_per_phone": (Limit(30, 3600),),
        "sends_per_ip": (),
    },
}
LOGIN_URL = "otpverify:login"
LOGIN_REDIRECT_URL = "account"
LOGOUT_REDIRECT_URL = "index"
CSRF_FAILURE_VIEW = "otpverify.integrations.django.views.form_expired"

INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "otpverify.integrations.django",
    "otpverify.integrations.django.second_factor",
    "accounts",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "project.policy.content_security_policy",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
ROOT_URLCONF = "project.urls"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
            ]
        },
    }
]
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": os.environ.get("EXAMPLE_DATABASE", BASE_DIR / "db.sqlite3"),
    }
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
AUTH_USER_MODEL = "accounts.Customer"
PASSWORD_HASHERS = ["django.contrib.auth.hashers.Argon2PasswordHasher"]  # otpverify brings argon2
_VALIDATORS = "django.contrib.auth.password_validation"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"{_VALIDATORS}.{name}"}
    for name in ("UserAttributeSimilarityValidator", "MinimumLengthValidator")
]
# Notices to people who have an e-mail address; this prints them. Django 6.1 has another setting.
_MAIL = "django.core.mail.backends.console.EmailBackend"
if django.VERSION >= (6, 1):
    MAILERS = {"default": {"BACKEND": _MAIL}}
else:
    EMAIL_BACKEND = _MAIL
LANGUAGE_CODE = "en"
USE_TZ = True
