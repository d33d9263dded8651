"""Senders for the Messages API of Twilio: all that a second gateway takes.

The contract: POST `/2010-04-01/Accounts/{sid}/Messages.json` with HTTP Basic and the form fields
`To`, `From` and `Body`. A message that was taken is 201 with a `sid`; a refusal is 4xx with
a numeric `code`. https://www.twilio.com/docs/messaging/api/message-resource
"""

from __future__ import annotations

import base64
import json
import re
from typing import Any

from otpverify import DeliveryRejected, DeliveryUnavailable, Message, Receipt
from otpverify.gateways import (
    OUTCOME_UNKNOWN,
    AsyncHttpClient,
    Call,
    HttpClient,
    HttpSettings,
    check_url,
)

URL = "https://api.twilio.com"
REASONS = {
    20003: "unauthorized",
    21211: "invalid_phone_number",
    21610: "unsubscribed",
    21614: "invalid_phone_number",
}


class Account:
    """An account, and a message as a call."""

    def __init__(self, account_sid: str, auth_token: str, number: str, url: str = URL) -> None:
        self.url = check_url(url, "TWILIO_URL", example=URL)
        self._path = f"/2010-04-01/Accounts/{account_sid}/Messages.json"
        secret = base64.b64encode(f"{account_sid}:{auth_token}".encode()).decode()
        self._headers = {"Authorization": f"Basic {secret}"}
        self._number = number

    def call(self, message: Message) -> Call[Receipt]:
        return Call(
            gateway="Twilio",
            operation="send",
            method="POST",
            url=self.url + self._path,
            headers=self._headers,
            encoding="form",
            fields={"To": message.to, "From": self._number, "Body": message.text},
            read=read,
        )


def read(status: int, body: bytes) -> Receipt:
    """The receipt, or an error of fixed words: the gateway's own text repeats the number."""
    try:
        reply: Any = json.loads(body)
    except (ValueError, RecursionError):
        reply = None
    reply = reply if isinstance(reply, dict) else {}
    if status == 201 and re.fullmatch(r"[A-Za-z0-9]{1,64}", str(reply.get("sid"))):
        return Receipt(str(reply["sid"]))
    if status in (429, 503):  # it certainly did not take the message
        reason = "rate_limited" if status == 429 else "http_503"
        raise DeliveryUnavailable("Twilio is busy.", provider_code=reason, maybe_sent=False)
    if 400 <= status < 500:
        code = reply.get("code")
        reason = REASONS.get(code, f"http_{status}") if isinstance(code, int) else f"http_{status}"
        raise DeliveryRejected(f"Twilio refused the message: {reason}.", provider_code=reason)
    reason = f"http_{status}" if status >= 500 else "unreadable_reply"
    raise DeliveryUnavailable(f"Twilio failed: {reason}. {OUTCOME_UNKNOWN}", provider_code=reason)


class TwilioSender:
    """Safe to share between threads."""

    def __init__(self, account: Account, settings: HttpSettings | None = None) -> None:
        self._account = account
        self._http = HttpClient("TwilioSender", account.url, settings or HttpSettings())

    def send(self, message: Message) -> Receipt:
        return self._http.perform(self._account.call(message))

    def close(self) -> None:
        self._http.close()


class AsyncTwilioSender:
    """`TwilioSender`, awaitable."""

    def __init__(self, account: Account, settings: HttpSettings | None = None) -> None:
        self._account = account
        self._http = AsyncHttpClient("AsyncTwilioSender", account.url, settings or HttpSettings())

    async def send(self, message: Message) -> Receipt:
        return await self._http.perform(self._account.call(message))

    async def aclose(self) -> None:
        await self._http.aclose()
