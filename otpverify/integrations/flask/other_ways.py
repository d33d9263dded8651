"""Flows whose code's page offers other ways, once the password was right: the login, and the proof
before a phone changes."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from flask import redirect, request
from werkzeug.wrappers import Response

from otpverify import ChallengeExpired, OtpVerifyError
from otpverify.integrations.flask import api, pages
from otpverify.integrations.flask.flows import Begun, FlowPages
from otpverify.integrations.flask.second_factor import SecondFactor
from otpverify.integrations.flask.site import Site
from otpverify.integrations.web import run_sync, sentences
from otpverify.integrations.web.account_notices import AccountChange
from otpverify.integrations.web.backup_codes import WAY as BACKUP_CODE
from otpverify.integrations.web.notices import Carried, Notice
from otpverify.integrations.web.other_ways import (
    OtherWay,
    check_answer,
    is_code_refused,
    listed_ways,
)
from otpverify.integrations.web.outcome import Outcome, Page
from otpverify.integrations.web.problems import explained
from otpverify.integrations.web.session import Recipient


class OtherWaysFlow(FlowPages):
    """A flow with the page `other`. Attempts are counted in the verifier's store, for each
    account."""

    programs = True

    def __init__(self, site: Site, blueprint: str = "") -> None:
        super().__init__(site, blueprint)
        self.second: SecondFactor = SecondFactor(site)

    @abstractmethod
    def account_of_way(self) -> str | None:
        """The account that may take another way now: its password was right in this session."""

    @abstractmethod
    def pass_by_way(self, account: str) -> Response:
        """Answer after another way was right. The code that was sent is void."""

    def add_to(self, blueprint: Any) -> None:
        """Add all pages of the flow."""
        super().add_to(blueprint)
        self.add_page(blueprint, "other", self.other, "GET", "POST")

    def find(self, subject: str) -> Recipient | None:
        """The account, as long as its password counts as right in this session."""
        return self.site.recipient_of(subject) if self.account_of_way() == subject else None

    def send(self, begun: Begun) -> Response:
        """Send the first code. If it cannot be sent, offer the account's other ways.

        What follows is for the person who typed the password, so the session gets a new id. It
        keeps its id where a repeated request meets the cooldown, whose reply leaves the session
        alone."""
        outcome = run_sync(self.flow().start(begun.to, deliver=begun.deliver))
        others = is_code_refused(outcome) and bool(self.second.ways(begun.to.subject))
        if others or outcome.saved:
            pages.renew_id()
        if others and self.wants_json:
            return api.respond(outcome.reply(self.site.say))  # the session keeps the first step
        if others:
            return self.to("other", Carried(outcome.notice))
        return self.follow(outcome, begun.typed)

    def other(self) -> str | Response:
        """Another way than the code: choose it, and type its answer. Programs get the list."""
        account = self.account_of_way()
        if request.method == "POST":
            self.check_request()
        elif self.wants_json:
            return self._list(account)
        if account is None:
            found = self.finished()
            if found is not None:  # the request that this one repeats was right
                target = pages.safe_next(found.get("next"))
                return self.answer(Outcome(Page.NEXT), redirect(target or self.url("done"), 303))
            if self.wants_json:
                return self.refuse(ChallengeExpired())
            return self.to("first", Carried(Notice(sentences.NO_CHALLENGE, error=False)))
        ways = self.second.ways(account)
        chosen = self.data.get("way") if self.wants_json else request.args.get("way")
        name = chosen or (ways[0].name if len(ways) == 1 else "")
        way = next((one for one in ways if one.name == name), None)
        if request.method == "POST" and way is not None and way.check is not None:
            return self._judge(way, account)
        if self.wants_json:
            return self.refuse(ChallengeExpired())
        if way is not None and way.check is None:
            return redirect(way.address, 303)
        return self.show("other.html", self.carried("other"), "code", ways=ways, way=way)

    # For the templates.

    @property
    def ways(self) -> Sequence[OtherWay]:  # type: ignore[override]  # computed here, set elsewhere
        """The other ways of the account whose password was right."""
        account = self.account_of_way()
        return [] if account is None else self.second.ways(account)

    def _list(self, account: str | None) -> Response:
        """The flow's state and the ways, for programs. It sets no session, as `status`."""
        reply = run_sync(self.flow().status()).reply(self.site.say)
        ways = [] if account is None else self.second.ways(account)
        listed = listed_ways(ways, self.site.say, self._address)
        pages.leave_session()
        return api.respond(replace(reply, body={**reply.body, "ways": listed}))

    def _address(self, way: OtherWay) -> str:
        return way.address or self.url("other", way=way.name)

    def _judge(self, way: OtherWay, account: str) -> Response:
        """Judge the answer of a way. A refusal does not write the session."""
        try:
            answer = self.field("code")
            run_sync(check_answer(self.site.verifier(), way, account, answer))
        except OtpVerifyError as error:
            failure = explained(error)
            self.refused(failure, account)
            if self.wants_json:
                return self.refuse(failure)
            notice = Notice.of(failure)
            pages.leave_session()
            pages.carry(f"{self.purpose} other", Carried(notice))
            return redirect(self.url("other", way=way.name), 303)
        phone = self.site.facts(account)[1]
        response = self.pass_by_way(account)
        if way.name == BACKUP_CODE:
            self.second.notify(account, AccountChange.BACKUP_CODE_USED, phone)
        return self.answer(Outcome(Page.NEXT), response)
