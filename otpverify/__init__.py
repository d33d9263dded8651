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

from otpverify._version import __version__ as __version__

if TYPE_CHECKING:
    from otpverify.core.fraud_policy import (
        FraudPolicy as FraudPolicy,
        SpendLimit as SpendLimit,
    )
    from otpverify.core.inspection import (
        LimitUse as LimitUse,
        LiveChallenge as LiveChallenge,
        PhoneInspection as PhoneInspection,
        PurposeInspection as PurposeInspection,
        SentMessage as SentMessage,
    )
    from otpverify.core.limits import Limit as Limit
    from otpverify.core.phone import Destination as Destination, SendRequest as SendRequest
    from otpverify.core.policy import Policy as Policy, TestNumber as TestNumber
    from otpverify.core.prices import Prices as Prices
    from otpverify.core.results import (
        Challenge as Challenge,
        DeliveryReport as DeliveryReport,
        DeliveryStatus as DeliveryStatus,
        Event as Event,
        Message as Message,
        Receipt as Receipt,
        Verified as Verified,
    )
    from otpverify.core.traffic import Traffic as Traffic
    from otpverify.errors import (
        AttemptsExhausted as AttemptsExhausted,
        ChallengeExpired as ChallengeExpired,
        ConfigurationError as ConfigurationError,
        CooldownActive as CooldownActive,
        DeliveryError as DeliveryError,
        DeliveryRejected as DeliveryRejected,
        DeliveryUnavailable as DeliveryUnavailable,
        DestinationBlocked as DestinationBlocked,
        HumanCheckRequired as HumanCheckRequired,
        IncorrectAnswer as IncorrectAnswer,
        IncorrectCode as IncorrectCode,
        InvalidPhoneNumber as InvalidPhoneNumber,
        OtpVerifyError as OtpVerifyError,
        RateLimited as RateLimited,
        StoreError as StoreError,
        VerificationFailed as VerificationFailed,
    )
    from otpverify.gateways.fallback import (
        AsyncFallbackSender as AsyncFallbackSender,
        FallbackSender as FallbackSender,
    )
    from otpverify.gateways.retry import DeliveryAttempt as DeliveryAttempt, Retry as Retry
    from otpverify.gateways.send_bulk import (
        BulkCounts as BulkCounts,
        BulkEntry as BulkEntry,
        BulkInterrupted as BulkInterrupted,
        BulkProgress as BulkProgress,
        BulkResult as BulkResult,
    )
    from otpverify.gateways.smspm.client import SmspmClient as SmspmClient
    from otpverify.gateways.smspm.client_async import AsyncSmspmClient as AsyncSmspmClient
    from otpverify.gateways.smspm.wire import Balance as Balance
    from otpverify.guards import (
        AllowCountries as AllowCountries,
        AllowNumbers as AllowNumbers,
        BlockNumberTypes as BlockNumberTypes,
    )
    from otpverify.hashing import Argon2Hasher as Argon2Hasher, HmacHasher as HmacHasher
    from otpverify.protocols import (
        AsyncSender as AsyncSender,
        AsyncStore as AsyncStore,
        Clock as Clock,
        Guard as Guard,
        Hasher as Hasher,
        Renderer as Renderer,
        Sender as Sender,
        Store as Store,
    )
    from otpverify.sms.messages import Messages as Messages
    from otpverify.stores.memory import MemoryStore as MemoryStore
    from otpverify.stores.redis.async_store import AsyncRedisStore as AsyncRedisStore
    from otpverify.stores.redis.store import RedisStore as RedisStore
    from otpverify.stores.sqlite.store import SqliteStore as SqliteStore
    from otpverify.verifier import Verifier as Verifier
    from otpverify.verifier_async import AsyncVerifier as AsyncVerifier

# Where each public name lives. A module is imported when one of its names is first used, so that
# a program loads no HTTP client, Argon2 or numbering plan that it does not use.
_MODULES = {
    "otpverify.core.fraud_policy": "FraudPolicy SpendLimit",
    "otpverify.core.inspection": (
        "LimitUse LiveChallenge PhoneInspection PurposeInspection SentMessage"
    ),
    "otpverify.core.limits": "Limit",
    "otpverify.core.phone": "Destination SendRequest",
    "otpverify.core.policy": "Policy TestNumber",
    "otpverify.core.prices": "Prices",
    "otpverify.core.results": (
        "Challenge DeliveryReport DeliveryStatus Event Message Receipt Verified"
    ),
    "otpverify.core.traffic": "Traffic",
    "otpverify.errors": (
        "AttemptsExhausted ChallengeExpired ConfigurationError CooldownActive "
        "DeliveryError DeliveryRejected DeliveryUnavailable DestinationBlocked "
        "HumanCheckRequired IncorrectAnswer IncorrectCode InvalidPhoneNumber OtpVerifyError "
        "RateLimited StoreError VerificationFailed"
    ),
    "otpverify.gateways.fallback": "AsyncFallbackSender FallbackSender",
    "otpverify.gateways.retry": "DeliveryAttempt Retry",
    "otpverify.gateways.send_bulk": (
        "BulkCounts BulkEntry BulkInterrupted BulkProgress BulkResult"
    ),
    "otpverify.gateways.smspm.client": "SmspmClient",
    "otpverify.gateways.smspm.client_async": "AsyncSmspmClient",
    "otpverify.gateways.smspm.wire": "Balance",
    "otpverify.guards": "AllowCountries AllowNumbers BlockNumberTypes",
    "otpverify.hashing": "Argon2Hasher HmacHasher",
    "otpverify.protocols": "AsyncSender AsyncStore Clock Guard Hasher Renderer Sender Store",
    "otpverify.sms.messages": "Messages",
    "otpverify.stores.memory": "MemoryStore",
    "otpverify.stores.redis.async_store": "AsyncRedisStore",
    "otpverify.stores.redis.store": "RedisStore",
    "otpverify.stores.sqlite.store": "SqliteStore",
    "otpverify.verifier": "Verifier",
    "otpverify.verifier_async": "AsyncVerifier",
}
_HOMES = {name: module for module, names in _MODULES.items() for name in names.split()}

__all__ = sorted([*_HOMES, "__version__"])


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
