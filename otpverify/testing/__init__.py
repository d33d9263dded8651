"""Support for tests: `OutboxSender` keeps messages in memory, `code_in` finds the code.

verifier = Verifier(outbox := OutboxSender())
challenge = verifier.start("+12025550123")
verifier.check(challenge.phone, outbox.code(), challenge=challenge.id)

pytest finds the fixtures `otp_outbox` and `smspm_sandbox` by itself. `StoreConformance` is a
class to inherit for those who write a store of their own.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from otpverify.testing.conformance import StoreConformance
    from otpverify.testing.outbox import AsyncOutboxSender, OutboxSender, code_in

__all__ = ["AsyncOutboxSender", "OutboxSender", "StoreConformance", "code_in"]


# The pytest plugin lives in this package and is loaded by every run of pytest, so the rest
# is imported when first used.
def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    home = "conformance" if name == "StoreConformance" else "outbox"
    return getattr(import_module(f"{__name__}.{home}"), name)
