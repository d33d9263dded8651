"""What is mutated, and which tests are asked: those of the file first, then those of its group."""

from __future__ import annotations

from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path

_CONFORMANCE = "tests/stores/test_store_conformance.py"
_FRAUD = "tests/stores/test_fraud_stores.py"
_REDIS = (
    "tests/stores/test_redis_store.py",
    f"{_CONFORMANCE}::TestRedisStore",
    f"{_FRAUD}::TestRedisStore",
    "tests/stores/test_redis_dump.py",
    "tests/stores/test_foreign_answers.py",
    "tests/stores/test_redis_lacks.py",
    "tests/stores/test_redis_fault_calls.py",
)


@dataclass(frozen=True)
class Group:
    """Files that are measured together.

    Attributes:
        files: Patterns, from the repository's root.
        goal: The percentage of mutants that tests must notice.
        first: Tests by a pattern of the mutated file. The test file of the same name is asked
            before them.
        tests: Tests that are asked in the end, whichever file it is.
    """

    files: tuple[str, ...]
    goal: int
    first: dict[str, tuple[str, ...]] = field(default_factory=dict)
    tests: tuple[str, ...] = ()

    def sources(self, root: Path) -> list[str]:
        """All its files."""
        found = {path for pattern in self.files for path in root.glob(pattern)}
        return sorted(str(path.relative_to(root)) for path in found)

    def tests_of(self, path: str, root: Path) -> list[str]:
        """The tests for a mutant of that file, in the order in which they are asked."""
        mirror = Path(path).relative_to("otpverify").parent
        own = root / "tests" / mirror / f"test_{Path(path).stem}.py"
        asked = [str(own.relative_to(root))] if own.exists() else []
        for pattern, tests in self.first.items():
            if fnmatch(path, pattern):
                asked += tests
        asked += self.tests
        return list(dict.fromkeys(file for test in asked for file in _files(test, root)))


def _files(test: str, root: Path) -> list[str]:
    """A folder's files: pytest would run a file that is asked before its folder with the folder."""
    if not (root / test).is_dir():
        return [test]
    return sorted(str(path.relative_to(root)) for path in (root / test).rglob("test_*.py"))


_FLASK = "tests/integrations/flask/"
_DJANGO = "tests/integrations/django/"
_FASTAPI = "tests/integrations/fastapi/"

GROUPS = {
    "core": Group(
        files=("otpverify/core/*.py",),
        goal=95,
        first={
            "*/answers.py": ("tests/stores/test_foreign_answers.py",),
            "*/challenge.py": (f"{_CONFORMANCE}::TestMemoryStore",),
            "*/codes.py": ("tests/core/test_codes_and_keys.py",),
            "*/caps.py": (f"{_FRAUD}::TestMemoryStore",),
            "*/fraud*.py": (
                "tests/core/test_fraud.py",
                "tests/core/test_fraud_policy.py",
                f"{_FRAUD}::TestMemoryStore",
                "tests/promises/test_fraud.py",
            ),
            "*/inspection.py": ("tests/engine/test_inspect_and_unlock.py",),
            "*/keys.py": ("tests/core/test_codes_and_keys.py",),
            "*/limits.py": ("tests/core/test_policy.py", "tests/core/test_caps.py"),
            "*/prices.py": ("tests/core/test_fraud_policy.py",),
            "*/tokens.py": ("tests/core/test_stamps.py",),
            "*/send_limits.py": (f"{_CONFORMANCE}::TestMemoryStore",),
            "*/state.py": (f"{_CONFORMANCE}::TestMemoryStore",),
        },
        tests=(
            "tests/core/test_policy.py",
            "tests/engine/test_verifier.py",
            "tests/engine/test_proofs.py",
            "tests/engine/test_inspect_and_unlock.py",
            f"{_CONFORMANCE}::TestMemoryStore",
            f"{_FRAUD}::TestMemoryStore",
            "tests/test_errors.py",
            "tests/engine/test_traffic.py",
            "tests/engine/test_delivery_reports.py",
            "tests/engine/test_guards.py",
            "tests/promises/test_every_repr.py",
            "tests/promises/test_promises.py",
        ),
    ),
    "engine": Group(
        files=("otpverify/engine/*.py",),
        goal=95,
        first={
            "*/operations.py": ("tests/engine/test_verifier.py",),
            "*/fraud.py": ("tests/promises/test_fraud.py",),
            "*/code_request.py": ("tests/promises/test_fraud.py",),
        },
        tests=(
            "tests/engine/test_verifier.py",
            "tests/engine/test_proofs.py",
            "tests/engine/test_send_code.py",
            "tests/engine/test_events.py",
            "tests/engine",
            "tests/promises/test_promises.py",
            "tests/promises/test_secrecy.py",
            "tests/promises/test_concealment.py",
            "tests/promises/test_fraud.py",
        ),
    ),
    "stores": Group(
        files=("otpverify/stores/**/*.py",),
        goal=90,
        first={
            "*/memory.py": (
                "tests/stores/test_memory_store.py",
                f"{_CONFORMANCE}::TestMemoryStore",
                f"{_FRAUD}::TestMemoryStore",
            ),
            "*/sqlite/*": (
                "tests/stores/test_sqlite_store.py",
                f"{_CONFORMANCE}::TestSqliteStore",
                f"{_FRAUD}::TestSqliteStore",
                "tests/stores/test_sqlite_dump.py",
                "tests/stores/test_foreign_answers.py",
                "tests/stores/test_fraud_faults.py",
                "tests/stores/test_sqlite_kill.py",
            ),
            "*/async_store.py": (f"{_CONFORMANCE}::TestAsyncRedisStore",),
            "*/redis/*": (
                *_REDIS,
                "tests/stores/test_redis_connections.py",
                "tests/stores/test_redis_connections_async.py",
                "tests/stores/test_redis_faults.py",
                "tests/stores/test_redis_tls.py",
                "tests/stores/test_redis_sentinel.py",
                "tests/console/test_doctor.py",
            ),
        },
        tests=("tests/stores/test_workers.py", "tests/test_settings.py"),
    ),
    "lua": Group(
        files=("otpverify/stores/redis/lua/*.lua",),
        goal=90,
        first={
            "*/fraud_*": (f"{_FRAUD}::TestRedisStore", "tests/stores/test_fraud_faults.py"),
            "*/traffic.lua": (f"{_FRAUD}::TestRedisStore",),
        },
        tests=(
            f"{_CONFORMANCE}::TestRedisStore",
            *_REDIS,
            "tests/stores/test_redis_model.py",
            "tests/stores/test_fraud_faults.py",
            "tests/stores/test_challenge_model.py",
        ),
    ),
    "web": Group(
        files=("otpverify/integrations/web/*.py",),
        goal=90,
        tests=(
            "tests/integrations/web",
            f"{_FLASK}test_flask.py",
            f"{_DJANGO}test_django_flow_view.py",
            "tests/integrations/test_step_up.py",
            "tests/integrations/test_one_phone.py",
            "tests/integrations/test_rough_requests.py",
            "tests/integrations/test_repeated_requests.py",
            f"{_FLASK}test_flask_sign_in.py",
            f"{_DJANGO}test_django_sign_in.py",
            f"{_FLASK}test_flask_second_factor.py",
            f"{_DJANGO}test_django_second_factor.py",
        ),
    ),
    "seams": Group(
        files=(
            "otpverify/integrations/flask/*.py",
            *(
                f"otpverify/integrations/django/{name}.py"
                for name in (
                    "base",
                    "session",
                    "views",
                    "sign_in",
                    "login",
                    "reset",
                    "pending_login",
                )
            ),
            *(
                f"otpverify/integrations/fastapi/{name}.py"
                for name in ("dependencies", "router", "responses")
            ),
        ),
        goal=90,
        first={
            "*/flask/flows.py": (f"{_FLASK}test_flask.py", f"{_FLASK}test_flask_shared_flow.py"),
            "*/flask/site.py": (f"{_FLASK}test_flask_extension.py",),
            "*/flask/*": (
                f"{_FLASK}test_flask.py",
                f"{_FLASK}test_flask_shared_flow.py",
                f"{_FLASK}test_flask_extension.py",
                f"{_FLASK}test_flask_proofs.py",
                f"{_FLASK}test_flask_sign_in.py",
                f"{_FLASK}test_flask_second_factor.py",
                f"{_FLASK}test_flask_enrolment.py",
                "tests/integrations/test_accounts_by_json.py",
            ),
            "*/django/sign_in.py": (f"{_DJANGO}test_django_sign_in.py",),
            "*/django/login.py": (f"{_DJANGO}test_django_login.py",),
            "*/django/reset.py": (f"{_DJANGO}test_django_reset.py",),
            "*/django/*": (
                f"{_DJANGO}test_django_flow_view.py",
                f"{_DJANGO}test_django_hooks.py",
                f"{_DJANGO}test_django_repeats.py",
                f"{_DJANGO}test_django_api.py",
                f"{_DJANGO}test_django_sign_in.py",
                f"{_DJANGO}test_django_login.py",
                f"{_DJANGO}test_django_reset.py",
                f"{_DJANGO}test_django_second_factor.py",
                f"{_DJANGO}test_django_settings.py",
                f"{_DJANGO}test_django_concealment.py",
            ),
            "*/fastapi/*": (
                f"{_FASTAPI}test_fastapi.py",
                f"{_FASTAPI}test_fastapi_shared_flow.py",
                f"{_FASTAPI}test_fastapi_otp_flow.py",
                f"{_FASTAPI}test_fastapi_background.py",
                f"{_FASTAPI}test_fastapi_recipes.py",
                f"{_FASTAPI}test_fastapi_openapi.py",
            ),
        },
        tests=(
            "tests/integrations/test_rough_requests.py",
            "tests/integrations/test_repeated_requests.py",
            "tests/integrations/test_step_up.py",
            "tests/integrations/test_one_phone.py",
        ),
    ),
    "wire": Group(
        files=(
            "otpverify/gateways/smspm/wire.py",
            "otpverify/gateways/retry.py",
            "otpverify/sms/*.py",
        ),
        goal=90,
        first={
            "*/sms/*": ("tests/sms", "tests/cli/test_lint.py"),
            "*/wire.py": ("tests/gateways/test_smspm_wire.py", "tests/gateways/test_any_reply.py"),
            "*/retry.py": ("tests/gateways/test_smspm_retries.py",),
        },
        tests=(
            "tests/gateways/test_failure_reasons.py",
            "tests/gateways/test_smspm_client.py",
            "tests/gateways/test_smspm_async.py",
            "tests/gateways/test_smspm_faults.py",
            "tests/gateways/test_fallback.py",
            "tests/gateways/test_bulk.py",
        ),
    ),
}
