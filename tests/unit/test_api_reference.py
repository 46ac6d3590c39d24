"""What docs/api.md says is what the code does: routes and who may use them, fields, states, reasons."""

import json
import re
from pathlib import Path
from typing import Any
from unittest.mock import Mock

from synapse_bum.antivirus import own_media
from synapse_bum.antivirus.api import AntivirusApi
from synapse_bum.antivirus.content_scanner import errors
from synapse_bum.antivirus.file_scans import FileScans
from synapse_bum.antivirus.findings.finding import Finding, FindingState, Source
from synapse_bum.antivirus.held_media import HeldMedia
from synapse_bum.antivirus.own_media import OwnMedia
from synapse_bum.antivirus.scanning import monitor
from synapse_bum.antivirus.stored import verdicts
from synapse_bum.antivirus.stored.rescan_runs import Run, RunState
from synapse_bum.audit.chain import Entry, link
from synapse_bum.audit_routes import add_audit_routes
from synapse_bum.availability.api import AvailabilityApi
from synapse_bum.availability.maintenance_api import MaintenanceApi
from synapse_bum.availability.probes_api import ProbesApi
from synapse_bum.config import SharedConfig
from synapse_bum.federation.api import FederationApi
from synapse_bum.federation.list_api import ListApi
from synapse_bum.oidc.api import OidcApi
from synapse_bum.portal.configuration import ConfigurationApi
from synapse_bum.portal.files.file_deletion import FileDeletionApi
from synapse_bum.portal.statistics import StatisticsApi
from synapse_bum.portal.support import SupportApi
from synapse_bum.rest import Access, Routes
from synapse_bum.rest.routes import RouteTable
from synapse_bum.retention.api import RetentionApi
from synapse_bum.retention.holds_api import HoldsApi
from synapse_bum.storage.api import StorageApi
from synapse_bum.storage.orphans import OrphansApi

REPOSITORY = Path(__file__).resolve().parent.parent.parent
API = (REPOSITORY / "docs" / "api.md").read_text(encoding="utf-8")


def json_examples() -> list[dict[str, Any]]:
    """Every JSON object that docs/api.md shows."""
    blocks = re.findall(r"^    \{.*(?:\n     .*)*(?:\n    \})?$", API, re.MULTILINE)
    return [json.loads(block) for block in blocks]


def test_the_api_reference_names_every_route_and_who_may_use_it() -> None:
    who = {
        Access.USER: "every user",
        Access.ADMIN: "administrators",
        Access.OPERATOR: "operators",
        Access.PROGRAM: "the probe",
    }
    table = RouteTable()
    routes = Routes(table, SharedConfig())
    apis: list[Any] = [AntivirusApi, FileScans, HeldMedia, OwnMedia, RetentionApi, HoldsApi, StorageApi, OrphansApi]
    apis += [FederationApi, ListApi, OidcApi, AvailabilityApi, MaintenanceApi, ProbesApi]
    apis += [StatisticsApi, ConfigurationApi, SupportApi, FileDeletionApi]
    for api in apis:
        api.add_to(Mock(), routes)
    add_audit_routes(routes, Mock())
    in_code = {
        (method, f"/{template.text}", who[route.access])
        for template, methods in table._routes.items()
        for method, route in methods.items()
    }
    assert set(re.findall(r"^\| `([A-Z]+) (/\S+)` \| ([a-z ]+) \|", API, re.MULTILINE)) == in_code


def test_the_api_reference_names_every_reason_of_the_content_scanner() -> None:
    in_code = set(re.findall(r"MCS_\w+", Path(errors.__file__).read_text(encoding="utf-8")))
    assert in_code
    assert set(re.findall(r"`(MCS_\w+)`", API)) == in_code


def test_the_fields_in_the_api_reference_are_those_of_the_code() -> None:
    finding = Finding("a.example", "x", "0", "S", FindingState.REJECTED, Source.UPLOAD, None, None, 0).as_json()
    row = link(Entry(0, "antivirus", "antivirus.rejected", "mxc://a.example/x", new=finding), 1, "").as_json()
    status = monitor._UNKNOWN_STATUS | {"totals": None}
    examples = json_examples()
    (shown_status,) = [example for example in examples if "scanner_ok" in example]
    assert shown_status.keys() == status.keys()
    assert shown_status["self_test"].keys() == status["self_test"].keys()
    findings = [found for example in examples for found in (*example.get("findings", []), example) if "sha256" in found]
    assert len(findings) > 2
    assert all(found.keys() == finding.keys() for found in findings)
    rows = [shown for example in examples for shown in example.get("audit", [])]
    assert rows
    assert all(shown.keys() == row.keys() and shown["new"].keys() == finding.keys() for shown in rows)


def test_the_rescan_in_the_api_reference_is_that_of_the_code() -> None:
    run = Run("0", RunState.QUEUED, None, None, 0, None, None, 0, 0, 0, "", "", None).as_json()
    (shown,) = [example for example in json_examples() if "paused_by" in example]
    assert shown.keys() == run.keys()
    (states,) = re.findall(r"^\| `state` \| (`queued`,.*?)\.", API, re.MULTILINE)
    assert set(re.findall(r"`(\w+)`", states)) == {state.value for state in RunState}


def test_own_media_in_the_api_reference_are_those_of_the_code() -> None:
    upload = Mock(media_id="x", quarantined_by=None)
    shown = [file for example in json_examples() for file in example.get("media", [])]
    assert shown
    assert all(file.keys() == own_media._shown("a.example", upload, {}, {}, set()).keys() for file in shown)
    (table,) = re.findall(r"^\| `scan_state` \|.*\n\|---\|---\|\n((?:\|.*\n)+)", API, re.MULTILINE)
    states = {verdicts.CLEAN, verdicts.ENCRYPTED, verdicts.UNSCANNED, own_media.BLOCKED}
    assert set(re.findall(r"^\| `(\w+)`", table, re.MULTILINE)) == states
