"""What all flows have."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import django_site
import pytest
from django.http import HttpRequest
from django.test import override_settings
from django.urls import include, path as route
from django_support import (
    ACCOUNT_PHONE,
    BASE,
    PASSWORD,
    Person,
    both,
    login,
    reset_allowed,
    set_password,
    templates,
    urlconf,
)
from support import OTHER_PHONE, PHONE, wrong

from otpverify import (
    ConfigurationError,
    Verified,
)
from otpverify.integrations.django import signals
from otpverify.integrations.web.session import Pending
from otpverify.testing import OutboxSender
from otpverify.testing.outbox import AsyncOutboxSender


@both
def test_forms_need_their_token(person: Person, user: Any) -> None:
    strict = person.another(enforce_csrf_checks=True)
    for path in (
        "login",
        "phone",
        "reset",
        "phone/code",
        "phone/resend",
        "phone/cancel",
        "reset/password",
    ):
        page = strict.send(f"/{path}/", phone=PHONE, username="ann", password=PASSWORD)
        assert page.status == 403, path
    with override_settings(MIDDLEWARE=[m for m in django_site.MIDDLEWARE if "csrf" not in m]):
        bare = person.another(enforce_csrf_checks=True)  # a client keeps the middleware it had
        assert bare.send("/phone/", phone=PHONE).status == 403, "the views see to it themselves"
    page = strict.open("/phone/")
    token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page.html)
    assert token is not None
    page = strict.send("/phone/", phone=PHONE, csrfmiddlewaretoken=token[1])
    assert page.heading == "Enter the code"


def test_a_stale_form_is_shown_anew(person: Person, user: Any, outbox: OutboxSender) -> None:
    strict = person.another(enforce_csrf_checks=True)
    with override_settings(CSRF_FAILURE_VIEW="otpverify.integrations.django.views.form_expired"):
        page = strict.send("/phone/", phone=PHONE)
        assert (page.heading, page.said) == ("Confirm your phone", "")
        assert "sessionid" not in strict.client.cookies, "it was no session of theirs"
        strict.client.cookies["sessionid"] = "x" * 32
        page = strict.send("/phone/", phone=PHONE)
        assert page.said == "This form has expired. Send it again."
        page = strict.send("/phone/resend/")
        assert page.heading == "Confirm your phone"
        reset_allowed(person, outbox)
        strict.client.cookies["sessionid"] = person.client.cookies["sessionid"].value
        page = set_password(strict)
        assert (page.heading, page.said[:14]) == ("Choose a new password", "This form has ")
        assert strict.ask("post", "/account/", {}).status == 403, "other pages are not ours"


@both
def test_pages_are_private(person: Person, user: Any, outbox: OutboxSender) -> None:
    login(person)
    for reply in (
        person.open("/login/"),
        person.open("/login/code/"),
        person.send("/login/code/", follow=False, code="000000"),
        person.send("/login/", username="ann", password="wrong"),
    ):
        assert "no-store" in reply.response.headers["Cache-Control"]
        assert reply.response.headers["Referrer-Policy"] == "same-origin"
        assert outbox.code() not in reply.html
        assert person.pending("login")["challenge"] not in reply.html


def test_error_reports_hide_what_was_typed(person: Person) -> None:
    marks: list[Any] = []

    def looking(request: HttpRequest) -> str | None:
        marks.append(getattr(request, "sensitive_post_parameters", None))
        return None

    with override_settings(OTPVERIFY={**BASE, "SENDER": OutboxSender(), "CLIENT_IP": looking}):
        person.send("/phone/", phone=PHONE)
    assert marks == ["__ALL__"]


def test_the_files_of_the_pages(person: Person) -> None:
    reply = person.open("/otpverify/otpverify.css").response
    assert reply.headers["Content-Type"] == "text/css; charset=utf-8"
    assert "max-age=3600" in reply.headers["Cache-Control"]
    assert b".otpverify" in reply.content
    assert person.open("/otpverify/otpverify.js").status == 200
    assert person.open("/otpverify/passwd").status == 404


@both
def test_signals(person: Person, user: Any, outbox: OutboxSender) -> None:
    heard: list[tuple[str, Any]] = []

    def listen(name: str) -> Callable[..., None]:
        def receiver(request: Any, verified: Verified, **more: Any) -> None:
            assert request.session is not None
            heard.append((name, (verified.phone, verified.purpose, more.get("user"))))

        return receiver

    receivers = {name: listen(name) for name in SIGNALS}
    for name, receiver in receivers.items():
        getattr(signals, name).connect(receiver)
    person.send("/phone/", phone=PHONE)
    person.send("/phone/code/", code=wrong(outbox.code()))
    person.send("/phone/code/", code=outbox.code())
    login(person)
    person.send("/login/code/", code=outbox.code())
    reset_allowed(person, outbox)
    set_password(person, "short")
    set_password(person)
    for name, receiver in receivers.items():
        getattr(signals, name).disconnect(receiver)
    assert heard == [
        ("phone_verified", (PHONE, "phone", None)),
        ("login_verified", (ACCOUNT_PHONE, "login", user)),
        ("password_reset_done", (ACCOUNT_PHONE, "password-reset", user)),
    ]


SIGNALS = ("phone_verified", "login_verified", "password_reset_done")


def test_a_template_is_overridden(person: Person) -> None:
    own = {
        "otpverify/base.html": "<main>Ours: {% block otpverify %}{% endblock %}</main>",
        "otpverify/phone.html": '{% extends "otpverify/first.html" %}'
        "{% block otpverify_before %}We only call in emergencies.{% endblock %}",
    }
    with override_settings(TEMPLATES=templates(own)):
        page = person.open("/phone/")
    assert page.html.startswith("<main>Ours: ")
    assert "We only call in emergencies." in page.html
    assert 'name="phone"' in page.html


def test_translations(person: Person, outbox: OutboxSender) -> None:
    """What templates, forms and errors say, in the person's language; the message, too."""
    person.headers = {"accept-language": "de"}
    page = person.send("/phone/", phone=PHONE)
    assert page.heading == "Code eingeben"
    assert f"Wir haben einen Code an {PHONE} gesendet." in page.html
    assert "Der Code läuft in 10 Minuten ab." in page.html
    assert '<html lang="de">' in page.html
    page = person.send("/phone/resend/")
    assert page.said.endswith("Einen weiteren können Sie in 60 Sekunden anfordern.")
    assert '<span data-wait="60">in 60 Sekunden</span>' in page.html
    assert person.send("/phone/code/", code="").said == "Dieses Feld ist zwingend erforderlich."
    assert "Geben Sie ihn nicht weiter" in outbox.last.text


@both
def test_where_sessions_are_cookies(person: Person, user: Any, outbox: OutboxSender) -> None:
    """Their owner can read them: no number that they did not type, and nothing secret."""
    with override_settings(SESSION_ENGINE="django.contrib.sessions.backends.signed_cookies"):
        login(person)
        assert ACCOUNT_PHONE.lstrip("+") not in str(dict(person.session.items()))
        assert user.password not in str(dict(person.session.items()))
        assert person.send("/login/code/", code=outbox.code()).path == "/account/"
        person.send("/reset/", phone=ACCOUNT_PHONE)
        before = person.pending("reset")
        assert set(before) == {*Pending.__slots__}
        page = person.send("/reset/code/", code=outbox.code())
        assert page.heading == "Choose a new password"
        assert set_password(person).heading == "Password changed"


def test_pages_for_those_who_are_signed_in(person: Person) -> None:
    """With Django's LoginRequiredMiddleware, login and reset stay open."""
    required = "django.contrib.auth.middleware.LoginRequiredMiddleware"
    with override_settings(MIDDLEWARE=[*django_site.MIDDLEWARE, required]):
        assert person.open("/login/").path == f"{person.prefix}/login/"
        assert person.open("/reset/").heading == "Reset your password"
        assert person.open("/phone/").heading == "Sign in"
        assert person.open("/otpverify/otpverify.css").status == 200
        assert person.open("/sms/report/").html == "OK"


def test_a_view_of_no_step() -> None:
    from otpverify.integrations.django.views import LoginView

    with pytest.raises(TypeError, match="first, code, resend, cancel"):
        LoginView.as_view(step="nothing")


def test_mounted_otherwise(person: Person, outbox: OutboxSender) -> None:
    """Below a captured part of the path, and without a namespace or our files."""
    from otpverify.integrations.django.views import AsyncPhoneView, PhoneView

    view = AsyncPhoneView if person.prefix else PhoneView
    with urlconf(route("<slug:tenant>/", include(view.urls()))):
        visitor = Person(person.mode, prefix="/acme")
        page = visitor.send("/phone/", phone=PHONE)
        assert page.path == "/acme/phone/code/"
        assert "stylesheet" not in page.html
        assert visitor.send("/phone/code/", code=outbox.code()).heading == "Phone confirmed"


def test_asynchronous_views_await_the_verifier(outbox: OutboxSender) -> None:
    """A sender that only awaits will do there, and there alone."""
    from otpverify.integrations.django.views import AsyncPhoneView, PhoneView

    sender = AsyncOutboxSender()
    with override_settings(OTPVERIFY={**BASE, "SENDER": sender}):
        person = Person("async")
        person.send("/phone/", phone=PHONE)
        assert person.send("/phone/code/", code=sender.code()).heading == "Phone confirmed"
        with pytest.raises(ConfigurationError, match="asynchronous"):
            Person("sync").send("/phone/", phone=OTHER_PHONE)
    assert AsyncPhoneView.view_is_async
    assert not PhoneView.view_is_async
