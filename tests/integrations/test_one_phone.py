"""One phone that resets the password and is the second factor: the reset's hooks refuse it in every
framework, and nothing shows that they did (OWASP ASVS 5.0, 6.3.4 and 6.4.3)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Annotated, Any

import django_site
import httpx2
import pytest
from fastapi import Depends, FastAPI, HTTPException
from freezegun.api import FrozenDateTimeFactory
from starlette.middleware.sessions import SessionMiddleware
from support import SECRET
from web_sites import (
    KNOWN,
    STRANGER,
    DjangoAsyncPages,
    DjangoJson,
    DjangoPages,
    FastApi,
    FlaskJson,
    FlaskPages,
    Site,
    comparable,
    fastapi_app,
    on_asgi,
    without_tokens,
)

from otpverify import AsyncVerifier
from otpverify.integrations.fastapi import (
    Proof,
    TypedPhone,
    get_verifier,
    held_proof,
    otp_router,
)
from otpverify.testing import OutboxSender

django_site.set_up()

from django.contrib.auth import get_user_model  # noqa: E402 - the settings come first
from django.test import override_settings  # noqa: E402
from django_support import BASE  # noqa: E402

factors: set[str] = set()
"""The phones that are a second factor."""


def may_reset(phone: str) -> bool:
    return phone == KNOWN and phone not in factors


class FlaskRefuses(FlaskPages):
    def mount(self) -> None:
        super().mount()
        self.otp.find_accounts(lambda phone: "7" if may_reset(phone) else None)
        self.done: list[str] = []
        self.otp.set_password(lambda _account, password: self.done.append(password))


class FlaskJsonRefuses(FlaskJson):
    def mount(self) -> None:
        blueprint = self.otp.json_blueprint("enter", deliver=may_reset)
        self.app.register_blueprint(blueprint, url_prefix="/otp")


def find_users(phone: str) -> Any:
    users: Any = get_user_model().objects
    return users.get(username="ann") if may_reset(phone) else None


class DjangoRefuses(DjangoPages):
    def open(self, opened: ExitStack) -> httpx2.Client:
        client = super().open(opened)
        options = {key.upper(): value for key, value in self.parts.items()}
        setting = {**BASE, **options, "SENDER": self.sender, "DELIVER_IN_BACKGROUND": False}
        opened.enter_context(override_settings(OTPVERIFY={**setting, "FIND_USERS": find_users}))
        return client


class AsyncDjangoRefuses(DjangoRefuses, DjangoAsyncPages):
    name = "django async pages"


class DjangoJsonRefuses(DjangoRefuses, DjangoJson):
    name = "django sync json"


async def has_reset(phone: TypedPhone) -> bool:
    return may_reset(phone)


class FastApiRefuses(FastApi):
    def open(self, opened: ExitStack) -> httpx2.Client:
        app = FastAPI()
        app.add_middleware(SessionMiddleware, secret_key=SECRET)
        app.include_router(otp_router("reset", deliver=has_reset), prefix="/cookie")
        self.done: list[str] = []

        async def set_password(proof: Proof) -> None:
            if not may_reset(proof.phone):  # it became a second factor after the code
                raise HTTPException(403)
            self.done.append((await proof.redeem()).phone)

        set_password.__annotations__["proof"] = Annotated[Proof, Depends(held_proof("reset"))]
        app.post("/password")(set_password)
        verifier = AsyncVerifier(self.sender, **self.parts)
        app.dependency_overrides[get_verifier] = lambda: verifier
        return on_asgi(app)


KINDS: list[type[Site]] = [
    FlaskRefuses,
    FlaskJsonRefuses,
    DjangoRefuses,
    AsyncDjangoRefuses,
    DjangoJsonRefuses,
    FastApiRefuses,
]


@pytest.fixture(scope="module", autouse=True)
def _built() -> None:
    fastapi_app()  # before the clock stands


@pytest.fixture(autouse=True)
def _none() -> Iterator[None]:
    yield
    factors.clear()


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_a_refused_reset_looks_like_any_other(
    kind: type[Site], clock: FrozenDateTimeFactory
) -> None:
    began = clock.time_to_freeze
    seen: list[list[str]] = []
    for phone in (KNOWN, STRANGER):
        clock.move_to(began)
        outbox = OutboxSender()
        with kind(outbox) as site:
            factors.add(KNOWN)
            replies = site.send("start", phone=phone)
            replies += site.send("code", code="000000")
            clock.tick(61)
            replies += [*site.send("resend"), site.status()]
        assert len(outbox) == 0, "no message is sent"
        seen.append([without_tokens(comparable(site, reply, phone)) for reply in replies])
    assert seen[0] == seen[1]
    factors.clear()
    outbox = OutboxSender()
    with kind(outbox) as site:
        site.send("start", phone=KNOWN)
    assert len(outbox) == 1, "without the second factor it may be reset"


def flask_sets(site: Any) -> bool:
    site.ask("POST", "/account/reset/password", data={**site.hidden(), "password": "open sesame"})
    return bool(site.done)


def django_sets(site: Any) -> bool:
    fields = {f"new_password{nth}": "another sesame, open" for nth in (1, 2)}
    given = {"json": fields} if site.programs else {"data": {**site.hidden(), **fields}}
    site.ask("POST", "/reset/password/", headers=site.headers, **given)
    users: Any = get_user_model().objects
    return bool(users.get(username="ann").check_password("another sesame, open"))


def fastapi_sets(site: Any) -> bool:
    site.ask("POST", "/password")
    return bool(site.done)


@pytest.mark.parametrize("refused", [True, False])
@pytest.mark.parametrize(
    ("kind", "sets"),
    [
        (FlaskRefuses, flask_sets),
        (DjangoRefuses, django_sets),
        (AsyncDjangoRefuses, django_sets),
        (DjangoJsonRefuses, django_sets),
        (FastApiRefuses, fastapi_sets),
    ],
)
def test_a_phone_that_becomes_the_second_factor_in_between(
    kind: type[Site], sets: Callable[[Site], bool], refused: bool
) -> None:
    outbox = OutboxSender()
    with kind(outbox) as site:
        site.send("start", phone=KNOWN)
        site.send("code", code=outbox.code())
        assert re.search("verified", site.status().body)
        if refused:
            factors.add(KNOWN)
        assert sets(site) is not refused
