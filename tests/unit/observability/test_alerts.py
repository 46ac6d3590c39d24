"""Every alert fires when it should and keeps quiet when it should: promtool evaluates the rules as Prometheus does."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

pytestmark = pytest.mark.any_synapse

REPOSITORY = Path(__file__).resolve().parent.parent.parent.parent
ALERTS = REPOSITORY / "config-samples" / "alerts.yaml"
CASES: dict[str, dict[str, Any]] = yaml.safe_load(
    (Path(__file__).parent / "alert_cases.yaml").read_text(encoding="utf-8")
)
HANDBOOK = (REPOSITORY / "docs" / "ueberwachung.md").read_text(encoding="utf-8")
PROMTOOL = shutil.which("promtool")
needs_promtool = pytest.mark.skipif(PROMTOOL is None, reason="promtool is missing: apt-get install prometheus")


def rules() -> Iterator[dict[str, Any]]:
    """Every alert of the sample."""
    for group in yaml.safe_load(ALERTS.read_text(encoding="utf-8"))["groups"]:
        yield from group["rules"]


def series(values: Mapping[str, Any]) -> list[dict[str, str]]:
    """Values of a case as promtool takes them, each of the instance `main` unless it says another."""
    found = []
    for name, numbers in values.items():
        if name == "nowhere":
            continue
        metric, _, labels = name.removesuffix("}").partition("{")
        if "instance=" not in labels:
            labels = ", ".join([*([labels] if labels else []), 'instance="main"'])
        # promtool takes NaN, but not its repetition.
        values_of_it = re.sub(r"NaNx(\d+)", lambda one: " ".join(["NaN"] * int(one[1])), str(numbers))
        found.append({"series": f"{metric}{{{labels}}}", "values": values_of_it})
    return found


def with_module_missing(metric: str) -> dict[str, Any]:
    """The case of an alert about a process that runs Synapse without a module."""
    both = {f'synapse_build_info{{instance="{name}"}}': "1x20" for name in ("main", "worker")}
    return {
        "fires": {**both, metric: "NaNx20"},
        "labels": {"instance": "worker"},
        "quiet": {**both, metric: "NaNx20", f'{metric}{{instance="worker"}}': "NaNx20"},
    }


def expected(rule: Mapping[str, Any], case: Mapping[str, Any]) -> dict[str, Any]:
    """What Prometheus sends when an alert fires."""
    labels = {**rule["labels"], **case.get("labels", {})}
    summary = re.sub(r"\{\{ \$labels\.(\w+) \}\}", lambda found: str(labels[found[1]]), rule["annotations"]["summary"])
    summary = summary.replace("{{ $value }}", str(case.get("value")))
    return {"exp_labels": labels, "exp_annotations": {"summary": summary}}


@needs_promtool
def test_every_alert_fires_and_keeps_quiet_as_it_should(tmp_path: Path) -> None:
    files = []
    for rule in rules():
        name, case = rule["alert"], CASES[rule["alert"]]
        if "missing" in case:
            case = {**case, **with_module_missing(case["missing"])}
        tests = []
        for values, fired in ((case["fires"], [expected(rule, case)]), (case["quiet"], [])):
            asked = {"alertname": name, "eval_time": case["at"], "exp_alerts": fired}
            tests.append({"interval": "1m", "input_series": series(values), "alert_rule_test": [asked]})
        # A file of its own: promtool evaluates all rules of a file for every test.
        alone = tmp_path / f"{name}.rules.json"
        alone.write_text(json.dumps({"groups": [{"name": "alone", "rules": [rule]}]}), encoding="utf-8")
        files.append(tmp_path / f"{name}.json")
        asked_of_promtool = {"rule_files": [str(alone)], "evaluation_interval": "5m", "tests": tests}
        files[-1].write_text(json.dumps(asked_of_promtool), encoding="utf-8")
    ran = subprocess.run([str(PROMTOOL), "test", "rules", *files], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr


@needs_promtool
def test_prometheus_reads_its_sample_and_the_rules() -> None:
    sample = ALERTS.with_name("prometheus.yaml")
    ran = subprocess.run([str(PROMTOOL), "check", "config", sample], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert f"Checking {ALERTS}" in ran.stdout


def test_every_alert_has_a_case_and_a_name_of_its_own() -> None:
    names = [rule["alert"] for rule in rules()]
    assert len(names) == len(set(names))
    assert set(names) == set(CASES)


def test_every_alert_wakes_somebody_or_waits_until_morning() -> None:
    assert {rule["labels"]["severity"] for rule in rules()} == {"critical", "warning"}


def test_the_handbook_says_of_every_alert_what_to_do() -> None:
    rows = re.findall(r"^\| `([A-Z]\w+)` \| (nachts|morgens) \| (.+) \| (.+) \|$", HANDBOOK, re.MULTILINE)
    shown = {name: when for name, when, *texts in rows if all(len(text) >= 10 for text in texts)}
    assert len(shown) == len(rows)
    assert shown == {
        rule["alert"]: "nachts" if rule["labels"]["severity"] == "critical" else "morgens" for rule in rules()
    }
