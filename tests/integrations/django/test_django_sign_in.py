"""Sign in or up by phone."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

import pytest
from django import forms
from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.auth.decorators import login_required
from django.contrib.auth.signals import user_logged_in, user_login_failed
from django.core.exceptions import ImproperlyConfigured
from django.db import connections
from django.db.models import UniqueConstraint
from django.http import HttpRequest, HttpResponse
from django.test import override_settings
from django.test.utils import CaptureQueriesContext
from django.urls import include, path
from django.utils import timezone
from django_support import (
    ACCOUNT_PHONE,
    BASE,
    PASSWORD,
    STRANGER,
    Broken,
    Page,
    Person,
    both,
    change,
    urlconf,
)
from freezegun.api import FrozenDateTimeFactory
from support import wrong

from otpverify.integrations.django import signals
from otpverify.integrations.django.urls import flow_urls
from otpverify.integrations.django.views import AsyncFlow, AsyncSignInView, LoginView, SignInView
from otpverify.integrations.web.sentences import SIGN_IN_REFUSED
from otpverify.testing import OutboxSender

USED_UP = "This code has expired or was already used. Request a new one."


class NameForm(forms.ModelForm):  # type: ignore[type-arg]  # generic in the stubs alone
    """What else an account of the tests' site needs."""

    class Meta:
        model = get_user_model()
        fields = ("username",)


class SignUp(SignInView):
    sign_up = True
    sign_up_form_class = NameForm


class AsyncSignUp(AsyncFlow, SignUp):
    pass


class OwnerForm(forms.Form):
    """Asks for the password of an account that was not used for long."""

    password = forms.CharField(widget=forms.PasswordInput)

    def __init__(self, user: Any, data: Any = None) -> None:
        super().__init__(data)
        self.user = user

    def clean_password(self) -> str:
        if not self.user.check_password(self.cleaned_data["password"]):
            raise forms.ValidationError("That is not the password.")
        return PASSWORD


class Careful(SignInView):
    def get_owner_form_class(self, user: Any) -> Any:
        used = user.last_login or user.date_joined
        return OwnerForm if used < timezone.now() - timedelta(days=90) else None


class AsyncCareful(AsyncFlow, Careful):
    async def may_sign_in(self, user: Any) -> bool:  # type: ignore[override]  # it is awaited
        return bool(user.is_active)


class Open(SignInView):
    sign_up = True


class AsyncOpen(AsyncFlow, Open):
    pass


@login_required
def account(request: HttpRequest) -> HttpResponse:
    return HttpResponse(f"Hello {request.user}")


def mounted(sync: Any, asynchronous: Any) -> Any:
    """Both kinds of a view, as `Person` asks for them."""
    other = (flow_urls(asynchronous)[0], "otpverify")
    return urlconf(
        path("account/", account),
        path("", include(flow_urls(sync))),
        path("async/", include(other, namespace="asynchronous")),
    )


@pytest.fixture(autouse=True)
def _mounted(_site: None) -> Iterator[None]:
    with mounted(SignInView, AsyncSignInView):
        yield


@pytest.fixture
def sign_up() -> Iterator[None]:
    with mounted(SignUp, AsyncSignUp):
        yield


@pytest.fixture
def careful() -> Iterator[None]:
    with mounted(Careful, AsyncCareful):
        yield


def users() -> Any:
    return get_user_model().objects


def prove(person: Person, outbox: OutboxSender, phone: str = ACCOUNT_PHONE, **more: Any) -> Page:
    """Type a number and its code."""
    page = person.send("/sign-in/", phone=phone)
    assert page.heading == "Enter the code", page.said
    return person.send("/sign-in/code/", code=outbox.code(phone), **more)


# Existing accounts only.


@both
def test_a_number_and_a_code_sign_in(person: Person, user: Any, outbox: OutboxSender) -> None:
    page = person.open("/sign-in/")
    assert page.heading == "Sign in"
    assert "private" in page.response.headers["Cache-Control"]
    page = person.send("/sign-in/", phone="+1 (202) 555-0123")
    assert page.path == f"{person.prefix}/sign-in/code/"
    assert "is your sign-in code" in outbox.last.text
    assert not person.signed_in
    page = person.send("/sign-in/code/", code=outbox.code())
    assert (page.path, page.html) == ("/account/", "Hello ann")
    user.refresh_from_db()
    assert user.last_login is not None
    assert "otpverify.sign-in" not in person.session


@both
def test_an_unknown_number_gets_the_same_pages_and_no_message(
    person: Person, user: Any, outbox: OutboxSender
) -> None:
    page = person.send("/sign-in/", phone=STRANGER)
    assert page.heading == "Enter the code"
    assert "If there is an account with the number" in page.html
    assert len(outbox) == 0
    for nth in range(5):
        page = person.send("/sign-in/code/", code=f"00000{nth}")
    assert "Too many incorrect codes" in page.said
    assert users().count() == 1


@both
@pytest.mark.parametrize("case", ["inactive", "two accounts", "no phone", "own rule"])
def test_who_may_not_sign_in_gets_no_message(
    person: Person, user: Any, outbox: OutboxSender, case: str, caplog: Any
) -> None:
    if case == "inactive":
        change(user, is_active=False)
    elif case == "two accounts":
        users().create_user("bob", password=PASSWORD, phone=ACCOUNT_PHONE)
    elif case == "no phone":
        change(user, phone="")
    else:

        class Staff(SignInView):
            def may_sign_in(self, user: Any) -> bool:
                return False

        class AsyncStaff(AsyncFlow, Staff):
            pass

        with mounted(Staff, AsyncStaff):
            assert person.send("/sign-in/", phone=ACCOUNT_PHONE).heading == "Enter the code"
    if case != "own rule":
        assert person.send("/sign-in/", phone=ACCOUNT_PHONE).heading == "Enter the code"
    assert len(outbox) == 0
    said = [record.getMessage() for record in caplog.records]
    assert ("2 accounts have the number" in " ".join(said)) == (case == "two accounts")
    assert ACCOUNT_PHONE not in " ".join(said)


def test_a_start_asks_the_database_the_same_for_every_number(
    user: Any, outbox: OutboxSender
) -> None:
    for name in ("bob", "bea"):
        users().create_user(name, phone="+12025550155")
    users().create_user("carl", phone="+12025550166", is_active=False)
    asked = []
    for phone in (ACCOUNT_PHONE, STRANGER, "+12025550155", "+12025550166"):
        with CaptureQueriesContext(connections["default"]) as queries:
            Person("sync").send("/sign-in/", phone=phone, follow=False)
        asked.append([re.sub(r"'[^']*'", "?", one["sql"]) for one in queries])
    assert asked[0] == asked[1] == asked[2] == asked[3]
    assert len(outbox) == 1


@both
@pytest.mark.parametrize("case", ["inactive", "two accounts", "changed", "deleted"])
def test_an_account_that_changes_before_the_code_is_refused(
    person: Person, user: Any, outbox: OutboxSender, case: str
) -> None:
    person.send("/sign-in/", phone=ACCOUNT_PHONE)
    if case == "inactive":
        change(user, is_active=False)
    elif case == "two accounts":
        users().create_user("bob", password=PASSWORD, phone=ACCOUNT_PHONE)
    elif case == "changed":
        change(user, phone=STRANGER)
    else:
        user.delete()
    page = person.send("/sign-in/code/", code=outbox.code())
    assert page.path == f"{person.prefix}/sign-in/account/"
    assert page.said == str(SIGN_IN_REFUSED)
    assert "Continue" not in page.html
    assert not person.signed_in
    assert person.open("/sign-in/account/").said == str(SIGN_IN_REFUSED), "also after a reload"
    page = person.send("/sign-in/account/")
    assert page.said == str(SIGN_IN_REFUSED)
    assert not person.signed_in
    page = person.send("/sign-in/cancel/")
    assert page.path == f"{person.prefix}/sign-in/"
    assert person.open("/sign-in/account/").said == "Confirm your phone first. Start here."


def test_an_inactive_account_beside_an_active_one_does_not_count(
    person: Person, user: Any, outbox: OutboxSender
) -> None:
    users().create_user("bob", phone=ACCOUNT_PHONE, is_active=False)
    assert prove(person, outbox).html == "Hello ann"


# Where it leads.


@pytest.mark.parametrize("way", ["query", "field"])
def test_it_leads_to_the_page_that_was_wanted(
    person: Person, user: Any, outbox: OutboxSender, way: str
) -> None:
    wanted = "/account/?page=2"
    address = "/sign-in/?" + urlencode({"next": wanted})
    page = person.open(address)
    assert 'name="next" value="/account/?page=2"' in page.html
    if way == "query":
        person.send(address, phone=ACCOUNT_PHONE)
    else:
        person.send("/sign-in/", phone=ACCOUNT_PHONE, next=wanted)
    page = person.send("/sign-in/code/", code=outbox.code(), follow=False)
    assert page.response.headers["Location"] == wanted


@pytest.mark.parametrize(
    "wanted", ["https://evil.example/", "//evil.example/", "javascript:alert(1)", "/\\evil.example"]
)
def test_it_leads_to_no_other_site(
    person: Person, user: Any, outbox: OutboxSender, wanted: str
) -> None:
    assert (
        "evil"
        not in person.open("/sign-in/?" + urlencode({"next": wanted}))
        .html.replace('action="', "")
        .partition("<form")[0]
    )
    person.send("/sign-in/?" + urlencode({"next": wanted}), phone=ACCOUNT_PHONE, next=wanted)
    page = person.send("/sign-in/code/", code=outbox.code(), follow=False)
    assert page.response.headers["Location"] == "/account/"


@pytest.mark.parametrize(
    ("setting", "own", "expected"),
    [("/in/", None, "/in/"), ("account", None, "/account/"), ("/in/", "/own/", "/own/")],
)
def test_where_it_leads_by_default(
    user: Any, outbox: OutboxSender, setting: str, own: Any, expected: str
) -> None:
    patterns = [path("account/", account, name="account"), *SignInView.urls(next_page=own)]
    with urlconf(*patterns), override_settings(LOGIN_REDIRECT_URL=setting):
        page = prove(Person("sync"), outbox, follow=False)
        assert page.response.headers["Location"] == expected


def test_who_is_signed_in_is_sent_on_if_wanted(
    person: Person, user: Any, outbox: OutboxSender
) -> None:
    prove(person, outbox)
    assert person.open("/sign-in/").heading == "Sign in"

    class SentOn(SignInView):
        redirect_authenticated_user = True

    class AsyncSentOn(AsyncFlow, SentOn):
        pass

    with mounted(SentOn, AsyncSentOn):
        assert person.open("/sign-in/").path == "/account/"
        assert person.open("/sign-in/?next=/account/%3Fa").path == "/account/"
        assert person.another().open("/sign-in/").heading == "Sign in"
        with (
            override_settings(LOGIN_REDIRECT_URL=f"{person.prefix}/sign-in/"),
            pytest.raises(ValueError, match="leads to the page that sends"),
        ):
            person.open("/sign-in/")


# Sessions.


def test_another_account_gets_a_new_session(
    person: Person, user: Any, outbox: OutboxSender
) -> None:
    users().create_user("bob", phone=STRANGER)
    prove(person, outbox)
    session = person.session
    session["basket"] = ["of ann"]
    session.save()
    assert prove(person, outbox, STRANGER).html == "Hello bob"
    assert "basket" not in person.session


def test_the_key_of_the_session_changes(person: Person, user: Any, outbox: OutboxSender) -> None:
    person.send("/sign-in/", phone=ACCOUNT_PHONE)
    planted = person.client.cookies["sessionid"].value
    person.send("/sign-in/code/", code=outbox.code())
    assert person.client.cookies["sessionid"].value != planted
    other = person.another()
    other.client.cookies["sessionid"] = planted
    assert not other.signed_in


def test_a_planted_key_does_not_lead_to_a_proof_that_waits(
    person: Person, outbox: OutboxSender, sign_up: None
) -> None:
    """Somebody who planted a session's key must not create the account of the person's number."""
    person.send("/sign-in/", phone=STRANGER)
    planted = person.client.cookies["sessionid"].value
    page = person.send("/sign-in/code/", code=outbox.code())
    assert page.heading == "Create your account"
    attacker = person.another()
    attacker.client.cookies["sessionid"] = planted
    attacker.send("/sign-in/account/", username="mallory")
    assert not attacker.signed_in
    assert users().count() == 0


def test_what_was_planted_in_the_session_is_dropped(
    person: Person, user: Any, outbox: OutboxSender
) -> None:
    session = person.session
    session["otpverify.phone"] = {"planted": True}
    session.save()
    person.client.cookies["sessionid"] = session.session_key
    prove(person, outbox)
    assert "otpverify.phone" not in person.session


def test_an_old_copy_of_a_session_signs_in_nobody(
    person: Person, user: Any, outbox: OutboxSender
) -> None:
    with override_settings(SESSION_ENGINE="django.contrib.sessions.backends.signed_cookies"):
        person.send("/sign-in/", phone=ACCOUNT_PHONE)
        copy = person.client.cookies["sessionid"].value
        code = outbox.code()
        assert person.send("/sign-in/code/", code=code).path == "/account/"
        thief = person.another()
        thief.client.cookies["sessionid"] = copy
        assert thief.send("/sign-in/code/", code=code).said == USED_UP
        assert not thief.signed_in


# With sign-up.


def test_a_new_number_gets_an_account_with_what_else_it_needs(
    person: Person, user: Any, outbox: OutboxSender, sign_up: None
) -> None:
    page = person.open("/sign-in/?next=/account/%3Fnew")
    assert page.heading == "Sign in or create an account"
    person.send("/sign-in/?next=/account/%3Fnew", phone=STRANGER)
    page = person.open("/sign-in/code/")
    assert f"We sent a code to {STRANGER}." in page.html
    assert "Use another number" in page.html
    page = person.send("/sign-in/code/", code=outbox.code(STRANGER))
    assert page.heading == "Create your account"
    assert f"{STRANGER} is confirmed." in page.html
    assert not person.signed_in
    assert person.open("/sign-in/code/").heading == "Create your account", "the code is used"
    page = person.send("/sign-in/account/", username="ann")
    assert "already exists" in page.html
    assert users().count() == 1
    page = person.send("/sign-in/account/", username="", phone=ACCOUNT_PHONE)
    assert users().count() == 1
    page = person.send("/sign-in/account/", username="bob", phone="+37256789045", follow=False)
    assert page.response.headers["Location"] == "/account/?new"
    bob = users().get(username="bob")
    assert (bob.phone, bob.has_usable_password()) == (STRANGER, False)
    assert person.session["_auth_user_id"] == str(bob.pk)
    again = person.another()
    assert prove(again, outbox, STRANGER).html == "Hello bob"


class PlainForm(forms.Form):
    """Not a `ModelForm`: it does not look which names there are."""

    username = forms.CharField(required=False)
    email = forms.CharField(required=False)
    colour = forms.CharField(required=False)


class ByName(SignInView):
    sign_up = True
    sign_up_form_class = PlainForm

    def create_user(self, verified: Any, form: Any) -> Any:
        named = {name: form.cleaned_data[name] for name in ("username", "email")}
        return users().create_user(**named, phone=verified.phone)


class AsyncByName(AsyncFlow, ByName):
    pass


@both
@pytest.mark.parametrize(
    ("taken", "field", "free"),
    [
        ({"username": "ann"}, "username", {"username": "bob"}),
        ({"email": "a@b.c"}, "__all__", {"email": "b@b.c"}),
    ],
    ids=["a unique field", "a unique constraint"],
)
def test_a_value_of_another_account_does_not_use_the_proof_up(
    person: Person,
    user: Any,
    outbox: OutboxSender,
    monkeypatch: Any,
    taken: Any,
    field: str,
    free: Any,
) -> None:
    change(user, email="a@b.c")
    constraint = UniqueConstraint(fields=["email"], name="one_email")
    monkeypatch.setattr(get_user_model()._meta, "constraints", [constraint])
    with mounted(ByName, AsyncByName):
        prove(person, outbox, STRANGER)
        given = {"username": "carl", "email": "c@b.c"}
        page = person.send("/sign-in/account/", **{**given, **taken})
        assert page.heading == "Create your account"
        assert "already exists" in page.html
        status, body = person.json("post", "/sign-in/account/", **{**given, **taken})
        assert (status, list(body["errors"])) == (422, [field])
        assert not person.signed_in
        assert person.send("/sign-in/account/", **{**given, **free}).path == "/account/"
        assert users().get(phone=STRANGER).pk != user.pk


def test_an_account_is_created_at_once_where_nothing_is_asked_for(
    person: Person, outbox: OutboxSender
) -> None:
    with mounted(Open, AsyncOpen):
        page = prove(person, outbox, STRANGER)
        (made,) = users().all()
        assert page.html == f"Hello {made.username}"
        assert made.username.startswith("user-")
        assert "555" not in made.username, "user names are shown to others"
        assert made.phone == STRANGER


def test_the_number_is_the_user_name(person: Person, outbox: OutboxSender) -> None:
    with (
        override_settings(
            AUTH_USER_MODEL="django_site.Member",
            OTPVERIFY={**BASE, "SENDER": outbox, "SIGN_UP": True},
        ),
    ):
        users().all().delete()
        assert prove(person, outbox, STRANGER).html == f"Hello {STRANGER}"
        assert person.another().open("/sign-in/").heading == "Sign in or create an account"
        users().all().delete()


def test_what_cannot_be_created_is_said_before_a_message(outbox: OutboxSender) -> None:
    class Own(Open):
        def create_user(self, verified: Any, form: Any) -> Any:
            raise NotImplementedError

    with override_settings(OTPVERIFY={**BASE, "SENDER": outbox, "PHONE_FIELD": "profile__phone"}):
        with urlconf(*Open.urls()), pytest.raises(ImproperlyConfigured, match=r"create_user\("):
            Person("sync").open("/sign-in/")
        with urlconf(*Own.urls()):
            assert Person("sync").open("/sign-in/").status == 200


def test_an_inactive_account_is_no_new_number(
    person: Person, user: Any, outbox: OutboxSender, sign_up: None
) -> None:
    change(user, is_active=False)
    page = prove(person, outbox)
    assert page.said == str(SIGN_IN_REFUSED)
    page = person.send("/sign-in/account/", username="another")
    assert page.said == str(SIGN_IN_REFUSED)
    assert users().count() == 1
    assert not person.signed_in


def test_a_proof_creates_one_account(person: Person, outbox: OutboxSender, sign_up: None) -> None:
    """A copy of the session, such as of a signed cookie, is worth nothing after the first."""
    with override_settings(SESSION_ENGINE="django.contrib.sessions.backends.signed_cookies"):
        prove(person, outbox, STRANGER)
        copy = person.client.cookies["sessionid"].value
        assert person.send("/sign-in/account/", username="bob").path == "/account/"
        users().get(username="bob").delete()
        thief = person.another()
        thief.client.cookies["sessionid"] = copy
        thief.send("/sign-in/account/", username="thief")
        assert users().count() == 0
        assert not thief.signed_in


def test_a_proof_ends_with_its_time(
    person: Person, outbox: OutboxSender, sign_up: None, clock: FrozenDateTimeFactory
) -> None:
    prove(person, outbox, STRANGER)
    clock.tick(601)
    page = person.send("/sign-in/account/", username="late")
    assert page.path == f"{person.prefix}/sign-in/"
    assert page.said == USED_UP
    assert users().count() == 0


@pytest.mark.parametrize("same_session", [True, False])
def test_two_requests_at_once_create_one_account(outbox: OutboxSender, same_session: bool) -> None:
    together = threading.Barrier(2)

    class AtOnce(SignInView):
        sign_up = True
        sign_up_form_class = forms.Form

        def create_user(self, verified: Any, form: Any) -> Any:
            if not same_session:
                together.wait(10)
            return super().create_user(verified, form)

    options = {"POLICY": {"resend_cooldown_seconds": 0}}
    with (
        override_settings(
            AUTH_USER_MODEL="django_site.Member", OTPVERIFY={**BASE, **options, "SENDER": outbox}
        ),
        mounted(AtOnce, AtOnce),
    ):
        users().all().delete()
        first, second = Person("sync"), Person("sync")
        assert prove(first, outbox, STRANGER).heading == "Create your account"
        if same_session:
            second.client.cookies["sessionid"] = first.client.cookies["sessionid"].value
        else:
            assert prove(second, outbox, STRANGER).heading == "Create your account"
        ended: list[str] = []

        def send(person: Person) -> None:
            try:
                page = person.send("/sign-in/account/", follow=False)
                ended.append(page.response.headers["Location"])
            finally:
                connections.close_all()

        threads = [threading.Thread(target=send, args=[one]) for one in (first, second)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        (made,) = users().all()
        if same_session:
            assert sorted(ended) == ["/account/", "/sign-in/"]
            return
        assert ended == ["/account/", "/account/"]
        for person in (first, second):
            assert person.session["_auth_user_id"] == str(made.pk)
        users().all().delete()


def test_a_store_that_fails_creates_nothing_and_loses_nothing(
    person: Person, outbox: OutboxSender, sign_up: None
) -> None:
    store = Broken()
    with override_settings(OTPVERIFY={**BASE, "SENDER": outbox, "STORE": store}):
        prove(person, outbox, STRANGER)
        store.broken = ("redeem",)
        page = person.send("/sign-in/account/", username="bob")
        assert page.heading == "Create your account"
        assert page.said.startswith("Something went wrong on our side.")
        assert users().count() == 0
        store.broken = ()
        assert person.send("/sign-in/account/", username="bob").html == "Hello bob"


def test_a_store_that_fails_after_the_code_keeps_the_proof(
    person: Person, user: Any, outbox: OutboxSender
) -> None:
    store = Broken()
    with override_settings(OTPVERIFY={**BASE, "SENDER": outbox, "STORE": store}):
        store.broken = ("redeem",)
        page = prove(person, outbox)
        assert page.path == f"{person.prefix}/sign-in/account/"
        assert page.said.startswith("Something went wrong on our side.")
        store.broken = ()
        assert "Continue" in page.html
        assert person.send("/sign-in/account/").html == "Hello ann"


# A number that changed hands.


def test_an_account_that_was_not_used_for_long_asks_for_more(
    person: Person, user: Any, outbox: OutboxSender, careful: None
) -> None:
    assert prove(person, outbox).html == "Hello ann"
    change(user, last_login=timezone.now() - timedelta(days=91))
    person = person.another()
    with override_settings(
        OTPVERIFY={**BASE, "SENDER": outbox, "POLICY": {"resend_cooldown_seconds": 0}}
    ):
        page = prove(person, outbox)
        assert (page.heading, page.path) == ("Sign in", f"{person.prefix}/sign-in/account/")
        assert 'name="password"' in page.html
        assert not person.signed_in
        page = person.send("/sign-in/account/")
        assert not person.signed_in
        page = person.send("/sign-in/account/", password="guess")
        assert "That is not the password." in page.html
        assert not person.signed_in
        assert person.send("/sign-in/account/", password=PASSWORD).html == "Hello ann"


def test_what_the_owner_knows_is_not_guessed(
    person: Person, user: Any, outbox: OutboxSender, careful: None, clock: FrozenDateTimeFactory
) -> None:
    """Who has the number of somebody else's old account gets few attempts, also with more codes."""
    change(user, last_login=timezone.now() - timedelta(days=91))
    prove(person, outbox)
    for nth in range(5):
        page = person.send("/sign-in/account/", password=f"guess {nth}")
        assert "That is not the password." in page.html
    page = person.send("/sign-in/account/", password=PASSWORD)
    assert "Too many incorrect answers" in page.said
    assert not person.signed_in
    clock.tick(61)
    other = person.another()
    prove(other, outbox)
    assert "Too many" in other.send("/sign-in/account/", password=PASSWORD).said
    clock.tick(900)
    late = person.another()
    prove(late, outbox)
    assert late.send("/sign-in/account/", password=PASSWORD).html == "Hello ann"


def test_a_form_for_a_new_account_does_not_open_an_old_one(
    person: Person, user: Any, outbox: OutboxSender
) -> None:
    """The account that another request created in between asks for its own form."""

    class Both(SignUp, Careful):
        pass

    class AsyncBoth(AsyncFlow, Both):
        pass

    with mounted(Both, AsyncBoth):
        prove(person, outbox, STRANGER)
        change(user, phone=STRANGER, last_login=timezone.now() - timedelta(days=91))
        page = person.send("/sign-in/account/", username="bob")
        assert 'name="password"' in page.html
        assert not person.signed_in
        assert users().count() == 1


def test_an_account_that_appears_while_a_form_is_read_asks_for_its_own(
    person: Person, user: Any, outbox: OutboxSender
) -> None:
    class Meanwhile(NameForm):
        def clean(self) -> Any:
            change(user, phone=STRANGER, last_login=timezone.now() - timedelta(days=91))
            return super().clean()

    class Both(SignUp, Careful):
        sign_up_form_class = Meanwhile

    class AsyncBoth(AsyncFlow, Both):
        pass

    with mounted(Both, AsyncBoth):
        prove(person, outbox, STRANGER)
        page = person.send("/sign-in/account/", username="bob")
        assert 'name="password"' in page.html
        assert not person.signed_in
        assert users().count() == 1


# Repeated requests.


@pytest.mark.parametrize("engine", ["db", "signed_cookies"])
def test_forms_that_are_sent_twice_end_as_if_sent_once(
    person: Person, user: Any, outbox: OutboxSender, sign_up: None, engine: str
) -> None:
    with override_settings(SESSION_ENGINE=f"django.contrib.sessions.backends.{engine}"):
        for phone, steps in (
            (ACCOUNT_PHONE, [("/sign-in/code/", {})]),
            (STRANGER, [("/sign-in/code/", {}), ("/sign-in/account/", {"username": "bob"})]),
        ):
            person = person.another()
            person.send("/sign-in/", phone=phone)
            for step, fields in steps:
                given: Any = fields or {"code": outbox.code(phone)}
                before = person.client.cookies["sessionid"].value
                once = person.send(step, **given)
                repeated = person.another()
                repeated.client.cookies["sessionid"] = before
                reply = repeated.send(step, follow=False, **given)
                # The browser has the session of the first reply, and the notice of the second.
                for name, morsel in reply.response.cookies.items():
                    assert name != "sessionid"
                    person.client.cookies[name] = morsel.value
                again = person.open(
                    reply.response.headers["Location"].removeprefix(person.prefix)
                    if person.prefix
                    else reply.response.headers["Location"]
                )
                assert (again.path, again.heading) == (once.path, once.heading)


def test_a_form_that_another_tab_made_stale_is_shown_again(
    person: Person, outbox: OutboxSender, sign_up: None
) -> None:
    own = "otpverify.integrations.django.views.form_expired"
    with override_settings(CSRF_FAILURE_VIEW=own):
        prove(person, outbox, STRANGER)
        strict = person.another(enforce_csrf_checks=True)
        strict.client.cookies = person.client.cookies
        page = strict.send("/sign-in/account/", username="bob")
        assert page.said == "This form has expired. Send it again."
        assert page.heading == "Create your account"
    assert users().count() == 0


# JSON.


def test_json_for_existing_accounts(person: Person, user: Any, outbox: OutboxSender) -> None:
    status, body = person.json("post", "/sign-in/?next=/account/%3Fj", phone="+1 202 555 0123")
    assert (status, body["state"]) == (202, "pending")
    status, body = person.json("post", "/sign-in/code/", code=wrong(outbox.code()))
    assert (status, body["type"].rpartition("/")[2].rpartition(":")[2]) == (400, "incorrect-code")
    status, body = person.json("post", "/sign-in/code/", code=outbox.code())
    assert (status, body["state"], body["sign_in"]) == (200, "none", "signed_in")
    assert body["next"] == "/account/?j"
    assert person.signed_in


def test_json_with_sign_up(person: Person, user: Any, outbox: OutboxSender, sign_up: None) -> None:
    person.json("post", "/sign-in/", phone=STRANGER)
    status, body = person.json("post", "/sign-in/code/", code=outbox.code())
    assert (status, body["state"], body["sign_in"]) == (200, "verified", "sign_up")
    assert body["next"] == f"{person.prefix}/sign-in/account/"
    assert person.json("get", "/sign-in/status/")[1]["state"] == "verified"
    status, body = person.json("post", "/sign-in/account/", username="ann")
    assert (status, list(body["errors"])) == (422, ["username"])
    status, body = person.json("post", "/sign-in/account/", username="bob")
    assert (status, body["sign_in"], body["next"]) == (200, "signed_in", "/account/")
    assert users().get(username="bob").phone == STRANGER
    status, body = person.json("post", "/sign-in/account/", username="carl")
    assert status == 410
    change(user, is_active=False)
    other = person.another()
    other.json("post", "/sign-in/", phone=ACCOUNT_PHONE)
    status, body = other.json("post", "/sign-in/code/", code=outbox.code(ACCOUNT_PHONE))
    assert (status, body["detail"]) == (403, str(SIGN_IN_REFUSED))
    assert not other.signed_in


# Signals.


def test_signals(person: Person, user: Any, outbox: OutboxSender, sign_up: None) -> None:
    heard: list[tuple[str, Any]] = []
    names = ("code_verified", "code_refused", "attempts_exhausted", "sign_in_verified")
    known = {name: getattr(signals, name) for name in names}
    known |= {"user_logged_in": user_logged_in, "user_login_failed": user_login_failed}
    receivers = []
    for name, signal in known.items():

        def receiver(name: str = name, **named: Any) -> None:
            assert isinstance(named["request"], HttpRequest)
            heard.append((name, named))

        receivers.append((signal, receiver))
        signal.connect(receiver)
    try:
        prove(person, outbox)
        assert [name for name, _ in heard] == [
            "code_verified",
            "user_logged_in",
            "sign_in_verified",
        ]
        about = heard[-1][1]
        assert (about["user"], about["created"]) == (user, False)
        assert about["verified"].phone == ACCOUNT_PHONE
        heard.clear()
        stranger = person.another()
        prove(stranger, outbox, STRANGER)
        stranger.send("/sign-in/account/", username="bob")
        assert heard[-1][1]["created"] is True
        heard.clear()
        third = person.another()
        third.send("/sign-in/", phone="+12025550177")
        for nth in range(1, 6):
            third.send("/sign-in/code/", code=wrong(outbox.code(), nth))
        once = ["code_refused", "user_login_failed"]
        assert [name for name, _ in heard] == once * 4 + [
            "code_refused",
            "attempts_exhausted",
            "user_login_failed",
        ]
        assert heard[1][1]["credentials"] == {"phone": "+12025550177"}
        assert heard[-1][1]["credentials"] == {"phone": "+12025550177"}
    finally:
        for signal, receiver in receivers:
            signal.disconnect(receiver)


# Beside other views, and in a project with more.


def test_the_login_is_named_where_it_is_mounted_beside() -> None:
    with urlconf(path("", include(flow_urls(SignInView, LoginView)))):
        page = Person("sync").open("/sign-in/")
        assert '<a href="/login/">Sign in with your password</a>' in page.html


def test_a_backend_that_knows_no_user_is_passed_over(user: Any, outbox: OutboxSender) -> None:
    first = "django.contrib.auth.backends.BaseBackend"
    second = "otpverify.integrations.django.backends.PhoneBackend"
    person = Person("sync")
    with override_settings(AUTHENTICATION_BACKENDS=[first, second]):
        prove(person, outbox)
        assert person.session["_auth_user_backend"] == second


def test_a_site_that_needs_a_login_everywhere(
    person: Person, user: Any, outbox: OutboxSender
) -> None:

    own = "django.contrib.auth.middleware.LoginRequiredMiddleware"
    with override_settings(MIDDLEWARE=[*settings.MIDDLEWARE, own]):
        assert prove(person, outbox).html == "Hello ann"


def test_accounts_by_a_function(user: Any, outbox: OutboxSender) -> None:
    options = {**BASE, "SENDER": outbox, "PHONE_FIELD": None}
    own = {"FIND_USERS": lambda phone: user if phone == ACCOUNT_PHONE else None}
    with override_settings(OTPVERIFY={**options, **own}):
        assert prove(Person("sync"), outbox).html == "Hello ann"
        Person("sync").send("/sign-in/", phone=STRANGER)
        assert len(outbox) == 1
