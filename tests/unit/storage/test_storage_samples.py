"""What README, samples and handbook say of the storage accounting is what the code does."""

import json
import re
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import Counter
from prometheus_client.metrics import MetricWrapperBase

from synapse_bum.cli import main
from synapse_bum.homeserver.media_layout import Shelf
from synapse_bum.storage import StorageModule
from synapse_bum.storage.api import usage_json
from synapse_bum.storage.invoice.calculation import StorageUse, calculate
from synapse_bum.storage.invoice.document import Counted, Particulars, as_json
from synapse_bum.storage.invoice.parties import missing_keys
from synapse_bum.storage.invoice.price_list import OWN_LIST
from synapse_bum.storage.month import Month, StorageBasis, UsersBasis
from synapse_bum.storage.orphans.report import Report
from synapse_bum.storage.orphans.run import Run, RunState
from synapse_bum.storage.recounts import Recount, RecountState
from synapse_bum.storage.snapshots import Snapshot
from synapse_bum.storage.usage import CountConfig, Pool, Stored, UserStored

REPOSITORY = Path(__file__).resolve().parent.parent.parent.parent
SAMPLES = REPOSITORY / "config-samples"
README = (REPOSITORY / "README.md").read_text(encoding="utf-8")
API = (REPOSITORY / "docs" / "api.md").read_text(encoding="utf-8")
HANDBOOK = (REPOSITORY / "docs" / "storage.md").read_text(encoding="utf-8")
EXAMPLE = ["invoice", "--users", "960", "--storage-gb", "1000", "--month", "2026-02"]


def sample() -> dict[str, Any]:
    """The `config:` of the sample."""
    (module,) = yaml.safe_load((SAMPLES / "storage.yaml").read_text(encoding="utf-8"))["modules"]
    config: dict[str, Any] = module["config"]
    return config


def exported_names() -> set[str]:
    """What /_synapse/metrics calls the metrics of all modules."""
    names = set()
    for path in (REPOSITORY / "synapse_bum").rglob("metrics.py"):
        module = import_module(".".join(path.relative_to(REPOSITORY).with_suffix("").parts))
        for metric in vars(module).values():
            if isinstance(metric, MetricWrapperBase):
                (family,) = metric.collect()
                names.add(f"{family.name}_total" if isinstance(metric, Counter) else family.name)
    return names


def json_examples() -> list[dict[str, Any]]:
    """Every JSON object that docs/api.md shows."""
    blocks = re.findall(r"^    \{.*(?:\n     .*)*(?:\n    \})?$", API, re.MULTILINE)
    return [json.loads(block) for block in blocks]


def example_with(key: str) -> dict[str, Any]:
    """The first of them that has a key."""
    return next(shown for shown in json_examples() if key in shown)


def expressions() -> Iterator[str]:
    """Of its panels and alerts."""
    dashboard = json.loads((SAMPLES / "grafana-storage.json").read_text(encoding="utf-8"))
    yield from (target["expr"] for panel in dashboard["panels"] for target in panel["targets"])
    alerts = yaml.safe_load((SAMPLES / "alerts.yaml").read_text(encoding="utf-8"))
    (ours,) = (group for group in alerts["groups"] if group["name"] == "synapse-bum-storage")
    yield from (rule["expr"] for rule in ours["rules"])
    yield from re.findall(r"^\| [^|]+ \| `([^`]*synapse_bum_storage[^`]*)`", HANDBOOK, re.MULTILINE)


def test_panels_and_alerts_ask_for_metrics_that_exist() -> None:
    asked = {name for expression in expressions() for name in re.findall(r"synapse_bum_\w+", expression)}
    assert len(asked) > 15
    assert asked <= exported_names()


def test_panels_lie_side_by_side_with_names_of_their_own() -> None:
    panels = json.loads((SAMPLES / "grafana-storage.json").read_text(encoding="utf-8"))["panels"]
    assert len({panel["id"] for panel in panels}) == len({panel["title"] for panel in panels}) == len(panels)
    cells = [
        (x, y)
        for place in (panel["gridPos"] for panel in panels)
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) < 24


def test_readmes_price_list_is_that_of_the_code() -> None:
    shown = re.findall(
        r"^\| (ML\.1\w?) \| (?:registered user, )?(?:from )?([\d,]+)[^|]* \| ([\d.]+) \|$", README, re.MULTILINE
    )
    tiers = [(known.position, known.from_users, known.price) for known in OWN_LIST.tiers]
    assert [(name, int(first.replace(",", "")), Decimal(price)) for name, first, price in shown] == tiers
    rest = dict(re.findall(r"^\| (ML\.[23]|ELO\.1) \| [^|]* \| ([\d.]+) \|$", README, re.MULTILINE))
    assert Decimal(rest["ML.2"]) == OWN_LIST.storage_price
    assert Decimal(rest["ML.3"]) == OWN_LIST.service_price
    assert Decimal(rest["ELO.1"]) == OWN_LIST.once["ELO.1"]
    hourly = re.findall(r"^\|[^|]*\| [^|]*(20\d\d) \| ([\d, ]+) \|$", README, re.MULTILINE)
    assert [int(year) for year, _ in hourly] == list(OWN_LIST.hourly["AL.1"])
    for year, rates in hourly:
        assert [Decimal(rate) for rate in rates.split(",")] == [of[int(year)] for of in OWN_LIST.hourly.values()]


@pytest.mark.parametrize("document", [README, HANDBOOK], ids=["README", "handbook"])
def test_the_published_example_is_what_the_command_prints(document: str, capfdbinary: Any) -> None:  # noqa: ANN401 - pytest
    assert main(EXAMPLE) == 0
    printed = capfdbinary.readouterr().out.decode()
    assert f"synapse-bum {' '.join(EXAMPLE)}\n" in document
    unindented = "\n".join(line.strip() for line in document.splitlines())
    assert "\n".join(line.strip() for line in printed.splitlines()) in unindented


def test_the_sample_has_what_an_xrechnung_needs() -> None:
    assert missing_keys(StorageModule.parse_config(sample()).invoice) == []


def test_the_price_list_in_the_samples_comment_is_accepted() -> None:
    text = (SAMPLES / "storage.yaml").read_text(encoding="utf-8")
    lines = re.findall(r"^      #   (.*)$", text, re.MULTILINE)
    (price_list,) = StorageModule.parse_config(yaml.safe_load("\n".join(lines))).price_lists
    assert price_list.tier_of(200).price == Decimal("2.30")


def test_the_fields_in_the_api_reference_are_those_of_the_code() -> None:
    pool, stored = Pool(2, 0, 0, 1), Stored()
    assert example_with("free_bytes").keys() == usage_json(pool, stored, 0).keys()
    snapshot = Snapshot(date(2026, 2, 1), 0, 0, 0, stored, 0, 0, 1)
    assert example_with("history")["history"][0].keys() == snapshot.as_json().keys()
    recount = Recount(run_id="0", state=RecountState.DONE, started_by="", created_ts=0)
    assert example_with("drift_bytes").keys() == recount.as_json().keys()
    users = [user for shown in json_examples() if isinstance(shown.get("users"), list) for user in shown["users"]]
    assert users
    assert all(user.keys() == UserStored("@a:b").as_json(CountConfig()).keys() for user in users)


def test_the_invoice_in_the_api_reference_has_the_fields_of_the_code() -> None:
    counted = Counted(UsersBasis.DISTINCT, StorageBasis.PEAK, CountConfig(), 0, 1, 30, preliminary=True)
    use = StorageUse(Decimal("0.002211626"), Decimal(2), 0)
    shown = example_with("billed_users")
    assert shown == as_json(calculate(Month(2026, 11), 2, use, OWN_LIST), Particulars(counted=counted))


def test_the_look_for_orphans_in_the_api_reference_has_the_fields_of_the_code() -> None:
    report = Report()
    report.add_file_without_row("the media store", Shelf.LOCAL_CONTENT, "local_content/aa/bb/orphanorphan", 4242)
    run = Run(run_id="0", state=RunState.DONE, dry_run=False, started_by="", created_ts=0, report=report.as_json())
    shown, real = example_with("removed"), run.as_json()
    assert shown.keys() == real.keys()
    assert shown["removed"].keys() == real["removed"].keys()
    assert shown["report"].keys() == real["report"].keys()
    for kind in ("files_without_rows", "rows_without_files"):
        assert shown["report"][kind].keys() == real["report"][kind].keys()
    assert shown["report"]["files_without_rows"] == real["report"]["files_without_rows"]
    assert {state.value for state in RunState} <= set(re.findall(r"`(\w+)`", API))
