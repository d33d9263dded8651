"""Schemathesis reads the OpenAPI document and tries to make the routes break it."""

from __future__ import annotations

from typing import Any

import pytest
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
from otpverify.integrations.web.requests import LARGEST_JSON
from otpverify.testing import OutboxSender

REQUESTS = 2000 if LONG else 25
THE_SAME_EVERY_TIME = settings(
    derandomize=True,
    database=None,
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)


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
        self.app.include_router(report_router(include_in_schema=True))
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


def read_operations(world: World) -> list[Any]:
    """What the application's OpenAPI document offers. A request that breaks the schema may also be
    too large (413), which Schemathesis does not count as a refusal by itself."""
    import schemathesis

    config = schemathesis.Config()
    check = config.projects.default.checks.negative_data_rejection
    check.expected_statuses = [*check.expected_statuses, "413"]
    schema = schemathesis.openapi.from_asgi("/openapi.json", world.app, config=config)
    found: list[Any] = list(schema.get_all_operations())
    return [one.ok() for one in found]


def all_checks() -> list[Any]:
    """Every check but one: whether a phone or code is right, no schema can tell."""
    from schemathesis.checks import CHECKS, load_all_checks

    load_all_checks()
    left_out = {"positive_data_acceptance"}
    return [CHECKS.get_one(name) for name in CHECKS.get_all_names() if name not in left_out]


def test_no_reply_is_undocumented() -> None:
    """Requests for and against the schema, now and then with the right phone or code, each with the
    session that the last one left."""
    import schemathesis  # costly, and needed here alone

    world = World()
    operations = read_operations(world)
    assert len(operations) == (22 if LONG else 7)
    requests = [
        operation.as_strategy(mode)
        for operation in operations
        for mode in schemathesis.GenerationMode
    ]
    checks = all_checks()
    seen: set[tuple[str, int]] = set()

    @settings(THE_SAME_EVERY_TIME, max_examples=REQUESTS)
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


@pytest.mark.parametrize(("path", "field"), [("/app/start", "phone"), ("/app/check", "code")])
def test_a_field_that_makes_the_body_too_large_is_refused_as_documented(
    path: str, field: str
) -> None:
    """A text beyond the schema's `maxLength` that is also beyond the largest body."""
    import schemathesis

    world = World()
    (operation,) = [one for one in read_operations(world) if one.path == path]
    checks = all_checks()
    seen: set[int] = set()

    @settings(THE_SAME_EVERY_TIME, max_examples=3)
    @given(operation.as_strategy(schemathesis.GenerationMode.NEGATIVE))
    def request(case: Any) -> None:
        case.media_type = "application/json"
        case.headers.clear()
        case.body = {field: "1" * LARGEST_JSON}
        reply = world.call(case)
        seen.add(reply.status_code)
        case.validate_response(reply, checks=checks)

    request()
    assert seen == {413}
