"""What README, the samples and the handbook promise is what the code does: keys, defaults, metrics, routes, files."""

import json
import re
from collections.abc import Iterator, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
import yaml
from prometheus_client import Counter
from prometheus_client.metrics import MetricWrapperBase
from synapse.config.homeserver import HomeServerConfig
from synapse.module_api.errors import ConfigError

from synapse_bum import testing
from synapse_bum.antivirus import AntivirusModule, own_media
from synapse_bum.antivirus.api import AntivirusApi
from synapse_bum.antivirus.config import AntivirusConfig
from synapse_bum.antivirus.content_scanner import errors
from synapse_bum.antivirus.engines import clamd_protocol
from synapse_bum.antivirus.events import redactions
from synapse_bum.antivirus.findings import finding_deletion
from synapse_bum.antivirus.findings.finding import Finding, FindingState, Source
from synapse_bum.antivirus.held_media import HeldMedia
from synapse_bum.antivirus.own_media import OwnMedia
from synapse_bum.antivirus.scanning import monitor
from synapse_bum.antivirus.stored import verdicts
from synapse_bum.antivirus.stored.rescan_runs import Run, RunState
from synapse_bum.antivirus.tables import ANTIVIRUS
from synapse_bum.audit import AUDIT
from synapse_bum.audit.chain import Entry, link
from synapse_bum.audit_routes import add_audit_routes
from synapse_bum.cli.check.antivirus import REQUIRE_SCAN_OFF
from synapse_bum.config import SharedConfig
from synapse_bum.deletion import DELETION, Kind
from synapse_bum.federation.api import FederationApi
from synapse_bum.federation.list_api import ListApi
from synapse_bum.federation.tables import FEDERATION
from synapse_bum.oidc import OidcMappingProvider, OidcModule
from synapse_bum.oidc.api import OidcApi
from synapse_bum.oidc.config import OidcConfig
from synapse_bum.oidc.tables import OIDC
from synapse_bum.quantities import parse_size
from synapse_bum.reading import sections
from synapse_bum.rest import Access, Routes
from synapse_bum.rest.routes import RouteTable
from synapse_bum.retention import RetentionModule
from synapse_bum.retention.api import RetentionApi
from synapse_bum.retention.classes import RetentionClass
from synapse_bum.retention.config import RetentionConfig
from synapse_bum.retention.holds_api import HoldsApi
from synapse_bum.secret_store import SECRETS
from synapse_bum.storage import StorageModule, recounts
from synapse_bum.storage.alerts.tables import ALERTS
from synapse_bum.storage.api import StorageApi
from synapse_bum.storage.config import StorageConfig
from synapse_bum.storage.ledger import LEDGER
from synapse_bum.storage.limit import LIMIT
from synapse_bum.storage.orphans import OrphansApi
from synapse_bum.storage.orphans.tables import ORPHANS
from synapse_bum.storage.snapshots_tables import SNAPSHOTS
from synapse_bum.storage.users_tables import USERS
from synapse_bum.testing import malware
from synapse_bum.testing.clamd import RealClamd
from synapse_bum.testing.raw_clamd import memory_file, scan_descriptor

REPOSITORY = Path(__file__).resolve().parent.parent.parent
PACKAGE = REPOSITORY / "synapse_bum"
SAMPLES = REPOSITORY / "config-samples"
README = (REPOSITORY / "README.md").read_text(encoding="utf-8")
ARCHITECTURE = (REPOSITORY / "ARCHITECTURE.md").read_text(encoding="utf-8")
API = (REPOSITORY / "docs" / "api.md").read_text(encoding="utf-8")
HANDBOOK = (REPOSITORY / "docs" / "antivirus.md").read_text(encoding="utf-8")
RETENTION_HANDBOOK = (REPOSITORY / "docs" / "retention.md").read_text(encoding="utf-8")
DOCUMENTS = sorted([*REPOSITORY.glob("*.md"), *(REPOSITORY / "docs").glob("*.md")])

OF_THE_MACHINE = frozenset(
    {"DatabaseDirectory", "LocalSocket", "LocalSocketGroup", "LocalSocketMode", "TemporaryDirectory", "User"}
)
"""Lines of clamd.conf that name users and places, which the launcher chooses itself."""

Keys = tuple[str, ...]

ANTIVIRUS_MODULE = "synapse_bum.antivirus.AntivirusModule"
RETENTION_MODULE = "synapse_bum.retention.RetentionModule"
STORAGE_MODULE = "synapse_bum.storage.StorageModule"
MODULES: Mapping[str, tuple[Any, type]] = {
    ANTIVIRUS_MODULE: (AntivirusModule, AntivirusConfig),
    RETENTION_MODULE: (RetentionModule, RetentionConfig),
    STORAGE_MODULE: (StorageModule, StorageConfig),
    "synapse_bum.oidc.OidcModule": (OidcModule, OidcConfig),
}
"""Each module and its configuration."""

LIFETIMES: Mapping[Keys, str] = {
    ("messages", "lifetime"): "1y",
    ("local_media", "lifetime"): "90d",
    ("remote_media", "lifetime"): "14d",
}
"""The contract's, which are no defaults: what is to be deleted has to be written down."""


def reference_block(name: str) -> dict[str, Any]:
    """The `config:` of README's one block that names all keys of a module."""
    _, _, after = README.partition("\n## Configuration\n")
    loaded = [yaml.safe_load(block) for block in re.findall(r"```yaml\n(.*?)```", after, re.DOTALL)]
    modules = [module for block in loaded for module in block.get("modules", [])]
    (config,) = [module["config"] for module in modules if module["module"] == name]
    assert isinstance(config, dict)
    return config


def reference_leaves() -> Iterator[tuple[str, Keys, Any]]:
    """Every key of README's blocks with its module and its value."""
    for name in MODULES:
        yield from ((name, path, value) for path, value in leaves(reference_block(name)))


def leaves(config: Mapping[str, Any], path: Keys = ()) -> Iterator[tuple[Keys, Any]]:
    """Every key that is no section, with its value."""
    for key, value in config.items():
        place = (*path, key)
        if isinstance(value, Mapping) and place != ("heuristics",):
            yield from leaves(value, place)
        else:
            yield place, value


def keys_of_the_schema(config: type) -> set[Keys]:
    """Every key that the code accepts, sections left out."""
    places = {place for of_key in sections._key_paths(config, ()).values() for place in of_key}
    return {place for place in places if not any(other != place and other[: len(place)] == place for other in places)}


def nested(path: Keys, value: object) -> dict[str, Any]:
    """A configuration with one key."""
    for key in reversed(path):
        value = {key: value}
    assert isinstance(value, dict)
    return value


def clamd_options() -> dict[str, str]:
    """The lines of the sample clamd.conf."""
    lines = (SAMPLES / "clamd.conf").read_text(encoding="utf-8").splitlines()
    return dict(line.split(" ", 1) for line in lines if line and not line.startswith("#"))


def our_metrics() -> Iterator[MetricWrapperBase]:
    """Every metric of every room."""
    files = [path for path in PACKAGE.rglob("*.py") if "from prometheus_client" in path.read_text(encoding="utf-8")]
    names = sorted(".".join(path.relative_to(REPOSITORY).with_suffix("").parts) for path in files)
    rooms = ("antivirus", "deletion", "federation", "oidc", "retention", "storage")
    assert {f"synapse_bum.{room}.metrics" for room in rooms} <= set(names)
    for name in names:
        yield from (metric for metric in vars(import_module(name)).values() if isinstance(metric, MetricWrapperBase))


def exported_name(metric: MetricWrapperBase) -> str:
    """What /_synapse/metrics calls a metric."""
    (family,) = metric.collect()
    return f"{family.name}_total" if isinstance(metric, Counter) else family.name


def exported_names() -> set[str]:
    """The names of all our metrics, as /_synapse/metrics shows them."""
    return {exported_name(metric) for metric in our_metrics()}


def json_examples() -> list[dict[str, Any]]:
    """Every JSON object that docs/api.md shows."""
    blocks = re.findall(r"^    \{.*(?:\n     .*)*(?:\n    \})?$", API, re.MULTILINE)
    return [json.loads(block) for block in blocks]


@pytest.mark.parametrize("name", MODULES)
def test_readmes_block_names_every_key(name: str) -> None:
    _module, config = MODULES[name]
    assert {path for path, _ in leaves(reference_block(name))} == keys_of_the_schema(config)


@pytest.mark.parametrize(
    ("name", "path", "value"),
    [pytest.param(*leaf, id=".".join(leaf[1])) for leaf in reference_leaves() if leaf[1] not in LIFETIMES],
)
def test_readmes_block_shows_the_true_default(name: str, path: Keys, value: object) -> None:
    module, _config = MODULES[name]
    assert module.parse_config(nested(path, value)) == module.parse_config({})


def test_readme_and_samples_show_the_contracts_lifetimes_which_are_no_defaults() -> None:
    assert not RetentionModule.parse_config({}).lifetimes
    samples = [
        yaml.safe_load((SAMPLES / name).read_text(encoding="utf-8")) for name in ("retention.yaml", "homeserver.yaml")
    ]
    of_samples = [
        module["config"] for sample in samples for module in sample["modules"] if module["module"] == RETENTION_MODULE
    ]
    for config in (reference_block(RETENTION_MODULE), *of_samples):
        assert {path: value for path, value in leaves(config) if path in LIFETIMES} == LIFETIMES


def test_readmes_block_names_every_class_of_heuristics_that_has_a_default() -> None:
    assert set(reference_block(ANTIVIRUS_MODULE)["heuristics"]) == set(AntivirusModule.parse_config({}).heuristics)


def test_the_errors_that_readme_shows_are_those_that_are_printed() -> None:
    shown = re.findall(r"^\| `([^`]+)` \| `` (.+) `` \|$", README, re.MULTILINE)
    assert len(shown) > 4
    for written, printed in shown:
        messages = []
        for module in (*(module for module, _config in MODULES.values()), OidcMappingProvider):
            with pytest.raises(ConfigError) as caught:
                module.parse_config(yaml.safe_load(written))
            messages.append(caught.value.msg)
        assert printed.replace(r"\|", "|") in messages


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("antivirus.yaml", [ANTIVIRUS_MODULE]),
        ("retention.yaml", [RETENTION_MODULE]),
        ("storage.yaml", [STORAGE_MODULE]),
        ("homeserver.yaml", [ANTIVIRUS_MODULE, RETENTION_MODULE, STORAGE_MODULE]),
    ],
)
def test_synapse_and_our_modules_accept_the_samples(name: str, expected: list[str]) -> None:
    homeserver_config = HomeServerConfig()
    homeserver_config.modules.read_config(yaml.safe_load((SAMPLES / name).read_text(encoding="utf-8")))
    loaded = [(module, type(config)) for module, config in homeserver_config.modules.loaded_modules]
    assert loaded == [MODULES[module] for module in expected]


def test_every_yaml_sample_is_looked_at() -> None:
    assert {path.name for path in SAMPLES.glob("*.yaml")} == {
        "alerts.yaml",  # tests/unit/storage/test_storage_samples.py
        "antivirus.yaml",
        "federation.yaml",  # tests/unit/federation/test_federation_samples.py
        "homeserver.yaml",
        "ingress-nginx.yaml",  # tests/e2e/test_nginx_sample.py
        "log.yaml",
        "oidc-entra-id.yaml",  # tests/unit/oidc/test_oidc_samples.py, as the next two
        "oidc-keycloak.yaml",
        "oidc-okta.yaml",
        "retention.yaml",
        "storage.yaml",
    }


def test_the_sample_log_keeps_the_loggers_of_modules() -> None:
    log = yaml.safe_load((SAMPLES / "log.yaml").read_text(encoding="utf-8"))
    assert log["disable_existing_loggers"] is False
    assert "synapse_bum.audit" in log["loggers"]


def test_the_sample_scanner_fits_the_modules_defaults() -> None:
    clamd, ours = clamd_options(), AntivirusModule.parse_config({})
    assert clamd_protocol.parse_address(ours.scanner.address[0]).path == clamd["LocalSocket"]
    for limit in ("MaxFileSize", "MaxScanSize", "StreamMaxLength"):
        assert parse_size(clamd[limit]) >= ours.max_scan_size, limit
    assert int(clamd["ReadTimeout"]) * 1000 > ours.scanner.timeout_ms > int(clamd["MaxScanTime"])
    assert int(clamd["MaxThreads"]) > ours.scanner.max_connections


@pytest.mark.requires("clamd")
def test_a_real_clamd_accepts_the_sample_and_says_where_it_did_not_look() -> None:
    options = clamd_options()
    assert set(options) > OF_THE_MACHINE
    contents = {
        b"OK": b"clean",
        b"Eicar-Test-Signature.UNOFFICIAL FOUND": malware.zipped(malware.EICAR),
        b"Heuristics.Encrypted.Zip FOUND": malware.encrypted_zip(malware.EICAR),
        b"Heuristics.Limits.Exceeded.MaxRecursion FOUND": malware.nested_zip(18),
    }
    clamd = RealClamd()
    clamd.options.update({name: value for name, value in options.items() if name not in OF_THE_MACHINE})
    with clamd:
        for verdict, content in contents.items():
            with memory_file(content) as descriptor:
                assert scan_descriptor(clamd.address_unix, descriptor).rstrip(b"\0").endswith(b": " + verdict)


def test_readme_names_every_metric_with_its_labels() -> None:
    rows = re.findall(r"^\| `(synapse_bum_\w+)` \| (\w+) \|([^|]*)\|", README, re.MULTILINE)
    assert len(rows) == len({name for name, _, _ in rows})
    shown = {name: (kind, set(re.findall(r"`(\w+)`", labels))) for name, kind, labels in rows}
    exported = {exported_name(metric): (metric._type, set(metric._labelnames)) for metric in our_metrics()}
    assert shown == exported


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_documents_name_no_metric_that_is_not_there(document: Path) -> None:
    storage = (LEDGER, USERS, SNAPSHOTS, ALERTS, LIMIT, ORPHANS, recounts.RECOUNTS)
    components = (ANTIVIRUS, AUDIT, DELETION, FEDERATION, OIDC, SECRETS, *storage)
    statements = [text for component in components for one in component.migrations for text in one.sqlite]
    tables = set(re.findall(r"CREATE TABLE (\w+)", " ".join(statements)))
    assert tables
    named = set(re.findall(r"synapse_bum_[a-z0-9][a-z0-9_]*", document.read_text(encoding="utf-8")))
    assert named <= exported_names() | tables


def test_the_policies_of_deletions_that_readme_names_are_those_of_the_code() -> None:
    (kinds, policies) = re.findall(r"`synapse_bum_deleted_files_total` .*`kind`: (.*?); `policy`: (.*?) \|", README)[0]
    assert set(kinds.split(", ")) == {kind.value for kind in Kind}
    antivirus = {own_media.SENDER_POLICY, own_media.ROOM_ADMIN_POLICY, redactions.POLICY, finding_deletion.POLICY}
    retention = {kind.policy for kind in RetentionClass}
    of_files = retention - {RetentionClass.MESSAGES.policy}
    assert set(policies.split(", ")) == antivirus | of_files
    assert set(re.findall(r"`(antivirus:\w+)`", HANDBOOK)) == antivirus
    assert set(re.findall(r"`(retention:\w+)`", RETENTION_HANDBOOK)) == retention


def test_the_api_reference_names_every_route_and_who_may_use_it() -> None:
    who = {Access.USER: "every user", Access.ADMIN: "administrators", Access.OPERATOR: "operators"}
    table = RouteTable()
    routes = Routes(table, SharedConfig())
    apis: list[Any] = [AntivirusApi, HeldMedia, OwnMedia, RetentionApi, HoldsApi, StorageApi, OrphansApi]
    for api in (*apis, FederationApi, ListApi, OidcApi):
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


def test_the_check_that_readme_shows_warns_in_these_words() -> None:
    assert f"    WARNING {REQUIRE_SCAN_OFF}\n" in README


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_in_documents_lead_somewhere(document: Path) -> None:
    targets = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", document.read_text(encoding="utf-8"))
    assert [target for target in targets if not (document.parent / target).exists()] == []


def test_the_files_that_architecture_names_are_there() -> None:
    named = set(re.findall(r"`([\w./-]+\.(?:py|toml|cfg|md|yaml))`", ARCHITECTURE))
    assert named
    folders = [PACKAGE, REPOSITORY / "tests", REPOSITORY / "docs"]
    there = [*REPOSITORY.glob("*.*"), *(path for folder in folders for path in folder.rglob("*.*"))]
    assert {name for name in named if not any(str(path).endswith(f"/{name}") for path in there)} == set()


def test_the_table_of_test_doubles_names_every_module() -> None:
    (table,) = re.findall(r"\|---\|---\|\n((?:\|.*\n)+)", testing.__doc__ or "")
    named = [name for row in table.splitlines() for name in re.findall(r"`(\w+)`", row.split("|")[1])]
    modules = {path.stem for path in (PACKAGE / "testing").glob("*.py")} - {"__init__"}
    assert sorted(named) == sorted(modules)
