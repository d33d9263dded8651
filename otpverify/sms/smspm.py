"""The SMSPM client on `requests`."""

from __future__ import annotations

from typing import TypeVar

from otpverify._sync import Closing
from otpverify.core.results import Message, Receipt
from otpverify.sms.smspm_base import SmspmBase
from otpverify.sms.smspm_bulk import SendsBulk
from otpverify.sms.smspm_call import Balance, Call, Fields
from otpverify.sms.smspm_session import carry, new_session

T = TypeVar("T")


class SmspmClient(SmspmBase, SendsBulk, Closing):
    """Sends through the SMSPM gateway. Safe to share between threads; make one a process.

    Credentials, numbers and texts travel in a POST body. Redirects are not followed, cookies
    and `.netrc` are not used. What did not reach the gateway is tried again, as `retry` says.

    Args:
        hash: The account's hash.
        token: The account's token.
        sender_id: An approved sender ID; an alphanumeric one has at most 11 characters.
        url: The gateway's address; a sandbox's in development.
        method: `"POST"`, or `"GET"` for a gateway that takes nothing else. GET puts
            credentials and code into the URL, and so into the logs of every proxy on the way.
        report_url: Where the gateway is to send delivery reports, such as
            `"https://app.example/sms/report"`; give what arrives there to `delivery_report`.
            None are asked for if left out.
        connect_timeout_seconds: For the connection to be made; at most 600.
        read_timeout_seconds: For each wait for the reply; at most 600.
        retry: When a call is repeated, and how long it may take in all; `Retry()` if left out.
        on_attempt: Called with a `DeliveryAttempt` after every attempt. What it raises is logged.

    Raises:
        ConfigurationError: Something of this is missing or unsafe.
    """

    def _open(self) -> None:
        self._session = new_session(proxies=self._proxies)

    def close(self) -> None:
        """Close the pooled connections."""
        self._session.close()

    def send(self, message: Message) -> Receipt:
        """Hand a message to the gateway.

        Returns:
            A receipt with the gateway's message id, if it gave one.

        Raises:
            DeliveryRejected: The gateway said no.
            DeliveryUnavailable: It was not reached (`maybe_sent` is false), or nobody knows
                whether it took the message.
        """
        return self._perform(self._send_call(message))

    def balance(self) -> Balance:
        """What is left on the account, in euros. Raises as `send`."""
        return self._perform(self._balance_call())

    def sender_ids(self) -> tuple[str, ...]:
        """The sender IDs that the account may use. Raises as `send`."""
        return self._perform(self._sender_ids_call())

    def _exchange(self, fields: Fields, operation: str = "send_bulk") -> tuple[int, bytes]:
        """Send prepared fields, within the retries and the deadline.

        Args:
            fields: The JSON body, credentials included; `toNumber` may hold a list.
            operation: What `DeliveryAttempt` calls it.

        Returns:
            The reply's HTTP status and body, whatever they say, but for what asks to come
            back later. The body ends soon after `LARGEST_REPLY` bytes.

        Raises:
            DeliveryUnavailable: There was no reply, or after all attempts it still was 429, 502,
                503 or 504. `maybe_sent` says whether any attempt may have been taken.
        """
        return self._perform(self._exchange_call(fields, operation))

    def _perform(self, call: Call[T]) -> T:
        attempts = self._attempts()
        for attempt in attempts.repeats():
            with attempt:
                outcome = carry(self._session, call, self._timeouts, attempts.seconds_left())
                return attempts.conclude(call, outcome)
        raise AssertionError("The last attempt returns or raises.")
