"""The texts that tell a person of a change to the account, in every language."""

from __future__ import annotations

import re

import pytest

from otpverify import ConfigurationError
from otpverify.sms import segments
from otpverify.sms.account_notices import notice_text, notice_texts
from otpverify.sms.gsm7 import is_gsm7
from otpverify.sms.languages import languages

BRAND = "Twenty letters brand"


@pytest.mark.parametrize("tag", sorted(languages()))
@pytest.mark.parametrize("kind", ["phone", "factor", "sign_in"])
def test_every_language_has_a_text_of_one_segment(tag: str, kind: str) -> None:
    text = notice_text(kind, locale=tag, brand=BRAND)  # type: ignore[arg-type]  # one of the three
    assert segments(text).parts == 1
    assert BRAND in text
    assert text.endswith(notice_texts()[tag][kind])  # type: ignore[index]  # one of the three
    assert is_gsm7(text) == is_gsm7(languages()[tag].tail)
    assert not re.search(r"\d|http|www|@|{|}", text)
    if tag != "en":
        assert notice_texts()[tag][kind] != notice_texts()["en"][kind]  # type: ignore[index]  # as above


def test_no_language_is_missing_or_too_many() -> None:
    assert set(notice_texts()) == set(languages())


def test_without_a_brand_and_in_an_unknown_language() -> None:
    assert notice_text("factor", locale="tlh") == (
        "The way you sign in was changed. Not you? Contact us."
    )


def test_a_brand_is_written_as_the_text_is() -> None:
    assert notice_text("phone", locale="en", brand="Škoda").startswith("Skoda: ")


def test_a_brand_that_cannot_be_used_is_refused() -> None:
    with pytest.raises(ConfigurationError):
        notice_text("phone", brand="a\nb")
