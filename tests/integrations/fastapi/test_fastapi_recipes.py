"""The recipes of docs/how-to/fastapi.md do what the page says, also for people who mean harm."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import jwt
import pytest
from fastapi import FastAPI, Request
from support import OTHER_SECRET, QUICK, SECRET

from otpverify import AsyncVerifier, Policy
from otpverify.integrations.fastapi import get_verifier
from otpverify.integrations.web.enrolment import TAKEN
from otpverify.testing import OutboxSender

PAGE = (Path(__file__).parents[3] / "docs/how-to/fastapi.md").read_text()
PHONE, OTHER_PHONE = "+12025550123", "+12025550124"
POLICY = Policy(resend_cooldown_seconds=0)

Test = Callable[[httpx2.AsyncClient], Awaitable[None]]


def recipe(title: str) -> str:
    """The Python block below this heading."""
    (section,) = re.findall(rf"^## {title}\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL)
    (block,) = re.findall(r"^```python\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)
    return str(block)


def run(block: str) -> dict[str, Any]:
    names: dict[str, Any] = {"__name__": "a_recipe"}
    exec(compile(block, "docs/how-to/fastapi.md", "exec", dont_inherit=True), names)
    return names


def browser(app: FastAPI) -> httpx2.AsyncClient:
    return httpx2.AsyncClient(
        transport=httpx2.ASGITransport(app=app), base_url="https://testserver"
    )


async def enter_code(client: httpx2.AsyncClient, outbox: OutboxSender, phone: str) -> None:
    """Ask for a code and enter it."""
    sent = len(outbox.messages)
    started = await client.post("/sign-in/start", json={"phone": phone})
    assert (started.status_code, len(outbox.messages)) == (202, sent + 1), started.text
    checked = await client.post("/sign-in/check", json={"code": outbox.code()})
    assert checked.json()["state"] == "verified"


class Shop:
    """The application of the recipe for sign-in by phone."""

    def __init__(self, names: dict[str, Any]) -> None:
        self.names = names
        self.outbox = OutboxSender()
        self.verifier = AsyncVerifier(
            self.outbox, hasher=QUICK, policy=POLICY, fraud=names["FRAUD"]
        )
        self.app: FastAPI = names["app"]
        self.app.dependency_overrides[get_verifier] = lambda: self.verifier

    async def users(self) -> list[Any]:
        async with self.names["new_session"]() as db:
            return list(await db.scalars(self.names["select"](self.names["User"])))

    async def add(self, **fields: Any) -> None:
        async with self.names["new_session"]() as db:
            db.add(self.names["User"](**fields))
            await db.commit()


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Opens the shop, for one event loop."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OTPVERIFY_SECRET", SECRET)

    @asynccontextmanager
    async def opened(*, sign_up: bool = True, more: str = "") -> AsyncIterator[Shop]:
        block = recipe("Sign in or up by phone")
        assert block.count("SIGN_UP = True") == 1
        block = block.replace("sign_up=SIGN_UP,", f"sign_up=SIGN_UP, {more}")
        names = run(block.replace("SIGN_UP = True", f"SIGN_UP = {sign_up}"))
        async with names["engine"].begin() as connection:
            await connection.run_sync(names["Base"].metadata.create_all)
        try:
            yield Shop(names)
        finally:
            await names["engine"].dispose()

    return opened


def test_a_new_number_gets_an_account_and_is_known_the_next_time(shop: Any) -> None:
    async def scenario() -> None:
        async with shop() as the, browser(the.app) as client:
            assert (await client.post("/sign-in/done", json={})).status_code == 403
            await enter_code(client, the.outbox, PHONE)
            assert (await client.post("/sign-in/done", json={})).json() == {"step": "sign_up"}
            assert await the.users() == []
            done = await client.post("/sign-in/done", json={"name": "Anna"})
            assert done.json() == {"step": "signed_in"}
            assert [(user.phone, user.name) for user in await the.users()] == [(PHONE, "Anna")]
            again = await client.post("/sign-in/done", json={"name": "Berta"})
            assert (again.status_code, again.json()["purpose"]) == (403, "sign-in")
            async with browser(the.app) as other:
                await enter_code(other, the.outbox, PHONE)
                assert (await other.post("/sign-in/done", json={})).json()["step"] == "signed_in"
            assert len(await the.users()) == 1

    asyncio.run(scenario())


@pytest.mark.parametrize("browsers", [1, 2], ids=["one proof", "two proofs"])
def test_requests_at_once_make_one_account(shop: Any, browsers: int) -> None:
    async def scenario() -> None:
        async with shop() as the, browser(the.app) as one, browser(the.app) as two:
            clients = [one, two][:browsers]
            for client in clients:
                await enter_code(client, the.outbox, PHONE)
            replies = await asyncio.gather(
                *(
                    client.post("/sign-in/done", json={"name": "Anna"})
                    for client in clients
                    for _ in range(4)
                )
            )
            signed_in = [reply for reply in replies if reply.status_code == 200]
            assert [reply.json()["step"] for reply in signed_in] == ["signed_in"] * browsers
            refused = {reply.status_code for reply in replies if reply not in signed_in}
            assert refused == {403}
            assert len(await the.users()) == 1

    asyncio.run(scenario())


def test_a_closed_account_is_refused_after_the_code(shop: Any) -> None:
    async def scenario() -> None:
        async with shop() as the, browser(the.app) as client:
            await the.add(phone=PHONE, name="Anna", active=False)
            await enter_code(client, the.outbox, PHONE)
            for details in ({}, {"name": "Berta"}):
                reply = await client.post("/sign-in/done", json=details)
                assert reply.status_code == 403
                assert reply.json()["type"].endswith(":sign-in-refused")
            assert [user.name for user in await the.users()] == ["Anna"]

    asyncio.run(scenario())


def test_an_old_account_may_be_held_up(shop: Any) -> None:
    """The proof stays, for the request that brings what the site asks for."""
    hold = 'hold=lambda user: None if details.name else "say your name",'

    async def scenario() -> None:
        async with shop(more=hold) as the, browser(the.app) as client:
            await the.add(phone=PHONE, name="Anna")
            await enter_code(client, the.outbox, PHONE)
            for _ in range(2):
                reply = await client.post("/sign-in/done", json={})
                assert reply.json() == {"step": "held"}
            reply = await client.post("/sign-in/done", json={"name": "Anna"})
            assert reply.json() == {"step": "signed_in"}

    asyncio.run(scenario())


def test_signing_in_again_leaves_nothing_of_the_one_before(shop: Any) -> None:
    """An attacker's session that somebody signs in to, or another account's, is not continued."""

    async def scenario() -> None:
        async with shop() as the, browser(the.app) as client:
            await enter_code(client, the.outbox, PHONE)
            before = dict(client.cookies)
            await client.post("/sign-in/done", json={"name": "Anna"})
            await enter_code(client, the.outbox, OTHER_PHONE)
            await client.post("/sign-in/done", json={"name": "Berta"})
            async with browser(the.app) as replayed:
                replayed.cookies.update(before)
                reply = await replayed.post("/sign-in/done", json={"name": "Mallory"})
                assert reply.status_code == 403
            assert [user.name for user in await the.users()] == ["Anna", "Berta"]

    asyncio.run(scenario())


def test_existing_accounts_only_is_concealed(shop: Any) -> None:
    async def scenario() -> None:
        async with shop(sign_up=False) as the:
            await the.add(phone=PHONE, name="Anna")
            replies = []
            for phone in (PHONE, OTHER_PHONE):
                async with browser(the.app) as client:
                    reply = await client.post("/sign-in/start", json={"phone": phone})
                    wrong = await client.post("/sign-in/check", json={"code": "000000"})
                    done = await client.post("/sign-in/done", json={"name": "Mallory"})
                    found = [one.json() for one in (reply, wrong, done)]
                    for one in found[:2]:
                        state = one.get("flow", one)
                        for name in ("expires_in", "resend_in"):
                            state.pop(name)
                    replies.append((reply.status_code, wrong.status_code, found))
            assert replies[0] == replies[1]
            assert [message.to for message in the.outbox.messages] == [PHONE]
            async with browser(the.app) as client:
                await enter_code(client, the.outbox, PHONE)
                done = await client.post("/sign-in/done", json={"name": "Mallory"})
                assert done.json() == {"step": "signed_in"}
            assert [user.name for user in await the.users()] == ["Anna"]

    asyncio.run(scenario())


def test_pumping_meets_a_human_check(shop: Any) -> None:
    async def scenario() -> None:
        async with shop() as the, browser(the.app) as client:
            replies = []
            for number in range(60):
                phone = {"phone": f"+372567800{number:02}"}
                replies.append(await client.post("/sign-in/start", json=phone))
                if replies[-1].status_code == 403:
                    break
            assert replies[-1].json()["type"].endswith(":human-check-required")
            again = await client.post(
                "/sign-in/start", json=phone, headers={"captcha-answer": "made up"}
            )
            assert again.status_code == 403

            async def passed(answer: str) -> bool:
                return answer == "right"

            the.names["passed"] = passed
            human = await client.post(
                "/sign-in/start", json=phone, headers={"captcha-answer": "right"}
            )
            assert human.status_code == 202

    asyncio.run(scenario())


# A password, then a code, without cookies.


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("OTPVERIFY_SECRET", SECRET)
    monkeypatch.setenv("JWT_SECRET", OTHER_SECRET)
    names = run(recipe("A password, then a code, without cookies"))
    outbox = OutboxSender()
    verifier = AsyncVerifier(outbox, hasher=QUICK, policy=POLICY)
    names["app"].dependency_overrides[get_verifier] = lambda: verifier
    names["ACCOUNTS"]["eve"] = ("evil", OTHER_PHONE)
    return names, outbox


class App:
    """A client that keeps its tokens."""

    def __init__(self, client: httpx2.AsyncClient) -> None:
        self.client = client
        self.headers: dict[str, str] = {}

    async def post(self, path: str, body: Any = None) -> httpx2.Response:
        reply = await self.client.post(path, json=body, headers=self.headers)
        if "Otp-Flow" in reply.headers:
            self.headers["Otp-Flow"] = reply.headers["Otp-Flow"]
        return reply

    async def password(self, user: str, password: str) -> httpx2.Response:
        reply = await self.post("/login", {"user": user, "password": password})
        if reply.status_code == 200:
            self.bear(reply)
        return reply

    def bear(self, reply: httpx2.Response) -> None:
        self.headers["Authorization"] = f"Bearer {reply.json()['token']}"


def with_app(app: FastAPI, scenario: Callable[[App], Awaitable[None]]) -> None:
    async def everything() -> None:
        async with browser(app) as client:
            await scenario(App(client))
            assert not client.cookies

    asyncio.run(everything())


def test_a_password_and_a_code_sign_in_without_a_cookie(api: Any) -> None:
    names, outbox = api

    async def scenario(app: App) -> None:
        assert (await app.post("/login/code/start", {})).status_code == 401
        assert (await app.password("anna", "wrong")).status_code == 401
        assert (await app.password("nobody", "")).status_code == 401
        assert (await app.password("anna", "open sesame")).status_code == 200
        assert (await app.client.get("/me", headers=app.headers)).status_code == 401
        assert (await app.post("/login/done")).status_code == 403
        assert (await app.post("/login/code/start", {})).status_code == 202
        assert [message.to for message in outbox.messages] == [PHONE]
        await app.post("/login/code/check", {"code": outbox.code()})
        done = await app.post("/login/done")
        assert done.status_code == 200
        assert (await app.post("/login/done")).status_code == 403, "a proof serves once"
        app.bear(done)
        assert (await app.client.get("/me", headers=app.headers)).json() == "anna"
        assert (await app.post("/login/code/start", {})).status_code == 401, "another audience"

    with_app(names["app"], scenario)


def test_a_code_of_ones_own_does_not_sign_in_as_another(api: Any) -> None:
    names, outbox = api

    async def scenario(app: App) -> None:
        await app.password("eve", "evil")
        await app.post("/login/code/start", {})
        await app.post("/login/code/check", {"code": outbox.code()})
        await app.password("anna", "open sesame")  # she learned it; she has no phone of Anna's
        refused = await app.post("/login/done")
        assert (refused.status_code, refused.json()["type"][-14:]) == (403, "proof-required")

    with_app(names["app"], scenario)


@pytest.mark.parametrize(
    "claims",
    [
        {"sub": "anna", "aud": "shop"},
        {"sub": "anna", "aud": "shop", "exp": 1},
        {"sub": "anna", "exp": 4_000_000_000},
        {"aud": "shop", "exp": 4_000_000_000},
        {"sub": "anna", "aud": "second-factor", "exp": 4_000_000_000},
    ],
    ids=["for ever", "expired", "for nobody", "of nobody", "half"],
)
def test_a_token_that_lacks_something_is_not_accepted(api: Any, claims: dict[str, Any]) -> None:
    names, _ = api

    async def scenario(app: App) -> None:
        for secret, algorithm in ((OTHER_SECRET, "HS256"), ("", "none")):
            token = jwt.encode(claims, secret, algorithm)
            headers = {"Authorization": f"Bearer {token}"}
            assert (await app.client.get("/me", headers=headers)).status_code == 401

    with_app(names["app"], scenario)


def test_a_page_of_another_origin_reads_the_token(api: Any) -> None:
    names, _ = api
    origin = {"Origin": "https://shop.example"}

    async def scenario(app: App) -> None:
        asked = await app.client.options(
            "/login/code/start",
            headers={
                **origin,
                "Access-Control-Request-Method": "POST",
                "Access-Control-Request-Headers": "authorization,content-type,otp-flow",
            },
        )
        assert asked.status_code == 200
        await app.password("anna", "open sesame")
        reply = await app.client.post(
            "/login/code/start", json={}, headers={**app.headers, **origin}
        )
        exposed = reply.headers["Access-Control-Expose-Headers"].split(", ")
        assert {"Otp-Flow", "Retry-After"} <= set(exposed)
        assert reply.headers["Otp-Flow"]
        foreign = {**app.headers, "Origin": "https://evil.example"}
        reply = await app.client.post("/login/code/start", json={}, headers=foreign)
        assert "Access-Control-Allow-Origin" not in reply.headers

    with_app(names["app"], scenario)


# Add, change and remove the phone of an account.

NEW_PHONE = "+37256789045"
CURRENT, NEW, PATH = "/account/phone/current", "/account/phone/new", "/account/phone"


class Members:
    """The application of the recipe for the account's phone."""

    def __init__(self) -> None:
        names = run(recipe("Add, change and remove the phone of an account"))
        self.accounts: dict[str, Any] = names["ACCOUNTS"]
        self.outbox = OutboxSender()
        verifier = AsyncVerifier(self.outbox, hasher=QUICK, policy=POLICY)
        self.app: FastAPI = names["app"]
        self.app.dependency_overrides[get_verifier] = lambda: verifier

        async def sign_in_as(name: str, request: Request) -> None:
            request.session["user"] = name  # and keeps what was there before

        self.app.add_api_route("/as/{name}", sign_in_as, methods=["POST"])

    def phone(self, name: str = "anna") -> str | None:
        found: str | None = self.accounts[name].phone
        return found

    async def enter(self, client: httpx2.AsyncClient, prefix: str, phone: str = "") -> None:
        body = {"phone": phone} if phone else {}
        started = await client.post(f"{prefix}/start", json=body)
        assert started.status_code == 202, started.text
        code = self.outbox.code(phone) if phone else self.outbox.code()
        checked = await client.post(f"{prefix}/check", json={"code": code})
        assert checked.json()["state"] == "verified"


@pytest.fixture
def members(monkeypatch: pytest.MonkeyPatch) -> Members:
    monkeypatch.setenv("OTPVERIFY_SECRET", SECRET)
    return Members()


def as_member(members: Members, test: Test, name: str = "anna") -> None:
    async def walk() -> None:
        async with browser(members.app) as client:
            await client.post(f"/as/{name}")
            await test(client)

    asyncio.run(walk())


def problem(reply: httpx2.Response) -> tuple[int, str, str]:
    body = reply.json()
    return reply.status_code, body["type"].rpartition(":")[2], body.get("purpose", "")


def test_a_phone_is_added_changed_and_removed(members: Members) -> None:
    known = {"password": "open sesame"}

    async def test(client: httpx2.AsyncClient) -> None:
        needs_new = (403, "proof-required", "phone-enrolment")
        needs_old = (403, "proof-required", "phone-change")
        assert problem(await client.post(PATH, json=known)) == needs_new
        await members.enter(client, NEW, PHONE)
        assert members.phone() is None
        assert (await client.put(PATH)).status_code == 409, "there is none to change"
        wrong = await client.post(PATH, json={"password": "wrong"})
        assert problem(wrong) == (400, "incorrect-code", "")
        added = await client.post(PATH, json=known)
        assert (added.status_code, members.phone()) == (200, PHONE), "the proof was not lost"
        assert problem(await client.put(PATH)) == needs_old

        await members.enter(client, NEW, NEW_PHONE)
        assert problem(await client.put(PATH)) == needs_old
        await members.enter(client, CURRENT)
        assert (await client.put(PATH)).json() == members.phone() == NEW_PHONE
        assert members.outbox.messages[-1].to == PHONE, "the old number is notified"
        assert problem(await client.put(PATH)) == needs_old, "one change"

        assert problem(await client.delete(PATH)) == needs_old
        await members.enter(client, CURRENT)
        assert (await client.delete(PATH)).status_code == 200
        assert members.phone() is None

    as_member(members, test)


def test_strangers_get_nowhere(members: Members) -> None:
    async def test(client: httpx2.AsyncClient) -> None:
        for prefix in (CURRENT, NEW):
            for route in ("start", "resend", "check", "cancel"):
                body = {"phone": PHONE, "code": "123456"}
                assert (await client.post(f"{prefix}/{route}", json=body)).status_code == 401
        for method in ("POST", "PUT", "DELETE"):
            reply = await client.request(method, PATH, json={"password": "open sesame"})
            assert reply.status_code == 401
        assert not members.outbox.messages

    as_member(members, test, "a stranger")


@pytest.mark.parametrize("checked", [False, True], ids=["a challenge", "a proof"])
def test_another_account_cannot_go_on(members: Members, checked: bool) -> None:
    """The session stays, and the person who is signed in is another one."""

    async def test(client: httpx2.AsyncClient) -> None:
        await client.post(f"{NEW}/start", json={"phone": PHONE})
        code = {"code": members.outbox.code()}
        if checked:
            await client.post(f"{NEW}/check", json=code)
        await client.post("/as/bob")
        assert (await client.get(f"{NEW}/status")).json()["state"] == "none"
        assert problem(await client.post(f"{NEW}/check", json=code))[:2] == (
            410,
            "challenge-expired",
        )
        refused = await client.post(PATH, json={"password": "please"})
        assert problem(refused)[1] == "proof-required"
        assert members.phone("bob") is None
        await client.post("/as/anna")
        assert (await client.post(f"{NEW}/check", json=code)).json()["state"] == "verified"

    as_member(members, test)


def test_a_number_of_another_account(members: Members) -> None:
    members.accounts["bob"].phone = PHONE

    async def test(client: httpx2.AsyncClient) -> None:
        await members.enter(client, NEW, PHONE)
        taken = await client.post(PATH, json={"password": "open sesame"})
        assert (taken.status_code, taken.json()["detail"]) == (409, str(TAKEN))
        assert members.phone() is None

    as_member(members, test)


def test_passwords_cannot_be_guessed(members: Members) -> None:
    async def test(client: httpx2.AsyncClient) -> None:
        await members.enter(client, NEW, PHONE)
        for _ in range(5):
            await client.post(PATH, json={"password": "wrong"})
        right = await client.post(PATH, json={"password": "open sesame"})
        assert problem(right)[:2] == (429, "rate-limited")
        assert members.phone() is None

    as_member(members, test)


def test_the_phone_changes_in_another_session_meanwhile(members: Members) -> None:
    members.accounts["anna"].phone = PHONE

    async def test(client: httpx2.AsyncClient) -> None:
        await members.enter(client, CURRENT)
        await members.enter(client, NEW, NEW_PHONE)
        members.accounts["anna"].phone = OTHER_PHONE
        assert problem(await client.put(PATH))[:2] == (403, "proof-required")
        assert members.phone() == OTHER_PHONE

    as_member(members, test)
