"""Every target, for the inputs that are kept and small changes of them. `make fuzz` looks for
more."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from fuzz import machines, people, run, signed
from fuzz.targets import CORPUS, TARGETS, corpus, inputs
from otpverify.core import codes, tokens
from otpverify.core.answers import Checked, Verdict
from otpverify.core.state import CounterState, Retention
from otpverify.gateways.smspm import wire
from otpverify.integrations.celery import encryption
from otpverify.stores.redis import replies
from otpverify.stores.sqlite import rows

EXAMPLES = {"phone": 20, "template": 20}
"""Of the targets that take long; of the others, there are 40."""


@pytest.mark.parametrize("name", TARGETS)
def test_inputs_that_are_kept(name: str) -> None:
    for data in inputs(name):
        TARGETS[name](data)


def spliced(inputs: list[bytes]) -> st.SearchStrategy[bytes]:
    """Inputs of which a part is replaced by bytes, or by a part of another."""
    known = st.sampled_from(inputs)
    return st.builds(
        lambda one, at, cut, other, start: (
            one[: at % (len(one) + 1)]
            + other[start % (len(other) + 1) :]
            + one[at % (len(one) + 1) + cut :]
        ),
        known,
        st.integers(0, 200),
        st.integers(0, 20),
        st.binary(max_size=8) | known,
        st.integers(0, 60),
    )


@pytest.mark.parametrize("name", TARGETS)
def test_inputs_that_are_near_them(name: str) -> None:
    @settings(max_examples=EXAMPLES.get(name, 40))
    @given(st.binary(max_size=40) | spliced(inputs(name)))
    def holds(data: bytes) -> None:
        TARGETS[name](data)

    holds()


def test_the_kept_inputs_are_few_and_small() -> None:
    assert {folder.name for folder in CORPUS.iterdir()} == set(TARGETS)
    sizes = {name: [file.stat().st_size for file in corpus(name)] for name in TARGETS}
    assert all(0 < len(of_one) <= run.MOST_INPUTS for of_one in sizes.values()), sizes
    assert max(map(max, sizes.values())) <= run.LARGEST_INPUT
    assert sum(map(sum, sizes.values())) <= 200_000


def broken(*_: object) -> None:
    raise KeyError


# A target whose function is wrong fails on the inputs that are kept.
ACCEPTED = Checked(Verdict.ACCEPTED)
FAULTS: list[tuple[str, Any, str, Any]] = [
    ("phone", people, "normalize", lambda raw, region=None: "+37256789046"),
    ("phone", people, "normalize", broken),
    ("code", codes, "clean", lambda typed, length: "0" * length),
    ("pasted_message", people, "code_in", lambda typed, length: "000000"),
    ("csv_cell", people, "read_number", lambda cell: people.digits_of(cell) + "0"),
    ("csv_file", people, "same_cell", broken),
    ("client_ip", people, "network_of", lambda given: f"{given}/64"),
    ("accept_language", people, "preferred_language", lambda header: header),
    ("proof", tokens, "read_proof", lambda subject, proof: signed.AT),
    ("report_token", tokens, "read_report_token", lambda ring, token: None),
    ("stamp", tokens, "read_stamp", lambda ring, stamp, *facts: None),
    ("sealed_task", encryption, "_decoded", lambda sealed: b"x"),
    ("redis_reply", replies, "opened", broken),
    ("redis_reply", machines, "READERS", {"checked": lambda reply: ACCEPTED}),
    ("sqlite_row", rows, "_counter", lambda *parts: CounterState((), Retention(), object())),  # type: ignore[arg-type]  # no number
    ("gateway_reply", wire, "text_or_none", lambda value: "\n"),
    ("gateway_reply", wire, "_harmless", lambda said, sent: said),
]


@pytest.mark.parametrize(
    ("name", "module", "function", "fault"), FAULTS, ids=[f"{n}-{f}" for n, _, f, _ in FAULTS]
)
def test_a_fault_is_found(
    name: str, module: Any, function: str, fault: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    if name == "sqlite_row":
        monkeypatch.setitem(rows._KINDS, "n", fault)
    monkeypatch.setattr(module, function, fault)
    with pytest.raises(Exception):  # noqa: B017 - each target fails in its own way
        test_inputs_that_are_kept(name)


def test_an_input_is_repeated(capsys: pytest.CaptureFixture[str]) -> None:
    file = corpus("phone")[0]
    assert run.main(["--replay", "phone", str(file)]) == 0
    assert "phone holds" in capsys.readouterr().out
    with pytest.raises(SystemExit, match="No targets: phones"):
        run.main(["phones"])
