"""One-time codes in FastAPI: a router for each flow, dependencies for routes that need its proof,
problem details for errors.

    app = FastAPI(lifespan=otp_lifespan())
    app.add_middleware(SessionMiddleware, secret_key=..., https_only=True)
    add_exception_handlers(app)
    flow = OtpFlow("phone")
    app.include_router(flow.router(prefix="/phone"))

    @app.put("/account/phone")
    async def set_phone(verified: Annotated[Verified, Depends(flow.fresh_proof())]) -> str: ...

It needs the extra `fastapi`.
"""

from otpverify.errors import needs_extra

with needs_extra("fastapi", "The FastAPI integration"):
    from otpverify.integrations.fastapi.dependencies import (
        FlowTokens,
        Proof,
        TypedPhone,
        cookie_session,
        fresh_proof,
        get_background_verifier,
        get_client_ip,
        get_locale,
        get_verifier,
        held_proof,
        otp_lifespan,
    )
    from otpverify.integrations.fastapi.models import FlowState
    from otpverify.integrations.fastapi.openapi import proof_responses
    from otpverify.integrations.fastapi.responses import ProofRequired, add_exception_handlers
    from otpverify.integrations.fastapi.router import OtpFlow, otp_router, report_router
    from otpverify.integrations.web.problems import SignInRefused
    from otpverify.integrations.web.session import Recipient, forget_flows
    from otpverify.integrations.web.sign_in import SignedIn

__all__ = [
    "FlowState",
    "FlowTokens",
    "OtpFlow",
    "Proof",
    "ProofRequired",
    "Recipient",
    "SignInRefused",
    "SignedIn",
    "TypedPhone",
    "add_exception_handlers",
    "cookie_session",
    "forget_flows",
    "fresh_proof",
    "get_background_verifier",
    "get_client_ip",
    "get_locale",
    "get_verifier",
    "held_proof",
    "otp_lifespan",
    "otp_router",
    "proof_responses",
    "report_router",
]
