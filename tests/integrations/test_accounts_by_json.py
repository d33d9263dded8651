"""Programs sign in with a second factor and change the account's phone, by JSON at the addresses of
the pages: the same cases in Flask and Django."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import product
from typing import Any, ClassVar

import httpx2
import pytest
from flask import Flask, session
from flask_wtf.csrf import CSRFProtect
from freezegun.api import FrozenDateTimeFactory
from support import QUICK, SECRET, long_form, wrong
from web_sites import (
    KNOWN,
    DjangoSite,
    FlaskPages,
    Site,
    comparable,
    on_wsgi,
    without_tokens,
)

from otpverify import (
    DeliveryRejected,
    Limit,
    MemoryStore,
    Policy,
    Verified,
)
from otpverify.integrations.flask import OtpVerify
from otpverify.integrations.web import run_sync
from otpverify.integrations.web.backup_codes import BackupCodes, MemoryBackupCodes
from otpverify.testing import OutboxSender

USER, PASSWORD = "ann", "open sesame"
NEW, TAKEN = "+37256789045", "+12025550177"
PROBLEM = "application/problem+json"
Reply = tuple[int, dict[str, Any]]
_HIDDEN = re.compile(r'type="hidden" name="(\w+)" value="([^"]+)"')


class Accounts(Site):
    """A site with two accounts: that of ann, whose phone is `KNOWN`, and that of bob."""

    programs = True
    paths: ClassVar[dict[str, str]]
    user_field: ClassVar[str]

    def json(self, method: str, name: str, query: str = "", **fields: Any) -> Reply:
        """Ask as a program; `name` is the step's."""
        more: dict[str, Any] = {"headers": {"accept": "application/json"}}
        if method == "POST":
            more["json"] = fields
        seen = self.ask(method, self.paths[name] + query, **more)
        assert "no-store" in seen.header("cache-control")
        body: dict[str, Any] = json.loads(seen.body)
        kind = seen.header("content-type")
        assert kind == ("application/json" if seen.status < 400 else PROBLEM)
        if seen.status >= 400:
            assert body["status"] == seen.status
            assert body["type"].startswith("urn:otpverify:problem:")
            assert body["title"]
            assert body["detail"]
        return seen.status, body

    def post(self, name: str, query: str = "", **fields: Any) -> Reply:
        return self.json("POST", name, query, **fields)

    def login(self, user: str = USER, password: str = PASSWORD, query: str = "") -> Reply:
        return self.post("login", query, **{self.user_field: user, "password": password})

    def sign_in(self, outbox: OutboxSender, **fields: Any) -> None:
        assert self.login()[0] == 202
        assert self.post("code", code=outbox.code(), **fields)[0] == 200
        assert self.phone() is not None

    def prove(self, outbox: OutboxSender) -> None:
        """Prove again who the person is, as the site asks for it."""
        status, _ = self.post("prove", password=PASSWORD)
        if status == 202:
            status, _ = self.post("prove code", code=outbox.code())
        assert status == 200

    def new_browser(self) -> None:
        self.client.cookies.clear()

    # What is in the database.

    def phone(self, user: str = USER) -> str | None:
        raise NotImplementedError

    def make_codes(self) -> list[str]:
        raise NotImplementedError

    def set_password(self, password: str) -> None:
        raise NotImplementedError


class FlaskAccounts(Accounts, FlaskPages):
    name = "flask"
    user_field = "user"
    paths: ClassVar[dict[str, str]] = {
        "login": "/account/login",
        "code": "/account/login/code",
        "resend": "/account/login/resend",
        "cancel": "/account/login/cancel",
        "status": "/account/login/status",
        "other": "/account/login/other",
        "phone": "/account/enrolment/phone",
        "phone code": "/account/enrolment/phone/code",
        "remove": "/account/enrolment/remove",
        "prove": "/account/enrolment/prove",
        "prove code": "/account/enrolment/prove/code",
        "codes": "/account/enrolment/codes",
    }

    def mount(self) -> None:
        otp, self.phones = self.otp, {USER: KNOWN, "bob": TAKEN}
        self.password, self.storage = PASSWORD, MemoryBackupCodes()
        self.app.config.update(OTPVERIFY_REMEMBER_DAYS=30, OTPVERIFY_NOTICES=False)
        otp.use_backup_codes(self.storage)
        otp.authenticate(
            lambda user, password: user if (user, password) == (USER, PASSWORD) else None
        )
        otp.get_phone(self.phones.get)
        otp.on_login(lambda account: session.update(account=account))
        otp.account_loader(lambda: session.get("account"))
        otp.auth_hash(lambda _: self.password)
        otp.confirm_password(lambda _, password: password == PASSWORD)
        otp.phone_taken(lambda phone, account: self.phones.get("bob") == phone != account)
        otp.remove_phone(lambda account: self.phones.pop(account))

        @otp.save_phone
        def save_phone(account: str, verified: Verified) -> None:
            self.phones[account] = verified.phone

        self.app.register_blueprint(otp.blueprint("login", "enrolment"), url_prefix="/account")

    def phone(self, user: str = USER) -> str | None:
        return self.phones.get(user)

    def make_codes(self) -> list[str]:
        return run_sync(BackupCodes(self.verifier(), self.storage).make(USER))

    def set_password(self, password: str) -> None:
        self.password = password


class DjangoAccounts(Accounts, DjangoSite):
    name = "django"
    user_field = "username"
    paths: ClassVar[dict[str, str]] = {
        "login": "/login/",
        "code": "/login/code/",
        "resend": "/login/resend/",
        "cancel": "/login/cancel/",
        "status": "/login/status/",
        "other": "/login/other/",
        "phone": "/my-phone/",
        "phone code": "/my-phone/code/",
        "remove": "/my-phone/remove/",
        "prove": "/my-phone/check/",
        "prove code": "/my-phone/check/code/",
        "codes": "/backup-codes/",
    }

    def open(self, opened: ExitStack) -> httpx2.Client:
        from django.conf import settings
        from django.contrib.auth import get_user_model
        from django.test import override_settings
        from django_support import urlconf

        from otpverify.integrations.django import views
        from otpverify.integrations.django.second_factor.views import (
            AsyncBackupCodesView,
            BackupCodesView,
        )

        client = super().open(opened)
        users: Any = get_user_model().objects
        users.create_user("bob", password=PASSWORD, phone=TAKEN)
        more = {"REMEMBER_DAYS": 30, "NOTICES": False, "WITHOUT_PHONE": "sign_in"}
        opened.enter_context(override_settings(OTPVERIFY={**settings.OTPVERIFY, **more}))
        every = {
            True: (views.AsyncLoginView, views.AsyncEnrolmentView, AsyncBackupCodesView),
            False: (views.LoginView, views.EnrolmentView, BackupCodesView),
        }[self.view.view_is_async]
        opened.enter_context(urlconf(*[one for view in every for one in view.urls()]))
        return client

    def user(self, name: str = USER) -> Any:
        from django.contrib.auth import get_user_model

        return get_user_model().objects.get(username=name)

    def phone(self, user: str = USER) -> str | None:
        return self.user(user).phone or None

    def make_codes(self) -> list[str]:
        from otpverify.integrations.django.backup_codes import backup_codes

        return run_sync(backup_codes(self.verifier()).make(str(self.user().pk)))

    def set_password(self, password: str) -> None:
        user = self.user()
        user.set_password(password)
        user.save()


class AsyncDjangoAccounts(DjangoAccounts):
    name = "django async"

    from otpverify.integrations.django.views import AsyncLoginView as view  # noqa: N813 - the attribute


SITES = [FlaskAccounts, DjangoAccounts, pytest.param(AsyncDjangoAccounts, marks=long_form)]
NO_WAIT = Policy(resend_cooldown_seconds=0)


@pytest.fixture(params=SITES, ids=lambda kind: kind.name)
def kind(request: pytest.FixtureRequest) -> type[Accounts]:
    found: type[Accounts] = request.param
    return found


@pytest.fixture
def site(kind: type[Accounts], outbox: OutboxSender) -> Iterator[Accounts]:
    with kind(outbox, policy=NO_WAIT) as site:
        yield site


def of(reply: Reply) -> tuple[int, str]:
    """The status and the kind of a problem."""
    return reply[0], str(reply[1]["type"]).rpartition(":")[2]


class TestLogin:
    def test_password_then_code(self, site: Accounts, outbox: OutboxSender) -> None:
        assert site.json("GET", "login")[1]["state"] == "none"
        assert of(site.post("code", code="123456")) == (410, "challenge-expired")
        assert of(site.post("resend")) == (410, "challenge-expired")
        status, body = site.login(query="?next=/basket")
        assert (status, body["state"], body["delivery"]) == (202, "pending", "sent")
        for name in ("login", "code", "other", "status"):
            assert site.json("GET", name)[1]["state"] == "pending", name
        status, body = site.post("code", code=wrong(outbox.code()))
        assert (status, body["attempts_left"], body["flow"]["state"]) == (400, 4, "pending")
        assert site.post("resend")[0] == 202
        status, body = site.post("code", code=outbox.code())
        assert (status, body["state"], body["next"]) == (200, "verified", "/basket")
        assert of(site.post("phone", phone=NEW)) == (403, "proof-required"), "signed in"
        assert of(site.post("code", code=outbox.code())) == (410, "challenge-expired"), "once"

    def test_another_site_s_address_is_not_next(self, site: Accounts, outbox: OutboxSender) -> None:
        site.login(query="?next=//evil.example")
        assert "evil" not in site.post("code", code=outbox.code())[1]["next"]

    @pytest.mark.parametrize(
        "given", [("eve", PASSWORD), (USER, "wrong"), ("", ""), ("x" * 999, "")]
    )
    def test_nothing_shows_whose_account_there_is(
        self,
        site: Accounts,
        outbox: OutboxSender,
        clock: FrozenDateTimeFactory,
        given: tuple[str, str],
    ) -> None:
        seen = []
        for user, password in ((USER, "also wrong"), given):
            site.new_browser()
            fields = {site.user_field: user, "password": password}
            one = site.ask("POST", site.paths["login"], json=fields)
            assert one.status == 422
            assert list(json.loads(one.body)["errors"]) or password == ""
            seen.append(without_tokens(comparable(site, one, KNOWN)))
        if "" not in given:  # Django says that an empty field is required
            assert seen[0] == seen[1]
        assert len(outbox) == 0

    def test_a_cooldown_and_a_cancelled_code(
        self, kind: type[Accounts], outbox: OutboxSender
    ) -> None:
        with kind(outbox) as site:
            site.login()
            status, body = site.post("resend")
            assert (status, body["limit"]) == (429, "resend_cooldown")
            assert body["flow"]["state"] == "pending"
            code = outbox.code()
            assert site.post("cancel")[1]["state"] == "none"
            assert of(site.post("code", code=code)) == (410, "challenge-expired")

    def test_the_password_changes_in_between(self, site: Accounts, outbox: OutboxSender) -> None:
        site.login()
        site.set_password("close sesame")
        assert of(site.post("code", code=outbox.code())) == (410, "challenge-expired")
        assert of(site.post("phone", phone=NEW)) == (401, "sign-in-required")

    def test_a_remembered_browser(self, site: Accounts, outbox: OutboxSender) -> None:
        site.sign_in(outbox, remember=False)
        assert site.login()[0] == 202
        site.post("code", code=outbox.code(), remember=True)
        status, body = site.login(query="?next=/basket")
        assert (status, body["state"], body["next"]) == (200, "none", "/basket")
        site.new_browser()
        assert site.login()[0] == 202

    def test_a_backup_code_instead(self, site: Accounts, outbox: OutboxSender) -> None:
        codes = site.make_codes()
        answer = {"way": "backup-code", "code": codes[0]}
        assert of(site.post("other", **answer)) == (410, "challenge-expired"), "no password yet"
        assert site.json("GET", "other")[1]["ways"] == [], "nor a list"
        site.login()
        assert of(site.post("other", way="carrier-pigeon", code="1")) == (410, "challenge-expired")
        assert of(site.post("other", way="backup-code", code="nonsense"))[0] == 400
        assert of(site.post("other", way="backup-code")) == (422, "invalid-request")
        status, body = site.json("GET", "other")
        (way,) = body["ways"]
        page = site.client.get(way.pop("url"))
        assert (status, body["state"]) == (200, "pending")
        assert page.status_code == 200, "the page of the way"
        assert way == {"name": "backup-code", "label": "Use a backup code", "field": "Backup code"}
        status, body = site.post("other", **answer)
        assert (status, "next" in body) == (200, True)
        assert of(site.post("phone", phone=NEW)) == (403, "proof-required"), "signed in"
        site.new_browser()
        site.login()
        assert site.post("other", **answer)[0] == 400, "once"
        for _ in range(5):
            last = site.post("other", way="backup-code", code="00000-00000")
        assert (last[0], last[1]["limit"]) == (429, "other_ways")

    def test_a_backup_code_where_no_message_can_be_sent(
        self, kind: type[Accounts], outbox: OutboxSender
    ) -> None:
        limit = Policy(resend_cooldown_seconds=0, sends_per_phone=(Limit(1, 3600),))
        with kind(outbox, policy=limit) as site:
            [code, *_] = site.make_codes()
            site.login()
            site.new_browser()
            assert of(site.login()) == (429, "rate-limited")
            assert site.post("other", way="backup-code", code=code)[0] == 200

    def test_the_gateway_refuses(self, site: Accounts, outbox: OutboxSender) -> None:
        outbox.fail_with = DeliveryRejected("no", provider_code="no_balance")
        assert of(site.login()) == (503, "delivery-failed")


class TestEnrolment:
    STEPS = ("phone", "phone code", "remove", "prove", "prove code", "codes")

    @pytest.mark.parametrize("name", STEPS)
    def test_for_people_who_are_signed_in(self, site: Accounts, name: str) -> None:
        assert of(site.post(name)) == (401, "sign-in-required")
        site.login()  # is not enough
        assert of(site.post(name)) == (401, "sign-in-required")

    def test_a_change_needs_a_proof(self, site: Accounts, outbox: OutboxSender) -> None:
        site.sign_in(outbox)
        assert of(site.post("phone", phone=NEW)) == (403, "proof-required")
        status, body = site.post("prove", password="wrong")
        assert (status, list(body["errors"])) == (422, ["password"])
        site.prove(outbox)
        assert of(site.post("phone", phone="12")) == (422, "invalid-phone-number")
        status, body = site.post("phone", phone=KNOWN)
        assert (status, list(body["errors"])) == (422, ["phone"]), "it has this number"
        assert site.post("phone", phone="+372 5678 9045")[0] == 202
        assert site.json("GET", "phone")[1]["state"] == "pending"
        assert site.post("phone code", code=wrong(outbox.code(NEW)))[0] == 400
        assert site.phone() == KNOWN
        status, body = site.post("phone code", code=outbox.code(NEW))
        assert (status, body["state"], "next" in body) == (200, "verified", True)
        assert site.phone() == NEW
        assert of(site.post("phone", phone=KNOWN)) == (403, "proof-required"), "one change"

    def test_a_number_of_another_account(self, site: Accounts, outbox: OutboxSender) -> None:
        site.sign_in(outbox)
        site.prove(outbox)
        assert site.post("phone", phone=TAKEN)[0] == 202, "it shows only after the code"
        status, body = site.post("phone code", code=outbox.code(TAKEN))
        assert (status, list(body["errors"])) == (422, ["phone"])
        assert site.phone() == KNOWN

    def test_remove_and_add(self, site: Accounts, outbox: OutboxSender) -> None:
        site.sign_in(outbox)
        assert of(site.post("remove")) == (403, "proof-required")
        assert site.phone() == KNOWN
        site.prove(outbox)
        status, body = site.post("remove")
        assert (status, list(body)) == (200, ["next"])
        assert site.phone() is None
        assert of(site.post("remove")) == (422, "invalid-request"), "there is none"

    def test_wrong_passwords_are_counted(self, site: Accounts, outbox: OutboxSender) -> None:
        site.sign_in(outbox)
        for _ in range(5):
            assert site.post("prove", password="wrong")[0] == 422
        status, body = site.post("prove", password=PASSWORD)
        assert (status, body["limit"]) == (429, "passwords")

    def test_backup_codes_are_shown_once(self, site: Accounts, outbox: OutboxSender) -> None:
        site.sign_in(outbox)
        assert site.json("GET", "codes") == (200, {"left": 0})
        assert of(site.post("codes")) == (403, "proof-required")
        site.prove(outbox)
        status, body = site.post("codes")
        assert (status, len(body["codes"])) == (200, 10)
        assert of(site.post("codes")) == (403, "proof-required"), "a repeat makes no others"
        assert site.json("GET", "codes") == (200, {"left": 10})
        site.new_browser()
        site.login()
        assert site.post("other", way="backup-code", code=body["codes"][0])[0] == 200


ROUGH: list[tuple[bytes, int]] = [
    (b"", 422),
    (b"{}", 422),
    (b"[]", 422),
    (b"null", 422),
    (b'"text"', 422),
    (b"\xff\xfe", 422),
    (b"[" * 10_000, 422),
    (b"x" * 20_000, 413),
    (b'{"user": 5, "username": 5, "password": 5, "code": 5, "phone": 5}', 422),
    (b'{"user": null, "username": null, "password": null, "code": null, "phone": null}', 422),
    (b'{"user": {}, "username": {}, "password": [], "code": [], "phone": {}}', 422),
    (b'{"user": "ann", "username": "ann"}', 422),
    (b'{"password": "open sesame"}', 422),
    (b'{"user": "\\ud800", "username": "\\ud800", "password": "x", "phone": "\\ud800"}', 422),
    (b'{"user": 1e999, "username": NaN, "phone": NaN}', 422),
]


def test_what_is_no_object_of_texts(site: Accounts, outbox: OutboxSender) -> None:
    """To a stranger, and to a person in the middle of each flow, who loses nothing by it."""

    def refused(*names: str) -> None:
        for name, (body, status) in product(names, ROUGH):
            headers = {"content-type": "application/json"}
            seen = site.ask("POST", site.paths[name], content=body, headers=headers)
            assert (seen.status, seen.header("content-type")) == (status, PROBLEM), (name, body)
            assert json.loads(seen.body)["type"].startswith("urn:otpverify:problem:")

    refused("login")
    site.login()
    refused("login", "code")
    assert site.post("code", code=outbox.code())[0] == 200
    site.prove(outbox)
    sent = len(outbox)
    refused("phone")
    assert len(outbox) == sent
    assert site.post("phone", phone=NEW)[0] == 202
    refused("phone code")
    assert site.post("phone code", code=outbox.code(NEW))[0] == 200


@pytest.mark.parametrize(
    ("accept", "is_json"),
    [
        ("application/json", True),
        ("application/json, text/plain, */*", True),
        ("text/html;q=0.5, application/json", True),
        ("text/html,application/xhtml+xml,*/*;q=0.8", False),
        ("*/*", False),
    ],
)
def test_who_prefers_json(site: Accounts, accept: str, is_json: bool) -> None:
    seen = site.ask("GET", site.paths["login"], headers={"accept": accept})
    assert (seen.header("content-type") == "application/json") is is_json


class TestFlaskAlone:
    @pytest.fixture
    def kind(self) -> type[Accounts]:
        return FlaskAccounts

    @pytest.mark.parametrize(
        ("content", "content_type"),
        [
            (b'{"user": "ann", "password": "open sesame"}', "text/plain"),
            (b"user=ann&password=open+sesame", "application/x-www-form-urlencoded"),
            (b"", ""),
        ],
    )
    def test_what_another_site_could_send(
        self, site: Accounts, outbox: OutboxSender, content: bytes, content_type: str
    ) -> None:
        path, headers = site.paths["login"], {"content-type": content_type}
        seen = site.ask("POST", path, content=content, headers=headers)
        assert (seen.status, "expired" in seen.body) == (400, True)
        headers["accept"] = "application/json"
        seen = site.ask("POST", path, content=content, headers=headers)
        assert (seen.status, seen.header("content-type")) == (415, PROBLEM)
        assert len(outbox) == 0

    def test_replies_say_what_they_vary_by(self, site: Accounts) -> None:
        for headers in ({}, {"accept": "application/json"}):
            seen = site.ask("GET", site.paths["login"], headers=headers)
            assert "Accept" in seen.header("vary")

    def test_the_overview(self, site: FlaskAccounts, outbox: OutboxSender) -> None:
        path = {**site.paths, "overview": "/account/enrolment"}
        site.paths = path  # type: ignore[misc]  # of this site alone
        assert of(site.json("GET", "overview"))[0] == 401
        site.sign_in(outbox, remember=True)
        status, body = site.json("GET", "overview")
        assert KNOWN not in str(body)
        hint = body.pop("phone")
        assert hint.endswith("23")
        assert (status, body) == (200, {"may_remove": True, "codes_left": 0, "remembered": True})
        assert site.post("remove")[1]["start"] == site.paths["prove"]
        site.ask("POST", "/account/enrolment/forget", json={})
        assert site.json("GET", "overview")[1]["remembered"] is False
        seen = site.ask("POST", "/account/enrolment/forget", json={"which": "all"})
        assert seen.status == 422, "the site has no such hook"

    def test_password_and_code_prove_it(self, site: Accounts, outbox: OutboxSender) -> None:
        site.sign_in(outbox)
        assert of(site.post("prove")) == (422, "invalid-request")
        assert site.post("prove", password=PASSWORD)[0] == 202
        assert of(site.post("phone", phone=NEW)) == (403, "proof-required"), "the password alone"
        status, body = site.post("prove code", code=outbox.code())
        assert (status, body["next"]) == (200, "/account/enrolment")
        assert site.post("phone", phone=NEW)[0] == 202

    def test_a_refused_repeat_sets_no_session(self, site: Accounts, outbox: OutboxSender) -> None:
        site.login()
        before = site.client.cookies["session"]
        code = {"code": outbox.code()}
        assert site.post("code", **code)[0] == 200
        after = site.client.cookies["session"]
        for name, body in (("code", code), ("phone", {"phone": NEW})):
            headers = {"cookie": f"session={before}"}
            site.client.cookies.clear()
            seen = site.ask("POST", site.paths[name], json=body, headers=headers)
            assert seen.status in (401, 410)
            assert not seen.header("set-cookie")
        headers = {"cookie": f"session={after}"}
        seen = site.ask("POST", site.paths["phone"], json={"phone": NEW}, headers=headers)
        assert seen.status == 403, "still signed in"

    def test_a_hook_s_own_reply(self, site: FlaskAccounts, outbox: OutboxSender) -> None:
        site.otp.on_login(lambda account: {"token": account})
        site.login()
        assert json.loads(
            site.ask("POST", site.paths["code"], json={"code": outbox.code()}).body
        ) == {"token": USER}

    def test_no_notice_waits_for_a_page(self, site: Accounts, outbox: OutboxSender) -> None:
        site.login(password="wrong")
        site.sign_in(outbox)
        site.prove(outbox)
        site.post("remove")
        assert "otpverify_notice" not in site.client.cookies

    def test_a_first_phone_before_the_sign_in(
        self, site: FlaskAccounts, outbox: OutboxSender
    ) -> None:
        site.otp.without_phone(lambda _: "enrol")
        del site.phones[USER]
        status, body = site.login()
        assert (status, body["next"]) == (200, site.paths["phone"])
        assert site.post("phone", phone=NEW)[0] == 202
        assert site.post("phone code", code=outbox.code(NEW))[0] == 200
        assert site.phone() == NEW
        assert of(site.post("remove")) == (403, "proof-required"), "signed in"

    def test_no_phone_and_no_other_way(self, site: FlaskAccounts) -> None:
        del site.phones[USER]
        status, body = site.login()
        assert (status, list(body["errors"])) == (422, ["__all__"])
        assert of(site.post("other", way="backup-code", code="1")) == (410, "challenge-expired")

    @pytest.mark.parametrize("early", [True, False])
    def test_flask_wtf_still_guards_the_forms(self, outbox: OutboxSender, early: bool) -> None:
        otp, app = OtpVerify(sender=outbox, store=MemoryStore(), hasher=QUICK), Flask("site")
        app.config.update(SECRET_KEY=SECRET)
        if early:
            CSRFProtect(app)
        otp.init_app(app)
        otp.authenticate(lambda *_: "7")
        otp.get_phone(lambda _: KNOWN)
        otp.on_login(lambda _: None)
        app.register_blueprint(otp.blueprint("login"), url_prefix="/account")
        if not early:
            CSRFProtect(app)
        client = on_wsgi(app.wsgi_app)
        given = {"user": USER, "password": PASSWORD}
        assert client.post("/account/login", json=given).status_code == 202
        page = client.get("/account/login").text
        fields = dict(_HIDDEN.findall(page))
        assert set(fields) == {"otpverify_token", "csrf_token"}
        for name in fields:
            fewer = {key: value for key, value in fields.items() if key != name}
            assert client.post("/account/login", data={**given, **fewer}).status_code == 400
        assert client.post("/account/login", data={**given, **fields}).status_code == 303
