"""Views of a Flask application that need a code first: what is Flask's own. What all frameworks
share is in `tests/integrations/test_step_up.py`."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask, request, session
from flask_support import PASSWORD, PHONE, TYPED, USER, Person, Shop
from flask_wtf.csrf import CSRFProtect
from freezegun.api import FrozenDateTimeFactory

from otpverify import ConfigurationError, Verified
from otpverify.testing import OutboxSender


@pytest.fixture
def shop() -> Shop:
    shop = Shop()

    @shop.app.route("/both", methods=["GET", "POST"])
    @shop.otp.code_required("both", methods=["POST"])
    def both(verified: Verified | None) -> str:
        return f"<h1>{'Paid' if verified else 'Form'}</h1>"

    @shop.app.route("/read", methods=["GET", "POST"])
    @shop.otp.code_required("read", methods=["GET"])
    def read(verified: Verified | None) -> str:
        return "<h1>read</h1>"

    @shop.app.route("/settings", methods=["GET", "POST"])
    @shop.otp.code_required("settings", within=300)
    def settings() -> str:
        return f"<h1>Settings {request.form.get('name', '')}</h1>"

    @shop.app.post("/api/<name>")
    @shop.otp.code_required("settings", within=300, ask=False)
    def api(name: str) -> str:
        return name

    return shop


def member(shop: Shop) -> Person:
    person = shop.person()
    with person.client.session_transaction() as kept:
        kept["account"] = "7"
    return person


def enter(shop: Shop, person: Person, purpose: str, count: int = 1) -> Any:
    person.send(f"/account/proof/{purpose}")
    return person.send(f"/account/proof/{purpose}/code", code=shop.code(count))


def test_only_the_named_methods_need_the_code(shop: Shop) -> None:
    person = member(shop.mount())
    assert person.open("/both").heading == "Form"
    reply = person.client.post("/both")
    assert reply.location.startswith("/account/proof/both")
    person.open("/account/proof/both")
    assert enter(shop, person, "both").heading == "Confirmed"
    assert person.open("/both").heading == "Form", "a look at the form uses nothing up"
    person.open("/account/proof/both/continue")
    assert person.send("/both").heading == "Paid"


def test_a_head_uses_the_code_of_a_get(shop: Shop) -> None:
    person = member(shop.mount())
    assert person.client.head("/read").status_code == 303
    assert person.client.post("/read").text == "<h1>read</h1>"


def test_an_account_without_a_password_has_a_window_until_it_gets_one(shop: Shop) -> None:
    hashes: dict[str, str] = {}
    shop.otp.auth_hash(hashes.get)
    person = member(shop.mount())
    person.open("/settings")
    enter(shop, person, "settings")
    assert person.open("/settings").heading.strip() == "Settings"
    hashes["7"] = "the hash of its first password"
    assert person.client.get("/settings").location.startswith("/account/proof/settings")


@pytest.mark.parametrize("found", ["", 5, b"hash"])
def test_a_hash_of_the_password_that_is_no_text_is_an_error(shop: Shop, found: Any) -> None:
    shop.otp.auth_hash(lambda account: found)
    person = member(shop.mount())
    person.open("/settings")
    with pytest.raises(ConfigurationError, match="auth_hash must return a text"):
        enter(shop, person, "settings")


def test_flask_wtf_finds_its_token_in_the_form_that_continues(shop: Shop) -> None:
    CSRFProtect(shop.app)
    person = member(shop.mount())
    assert person.client.post("/settings", data={"name": "x"}).status_code == 400

    page = person.open("/settings")
    assert page.path == "/account/proof/settings"
    token = person.page.forms["/account/proof/settings"]["csrf_token"]
    person.client.post("/settings", data={"name": "Anna", "csrf_token": token})
    assert enter(shop, person, "settings").heading == "Confirmed"
    assert "csrf_token" not in str(person.kept["otpverify.step-up/settings"])
    assert person.send("/settings").heading == "Settings Anna"


def test_without_the_hook_for_passwords_a_reset_ends_the_window(
    shop: Shop, outbox: OutboxSender
) -> None:
    person = member(shop.mount())
    person.open("/settings")
    enter(shop, person, "settings")
    assert person.client.get("/settings").status_code == 200
    person.begin("reset", phone=PHONE)
    person.send("/account/reset/code", code=shop.code(2))
    person.send("/account/reset/password", password="close sesame")
    assert person.client.get("/settings").status_code == 303


def test_the_applications_own_views_open_a_window(shop: Shop, clock: FrozenDateTimeFactory) -> None:
    otp, app = shop.otp, shop.app

    @app.post("/start/<purpose>")
    def start(purpose: str) -> str:
        otp.start(PHONE, purpose=purpose, subject="7")
        return ""

    @app.post("/check/<purpose>/<code>")
    def check(purpose: str, code: str) -> str:
        return otp.check(PHONE, code, purpose=purpose).phone

    person = member(shop.mount())
    assert person.client.post("/api/a").status_code == 403
    person.client.post("/start/settings")
    assert person.client.post(f"/check/settings/{shop.code(1)}").text == PHONE
    clock.tick(299)
    assert [person.client.post(f"/api/{name}").text for name in "abc"] == ["a", "b", "c"]
    clock.tick(1)
    assert person.client.post("/api/d").status_code == 403


def test_a_copied_window_is_for_no_other_account_or_purpose(shop: Shop) -> None:
    shop.app.post("/other")(shop.otp.code_required("other", within=300)(lambda: "other"))
    shop.mount()
    person, thief = member(shop), shop.person()
    person.open("/settings")
    enter(shop, person, "settings")
    stamp = person.kept["otpverify.stamp.step-up/settings"]
    assert PHONE[3:] not in str(person.kept)
    shop.phones["8"] = PHONE
    with thief.client.session_transaction() as kept:
        kept["account"] = "8"
        kept["otpverify.stamp.step-up/settings"] = {**stamp, "account": "8"}
    assert thief.client.get("/settings").status_code == 303
    with thief.client.session_transaction() as kept:
        kept["account"] = "7"
        kept["otpverify.stamp.step-up/other"] = stamp
    assert thief.client.post("/other").status_code == 303


def test_a_login_drops_the_window_and_the_form(shop: Shop) -> None:
    person = member(shop.mount())
    person.open("/settings")
    enter(shop, person, "settings")
    with person.client.session_transaction() as kept:
        assert any("stamp" in name for name in kept)
    person.open("/account/login")
    person.send("/account/login", user=USER, password=PASSWORD)
    person.send("/account/login/code", code=shop.code(2))
    assert not [name for name in person.kept if "step-up" in name]
    assert person.client.get("/settings").status_code == 303


def test_a_program_reads_a_problem_without_being_told_to(shop: Shop) -> None:
    person = member(shop.mount())
    requests: list[Any] = [{"json": {}}, {"headers": {"Accept": "application/json"}}]
    for more in requests:
        reply = person.client.post("/settings", **more)
        assert (reply.status_code, reply.content_type) == (403, "application/problem+json")
        assert reply.get_json(force=True)["purpose"] == "settings"


def test_the_problem_names_the_address_of_the_flow(shop: Shop) -> None:
    otp, app = shop.otp, shop.app
    app.register_blueprint(otp.json_blueprint("settings"), url_prefix="/v1/<tenant>/settings")
    app.post("/t/<tenant>")(otp.code_required("settings", within=60, ask=False)(lambda tenant: ""))
    person = member(shop.mount())
    reply = person.client.post("/t/red")
    assert reply.get_json(force=True)["start"] == "/v1/red/settings/start"
    assert "start" not in person.client.post("/api/x").get_json(force=True)


def test_a_confirmed_phone_has_an_age(clock: FrozenDateTimeFactory) -> None:
    shop = Shop()

    @shop.app.get("/number")
    def number() -> str:
        age = request.args.get("age", type=float)
        return shop.otp.confirmed_phone(max_age=age) or "none"

    @shop.app.get("/bound")
    def bound() -> str:
        return shop.otp.confirmed_phone(binding={"a": "b"}) or "none"

    person = shop.mount().person()
    assert person.client.get("/number").text == "none"
    person.begin("phone", phone=TYPED)
    person.send("/account/phone/code", code=shop.code(1))
    assert person.client.get("/number").text == TYPED
    assert person.client.get("/bound").text == "none"
    clock.tick(60)
    assert person.client.get("/number?age=60").text == "none"
    assert person.client.get("/number?age=61").text == TYPED
    clock.tick(540)
    assert person.client.get("/number?age=9999").text == "none", "no older than the policy says"


def test_the_number_of_an_account_is_not_a_confirmed_phone() -> None:
    shop = Shop()

    @shop.app.get("/number")
    def number() -> str:
        return shop.otp.confirmed_phone(purpose="both") or "none"

    shop.app.post("/both")(shop.otp.code_required("both")(lambda verified: ""))
    person = member(shop.mount())
    person.open("/account/proof/both")
    enter(shop, person, "both")
    assert person.client.get("/number").text == "none"


@pytest.mark.parametrize(
    "wrong",
    [
        {"within": 0},
        {"within": 60, "binding": {"a": "b"}},
        {"within": 60, "max_age": 30},
        {"methods": "POST"},
    ],
    ids=str,
)
def test_arguments_that_do_not_fit_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        Shop().otp.code_required("x", **wrong)


def test_a_server_session_gets_a_new_id_with_the_code(shop: Shop) -> None:
    renewed: list[Any] = []

    class Interface(type(shop.app.session_interface)):  # type: ignore[misc]  # whatever it is
        def regenerate(self, kept: Any) -> None:
            renewed.append(dict(kept))

    shop.app.session_interface = Interface()
    person = member(shop.mount())
    person.open("/settings")
    assert not renewed
    enter(shop, person, "settings")
    assert len(renewed) == 1
    assert isinstance(shop.app, Flask)
    assert session is not None
