"""The numbering plans that the pages' script shows and formats numbers by, made from the metadata
of the package `phonenumbers`. `make countries` writes them to `otpverify-countries.json`.

The file's `plans` has, by calling code:

- the regions (ISO 3166-1), separated by spaces, the main one first;
- the prefix of numbers within the country, such as "0", or "";
- the ways to write a number, in the order in which they are tried: the sizes of its groups of
  digits with what stands between them ("3-3-4"; "3,4" is three or four), then "=" and an expression
  for the first digits, where only some numbers are written so.

`starts` has, by region, an expression for the first digits of its numbers, where several regions
share a calling code. Numbers are written in the international form.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, Final

import phonenumbers
from phonenumbers import COUNTRY_CODE_TO_REGION_CODE, PhoneMetadata

from otpverify.integrations.web import ASSETS

FILE: Final[Path] = ASSETS / "otpverify-countries.json"
_WORLD: Final = "001"


def made() -> dict[str, Any]:
    """The file's content, by the installed package."""
    plans, starts = {}, {}
    for code, regions in sorted(COUNTRY_CODE_TO_REGION_CODE.items()):
        if regions == (_WORLD,):
            continue
        main = PhoneMetadata.metadata_for_region(regions[0])
        assert main is not None
        formats = main.intl_number_format or main.number_format
        ways = [_way(one) for one in formats if one.format != "NA"]
        plans[str(code)] = [" ".join(regions), main.national_prefix or "", *ways]
        for region in regions[1:]:
            found = PhoneMetadata.metadata_for_region(region)
            if found is not None and found.leading_digits:
                starts[region] = found.leading_digits
    return {"version": phonenumbers.__version__, "plans": plans, "starts": starts}


def _way(one: Any) -> str:
    """`"3-3-4"` for `(\\d{3})(\\d{3})(\\d{4})` and `\\1-\\2-\\3`."""
    sizes = re.findall(r"\(\\d(?:\{([\d,]+)\})?\)", one.pattern)
    shape = re.sub(r"\\(\d)", lambda group: sizes[int(group[1]) - 1] or "1", one.format)
    start = one.leading_digits_pattern[-1] if one.leading_digits_pattern else ""
    return f"{shape}={start}" if start else shape


def main() -> None:
    """Write the file."""
    FILE.write_text(json.dumps(made(), separators=(",", ":")) + "\n", "ascii")


if __name__ == "__main__":
    main()
