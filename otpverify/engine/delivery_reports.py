"""Records delivery reports, and gives a challenge's delivery status."""

from __future__ import annotations

import logging

from otpverify.core import phone, tokens
from otpverify.core.answers import Refused, Reported, Reserved
from otpverify.core.results import DeliveryReport, DeliveryStatus, ReportFields
from otpverify.core.tokens import Reference
from otpverify.engine.events import UNOBSERVED
from otpverify.engine.operations import Engine, check_words
from otpverify.engine.ports import call_port
from otpverify.errors import ChallengeExpired, OtpVerifyError

_log = logging.getLogger("otpverify")


async def take_report(engine: Engine, params: object) -> DeliveryReport:
    """Take a delivery report in; `Verifier` documents it."""
    seen = engine.observe("report", "")
    report = _read(engine, params)
    about = tokens.read_report_token(engine.issuer.keyring, report.token)
    if about is None:
        # No word of it goes further: it may be a stranger's.
        seen.end("unknown" if report.token else "unreadable")
        return DeliveryReport(report.message_id, report.status, known=False)
    seen.about(about.secret, about.key)
    seen.note(purpose=about.purpose)
    to = _confirmed(about, report)
    if report.status is None:
        seen.end("unreadable", to, provider_code=report.word)
        return DeliveryReport(report.message_id, None, known=False, purpose=about.purpose)
    try:
        answer, limited = await _taken(engine, about, report.status)
    except OtpVerifyError as error:
        seen.fail(error, to)
        raise
    if answer.changed:
        seen.sent_at(about.at)
    if limited and answer.changed:
        seen.end("limited", to, scope="undelivered_per_phone")
    else:
        seen.end(_outcome(answer, report.status), to)
    return DeliveryReport(
        report.message_id,
        report.status,
        known=answer.known,
        changed=answer.changed,
        given_back=answer.given_back,
        purpose=about.purpose,
    )


def _read(engine: Engine, params: object) -> ReportFields:
    """The report's fields, as the sender reads them. A sender that cannot read them gives none, for
    what arrives may be a stranger's."""
    try:
        report = engine.issuer.ports.read_report(params)
    except Exception as error:
        # Its text may repeat what arrived.
        _log.warning("The sender could not read a delivery report (%s).", type(error).__name__)
        return ReportFields()
    return report if isinstance(report, ReportFields) else ReportFields()


async def _taken(engine: Engine, about: Reference, status: DeliveryStatus) -> tuple[Reported, bool]:
    """The store's answer, and whether a limit keeps the send counted. A failure is counted
    first: a phone whose messages always fail must not get messages without end, and a carrier in
    league with a pumper may report anything. The status is recorded in any case."""
    issuer = engine.issuer
    counter, counted, limited = None, None, False
    if status.failed and issuer.policy.undelivered_per_phone:
        counter = about.secret.undelivered_tag(about.key)
        call = engine.issuer.ports.reserve(counter, issuer.policy.undelivered_per_phone)
        reserved = await call_port(call, Reserved, Refused)
        limited = isinstance(reserved, Refused)
        counted = None if isinstance(reserved, Refused) else reserved.at
    try:
        taking = engine.issuer.ports.report(about.key, about.at, status, issuer.policy, not limited)
        answer = await call_port(taking, Reported)
    except OtpVerifyError:
        await issuer.give_back(counter, counted)
        raise
    if not answer.given_back:
        await issuer.give_back(counter, counted)
    return answer, limited


async def delivery_status(engine: Engine, raw: str, challenge: str, purpose: str) -> DeliveryStatus:
    """The newest message's status; `Verifier` documents it. It only reads, so there is no event."""
    check_words(purpose, None)
    canonical = phone.is_canonical(raw)
    to = raw if canonical else engine.read(raw)
    status = await _status(engine, to, challenge, purpose)
    if status is None and (respelled := engine.respelled(to)) != to:
        status = await _status(engine, respelled, challenge, purpose)
    if status is None:
        raise ChallengeExpired
    return status


async def _status(engine: Engine, to: str, challenge: str, purpose: str) -> DeliveryStatus | None:
    key = engine.subject(UNOBSERVED, to, purpose, challenge, None).key
    call = engine.issuer.ports.status(key, engine.issuer.policy)
    return await call_port(call, DeliveryStatus, type(None))


def _confirmed(about: Reference, report: ReportFields) -> str:
    """The report's number where it is the one that the token was made for; otherwise empty."""
    if report.number is None:
        return ""
    same = about.secret.key(report.number, about.purpose, "").phone == about.key.phone
    return report.number if same else ""


def _outcome(answer: Reported, status: DeliveryStatus) -> str:
    if not answer.known:
        return "unknown"
    return status.value if answer.changed else "duplicate"
