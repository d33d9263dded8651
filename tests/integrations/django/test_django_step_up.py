"""Views of a Django project that need a code first: what is Django's own. What all frameworks share
is in `tests/integrations/test_step_up.py`."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth import update_session_auth_hash
from django.http import HttpResponse
from django.test import Client, RequestFactory, override_settings
from django.urls import include, path
from django.views import View
from django_support import ACCOUNT_PHONE, CREDENTIALS, Page, Person, urlconf
from freezegun.api import FrozenDateTimeFactory

from otpverify import ConfigurationError, Verified
from otpverify.integrations.django.views import (
    CodeRequiredMixin,
    StepUpView,
    code_required,
    form_expired,
)
from otpverify.testing import OutboxSender


@code_required("settings", within=300)
def settings(request: Any) -> HttpResponse:
    return HttpResponse(f"<h1>Settings {request.POST.get('name', '')}</h1>")


@code_required("settings", within=300)
async def async_settings(request: Any) -> HttpResponse:
    return HttpResponse("<h1>Settings</h1>")


class Pay(CodeRequiredMixin, View):
    code_purpose = "payment"
    code_methods = ("POST",)

    def get_code_binding(self) -> dict[str, str]:
        return {"amount": f"{self.kwargs['amount']} EUR"}

    def get(self, request: Any, amount: int) -> HttpResponse:
        assert self.verified is None
        return HttpResponse("<h1>Form</h1>")

    def post(self, request: Any, amount: int) -> HttpResponse:
        assert isinstance(self.verified, Verified)
        return HttpResponse(f"<h1>Paid {amount} by {self.verified.phone}</h1>")


class AsyncPay(CodeRequiredMixin, View):
    code_purpose = "payment"
    code_max_age = 30

    async def get_code_binding(self) -> dict[str, str]:  # type: ignore[override]  # it is awaited
        return {"plan": "gold"}

    async def post(self, request: Any) -> HttpResponse:
        assert self.verified is not None
        return HttpResponse(f"<h1>Paid by {self.verified.phone}</h1>")


def new_password(request: Any) -> HttpResponse:
    request.user.set_password("another sesame")
    request.user.save()
    update_session_auth_hash(request, request.user)
    return HttpResponse("")


@pytest.fixture(autouse=True)
def _views() -> Iterator[None]:
    with urlconf(
        path("settings/", settings),
        path("async-settings/", async_settings),
        path("pay/<int:amount>/", Pay.as_view()),
        path("async-pay/", AsyncPay.as_view()),
        path("password/", new_password),
        path("", include("otpverify.integrations.django.urls")),
    ):
        yield


@pytest.fixture
def ann(person: Person, user: Any) -> Person:
    person.prefix = ""
    person.client.force_login(user)
    return person


def enter(person: Person, outbox: OutboxSender, purpose: str) -> Page:
    page = person.send(f"/step-up/{purpose}/")
    assert page.heading == "Enter the code"
    assert ACCOUNT_PHONE not in page.html
    assert "Use another number" not in page.html
    assert "Cancel" in page.html
    return person.send(f"/step-up/{purpose}/code/", code=outbox.code())


def test_a_page_is_come_back_to(ann: Person, outbox: OutboxSender) -> None:
    page = ann.open("/settings/?tab=2")
    assert (page.path, page.heading) == ("/step-up/settings/", "Confirm that it is you")
    page = enter(ann, outbox, "settings")
    assert (page.path, page.heading) == ("/settings/", "Settings ")
    assert page.response.redirect_chain[-1][0] == "/settings/?tab=2"


def test_views_of_both_modes_share_one_window(ann: Person, outbox: OutboxSender) -> None:
    ann.open("/async-settings/")
    assert enter(ann, outbox, "settings").heading == "Settings"
    assert ann.open("/settings/").heading == "Settings "


def test_a_class_based_view_shows_its_form_and_takes_a_code(
    ann: Person, outbox: OutboxSender
) -> None:
    assert ann.open("/pay/25/").heading == "Form"
    page = ann.send("/pay/25/", payee="Bob")
    assert "<dt>amount</dt><dd>25 EUR</dd>" in page.html
    page = enter(ann, outbox, "payment")
    assert (page.path, page.heading) == ("/step-up/payment/continue/", "Confirmed")
    assert ann.open("/pay/25/").heading == "Form", "a look uses nothing up"
    assert ann.send("/pay/26/", payee="Bob").heading == "Confirm that it is you"
    assert ann.send("/pay/25/", payee="Bob").heading == f"Paid 25 by {ACCOUNT_PHONE}"


def test_an_asynchronous_class_with_an_age(
    ann: Person, outbox: OutboxSender, clock: FrozenDateTimeFactory
) -> None:
    assert "<dt>plan</dt><dd>gold</dd>" in ann.send("/async-pay/").html
    enter(ann, outbox, "payment")
    clock.tick(30)
    assert ann.send("/async-pay/").heading == "Confirm that it is you"
    clock.tick(31)
    enter(ann, outbox, "payment")
    clock.tick(29)
    assert ann.send("/async-pay/").heading == f"Paid by {ACCOUNT_PHONE}"


def test_people_who_are_not_signed_in_sign_in_first(
    person: Person, user: Any, outbox: OutboxSender
) -> None:
    person.prefix = ""
    page = person.send("/settings/", name="Anna")
    assert page.path == "/login/"
    page = person.open("/step-up/settings/")
    assert page.path == "/login/"
    assert person.json("post", "/settings/")[0] == 401
    status, problem = person.json("post", "/step-up/settings/")
    assert (status, problem["type"]) == (401, "urn:otpverify:problem:sign-in-required")
    assert person.json("get", "/step-up/settings/status/")[0] == 401
    assert len(outbox) == 0
    person.open("/settings/?tab=2")
    person.send("/login/", **CREDENTIALS, next="/settings/?tab=2")
    page = person.send("/login/code/", code=outbox.code())
    assert page.path == "/step-up/settings/", "and goes on from there"


def test_the_window_ends_with_the_password_in_the_session_that_changed_it(
    ann: Person, outbox: OutboxSender
) -> None:
    ann.open("/settings/")
    enter(ann, outbox, "settings")
    assert ann.open("/settings/").heading == "Settings "
    assert ann.open("/password/").status == 200
    assert ann.signed_in
    assert ann.open("/settings/").heading == "Confirm that it is you"


def test_a_code_gives_the_session_a_new_key(ann: Person, outbox: OutboxSender) -> None:
    ann.open("/settings/")
    old = ann.another()
    old.prefix = ""
    old.client.cookies["sessionid"] = key = ann.client.cookies["sessionid"].value
    enter(ann, outbox, "settings")
    assert ann.client.cookies["sessionid"].value != key
    assert old.open("/settings/").path == "/login/", "a copy of the old key gains nothing"


def test_a_copied_window_is_for_no_other_user(ann: Person, outbox: OutboxSender) -> None:
    from django.contrib.auth import get_user_model

    ann.open("/settings/")
    enter(ann, outbox, "settings")
    name = "otpverify.stamp.step-up/settings"
    stamp = ann.session[name]
    users: Any = get_user_model().objects
    bob = users.create_user("bob", password="open sesame", phone=ACCOUNT_PHONE)
    thief = ann.another()
    thief.prefix = ""
    thief.client.force_login(bob)
    session = thief.session
    session[name] = {**stamp, "account": str(bob.pk)}
    session.save()
    assert thief.open("/settings/").heading == "Confirm that it is you"


def test_a_user_without_a_phone_reads_so(ann: Person, user: Any, outbox: OutboxSender) -> None:
    user.phone = ""
    user.save()
    page = ann.send("/pay/25/", payee="Bob")
    assert page.heading == "Confirm that it is you"
    page = ann.send("/step-up/payment/")
    assert "no phone number" in page.html
    assert len(outbox) == 0


@override_settings(SESSION_ENGINE="django.contrib.sessions.backends.signed_cookies")
def test_a_session_in_a_cookie_keeps_small_forms(user: Any, outbox: OutboxSender) -> None:
    for note, kept in (("x" * 900, True), ("x" * 1300, False)):
        person = Person("sync", "")
        person.client.force_login(user)
        page = person.send("/settings/", note=note)
        assert ("We cannot keep" in page.html) is not kept
        assert len(person.client.cookies["sessionid"].value) < 3000


def test_a_form_with_an_old_token_is_shown_again(user: Any) -> None:
    with override_settings(CSRF_FAILURE_VIEW="otpverify.integrations.django.views.form_expired"):
        assert form_expired is not None
        client = Client(enforce_csrf_checks=True)
        client.force_login(user)
        reply = client.post("/step-up/settings/", follow=True)
        assert "This form has expired. Send it again." in reply.content.decode()


def test_pages_that_are_not_mounted_are_missed(user: Any) -> None:
    request = RequestFactory().get("/")
    request.user = user
    request.session = Client().session
    with urlconf(), pytest.raises(ConfigurationError, match="StepUpView"):
        settings(request)


def test_mounted_alone_and_below_a_variable(ann: Person, outbox: OutboxSender) -> None:
    with urlconf(
        path("<slug:tenant>/pay/", code_required("payment")(lambda _, **__: HttpResponse("Paid"))),
        path("<slug:tenant>/", include(StepUpView.urls())),
    ):
        page = ann.send("/red/pay/", payee="Bob")
        assert page.path == "/red/step-up/payment/"
        ann.send("/red/step-up/payment/")
        page = ann.send("/red/step-up/payment/code/", code=outbox.code())
        assert page.path == "/red/step-up/payment/continue/"
        assert 'action="/red/pay/"' in page.html


@pytest.mark.parametrize(
    "wrong",
    [
        {"purpose": "login"},
        {"purpose": "sign-in"},
        {"purpose": "phone-change"},
        {"purpose": "phone-enrolment"},
        {"purpose": 1},
        {"within": 0},
        {"within": 60, "binding": {"a": "b"}},
        {"within": 60, "max_age": 30},
        {"methods": "POST"},
    ],
    ids=str,
)
def test_arguments_that_do_not_fit_are_refused(wrong: Any) -> None:
    with pytest.raises(ConfigurationError):
        code_required(**{"purpose": "x", **wrong})

    class Wrong(CodeRequiredMixin, View):
        code_purpose = "login"

    with pytest.raises(ConfigurationError):
        Wrong.as_view()


def test_a_binding_that_must_be_awaited_is_refused(user: Any) -> None:
    async def facts(request: Any) -> dict[str, str]:
        return {"a": "b"}

    view = code_required("x", binding=facts)(lambda request, verified: HttpResponse(""))
    request = RequestFactory().post("/")
    request.user, request.session = user, Client().session
    with pytest.raises(ConfigurationError, match="asynchronous"):
        view(request)
    awaited = asyncio.iscoroutinefunction(code_required("x")(async_settings))
    assert awaited, "the kind of the view stays"
