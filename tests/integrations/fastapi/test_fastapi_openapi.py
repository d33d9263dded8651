"""The OpenAPI document of the FastAPI integration: what client generators read."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import jsonschema_rs
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from pydantic import BaseModel

import otpverify
from otpverify import (
    AttemptsExhausted,
    ChallengeExpired,
    CooldownActive,
    DeliveryRejected,
    DeliveryUnavailable,
    DestinationBlocked,
    HumanCheckRequired,
    IncorrectCode,
    InvalidPhoneNumber,
    OtpVerifyError,
    RateLimited,
    StoreError,
)
from otpverify.core.answers import Refusal
from otpverify.guards import COSTLY_KINDS
from otpverify.integrations.fastapi import (
    FlowTokens,
    Recipient,
    TypedPhone,
    cookie_session,
    otp_router,
    proof_responses,
    report_router,
)
from otpverify.integrations.web.problems import (
    INVALID_REQUEST,
    NOT_JSON,
    PROOF_REQUIRED,
    TOO_LARGE,
    ProofRequired,
    SignInRefused,
    problem_of,
    type_of,
)

SECRET = "IVKyqv658P1UUfs7FIPkHIFCfhGBIzc9LecQbj3W1uQ"
ROUTES = ("start", "resend", "check", "cancel", "status")


class Problem(BaseModel):
    """A site's own."""

    ours: str


async def account() -> Recipient:
    return Recipient("+37256789045", "alice")


async def has_account(phone: TypedPhone) -> bool:
    return True


def three_flows(**options: Any) -> FastAPI:
    app = FastAPI()
    app.include_router(otp_router("login", recipient=account, **options), prefix="/login")
    app.include_router(otp_router("phone", **options), prefix="/phone")
    app.include_router(
        otp_router("password-reset", deliver=has_account, **options), prefix="/reset"
    )
    app.include_router(report_router())
    return app


DOCUMENT: dict[str, Any] = three_flows().openapi()


def operations(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for path in document["paths"].values():
        yield from path.values()


def schema_of(document: dict[str, Any], name: str) -> dict[str, Any]:
    """The schema of this name, with what it refers to."""
    return {"$ref": f"#/components/schemas/{name}", "components": document["components"]}


@pytest.mark.parametrize("options", [{}, {"session": FlowTokens(SECRET)}], ids=["cookie", "token"])
def test_three_flows_take_less_than_70_kilobytes(options: dict[str, Any]) -> None:
    with TestClient(three_flows(**options)) as client:
        assert len(client.get("/openapi.json").content) < 70_000


def test_every_problem_refers_to_one_schema() -> None:
    seen = 0
    for operation in operations(DOCUMENT):
        for status, reply in operation["responses"].items():
            if int(status) >= 400:
                (media,) = reply["content"].values()
                assert media["schema"] == {"$ref": "#/components/schemas/Problem"}
                assert list(reply["content"]) == ["application/problem+json"]
                seen += 1
    assert seen > 60
    schemas = DOCUMENT["components"]["schemas"]
    assert schemas["Problem"]["discriminator"]["propertyName"] == "type"
    mapping = schemas["Problem"]["discriminator"]["mapping"]
    assert sorted(mapping.values()) == sorted(one["$ref"] for one in schemas["Problem"]["oneOf"])
    for urn, reference in mapping.items():
        kind = schemas[reference.rpartition("/")[2]]["properties"]
        assert kind["type"]["const"] == urn
        assert isinstance(kind["status"]["const"], int)


ERRORS: list[OtpVerifyError] = [
    InvalidPhoneNumber("No."),
    InvalidPhoneNumber("No.", reason="too_short"),
    HumanCheckRequired(reason="prefix"),
    HumanCheckRequired(reason="prefix", retry_after=9),
    *(
        DestinationBlocked(reason=reason)
        for reason in ("", "country_not_allowed", "blocked_country", "own")
    ),
    *(DestinationBlocked(reason=kind) for kind in COSTLY_KINDS),
    *(DestinationBlocked(reason=one, retry_after=9) for one in ("prefix", "total", "spend")),
    DestinationBlocked(reason="total"),
    CooldownActive(retry_after=9, scope=Refusal.COOLDOWN.value),
    *(
        RateLimited(retry_after=9, scope=one.value)
        for one in (Refusal.SENDS, Refusal.FAILURES, Refusal.STREAK, Refusal.NETWORK)
    ),
    AttemptsExhausted(retry_after=9),
    IncorrectCode(attempts_left=0),
    IncorrectCode(attempts_left=None),
    ProofRequired("payment"),
    SignInRefused(),
    ChallengeExpired(),
    DeliveryRejected(provider_code="invalid_phone_number"),
    DeliveryRejected(),
    DeliveryUnavailable(maybe_sent=True),
    StoreError("Away."),
]


@pytest.mark.parametrize("error", ERRORS, ids=repr)
def test_every_error_fits_the_schema_of_its_kind(error: OtpVerifyError) -> None:
    body = problem_of(error).body()
    schemas = DOCUMENT["components"]["schemas"]
    reference = schemas["Problem"]["discriminator"]["mapping"][body["type"]]
    jsonschema_rs.validate(schema_of(DOCUMENT, "Problem"), body)
    kind = schema_of(DOCUMENT, reference.rpartition("/")[2])
    jsonschema_rs.validate(kind, body)
    for member in {"title", "detail", *problem_of(error).more}:
        less = {name: value for name, value in body.items() if name != member}
        always = member in schemas[reference.rpartition("/")[2]]["required"]
        assert jsonschema_rs.is_valid(kind, less) == (not always), member
    assert not jsonschema_rs.is_valid(kind, {**body, "status": 418})


def test_every_kind_of_error_is_in_the_schema() -> None:
    """Except for those of the program, which are not answered with a problem."""
    tried = {problem_of(error).type for error in ERRORS}
    for name in otpverify.__all__:
        kind = getattr(otpverify, name)
        if isinstance(kind, type) and issubclass(kind, OtpVerifyError):
            urn = type_of(kind)
            assert urn in tried or urn.endswith(":internal-error"), name
    of_requests = {one.type for one in (INVALID_REQUEST, NOT_JSON, PROOF_REQUIRED, TOO_LARGE)}
    mapping = DOCUMENT["components"]["schemas"]["Problem"]["discriminator"]["mapping"]
    assert set(mapping) == tried | of_requests


def test_limits_and_reasons_are_enumerated() -> None:
    schemas = DOCUMENT["components"]["schemas"]
    assert schemas["RateLimitedProblem"]["properties"]["limit"]["enum"] == [
        "sends_per_phone",
        "failures_per_phone",
        "consecutive_failures",
        "sends_per_ip",
    ]
    assert schemas["CooldownActiveProblem"]["properties"]["limit"]["const"] == "resend_cooldown"
    known, any_guard = schemas["DestinationBlockedProblem"]["properties"]["reason"]["anyOf"]
    assert {"country_not_allowed", "blocked_country", "premium_rate"} <= set(known["enum"])
    assert any_guard == {"type": "string"}


def test_operation_ids_come_from_the_purpose() -> None:
    assert [one["operationId"] for one in operations(DOCUMENT)] == [
        f"{purpose}_{route}" for purpose in ("login", "phone", "password_reset") for route in ROUTES
    ]


def test_two_routers_for_one_purpose_have_a_name_each() -> None:
    app = FastAPI()
    sessions: dict[str, Any] = {"web": cookie_session, "app": FlowTokens(SECRET)}
    for name, session in sessions.items():
        app.include_router(otp_router("sign-in", name=name, session=session), prefix=f"/{name}")
    found = [one["operationId"] for one in operations(app.openapi())]
    assert found == [f"{name}_{route}" for name in ("web", "app") for route in ROUTES]


def test_no_section_of_a_docstring_is_in_the_document() -> None:
    text = json.dumps(DOCUMENT)
    assert not re.findall(r"(?:Args|Attributes|Returns|Raises):", text)
    assert "``" not in text


def test_reports_are_in_the_document_only_if_asked_for() -> None:
    assert "/sms/report" not in DOCUMENT["paths"]
    app = FastAPI()
    app.include_router(report_router(include_in_schema=True))
    assert [one["operationId"] for one in operations(app.openapi())] == [
        "otp_report_get",
        "otp_report_post",
    ]


def test_a_model_of_the_site_may_have_the_same_name() -> None:
    app = FastAPI()
    app.include_router(otp_router("phone"), prefix="/phone")

    @app.get("/trouble")
    async def trouble() -> Problem:
        return Problem(ours="")

    document = app.openapi()
    replies = document["paths"]["/phone/check"]["post"]["responses"]
    reference = replies["400"]["content"]["application/problem+json"]["schema"]["$ref"]
    name = reference.rpartition("/")[2]
    body = problem_of(IncorrectCode(attempts_left=4)).body()
    jsonschema_rs.validate(schema_of(document, name), body)
    assert not jsonschema_rs.is_valid(schema_of(document, name), {"ours": ""})


def test_a_route_that_needs_a_proof_documents_its_problems_without_a_router() -> None:
    app = FastAPI()

    @app.put("/phone", responses=proof_responses())
    async def phone() -> str:
        return ""

    document = app.openapi()
    reply = document["paths"]["/phone"]["put"]["responses"]["403"]["content"]
    assert reply["application/problem+json"]["schema"] == {"$ref": "#/components/schemas/Problem"}
    jsonschema_rs.validate(
        schema_of(document, "Problem"), problem_of(ProofRequired("payment")).body()
    )
