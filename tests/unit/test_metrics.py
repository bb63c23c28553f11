"""The metrics: what the dashboard and the documents query is there, and labels stay few."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from prometheus_client.metrics import MetricWrapperBase

from otp_app.monitoring.metrics import REGISTRY

COLLECTORS = REGISTRY._names_to_collectors
SERIES = {*COLLECTORS, *(one.name for family in REGISTRY.collect() for one in family.samples)}
LABELS = {"provider", "channel", "country", "language", "outcome", "operation", "limit"}
DASHBOARD = json.loads(Path("docs/grafana.json").read_text())
OPERATING = Path("docs/operating.md").read_text()


def queried(text: str) -> set[str]:
    return set(re.findall(r"\b(?:otp|process)_[a-z_]+", text)) - {"otp_app"}


def expressions() -> list[str]:
    return [target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]]


@pytest.mark.parametrize("expression", expressions())
def test_a_panel_queries_what_is_there(expression: str) -> None:
    assert queried(expression)
    assert queried(expression) <= SERIES
    grouped = ",".join(re.findall(r"(?:by|ignoring) \(([^)]*)\)", expression))
    assert {name.strip() for name in grouped.split(",")} - {""} <= LABELS | {"le"}


def test_a_panel_finds_its_place_and_its_source() -> None:
    panels = DASHBOARD["panels"]
    places = [(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in panels]

    assert len(set(places)) == len({panel["id"] for panel in panels}) == len(panels)
    assert {panel["datasource"]["uid"] for panel in panels} == {"${datasource}"}
    assert [one["name"] for one in DASHBOARD["templating"]["list"]] == ["datasource"]


def test_the_document_names_every_metric_and_no_other() -> None:
    ours = {family.name for family in REGISTRY.collect() if family.name.startswith("otp_")}
    named = queried(OPERATING)

    assert named <= SERIES
    assert {name.removesuffix("_total").removesuffix("_bucket") for name in named} == ours


def test_no_label_is_open_to_everything() -> None:
    families = [one for one in COLLECTORS.values() if isinstance(one, MetricWrapperBase)]

    assert {label for one in families for label in one._labelnames} <= LABELS
    assert families
