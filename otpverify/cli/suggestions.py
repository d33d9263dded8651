"""What to write instead of characters that GSM-7 lacks, in words."""

from __future__ import annotations

from collections.abc import Iterator

from otpverify.sms import suggest_gsm7


def gsm7_suggestions(text: str) -> Iterator[str]:
    """Replacements that make a text GSM-7; none if GSM-7 lacks the text's script."""
    found = suggest_gsm7(text)
    if any(each.replacement is None and each.character[0].isalpha() for each in found):
        return
    for each in found:
        where = ", ".join(str(position) for position in each.positions)
        instead = f"write {each.replacement!r}" if each.replacement else "leave it out"
        yield f"{instead} for {each.character!r} ({each.name}) at {where}, for GSM-7"
