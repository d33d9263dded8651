"""Targets: what servers, files, sessions and the environment hold."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

from support import OTHER_PHONE, PHONE

from fuzz.judging import anything, json_of, judge, lines_of, one_of, text_of, verifier
from fuzz.people import Upload
from otpverify import (
    Balance,
    ConfigurationError,
    DeliveryError,
    Message,
    Policy,
    Receipt,
    StoreError,
)
from otpverify.cli.send_bulk import journal
from otpverify.core.answers import Checked, Verdict, is_sound
from otpverify.core.caps import Cap
from otpverify.core.fraud import Rates
from otpverify.core.fraud_ledger import Rules
from otpverify.core.limits import Limit
from otpverify.gateways.retry import longest_asked_for, seconds_asked_for
from otpverify.gateways.smspm import wire
from otpverify.gateways.smspm.account import Account
from otpverify.gateways.smspm.bulk_batches import batch_fields, read_batch
from otpverify.gateways.smspm.prices import estimate, load_prices
from otpverify.integrations.web.notices import Carried
from otpverify.integrations.web.session import (
    SESSION_PREFIX,
    Pending,
    Proof,
    forget_flows,
    load_entry,
)
from otpverify.integrations.web.session_stamp import FIRST_STEP, SessionStamp
from otpverify.integrations.web.step_up import LARGEST_FORM, KeptForm, SentForm, StepUp, keep_form
from otpverify.settings import Settings
from otpverify.settings_table import SETTINGS
from otpverify.stores.redis import replies
from otpverify.stores.sqlite import rows

CODE = "904817"
ACCOUNT = Account("Zxcvbnmlkjhgfdsa", "Qwertyuiopasdfgh")
MESSAGE = Message(PHONE, f"Your code is {CODE}.", "ref-1")
SENT = wire.send_fields(ACCOUNT, MESSAGE)
BATCH = (PHONE, OTHER_PHONE, "+37256789047")
PRIVATE = (CODE, ACCOUNT.token, ACCOUNT.hash, *(phone[1:] for phone in BATCH))
SECRETS = (*PRIVATE, "Your code is")
"""The text, too, where it was sent."""


def gateway_reply(data: bytes) -> None:
    """The first line is the HTTP status; the rest is the body."""
    line, _, body = data.partition(b"\n")
    status = one_of((200, 400, 401, 404, 408, 429, 500, 502, 503), text_of(line))
    receipt = judge(lambda: wire.read_receipt(status, body, SENT), DeliveryError, hides=SECRETS)
    if receipt is not None:
        assert isinstance(receipt, Receipt)
        assert status == 200
        assert receipt.message_id is None or re.fullmatch("[!-~]{1,128}", receipt.message_id)
    judge(lambda: wire.raise_if_busy(status, body, SENT), DeliveryError, hides=SECRETS)
    reply = judge(
        lambda: wire.read_object(status, body, ACCOUNT.credentials), DeliveryError, hides=PRIVATE
    )
    if reply is not None:
        balance = judge(lambda: wire.read_balance(reply), DeliveryError, hides=PRIVATE)
        assert balance is None or (isinstance(balance, Balance) and math.isfinite(balance.amount))
        judge(lambda: wire.read_sender_ids(reply), DeliveryError, hides=PRIVATE)


def bulk_reply(data: bytes) -> None:
    """The first line is the HTTP status; the rest is the body."""
    line, _, body = data.partition(b"\n")
    status = one_of((200, 400, 401, 429, 500), text_of(line))
    reply = read_batch(status, body, BATCH, batch_fields(ACCOUNT, BATCH, MESSAGE.text))
    assert len(reply.outcomes) == len(BATCH)
    for outcome in reply.outcomes:
        if isinstance(outcome, DeliveryError):
            shown = f"{outcome} {outcome!r} {vars(outcome)}"
            assert not any(secret in shown for secret in SECRETS), "an error repeats a secret"
        else:
            assert status == 200, "sent, says an error"
            assert reply.split is None, "sent twice"


def retry_after(data: bytes) -> None:
    header = text_of(data)
    seconds = seconds_asked_for(header)
    assert seconds is None or (math.isfinite(seconds) and seconds >= 0)
    assert longest_asked_for([header, "7"]) == max(7.0, seconds_asked_for(header) or 0) or seconds


POLICY = Policy()
CAPS = (Cap("total", 100, 3_600_000), Cap("spend", 5_000_000, 86_400_000))
RULES = Rules(Rates(10.0, 1 / 3), 86_400_000, 660_000, CAPS, (Limit(10, 3600),))
READERS: dict[str, Any] = {
    "opened": lambda reply: replies.opened(reply, POLICY),
    "checked": replies.checked,
    "redeemed": replies.redeemed,
    "standing": replies.standing,
    "reserved": lambda reply: replies.reserved(reply, (Limit(10, 3600), Limit(20, 86400))),
    "charged": lambda reply: replies.charged(reply, RULES),
    "credited": replies.credited,
    "traffic": replies.traffic,
    "known": replies.known,
    "reported": replies.reported,
    "status": replies.status,
    "inspected": replies.inspected,
    "challenges": lambda reply: replies.inspected_challenges(reply, ("a", "b")),
    "done": replies.done,
}


def redis_reply(data: bytes) -> None:
    """The first line is the reader; the rest is the reply, as bytes, and as a client's text."""
    line, _, reply = data.partition(b"\n")
    name = text_of(line)
    read = READERS[name] if name in READERS else one_of(READERS.values(), name)
    for given in (reply, text_of(reply)):
        found = judge(lambda given=given: read(given), StoreError, hides=(text_of(reply),))  # type: ignore[misc]  # a default
        assert is_sound(found)
        if isinstance(found, Checked) and found.verdict is Verdict.ACCEPTED:
            assert re.fullmatch(rb"4 0( (0|[1-9][0-9]*))?", reply), "accepted by chance"


ROWS = ("p", "c", "n", "fp", "fc", "fw", "fk", "fb", "fi", "fm", "ft", "t")


def sqlite_row(data: bytes) -> None:
    """The first line is the row's kind; the rest is what it holds."""
    kind, text = lines_of(data, 2)
    name = kind if kind in ROWS else one_of(ROWS, kind)
    state = judge(lambda: rows.decode(name, text), StoreError)
    if state is None:
        return
    if name == "t":
        assert rows.decode_instants(rows.encode_instants(*state)) == state
    else:
        assert rows.decode(name, rows.encode(state)) == state, "not what was written"


PHONES = (PHONE, OTHER_PHONE)
HEADER = journal.header(PHONES, "Hello", "https://api.smspm.com")


def bulk_journal(data: bytes) -> None:
    """The first line is the header of a results file; the others are its lines."""
    first, *lines = data.split(b"\n")
    judge(lambda: journal.check_header(first + b"\n", HEADER), ConfigurationError)
    known = journal.Known()
    for number, line in enumerate(lines, 2):
        judge(lambda line=line, number=number: known.read(line, number), ConfigurationError)  # type: ignore[misc]  # a default
    assert set(known.status.values()) <= {"sent", "failed", "unknown"}
    assert all(isinstance(each, str) for each in known.status)


def price_list(data: bytes) -> None:
    path: Path = anything(Upload(data))
    table = judge(lambda: load_prices(path), ConfigurationError)
    if table is not None:
        assert all(0 <= table.of(country) <= 1_000_000 for country in ("EE", "US", None))
        assert str(estimate(BATCH, 1, table))


_NAMES = [setting.name for setting in SETTINGS.values() if setting.variable]


def environment(data: bytes) -> None:
    """A setting in each line: its name or number, `=`, and the value."""
    environ = {}
    for line in text_of(data).split("\n")[:8]:
        name, _, value = line.partition("=")
        named = one_of(_NAMES, name) if name.isdecimal() else name
        if named == "OTPVERIFY_FRAUD" and "." in value and not value.startswith("."):
            continue  # a dotted path is imported, whatever it is
        environ[named] = value
    secrets = [environ.get(name, "") for name in ("OTPVERIFY_SECRET", "SMSPM_TOKEN", "SMSPM_HASH")]
    settings = Settings(environ=environ)
    hidden = [one for one in secrets if one.strip() and not one.isalpha() and len(one) > 12]
    judge(settings.check, ConfigurationError, hides=hidden)
    for key in SETTINGS:
        judge(lambda key=key: settings.get(key), ConfigurationError, hides=hidden)  # type: ignore[misc]  # a default


def session_entry(data: bytes) -> None:
    """What a session holds of a flow: any JSON value."""
    entry = json_of(data)
    session = {SESSION_PREFIX + "login": entry, f"{SESSION_PREFIX}stamp.{FIRST_STEP}": entry}
    found = load_entry(session, "login")
    if isinstance(found, Pending):
        assert found.live
        assert found.expires_in >= 0
        assert found.resend_in >= 0
        assert found.minutes_left >= 1
        assert Pending.load(found.attempted(0).dump()) == found.attempted(0)
        assert found.attempts_left >= 0
    if isinstance(found, Proof):
        assert found.younger_than(60) in (True, False)
        assert Proof.load(found.dump()) == found
    assert found is None or PHONE not in repr(found)
    assert SessionStamp(_VERIFIER, session, FIRST_STEP).account() is None, "a stamp of nobody's"
    forget_flows(session)
    assert not session


_VERIFIER = verifier()


def step_up_entry(data: bytes) -> None:
    """What a session holds of a step-up: any JSON value, with the account added."""
    entry = json_of(data)
    if isinstance(entry, dict):
        entry = {"account": "7", **entry}
    step = StepUp({f"{SESSION_PREFIX}step-up/pay": entry}, "pay", "7")
    form = step.form
    if form is not None:
        assert KeptForm.load(form.dump()) == form
        assert len(form.digest) == 32
    assert step.repeats(form) in (True, False)
    assert step.target is None or isinstance(step.target, str)
    assert step.lost in (True, False)
    facts = step.binding
    assert facts is None or all(isinstance(part, str) for pair in facts.items() for part in pair)
    step.begin(form=KeptForm("/", ()))


def carried_notice(data: bytes) -> None:
    """What a cookie carries to the next page: any JSON value."""
    carried = Carried.load(json_of(data), "code", 5.5)
    if carried is not None:
        assert Carried.load(carried.dump("code"), "code", 0) == carried
        assert Carried.load(carried.dump("code"), "phone", 0) is None, "another page's"


def sent_form(data: bytes) -> None:
    """Lines: the content type, `Sec-Fetch-Site`, `Origin`; the others are fields."""
    content_type, site, origin, rest = lines_of(data, 4)
    headers = {"Sec-Fetch-Site": site, "Origin": origin}
    fields = [field.partition("=")[::2] for field in rest.split("\n")]
    sent = SentForm(
        "/pay",
        fields,
        False,
        content_type,
        {name: value for name, value in headers.items() if value},
        "shop.example",
    )
    kept = keep_form(sent, largest=LARGEST_FORM)
    if kept is not None:
        assert KeptForm.load(kept.dump()) == kept
        assert site in ("", "same-origin")
        assert site or not origin or "shop.example" in origin.lower(), "the form of another site"
        assert not any("password" in name and value for name, value in kept.fields)
