"""What every page needs: the form's token, one-time notices, redirects and headers."""

from __future__ import annotations

import hmac
import secrets
from pathlib import Path
from typing import Any

from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.templating import Jinja2Templates
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from otpverify.demo.session import session_of

HERE = Path(__file__).parent
_LONGEST_FIELD = 256
templates = Jinja2Templates(directory=HERE / "templates")


def page(request: Request, template: str, **context: Any) -> Response:
    """A page, with the form's token and the notice that waits for it, if any."""
    return bare_page(
        request, template, csrf=csrf_token(request), notice=_take_notice(request), **context
    )


def bare_page(request: Request, template: str, *, status: int = 200, **context: Any) -> Response:
    """A page without forms, which needs no session."""
    found = {"notice": {}, "inbox_url": request.app.state.inbox_url, **context}
    return templates.TemplateResponse(request, template, found, status_code=status)


def go(request: Request, path: str, **notice: str) -> Response:
    """Redirect after a POST. `notice` is shown there once: `error=` beside the field,
    `trouble=` or `info=` above the form, fields to fill in again, and `wait=`, the seconds
    until the form may be sent again, which its sentence has as `after=`."""
    if notice:
        session_of(request).put(f"notice {path}", notice)
    return RedirectResponse(path, status_code=303)


async def read_form(request: Request) -> dict[str, str]:
    """The form's text fields.

    Raises:
        HTTPException: 403, since the form's token is missing or not this session's.
    """
    form = await request.form(max_files=0, max_fields=16)
    fields = {k: v[:_LONGEST_FIELD] for k, v in form.items() if isinstance(v, str)}
    expected = str(session_of(request).get("csrf") or "")
    given = fields.pop("csrf", "")
    if not expected or not hmac.compare_digest(given.encode(), expected.encode()):
        raise HTTPException(403)
    return fields


def csrf_token(request: Request) -> str:
    """This session's token, the same in all its forms."""
    return str(
        session_of(request).change("csrf", str, lambda kept: kept or secrets.token_urlsafe(24))
    )


def client_ip(request: Request) -> str | None:
    """The address of whoever is connected; no header is believed."""
    return request.client.host if request.client else None


def _take_notice(request: Request) -> dict[str, str]:
    notice = session_of(request).pop(f"notice {request.url.path}")
    return notice if isinstance(notice, dict) else {}


class SecurityHeaders:
    """Adds to every reply: no foreign content, no framing, no caching of pages."""

    def __init__(self, app: ASGIApp, *, frame_origin: str) -> None:
        self._app = app
        self._headers = {
            "Content-Security-Policy": (
                "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
                f"frame-src {frame_origin}; form-action 'self'; base-uri 'none'; "
                "frame-ancestors 'none'"
            ),
            "Referrer-Policy": "no-referrer",
            "X-Content-Type-Options": "nosniff",
            "X-Frame-Options": "DENY",
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.update(self._headers)
                if not scope["path"].startswith("/static/"):
                    headers["Cache-Control"] = "no-store"
            await send(message)

        await self._app(scope, receive, send_with_headers)
