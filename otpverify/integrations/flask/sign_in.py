"""Sign in or up by phone: the pages, and the JSON endpoints. They need no password.

The rule of what follows a right code is `otpverify.integrations.web.sign_in`.
"""

from __future__ import annotations

import logging
from collections.abc import Collection
from dataclasses import replace
from functools import partial
from typing import Any, Final, cast

from flask import Blueprint, Response as FlaskResponse, current_app, redirect, request
from werkzeug.datastructures import MultiDict
from werkzeug.wrappers import Response

from otpverify import ChallengeExpired, Verified
from otpverify.integrations.flask import pages
from otpverify.integrations.flask.api import exempt, invalid, json_blueprint, json_body, respond
from otpverify.integrations.flask.flows import Begun, PhoneConfirmation
from otpverify.integrations.flask.site import Site
from otpverify.integrations.web import run_sync
from otpverify.integrations.web.notices import Carried, Notice
from otpverify.integrations.web.outcome import Page
from otpverify.integrations.web.problems import (
    INVALID_REQUEST,
    Problem,
    SignInRefused,
)
from otpverify.integrations.web.sentences import CONFIRM_FIRST
from otpverify.integrations.web.sign_in import PURPOSE, Match, SignedIn, SignIn, Standing

_log = logging.getLogger("otpverify.integrations")

_NOTHING: Final = Carried()


class SignInByPhone(PhoneConfirmation):
    """A phone and a code. Existing accounts only: nothing shows whether there is an account before
    the code. With `create_account`: every number gets a code, and a new one an account."""

    name = "signin"
    purpose = PURPOSE
    path = "/sign-in"
    signs_in = True

    @property
    def concealed(self) -> bool:  # type: ignore[override]  # by the application's hooks here
        """Whether there are existing accounts only."""
        return not self.site.signs_up

    @property
    def signs_up(self) -> bool:
        """Whether new numbers get an account. For the templates."""
        return self.site.signs_up

    def add_to(self, blueprint: Blueprint) -> None:
        """Add all pages of the flow."""
        super().add_to(blueprint)
        self.add_page(blueprint, "account", self.account, "GET", "POST")

    def first(self) -> str | Response:
        """The form that the flow begins with, unless the person is signed in already."""
        if request.method != "POST" and self._signed_in() and self.carried("first") == _NOTHING:
            target = pages.safe_next(request.args.get("next"))
            return redirect(target or f"{request.script_root}/", 303)
        return super().first()

    def begin(self) -> Begun:
        """The number, and whether a message goes out."""
        begun = super().begin()
        if not self.concealed:
            return begun
        return replace(begun, deliver=run_sync(self.rule().exists(begun.to.phone)))

    def after_code(self) -> str:
        """The page of what the account needs."""
        return self.url("account")

    def succeed(self, verified: Verified, _: str) -> Response:  # noqa: ARG002 - looked up by the rule
        """Sign in, or go on to what the account needs."""
        return self.conclude(finish(self.site, self.rule()))

    def account(self) -> str | Response:
        """What a new account needs, or the reason why the person is not signed in."""
        match = run_sync(self.rule().current())
        if request.method != "POST":
            if match is None:
                return self.to("first", Carried(Notice(CONFIRM_FIRST, error=False)))
            return self._account_page(match, sign_up_form(self.site, None))
        pages.check_csrf()
        if match is None:
            return self.refuse(ChallengeExpired())
        form = None
        if match.standing is Standing.NEW:
            form = sign_up_form(self.site, request.form)
            if form is not None and not form.validate():
                return self._account_page(match, form)
        return self.conclude(finish(self.site, self.rule(), form, complete=True))

    def conclude(self, result: SignedIn[str]) -> Response:
        """Answer the result of the rule: in a new session, if the person is signed in."""
        if result.step == "signed_in":
            target, verified = self.target(), cast("Verified", result.outcome.verified)
            return self.finish(verified, enter(self.site, result), target)
        if result.held is not None:
            return current_app.make_response(result.held)
        outcome = result.outcome
        if outcome.page is not Page.NEXT:
            return self.follow(outcome)
        if outcome.notice is None or isinstance(outcome.error, SignInRefused):
            return redirect(self.url("account"), 303)  # the page itself says so
        return self.to("account", Carried(outcome.notice))

    def rule(self) -> SignIn[str]:
        """The rule in this request's session."""
        return rule(self.site)

    def _signed_in(self) -> bool:
        return "account_loader" in self.site.hooks and self.site.account() is not None

    def _account_page(self, match: Match[str], form: Any) -> str:
        carried = self.carried("account")
        if match.standing is Standing.REFUSED:
            carried = Carried(Notice.of(SignInRefused()))
        entry = self.flow().entry
        return self.show(
            "account.html",
            carried,
            "account",
            standing=match.standing.value,
            form=form if match.standing is Standing.NEW else None,
            phone=entry.subject if entry is not None else "",
        )


def rule(site: Site) -> SignIn[str]:
    """The rule over this request's session and the application's hooks."""
    flow = site.flow(PURPOSE, concealed=not site.signs_up)
    return SignIn(flow, find=site.accounts, may_sign_in=site.may_sign_in, sign_up=site.signs_up)


def sign_up_form(site: Site, data: MultiDict[str, str] | None) -> Any:
    """The application's form for a new account; `None` if it needs none."""
    return site.call("sign_up_form", data) if "sign_up_form" in site.hooks else None


def finish(
    site: Site, rule: SignIn[str], form: Any = None, *, complete: bool = False, hold: bool = True
) -> SignedIn[str]:
    """Use the session's proof up, by the application's hooks.

    Args:
        site: The application.
        rule: The rule in this session.
        form: The valid form of a new account.
        complete: The person has given what a new account needs.
        hold: Ask `before_sign_in`.
    """
    create = None
    if site.signs_up and (complete or "sign_up_form" not in site.hooks):
        create = partial(_create, site, form)
    asks = hold and "before_sign_in" in site.hooks
    return run_sync(rule.finish(create, partial(site.call, "before_sign_in") if asks else None))


def enter(site: Site, result: SignedIn[str]) -> Any:
    """Sign in, in a new session: it drops anything planted in the old one.

    Returns:
        The response of the application's hook, or `None`.
    """
    pages.rotate()
    return site.call("on_sign_in", result.account)


def _create(site: Site, form: Any, verified: Verified) -> str | None:
    more = () if form is None else (form,)
    account = site.call("create_account", verified, *more)
    return None if account is None else str(account)


def continue_sign_in(site: Site) -> FlaskResponse:
    """See `OtpVerify.continue_sign_in`."""
    result = finish(site, rule(site), hold=False)
    found = site.state.mounted.get("signin")
    if found is None:  # the application has the JSON endpoints only
        return _reply(site, result)
    response = SignInByPhone(site, found).conclude(result)
    return pages.set_notice_cookie(cast("FlaskResponse", response))


def json_endpoints(site: Site) -> Blueprint:
    """The JSON endpoints of the flow. `/check` signs in as the pages do; `POST /account` takes what
    a new account needs, the values of the application's form."""

    def proved() -> FlaskResponse:
        return _reply(site, finish(site, rule(site)), saved=True)

    def account() -> FlaskResponse:
        found = json_body()
        if isinstance(found, Problem):
            return site.problem(found)
        if not all(isinstance(value, str) for value in found.values()):
            return site.problem(INVALID_REQUEST)
        one, form = rule(site), None
        match = run_sync(one.current())
        if match is not None and match.standing is Standing.NEW:
            form = sign_up_form(site, MultiDict(found))
            if form is not None and not form.validate():
                return invalid(site, form.errors, one.flow.entry)
        return _reply(site, finish(site, one, form, complete=True))

    blueprint = json_blueprint(
        site,
        PURPOSE,
        None,
        lambda phone: run_sync(rule(site).exists(phone)),
        concealed=lambda: not site.signs_up,
        proved=proved,
    )
    blueprint.add_url_rule("/account", "account", account, methods=["POST"])
    blueprint.record(lambda state: exempt(state, account))
    blueprint.record(lambda _: site.require("signin"))
    return blueprint


def _reply(site: Site, result: SignedIn[str], *, saved: bool = False) -> FlaskResponse:
    """The JSON reply to the result of the rule, with `next`, the address that a page would lead to.
    A response of a hook that does not redirect is sent as it is."""
    made: Any = enter(site, result) if result.step == "signed_in" else result.held
    if result.outcome.leaves_session and not saved:
        pages.leave_session()
    reply = result.reply(site.say)
    if made is not None:
        response = current_app.make_response(made)
        if response.location is None:
            return response
        reply = replace(reply, body={**reply.body, "next": response.location})
    return respond(reply)


def warn_of_a_way_around(mounted: Collection[str], hooks: Collection[str]) -> None:
    """Log that a code alone opens accounts whose login asks for a password, too (OWASP ASVS 5.0,
    6.3.4), where no hook of the application can refuse them.

    Args:
        mounted: The names of the flows that are mounted.
        hooks: The names of the hooks that are set.
    """
    if {"login", "signin"} <= set(mounted) and not {"may_sign_in", "before_sign_in"} & set(hooks):
        _log.warning(
            "A code alone signs in, while the login asks for a password, too. Refuse the accounts "
            "that need both: @otp.may_sign_in, or @otp.before_sign_in."
        )
