"""The texts of messages that report a change to the account, or failed sign-ins, to its owner
(OWASP ASVS 5.0, 6.3.7 and 6.3.5).

They are in `account_notices.json`, by language: `phone` for a change of the phone number, `factor`
for any other change of how the person signs in, and `sign_in` for incorrect codes after the right
password. They never hold a code or a link. With a brand of up to 20 characters each is one segment.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Mapping
from functools import cache
from pkgutil import get_data
from typing import Literal, TypeAlias

from otpverify.errors import ConfigurationError
from otpverify.sms import lint_rules
from otpverify.sms.gsm7 import in_gsm7, is_gsm7
from otpverify.sms.languages import languages, load_languages, negotiate

NoticeText: TypeAlias = Literal["phone", "factor", "sign_in"]


@cache
def notice_texts() -> Mapping[str, Mapping[NoticeText, str]]:
    """The texts of every language, by its tag."""
    found: dict[str, dict[NoticeText, str]] = json.loads(
        get_data("otpverify.sms", "account_notices.json") or b""
    )
    return found


def notice_text(kind: NoticeText, *, locale: str = "en", brand: str | None = None) -> str:
    """The text of a message.

    Args:
        kind: `"phone"`, `"factor"` or `"sign_in"`.
        locale: A BCP 47 tag such as `"de-AT"`. The text is in the nearest available language, or
            in English.
        brand: The name by which people know you, as for `Messages`.

    Raises:
        ConfigurationError: The brand cannot be used.
    """
    language = languages()[negotiate(locale)]
    text = notice_texts()[language.tag][kind]
    if not brand:
        return text
    brand = unicodedata.normalize("NFC", brand)
    for finding in lint_rules.brand_findings(brand):
        raise ConfigurationError(finding.message)
    if is_gsm7(text) and not is_gsm7(brand):
        brand = in_gsm7(brand) or brand
    return language.prefix.replace("{brand}", brand) + text


# Read now, by a program that sends notices: later, when the change that a notice is about is made
# already, no file may be left to open.
load_languages()
notice_texts()
