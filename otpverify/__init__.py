"""Prove that a person holds a phone: one-time codes by SMS, accepted once.

from otpverify import SmspmClient, Verifier

verifier = Verifier(SmspmClient.from_env())
challenge = verifier.start("+372 5678 9045", purpose="login", client_ip=ip)
...
verified = verifier.check(phone, code, challenge=challenge.id, purpose="login")
"""

import sys
from importlib.machinery import PathFinder
from typing import TYPE_CHECKING

from otpverify._version import __version__

if TYPE_CHECKING:
    from otpverify.core.bulk import (
        BulkCounts,
        BulkEntry,
        BulkProgress,
        BulkResult,
    )
    from otpverify.core.delivery import DeliveryStatus
    from otpverify.core.fictional import TestNumber
    from otpverify.core.limits import Limit
    from otpverify.core.phone import Destination
    from otpverify.core.policy import Policy
    from otpverify.core.results import (
        Challenge,
        DeliveryReport,
        Event,
        Message,
        Receipt,
        Verified,
    )
    from otpverify.errors import (
        AttemptsExhausted,
        BulkInterrupted,
        ChallengeExpired,
        ConfigurationError,
        CooldownActive,
        DeliveryError,
        DeliveryRejected,
        DeliveryUnavailable,
        DestinationBlocked,
        IncorrectCode,
        InvalidPhoneNumber,
        OtpVerifyError,
        RateLimited,
        StoreError,
        VerificationFailed,
    )
    from otpverify.guards import (
        AllowCountries,
        BlockNumberTypes,
    )
    from otpverify.hashing import (
        Argon2Hasher,
        HmacHasher,
    )
    from otpverify.protocols import (
        AsyncSender,
        AsyncStore,
        Clock,
        Guard,
        Hasher,
        Renderer,
        Sender,
        Store,
    )
    from otpverify.sms.fallback import AsyncFallbackSender, FallbackSender
    from otpverify.sms.messages import Messages
    from otpverify.sms.retry import (
        DeliveryAttempt,
        Retry,
    )
    from otpverify.sms.smspm import SmspmClient
    from otpverify.sms.smspm_async import AsyncSmspmClient
    from otpverify.sms.smspm_call import Balance
    from otpverify.stores.memory import MemoryStore
    from otpverify.stores.redis import RedisStore
    from otpverify.stores.redis_async import AsyncRedisStore
    from otpverify.stores.sqlite import SqliteStore
    from otpverify.verifier import Verifier
    from otpverify.verifier_async import AsyncVerifier

# Where each public name lives. A module is imported when one of its names is first used, so
# that nobody pays for what they do not use: an HTTP client, Argon2, numbering plans.
_MODULES = {
    "otpverify.core.bulk": (
        "BulkCounts",
        "BulkEntry",
        "BulkProgress",
        "BulkResult",
    ),
    "otpverify.core.delivery": ("DeliveryStatus",),
    "otpverify.core.fictional": ("TestNumber",),
    "otpverify.core.limits": ("Limit",),
    "otpverify.core.phone": ("Destination",),
    "otpverify.core.policy": ("Policy",),
    "otpverify.core.results": (
        "Challenge",
        "DeliveryReport",
        "Event",
        "Message",
        "Receipt",
        "Verified",
    ),
    "otpverify.errors": (
        "AttemptsExhausted",
        "BulkInterrupted",
        "ChallengeExpired",
        "ConfigurationError",
        "CooldownActive",
        "DeliveryError",
        "DeliveryRejected",
        "DeliveryUnavailable",
        "DestinationBlocked",
        "IncorrectCode",
        "InvalidPhoneNumber",
        "OtpVerifyError",
        "RateLimited",
        "StoreError",
        "VerificationFailed",
    ),
    "otpverify.guards": (
        "AllowCountries",
        "BlockNumberTypes",
    ),
    "otpverify.hashing": (
        "Argon2Hasher",
        "HmacHasher",
    ),
    "otpverify.protocols": (
        "AsyncSender",
        "AsyncStore",
        "Clock",
        "Guard",
        "Hasher",
        "Renderer",
        "Sender",
        "Store",
    ),
    "otpverify.sms.fallback": (
        "AsyncFallbackSender",
        "FallbackSender",
    ),
    "otpverify.sms.messages": ("Messages",),
    "otpverify.sms.retry": (
        "DeliveryAttempt",
        "Retry",
    ),
    "otpverify.sms.smspm": ("SmspmClient",),
    "otpverify.sms.smspm_async": ("AsyncSmspmClient",),
    "otpverify.sms.smspm_call": ("Balance",),
    "otpverify.stores.memory": ("MemoryStore",),
    "otpverify.stores.redis": ("RedisStore",),
    "otpverify.stores.redis_async": ("AsyncRedisStore",),
    "otpverify.stores.sqlite": ("SqliteStore",),
    "otpverify.verifier": ("Verifier",),
    "otpverify.verifier_async": ("AsyncVerifier",),
}
_HOMES = {name: module for module, names in _MODULES.items() for name in names}

__all__ = [
    "AllowCountries",
    "Argon2Hasher",
    "AsyncFallbackSender",
    "AsyncRedisStore",
    "AsyncSender",
    "AsyncSmspmClient",
    "AsyncStore",
    "AsyncVerifier",
    "AttemptsExhausted",
    "Balance",
    "BlockNumberTypes",
    "BulkCounts",
    "BulkEntry",
    "BulkInterrupted",
    "BulkProgress",
    "BulkResult",
    "Challenge",
    "ChallengeExpired",
    "Clock",
    "ConfigurationError",
    "CooldownActive",
    "DeliveryAttempt",
    "DeliveryError",
    "DeliveryRejected",
    "DeliveryReport",
    "DeliveryStatus",
    "DeliveryUnavailable",
    "Destination",
    "DestinationBlocked",
    "Event",
    "FallbackSender",
    "Guard",
    "Hasher",
    "HmacHasher",
    "IncorrectCode",
    "InvalidPhoneNumber",
    "Limit",
    "MemoryStore",
    "Message",
    "Messages",
    "OtpVerifyError",
    "Policy",
    "RateLimited",
    "Receipt",
    "RedisStore",
    "Renderer",
    "Retry",
    "Sender",
    "SmspmClient",
    "SqliteStore",
    "Store",
    "StoreError",
    "TestNumber",
    "VerificationFailed",
    "Verified",
    "Verifier",
    "__version__",
]


if sys.modules.get("httpx2") is None and (
    "httpx2" in sys.modules or PathFinder.find_spec("httpx2") is None
):
    # Without the extra `async`, who asks for all names is to get the others.
    del __all__[__all__.index("AsyncSmspmClient")]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
