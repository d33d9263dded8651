"""The Flask integration: set up, mounted, taken apart, and asked by programs."""

from __future__ import annotations

import gettext
import re
from pathlib import Path
from typing import Any, Literal

import flask_babel
import pytest
from endpoint import Endpoint
from flask import Blueprint, Flask, request, session
from flask_support import PASSWORD, PHONE, TYPED, USER, Person, Shop
from freezegun.api import FrozenDateTimeFactory
from jinja2 import DictLoader
from support import OTHER_SECRET, QUICK, SECRET, fixture_secret, wrong

from otpverify import (
    AllowCountries,
    ConfigurationError,
    DeliveryStatus,
    DeliveryUnavailable,
    HmacHasher,
    MemoryStore,
    Policy,
    StoreError,
    Verified,
    Verifier,
)
from otpverify.integrations.flask import OtpVerify
from otpverify.integrations.web.background import BackgroundSender
from otpverify.sandbox import Sandbox
from otpverify.testing import OutboxSender

GATEWAY = {"SMSPM_HASH": "hash", "SMSPM_TOKEN": "token"}


# Set up


def test_settings_come_from_the_application(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTPVERIFY_SECRET", "too short")
    monkeypatch.setenv("OTPVERIFY_REDIS_URL", "nonsense://")
    with Sandbox() as sandbox:
        app = Flask("shop")
        app.config.update(
            sandbox.environ,
            SECRET_KEY="a key",
            OTPVERIFY_REDIS_URL="",  # not set, and the environment is not asked
            OTPVERIFY_SECRET=[OTHER_SECRET, SECRET],
            OTPVERIFY_REGION="EE",
            OTPVERIFY_BRAND="Shop",
            OTPVERIFY_ORIGIN="shop.example",
            OTPVERIFY_POLICY=Policy(code_length=8),
        )
        otp = OtpVerify(app)
        with app.test_request_context():
            otp.start("5678 9045", purpose="phone", subject="me")
        (message,) = sandbox.messages
        app.extensions["otpverify"].close()
    assert message.to == TYPED
    assert message.text.startswith("Shop: ")
    assert len(message.code or "") == 8
    assert message.text.endswith(f"@shop.example #{message.code}")


def test_what_the_application_lacks_comes_from_the_environment(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name, value in GATEWAY.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("OTPVERIFY_SECRET", SECRET)
    monkeypatch.setenv("OTPVERIFY_SQLITE_PATH", str(tmp_path / "codes"))
    app = Flask("shop")
    OtpVerify(app)
    assert (tmp_path / "codes").exists()
    app.extensions["otpverify"].close()
    with pytest.raises(ConfigurationError, match="both set"):
        OtpVerify(_app(OTPVERIFY_REDIS_URL="redis://localhost"))


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"SMSPM_TOKEN": ""}, "SMSPM_TOKEN"),
        ({"OTPVERIFY_SECRET": "short"}, "32"),
        ({"OTPVERIFY_SECRET": b"bytes are no text, in a configuration"}, "OTPVERIFY_SECRET"),
        ({"OTPVERIFY_REGION": "Estonia"}, "region"),
        ({"OTPVERIFY_POLICY": 6}, "Policy"),
        ({"OTPVERIFY_REDIS_URL": "redis://localhost"}, "secret"),
    ],
)
def test_unsafe_settings_are_refused_at_once(config: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        OtpVerify(_app(**{**GATEWAY, **config}))


def test_a_hasher_that_needs_a_secret_says_so() -> None:
    with pytest.raises(ConfigurationError, match="HmacHasher"):
        OtpVerify(_app(), sender=OutboxSender(), hasher=HmacHasher())


def test_parts_beside_a_verifier_are_refused() -> None:
    outbox = OutboxSender()
    with pytest.raises(ConfigurationError, match="guards, sender"):
        OtpVerify(_app(), verifier=Verifier(outbox), sender=outbox, guards=[AllowCountries(["EE"])])


def test_an_application_is_set_up_once() -> None:
    app = _app()
    otp = OtpVerify(app, sender=OutboxSender())
    with pytest.raises(ConfigurationError, match="already"):
        otp.init_app(app)
    with (
        pytest.raises(ConfigurationError, match="init_app"),
        _app().test_request_context(),
    ):
        otp.check(PHONE, "123456", purpose="phone")


def test_a_verifier_of_one_s_own() -> None:
    outbox, store = OutboxSender(), MemoryStore()
    prompt = Verifier(outbox, store=store, secret=SECRET, hasher=QUICK)
    otp = OtpVerify(verifier=prompt)
    otp.find_accounts(lambda phone: "7")
    otp.set_password(lambda account, password: None)
    app = _app()
    otp.init_app(app)
    with pytest.raises(ConfigurationError, match="BackgroundSender"):
        app.register_blueprint(otp.blueprint("reset"))
    later = BackgroundSender(outbox)
    delayed = Verifier(later, store=store, secret=SECRET, hasher=QUICK)
    otp = OtpVerify(verifier=prompt, reset_verifier=delayed)
    otp.find_accounts(lambda phone: "7")
    otp.set_password(lambda account, password: None)
    app = _app()
    otp.init_app(app)
    app.register_blueprint(otp.blueprint("reset"), url_prefix="/account")
    Person(app).begin("reset", phone=PHONE)
    later.close()
    assert [message.to for message in outbox.messages] == [PHONE]


@pytest.mark.parametrize(
    ("flow", "hook"),
    [
        ("login", "authenticate"),
        ("login", "get_phone"),
        ("login", "on_login"),
        ("phone", "on_confirmed"),
        ("reset", "find_accounts"),
        ("reset", "set_password"),
        ("proof", "account_loader"),
        ("proof", "get_phone"),
    ],
)
def test_a_missing_function_is_named(flow: str, hook: str) -> None:
    shop = Shop()
    del shop.otp._hooks[hook]
    shop.otp.init_app(shop.app)
    with pytest.raises(ConfigurationError, match=f"'{flow}'.*@otp.{hook} "):
        shop.app.register_blueprint(shop.otp.blueprint(flow))


def test_mounting_comes_after_setting_up() -> None:
    shop = Shop()
    with pytest.raises(ConfigurationError, match="init_app"):
        shop.app.register_blueprint(shop.otp.blueprint("phone"))
    with pytest.raises(ConfigurationError, match="no flow 'phones'"):
        shop.otp.blueprint("phones")


def test_two_applications_in_one_process() -> None:
    """One extension, as a factory uses it; each application has its own of everything."""
    with Sandbox() as first, Sandbox() as second:
        otp = OtpVerify(hasher=QUICK)
        otp.on_confirmed(lambda verified: None)
        apps = [_app(**first.environ), _app(**second.environ, OTPVERIFY_REGION="EE")]
        for app, brand in zip(apps, ("First", "Second"), strict=True):
            app.config["OTPVERIFY_BRAND"] = brand
            otp.init_app(app)
            app.register_blueprint(otp.blueprint("phone"), url_prefix="/account")
        people = [Person(app) for app in apps]
        assert people[0].begin("phone", phone="5678 9045").path == "/account/phone"
        assert people[1].begin("phone", phone="5678 9045").path == "/account/phone/code"
        assert people[0].begin("phone", phone=TYPED).path == "/account/phone/code"
        (one,), (other,) = first.messages, second.messages
        assert (one.text[:5], other.text[:6]) == ("First", "Second")
        page = people[0].send("/account/phone/code", code=other.code or "")
        assert page.path == "/account/phone/code"
        assert people[1].send("/account/phone/code", code=other.code or "").path.endswith("/done")
        for app in apps:
            app.extensions["otpverify"].close()


def test_what_the_page_shows_works(monkeypatch: pytest.MonkeyPatch) -> None:
    readme = (Path(__file__).parents[3] / "docs/how-to/flask.md").read_text()
    block, *_ = re.findall(r"^```python\n(.*?)^```$", readme, re.DOTALL | re.MULTILINE)
    with Sandbox() as sandbox:
        for name, value in sandbox.environ.items():
            monkeypatch.setenv(name, value)
        for name in ("SECRET_KEY", "OTPVERIFY_SECRET"):
            monkeypatch.setenv(name, fixture_secret(name))
        names: dict[str, Any] = {"__name__": "readme"}
        exec(compile(block, "a page", "exec"), names)
        app = names["app"]
        app.config.update(SESSION_COOKIE_SECURE=False)
        person = Person(app)
        assert person.client.post("/pay/17").location == "/account/proof/payment"
        person.begin("login", user="anna")
        person.send("/account/login/code", code=sandbox.messages[0].code or "")
        person.client.post("/pay/17")  # the login began a new session
        person.open("/account/proof/payment")
        person.send("/account/proof/payment")
        assert "25.00 EUR" in sandbox.messages[0].text
        person.send("/account/proof/payment/code", code=sandbox.messages[0].code or "")
        assert person.client.post("/pay/17").text == "Paid; +12025550123 agreed."
        reply = person.client.post("/api/phone/start", json={"phone": "+37256789045"})
        assert (reply.status_code, reply.get_json()["state"]) == (202, "pending")
        app.extensions["otpverify"].close()


# Taken apart


def test_flows_can_be_mounted_apart() -> None:
    shop = Shop()
    shop.otp.init_app(shop.app)
    outer = Blueprint("members", "members", url_prefix="/members")
    outer.register_blueprint(shop.otp.blueprint("login"), url_prefix="/in")
    outer.register_blueprint(shop.otp.blueprint("reset"), url_prefix="/lost")
    shop.app.register_blueprint(outer)
    shop.app.register_blueprint(shop.otp.blueprint("phone"))
    person = shop.person()
    page = person.open("/phone")
    assert 'href="/otpverify-static/otpverify.css"' in page.html
    with person.client.get("/otpverify-static/otpverify.css") as reply:
        assert reply.status_code == 200
    person.send("/phone", phone=TYPED)
    assert person.send("/phone/code", code=shop.code(1)).path == "/phone/done"
    page = person.open("/members/in/login")
    assert 'href="/members/lost/reset"' in page.html
    person.send("/members/in/login", user=USER, password=PASSWORD)
    page = person.send("/members/in/login/code", code=shop.code(2))
    assert page.path == "/members/in/login/done"
    assert person.open("/members/in/phone").status == 404
    assert person.open("/reset").status == 404
    other = Shop()
    other.otp.init_app(other.app)
    other.app.register_blueprint(other.otp.blueprint("login"))
    assert "Forgot" not in other.person().open("/login").html, "the reset is not mounted"


def test_views_of_one_s_own_for_programs(clock: FrozenDateTimeFactory) -> None:
    shop = Shop()
    shop.otp.init_app(shop.app)
    api = Blueprint("api", "api", url_prefix="/api")
    shop.otp.register_error_handlers(api)

    @api.post("/start")
    def start() -> dict[str, Any]:
        phone = request.get_json()["phone"]
        challenge = shop.otp.start(phone, purpose="signup")
        return {"resend_at": challenge.resend_at.isoformat()}

    @api.post("/resend")
    def resend() -> dict[str, Any]:
        pending = shop.otp.pending("signup")
        challenge = shop.otp.resend(pending.subject if pending else PHONE, purpose="signup")
        return {"sends_left": challenge.sends_left}

    @api.post("/check")
    def check() -> dict[str, Any]:
        pending = shop.otp.pending("signup")
        phone = pending.subject if pending else PHONE
        verified = shop.otp.check(phone, request.get_json()["code"], purpose="signup")
        return {"confirmed": verified.phone}

    @shop.app.get("/elsewhere")
    def elsewhere() -> str:
        raise ConfigurationError("Not set up.")

    shop.app.register_blueprint(api)
    client = shop.app.test_client()

    def problem(path: str, **json: str) -> tuple[int, dict[str, Any], str | None]:
        reply = client.post(f"/api/{path}", json=json)
        assert reply.content_type == "application/problem+json"
        assert reply.headers["Cache-Control"] == "no-store"
        found = reply.get_json(force=True)
        assert found["status"] == reply.status_code
        return reply.status_code, found, reply.headers.get("Retry-After")

    assert problem("check", code="123456")[0] == 410
    assert problem("resend")[0] == 410
    assert problem("start", phone="12")[0] == 422
    assert client.post("/api/start", json={"phone": PHONE}).status_code == 200
    status, found, wait = problem("start", phone=PHONE)
    assert (status, wait, found["retry_after"]) == (429, "60", 60)
    status, found, _ = problem("check", code=wrong(shop.code(1)))
    assert (status, found["attempts_left"]) == (400, 4)
    assert problem("check", code="letters")[1]["attempts_left"] is None
    clock.tick(60)
    assert client.post("/api/resend").status_code == 200
    shop.outbox.fail_with = DeliveryUnavailable("Away.", maybe_sent=False)
    assert problem("start", phone=TYPED)[0] == 503
    shop.outbox.fail_with = None
    with client.session_transaction() as kept:
        before = dict(kept)
    for left in (4, 3, 2, 1, 0):
        assert problem("check", code=shop.code(2))[1]["attempts_left"] == left
    assert problem("check", code=shop.code(2))[0] == 410, "the session has forgotten it"
    with client.session_transaction() as kept:
        kept.update(before)
    status, found, wait = problem("check", code=shop.code(2))
    assert (status, found["title"]) == (429, "Attempts exhausted")
    assert wait == str(found["retry_after"])
    shop.app.config["PROPAGATE_EXCEPTIONS"] = False
    assert client.get("/elsewhere").content_type.startswith("text/html")


def test_a_destination_that_is_blocked() -> None:
    outbox = OutboxSender()
    otp = OtpVerify(app := _app(), sender=outbox, guards=[AllowCountries(["EE"])], hasher=QUICK)
    otp.on_confirmed(lambda verified: None)
    otp.register_error_handlers(app)
    app.add_url_rule("/start", view_func=lambda: str(otp.start(PHONE, purpose="x", subject="1")))
    app.register_blueprint(otp.blueprint("phone"), url_prefix="/account")
    reply = app.test_client().get("/start")
    assert (reply.status_code, reply.get_json(force=True)["title"]) == (403, "Destination blocked")
    page = Person(app).begin("phone", phone=PHONE)
    assert page.path == "/account/phone", "a page stays a page"
    assert "Use a mobile number" in page.said
    assert 'aria-invalid="true"' in page.html


# A fresh proof


@pytest.fixture
def shop() -> Shop:
    shop = Shop()

    @shop.app.get("/pay")
    def form() -> str:
        return "<h1>Pay</h1>"

    @shop.app.post("/pay")
    @shop.otp.code_required("payment")
    def pay(verified: Verified) -> str:
        return f"<h1>Paid by {verified.phone} for {verified.purpose}</h1>"

    @shop.app.delete("/pay")
    @shop.otp.code_required("payment", ask=False)
    def undo(verified: Verified) -> str:
        return "undone"

    @shop.app.route("/secret/<name>")
    @shop.otp.code_required("secrets")
    def secret(name: str, verified: Verified) -> str:
        return f"<h1>{name}</h1>"

    return shop.mount()


@pytest.fixture
def member(shop: Shop) -> Person:
    person = shop.person()
    with person.client.session_transaction() as kept:
        kept["account"] = "7"
    return person


def prove(shop: Shop, person: Person, purpose: str = "payment") -> None:
    person.open(f"/account/proof/{purpose}")
    before = len(shop.outbox)
    person.send(f"/account/proof/{purpose}")
    person.send(f"/account/proof/{purpose}/code", code=shop.code(before + 1))


def test_a_view_that_needs_a_fresh_proof(shop: Shop, member: Person) -> None:
    reply = member.client.post("/pay")
    assert (reply.status_code, reply.location) == (303, "/account/proof/payment?next=/pay")
    member.open(reply.location)
    page = member.send("/account/proof/payment")
    assert PHONE not in page.html
    assert PHONE[3:] not in str(member.kept)
    page = member.send("/account/proof/payment/code", code=shop.code(1))
    assert (page.path, page.heading) == ("/account/proof/payment/continue", "Confirmed")
    before = member.cookie
    assert "Paid by +12025550123 for payment" in member.send("/pay").html
    assert member.client.post("/pay").status_code == 303, "a proof is good once"
    member.cookie = before
    assert member.client.post("/pay").status_code == 303, "and an old cookie does not help"


def test_a_page_that_needs_one_is_come_back_to(shop: Shop, member: Person) -> None:
    page = member.open("/secret/a b?x=ä&y=//z")
    assert page.path == "/account/proof/secrets"
    member.send("/account/proof/secrets")
    page = member.send("/account/proof/secrets/code", code=shop.code(1))
    assert (page.path, page.heading) == ("/secret/a b", "a b")
    assert member.locations[-2] == "/secret/a%20b?x=%C3%A4&y=//z"


def test_a_proof_is_for_one_purpose_and_account(shop: Shop, member: Person) -> None:
    prove(shop, member, "secrets")
    assert member.client.post("/pay").status_code == 303
    with member.client.session_transaction() as kept:
        kept["otpverify.payment"] = kept["otpverify.secrets"]
    assert member.client.post("/pay").status_code == 303
    shop.phones["8"] = TYPED
    with member.client.session_transaction() as kept:
        kept["account"] = "8"
    assert member.client.get("/secret/x").status_code == 303
    with member.client.session_transaction() as kept:
        kept["account"] = "7"
    shop.phones["7"] = TYPED  # the account has another phone since
    assert member.client.get("/secret/x").status_code == 303


def test_another_account_does_not_inherit_a_challenge(shop: Shop, member: Person) -> None:
    member.open("/account/proof/payment")
    member.send("/account/proof/payment")
    shop.phones["8"] = TYPED
    with member.client.session_transaction() as kept:
        kept["account"] = "8"
    page = member.send("/account/proof/payment/code", code=shop.code(1))
    assert page.path == "/account/proof/payment"
    assert member.client.post("/pay").status_code == 303


def test_a_proof_does_not_last(shop: Shop, clock: FrozenDateTimeFactory) -> None:
    person = shop.person()
    with person.client.session_transaction() as kept:
        kept["account"] = "7"
    prove(shop, person)
    clock.tick(601)
    assert person.client.post("/pay").status_code == 303


def test_programs_are_told_instead(shop: Shop, member: Person) -> None:
    reply = member.client.delete("/pay")
    assert (reply.status_code, reply.content_type) == (403, "application/problem+json")
    prove(shop, member)
    assert member.client.delete("/pay").text == "undone"


def test_only_who_is_signed_in_proves_anything(shop: Shop) -> None:
    person = shop.person()
    page = person.open("/secret/x")
    assert page.path == "/account/login"
    person.send("/account/login", user=USER, password=PASSWORD)
    page = person.send("/account/login/code", code=shop.code(1))
    assert page.path == "/account/proof/secrets", "and goes on from there"
    person.send("/account/proof/secrets")
    page = person.send("/account/proof/secrets/code", code=shop.code(2))
    assert page.path == "/secret/x"
    stranger = shop.person()
    stranger.open("/account/phone")
    token = stranger.page.forms["/account/phone"]
    reply = stranger.client.post("/account/proof/payment", data=token)
    assert reply.location == "/account/login?next=/account/proof/payment"
    assert len(shop.outbox) == 2


def test_nobody_makes_purposes_up(shop: Shop, member: Person) -> None:
    for purpose in ("login", "password-reset", "anything"):
        assert member.client.get(f"/account/proof/{purpose}").status_code == 404
    for purpose in ("login", "phone", "password-reset"):
        with pytest.raises(ConfigurationError, match=purpose):
            shop.otp.code_required(purpose)


def test_a_proof_needs_its_flow() -> None:
    shop = Shop()
    shop.app.add_url_rule("/x", view_func=shop.otp.code_required("x")(lambda verified: "x"))
    shop.otp.init_app(shop.app)
    with pytest.raises(ConfigurationError, match='blueprint\\("proof"\\)'):
        shop.app.test_client().get("/x")


def test_a_store_that_is_away_redeems_nothing(
    shop: Shop, member: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object, **__: object) -> None:
        raise StoreError("Away.")

    other = Shop()
    monkeypatch.setattr(other.store, "redeem", away)
    called: list[Verified] = []

    @other.app.get("/x")
    @other.otp.code_required("x")
    def view(verified: Verified) -> str:
        called.append(verified)
        return "done"

    other.otp.register_error_handlers(other.app)
    other.mount()
    person = other.person()
    with person.client.session_transaction() as kept:
        kept["account"] = "7"
    prove(other, person, "x")
    assert person.client.get("/x").status_code == 503
    assert called == []
    assert "proof" in person.kept["otpverify.x"], "it may yet be good"


# Words and pages


class Loud(gettext.NullTranslations):
    """A language of its own."""

    def gettext(self, message: str) -> str:
        return message.replace("code", "CODE")

    def ngettext(self, msgid1: str, msgid2: str, n: int) -> str:
        return self.gettext(msgid1 if n == 1 else msgid2)


def test_texts_are_translated() -> None:
    shop = Shop()
    shop.otp.translations(Loud)
    shop.otp.locale(lambda: session.get("language"))
    person = shop.mount().person()
    assert '<html lang="en">' in person.open("/account/phone").html
    with person.client.session_transaction() as kept:
        kept["language"] = "de_AT"
    page = person.open("/account/phone")
    assert '<html lang="de-AT">' in page.html
    page = person.send("/account/phone", phone=TYPED)
    assert "We sent a CODE to" in page.text
    assert "gültig" in shop.outbox.last.text
    page = person.send("/account/phone/code", code=wrong(shop.code(1)))
    assert page.said == "That CODE is incorrect. 4 attempts left."
    reply = person.client.post("/account/phone/code", data={})
    assert reply.status_code == 400


def test_pages_speak_the_browser_s_language() -> None:
    person = Shop().mount().person()
    for accepted, language, heading in (
        ("eo, de-AT;q=0.5, en;q=0.1", "de-AT", "Telefonnummer bestätigen"),
        ("eo", "en", "Confirm your phone"),
        ("", "en", "Confirm your phone"),
    ):
        page = person.open("/account/phone", headers={"Accept-Language": accepted})
        assert f'<html lang="{language}">' in page.html
        assert page.heading.strip() == heading


def test_a_page_in_english_says_so() -> None:
    """A language without texts; a site that brings them is in its language."""
    shop = Shop()
    shop.otp.locale(lambda: "cy")
    person = shop.mount().person()
    assert '<html lang="en">' in person.open("/account/phone").html
    shop.otp.translations(Loud)
    assert '<html lang="cy">' in person.open("/account/phone").html


def test_a_page_from_right_to_left() -> None:
    page = Shop().mount().person().open("/account/phone", headers={"Accept-Language": "ar-EG"})
    assert '<html lang="ar-EG" dir="rtl">' in page.html
    assert 'data-country="البلد"' in page.html


def test_a_user_name_that_is_too_long_is_no_one_s() -> None:
    shop = Shop()
    names: list[str] = []

    @shop.otp.authenticate
    def authenticate(user: str, _: str) -> str:
        names.append(user)
        return "7"

    person = shop.mount().person()
    assert "incorrect" in person.begin("login", user="a" * 257).said
    assert person.begin("login", user="a" * 256).path == "/account/login/code"
    assert names == ["a" * 256]


def test_flask_babel_translates() -> None:
    shop = Shop()
    flask_babel.Babel(shop.app, locale_selector=lambda: "en")
    shop.otp.translations(flask_babel.get_translations)
    shop.otp.locale(lambda: str(flask_babel.get_locale()))
    person = shop.mount().person()
    person.begin("phone", phone=TYPED)
    page = person.send("/account/phone/code", code=wrong(shop.code(1)))
    assert page.said == "That code is incorrect. 4 attempts left."


def test_templates_are_the_application_s_to_change() -> None:
    shop = Shop()
    shop.app.jinja_loader = DictLoader(
        {
            "otpverify/base.html": "<h1>Shop of {{ owner }}</h1>{% block otpverify_page %}"
            "{% endblock %}{{ csrf_token is defined }}"
        }
    )
    shop.app.jinja_env.globals["owner"] = "Anna"
    page = shop.mount().person().open("/account/phone")
    assert page.html.startswith("<h1>Shop of Anna</h1>")
    assert 'name="phone"' in page.html


def test_the_application_s_headers_come_first() -> None:
    shop = Shop()
    own = "default-src 'self' https://cdn.example"
    person = shop.mount(OTPVERIFY_CONTENT_SECURITY_POLICY=own).person()
    assert person.open("/account/phone").headers["Content-Security-Policy"] == own
    shop.app.config["OTPVERIFY_CONTENT_SECURITY_POLICY"] = None
    assert "Content-Security-Policy" not in person.open("/account/phone").headers


# Delivery reports


def test_delivery_reports_are_taken_in() -> None:
    with Endpoint() as endpoint, Sandbox(reports=None) as sandbox:
        shop = Shop(sender=sandbox.client(report_url=endpoint.url)).mount()
        person = shop.person()
        person.begin("phone", phone=TYPED)
        pending = person.kept["otpverify.phone"]["challenge"]
        verifier = shop.app.extensions["otpverify"].verifier
        shapes: tuple[tuple[Literal["get", "post"], str, DeliveryStatus], ...] = (
            ("get", "sent", DeliveryStatus.SENT),
            ("post", "delivered", DeliveryStatus.DELIVERED),
        )
        for shape, word, status in shapes:
            assert sandbox.report(sandbox.messages[0].id, word, shape) == 200
            call = endpoint.calls[-1]
            reply = person.client.open(
                "/account/sms/report",
                method=shape.upper(),
                query_string=call.query,
                data=call.body,
                content_type="application/json",
            )
            assert (reply.status_code, reply.text) == (200, "OK")
            found = verifier.status(TYPED, challenge=pending, purpose="phone")
            assert found is status
    reply = shop.app.test_client().post("/account/sms/report", data=b"x" * 1_000_000)
    assert (reply.status_code, reply.text) == (200, "OK"), "as for any stranger"
    assert "Set-Cookie" not in reply.headers


def test_a_report_is_sent_again_when_the_store_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: object, **__: object) -> None:
        raise StoreError("Away.")

    shop = Shop().mount()
    monkeypatch.setattr(shop.app.extensions["otpverify"].verifier, "delivery_report", away)
    assert shop.app.test_client().get("/account/sms/report?status=sent").status_code == 503


def _app(**config: Any) -> Flask:
    app = Flask("shop")
    app.config.update(SECRET_KEY="a key", TESTING=True, **config)
    return app
