"""Targets: texts that only we can issue, as a stranger presents them. Nothing but what was issued
here is ever accepted, and that in one form of writing alone."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache
from unittest.mock import patch

from support import OTHER_PHONE, PHONE, SECRET

from fuzz.judging import KEYRING, anything, json_of, judge, lines_of, text_of, verifier
from otpverify import (
    ChallengeExpired,
    ConfigurationError,
    IncorrectCode,
    Message,
    Retry,
    Verifier,
)
from otpverify._sync import run_sync
from otpverify.core import tokens
from otpverify.core.keys import ID_LENGTH, Subject
from otpverify.gateways.delivery_reports import callback_params, read_report
from otpverify.integrations.celery.bulk_chunk import Chunks, packed, unpacked
from otpverify.integrations.celery.delivery import QueuedMessage
from otpverify.integrations.celery.encryption import Seal
from otpverify.integrations.celery.tasks import OnceMarkers
from otpverify.integrations.web.remembered import MOST_ACCOUNTS, RememberedBrowsers
from otpverify.integrations.web.requests import take_report

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
CHALLENGE = KEYRING.signing.new_id(bytes(range(16)))
SUBJECT = Subject(KEYRING.signing, PHONE, "verify", CHALLENGE)
PROOF = tokens.write_proof(SUBJECT, AT)
REPORT_TOKEN = tokens.write_report_token(KEYRING.signing, SUBJECT.key, 1_772_366_400_000, "verify")
STAMP = tokens.write_stamp(KEYRING.signing, AT.timestamp(), bytes(8), "remembered", "7")
SEAL = Seal(SECRET, "otpverify.deliver")
with patch("os.urandom", lambda count: bytes(count)):
    SEALED = SEAL.close({"id": "1"})


@cache
def _verifier() -> Verifier:
    return verifier()


def challenge_id(data: bytes) -> None:
    """The id of a challenge, as a client sends it back."""
    challenge = text_of(data)
    secret = KEYRING.find(challenge)
    if secret is not None:
        assert len(challenge) == ID_LENGTH
        assert secret.conceals(challenge) in (True, False)
    face = _verifier()
    for call in (
        lambda: face.check(PHONE, "904817", challenge=challenge),
        lambda: face.resend(PHONE, challenge=challenge),
        lambda: face.status(PHONE, challenge=challenge),
    ):
        assert judge(call, ChallengeExpired, hides=(challenge,)) is None, "accepted"
    face.cancel(PHONE, challenge=challenge)


def proof(data: bytes) -> None:
    text = text_of(data)
    challenge = tokens.challenge_of_proof(text)
    if challenge is not None:
        found = tokens.read_proof(Subject(KEYRING.signing, PHONE, "verify", challenge), text)
        assert (found is not None) == (text == PROOF), "a proof that was not issued"
        other = Subject(KEYRING.signing, OTHER_PHONE, "verify", challenge)
        assert tokens.read_proof(other, text) is None, "the proof of another's phone"
    redeemed = judge(
        lambda: _verifier().redeem(PHONE, text), ChallengeExpired, IncorrectCode, hides=(text,)
    )
    assert redeemed is None, "redeemed"


def report_token(data: bytes) -> None:
    text = text_of(data)
    found = tokens.read_report_token(KEYRING, text)
    assert (found is not None) == (text == REPORT_TOKEN), "a token that was not issued"


def stamp(data: bytes) -> None:
    text = text_of(data)
    found = tokens.read_stamp(KEYRING, text, "remembered", "7")
    assert (found is not None) == (text == STAMP), "a stamp that was not issued"
    assert tokens.read_stamp(KEYRING, text, "remembered", "8") is None


@cache
def _browsers() -> RememberedBrowsers:
    return RememberedBrowsers(_verifier(), days=30)


@cache
def _remembered() -> str:
    return _browsers().remember("9", auth_hash="x")


def remembered_cookie(data: bytes) -> None:
    cookie = text_of(data)
    browsers = _browsers()
    assert browsers.find(cookie, "7", auth_hash="hash") is None, "a browser that is not remembered"
    added = browsers.remember("7", auth_hash="hash", cookie=cookie)
    assert len(added.split(".")) <= MOST_ACCOUNTS
    assert browsers.find(added, "7", auth_hash="hash") is not None
    assert browsers.find(_remembered(), "7", auth_hash="hash") is None
    assert (
        browsers.find(browsers.forget(added, "7", auth_hash="hash"), "7", auth_hash="hash") is None
    )


def delivery_report(data: bytes) -> None:
    """Lines: the method, the content type, the query; the rest is the body."""
    parts = data.split(b"\n", 3)
    method, content_type, query, body = [*parts, *[b""] * (4 - len(parts))]
    for asked in (query, text_of(query)):
        params = callback_params(asked, body)
        assert all(isinstance(part, str) for pair in params.items() for part in pair)
        report = read_report(params)
        taken = _verifier().delivery_report(params)
        assert not taken.known, "a report of a message that was not sent"
        assert taken.purpose in (None, "") or report.token == REPORT_TOKEN
        reply = run_sync(
            take_report(
                _verifier(),
                method=text_of(method),
                query=asked,
                body=body,
                content_type=text_of(content_type),
            )
        )
        assert reply == (200, "OK"), "a stranger sees a difference"


def parsed_report(data: bytes) -> None:
    """A report as a framework parsed it: any JSON value."""
    params = json_of(data)
    read_report(params)
    _verifier().delivery_report(params)


def sealed_task(data: bytes) -> None:
    text = text_of(data)
    opened = judge(lambda: SEAL.open(text), ConfigurationError, hides=(text,))
    assert (opened is not None) == (text == SEALED), "a second form of a sealed task"


_MESSAGE = Message(PHONE, "Your code is 904817.", expires_at=AT)


def queued_message(data: bytes) -> None:
    """What a sealed task holds: a JSON object that this version or another one wrote."""
    content = json_of(data)
    if not isinstance(content, dict):
        return
    content = {**QueuedMessage(_MESSAGE, 1_772_366_400.0, "0" * 32).packed(), **content}
    queued = judge(lambda: QueuedMessage.unpacked(content), ConfigurationError)
    if queued is None:
        return
    assert queued.marker_seconds >= 0
    assert queued.marker_name
    again = QueuedMessage.unpacked(queued.next_attempt().packed())
    assert again.message == queued.message
    assert again.attempt == queued.attempt + 1


_CHUNKS = Chunks(anything(None), OnceMarkers(anything(None)), SEAL, Retry())


def bulk_result(data: bytes) -> None:
    """The result of a bulk task, as a result backend holds it, and an entry in it."""
    kind, text = lines_of(data, 2)
    value = json_of(text)
    if kind != "entry":
        assert not judge(lambda: _CHUNKS.entries(value), ConfigurationError)
        judge(lambda: _CHUNKS.counts(value), ConfigurationError)
        return
    sealed = {"sealed": SEAL.close({"entries": value})}
    entries = judge(lambda: _CHUNKS.entries(sealed), ConfigurationError)
    for entry in entries or ():
        assert unpacked(packed(entry)) == entry or entry.error is not None
