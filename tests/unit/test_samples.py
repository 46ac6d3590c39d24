"""What README, the samples and the handbook promise is what the code does: keys, defaults, metrics, routes, files."""

import re
from collections.abc import Iterator, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import Counter
from prometheus_client.metrics import MetricWrapperBase
from synapse.config.homeserver import HomeServerConfig
from synapse.module_api.errors import ConfigError

from synapse_bum import testing
from synapse_bum.antivirus import AntivirusModule, own_media
from synapse_bum.antivirus.config import AntivirusConfig
from synapse_bum.antivirus.events import redactions
from synapse_bum.antivirus.findings import finding_deletion
from synapse_bum.availability import AvailabilityModule
from synapse_bum.availability.config import AvailabilityConfig
from synapse_bum.cli.backup import metrics_file
from synapse_bum.cli.check.antivirus import REQUIRE_SCAN_OFF
from synapse_bum.deletion import Kind
from synapse_bum.oidc import OidcMappingProvider, OidcModule
from synapse_bum.oidc.config import OidcConfig
from synapse_bum.portal import PortalModule
from synapse_bum.portal.config import PortalConfig
from synapse_bum.portal.files import file_deletion
from synapse_bum.reading import sections
from synapse_bum.recovery import RecoveryModule, deleted_files
from synapse_bum.recovery.config import RecoveryConfig
from synapse_bum.retention import RetentionModule
from synapse_bum.retention.classes import RetentionClass
from synapse_bum.retention.config import RetentionConfig
from synapse_bum.storage import StorageModule
from synapse_bum.storage.config import StorageConfig
from synapse_bum.testing.own_tables import own_tables

REPOSITORY = Path(__file__).resolve().parent.parent.parent
PACKAGE = REPOSITORY / "synapse_bum"
SAMPLES = REPOSITORY / "config-samples"
README = (REPOSITORY / "README.md").read_text(encoding="utf-8")
ARCHITECTURE = (REPOSITORY / "ARCHITECTURE.md").read_text(encoding="utf-8")
HANDBOOK = (REPOSITORY / "docs" / "antivirus.md").read_text(encoding="utf-8")
RETENTION_HANDBOOK = (REPOSITORY / "docs" / "retention.md").read_text(encoding="utf-8")
DOCUMENTS = sorted([*REPOSITORY.glob("*.md"), *(REPOSITORY / "docs").glob("*.md")])

Keys = tuple[str, ...]

ANTIVIRUS_MODULE = "synapse_bum.antivirus.AntivirusModule"
AVAILABILITY_MODULE = "synapse_bum.availability.AvailabilityModule"
RECOVERY_MODULE = "synapse_bum.recovery.RecoveryModule"
PORTAL_MODULE = "synapse_bum.portal.PortalModule"
RETENTION_MODULE = "synapse_bum.retention.RetentionModule"
STORAGE_MODULE = "synapse_bum.storage.StorageModule"
MODULES: Mapping[str, tuple[Any, type]] = {
    ANTIVIRUS_MODULE: (AntivirusModule, AntivirusConfig),
    AVAILABILITY_MODULE: (AvailabilityModule, AvailabilityConfig),
    RECOVERY_MODULE: (RecoveryModule, RecoveryConfig),
    RETENTION_MODULE: (RetentionModule, RetentionConfig),
    STORAGE_MODULE: (StorageModule, StorageConfig),
    PORTAL_MODULE: (PortalModule, PortalConfig),
    "synapse_bum.oidc.OidcModule": (OidcModule, OidcConfig),
}
"""Each module and its configuration."""

REQUIRED: Mapping[str, Mapping[str, Any]] = {
    PORTAL_MODULE: {"hosts": ["admin.messenger.example"], "admin_api_url": "https://admin.messenger.example"}
}
"""Keys without a default, by module, as README has them."""

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


def our_metrics() -> Iterator[MetricWrapperBase]:
    """Every metric of every room."""
    files = [path for path in PACKAGE.rglob("*.py") if "from prometheus_client" in path.read_text(encoding="utf-8")]
    names = sorted(".".join(path.relative_to(REPOSITORY).with_suffix("").parts) for path in files)
    rooms = ("antivirus", "availability", "deletion", "federation", "oidc", "retention", "storage")
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


@pytest.mark.parametrize("name", MODULES)
def test_readmes_block_names_every_key(name: str) -> None:
    _module, config = MODULES[name]
    shown = list(leaves(reference_block(name)))
    left_out = [path for path, value in shown if value is None]  # a section that is null stands for its keys
    wanted = {next((path for path in left_out if key[: len(path)] == path), key) for key in keys_of_the_schema(config)}
    assert {path for path, _ in shown} == wanted


@pytest.mark.parametrize(
    ("name", "path", "value"),
    [pytest.param(*leaf, id=".".join(leaf[1])) for leaf in reference_leaves() if leaf[1] not in LIFETIMES],
)
def test_readmes_block_shows_the_true_default(name: str, path: Keys, value: object) -> None:
    module, _config = MODULES[name]
    required = REQUIRED.get(name, {})
    assert module.parse_config({**required, **nested(path, value)}) == module.parse_config({**required})


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
        ("availability.yaml", [AVAILABILITY_MODULE]),
        ("recovery.yaml", [RECOVERY_MODULE]),
        ("retention.yaml", [RETENTION_MODULE]),
        ("storage.yaml", [STORAGE_MODULE]),
        ("portal.yaml", [PORTAL_MODULE]),
        (
            "homeserver.yaml",
            [ANTIVIRUS_MODULE, RETENTION_MODULE, STORAGE_MODULE, AVAILABILITY_MODULE, PORTAL_MODULE],
        ),
    ],
)
def test_synapse_and_our_modules_accept_the_samples(name: str, expected: list[str]) -> None:
    homeserver_config = HomeServerConfig()
    homeserver_config.modules.read_config(yaml.safe_load((SAMPLES / name).read_text(encoding="utf-8")))
    loaded = [(module, type(config)) for module, config in homeserver_config.modules.loaded_modules]
    assert loaded == [MODULES[module] for module in expected]


def test_every_yaml_sample_is_looked_at() -> None:
    assert {path.name for path in SAMPLES.glob("*.yaml")} == {
        "alerts.yaml",  # tests/unit/observability/test_alerts.py
        "antivirus.yaml",
        "availability.yaml",
        "bwi-kubernetes.yaml",  # tests/unit/test_bwi_chart.py, as the next ones
        "bwi-network-policies.yaml",
        "bwi-values.yaml",
        "federation.yaml",  # tests/unit/federation/test_federation_samples.py
        "homeserver.yaml",
        "ingress-nginx.yaml",  # tests/e2e/test_nginx_sample.py
        "log-json.yaml",  # tests/unit/observability/test_json_log.py
        "log.yaml",
        "oidc-entra-id.yaml",  # tests/unit/oidc/test_oidc_samples.py, as the next two
        "oidc-keycloak.yaml",
        "oidc-okta.yaml",
        "portal.yaml",  # tests/unit/portal/test_config.py
        "prometheus.yaml",  # tests/unit/observability/test_alerts.py
        "recovery.yaml",
        "retention.yaml",
        "storage.yaml",
    }


def test_the_sample_log_keeps_the_loggers_of_modules() -> None:
    log = yaml.safe_load((SAMPLES / "log.yaml").read_text(encoding="utf-8"))
    assert log["disable_existing_loggers"] is False
    assert "synapse_bum.audit" in log["loggers"]


def test_readme_names_every_metric_with_its_labels() -> None:
    rows = re.findall(r"^\| `(synapse_bum_\w+)` \| (\w+) \|([^|]*)\|", README, re.MULTILINE)
    assert len(rows) == len({name for name, _, _ in rows})
    shown = {name: (kind, set(re.findall(r"`(\w+)`", labels))) for name, kind, labels in rows}
    exported = {exported_name(metric): (metric._type, set(metric._labelnames)) for metric in our_metrics()}
    assert shown == exported


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_documents_name_no_metric_that_is_not_there(document: Path) -> None:
    named = set(re.findall(r"synapse_bum_[a-z0-9][a-z0-9_]*", document.read_text(encoding="utf-8")))
    assert named <= exported_names() | own_tables() | metrics_file.NAMES


def test_the_policies_of_deletions_that_readme_names_are_those_of_the_code() -> None:
    (kinds, policies) = re.findall(r"`synapse_bum_deleted_files_total` .*`kind`: (.*?); `policy`: (.*?) \|", README)[0]
    assert set(kinds.split(", ")) == {kind.value for kind in Kind}
    antivirus = {own_media.SENDER_POLICY, own_media.ROOM_ADMIN_POLICY, redactions.POLICY, finding_deletion.POLICY}
    retention = {kind.policy for kind in RetentionClass}
    of_files = retention - {RetentionClass.MESSAGES.policy}
    portal = {file_deletion.FILE_POLICY, file_deletion.ACCOUNT_POLICY}
    assert set(policies.split(", ")) == antivirus | of_files | portal | {deleted_files.POLICY}
    assert set(re.findall(r"`(antivirus:\w+)`", HANDBOOK)) == antivirus
    assert set(re.findall(r"`(retention:\w+)`", RETENTION_HANDBOOK)) == retention


def test_the_check_that_readme_shows_warns_in_these_words() -> None:
    assert f"    WARNING {REQUIRE_SCAN_OFF}\n" in README


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_in_documents_lead_somewhere(document: Path) -> None:
    targets = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", document.read_text(encoding="utf-8"))
    assert [target for target in targets if not (document.parent / target).exists()] == []


def test_the_files_that_architecture_names_are_there() -> None:
    named = set(re.findall(r"`([\w./-]+\.(?:py|toml|cfg|md|yaml))`", ARCHITECTURE))
    assert named
    folders = [PACKAGE, *(REPOSITORY / name for name in ("tests", "docs", "scripts"))]
    there = [*REPOSITORY.glob("*.*"), *(path for folder in folders for path in folder.rglob("*.*"))]
    assert {name for name in named if not any(str(path).endswith(f"/{name}") for path in there)} == set()


def test_the_table_of_test_doubles_names_every_module() -> None:
    (table,) = re.findall(r"\|---\|---\|\n((?:\|.*\n)+)", testing.__doc__ or "")
    named = [name for row in table.splitlines() for name in re.findall(r"`(\w+)`", row.split("|")[1])]
    modules = {path.stem for path in (PACKAGE / "testing").glob("*.py")} - {"__init__"}
    assert sorted(named) == sorted(modules)
