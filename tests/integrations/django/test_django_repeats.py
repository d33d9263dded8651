"""Requests that come twice: the second reply never undoes what the first one gave, whatever holds
the sessions."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest
from django.contrib.auth import login as sign_in
from django.http import HttpResponse, HttpResponseRedirect
from django.test import override_settings
from django.urls import path as route
from django_support import (
    ACCOUNT_PHONE,
    CREDENTIALS,
    NEW_PASSWORD,
    Page,
    Person,
    change,
    login,
    urlconf,
)
from freezegun.api import FrozenDateTimeFactory
from support import OTHER_PHONE, PHONE, long_form, wrong

from otpverify.integrations.django.session import UnsavedSession
from otpverify.integrations.django.views import (
    AsyncFlow,
    FlowView,
    PasswordResetView,
    PhoneView,
    Recipient,
)
from otpverify.integrations.web.notices import NOTICE_COOKIE
from otpverify.testing import OutboxSender

BACKENDS = ["db", "signed_cookies", pytest.param("cached_db", marks=long_form)]
FIRST: dict[str, Any] = {
    "login": CREDENTIALS,
    "phone": {"phone": PHONE},
    "reset": {"phone": ACCOUNT_PHONE},
}
ENDS = {"login": "/account/", "phone": "/phone/done/", "reset": "/reset/password/"}


@pytest.fixture(params=BACKENDS)
def sessions(request: pytest.FixtureRequest) -> Iterator[str]:
    engine = f"django.contrib.sessions.backends.{request.param}"
    with override_settings(SESSION_ENGINE=engine):
        yield request.param


@pytest.fixture(params=["sync", "async"])
def person(request: pytest.FixtureRequest) -> Person:
    return Person(request.param)


def send_twice(
    person: Person, path: str, between: Callable[[], object] = bool, **fields: str
) -> Page:
    """Send a form twice before a reply is seen: both requests bring the cookies of now, and the
    browser keeps the cookies of the replies in their order. `between` happens in between.

    Returns:
        The page that the browser shows: where the second reply leads.
    """
    before = {name: cookie.value for name, cookie in person.client.cookies.items()}
    first = person.send(path, follow=False, **fields)
    assert first.status == 302
    between()
    after = {name: cookie.value for name, cookie in person.client.cookies.items()}
    person.client.cookies.clear()
    person.client.cookies.load(before)
    second = person.send(path, follow=False, **fields)
    assert second.status == 302
    person.client.cookies.clear()
    person.client.cookies.load(after)
    for name, cookie in second.response.cookies.items():
        person.client.cookies[name] = cookie.value
        if cookie["max-age"] == 0:
            del person.client.cookies[name]
    target = second.response.headers["Location"]
    return person.ask("get", target, {}, follow=True)


@pytest.mark.parametrize("every", [False, True], ids=["", "save every request"])
@pytest.mark.parametrize("flow", FIRST)
def test_a_code_sent_twice_is_right_once(
    person: Person, user: Any, outbox: OutboxSender, sessions: str, flow: str, every: bool
) -> None:
    with override_settings(SESSION_SAVE_EVERY_REQUEST=every):
        person.send(f"/{flow}/", **FIRST[flow])
        page = send_twice(person, f"/{flow}/code/", code=outbox.code())
        end = ENDS[flow] if flow == "login" else person.prefix + ENDS[flow]
        assert page.path == end
        assert page.said == ""
        if flow == "login":
            assert person.signed_in
        if flow == "reset":
            passwords: Any = {"new_password1": NEW_PASSWORD, "new_password2": NEW_PASSWORD}
            page = send_twice(person, "/reset/password/", **passwords)
            assert page.heading == "Password changed"
            user.refresh_from_db()
            assert user.check_password(NEW_PASSWORD)
    assert len(outbox) == 1


@pytest.mark.parametrize("flow", FIRST)
def test_a_start_sent_twice_sends_one_code(
    person: Person, user: Any, outbox: OutboxSender, sessions: str, flow: str
) -> None:
    page = send_twice(person, f"/{flow}/", **FIRST[flow])
    assert page.path == f"{person.prefix}/{flow}/code/"
    page = person.send(f"/{flow}/code/", code=outbox.code())
    assert page.path.endswith(ENDS[flow])
    assert len(outbox) == 1


def test_a_code_sent_twice_leads_where_the_person_wanted_to_go(
    person: Person, user: Any, outbox: OutboxSender, sessions: str
) -> None:
    login(person, next="/account/?x=1")
    page = send_twice(person, "/login/code/", code=outbox.code())
    assert page.response.request.get("QUERY_STRING", b"x=1") in ("x=1", b"x=1")
    assert page.html == "Hello ann"


def test_a_repeat_for_a_user_who_is_signed_in_no_more(
    person: Person, user: Any, outbox: OutboxSender, sessions: str
) -> None:
    login(person)
    gone = partial(change, user, is_active=False)
    page = send_twice(person, "/login/code/", gone, code=outbox.code())
    assert (page.heading, "already used" in page.said) == ("Sign in", True)


def test_an_earlier_success_hides_no_later_refusal(
    person: Person,
    user: Any,
    outbox: OutboxSender,
    sessions: str,
    clock: FrozenDateTimeFactory,
) -> None:
    person.send("/phone/", phone=PHONE)
    person.send("/phone/code/", code=outbox.code())
    clock.tick(61)
    person.send("/phone/", phone=OTHER_PHONE)
    assert person.open("/phone/done/").said == "Start here.", "this one has not ended"
    code = outbox.code()
    person.send("/phone/code/", code=wrong(code))
    clock.tick(601)
    page = person.send("/phone/code/", code=code)
    assert (page.heading, "expired" in page.said) == ("Confirm your phone", True)


def test_a_refusal_on_the_page_where_the_flow_is_by_now_is_told(
    person: Person, outbox: OutboxSender, sessions: str
) -> None:
    person.send("/phone/", phone=PHONE)
    again = partial(person.send, "/phone/", phone=OTHER_PHONE)
    page = send_twice(person, "/phone/resend/", again)
    assert (page.heading, "60 seconds" in page.said) == ("Enter the code", True)


def test_a_repeat_with_another_password_is_not_called_a_success(
    person: Person, user: Any, outbox: OutboxSender, clock: FrozenDateTimeFactory
) -> None:
    person.send("/reset/", phone=ACCOUNT_PHONE)
    person.send("/reset/code/", code=outbox.code())
    new: Any = {"new_password1": NEW_PASSWORD, "new_password2": NEW_PASSWORD}
    other: Any = {"new_password1": "a third one", "new_password2": "a third one"}
    assert person.send("/reset/password/", **new).heading == "Password changed"
    assert person.send("/reset/password/", **new).heading == "Password changed"
    page = person.send("/reset/password/", **other)
    assert (page.heading, "already used" in page.said) == ("Reset your password", True)
    clock.tick(61)
    page = person.send("/reset/password/", **new)
    assert page.heading == "Reset your password", "it is no way to guess a password"


def test_a_refused_reply_touches_no_session(
    person: Person, user: Any, outbox: OutboxSender, sessions: str
) -> None:
    person.send("/phone/", phone=PHONE)
    forms: list[tuple[str, Any]] = [("/phone/", {"phone": PHONE}), ("/phone/resend/", {})]
    for path, fields in forms:
        reply = person.send(path, follow=False, **fields).response
        assert set(reply.cookies) == {NOTICE_COOKIE}
        assert "Cookie" in reply.headers["Vary"]
    reply = person.send("/phone/code/", follow=False, code=wrong(outbox.code())).response
    assert set(reply.cookies) == {NOTICE_COOKIE, "sessionid"}, "an attempt was used"


def test_the_cookie_of_a_notice(
    person: Person, outbox: OutboxSender, clock: FrozenDateTimeFactory
) -> None:
    person.send("/phone/", phone=PHONE)
    person.send("/phone/resend/", follow=False)
    cookie = person.client.cookies[NOTICE_COOKIE]
    assert (cookie["httponly"], cookie["samesite"], cookie["max-age"]) == (True, "Lax", 300)
    assert PHONE not in cookie.value
    clock.tick(20)
    assert "in 40 seconds" in person.open("/phone/code/").said.replace("in 60", "in 40")
    assert (
        NOTICE_COOKIE not in person.client.cookies or not person.client.cookies[NOTICE_COOKIE].value
    )
    person.send("/phone/resend/", follow=False)
    assert person.open("/phone/").said == "", "it is for another page"
    clock.tick(301)
    assert person.open("/phone/code/").said == "", "it is too old"
    person.client.cookies[NOTICE_COOKIE] = "forged"
    assert person.open("/phone/code/").said == ""


def test_a_form_that_signed_in_is_sent_again_with_the_new_session(
    person: Person, user: Any, outbox: OutboxSender
) -> None:
    """The login replaced the token of the form."""
    strict = person.another(enforce_csrf_checks=True)
    with override_settings(CSRF_FAILURE_VIEW="otpverify.integrations.django.views.form_expired"):

        def token(page: Page) -> str:
            found = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page.html)
            assert found is not None
            return found[1]

        form = strict.open("/login/")
        page = login(strict, csrfmiddlewaretoken=token(form))
        fields: Any = {"code": outbox.code(), "csrfmiddlewaretoken": token(page)}
        assert strict.send("/login/code/", **fields).path == "/account/"
        assert strict.send("/login/code/", **fields).path == "/account/"


class Enter(FlowView):
    """Signs in by phone alone: a flow of one's own, whose code replaces the session's key."""

    flow = "enter"
    purpose = "enter"
    public = True
    form_class = PhoneView.form_class
    template_name = "otpverify/phone.html"

    def get_recipient(self, form: Any) -> Recipient:
        return Recipient.typed(form.cleaned_data["phone"])

    def code_valid(self, verified: Any) -> HttpResponseRedirect:
        (user,) = PasswordResetView.find_users(self, verified.phone)  # type: ignore[arg-type]  # any view
        sign_in(self.request, user, backend="django.contrib.auth.backends.ModelBackend")
        return HttpResponseRedirect("/home/")


class AsyncEnter(AsyncFlow, Enter):
    pass


@pytest.mark.parametrize("mode", ["sync", "async"])
def test_flows_of_one_s_own_are_repeatable_too(
    mode: str, user: Any, outbox: OutboxSender, sessions: str
) -> None:
    view: Any = AsyncEnter if mode == "async" else Enter
    home = route("home/", lambda request: HttpResponse(f"Home of {request.user}"))
    with urlconf(*view.urls(), home):
        person = Person(mode, prefix="")
        person.send("/enter/", phone=ACCOUNT_PHONE)
        page = send_twice(person, "/enter/code/", code=outbox.code())
        assert (page.path, page.html) == ("/home/", "Home of ann")


def test_a_session_that_is_left_alone() -> None:
    """Other code finds all of it, and what it writes is saved as usual."""
    from django.contrib.sessions.backends.db import SessionStore

    store = SessionStore()
    store["name"] = "ann"
    session: Any = UnsavedSession(store)
    assert not hasattr(session, "accessed")
    assert (session["name"], "name" in session, session.get("other")) == ("ann", True, None)
    session["other"] = 1
    del session["name"]
    session.modified = True
    assert dict(store.items()) == {"other": 1}
    assert session.accessed
