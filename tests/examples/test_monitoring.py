"""The dashboard, the alert rules and the page about them ask for metrics and labels that exist."""

from __future__ import annotations

import importlib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import promql_parser
import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from otpverify import Event
from otpverify.core.results import DeliveryStatus
from otpverify.integrations.metrics import METRICS, OUTCOMES, Metric
from otpverify.integrations.prometheus import PrometheusMetrics

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "examples" / "monitoring"
PAGE = (ROOT / "docs" / "how-to" / "monitoring.md").read_text()
DASHBOARD: dict[str, Any] = json.loads((FOLDER / "dashboard.json").read_text())
RULES: dict[str, Any] = importlib.import_module("yaml").safe_load(
    (FOLDER / "alerts.yml").read_text()
)

SERIES: dict[str, Metric] = {}
for _metric in METRICS:
    suffixes = ("_bucket", "_count", "_sum") if _metric.kind == "histogram" else ("",)
    SERIES.update({_metric.prometheus + suffix: _metric for suffix in suffixes})

NAME = re.compile(r"\botpverify_\w+")
SELECTOR = re.compile(r"(otpverify_\w+)\{([^}]*)\}")
MATCHER = re.compile(r'(\w+)\s*(=~|!~|!=|=)\s*"([^"]*)"')
BY = re.compile(r"\bby \(([^)]*)\)")
RECORDED = re.compile(r"\botpverify:[\w:]+")


def rules() -> Iterator[dict[str, Any]]:
    for group in RULES["groups"]:
        yield from group["rules"]


def queries() -> Iterator[tuple[str, str]]:
    for panel in DASHBOARD["panels"]:
        for target in panel.get("targets", []):
            yield f"dashboard: {panel['title']} {target['refId']}", target["expr"]
    for variable in DASHBOARD["templating"]["list"]:
        if variable["type"] == "query":
            yield f"variable: {variable['name']}", variable["query"]
    for rule in rules():
        yield f"rule: {rule.get('alert') or rule['record']}", rule["expr"]
    for number, block in enumerate(
        re.findall(r"^```promql\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    ):
        yield f"page: {number}", block


QUERIES = dict(queries())
RECORDS = {rule["record"]: rule["expr"] for rule in rules() if "record" in rule}


def unknown(query: str) -> list[str]:
    """What a query asks for that does not exist."""
    found = [name for name in NAME.findall(query) if name not in SERIES]
    found += [name for name in RECORDED.findall(query) if name not in RECORDS]
    labels: set[str] = set()
    for name in NAME.findall(query):
        metric = SERIES.get(name)
        labels |= set(metric.labels) if metric else set()
        labels |= {"le"} if name.endswith("_bucket") else set()
    labels |= {"country"} if RECORDED.search(query) else set()
    for name, selector in SELECTOR.findall(query):
        for label, how, value in MATCHER.findall(selector):
            if name not in SERIES or label not in SERIES[name].labels:
                found.append(f"{name}{{{label}}}")
            elif label in ("outcome", "operation"):
                given = value.split("|") if "~" in how else [value]
                found += [one for one in given if one not in VALUES[label]]
    for grouping in BY.findall(query):
        found += [label for label in re.split(r",\s*", grouping) if label not in labels]
    return found


VALUES = {
    "operation": {*OUTCOMES, "send"},
    "outcome": {outcome for outcomes in OUTCOMES.values() for outcome in outcomes} | {"ok"},
}


@pytest.mark.parametrize("name", QUERIES)
def test_every_query_asks_for_what_exists(name: str) -> None:
    query = QUERIES[name]
    assert NAME.search(query) or RECORDED.search(query)
    assert unknown(query) == []
    if not name.startswith("variable"):
        promql_parser.parse(query.replace("$__rate_interval", "5m"))  # raises ValueError


@pytest.mark.parametrize(
    "query",
    [
        "otpverify_sent_total",
        "otpverify_sends",
        "otpverify_operation_duration_seconds",
        'otpverify_sends_total{phone="+37256789045"}',
        'otpverify_sends_total{outcome="delivered_"}',
        'otpverify_sends_total{outcome=~"sent|gone"}',
        "sum by (scope) (otpverify_sends_total)",
        "sum by (le) (otpverify_sends_total)",
        "otpverify:sends:increase2h > 5",
    ],
)
def test_this_test_finds_what_does_not_exist(query: str) -> None:
    assert unknown(query)


def test_every_metric_is_on_the_dashboard() -> None:
    """Nothing is counted that nobody looks at."""
    shown = {
        SERIES[name]
        for key, query in QUERIES.items()
        if key.startswith("dashboard")
        for name in NAME.findall(query)
    }
    assert shown == set(METRICS)


def test_a_scrape_has_the_names_of_the_table() -> None:
    registry = CollectorRegistry()
    metrics = PrometheusMetrics(["login"], countries=["EE"], registry=registry)
    metrics(Event("start", "RateLimited", "login", "***", "sends_per_phone", country="EE"))
    families = text_string_to_metric_families(generate_latest(registry).decode())
    scraped = {sample.name for family in families for sample in family.samples}
    # Its labels are those of the site's own senders: no attempt was made here.
    own = {name for name, metric in SERIES.items() if "sender" not in metric.labels}
    assert own <= scraped


def test_statuses_of_the_rules_are_final() -> None:
    statuses = {
        value
        for query in QUERIES.values()
        for name, selector in SELECTOR.findall(query)
        if name == "otpverify_delivery_reports_total"
        for label, _, values in MATCHER.findall(selector)
        if label == "outcome"
        for value in values.split("|")
    }
    final = {status.value for status in DeliveryStatus if status.final}
    assert statuses == {*final, "limited"}


def test_the_rules_are_complete() -> None:
    alerts = [rule for rule in rules() if "alert" in rule]
    assert {rule["alert"] for rule in alerts} == {
        "OtpConversionLow",
        "OtpSendsUnusual",
        "OtpCapNearlyReached",
        "OtpStoreErrors",
        "OtpGatewayFailing",
        "OtpDeliveryFailing",
    }
    headings = {
        heading.lower().replace(" ", "-")
        for heading in re.findall(r"^###? (.+)$", PAGE, re.MULTILINE)
    }
    for rule in alerts:
        assert f"`{rule['alert']}`" in PAGE
        page, _, anchor = rule["annotations"]["runbook"].partition("#")
        assert (ROOT / page).exists()
        assert anchor in headings
        assert rule["labels"]["severity"] in ("page", "ticket")
        for label in re.findall(r"\$labels\.(\w+)", rule["annotations"]["summary"]):
            assert any(label in grouping for grouping in BY.findall(rule["expr"])) or (
                label == "country" and RECORDED.search(rule["expr"])
            )


def test_the_dashboard_stands_on_any_data_source() -> None:
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(set(ids)) == len(ids)
    for panel in DASHBOARD["panels"]:
        if panel["type"] != "row":
            assert panel["datasource"]["uid"] == "${datasource}"
            assert all(t["datasource"]["uid"] == "${datasource}" for t in panel["targets"])


def test_the_page_has_the_table_of_metrics() -> None:
    rows = re.findall(r"^\| `(otpverify\.[a-z.]+)` \| (.+) \|$", PAGE, re.MULTILINE)
    assert rows == [
        (
            metric.name,
            f"`{metric.prometheus}` | {metric.kind} | `{metric.unit}` | "
            f"{', '.join(f'`{label}`' for label in metric.labels)} | {metric.source}",
        )
        for metric in METRICS
    ]
