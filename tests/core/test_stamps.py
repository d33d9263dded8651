"""Stamps: proof that the library wrote something for these facts, and when."""

from __future__ import annotations

from hypothesis import given, strategies as st
from support import OTHER_SECRET, SECRET

from otpverify.core import tokens
from otpverify.core.keys import Keyring

OLD, NEW = SECRET.encode(), OTHER_SECRET.encode()
RING = Keyring([OLD])
AT, NAME = 1_772_366_400, bytes(range(8))
STAMP = tokens.write_stamp(RING.signing, AT + 0.9, NAME, "remembered", "7", "a")
URL_SAFE = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


def test_a_stamp_shows_its_second_and_its_name() -> None:
    found = tokens.read_stamp(RING, STAMP, "remembered", "7", "a")
    assert found == tokens.Stamp(AT, NAME.hex())
    assert len(STAMP) == tokens.STAMP_LENGTH


def test_it_is_valid_for_its_use_and_facts_alone() -> None:
    for label, *facts in [("other", "7", "a"), ("remembered", "7"), ("remembered", "a", "7")]:
        assert tokens.read_stamp(RING, STAMP, label, *facts) is None


def test_it_is_valid_as_long_as_its_secret_is_in_force() -> None:
    assert tokens.read_stamp(Keyring([NEW, OLD]), STAMP, "remembered", "7", "a")
    assert tokens.read_stamp(Keyring([NEW]), STAMP, "remembered", "7", "a") is None


@given(position=st.integers(0, len(STAMP) - 1), other=st.sampled_from(URL_SAFE))
def test_no_other_stamp_is_valid(position: int, other: str) -> None:
    altered = STAMP[:position] + other + STAMP[position + 1 :]
    found = tokens.read_stamp(RING, altered, "remembered", "7", "a")
    assert (found is not None) == (altered == STAMP)


def test_garbage_is_no_stamp() -> None:
    for garbage in (None, 7, STAMP.encode(), "", STAMP[:-1], f"{STAMP}A", f"{STAMP}\n"):
        assert tokens.read_stamp(RING, garbage, "remembered", "7", "a") is None


def test_it_is_young_for_so_many_seconds() -> None:
    stamp = tokens.Stamp(AT, "")
    young = {age: stamp.younger_than(30, AT + age) for age in (-61, -60, 0, 29.9, 30)}
    assert young == {-61: False, -60: True, 0: True, 29.9: True, 30: False}
