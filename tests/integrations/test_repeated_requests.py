"""A form or a request that is sent twice at once, with the same cookies or the same token, has the
result of one that is sent once, in every framework and in whatever order the replies arrive."""

from __future__ import annotations

from typing import Any

import pytest
from freezegun.api import FrozenDateTimeFactory
from support import wrong
from web_sites import (
    BUILT_IN,
    KNOWN,
    Seen,
    Site,
    fastapi_app,
    slow_in_long_form,
)

from otpverify.testing import OutboxSender


@pytest.fixture(scope="module", autouse=True)
def _built() -> None:
    fastapi_app()  # before the clock stands


class Twice:
    """A client that sends everything twice, and gets the replies in one order.

    Args:
        late: The reply to the first request arrives last.
    """

    def __init__(self, site: Site, *, late: bool) -> None:
        self.site, self.late = site, late

    def send(self, step: str, **fields: str) -> list[Seen]:
        """Both replies, in the order of the requests."""
        client: Any = self.site.client
        form = {} if self.site.programs else {**self.site.hidden(), **fields}
        data: dict[str, Any] = {"json": fields, "headers": self.site.headers}
        given = data if self.site.programs else {"data": form}
        cookies, token = list(client.cookies.jar), client.headers.get("otp-flow")
        replies, after = [], []
        for _ in range(2):
            self._hold(cookies, token)
            replies.append(self.site.ask("POST", self.site.steps[step], **given))
            after.append((list(client.cookies.jar), client.headers.get("otp-flow")))
        before = {cookie.name: cookie for cookie in cookies}
        now, newest = dict(before), token
        for jar, newer in after[::-1] if self.late else after:
            found = {cookie.name: cookie for cookie in jar}
            for name in {*before, *found}:  # a cookie that a reply does not name stays
                if name not in found:
                    now.pop(name, None)
                elif name not in before or found[name].value != before[name].value:
                    now[name] = found[name]
            newest = newer if newer != token else newest
        self._hold(now.values(), newest)
        if not self.site.programs:
            last = replies[0] if self.late else replies[1]
            assert last.status in (302, 303)
            while target := last.header("location"):  # on to where the flow is by now
                last = self.site.page(target)
            self.last = last
        return replies

    def _hold(self, cookies: Any, token: str | None) -> None:
        self.site.client.cookies.jar.clear()
        for cookie in cookies:
            self.site.client.cookies.jar.set_cookie(cookie)
        if token is not None:
            self.site.client.headers["otp-flow"] = token
        else:
            self.site.client.headers.pop("otp-flow", None)


@pytest.mark.parametrize("late", [False, True], ids=["in order", "crossed"])
@pytest.mark.parametrize("kind", slow_in_long_form(BUILT_IN), ids=lambda kind: kind.name)
def test_twice_is_as_good_as_once(
    kind: type[Site], late: bool, clock: FrozenDateTimeFactory
) -> None:
    outbox = OutboxSender()
    with kind(outbox) as site:
        twice = Twice(site, late=late)
        twice.send("start", phone=KNOWN)
        assert len(outbox) == 1
        assert '"pending"' in site.status().body
        twice.send("code", code=wrong(outbox.code()))
        assert '"pending"' in site.status().body
        clock.tick(61)
        twice.send("resend")
        assert len(outbox) == 2
        assert '"pending"' in site.status().body
        twice.send("code", code=outbox.code())
        assert f'"{site.ends}"' in site.status().body
        if not site.programs:
            assert "expired" not in twice.last.body
            after = "new password" if site.ends == "verified" else "signed in"
            assert after in twice.last.body.lower()
