"""A fresh proof for people who are signed in: the pages for it, and the views that need it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any, TypeAlias

from flask import abort, current_app, redirect, request, url_for
from werkzeug.wrappers import Response

from otpverify import ConfigurationError, Verified
from otpverify.engine.operations import check_words
from otpverify.integrations.flask import pages
from otpverify.integrations.flask.flows import NO_PHONE, Begun, FlowPages, Refused
from otpverify.integrations.flask.site import Binding, Site
from otpverify.integrations.web import run_sync
from otpverify.integrations.web.notices import Carried
from otpverify.integrations.web.problems import PROOF_REQUIRED, ProofRequired
from otpverify.integrations.web.session import Recipient

BoundBy: TypeAlias = Mapping[str, str] | Callable[..., Mapping[str, str]] | None


class FreshProof(FlowPages):
    """A person who is signed in proves the account's phone once more, for a purpose of the
    application's. The session holds the account, and the binding that a view asked for."""

    name = "proof"
    path = "/proof/<purpose>"
    first_field = ""

    @property
    def purpose(self) -> str:  # type: ignore[override]  # it is in the address here
        """What the proof is for; one that some view needs."""
        purpose = str((request.view_args or {})["purpose"])
        if purpose not in self.site.proof_purposes:
            abort(404)
        return purpose

    def first(self) -> str | Response:
        """For people who are signed in."""
        if self.site.account() is None:
            mounted = self.site.state.mounted
            way = next((name for name in ("login", "signin") if name in mounted), None)
            if way is None:
                abort(401)
            again = self.url("", next=request.args.get("next"))
            return redirect(url_for(f"{mounted[way]}.{way}", next=again), 303)
        return super().first()

    def begin(self) -> Begun:
        """The account that is signed in."""
        to = self.site.recipient_of(self.site.account(), self.binding)
        if to is None:
            raise Refused(NO_PHONE)
        return Begun(to)

    def find(self, subject: str) -> Recipient | None:
        """The account that is signed in; it cannot continue another account's challenge."""
        account = self.site.account()
        return self.site.recipient_of(account, self.binding) if account == subject else None

    def succeed(self, verified: Verified, _: str) -> Response:
        """Leave the proof for the view that needs it."""
        return self.finish(verified, None, self.target())

    def show(self, template: str, carried: Carried, step: str, **more: Any) -> str:
        """A page that shows the binding that the code approves."""
        return super().show(template, carried, step, **{"binding": self.binding or {}, **more})

    @property
    def binding(self) -> dict[str, str] | None:
        """The binding that the view needs the person to approve."""
        found = pages.get(f"binding {self.purpose}")
        return dict(found) if isinstance(found, Mapping) else None


def require_proof(
    site: Site,
    purpose: str,
    *,
    ask: bool,
    binding: BoundBy,
    max_age: float | None,
    ours: frozenset[str],
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """See `OtpVerify.proof_required`."""
    check_words(purpose, None)
    if purpose in ours:
        raise ConfigurationError(f"The purpose {purpose!r} has a flow of its own.")
    site.proof_purposes.add(purpose)

    def decorate(view: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(view)
        def guarded(*args: Any, **kwargs: Any) -> Any:
            bound = binding(**(request.view_args or {})) if callable(binding) else binding
            verified = _redeem(site, purpose, bound, max_age)
            if verified is not None:
                return current_app.ensure_sync(view)(*args, verified=verified, **kwargs)
            if not ask:
                return site.problem(PROOF_REQUIRED)
            found = site.state.mounted.get("proof")
            if found is None:
                raise ConfigurationError(
                    'proof_required needs the flow "proof": otp.blueprint("proof").'
                )
            pages.put(f"binding {purpose}", dict(bound) if bound else None)
            target = pages.here()
            return redirect(url_for(f"{found}.proof", purpose=purpose, next=target), 303)

        return guarded

    return decorate


def _redeem(site: Site, purpose: str, binding: Binding, max_age: float | None) -> Verified | None:
    if not {"account_loader", "phone_of"} <= set(site.hooks):
        raise ConfigurationError("proof_required needs @otp.account_loader and @otp.phone_of.")
    account = site.account()
    if account is None:
        return None

    def find(subject: str) -> Recipient | None:
        to = site.recipient_of(account, binding)
        # One of the application's views may have started it for the phone that was typed.
        known = to is not None and subject in (to.subject, to.phone)
        return Recipient(to.phone, subject, binding) if to is not None and known else None

    outcome = run_sync(site.flow(purpose, recipient=find).redeem(max_age=max_age))
    if outcome.error is not None and not isinstance(outcome.error, ProofRequired):
        raise outcome.error
    if outcome.verified is not None:
        pages.put(f"binding {purpose}", None)
    return outcome.verified
