"""What README, handbook and samples say of the availability is what the code does."""

import configparser
import json
import re
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import Gauge

from synapse_bum.availability import metrics
from synapse_bum.availability.bodies import ProbesBody
from synapse_bum.availability.calculation import Availability
from synapse_bum.availability.maintenance import Maintenance
from synapse_bum.availability.outages import Excuse, Outage, Source
from synapse_bum.availability.probes import ProbeState
from synapse_bum.availability.recording import Delivered
from synapse_bum.availability.report import Report
from synapse_bum.cli import _parser
from synapse_bum.cli.probe.settings import SettingsError, read_settings
from synapse_bum.months import Month
from synapse_bum.reading import read
from synapse_bum.testing.berlin import berlin_ms

REPOSITORY = Path(__file__).resolve().parents[3]
SAMPLES = REPOSITORY / "config-samples"
README = (REPOSITORY / "README.md").read_text(encoding="utf-8")
API = (REPOSITORY / "docs" / "api.md").read_text(encoding="utf-8")
HANDBOOK = (REPOSITORY / "docs" / "availability.md").read_text(encoding="utf-8")


def example_with(key: str) -> dict[str, Any]:
    """The first JSON object of docs/api.md that has a key."""
    blocks = re.findall(r"^    \{.*(?:\n     .*)*(?:\n    \})?$", API, re.MULTILINE)
    return next(shown for shown in map(json.loads, blocks) if key in shown)


def test_the_report_in_the_api_reference_is_that_of_the_code() -> None:
    shown = example_with("service_minutes")
    (listed,) = shown["outages"]
    outage = Outage("0", 0, 1, None, Excuse.CUSTOMER, None, Source.ENTERED, "@a:b", 0, 0)
    found = Availability(
        shown["service_minutes"],
        shown["outage_minutes"],
        shown["excused_minutes"],
        shown["measured_outage_minutes"],
        Decimal("0.999"),
    )
    report = Report(
        Month.parse(shown["month"]),
        preliminary=False,
        availability=found,
        not_measured_minutes=shown["not_measured_minutes"],
        outages=[],
        as_of_ts=shown["as_of_ts"],
    )
    assert report.as_json() | {"outages": shown["outages"]} == shown
    assert listed.keys() == outage.as_json().keys()
    assert listed["from_ts"] == berlin_ms("2026-05-04 10:00")


def test_what_the_probe_sends_in_the_api_reference_is_accepted() -> None:
    shown = example_with("sent_ts")
    (result,) = read(ProbesBody, shown).results
    assert result.received(1).as_json().keys() == shown["results"][0].keys() | {"received_ts"}
    assert example_with("stored").keys() == Delivered().__class__.__annotations__.keys()
    assert example_with("text").keys() == Maintenance("0", 0, 1, "x", 0).as_json().keys()


def test_the_handbook_names_every_state_and_every_excuse() -> None:
    assert set(re.findall(r"^\| `(\w+)` \| ", HANDBOOK, re.MULTILINE)) >= {state.value for state in ProbeState}
    for document in (HANDBOOK, API, README):
        assert all(f"`{excuse.value}`" in document for excuse in Excuse)


def test_the_unit_of_the_sample_starts_a_probe() -> None:
    unit = (SAMPLES / "synapse-bum-probe.service").read_text(encoding="utf-8")
    service = configparser.RawConfigParser(strict=False)
    service.optionxform = str  # type: ignore[assignment,method-assign] # names of systemd are not folded
    service.read_string(unit.replace("\\\n", ""))
    program, *arguments = service["Service"]["ExecStart"].split()
    assert program.endswith("/synapse-bum")
    options = _parser().parse_args(arguments)
    with pytest.raises(SettingsError, match="CREDENTIALS_DIRECTORY"):
        read_settings(options)  # all but the secrets, which systemd brings
    assert options.timeout < float(service["Service"]["TimeoutStartSec"].removesuffix("s")) < 60
    used = set(re.findall(r"\$\{CREDENTIALS_DIRECTORY\}/(\w+)", unit))
    assert used == set(re.findall(r"^LoadCredential=(\w+):", unit, re.MULTILINE))
    assert service["Service"]["SuccessExitStatus"] == "1"


def test_the_sample_asks_as_often_as_the_timer_starts() -> None:
    (module,) = yaml.safe_load((SAMPLES / "availability.yaml").read_text(encoding="utf-8"))["modules"]
    assert module["config"]["probe_interval"] == "60s"
    timer = (SAMPLES / "synapse-bum-probe.timer").read_text(encoding="utf-8")
    assert "\nOnCalendar=*-*-* *:*:00\nAccuracySec=1s\n" in timer


def test_panels_ask_for_every_metric_and_lie_side_by_side() -> None:
    panels = json.loads((SAMPLES / "grafana-availability.json").read_text(encoding="utf-8"))["panels"]
    asked = {
        name
        for panel in panels
        for target in panel["targets"]
        for name in re.findall(r"synapse_bum_\w+", target["expr"])
    }
    exported = {
        family.name for metric in vars(metrics).values() if isinstance(metric, Gauge) for family in metric.collect()
    }
    assert asked == exported
    places = [panel["gridPos"] for panel in panels]
    cells = [
        (x, y) for at in places for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])
    ]
    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) < 24
    assert len({panel["id"] for panel in panels}) == len({panel["title"] for panel in panels}) == len(panels)


OF_OTHERS = {"--now", "--no-deps", "--user", "--no-admin", "--fail"}
"""Of systemctl, pip, register_new_matrix_user and curl."""


def test_options_that_documents_name_are_there() -> None:
    named = set(re.findall(r"(--[a-z][a-z-]+)", HANDBOOK)) - OF_OTHERS
    (known,) = (set(re.findall(r"(--[a-z][a-z-]+)", one.format_help())) for one in _probe_parser())
    assert named <= known


def _probe_parser() -> list[Any]:
    parser = _parser()
    (choices,) = (action.choices for action in parser._actions if isinstance(action.choices, dict))
    return [choices["probe"]]
