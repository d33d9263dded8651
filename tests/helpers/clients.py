"""SMSPM clients of both modes behind one face of plain calls."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from types import TracebackType
from typing import Any, Self

from support import AsyncMode, Mode

from otpverify import AsyncSmspmClient, Balance, BulkResult, Message, Receipt, Retry, SmspmClient

HASH = "h4shQwertyuiop"
TOKEN = "t0ken+As/dfghjkl="
ONCE = Retry(attempts=1)
SOON = Retry(first_wait_seconds=0.001, longest_wait_seconds=0.001)


class Client:
    """A client, called and waited for. It tries once by default.

    Attributes:
        real: The client itself, for a verifier of the same mode.
    """

    def __init__(self, mode: Mode, hash: str = HASH, token: str = TOKEN, **options: Any):  # noqa: A002 - the client's name for it
        options.setdefault("retry", ONCE)
        self._mode = mode
        kind = AsyncSmspmClient if isinstance(mode, AsyncMode) else SmspmClient
        self.real: Any = kind(hash, token, **options)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._run(self.real.aclose if isinstance(self._mode, AsyncMode) else self.real.close)

    def send(self, message: Message) -> Receipt:
        return self._run(self.real.send, message)  # type: ignore[no-any-return]  # either mode's

    def balance(self) -> Balance:
        return self._run(self.real.balance)  # type: ignore[no-any-return]  # either mode's

    def sender_ids(self) -> tuple[str, ...]:
        return self._run(self.real.sender_ids)  # type: ignore[no-any-return]  # either mode's

    def send_bulk(self, numbers: Any, text: str, **options: Any) -> BulkResult:
        return self._run(partial(self.real.send_bulk, numbers, text, **options))  # type: ignore[no-any-return]  # either mode's

    def exchange(self, fields: dict[str, Any]) -> tuple[int, bytes]:
        return self._run(self.real._exchange, fields)  # type: ignore[no-any-return]  # either mode's

    def _run(self, method: Callable[..., Any], *args: Any) -> Any:
        if not isinstance(self._mode, AsyncMode):
            return method(*args)

        async def call() -> Any:
            return await method(*args)

        return self._mode.runner.run(call())
