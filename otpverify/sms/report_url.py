"""Where the gateway is to send delivery reports: an address of the application's, with the
message's token as one more query parameter."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from otpverify.core.tokens import PARAMETER
from otpverify.errors import ConfigurationError
from otpverify.sms.smspm_address import is_local

_URL = re.compile(r"https?://[^\s\x00-\x1f\\#@]+", re.IGNORECASE | re.ASCII)


def check_report_url(url: str) -> str:
    """The address as it is.

    Raises:
        ConfigurationError: It is no http(s) address, carries credentials or a fragment, has the
            token's parameter already, or is unencrypted and not on this machine.
    """
    try:
        parts = urlsplit(url if isinstance(url, str) and _URL.fullmatch(url) else "")
        # Reading the port is what checks it.
        host = "" if parts.port == 0 else parts.hostname or ""
    except ValueError:
        host = ""
    if not host or not url.isascii():
        raise ConfigurationError(
            "report_url (SMSPM_REPORT_URL) must be an address such as "
            "https://app.example/sms/report, in ASCII, without credentials or a fragment."
        )
    if PARAMETER in parts.query:
        raise ConfigurationError(f"report_url must leave the parameter {PARAMETER} free.")
    if parts.scheme == "http" and not is_local(host):
        raise ConfigurationError(
            "report_url (SMSPM_REPORT_URL) must use https, except on this machine."
        )
    return url


def report_address(url: str, token: str) -> str:
    """The address for the reports of one message. What `url` asks already stays."""
    glue = "" if url.endswith(("?", "&")) else "&" if "?" in url else "?"
    return f"{url}{glue}{PARAMETER}={token}"
