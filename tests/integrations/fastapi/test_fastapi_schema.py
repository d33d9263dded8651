"""Schemathesis reads the OpenAPI document and tries to make the routes break it."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from hypothesis import HealthCheck, Phase, given, settings, strategies as st
from starlette.middleware.sessions import SessionMiddleware
from support import LONG, PHONE, QUICK, SECRET

from otpverify import AllowCountries, AsyncVerifier, Limit, Policy
from otpverify.integrations.fastapi import (
    FlowTokens,
    Recipient,
    TypedPhone,
    get_verifier,
    otp_router,
    report_router,
)
from otpverify.testing import OutboxSender

REQUESTS = 2000 if LONG else 25


async def account() -> Recipient:
    return Recipient(PHONE, "alice")


async def has_account(phone: TypedPhone) -> bool:
    return phone == PHONE


class World:
    """An application, and one person's sessions. They are renewed now and then: limits fill up."""

    def __init__(self) -> None:
        self.requests = 0
        self.app = FastAPI()
        self.app.dependency_overrides[get_verifier] = lambda: self.verifier
        self.app.add_middleware(SessionMiddleware, secret_key=SECRET)
        if LONG:
            self.app.include_router(otp_router("phone"), prefix="/phone")
            self.app.include_router(otp_router("login", recipient=account), prefix="/login")
            self.app.include_router(otp_router("reset", deliver=has_account), prefix="/reset")
        self.app.include_router(otp_router("app", session=FlowTokens(SECRET)), prefix="/app")
        self.app.include_router(report_router())
        self.begin()

    def begin(self) -> None:
        self.cookies: dict[str, str] = {}
        self.tokens: dict[str, str] = {}
        self.outbox = OutboxSender()
        policy = Policy(
            resend_cooldown_seconds=0,
            sends_per_phone=(Limit(6, 3600),),
            failures_per_phone=Limit(8, 86_400),
            sends_per_ip=(),
        )
        self.verifier = AsyncVerifier(
            self.outbox, hasher=QUICK, region="EE", policy=policy, guards=[AllowCountries(["EE"])]
        )

    def right(self, path: str) -> dict[str, str] | None:
        """The body that this route is waiting for, if there is one."""
        if path.endswith("/start") and "login" not in path:
            return {"phone": PHONE}
        if path.endswith("/check") and len(self.outbox):
            return {"code": self.outbox.code()}
        return None

    def call(self, case: Any) -> Any:
        self.requests += 1
        if self.requests % 100 == 0:
            self.begin()
        headers = self.tokens if case.path.startswith("/app") else {}
        reply = case.call(headers=dict(headers), cookies=dict(self.cookies))
        for name, values in reply.headers.items():
            if name.lower() == "otp-flow":
                self.tokens["Otp-Flow"] = values[0]
            elif name.lower() == "set-cookie":
                self.cookies["session"] = values[0].partition("=")[2].partition(";")[0]
        return reply


def test_no_reply_is_undocumented() -> None:
    """Requests for and against the schema, now and then with the right phone or code, each with the
    session that the last one left."""
    import schemathesis  # costly, and needed here alone
    from schemathesis.checks import CHECKS, load_all_checks

    load_all_checks()
    left_out = {"positive_data_acceptance"}  # whether a phone or code is right, no schema can tell
    checks = [CHECKS.get_one(name) for name in CHECKS.get_all_names() if name not in left_out]
    world = World()
    schema = schemathesis.openapi.from_asgi("/openapi.json", world.app)
    found: list[Any] = list(schema.get_all_operations())
    operations = [one.ok() for one in found]
    assert len(operations) == (22 if LONG else 7)
    requests = [
        strategy
        for operation in operations
        for mode in schemathesis.GenerationMode
        for strategy in [operation.as_strategy(mode)]
    ]
    seen: set[tuple[str, int]] = set()

    @settings(
        max_examples=REQUESTS,
        derandomize=not LONG,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(st.one_of(requests), st.booleans())
    def request(case: Any, lucky: bool) -> None:
        right = world.right(case.path)
        if lucky and right is not None:
            case = case.operation.Case(body=right, media_type="application/json")
        reply = world.call(case)
        seen.add((case.path.rpartition("/")[2], reply.status_code))
        case.validate_response(reply, checks=checks)

    request()
    print(sorted(seen))
    if LONG:
        assert {("start", 202), ("start", 429), ("check", 200), ("check", 400)} <= seen
