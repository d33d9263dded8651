"""docs/explanation/standards.md: each claim names tests that exist, its figures are those of the
code, and every way in is in its table. In the long form, tests/conftest.py fails a run in which a
named test was skipped."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import fields

import django_site
import pytest
from claims import PAGE, ROOT, STATES, Claim, RanTests, claims, exists, is_whole, named_tests

from otpverify import Limit, Policy
from otpverify.integrations.flask.extension import FLOWS
from otpverify.integrations.web import attempts
from otpverify.integrations.web.account_notices import NOTICE_LIMITS

TEXT = PAGE.read_text()
CLAIMS = claims()
IDS = [f"{claim.standard.split()[1]} {claim.number}" for claim in CLAIMS]
WORDS = {60: "minute", 900: "quarter of an hour", 3600: "hour", 86_400: "day"}


def section(title: str) -> str:
    """The text of a section."""
    (found,) = re.findall(rf"^## {title}\n(.*?)(?=^## |\Z)", TEXT, re.MULTILINE | re.DOTALL)
    return str(found)


def test_the_tables_are_read_whole() -> None:
    """A row in another form would be left out of all other tests."""
    rows = re.findall(
        r"^\| \d", section("OWASP ASVS 5.0") + section("NIST SP 800-63B-4"), re.MULTILINE
    )
    assert len(rows) == len(CLAIMS) > 90


@pytest.mark.parametrize("claim", CLAIMS, ids=IDS)
def test_a_claim_is_whole(claim: Claim) -> None:
    assert claim.state in STATES
    assert claim.requirement.strip()
    assert claim.reason.strip().endswith(".")
    assert claim.tests or claim.state != "met", "what is met has a test"
    assert not [test for test in claim.tests if not exists(test)]


def test_no_requirement_is_there_twice() -> None:
    numbers = Counter((claim.standard, claim.number) for claim in CLAIMS)
    assert [number for number, count in numbers.items() if count > 1] == []


CHAPTER_6 = {"6.1": (1, 3), "6.3": range(1, 9), "6.4": range(1, 7)}
CHAPTER_6 |= {"6.5": range(1, 9), "6.6": range(1, 5)}


@pytest.mark.parametrize("number", [f"{s}.{n}" for s, which in CHAPTER_6.items() for n in which])
def test_no_requirement_about_codes_is_left_out(number: str) -> None:
    asvs = {claim.number.split()[0] for claim in CLAIMS if claim.standard == "OWASP ASVS 5.0"}
    assert number in asvs


def test_security_md_leads_to_the_page() -> None:
    head = (ROOT / "SECURITY.md").read_text()[:1500]
    assert "](docs/explanation/standards.md)" in head


def test_a_test_that_is_renamed_or_not_there_is_found() -> None:
    here = "tests/docs/test_standards_page.py"
    assert exists(f"{here}::test_a_claim_is_whole")
    assert not exists(f"{here}::test_a_claim_is_who")
    assert not exists(f"{here}::TestNone::test_a_claim_is_whole")
    assert not exists("tests/docs/test_nothing.py::test_a_claim_is_whole")


def test_a_test_that_was_skipped_did_not_run() -> None:
    ran, one, other = RanTests(), "tests/a.py::test_one", "tests/a.py::TestIt::test_other"
    for when in ("setup", "call", "teardown"):
        ran.report(f"{one}[sync-a::b[0]]", when, "passed")
    ran.report(f"{one}[async]", "setup", "skipped")
    ran.report(other, "setup", "passed")
    ran.report(other, "call", "skipped")
    assert ran.missing([one, other, "tests/b.py::test_gone"]) == [other, "tests/b.py::test_gone"]
    assert ran.missing(named_tests()) == sorted(named_tests())


# The figures.


def per(limit: Limit | None) -> str:
    """A limit in words, such as "5 in an hour"."""
    assert limit is not None
    if limit.seconds in WORDS:
        word = WORDS[limit.seconds]
        return f"{limit.count} in {'an' if word == 'hour' else 'a'} {word}"
    return f"{limit.count}, then {limit.seconds // 86_400} days"


POLICY = Policy()
FIGURES = {
    "`max_attempts`": [str(POLICY.max_attempts)],
    "`failures_per_phone`": [per(POLICY.failures_per_phone)],
    "`consecutive_failures`": [per(POLICY.consecutive_failures)],
    "`sends_per_phone`": [per(limit) for limit in POLICY.sends_per_phone],
    "`sends_per_ip`": [per(limit) for limit in POLICY.sends_per_ip],
    "`resend_cooldown_seconds`": [f"{POLICY.resend_cooldown_seconds} seconds"],
    "`ttl_seconds`": [f"{POLICY.ttl_seconds} seconds"],
    "`live_codes`": [str(POLICY.live_codes)],
    "`ANSWER_LIMITS`": [per(limit) for limit in attempts.ANSWER_LIMITS],
    "`FAILED_SIGN_INS`": [per(attempts.FAILED_SIGN_INS)],
    "`SIGN_IN_NOTICES`": [per(attempts.SIGN_IN_NOTICES)],
    "`NOTICE_LIMITS`": [per(limit) for limit in NOTICE_LIMITS],
}


@pytest.mark.parametrize(("setting", "figures"), FIGURES.items(), ids=FIGURES)
def test_the_figures_are_those_of_the_code(setting: str, figures: list[str]) -> None:
    (row,) = [line for line in section("Limits and lock-out").splitlines() if setting in line]
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert cells[1] == ", ".join(figures)


def test_every_limit_of_a_policy_is_among_the_figures() -> None:
    limits = {
        field.name
        for field in fields(Policy)
        if isinstance(getattr(POLICY, field.name), Limit)
        or (isinstance(getattr(POLICY, field.name), tuple) and getattr(POLICY, field.name))
    }
    limits -= {"undelivered_per_phone"}  # what is given back, not what is refused
    assert limits <= {name.strip("`") for name in FIGURES}


# The ways in.


def test_every_way_in_is_in_the_table() -> None:
    django_site.set_up()
    from otpverify.integrations.django import views  # need Django's settings
    from otpverify.integrations.django.base import FlowView

    ways = section("Ways in")
    for name in FLOWS:
        assert f'`"{name}"`' in ways, name
    mounted = {
        value.__name__
        for value in vars(views).values()
        if isinstance(value, type) and issubclass(value, FlowView) and hasattr(value, "flow")
    }
    names = {name.removeprefix("Async") for name in mounted} - {"FlowView"}
    assert names
    for name in names:
        assert f"`{name}`" in ways, name


@pytest.mark.parametrize(
    "arguments",
    [
        ["-k", "phone"],
        ["-m", "slow"],
        ["--deselect", "tests/a.py::test_one"],
        ["--ignore", "tests/browser"],
        ["--ignore-glob", "*_redis.py"],
        ["--lf"],
        ["--sw"],
        ["--collect-only"],
    ],
    ids=" ".join,
)
def test_a_part_of_the_tests_is_no_whole_run(
    arguments: list[str], pytestconfig: pytest.Config
) -> None:
    option, _ = pytestconfig._parser.parse_known_and_unknown_args(arguments)
    assert not is_whole(option, named=False)
    whole, _ = pytestconfig._parser.parse_known_and_unknown_args(["-n", "3", "--ff", "-q"])
    assert is_whole(whole, named=False)
    assert not is_whole(whole, named=True)
