"""Phone confirmation on plain WSGI, on the sandbox: a framework of your own needs no more.

Run it: python examples/wsgi_app/main.py
"""

import secrets
from collections.abc import Iterable
from html import escape
from http.cookies import SimpleCookie
from typing import Any
from urllib.parse import parse_qs
from wsgiref.simple_server import make_server
from wsgiref.types import StartResponse, WSGIEnvironment

from otpverify import Verifier
from otpverify.integrations.web import run_sync
from otpverify.integrations.web.flow import Flow
from otpverify.integrations.web.languages import page_language, translated
from otpverify.integrations.web.outcome import Page
from otpverify.integrations.web.requests import LARGEST_REPORT, client_address, take_report
from otpverify.sandbox import Sandbox

FORM = "<form method=post action=/{0}><input name={0} autofocus><button>Continue</button></form>"
RESEND = "<form method=post action=/resend><button>Resend code</button></form>"
FIRST = "<h1>Confirm your phone</h1>" + FORM.format("phone")
CODE = "<h1>Enter the code</h1>" + FORM.format("code") + RESEND
PATHS = {Page.FIRST: "/", Page.CODE: "/code", Page.NEXT: "/done"}


class App:
    """The application. Sessions are on the server; their cookie is `SameSite=Lax`, so that no
    other site can send the forms."""

    def __init__(self, verifier: Verifier) -> None:
        self.verifier = verifier
        self.sessions: dict[str, dict[str, Any]] = {}

    def __call__(self, environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        path, method = environ["PATH_INFO"], environ["REQUEST_METHOD"]
        length = min(int(environ.get("CONTENT_LENGTH") or 0), LARGEST_REPORT)
        body = environ["wsgi.input"].read(length)
        if path == "/sms/report":  # called by the gateway
            query, kind = environ["QUERY_STRING"], environ.get("CONTENT_TYPE", "")
            given = {"method": method, "query": query, "body": body, "content_type": kind}
            status, text = run_sync(take_report(self.verifier, **given))
            start(f"{status} {text}", [("Content-Type", "text/plain")])
            return [text.encode()]
        cookie = SimpleCookie(environ.get("HTTP_COOKIE", "")).get("id")
        key = cookie.value if cookie and cookie.value in self.sessions else secrets.token_hex()
        session = self.sessions.setdefault(key, {})
        client_ip = client_address(environ.get("REMOTE_ADDR"))
        tag = page_language(environ.get("HTTP_ACCEPT_LANGUAGE"))
        flow = Flow(self.verifier, session, purpose="phone", client_ip=client_ip, locale=tag)
        headers = [("Content-Type", "text/html; charset=utf-8"), ("Cache-Control", "no-store")]
        headers += [("Set-Cookie", f"id={key}; HttpOnly; SameSite=Lax; Path=/")]
        if method == "POST":
            form = {k: v[0] for k, v in parse_qs(body.decode(errors="replace")).items()}
            posts = {"/phone": lambda: flow.start(form.get("phone", "")), "/resend": flow.resend}
            outcome = run_sync(posts.get(path, lambda: flow.check(form.get("code", "")))())
            notice = outcome.notice
            session["notice"] = translated(notice.sentence, tag) if notice else ""
            start("303 See Other", [*headers, ("Location", PATHS[outcome.page])])
            return [b""]
        page = CODE if path == "/code" else FIRST
        if path == "/done" and (verified := run_sync(flow.redeem()).verified):
            page = f"<h1>Confirmed: {verified.phone}</h1>"  # once: save this number here
        start("200 OK", headers)
        return [f"<p role=alert>{escape(session.pop('notice', ''))}</p>{page}".encode()]


if __name__ == "__main__":
    with Sandbox() as sandbox, Verifier.from_env(sandbox.environ) as verifier:
        server = make_server("127.0.0.1", 0, App(verifier))  # on any free port
        print(
            f"Site:  http://127.0.0.1:{server.server_port}\nInbox: {sandbox.inbox_url}", flush=True
        )
        server.serve_forever()
