"""Planning a bulk, and what the reply to a batch says of each recipient: pure, and so fed with
anything."""

from __future__ import annotations

import asyncio
import json
import threading
from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from otpverify import (
    BulkProgress,
    ConfigurationError,
    DeliveryError,
    DeliveryRejected,
    DeliveryUnavailable,
    InvalidPhoneNumber,
    Receipt,
)
from otpverify._sync import run_sync
from otpverify.gateways.send_bulk import BulkOptions
from otpverify.gateways.smspm.account import Account
from otpverify.gateways.smspm.bulk import Bulk, Tasks, Threads
from otpverify.gateways.smspm.bulk_batches import (
    BatchReply,
    Fields,
    Outcome,
    Pace,
    Reply,
    Run,
    Split,
    batch_fields,
    batches,
    plan,
    read_batch,
)

ACCOUNT = Account("h4shQwertyuiop", "t0ken+As/dfghjkl=")
TEXT = "Your parcel waits behind the blue door until Friday"
ONE, TWO, THREE = NUMBERS = ("+12025550111", "+12025550112", "+12025550113")

# --- planning ------------------------------------------------------------------------------

VALID = st.integers(100, 139).map(lambda n: f"+1202555{n:04d}")
WRITTEN = st.one_of(
    VALID,
    VALID.map(lambda n: f"{n[:2]} ({n[2:5]}) {n[5:8]}-{n[8:]}"),
    st.sampled_from(["", "12", "hello", "+999123", None, "+1202555013300000"]),
)


@given(st.lists(WRITTEN, max_size=60), st.integers(1, 100))
def test_everyone_is_planned_once_in_order(numbers: list[str], size: int) -> None:
    planned = plan(numbers)
    kept = list(planned.recipients)
    assert list(planned.recipients.values()) == sorted(planned.recipients.values())
    assert len(planned.found) + len(kept) == len(numbers)
    for entry in planned.found:
        assert entry.given is numbers[entry.index]
        if entry.duplicate_of is None:
            assert isinstance(entry.error, InvalidPhoneNumber)
            assert entry.status == "failed"
        else:
            assert entry.phone is not None
            assert planned.recipients[entry.phone] == entry.duplicate_of < entry.index
            assert entry.status == "duplicate"
    cut = batches(kept, size)
    assert [phone for batch in cut for phone in batch] == kept
    assert all(1 <= len(batch) <= size for batch in cut)
    assert len(cut) == -(-len(kept) // size)


def test_numbers_without_country_code_take_the_region() -> None:
    assert list(plan(["5678 9045", "+37256789045", "5678 9046"], "EE").recipients) == [
        "+37256789045",
        "+37256789046",
    ]


@pytest.mark.parametrize("numbers", ["+37256789045", b"+37256789045"])
def test_one_string_is_no_list(numbers: Any) -> None:
    with pytest.raises(ConfigurationError, match="not one string"):
        plan(numbers)


OUTCOMES: st.SearchStrategy[Outcome] = st.sampled_from(
    [Receipt("m"), DeliveryRejected(), DeliveryUnavailable()]
)
SPLITS: st.SearchStrategy[Split | None] = st.sampled_from([None, None, None, "halves", "singles"])


@given(
    st.lists(VALID, unique=True, max_size=30),
    st.integers(1, 7),
    st.data(),
)
def test_a_run_accounts_for_everyone_however_it_goes(
    numbers: list[str], size: int, data: st.DataObject
) -> None:
    run = Run(plan(numbers), size)
    flying: list[tuple[str, ...]] = []
    submitted: list[str] = []
    told: set[int] = set()
    for _ in range(data.draw(st.integers(0, 40))):
        if run.next is not None and data.draw(st.booleans()):
            flying.append(run.take())
            submitted.extend(flying[-1])
        elif flying:
            batch = flying.pop(data.draw(st.integers(0, len(flying) - 1)))
            outcomes = tuple(data.draw(OUTCOMES) for _ in batch)
            split = data.draw(SPLITS) if len(batch) > 1 else None
            account = data.draw(st.sampled_from([None] * 9 + ["no_balance"]))
            run.settle(batch, BatchReply(outcomes, split, account))
            run.settle(batch, BatchReply((Receipt("other"),) * len(batch)))  # changes nothing
        progress = run.progress()
        if progress is not None and data.draw(st.booleans()):
            told |= {entry.index for entry in progress.entries}
            run.reported(progress)
    run.end()
    result = run.result()
    assert [entry.given for entry in result.entries] == numbers
    assert result.counts.total == len(numbers)
    last = run.progress()
    assert told | {e.index for e in (last.entries if last else ())} == set(range(len(numbers)))
    for entry in result.entries:
        assert entry.phone is not None
        if entry.phone not in submitted:
            assert (entry.status, entry.reason) == ("failed", "not_attempted")
        if any(entry.phone in batch for batch in flying):
            assert (entry.status, entry.reason) == ("unknown", "interrupted")


def test_the_pace_spreads_recipients() -> None:
    pace = Pace(10)
    assert [pace.largest(size) for size in (1, 9, 100)] == [1, 9, 10]
    assert Pace(0.5).largest(100) == 1
    assert pace.wait(100.0) == 0
    pace.book(100.0, 10)
    assert pace.wait(100.25) == pytest.approx(0.75)
    pace.book(101.0, 5)
    assert pace.wait(101.0) == pytest.approx(0.5)
    assert pace.wait(500.0) == 0
    assert Pace(None).wait(0) == 0


# --- the fields ----------------------------------------------------------------------------


def test_the_fields_of_a_batch() -> None:
    fields = batch_fields(ACCOUNT, NUMBERS, TEXT, "mailing-7")
    assert fields == {
        "hash": ACCOUNT.hash,
        "token": ACCOUNT.token,
        "toNumber": ["12025550111", "12025550112", "12025550113"],
        "fromNumber": "SMSPM.com",
        "text": TEXT,
        "smsId": "mailing-7",
    }
    assert batch_fields(ACCOUNT, [ONE], TEXT)["toNumber"] == "12025550111"


# --- replies -------------------------------------------------------------------------------


def read(reply: object, numbers: tuple[str, ...] = NUMBERS, status: int = 200) -> BatchReply:
    body = reply if isinstance(reply, bytes) else json.dumps(reply).encode()
    return read_batch(status, body, numbers, batch_fields(ACCOUNT, numbers, TEXT))


def said(outcome: Outcome) -> str:
    """An outcome in a word."""
    if isinstance(outcome, Receipt):
        return f"sent {outcome.message_id}"
    kind = "unknown" if outcome.maybe_sent else "no"
    return f"{kind} {outcome.provider_code}"


def entry(number: str | int | None = None, **fields: object) -> dict[str, object]:
    named = {} if number is None else {"toNumber": number}
    return {**named, **(fields or {"id": f"m{str(number)[-1]}", "status": "Added to queue"})}


LOST = "unknown unreadable_reply"
N1, N2, N3 = (number[1:] for number in NUMBERS)
NO = {"error": "Invalid phone number: 12025550112"}


@pytest.mark.parametrize(
    ("entries", "outcomes"),
    [
        pytest.param(
            [entry(N1), entry(N2), entry(N3)], ["sent m1", "sent m2", "sent m3"], id="all"
        ),
        pytest.param(
            [entry(N3), entry(N1), entry(N2)], ["sent m1", "sent m2", "sent m3"], id="reordered"
        ),
        pytest.param(
            [entry(N1), entry(N2, **NO), entry(N3)],
            ["sent m1", "no invalid_phone_number", "sent m3"],
            id="one-refused",
        ),
        pytest.param(
            [entry("+" + N1), entry(int(N2)), entry("1 202 555 0113", id="m3")],
            ["sent m1", "sent m2", "sent m3"],
            id="written-otherwise",
        ),
        pytest.param([entry(N1), entry(N3)], ["sent m1", LOST, "sent m3"], id="missing"),
        pytest.param(
            [entry(N1), entry("19995550100"), entry(N2), entry(N3)],
            ["sent m1", "sent m2", "sent m3"],
            id="surplus",
        ),
        pytest.param(
            [entry(N1), entry("19995550100"), entry(N3)], ["sent m1", LOST, "sent m3"], id="foreign"
        ),
        pytest.param(
            [entry(N1), entry(N1, id="m9"), entry(N3)], ["sent m1", LOST, "sent m3"], id="twice"
        ),
        pytest.param(
            [entry(N1), entry(N1, **NO), entry(N2), entry(N3)],
            [LOST, "sent m2", "sent m3"],
            id="contradicting",
        ),
        pytest.param(
            [entry(id="a"), entry(id="b"), entry(id="c")],
            ["sent a", "sent b", "sent c"],
            id="by-position",
        ),
        pytest.param(
            [entry(N1), entry(None, **NO), entry(N3)],
            ["sent m1", "no invalid_phone_number", "sent m3"],
            id="a-refusal-by-position",
        ),
        pytest.param(
            [entry(N3), entry(None, **NO), entry(N1)],
            ["sent m1", LOST, "sent m3"],
            id="no-position-among-reordered",
        ),
        pytest.param([entry(id="a"), entry(id="b")], [LOST] * 3, id="too-few-for-positions"),
        pytest.param(
            [entry(N1), "nonsense", None, entry(N3), entry(N2, odd=1)],
            ["sent m1", LOST, "sent m3"],
            id="nonsense-between",
        ),
        pytest.param(
            [entry(N1, status="Added to queue"), entry(N2, status="Rejected"), entry(N3)],
            ["sent None", "no rejected", "sent m3"],
            id="by-status",
        ),
        pytest.param(
            [entry(N1), entry(N2, error="Internal server error"), entry(N3)],
            ["sent m1", "unknown internal_error", "sent m3"],
            id="broken-entry",
        ),
    ],
)
def test_entries_belong_to_recipients(entries: list[object], outcomes: list[str]) -> None:
    reply = read({"messages": entries})
    assert [said(outcome) for outcome in reply.outcomes] == outcomes
    assert (reply.split, reply.account_refused) == (None, None)


@pytest.mark.parametrize(
    ("status", "reply", "outcome", "split", "account"),
    [
        (200, {"messages": []}, LOST, None, None),
        (200, b"<html>", LOST, None, None),
        (200, {"status": "success", "messageId": "x"}, LOST, None, None),
        (301, {}, LOST, None, None),
        (401, {"error": "Unauthorized"}, "no unauthorized", None, "unauthorized"),
        (
            200,
            {"status": "error", "message": "Unauthorized"},
            "no unauthorized",
            None,
            "unauthorized",
        ),
        (402, {"error": "Insufficient balance"}, "no no_balance", None, "no_balance"),
        (400, {"error": "Token is required"}, "no token_required", None, "token_required"),
        (429, {"error": "Too many requests"}, "no rate_limited", None, None),
        (500, {"error": "Internal server error"}, "unknown internal_error", None, None),
        (400, {"error": "toNumber must be a string"}, "no http_400", "singles", None),
        (400, {"error": "Invalid sender ID"}, "no http_400", None, None),
        (400, {"error": f"Invalid phone number: {N2}"}, "no invalid_phone_number", "halves", None),
        (
            200,
            {"status": "error", "message": "toNumber must be one number"},
            "no rejected",
            "singles",
            None,
        ),
    ],
)
def test_a_reply_to_the_whole(
    status: int, reply: object, outcome: str, split: str | None, account: str | None
) -> None:
    read_reply = read(reply, status=status)
    assert [said(each) for each in read_reply.outcomes] == [outcome] * 3
    assert (read_reply.split, read_reply.account_refused) == (split, account)


@pytest.mark.parametrize(("status", "more"), [(400, {}), (200, {"error": "Something"})])
def test_an_error_of_the_whole_makes_what_was_taken_doubtful(
    status: int, more: dict[str, object]
) -> None:
    reply = read({"messages": [entry(N1), entry(N2, **NO), entry(N3)], **more}, status=status)
    assert [said(each) for each in reply.outcomes] == [LOST, "no invalid_phone_number", LOST]


def test_one_recipient_is_read_as_any_message() -> None:
    assert said(read({"status": "success", "messageId": "x"}, (ONE,)).outcomes[0]) == "sent x"
    assert said(read({"messages": [{"id": "y"}]}, (ONE,)).outcomes[0]) == "sent y"
    refused = read({"error": "Invalid phone number: 1"}, (ONE,), 400)
    assert (said(refused.outcomes[0]), refused.split) == ("no invalid_phone_number", None)
    assert said(read({"messages": [entry(N2)]}, (ONE,)).outcomes[0]) == LOST


def test_an_account_refused_in_an_entry_is_seen() -> None:
    reply = read({"messages": [entry(N1), entry(N2, error="Insufficient balance"), entry(N3)]})
    assert reply.account_refused == "no_balance"
    assert said(reply.outcomes[0]) == "sent m1"


JSON = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(allow_nan=False),
        st.text(max_size=12),
        st.sampled_from([N1, N2, N3, ACCOUNT.token, TEXT, "success", "error", "rejected"]),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(
            st.sampled_from(["id", "toNumber", "status", "error", "message", "messages", "x"]),
            inner,
            max_size=5,
        ),
    ),
    max_leaves=25,
)
REPLY = st.one_of(
    st.binary(max_size=80),
    JSON.map(lambda value: json.dumps(value).encode()),
    st.fixed_dictionaries({"messages": st.lists(JSON, max_size=5)}).map(
        lambda value: json.dumps(value).encode()
    ),
)


@given(
    REPLY,
    st.sampled_from([200, 200, 200, 204, 301, 400, 401, 402, 408, 429, 500]),
    st.integers(1, 3),
)
def test_any_reply_gives_typed_outcomes_that_show_nothing(
    body: bytes, status: int, count: int
) -> None:
    numbers = NUMBERS[:count]
    reply = read_batch(status, body, numbers, batch_fields(ACCOUNT, numbers, TEXT))
    assert len(reply.outcomes) == count
    for outcome in reply.outcomes:
        assert isinstance(outcome, Receipt | DeliveryRejected | DeliveryUnavailable)
        if isinstance(outcome, DeliveryError):
            shown = f"{outcome} {outcome!r} {outcome.__context__} {outcome.__cause__}"
            for secret in (ACCOUNT.hash, ACCOUNT.token, "parcel", "2025550"):
                assert secret not in shown
    if reply.split is not None:
        assert all(isinstance(o, DeliveryRejected) for o in reply.outcomes)
        assert count > 1
    errors = [o for o in reply.outcomes if isinstance(o, DeliveryError)]
    assert len({id(error) for error in errors}) == len(errors)


# --- the whole sequence, with a gateway that lies as gateways do ----------------------------


class Unsteady:
    """A gateway that knows which recipients it took, and reports it more or less well.

    Attributes:
        moods: How it answers each request; the last one for all that follow.
        taken: The recipients that it took, and how often.
    """

    def __init__(self, moods: list[str]) -> None:
        self.moods = moods
        self.taken: Counter[str] = Counter()
        self._lock = threading.Lock()

    def submit(self, fields: Fields) -> Reply:
        to = fields["toNumber"]
        asked = to if isinstance(to, list) else [to]
        with self._lock:
            mood = self.moods.pop(0) if len(self.moods) > 1 else self.moods[0]
            return self._answer(mood, asked)

    async def submit_async(self, fields: Fields) -> Reply:
        await asyncio.sleep(0)
        return self.submit(fields)

    def _answer(self, mood: str, asked: list[str]) -> Reply:
        if mood == "spoilt" and len(asked) > 1:
            return self._say(400, {"error": f"Invalid phone number: {asked[0]}"})
        if mood == "one-alone" and len(asked) > 1:
            return self._say(200, {"status": "error", "message": "toNumber must be one number"})
        if mood == "busy":
            raise DeliveryUnavailable(provider_code="rate_limited", maybe_sent=False)
        if mood == "no-balance":
            return self._say(402, {"error": "Insufficient balance"})
        good = [n for n in asked if mood != "picky" or int(n) % 3]
        self.taken.update(good)
        if mood == "broken":
            return self._say(500, {"error": "Internal server error"})
        if mood == "silent":
            raise DeliveryUnavailable(provider_code="timeout")
        entries = [
            entry(n, id=n) if n in good else entry(n, error=f"Invalid phone number: {n}")
            for n in asked
        ]
        if mood == "forgetful":
            entries = entries[1:]
        if mood == "reordered":
            entries.reverse()
        return self._say(200, {"messages": entries})

    def _say(self, status: int, reply: object) -> Reply:
        return status, json.dumps(reply).encode()


MOODS = ["well", "picky", "forgetful", "reordered", "broken", "silent", "busy", "spoilt"]
MOODS += ["one-alone", "no-balance"]


@pytest.mark.parametrize("mode", ["sync", "async"])
@given(
    st.lists(VALID, max_size=40),
    st.lists(st.sampled_from(MOODS), min_size=1, max_size=12),
    st.integers(1, 10),
    st.integers(1, 4),
)
@settings(max_examples=100)
def test_nobody_is_taken_twice_and_everybody_is_told_the_truth(
    mode: str, numbers: list[str], moods: list[str], size: int, concurrency: int
) -> None:
    gateway = Unsteady(moods)
    told: Counter[int] = Counter()

    def on_progress(progress: BulkProgress) -> None:
        told.update(entry.index for entry in progress.entries)

    options: BulkOptions = {
        "batch_size": size,
        "concurrency": concurrency,
        "on_progress": on_progress,
    }
    bulk = Bulk(ACCOUNT, TEXT, options)
    planned = bulk.plan(numbers)
    if mode == "sync":
        with Threads(gateway.submit, concurrency) as threads:
            result = run_sync(bulk.send(planned, threads))
    else:
        with Tasks(gateway.submit_async) as tasks:
            result = asyncio.run(bulk.send(planned, tasks))
    assert set(gateway.taken.values()) <= {1}
    assert [entry.given for entry in result.entries] == numbers
    assert told == Counter(range(len(numbers)))
    for each in result.entries:
        assert each.phone is not None
        was_taken = each.phone[1:] in gateway.taken
        if each.status == "sent":
            assert was_taken
            assert each.message_id == each.phone[1:]
        elif each.status == "failed":
            assert not was_taken
        elif each.status == "duplicate":
            assert each.duplicate_of is not None
            assert result.entries[each.duplicate_of].phone == each.phone
