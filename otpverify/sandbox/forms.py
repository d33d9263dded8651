"""Fields that come as name and value pairs."""

from __future__ import annotations

from urllib.parse import SplitResult, parse_qs


def query_of(url: SplitResult) -> dict[str, object]:
    """The fields of an address's query."""
    return pairs_of(url.query)


def pairs_of(text: str) -> dict[str, object]:
    """Decoded name and value pairs; a recipient that is named several times is a batch."""
    found = parse_qs(text, keep_blank_values=True)
    fields: dict[str, object] = {name: values[-1] for name, values in found.items()}
    if len(numbers := found.get("toNumber", [])) > 1:
        fields["toNumber"] = numbers
    return fields
