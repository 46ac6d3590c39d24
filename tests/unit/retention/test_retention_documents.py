"""What the API reference and the samples say of the retention is what the code does."""

import json
import re
from pathlib import Path
from typing import Any

import attr
import yaml

from synapse_bum.deletion import Hold
from synapse_bum.retention.classes import Item, RetentionClass
from synapse_bum.retention.runs.run import Run, RunState

REPOSITORY = Path(__file__).resolve().parents[3]
API = (REPOSITORY / "docs" / "api.md").read_text(encoding="utf-8")
SAMPLES = REPOSITORY / "config-samples"


def examples(document: str) -> list[dict[str, Any]]:
    """Every JSON object that a document shows."""
    blocks = re.findall(r"^    \{.*(?:\n     .*)*(?:\n    \})?$", document, re.MULTILINE)
    return [json.loads(block) for block in blocks]


def objects(document: str, key: str, field: str) -> list[dict[str, Any]]:
    """The objects with a field, alone or in a list."""
    found = [shown for example in examples(document) for shown in (*example.get(key, []), example)]
    return [shown for shown in found if field in shown]


def test_no_sample_sets_synapses_own_retention() -> None:
    for path in SAMPLES.glob("*.yaml"):
        for content in yaml.safe_load_all(path.read_text(encoding="utf-8")):
            assert not {"retention", "media_retention"} & set(content), path.name


def test_the_runs_in_the_api_reference_are_those_of_the_code() -> None:
    run = Run(
        run_id="0", state=RunState.QUEUED, dry_run=True, classes=(), confirm=False, started_by=None, created_ts=0
    ).as_json()
    item = Item("mxc://a.example/x", 0, 0).as_json(RetentionClass.LOCAL_MEDIA)
    shown_runs = objects(API, "runs", "progress")
    assert shown_runs
    for shown in shown_runs:
        assert shown.keys() == run.keys()
        assert all(shown[field].keys() == run[field].keys() for field in ("progress", "deleted"))
        assert all(named.keys() == item.keys() for named in shown["sample"])
    assert any(shown["sample"] for shown in shown_runs)


def test_the_api_reference_names_every_state_of_a_run() -> None:
    section = API.partition("\n## GET /retention/runs/{run_id}\n")[2].partition("\n## ")[0]
    (states,) = re.findall(r"^\| `state` \| (.*) \|$", section, re.MULTILINE)
    assert set(re.findall(r"`(\w+)`:", states)) == {state.value for state in RunState}


def test_the_status_and_the_deletions_in_the_api_reference_have_every_class() -> None:
    classes = [kind.value for kind in RetentionClass]
    (status,) = objects(API, "", RetentionClass.MESSAGES.value)
    assert list(status) == classes
    fields = {"lifetime_ms", "oldest_age_ms", "backlog_items", "backlog_bytes", "last_success_ts"}
    assert all(of_class.keys() == fields for of_class in status.values())
    assert {shown["kind"] for shown in objects(API, "deletions", "planned_ts")} <= set(classes)


def test_the_holds_in_the_api_reference_are_those_of_the_code() -> None:
    fields = {*attr.fields_dict(Hold), "in_force"}
    shown_holds = objects(API, "holds", "created_by")
    assert len(shown_holds) > 1
    assert all(shown.keys() == fields for shown in shown_holds)
