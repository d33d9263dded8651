"""What a session keeps of a form that needs a code first, and of what the code approves."""

from __future__ import annotations

import json
from typing import Any

import pytest
from freezegun.api import FrozenDateTimeFactory
from hypothesis import given, strategies as st

from otpverify import ConfigurationError
from otpverify.integrations.web.session import forget_flows
from otpverify.integrations.web.step_up import (
    LARGEST_FORM,
    LARGEST_IN_COOKIE,
    KeptForm,
    SentForm,
    StepUp,
    check_window,
    guarded_methods,
    keep_form,
)

FORM = KeptForm("/pay?a=1", (("amount", "25"), ("tag", "b"), ("tag", "a")))
TEXT = st.text(max_size=40)


def sent(*fields: tuple[str, str], **more: Any) -> SentForm:
    given: dict[str, Any] = {
        "action": "/pay",
        "fields": fields,
        "files": False,
        "content_type": "application/x-www-form-urlencoded; charset=utf-8",
        "headers": {},
        "host": "shop.example:8000",
    }
    return SentForm(**{**given, **more})


@given(st.lists(st.tuples(TEXT.map(lambda text: f"f_{text}"), TEXT)))
def test_what_is_kept_is_whole_and_in_order(fields: list[tuple[str, str]]) -> None:
    form = keep_form(sent(*fields), largest=LARGEST_FORM)
    if form is not None:
        assert form == KeptForm("/pay", tuple(fields))
        assert KeptForm.load(json.loads(json.dumps(form.dump()))) == form
    else:
        assert any(value for _, value in fields), "only a secret is refused"


@pytest.mark.parametrize(
    "name",
    [
        "csrf_token",
        "csrfmiddlewaretoken",
        "_csrf",
        "X-XSRF-TOKEN",
        "_token",
        "authenticity_token",
        "own",
    ],
)
def test_a_csrf_token_is_left_out(name: str) -> None:
    form = keep_form(sent((name, "abc"), ("amount", "25")), largest=900, csrf_fields={"own"})
    assert form == KeptForm("/pay", (("amount", "25"),))


@pytest.mark.parametrize(
    "name",
    [
        "password",
        "new_password2",
        "Passwd",
        "passphrase",
        "passcode",
        "user[password]",
        "pwd",
        "PIN",
        "sms-pin",
        "otp",
        "cvv",
        "cvvCode",
        "card_cvc",
        "cardNumber",
        "card-no",
        "cc-number",
        "client_secret",
        "apiKey",
        "api_token",
        "stripeToken",
        "credentials",
        "ssn",
        "kennwort",
    ],
)
def test_a_form_with_a_secret_is_not_kept(name: str) -> None:
    assert keep_form(sent((name, "x"), ("amount", "25")), largest=900) is None
    empty = keep_form(sent((name, ""), ("amount", "25")), largest=900)
    assert empty is not None, "an empty field holds no secret"


@pytest.mark.parametrize(
    "name",
    [
        "passenger",
        "page",
        "passage",
        "spin",
        "shipping",
        "iban",
        "amount",
        "pinned",
        "discard",
        "address",
        "note",
    ],
)
def test_an_ordinary_field_is_kept(name: str) -> None:
    assert keep_form(sent((name, "x")), largest=900) is not None


@pytest.mark.parametrize(
    "more",
    [
        {"files": True},
        {"content_type": "application/json"},
        {"content_type": "text/plain"},
        {"headers": {"Origin": "https://evil.example"}},
        {"headers": {"Origin": "null"}},
        {"headers": {"Origin": "https://shop.example:8000.evil.example"}},
        {"headers": {"Origin": "http://["}},
        {"headers": {"Origin": "http://[shop.example:8000"}},
        {"headers": {"Origin": "http://[x]"}},
        {"headers": {"Origin": "//\u2100"}},
        {"headers": {"Origin": ""}},
        {"headers": {"Sec-Fetch-Site": "cross-site"}},
        {"headers": {"Sec-Fetch-Site": "same-site"}},
        {"headers": {"Sec-Fetch-Site": "none"}},
    ],
    ids=str,
)
def test_what_is_not_kept(more: dict[str, Any]) -> None:
    assert keep_form(sent(("amount", "25"), **more), largest=LARGEST_FORM) is None


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Origin": "https://shop.example:8000"},
        {"Origin": "http://SHOP.example:8000"},
        {"Origin": "https://shop.example", "Sec-Fetch-Site": "same-origin"},
    ],
    ids=str,
)
def test_the_form_of_an_own_page_is_kept(headers: dict[str, str]) -> None:
    assert keep_form(sent(("amount", "25"), headers=headers), largest=900) is not None


@pytest.mark.parametrize("letter", ["x", "\u00fc", "\U0001f600"])
@pytest.mark.parametrize("largest", [LARGEST_IN_COOKIE, LARGEST_FORM])
def test_a_form_has_a_size(letter: str, largest: int) -> None:
    fits = (largest - 40) // len(json.dumps(letter)[1:-1])
    assert keep_form(sent(("note", letter * fits)), largest=largest) is not None
    assert keep_form(sent(("note", letter * (fits + 40))), largest=largest) is None


@pytest.mark.parametrize(
    "found",
    [None, 1, [], ["/pay"], ["/pay", [["a"]]], ["/pay", [["a", 1]]], [1, []], ["/pay", {"a": "b"}]],
    ids=str,
)
def test_nothing_else_is_a_form(found: object) -> None:
    assert KeptForm.load(found) is None


def test_an_entry_is_of_one_account_and_purpose(clock: FrozenDateTimeFactory) -> None:
    session: dict[str, Any] = {}
    step = StepUp(session, "payment", "7")
    step.begin(binding={"amount": "25"}, target="/cart", form=FORM)
    assert json.loads(json.dumps(session)) == session
    assert (step.form, step.target, step.binding) == (FORM, "/cart", {"amount": "25"})
    for other in (StepUp(session, "payment", "8"), StepUp(session, "settings", "7")):
        assert (other.form, other.target, other.binding, other.lost) == (None, None, None, False)
    clock.tick(1800)
    assert (step.form, step.binding) == (None, {"amount": "25"})
    forget_flows(session)
    assert session == {}


@pytest.mark.parametrize(
    ("entry", "binding"),
    [
        ({"at": 10**400, "binding": {"amount": 25}}, None),
        ({"at": -(10**400), "binding": {1: "25"}}, None),
        ({"at": "5", "binding": ["amount"]}, None),
        ({"at": None, "binding": {"amount": "25"}}, {"amount": "25"}),
        ({"at": float("nan"), "binding": "amount"}, None),
        ([], None),
        (5, None),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_an_entry_that_is_not_ours(entry: Any, binding: object) -> None:
    entry = {"account": "7", "next": 5, "form": 5, **entry} if isinstance(entry, dict) else entry
    step = StepUp({"otpverify.step-up/payment": entry}, "payment", "7")
    assert (step.form, step.target, step.binding) == (None, None, binding)
    assert not step.repeats(FORM)


def test_one_form_is_kept_at_a_time() -> None:
    session: dict[str, Any] = {"other": 1}
    first, second = StepUp(session, "payment", "7"), StepUp(session, "settings", "7")
    first.begin(binding={"amount": "25"}, form=FORM)
    second.begin(form=FORM)
    assert (first.form, first.lost, first.binding) == (None, True, {"amount": "25"})
    assert (second.form, second.lost) == (FORM, False)
    second.begin(lost=True)
    replaced = StepUp(session, "settings", "7")
    assert (replaced.form, replaced.lost) == (None, True)


def test_the_same_form_is_a_repeat_for_a_moment(clock: FrozenDateTimeFactory) -> None:
    step = StepUp({}, "payment", "7")
    assert not step.repeats(FORM)
    step.end(FORM)
    assert step.repeats(FORM)
    assert not step.repeats(KeptForm("/pay?a=1", (("amount", "26"),)))
    assert not step.repeats(None)
    clock.tick(30)
    assert not step.repeats(FORM)


@pytest.mark.parametrize("within", [0, -1, 86_401, True, 1.5, "60"])
def test_a_window_is_whole_seconds_up_to_a_day(within: Any) -> None:
    with pytest.raises(ConfigurationError, match="within"):
        check_window(within, bound=False, aged=False)


def test_what_does_not_fit_together_is_refused() -> None:
    check_window(None, bound=True, aged=True)
    check_window(86_400, bound=False, aged=False)
    with pytest.raises(ConfigurationError, match="binding"):
        check_window(60, bound=True, aged=False)
    with pytest.raises(ConfigurationError, match="max_age"):
        check_window(60, bound=False, aged=True)


def test_a_head_is_guarded_like_a_get() -> None:
    assert guarded_methods(None) is None
    assert guarded_methods(["post"]) == frozenset({"POST"})
    assert guarded_methods({"GET", "POST"}) == frozenset({"GET", "HEAD", "POST"})
    wrong: list[Any] = ["POST", [], ()]
    for methods in wrong:
        with pytest.raises(ConfigurationError, match="methods"):
            guarded_methods(methods)
