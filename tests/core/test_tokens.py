"""The token that goes out with a message and comes back with its delivery report."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import example, given, strategies as st
from support import OTHER_PHONE, OTHER_SECRET, PHONE, SECRET, Face

from otpverify import ConfigurationError, DeliveryRejected, Message, RateLimited, SmspmClient
from otpverify.core import tokens
from otpverify.core.keys import Keyring, Secret, mac
from otpverify.gateways.smspm import wire
from otpverify.gateways.smspm.account import Account
from otpverify.gateways.urls import check_report_url, report_address
from otpverify.testing import OutboxSender

OLD, NEW = SECRET.encode(), OTHER_SECRET.encode()
RING = Keyring([OLD])
KEY = RING.signing.key(PHONE, "login", "challenge")
TOKEN = tokens.write_report_token(RING.signing, KEY, 1_772_366_400_123, "login")
URL_SAFE = set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")


@given(purpose=st.text(max_size=200), at=st.integers(-(2**63), 2**63 - 1))
@example(purpose="a" * 65, at=1)
def test_a_token_names_its_message(purpose: str, at: int) -> None:
    token = tokens.write_report_token(RING.signing, KEY, at, purpose)
    assert set(token) <= URL_SAFE
    assert len(token) <= 184
    found = tokens.read_report_token(RING, token)
    assert found is not None
    assert (found.secret, found.key, found.at) == (RING.signing, KEY, at)
    assert found.purpose == purpose.encode()[:64].decode(errors="ignore")


def test_a_purpose_of_any_text_is_carried() -> None:
    assert (
        tokens.read_report_token(RING, tokens.write_report_token(RING.signing, KEY, 1, "\ud800"))
        is not None
    )


@given(position=st.integers(0, len(TOKEN) - 1), other=st.sampled_from(sorted(URL_SAFE)))
def test_no_other_token_names_anything(position: int, other: str) -> None:
    altered = TOKEN[:position] + other + TOKEN[position + 1 :]
    assert (tokens.read_report_token(RING, altered) is not None) == (altered == TOKEN)


def test_the_last_character_s_spare_bits_are_heeded() -> None:
    assert len(TOKEN) % 4
    assert [c for c in sorted(URL_SAFE) if tokens.read_report_token(RING, TOKEN[:-1] + c)] == [
        TOKEN[-1]
    ]


@given(
    st.one_of(
        st.none(),
        st.text(),
        st.binary(),
        st.integers(),
        st.lists(st.text()),
        st.text(sorted(URL_SAFE), min_size=95, max_size=190),
        st.integers(0, len(TOKEN) - 1).map(lambda end: TOKEN[:end]),
        st.text(sorted(URL_SAFE), min_size=1).map(lambda more: TOKEN + more),
    )
)
def test_garbage_is_no_token(token: object) -> None:
    assert tokens.read_report_token(RING, token) is None


def test_the_secret_that_wrote_it_must_be_in_force() -> None:
    assert tokens.read_report_token(Keyring([NEW]), TOKEN) is None
    found = tokens.read_report_token(Keyring([NEW, OLD]), TOKEN)
    assert found is not None
    assert found.secret.value == OLD


def test_a_token_of_another_secret_with_the_same_fingerprint_is_none() -> None:
    ring = Keyring([NEW])
    same_fingerprint = Secret(NEW)
    object.__setattr__(same_fingerprint, "fingerprint", RING.signing.fingerprint)
    ring._by_fingerprint[RING.signing.fingerprint] = same_fingerprint
    assert tokens.read_report_token(ring, TOKEN) is None


def test_a_code_s_mac_is_no_token_s() -> None:
    """Labels keep the uses of the secret apart."""
    assert tokens._seal(RING.signing, b"x") != mac(RING.signing.tag_key, "code", b"x".hex())


# Who gets one


class Taker(OutboxSender):
    takes_reports = True


Make = Callable[..., Face]


def test_only_a_sender_that_takes_reports_gets_a_token(make: Make) -> None:
    outbox, taker = OutboxSender(), Taker()
    make(outbox).start(PHONE)
    make(taker).start(PHONE)
    assert outbox.last.report is None
    assert taker.last.report is not None
    assert taker.last.report not in repr(taker.last)


def test_every_message_has_its_own_token(make: Make, clock: Any) -> None:
    taker = Taker()
    verifier = make(taker)
    challenge = verifier.start(PHONE, purpose="login")
    clock.tick(61)
    verifier.resend(PHONE, challenge=challenge.id, purpose="login")
    verifier.start(OTHER_PHONE, purpose="login")
    tokens = [message.report for message in taker.messages]
    assert len(set(tokens)) == 3
    for token, message in zip(tokens, taker.messages, strict=True):
        raw = base64.urlsafe_b64decode(f"{token}==")
        for hidden in (message.to, challenge.id, taker.code(message.to)):
            assert hidden.strip("+").encode() not in raw
            assert hidden.strip("+") not in str(token)


def test_a_decoy_and_a_refused_start_make_no_token(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[tuple[Any, ...]] = []

    def write(*parts: Any) -> str:
        written.append(parts)
        return "token"

    monkeypatch.setattr(tokens, "write_report_token", write)
    verifier = make(Taker())
    verifier.start(PHONE, deliver=False)
    with pytest.raises(RateLimited):
        verifier.start(PHONE, deliver=True)
    assert not written
    verifier.start(OTHER_PHONE)
    assert len(written) == 1


def test_a_sender_s_error_that_repeats_the_token_loses_its_words(make: Make) -> None:
    class Talkative:
        takes_reports = True
        tokens: tuple[str | None, ...] = ()

        def send(self, message: Message) -> None:
            self.tokens += (message.report,)
            raise DeliveryRejected(f"bad callback {message.report}")

    sender = Talkative()
    with pytest.raises(DeliveryRejected) as raised:
        make(sender).start(PHONE)
    (token,) = sender.tokens
    assert token
    assert token not in f"{raised.value!s}{raised.value!r}{raised.value.args!r}"


# Where it goes


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("https://app.example/sms/report", "https://app.example/sms/report?report_token=T"),
        ("https://app.example/r?", "https://app.example/r?report_token=T"),
        ("https://app.example/r?a=1", "https://app.example/r?a=1&report_token=T"),
        ("https://app.example:8443/r?a=%26&", "https://app.example:8443/r?a=%26&report_token=T"),
        ("http://localhost:8000/r", "http://localhost:8000/r?report_token=T"),
        ("http://[::1]:8000", "http://[::1]:8000?report_token=T"),
        ("http://app:8000/r", "http://app:8000/r?report_token=T"),
    ],
)
def test_the_token_is_one_more_parameter(url: str, address: str) -> None:
    assert report_address(check_report_url(url), "T") == address


@pytest.mark.parametrize(
    "url",
    [
        "",
        "/sms/report",
        "app.example/r",
        "ftp://app.example/r",
        "https://",
        "https://me:secret@app.example/r",
        "https://app.example/r#part",
        "https://app.example/r?report_token=1",
        "https://app.example:0/r",
        "https://app.example:99999/r",
        "https://app.example/r r",
        "https://app.example/r\n",
        "https://app.example/grüße",
        "https://[",
        "http://app.example/r",
        "http://192.168.1.1/r",
        1,
        b"https://app.example/r",
    ],
)
def test_addresses_that_are_refused(url: Any) -> None:
    with pytest.raises(ConfigurationError, match="report_url") as raised:
        SmspmClient("h", "t", report_url=url)
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize("method", ["POST", "GET"])
def test_a_send_says_where_reports_go(method: Any) -> None:
    account = Account("h", "t", report_url="https://app.example/r?a=1")
    fields = wire.send_fields(account, Message(PHONE, "x", report="T"), method)
    (address,) = {fields[name] for name in fields if name in ("report", "callbackUrl")}
    assert parse_qs(urlsplit(address).query) == {"a": ["1"], "report_token": ["T"]}
    assert ("callbackUrl" in fields) == (method == "GET")
    for silent in (
        wire.send_fields(account, Message(PHONE, "x"), method),
        wire.send_fields(Account("h", "t"), Message(PHONE, "x", report="T"), method),
    ):
        assert not {"report", "callbackUrl"} & set(silent)


def test_the_address_comes_from_the_environment() -> None:
    environ = {"SMSPM_HASH": "h", "SMSPM_TOKEN": "t"}
    with SmspmClient.from_env(environ) as client:
        assert not client.takes_reports
    with SmspmClient.from_env({**environ, "SMSPM_REPORT_URL": "https://a.example/r"}) as client:
        assert client.takes_reports
    with pytest.raises(ConfigurationError, match="report_url"):
        SmspmClient.from_env({**environ, "SMSPM_REPORT_URL": "http://a.example/r"})
