"""What a redirect carries, and whether the flow is further by now."""

from __future__ import annotations

import json
from typing import Any

import pytest

from otpverify import (
    AttemptsExhausted,
    ChallengeExpired,
    DestinationBlocked,
    HumanCheckRequired,
    IncorrectCode,
    OtpVerifyError,
)
from otpverify.integrations.web.notices import Ahead, Carried, Notice, ahead, held_by
from otpverify.integrations.web.sentences import Sentence, after
from otpverify.integrations.web.session import Delivery, Pending, Proof


def pending(challenge: str) -> Pending:
    return Pending(challenge, "7", "", 9e9, 9e9, 5, Delivery.SENT)


def proof(challenge: str) -> Proof:
    return Proof("the proof", challenge, "7", "", 9e9)


DONE = {"challenge": "a", "session": "s"}


@pytest.mark.parametrize(
    ("held", "entry", "finished", "found"),
    [
        (None, pending("b"), DONE, None),
        (held_by(None), None, DONE, None),
        (held_by(None), pending("b"), None, Ahead.CODE),
        (held_by(pending("a")), pending("a"), None, None),
        (held_by(pending("a")), pending("b"), None, Ahead.CODE),
        (held_by(pending("a")), proof("a"), None, Ahead.PROOF),
        (held_by(pending("a")), proof("b"), None, None),
        (held_by(proof("a")), proof("a"), None, None),
        (held_by(pending("a")), None, DONE, Ahead.DONE),
        (held_by(proof("a")), None, DONE, Ahead.DONE),
        (held_by(pending("b")), None, DONE, None),
        (held_by(pending("a")), None, None, None),
        (held_by(None, "s"), None, DONE, Ahead.DONE),
        (held_by(None, "other"), None, DONE, None),
        (held_by(None, "a"), None, DONE, None),
        (held_by(None, "s"), pending("b"), None, Ahead.CODE),
        (held_by(None, "s"), proof("a"), None, Ahead.PROOF),
        ("nonsense", None, DONE, None),
    ],
)
def test_where_a_flow_is_by_now(held: Any, entry: Any, finished: Any, found: Any) -> None:
    assert ahead(held, entry, finished) is found


@pytest.mark.parametrize(
    ("error", "wait"),
    [
        (ChallengeExpired(), 0),
        (IncorrectCode(attempts_left=2), 0),
        (AttemptsExhausted(retry_after=6), 6),
        (DestinationBlocked(reason="prefix", retry_after=7), 7),
        (DestinationBlocked(reason="country"), 0),
        (HumanCheckRequired(reason="prefix", retry_after=8), 0),
    ],
    ids=repr,
)
def test_how_long_a_notice_applies(error: OtpVerifyError, wait: int) -> None:
    assert Notice.of(error).wait == wait


def test_what_is_dumped_is_loaded_for_its_page_alone() -> None:
    sentence = Sentence("You can try again %(when)s.", params={"when": after(60)})
    carried = Carried(Notice(sentence, wait=60), "typed", "pending a", True)
    values = json.loads(json.dumps(carried.dump("phone code")))
    assert Carried.load(values, "phone code", 0) == carried
    later = Carried.load(values, "phone code", 20.5)
    assert later is not None
    assert later.notice is not None
    assert later.notice.wait == 40
    assert Carried.load(values, "phone first", 0) is None
    for other in (None, [], [*values, 1], {"a": 1}, "text"):
        assert Carried.load(other, "phone code", 0) is None
    empty = Carried.load(Carried().dump("x"), "x", 0)
    assert empty == Carried()


@pytest.mark.parametrize("text", ["100 %", "100 %%", "%", "% d"])
def test_a_text_without_parameters_may_hold_percent_signs(text: str) -> None:
    shown = Sentence("All.").translated(lambda _: text, lambda one, many, count: one, str)
    assert shown == text.replace("%%", "%")


def test_a_notice_at_its_field_or_above_the_form() -> None:
    notice = Notice(Sentence("Wrong."), "code")
    kinds = [Carried(notice).shown(str, field).kind for field in ("code", "phone", "")]
    assert kinds == ["error", "trouble", "trouble"]
    assert Carried(notice, of_field=True).shown(str, "user").kind == "error"
    shown = Carried(Notice(Sentence("Sent."), error=False)).shown(str, "code")
    assert (shown.kind, shown.error, bool(shown)) == ("info", False, True)
    assert shown.wait == 0
    assert not Carried(typed="5").shown(str, "phone")
    assert Carried(typed="5").shown(str, "phone").typed == "5"
    assert Carried(typed="5").shown(str, "phone").wait == 0
