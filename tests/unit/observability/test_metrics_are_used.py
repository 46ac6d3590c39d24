"""Dashboards and alerts ask for metrics that exist, with labels and values that exist; every metric is asked for."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import Counter
from prometheus_client.metrics import MetricWrapperBase

from synapse_bum.cli.backup import metrics_file

pytestmark = pytest.mark.any_synapse

REPOSITORY = Path(__file__).resolve().parent.parent.parent.parent
PACKAGE = REPOSITORY / "synapse_bum"
SAMPLES = REPOSITORY / "config-samples"
DASHBOARDS = sorted(SAMPLES.glob("grafana-*.json"))
README = (REPOSITORY / "README.md").read_text(encoding="utf-8")
HANDBOOK = (REPOSITORY / "docs" / "ueberwachung.md").read_text(encoding="utf-8")

OF_OTHERS = {
    "synapse_build_info": {"version"},
    "node_systemd_unit_state": {"name", "state"},
    "node_textfile_scrape_error": set(),
}
"""What Synapse and node_exporter (collectors systemd and textfile) export, with the labels that are asked for."""

PROMTOOL = shutil.which("promtool")

OF_THE_TARGET = {"instance"}
"""Labels that Prometheus gives to everything it scrapes."""


@cache
def exported() -> dict[str, set[str]]:
    """The labels of all our metrics, by the names under which Prometheus has them."""
    found: dict[str, set[str]] = {name: {"server"} for name in metrics_file.NAMES}
    for path in PACKAGE.rglob("*.py"):
        if "testing" in path.parts or "from prometheus_client" not in path.read_text(encoding="utf-8"):
            continue
        module = import_module(".".join(path.relative_to(REPOSITORY).with_suffix("").parts))
        for metric in vars(module).values():
            if isinstance(metric, MetricWrapperBase):
                (family,) = metric.collect()
                name = f"{family.name}_total" if isinstance(metric, Counter) else family.name
                found[name] = set(metric._labelnames)
                if metric._type == "histogram":
                    found[f"{name}_bucket"] = {*metric._labelnames, "le"}
    return found


def dashboards() -> Iterator[str]:
    """Every expression of a panel."""
    for path in DASHBOARDS:
        for panel in json.loads(path.read_text(encoding="utf-8"))["panels"]:
            yield from (target["expr"] for target in panel.get("targets", []))


def alerts() -> Iterator[str]:
    """Every expression of an alert."""
    for group in yaml.safe_load((SAMPLES / "alerts.yaml").read_text(encoding="utf-8"))["groups"]:
        yield from (rule["expr"] for rule in group["rules"])


EXPRESSIONS = sorted({*dashboards(), *alerts()})


def asked_for(expression: str) -> Mapping[str, set[str]]:
    """The labels that an expression looks at, by metric; what it groups by counts for all its metrics."""
    grouped = {label for names in re.findall(r"\b(?:by|on) \(([\w, ]+)\)", expression) for label in names.split(", ")}
    found: dict[str, set[str]] = {}
    for name, matchers in re.findall(r"\b((?:synapse|node)_\w+)(?:\{([^}]*)\})?", expression):
        found.setdefault(name, set(grouped)).update(re.findall(r"(\w+)(?:=|!=|=~|!~)\"", matchers))
    return found


def test_what_is_asked_for_exists_with_these_labels() -> None:
    known = {**exported(), **OF_OTHERS}
    asked = [(name, labels, expression) for expression in EXPRESSIONS for name, labels in asked_for(expression).items()]
    assert len(asked) > len(EXPRESSIONS)
    assert [(name, one) for name, _, one in asked if name not in known] == []
    assert [(name, one) for name, labels, one in asked if not labels - OF_THE_TARGET <= known[name]] == []


@pytest.mark.skipif(PROMTOOL is None, reason="promtool is missing: apt-get install prometheus")
def test_panels_ask_in_prometheus_own_language(tmp_path: Path) -> None:
    rules = [{"record": f"panel:{number}", "expr": one} for number, one in enumerate(sorted(set(dashboards())))]
    file = tmp_path / "rules.json"
    file.write_text(json.dumps({"groups": [{"name": "panels", "rules": rules}]}), encoding="utf-8")
    ran = subprocess.run([str(PROMTOOL), "check", "rules", file], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_values_of_labels_that_are_asked_for_are_those_that_readme_names() -> None:
    rows = re.findall(r"^\| `(synapse_bum_\w+)` \| \w+ \|([^|]*)\|", README, re.MULTILINE)
    labels = dict(rows)
    asked = {
        (name, label, value)
        for expression in EXPRESSIONS
        for name, matchers in re.findall(r"\b(synapse_bum_\w+)\{([^}]*)\}", expression)
        for label, values in re.findall(r"(\w+)(?:=|!=|=~)\"([^\"]*)\"", matchers)
        for value in values.split("|")
    }
    assert len(asked) > 8
    unknown = [
        (name, label, value)
        for name, label, value in asked
        if not any(value in re.findall(r"[\w:.]+", text) for text in (labels[name], *_same_label(labels, label)))
    ]
    assert unknown == []


def _same_label(labels: Mapping[str, str], label: str) -> list[str]:
    """What README says of a label; its values stand with the first metric that has it."""
    return [text for text in labels.values() if f"`{label}`:" in text]


def test_every_metric_is_in_a_dashboard_or_an_alert() -> None:
    asked = {name.removesuffix("_bucket") for expression in EXPRESSIONS for name in asked_for(expression)}
    assert {name.removesuffix("_bucket") for name in exported()} - asked == set()


def test_the_one_dashboard_shows_every_metric_but_what_only_alerts_need() -> None:
    (whole,) = (path for path in DASHBOARDS if path.name == "grafana-synapse-bum.json")
    text = whole.read_text(encoding="utf-8")
    assert {name for name in exported() if name not in text} == set()


def test_the_handbook_names_every_metric_with_its_unit_and_meaning() -> None:
    rows = re.findall(r"^\| `(synapse_bum_\w+)` \| ([^|]{2,}) \| ([^|]{9,}) \|$", HANDBOOK, re.MULTILINE)
    assert len(rows) == len({name for name, *_ in rows})
    assert {name for name, *_ in rows} == {name for name in exported() if not name.endswith("_bucket")}
    for name, unit, _meaning in rows:
        if "_bytes" in name:
            assert unit == "Bytes"
        elif "_timestamp_" in name:
            assert unit == "Zeitpunkt"
        elif "_seconds" in name:
            assert unit == "Sekunden"


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.name)
def test_panels_lie_side_by_side_with_names_of_their_own(path: Path) -> None:
    dashboard: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    panels = dashboard["panels"]
    assert len({panel["id"] for panel in panels}) == len({panel["title"] for panel in panels}) == len(panels)
    cells = [
        (x, y)
        for at in (panel["gridPos"] for panel in panels)
        for x in range(at["x"], at["x"] + at["w"])
        for y in range(at["y"], at["y"] + at["h"])
    ]
    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) < 24
    sources = [part for panel in panels for part in (panel, *panel.get("targets", [])) if "datasource" in part]
    assert {part["datasource"]["uid"] for part in sources} == {"${datasource}"}
