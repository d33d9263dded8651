"""`OtpFlow`: one object gives a router and the dependencies for its proof."""

# Annotations are not postponed: FastAPI could not resolve names that are local to a function.

from inspect import signature
from typing import Annotated, Any

import pytest
from fastapi import Depends, FastAPI, Header, HTTPException
from fastapi.testclient import TestClient
from freezegun.api import FrozenDateTimeFactory
from starlette.middleware.sessions import SessionMiddleware
from support import OTHER_SECRET, PHONE, QUICK, SECRET

from otpverify import AsyncVerifier, ConfigurationError, MemoryStore, Verified
from otpverify.integrations.fastapi import (
    FlowTokens,
    OtpFlow,
    Proof,
    Recipient,
    TypedPhone,
    add_exception_handlers,
    fresh_proof,
    get_verifier,
    held_proof,
    otp_router,
)
from otpverify.testing import OutboxSender


def parameters(function: Any) -> dict[str, Any]:
    """The defaults of the parameters, by name."""
    found = signature(function).parameters.items()
    return {name: one.default for name, one in found if name != "self"}


def test_it_takes_what_the_functions_take() -> None:
    """A parameter that one of them gets later is missing here, until it is passed on."""
    flow = parameters(OtpFlow.__init__)
    assert flow.pop("proof_verifier") is None
    router = {**flow, **parameters(OtpFlow.router)}
    assert router == parameters(otp_router)
    for method, function in (
        (OtpFlow.held_proof, held_proof),
        (OtpFlow.fresh_proof, fresh_proof),
    ):
        both = {**flow, **parameters(method)}
        for name, default in parameters(function).items():
            assert both[name] == default


async def paying(payment: int) -> Recipient:
    return Recipient(PHONE, f"alice:{payment}", {"amount": f"{payment}.00 EUR"})


async def has_account(phone: TypedPhone) -> bool:
    return phone == PHONE


async def is_human(x_captcha: Annotated[str, Header()] = "") -> bool:
    return x_captcha == "right"


@pytest.fixture
def outbox() -> OutboxSender:
    return OutboxSender()


def application(outbox: OutboxSender, **verifiers: AsyncVerifier) -> TestClient:
    """An application with two flows: by cookie to an account, and concealed by tokens."""

    def sends() -> AsyncVerifier:
        return verifiers["sends"]

    def redeems() -> AsyncVerifier:
        return verifiers["redeems"]

    payment = OtpFlow("payment", recipient=paying)
    reset = OtpFlow(
        "password-reset",
        deliver=has_account,
        verifier=sends,
        proof_verifier=redeems,
        session=FlowTokens(SECRET),
        translate=lambda _, sentence: f"<{sentence}>",
        name="reset",
    )
    app = FastAPI()
    app.add_middleware(SessionMiddleware, secret_key=SECRET)
    app.include_router(payment.router(prefix="/payments/{payment}/approval", tags=["payments"]))
    app.include_router(reset.router(prefix="/reset", dependencies=[Depends(no_robots)]))
    add_exception_handlers(app)

    @app.post("/payments/{payment}")
    async def pay(
        payment: int, verified: Annotated[Verified, Depends(payment.fresh_proof(max_age=30))]
    ) -> str:
        return verified.phone

    @app.post("/reset/password")
    async def new_password(
        password: str, proof: Annotated[Proof, Depends(reset.held_proof())]
    ) -> str:
        if len(password) < 8:
            raise HTTPException(422, "Too short.")
        return (await proof.redeem()).phone

    app.dependency_overrides[get_verifier] = lambda: verifiers["sends"]
    return TestClient(app, base_url="https://testserver")


async def no_robots(x_robot: Annotated[str, Header()] = "") -> None:
    if x_robot:
        raise HTTPException(418)


def verifiers(outbox: OutboxSender) -> dict[str, AsyncVerifier]:
    """One that sends, and one that cannot, with the same store and secret."""
    store = MemoryStore()
    return {
        name: AsyncVerifier(sender, store=store, secret=OTHER_SECRET, hasher=QUICK)
        for name, sender in (("sends", outbox), ("redeems", OutboxSender()))
    }


def test_its_routes_and_dependencies_share_the_recipient(outbox: OutboxSender) -> None:
    client = application(outbox, **verifiers(outbox))
    assert client.post("/payments/25/approval/start", json={}).status_code == 202
    assert "25.00 EUR" in outbox.messages[-1].text
    checked = client.post("/payments/25/approval/check", json={"code": outbox.code()})
    assert checked.json()["state"] == "verified"
    refused = client.post("/payments/9999")
    assert (refused.status_code, refused.json()["purpose"]) == (403, "payment")
    assert client.post("/payments/25").json() == PHONE
    assert client.post("/payments/25").status_code == 403


def test_a_proof_that_is_too_old_is_refused(
    outbox: OutboxSender, clock: FrozenDateTimeFactory
) -> None:
    client = application(outbox, **verifiers(outbox))
    client.post("/payments/25/approval/start", json={})
    client.post("/payments/25/approval/check", json={"code": outbox.code()})
    clock.tick(31)
    assert client.post("/payments/25").status_code == 403


def test_its_routes_and_dependencies_share_session_and_purpose(outbox: OutboxSender) -> None:
    client = application(outbox, **verifiers(outbox))
    robot = client.post("/reset/start", json={"phone": PHONE}, headers={"X-Robot": "1"})
    assert robot.status_code == 418
    replies = [client.post("/reset/start", json={"phone": phone}) for phone in ("+1202", PHONE)]
    assert replies[0].json()["detail"].startswith("<")
    assert len(outbox.messages) == 1
    token = {"Otp-Flow": replies[1].headers["Otp-Flow"]}
    right = client.post("/reset/check", json={"code": outbox.code()}, headers=token)
    token = {"Otp-Flow": right.headers["Otp-Flow"]}
    assert client.post("/reset/password?password=long+enough").status_code == 403
    short = client.post("/reset/password?password=short", headers=token)
    assert short.status_code == 422
    done = client.post("/reset/password?password=long+enough", headers=token)
    assert done.json() == PHONE
    operation = client.get("/openapi.json").json()["paths"]["/reset/start"]["post"]
    assert operation["operationId"] == "reset_start"


def test_the_verifier_of_proofs_may_be_another(outbox: OutboxSender) -> None:
    """The proof is for the store that `proof_verifier` reads."""
    made = verifiers(outbox)
    made["redeems"] = AsyncVerifier(OutboxSender(), secret=OTHER_SECRET, hasher=QUICK)
    client = application(outbox, **made)
    started = client.post("/reset/start", json={"phone": PHONE})
    token = {"Otp-Flow": started.headers["Otp-Flow"]}
    right = client.post("/reset/check", json={"code": outbox.code()}, headers=token)
    token = {"Otp-Flow": right.headers["Otp-Flow"]}
    assert client.post("/reset/password?password=long+enough", headers=token).status_code == 403


def test_a_purpose_that_is_not_a_text_is_refused_where_it_is_made() -> None:
    with pytest.raises(ConfigurationError):
        OtpFlow(5)  # type: ignore[arg-type]  # what it refuses


def test_it_shows_nothing_in_a_repr() -> None:
    assert repr(OtpFlow("payment", session=FlowTokens(SECRET))) == "OtpFlow('payment')"


async def alice() -> str:
    return "alice"


async def nobody() -> None:
    return None


def test_a_phone_for_an_account_needs_the_account_everywhere(outbox: OutboxSender) -> None:
    client = TestClient(app := FastAPI(), base_url="https://testserver")
    app.add_middleware(SessionMiddleware, secret_key=SECRET)
    flow = OtpFlow("phone-enrolment", account=alice)
    app.include_router(flow.router())
    verifier = AsyncVerifier(outbox, hasher=QUICK)
    app.dependency_overrides[get_verifier] = lambda: verifier

    @app.get("/mine")
    async def mine(proof: Annotated[Proof, Depends(flow.held_proof())]) -> str:
        return proof.phone

    @app.get("/forgotten")
    async def forgotten(proof: Annotated[Proof, Depends(held_proof("phone-enrolment"))]) -> None:
        raise NotImplementedError

    @app.get("/nobody")
    async def of_nobody(
        proof: Annotated[Proof, Depends(held_proof("phone-enrolment", account=nobody))],
    ) -> None:
        raise NotImplementedError

    client.post("/start", json={"phone": "+1 202 555 0123"})
    client.post("/check", json={"code": outbox.code()})
    assert client.get("/mine").json() == "+12025550123"
    with pytest.raises(ConfigurationError, match="account="):
        client.get("/forgotten")
    with pytest.raises(ConfigurationError, match="account's id"):
        client.get("/nobody")


@pytest.mark.parametrize("make", [OtpFlow, otp_router, held_proof, fresh_proof])
def test_a_recipient_and_an_account_do_not_fit_together(make: Any) -> None:
    with pytest.raises(ConfigurationError, match="not both"):
        make("phone-enrolment", recipient=paying, account=alice)
