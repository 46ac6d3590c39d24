"""The samples for BWI's Helm chart: its keys, a way to everything that the modules serve, settings that they take.

What the chart has stands in `bwi_chart.yaml`, with its source. Nobody here has a Kubernetes.
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from synapse_bum.antivirus.content_scanner.resource import PATH as CONTENT_SCANNER
from synapse_bum.cli.check.modules import MODULES, load_modules
from synapse_bum.oidc.scim.resource import PATH as SCIM
from synapse_bum.portal.addresses import PORTAL
from synapse_bum.quantities import parse_size
from synapse_bum.rest import BASE

pytestmark = pytest.mark.any_synapse

REPOSITORY = Path(__file__).resolve().parents[2]
SAMPLES = REPOSITORY / "config-samples"
CHART: Mapping[str, Any] = yaml.safe_load(Path(__file__).with_name("bwi_chart.yaml").read_text(encoding="utf-8"))
VALUES: Mapping[str, Any] = yaml.safe_load((SAMPLES / "bwi-values.yaml").read_text(encoding="utf-8"))
OBJECTS: list[Mapping[str, Any]] = list(
    yaml.safe_load_all((SAMPLES / "bwi-kubernetes.yaml").read_text(encoding="utf-8"))
)
POLICIES: list[Mapping[str, Any]] = list(
    yaml.safe_load_all((SAMPLES / "bwi-network-policies.yaml").read_text(encoding="utf-8"))
)
PAGE = (REPOSITORY / "docs" / "bwi-chart.md").read_text(encoding="utf-8")

SERVED = {
    "synapse_bum/antivirus/content_scanner/service.py": CONTENT_SCANNER,
    "synapse_bum/oidc/scim/wiring.py": SCIM,
    "synapse_bum/portal/module.py": PORTAL,
    "synapse_bum/rest/resource.py": BASE,
}
"""What modules serve, by the file that registers it."""


def keys(values: Mapping[str, Any], above: str = "") -> Iterator[str]:
    """The keys of a values.yaml down to where the chart passes on what it is given."""
    for name, value in values.items():
        path = f"{above}.{name}" if above else name
        known = re.sub(r"^workers\.\w+\.", "workers.*.", path)
        if known in CHART["keys"] or not isinstance(value, Mapping):
            yield known
        else:
            yield from keys(value, path)


def settings(module: str) -> Mapping[str, Any]:
    (found,) = [entry["config"] for entry in VALUES["extraConfig"]["modules"] if entry["module"].endswith(f".{module}")]
    return found  # type: ignore[no-any-return] # as YAML has it


def component_for(host: str, path: str) -> str:
    """The pod that ingress-nginx leads a path to: with `use-regex`, the longest path that matches comes first."""
    ways: dict[str, str] = dict(CHART["routes"][host])
    for media in VALUES["workers"]["media_repository"]["csPaths"]:
        if host == "admin" or "/_synapse/admin" not in media:
            ways[media] = "media-repository"
    return next(
        component
        for way, component in sorted(ways.items(), key=lambda item: -len(item[0]))
        if re.match(way, path, re.IGNORECASE)
    )


def test_the_chart_has_every_key() -> None:
    assert set(keys(VALUES)) <= set(CHART["keys"])
    assert VALUES["workers"].keys() <= set(CHART["workers"])


def test_every_process_gets_bundle_secrets_and_logs_alike() -> None:
    main, workers = VALUES["synapse"], VALUES["workers"]["default"]
    assert main["extraEnv"] == workers["extraEnv"]
    assert main["extraVolumes"] == workers["volumes"]
    assert main["extraVolumeMounts"] == workers["volumeMounts"]
    assert {volume["name"] for volume in main["extraVolumes"]} == {m["name"] for m in main["extraVolumeMounts"]}
    own = {"extraEnv", "volumes", "volumeMounts"}
    assert [kind for kind, value in VALUES["workers"].items() if kind != "default" and own & value.keys()] == []


def test_python_finds_the_bundle_where_the_config_map_is_mounted() -> None:
    (variable,) = VALUES["synapse"]["extraEnv"]
    (mount,) = [one for one in VALUES["synapse"]["extraVolumeMounts"] if one["name"] == "bum-modules"]
    (volume,) = [one for one in VALUES["synapse"]["extraVolumes"] if one["name"] == "bum-modules"]
    key = variable["value"].removeprefix(f"{mount['mountPath']}/")
    assert variable["name"] == "PYTHONPATH"
    assert f"kubectl create configmap {volume['configMap']['name']} -n bum --from-file={key}=dist/synapse_bum-" in PAGE


def test_files_that_the_modules_name_are_mounted_and_made() -> None:
    mounts = {mount["mountPath"]: mount for mount in VALUES["synapse"]["extraVolumeMounts"]}
    named = set(re.findall(r": (/synapse/\S+)$", yaml.safe_dump(VALUES["extraConfig"]), re.MULTILINE))
    assert named
    for path in named:
        folder, _, name = path.rpartition("/")
        if "logs" in folder:
            assert not mounts[folder].get("readOnly")
        else:
            assert mounts[folder]["readOnly"]
            assert f"--from-file={name}=" in PAGE


def test_the_modules_take_their_settings() -> None:
    configs, wrong = load_modules(VALUES["extraConfig"])
    assert wrong == []
    # Where the chart has MAS, its default, Synapse itself signs nobody in.
    assert configs.keys() == MODULES.keys() - {"synapse_bum.oidc.OidcModule"}


def test_synapse_deletes_nothing_by_itself_and_federates_with_nobody() -> None:
    assert VALUES["extraConfig"]["media_retention"] == {"remote_media_lifetime": None}
    assert VALUES["extraConfig"]["federation_domain_whitelist"] == []


def test_hosts_are_one_and_the_same() -> None:
    host = VALUES["adminAPIServerName"]
    for module in VALUES["extraConfig"]["modules"]:
        assert module["config"]["admin_hosts"] == [host]
    assert settings("PortalModule")["hosts"] == [host]
    assert settings("PortalModule")["admin_api_url"] == f"https://{host}"


def test_what_the_modules_serve_is_known_here() -> None:
    registering = {
        path.relative_to(REPOSITORY).as_posix()
        for path in (REPOSITORY / "synapse_bum").rglob("*.py")
        if "register_web_resource(" in path.read_text(encoding="utf-8") and "testing" not in path.parts
    }
    assert registering == SERVED.keys()


@pytest.mark.parametrize(
    "path", ["public_key", "scan/a/b", "scan_encrypted", "download/a/b", "download_encrypted", "thumbnail/a/b"]
)
def test_the_content_scanner_is_asked_where_the_media_are(path: str) -> None:
    assert component_for("public", f"{CONTENT_SCANNER}/{path}") == "media-repository"


@pytest.mark.parametrize("path", CHART["media_paths"])
def test_the_paths_of_the_media_worker_stay(path: str) -> None:
    assert path in VALUES["workers"]["media_repository"]["csPaths"]


@pytest.mark.parametrize(
    ("host", "path"),
    [("public", f"{BASE}/media"), ("admin", f"{BASE}/audit"), ("admin", f"{PORTAL}/"), ("admin", f"{SCIM}/Users")],
)
def test_everything_else_comes_to_main(host: str, path: str) -> None:
    assert VALUES["ingress"]["includeUnderscoreSynapse"]
    assert component_for(host, path) == "synapse"


@pytest.mark.parametrize("path", ["users/@a:b/media", "media/a/b", "room/!a:b/media", "quarantine_media/a/b"])
def test_the_portals_ways_to_files_end_at_the_media_worker(path: str) -> None:
    assert component_for("admin", f"/_synapse/admin/v1/{path}") == "media-repository"


def test_the_scanner_of_the_chart_is_reached_through_its_network_policies() -> None:
    address = settings("AntivirusModule")["scanner"]["address"]
    assert address == f"icap://bum-schadcodescanner:{CHART['icap_port']}/virus_scan"
    assert VALUES["schadcodescanner"]["enabled"]
    assert VALUES["contentscanner"]["enabled"], "the chart refuses the scanner without it"
    policies = {
        (kind, one["spec"]["podSelector"]["matchLabels"]["app.kubernetes.io/component"]): one["spec"][kind.lower()]
        for one in POLICIES
        for kind in one["spec"]["policyTypes"]
    }
    for at, direction, other in (
        (("Ingress", "schadcodescanner"), "from", "media-repository"),
        (("Egress", "media-repository"), "to", "schadcodescanner"),
    ):
        assert {at[1], other} <= set(CHART["components"])
        (rule,) = policies[at]
        (peer,) = rule[direction]
        assert peer["podSelector"]["matchLabels"] == {"app.kubernetes.io/component": other}
        assert rule["ports"] == [{"protocol": "TCP", "port": CHART["icap_port"]}]


def test_network_policies_are_apart_from_what_every_cluster_needs() -> None:
    """Where the chart has none of its own, a pod that one policy names is cut off from all that it does not allow."""
    assert {one["kind"] for one in OBJECTS} == {"PersistentVolumeClaim"}
    assert {one["kind"] for one in POLICIES} == {"NetworkPolicy"}
    assert {one["spec"]["podSelector"]["matchLabels"]["app.kubernetes.io/component"] for one in POLICIES} <= set(
        CHART["components"]
    ), "never every pod"
    (step,) = re.findall(r"^\d+\. (.*)\n\n +kubectl apply -n bum -f bwi-network-policies\.yaml$", PAGE, re.MULTILINE)
    assert "nur wenn `networkpolicies.enabled` wahr ist" in step


def test_main_reaches_the_ingress_by_which_the_portal_asks() -> None:
    (policy,) = [one["spec"] for one in POLICIES if one["metadata"]["name"] == "synapse-bum-portal-to-ingress"]
    assert policy["podSelector"]["matchLabels"] == {"app.kubernetes.io/component": component_for("admin", PORTAL)}
    assert policy["policyTypes"] == ["Egress"]
    assert settings("PortalModule")["admin_api_url"].startswith("https://")
    assert policy["egress"][0]["ports"] == [{"protocol": "TCP", "port": 443}]


def test_uploads_are_no_larger_than_the_charts_clamd_scans() -> None:
    scanned = parse_size(settings("AntivirusModule")["max_scan_size"])
    assert parse_size(VALUES["extraConfig"]["max_upload_size"]) <= scanned


def test_the_logs_have_a_volume_that_all_processes_can_write() -> None:
    (claim,) = [one for one in OBJECTS if one["kind"] == "PersistentVolumeClaim"]
    (volume,) = [one for one in VALUES["synapse"]["extraVolumes"] if one["name"] == "bum-logs"]
    assert volume["persistentVolumeClaim"]["claimName"] == claim["metadata"]["name"]
    assert claim["spec"]["accessModes"] == ["ReadWriteMany"]
