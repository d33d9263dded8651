"""Remembered browsers, backup codes, and other ways to pass the code's page."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from django.conf import settings
from django.contrib.auth import get_user_model
from django.core import mail
from django.core.exceptions import ImproperlyConfigured
from django.core.management import call_command
from django.db import connection
from django.http import HttpRequest, HttpResponseBase, HttpResponseRedirect
from django.test import RequestFactory, override_settings
from django.urls import include, path
from django_support import (
    ACCOUNT_PHONE,
    BASE,
    CREDENTIALS,
    NEW_PASSWORD,
    PASSWORD,
    Page,
    Person,
    both,
    change,
    login,
    mails_kept,
    urlconf,
)
from freezegun.api import FrozenDateTimeFactory
from support import OTHER_PHONE, PHONE, SECRET, wrong

from otpverify import (
    AsyncVerifier,
    ChallengeExpired,
    ConfigurationError,
    Limit,
    MemoryStore,
    StoreError,
)
from otpverify.integrations.django import (
    conf,
    get_async_verifier,
    get_verifier,
    pending_login,
    remembered,
    signals,
)
from otpverify.integrations.django.backup_codes import CodeTable, backup_codes
from otpverify.integrations.django.second_factor.models import BackupCode
from otpverify.integrations.django.urls import flow_urls
from otpverify.integrations.django.views import (
    AsyncLoginView,
    LoginView,
    complete_login,
    pending_user,
)
from otpverify.integrations.web import run_sync
from otpverify.integrations.web.other_ways import OtherWay
from otpverify.integrations.web.remembered import REMEMBERED_COOKIE
from otpverify.integrations.web.sentences import Sentence
from otpverify.testing import OutboxSender


def options(outbox: OutboxSender, **more: Any) -> dict[str, Any]:
    quick = {"POLICY": {"resend_cooldown_seconds": 0, "sends_per_phone": (Limit(50, 3600),)}}
    return {**BASE, **quick, "SENDER": outbox, "SECRET": SECRET, **more}


@pytest.fixture(autouse=True)
def _remembering(outbox: OutboxSender) -> Iterator[None]:
    with override_settings(OTPVERIFY=options(outbox, REMEMBER_DAYS=30)):
        yield


@pytest.fixture
def ways_heard() -> Iterator[list[str]]:
    found: list[str] = []

    def receiver(way: str, **_: Any) -> None:
        found.append(way)

    signals.login_verified.connect(receiver)
    yield found
    signals.login_verified.disconnect(receiver)


def sign_in(person: Person, outbox: OutboxSender, **more: str) -> Page:
    login(person)
    fields: Any = {"code": outbox.code(), **more}
    page = person.send("/login/code/", **fields)
    assert person.signed_in
    return page


def sign_out(person: Person) -> None:
    """As a person does, whose browser keeps its other cookies."""
    del person.client.cookies["sessionid"]


def codes_of(user: Any) -> list[str]:
    return run_sync(backup_codes(get_verifier()).make(str(user.pk)))


# Remembered browsers.


@both
def test_a_remembered_browser_skips_the_code(
    person: Person, user: Any, outbox: OutboxSender, ways_heard: list[str]
) -> None:
    login(person)
    assert "Remember this browser for 30 days" in person.open("/login/code/").html
    person.send("/login/code/", code=outbox.code(), remember="on")
    cookie = person.client.cookies[REMEMBERED_COOKIE]
    assert (cookie["httponly"], cookie["samesite"]) == (True, "Lax")
    assert cookie["max-age"] == 30 * 86_400
    sign_out(person)
    sent = len(outbox)
    assert login(person, next="/account/?x=1").html == "Hello ann"
    assert len(outbox) == sent
    assert ways_heard == ["sms"], "no second factor was checked the second time"


@both
def test_who_does_not_tick_it_is_not_remembered(
    person: Person, user: Any, outbox: OutboxSender
) -> None:
    sign_in(person, outbox)
    assert REMEMBERED_COOKIE not in person.client.cookies
    with override_settings(OTPVERIFY=options(outbox)):
        login(person)
        assert "Remember" not in person.open("/login/code/").html
        person.send("/login/code/", code=outbox.code(), remember="on")
        assert REMEMBERED_COOKIE not in person.client.cookies


def test_the_cookie_is_as_secure_as_the_session_s(user: Any, outbox: OutboxSender) -> None:
    person = Person("sync")
    with override_settings(SESSION_COOKIE_SECURE=True):
        request = RequestFactory().get("/")
        response = HttpResponseRedirect("/")
        remembered.remember(request, response, user, get_verifier())
        assert response.cookies[REMEMBERED_COOKIE]["secure"]
    sign_in(person, outbox, remember="on")
    assert not person.client.cookies[REMEMBERED_COOKIE]["secure"]


ENDS = {
    "password": lambda user: (user.set_password(NEW_PASSWORD), user.save()),
    "phone": lambda user: change(user, phone=OTHER_PHONE),
    "no phone": lambda user: change(user, phone=""),
    "forgotten": remembered.forget_browsers,
}


@pytest.mark.parametrize("happens", ENDS)
def test_what_ends_a_remembered_browser(
    person: Person, user: Any, outbox: OutboxSender, happens: str
) -> None:
    """Also a copy of the cookie."""
    sign_in(person, outbox, remember="on")
    sign_out(person)
    ENDS[happens](user)
    password = NEW_PASSWORD if happens == "password" else PASSWORD
    person.send("/login/", username="ann", password=password)
    assert not person.signed_in


def test_it_ends_after_its_days(
    person: Person, user: Any, outbox: OutboxSender, clock: FrozenDateTimeFactory
) -> None:
    sign_in(person, outbox, remember="on")
    sign_out(person)
    clock.tick(30 * 86_400 - 60)
    assert login(person).html == "Hello ann"
    sign_out(person)
    clock.tick(61)
    assert login(person).heading == "Enter the code"


def test_fewer_days_apply_to_cookies_that_are_out(
    person: Person, user: Any, outbox: OutboxSender, clock: FrozenDateTimeFactory
) -> None:
    sign_in(person, outbox, remember="on")
    sign_out(person)
    clock.tick(8 * 86_400)
    with override_settings(OTPVERIFY=options(outbox, REMEMBER_DAYS=7)):
        assert login(person).heading == "Enter the code"
    with override_settings(OTPVERIFY=options(outbox)):
        assert login(person).heading == "Enter the code"


def test_the_cookie_of_another_account_is_worth_nothing(
    person: Person, user: Any, outbox: OutboxSender
) -> None:
    """Both may use one browser, and are remembered beside each other."""
    type(user).objects.create_user("bob", password=PASSWORD, phone=OTHER_PHONE)
    sign_in(person, outbox, remember="on")
    sign_out(person)
    page = person.send("/login/", username="bob", password=PASSWORD)
    assert page.heading == "Enter the code"
    person.send("/login/code/", code=outbox.code(OTHER_PHONE), remember="on")
    for name in ("ann", "bob"):
        sign_out(person)
        assert person.send("/login/", username=name, password=PASSWORD).html == f"Hello {name}"


def test_it_needs_the_password(person: Person, user: Any, outbox: OutboxSender) -> None:
    sign_in(person, outbox, remember="on")
    sign_out(person)
    person.send("/login/", username="ann", password="wrong")
    assert not person.signed_in
    assert person.open("/my-phone/").path == "/login/"


@pytest.mark.parametrize("cookie", ["", "x", "." * 300, "A" * 46, "A" * 46 + "." + "B" * 46])
def test_a_forged_cookie_is_worth_nothing(
    person: Person, user: Any, outbox: OutboxSender, cookie: str
) -> None:
    person.client.cookies[REMEMBERED_COOKIE] = cookie
    assert login(person).heading == "Enter the code"


def test_a_wrong_code_remembers_nothing(person: Person, user: Any, outbox: OutboxSender) -> None:
    login(person)
    person.send("/login/code/", code=wrong(outbox.code()), remember="on")
    assert REMEMBERED_COOKIE not in person.client.cookies


def test_an_older_secret_key_still_counts(person: Person, user: Any, outbox: OutboxSender) -> None:
    """As for Django's sessions."""
    sign_in(person, outbox, remember="on")
    sign_out(person)
    with override_settings(SECRET_KEY="a new key", SECRET_KEY_FALLBACKS=[settings.SECRET_KEY]):
        assert login(person).html == "Hello ann"


@both
def test_the_button_that_ends_all_of_them(person: Person, user: Any, outbox: OutboxSender) -> None:
    other = person.another()
    sign_in(other, outbox, remember="on")
    sign_out(other)
    sign_in(person, outbox)
    assert "Forget all browsers" in person.open("/backup-codes/").html
    assert "No browser is remembered" in person.send("/backup-codes/forget/").said
    assert login(other).heading == "Enter the code"


def test_remembering_by_json(person: Person, user: Any, outbox: OutboxSender) -> None:
    person.json("post", "/login/", **CREDENTIALS)
    person.json("post", "/login/code/", code=outbox.code(), remember=False)
    assert REMEMBERED_COOKIE not in person.client.cookies
    person.json("post", "/login/", **CREDENTIALS)
    person.json("post", "/login/code/", code=outbox.code(), remember=True)
    sign_out(person)
    status, body = person.json("post", "/login/", **CREDENTIALS)
    assert (status, body["next"]) == (200, "/account/")


@pytest.mark.parametrize("days", [-1, 366, 1.5, "30", True])
def test_days_that_are_none(days: Any, outbox: OutboxSender) -> None:
    with (
        override_settings(OTPVERIFY=options(outbox, REMEMBER_DAYS=days)),
        pytest.raises(ConfigurationError, match=r"REMEMBER_DAYS.*, in days, must be"),
    ):
        conf.remember_days()
    with (
        override_settings(OTPVERIFY=options(outbox, WITHOUT_PHONE="maybe")),
        pytest.raises(ConfigurationError, match="WITHOUT_PHONE"),
    ):
        conf.without_phone()


# Backup codes.


def make_codes(person: Person, outbox: OutboxSender) -> list[str]:
    """As a person does."""
    page = person.send("/backup-codes/")
    assert page.heading == "First confirm that it is you."
    person.send("/my-phone/check/", password=PASSWORD)
    page = person.send("/my-phone/check/code/", code=outbox.code(ACCOUNT_PHONE))
    assert page.heading == "Backup codes"
    page = person.send("/backup-codes/", follow=False)
    return re.findall(r"<code>(\w{5}-\w{5})</code>", page.html)


def test_backup_codes_are_shown_once(
    person: Person, user: Any, outbox: OutboxSender, ways_heard: list[str]
) -> None:
    sign_in(person, outbox)
    codes = make_codes(person, outbox)
    assert len(set(codes)) == 10
    page = person.open("/backup-codes/")
    assert "Codes left: 10" in page.html
    stored = str(list(BackupCode.objects.values_list("code", flat=True)))
    for code in codes:
        for spelled in (code, code.replace("-", "")):
            assert spelled not in page.html
            assert spelled not in stored
            assert spelled not in str(dict(person.session.items()))
    assert person.send("/backup-codes/").heading == "First confirm that it is you.", "each time"
    sign_out(person)
    assert "Use a backup code" in login(person).html
    page = person.open("/login/other/?way=backup-code")
    assert page.heading == "Enter the code"
    assert "incorrect" in person.send("/login/other/", way="backup-code", code="00000-00000").html
    page = person.send("/login/other/", way="backup-code", code=codes[0].upper())
    assert page.html == "Hello ann"
    assert ways_heard == ["sms", "backup-code"]
    assert "Codes left: 9" in person.open("/backup-codes/").html


def test_a_backup_code_works_once(person: Person, user: Any, outbox: OutboxSender) -> None:
    [code, *_] = codes_of(user)
    for browser, works in ((person, True), (person.another(), False)):
        login(browser)
        browser.send("/login/other/", way="backup-code", code=code)
        assert browser.signed_in == works


def test_a_backup_code_in_two_requests_at_once(user: Any) -> None:
    [code, *_] = codes_of(user)
    answers: list[str] = []
    barrier = threading.Barrier(4)

    def use() -> None:
        barrier.wait()
        try:
            run_sync(backup_codes(get_verifier()).check(str(user.pk), code))
            answers.append("right")
        except Exception as error:
            answers.append(type(error).__name__)
        connection.close()

    threads = [threading.Thread(target=use) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == ["IncorrectAnswer"] * 3 + ["right"]


def test_one_delete_says_who_used_a_code(user: Any) -> None:
    """Also where the site listens to deletions, and Django reads before it deletes."""
    from django.db.models.signals import post_delete

    table = CodeTable()
    table.replace(str(user.pk), ["a", "b"])
    assert table.remove(str(user.pk), "a")
    assert not table.remove(str(user.pk), "a")

    def meanwhile(**_: Any) -> None:
        """Nothing, but Django has to ask for the rows."""

    post_delete.connect(meanwhile, sender=BackupCode)
    try:
        assert table.remove(str(user.pk), "b")
        assert not table.remove(str(user.pk), "b")
    finally:
        post_delete.disconnect(meanwhile, sender=BackupCode)
    assert not table.remove("999", "b")


def test_the_codes_of_another_account_are_worth_nothing(
    person: Person, user: Any, outbox: OutboxSender
) -> None:
    bob = type(user).objects.create_user("bob", password=PASSWORD, phone=OTHER_PHONE)
    [code, *_] = codes_of(bob)
    codes_of(user)
    login(person)
    assert "incorrect" in person.send("/login/other/", way="backup-code", code=code).html
    assert not person.signed_in


def test_attempts_are_counted_over_all_sessions(
    person: Person, user: Any, outbox: OutboxSender
) -> None:
    [code, *_] = codes_of(user)
    for _ in range(5):
        browser = person.another()
        login(browser)
        browser.send("/login/other/", way="backup-code", code="00000-00000")
    login(person)
    page = person.send("/login/other/", way="backup-code", code=code)
    assert "Too many incorrect answers" in page.said
    assert not person.signed_in
    status, body = person.json("post", "/login/other/", way="backup-code", code=code)
    assert (status, body["limit"]) == (429, "other_ways")


def test_a_wrong_backup_code_is_a_failed_login(
    person: Person, user: Any, outbox: OutboxSender
) -> None:
    from django.contrib.auth.signals import user_login_failed

    failed: list[Any] = []

    def receiver(credentials: Any, **_: Any) -> None:
        failed.append(credentials)

    codes_of(user)
    login(person)
    user_login_failed.connect(receiver)
    try:
        person.send("/login/other/", way="backup-code", code="00000-00000")
    finally:
        user_login_failed.disconnect(receiver)
    assert failed == [{"username": "ann"}]


def test_without_the_password_no_backup_code_helps(
    person: Person, user: Any, outbox: OutboxSender
) -> None:
    [code, *_] = codes_of(user)
    assert person.open("/login/other/?way=backup-code").heading == "Sign in"
    person.send("/login/other/", way="backup-code", code=code)
    person.send("/login/", username="ann", password="wrong")
    person.send("/login/other/", way="backup-code", code=code)
    assert not person.signed_in
    login(person)
    type(user).objects.filter(pk=user.pk).update(is_active=False)
    person.send("/login/other/", way="backup-code", code=code)
    assert not person.signed_in


def test_the_password_is_good_for_half_an_hour(
    person: Person, user: Any, outbox: OutboxSender, clock: FrozenDateTimeFactory
) -> None:
    [code, *_] = codes_of(user)
    login(person)
    copy = dict(person.session.items())
    clock.tick(1801)
    person.take_over(copy)
    person.send("/login/other/", way="backup-code", code=code)
    assert not person.signed_in


def test_a_lost_phone_is_replaced_with_a_backup_code(
    person: Person, user: Any, outbox: OutboxSender
) -> None:
    [first, second, *_] = codes_of(user)
    login(person)
    person.send("/login/other/", way="backup-code", code=first)
    assert person.send("/my-phone/check/other/", way="backup-code", code=second).heading == (
        "First confirm that it is you."
    ), "the password first"
    person.send("/my-phone/check/", password=PASSWORD)
    assert "Use a backup code" in person.open("/my-phone/check/code/").html
    person.send("/my-phone/check/other/", way="backup-code", code=second)
    person.send("/my-phone/", phone=PHONE)
    page = person.send("/my-phone/code/", code=outbox.code(PHONE))
    assert page.heading == "Phone confirmed"


def test_who_has_backup_codes_alone_adds_a_phone_with_one(
    person: Person, user: Any, outbox: OutboxSender
) -> None:
    """The password must not be enough to get another second factor."""
    [code, *_] = codes_of(user)
    change(user, phone="")
    person.client.force_login(user)
    assert 'name="phone"' not in person.open("/my-phone/").html
    person.send("/my-phone/", phone=PHONE, password=PASSWORD)
    page = person.send("/my-phone/check/", password=PASSWORD)
    assert "Backup code" in page.html
    person.send("/my-phone/", phone=PHONE, password=PASSWORD)
    person.send("/my-phone/check/other/", way="backup-code", code="00000-00000")
    person.send("/my-phone/", phone=PHONE, password=PASSWORD)
    assert len(outbox) == 0
    assert person.send("/my-phone/check/other/", way="backup-code", code=code).heading == (
        "Phone number"
    )
    person.send("/my-phone/", phone=PHONE)
    page = person.send("/my-phone/code/", code=outbox.code(PHONE))
    assert page.heading == "Phone confirmed"


@pytest.mark.parametrize("when", ["before the number", "before the code", "during the code"])
def test_a_password_alone_adds_no_phone_beside_another_way(
    person: Person, user: Any, outbox: OutboxSender, ways_heard: list[str], when: str
) -> None:
    """Somebody with the password waits with a session that may only add the first phone. The owner
    gets backup codes in the meantime, and no phone."""
    change(user, phone="")
    with override_settings(OTPVERIFY=options(outbox, WITHOUT_PHONE="enrol")):
        assert login(person).heading == "Phone number"
        if when == "before the number":
            codes_of(user)
        person.send("/my-phone/", phone=OTHER_PHONE)
        if when == "before the number":
            assert len(outbox) == 0
            assert 'name="phone"' not in person.open("/my-phone/").html
            assert person.open("/my-phone/check/").path == "/login/"
            assert person.json("post", "/my-phone/", phone=OTHER_PHONE)[0] == 403
            return
        if when == "before the code":
            codes_of(user)
        else:
            signals.code_verified.connect(_make_codes)
        try:
            page = person.send("/my-phone/code/", code=outbox.code(OTHER_PHONE))
        finally:
            signals.code_verified.disconnect(_make_codes)
        assert "expired" in page.said
        assert type(user).objects.get(pk=user.pk).phone == ""
        assert not person.signed_in
        assert ways_heard == []
        person.send("/my-phone/code/", code=outbox.code(OTHER_PHONE))
        assert type(user).objects.get(pk=user.pk).phone == ""
        assert not person.signed_in


def _make_codes(**_: Any) -> None:
    codes_of(get_user_model().objects.get(username="ann"))


def test_no_code_can_be_sent(person: Person, user: Any, outbox: OutboxSender) -> None:
    """The person is led to another way."""
    [code, *_] = codes_of(user)
    policy = {"resend_cooldown_seconds": 0, "sends_per_phone": (Limit(1, 3600),)}
    with override_settings(OTPVERIFY=options(outbox, POLICY=policy)):
        login(person.another())
        page = login(person)
        assert "Too many codes were sent" in page.said
        assert page.path == f"{person.prefix}/login/other/"
        page = person.send("/login/other/", way="backup-code", code=code)
        assert page.html == "Hello ann"


class Away(MemoryStore):
    away = False

    def reserve(self, *args: Any, **kwargs: Any) -> Any:
        if self.away:
            raise StoreError("The store is away.")
        return super().reserve(*args, **kwargs)


def test_the_store_is_away(person: Person, user: Any, outbox: OutboxSender) -> None:
    """Nobody gets in, and no code is used up."""
    store = Away()
    with override_settings(OTPVERIFY=options(outbox, STORE=store)):
        [code, *_] = codes_of(user)
        login(person)
        store.away = True
        page = person.send("/login/other/", way="backup-code", code=code)
        assert "Something went wrong on our side" in page.said
        assert not person.signed_in
        assert len(CodeTable().load(str(user.pk))) == 10
        store.away = False
        person.send("/login/other/", way="backup-code", code=code)
        assert person.signed_in


def test_a_form_with_a_stale_token_is_shown_again(user: Any, outbox: OutboxSender) -> None:
    codes_of(user)
    strict = Person("sync")
    login(strict)
    strict.client.handler.enforce_csrf_checks = True
    view = "otpverify.integrations.django.views.form_expired"
    with override_settings(CSRF_FAILURE_VIEW=view):
        page = strict.send("/login/other/", way="backup-code", code="00000-00000")
    assert "This form has expired" in page.said
    assert "Backup code" in page.html


def test_forms_are_protected(user: Any, outbox: OutboxSender) -> None:
    codes_of(user)
    strict = Person("sync", enforce_csrf_checks=True)
    strict.client.force_login(user)
    for path_ in ("/backup-codes/", "/backup-codes/forget/", "/login/other/"):
        assert strict.send(path_, follow=False).status == 403


def test_backup_codes_by_json(person: Person, user: Any, outbox: OutboxSender) -> None:
    sign_in(person, outbox)
    assert person.json("get", "/backup-codes/") == (200, {"left": 0})
    assert person.json("post", "/backup-codes/")[0] == 403
    person.json("post", "/my-phone/check/", password=PASSWORD)
    person.json("post", "/my-phone/check/code/", code=outbox.code(ACCOUNT_PHONE))
    status, body = person.json("post", "/backup-codes/")
    assert (status, len(body["codes"])) == (200, 10)
    sign_out(person)
    person.json("post", "/login/", **CREDENTIALS)
    status, body = person.json("post", "/login/other/", way="backup-code", code=body["codes"][0])
    assert (status, body["next"]) == (200, "/account/")
    assert person.signed_in


def test_the_tables_are_as_their_migration_makes_them() -> None:
    call_command("makemigrations", "--check", "--dry-run", verbosity=0)


def test_both_kinds_of_verifiers_accept_the_codes(user: Any) -> None:
    import asyncio

    [code, *_] = codes_of(user)

    async def use() -> int:
        verifier = get_async_verifier()
        assert isinstance(verifier, AsyncVerifier)
        return await backup_codes(verifier).check(str(user.pk), code)

    assert asyncio.run(use()) == 9


# Ways of the site's own.


def totp_is_right(account: str, answer: str) -> bool:
    get_user_model().objects.get(pk=account)  # an event loop must not wait for it
    return answer == "654321"


def totp_page(request: HttpRequest) -> HttpResponseBase:
    """What a reader of the page writes."""
    user = pending_user(request)
    if user is None:
        return HttpResponseRedirect("/login/")
    if request.method == "POST" and request.POST["token"] == "654321":
        return complete_login(request, way="totp", remember="remember" in request.POST)
    return HttpResponseRedirect("/totp/")


def own_site(person: Person, *ways: OtherWay) -> Any:
    base = AsyncLoginView if person.prefix else LoginView

    class Own(base):  # type: ignore[misc,valid-type]  # one of two
        def other_ways(self, user: Any) -> Sequence[OtherWay]:
            return [*super().other_ways(user), *ways]

    patterns = [path("", include(flow_urls(Own))), path("totp/", totp_page)]
    return urlconf(*patterns)


TOTP = OtherWay("totp", Sentence("Use the app"), check=totp_is_right)
PAGE = OtherWay("totp", Sentence("Use the app"), url="/totp/")


def test_an_answer_that_the_site_judges(
    person: Person, user: Any, outbox: OutboxSender, ways_heard: list[str]
) -> None:
    with own_site(person, TOTP):
        alone = Person(person.mode, prefix="")
        assert "Use the app" in login(alone).html
        alone.send("/login/other/", way="totp", code="111111")
        assert not alone.signed_in
        alone.ask("post", "/login/other/", {"way": "totp", "code": "654321"})
        assert alone.signed_in
    assert ways_heard == ["totp"]


def test_a_page_of_the_site_completes_the_login(
    person: Person, user: Any, outbox: OutboxSender, ways_heard: list[str]
) -> None:
    with own_site(person, PAGE):
        alone = Person("sync", prefix="")
        page = login(alone, next="/account/?x=1")
        assert 'href="/totp/"' in page.html
        before = alone.client.cookies["sessionid"].value
        page = alone.send("/totp/", token="654321", remember="on", follow=False)
        assert page.response.headers["Location"] == "/account/?x=1"
        assert alone.signed_in
        assert alone.client.cookies["sessionid"].value != before
        assert ways_heard == ["totp"]
        sign_out(alone)
        login(alone)
        assert alone.signed_in, "the browser is remembered"
        stranger = Person("sync", prefix="")
        page = stranger.send("/totp/", token="654321", follow=False)
        assert page.response.headers["Location"] == "/login/"


def test_a_user_with_another_way_needs_no_phone(
    person: Person, user: Any, outbox: OutboxSender
) -> None:
    """For each value of `WITHOUT_PHONE`: a second factor that there is must not be skipped."""
    change(user, phone="")
    for choice in ("refuse", "sign_in", "enrol"):
        with (
            override_settings(OTPVERIFY=options(outbox, WITHOUT_PHONE=choice)),
            own_site(person, PAGE),
        ):
            alone = Person("sync", prefix="")
            page = alone.send("/login/", follow=False, **CREDENTIALS)
            assert page.response.headers["Location"] == "/totp/"
            assert not alone.signed_in
            alone.send("/totp/", token="654321", follow=False)
            assert alone.signed_in


def test_completing_needs_a_password(user: Any) -> None:
    request = RequestFactory().post("/")
    request.session = Person("sync").session
    with pytest.raises(ChallengeExpired):
        complete_login(request, way="totp")


def test_a_next_that_leads_elsewhere(person: Person, user: Any, outbox: OutboxSender) -> None:
    with own_site(person, PAGE):
        alone = Person("sync", prefix="")
        login(alone, next="/account/")
        kept = dict(alone.session.items())
        kept["_otpverify"]["login"]["next"] = "https://evil.example/"
        alone.take_over(kept)
        page = alone.send("/totp/", token="654321", follow=False)
        assert page.response.headers["Location"] == "/account/"


# Notices.


def test_the_person_is_notified(person: Person, user: Any, outbox: OutboxSender) -> None:
    change(user, email="ann@example.com")
    sign_in(person, outbox)
    with mails_kept():
        mail.outbox = []
        make_codes(person, outbox)
    assert (outbox.last.to, outbox.last.text) == (
        ACCOUNT_PHONE,
        "The way you sign in was changed. Not you? Contact us.",
    )
    [message] = mail.outbox
    assert message.to == ["ann@example.com"]
    assert message.subject == "New backup codes were made for your account."
    assert "contact us at once" in message.body


@both
def test_the_person_is_notified_when_sign_ins_fail(
    person: Person, user: Any, outbox: OutboxSender
) -> None:
    """Somebody has the password, and guesses codes and backup codes."""
    change(user, email="ann@example.com")
    codes_of(user)
    with mails_kept():
        mail.outbox = []
        login(person)
        code = outbox.code()
        for nth in range(1, 4):
            person.send("/login/code/", code=wrong(code, nth))
        person.open("/login/other/")
        person.send("/login/other/", way="backup-code", code="00000-00000")
        assert not mail.outbox
        person.send("/login/other/", way="backup-code", code="00000-00000")
        assert len(mail.outbox) == 1
        for _ in range(2):
            login(person)
            for nth in range(1, 6):
                person.send("/login/code/", code=wrong(code, nth))
    [message] = mail.outbox
    assert message.to == ["ann@example.com"]
    assert message.subject == "Somebody entered your password and then several incorrect codes."
    assert "contact us at once" in message.body
    texts = [sent.text for sent in outbox.messages if sent.to == ACCOUNT_PHONE]
    assert (
        texts.count("Somebody entered your password, then wrong codes. Not you? Contact us.") == 1
    )


def test_a_site_that_notifies_by_itself(person: Person, user: Any, outbox: OutboxSender) -> None:
    told: list[Any] = []

    def own(request: HttpRequest, user: Any, notice: Any) -> None:
        told.append((user.pk, notice.change.name))
        raise ImproperlyConfigured("The change is made already.")

    sent = len(outbox)
    with override_settings(
        OTPVERIFY=options(outbox, ON_ACCOUNT_CHANGE=own, NOTICES=False, REMEMBER_DAYS=1)
    ):
        person.client.force_login(user)
        assert "No browser is remembered" in person.send("/backup-codes/forget/").said
    assert told == [(user.pk, "BROWSERS_FORGOTTEN")]
    assert len(outbox) == sent
    person.send("/backup-codes/forget/")
    assert outbox.last.to == ACCOUNT_PHONE


def test_the_half_signed_in_state_is_one_entry(
    person: Person, user: Any, outbox: OutboxSender
) -> None:
    login(person)
    request = RequestFactory().get("/")
    request.session = person.session
    assert pending_user(request) == user
    pending_login.drop(request)
    assert pending_user(request) is None
