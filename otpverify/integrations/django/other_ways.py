"""Other ways to pass a code's page than the code by SMS: backup codes, and what the site offers,
such as TOTP or a passkey."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any, ClassVar
from urllib.parse import urlencode

from django import forms
from django.http import HttpResponseBase, HttpResponseRedirect

from otpverify import ChallengeExpired, OtpVerifyError
from otpverify.integrations.django import accounts, api, backup_codes, requests, session
from otpverify.integrations.django.account_notices import notify
from otpverify.integrations.django.base import FlowView
from otpverify.integrations.django.requests import lazy_text as _
from otpverify.integrations.web.account_notices import AccountChange
from otpverify.integrations.web.backup_codes import WAY
from otpverify.integrations.web.notices import Carried, Notice
from otpverify.integrations.web.other_ways import (
    OtherWay,
    available_ways,
    check_answer,
    check_ways,
    listed_ways,
)
from otpverify.integrations.web.outcome import Outcome, Page
from otpverify.integrations.web.problems import explained
from otpverify.integrations.web.sentences import LONGEST_FIELD
from otpverify.integrations.web.session import save_end


class AnswerForm(forms.Form):
    """Asks for what a way needs, such as a backup code."""

    code: forms.CharField = forms.CharField(
        max_length=LONGEST_FIELD,
        widget=forms.TextInput(
            attrs={"autocomplete": "off", "autocapitalize": "none", "spellcheck": "false"}
        ),
    )

    def __init__(self, *args: Any, way: OtherWay, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["code"].label = requests.say(way.field)
        self.fields["code"].widget.attrs["autofocus"] = True


class OtherWaysFlow(FlowView):
    """A flow whose code's page offers other ways, once the person's password was right. Attempts at
    them are counted in the verifier's store, for each account."""

    pages: ClassVar[dict[str, str]] = {**FlowView.pages, "other": "other/"}
    titles: ClassVar[dict[str, Any]] = {**FlowView.titles, "other": _("Enter the code")}
    hooks: ClassVar[tuple[str, ...]] = (*FlowView.hooks, "other_ways", "way_passed")
    other_template_name = "otpverify/other_way.html"

    def other_ways(self, user: Any) -> Sequence[OtherWay]:
        """The ways that this user may take instead of a code by SMS. Backup codes, where the app
        `otpverify.integrations.django.second_factor` is installed and the user has some."""
        return backup_codes.ways(self.web_flow.verifier)

    async def account_of_way(self) -> Any:
        """The user who may take another way now; `None` if there is none."""
        raise NotImplementedError

    def way_passed(self, way: str) -> HttpResponseBase:
        """Answer a right answer. It is called once.

        Args:
            way: The name of the way.
        """
        raise NotImplementedError

    async def ways_of(self, user: Any) -> list[OtherWay]:
        """The ways that a user has."""
        if user is None:
            return []
        ways = check_ways(await self.call(self.other_ways, user))
        if self.view_is_async:
            ways = tuple(map(self._in_threads, ways))
        return await available_ways(ways, accounts.key(user))

    def _in_threads(self, way: OtherWay) -> OtherWay:
        """The way, whose functions an event loop may wait for: they may use the database."""
        check, available = (
            None if function is None else partial(self.call, function)
            for function in (way.check, way.available)
        )
        return replace(way, check=check, available=available)

    def address_of(self, way: OtherWay) -> str:
        """The page of a way."""
        return way.address or f"{self.address('other')}?{urlencode({'way': way.name})}"

    async def get_code(self) -> HttpResponseBase:
        """See `FlowView`."""
        self.ways: list[OtherWay] = await self.ways_of(await self.account_of_way())
        return await super().get_code()

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        """See `FormMixin`; with the links to other ways."""
        links = [
            {"text": requests.say(way.label), "url": self.address_of(way)}
            for way in getattr(self, "ways", ())
        ]
        return super().get_context_data(**kwargs, ways=links)

    async def _show(self) -> HttpResponseBase:
        if self.wants_json and self.step == "other":
            return await self._list()
        return await super()._show()

    async def _list(self) -> HttpResponseBase:
        """The flow's state and the ways, for programs. It sets no session, as `get_status`."""
        ways = await self.ways_of(await self.account_of_way())
        listed = listed_ways(ways, requests.say, self.address_of)
        response = api.respond(await self.web_flow.status(), ways=listed)
        session.leave_session(self.request, response)
        return response

    async def get_other(self) -> HttpResponseBase:
        """The form for the answer."""
        carried = self.carried("other")
        if (gone := await self.gone_on(carried)) is not None:
            return gone
        ways = await self.ways_of(await self.account_of_way())
        typed = [way.name for way in ways if way.check is not None]
        way = _named(ways, self.request.GET.get("way", next(iter(typed), None)))
        if way is None:
            return self.go("code")
        self.ways = [one for one in ways if one.name != way.name]
        return await self.reply(self._other_page, way, AnswerForm(way=way), carried)

    def _other_page(
        self, way: OtherWay, form: AnswerForm, carried: Carried | None = None
    ) -> HttpResponseBase:
        context = {"way": way.name, "pending": self.web_flow.entry}
        return self.render_form([self.other_template_name], form, carried, **context)

    async def post_other(self) -> HttpResponseBase:
        """Judge an answer."""
        user = await self.account_of_way()
        ways = await self.ways_of(user)
        way = _named(ways, self.data.get("way"))
        if user is None or way is None:
            if await self.finished() is not None:  # this request repeats one that was right
                return await self.go_next()
            return self.refuse(ChallengeExpired())
        form = AnswerForm(self.data, way=way)
        if not form.is_valid():
            if self.wants_json:
                return api.invalid(form, self.web_flow.entry)
            self.ways = [one for one in ways if one.name != way.name]
            return await self.reply(self._other_page, way, form)
        try:
            verifier, answer = self.web_flow.verifier, form.cleaned_data["code"]
            await check_answer(verifier, way, accounts.key(user), answer)
        except OtpVerifyError as error:
            failure = explained(error)
            await self.refused(failure, user)
            return self._not_passed(failure, way)
        phone = await self.call(requests.get_phone, user)
        response: HttpResponseBase = await self.call(self.way_passed, way.name)
        if way.name == WAY:
            await notify(self, user, AccountChange.BACKUP_CODE_USED, phone)
        record = {"next": getattr(response, "url", None), "at": time.time()}
        save_end(self.request.session, self.purpose, record)
        return api.succeeded(Outcome(Page.NEXT), response) if self.wants_json else response

    def _not_passed(self, error: OtpVerifyError, way: OtherWay) -> HttpResponseBase:
        if self.wants_json:
            return self.refuse(error)
        return self.to_way(way, Notice.of(error))

    def to_way(self, way: OtherWay, notice: Notice | None = None) -> HttpResponseBase:
        """Redirect to the page of a way, which shows a notice if it is one of these pages."""
        response = HttpResponseRedirect(self.address_of(way))
        if notice is not None and not way.address:
            self._carry(response, "other", Carried(notice))
        return response


def _named(ways: Sequence[OtherWay], name: object) -> OtherWay | None:
    """The way of this name whose answer is typed."""
    return next((way for way in ways if way.check is not None and way.name == name), None)
