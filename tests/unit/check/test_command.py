"""`synapse-bum check` as scripts use it: exit status, JSON, what it looks at, and that nothing makes it fall over."""

import json
import re
from pathlib import Path
from typing import Any

import attr
import pytest
import yaml
from cryptography.fernet import Fernet
from hypothesis import given, settings
from hypothesis import strategies as st

from synapse_bum.cli import main
from synapse_bum.cli.check import catalogue
from synapse_bum.cli.check.catalogue import Check
from synapse_bum.cli.check.checks import Surroundings, check
from synapse_bum.cli.check.configuration import ConfigurationError
from synapse_bum.cli.check.given import Given
from synapse_bum.cli.check.machine import Machine

REPOSITORY = Path(__file__).resolve().parents[3]
SAMPLES = REPOSITORY / "config-samples"
PAGE = (REPOSITORY / "docs" / "check.md").read_text(encoding="utf-8")
CODE = Path(catalogue.__file__).parent
QUIET = Machine("Filename\n", "core", 0, {"/": "ext4", "/run": "tmpfs"})
SECRETS = ("messenger.example.signing.key", "registration_shared_secret", "macaroon_secret_key", "probe-token")


@pytest.fixture
def samples(tmp_path: Path) -> Path:
    """The samples, where their folders and files are there."""
    for name in ("etc", "lib", "log"):
        (tmp_path / name).mkdir()
    places = {"/etc/matrix-synapse": "etc", "/var/lib/matrix-synapse": "lib", "/var/log/matrix-synapse": "log"}
    for sample in SAMPLES.glob("*.*"):
        text = sample.read_text(encoding="utf-8")
        for place, name in places.items():
            text = text.replace(place, str(tmp_path / name))
        (tmp_path / ("etc/log.yaml" if sample.name == "log.yaml" else sample.name)).write_text(text)
    for name in (*SECRETS, "portal-session-keys"):
        path = tmp_path / "etc" / name
        path.write_bytes(Fernet.generate_key())
        path.chmod(0o400)
    return tmp_path


def found(*paths: Path, around: Surroundings | None = None) -> list[str]:
    around = around or Surroundings(machine=QUIET)
    return [f"{remark.level.value} {remark.check.value} {remark.text}" for remark in check(paths, around)]


def test_the_samples_pass_without_a_warning(samples: Path) -> None:
    given_files = Given(samples / "clamd.conf", samples / "c-icap.conf", (samples / "nginx.conf",))
    assert found(samples / "homeserver.yaml", around=Surroundings(given=given_files, machine=QUIET)) == []
    (line,) = found(samples / "homeserver.yaml")
    assert line.startswith("NOTE portal.proxy ")


def test_the_samples_with_the_mistakes_of_each_day(samples: Path) -> None:
    """What research and operators know of, each in one place of a good homeserver."""
    good = yaml.safe_load((samples / "homeserver.yaml").read_text())
    changes: list[tuple[dict[str, Any], str]] = [
        ({"modules": []}, "ERROR modules.none"),
        ({"retention": {"enabled": True}}, "WARNING retention.synapse"),
        ({"media_retention": {"local_media_lifetime": "90d"}}, "WARNING retention.synapse-media"),
        ({"max_upload_size": "500M"}, "WARNING antivirus.scan-size"),
        ({"max_upload_size": "much"}, "ERROR antivirus.upload-size"),
        ({"media_store_path": str(samples / "nginx.conf" / "media")}, "ERROR media.folder"),
        ({"macaroon_secret_key_path": "/nowhere"}, "ERROR secrets.file"),
        ({"log_config": "/nowhere"}, "ERROR log.file"),
        ({"listeners": {}}, "ERROR configuration.shape"),
        (
            {"oidc_providers": [{"idp_id": "a"}], "matrix_authentication_service": {"enabled": True}},
            "ERROR oidc.mas",
        ),
    ]
    path = samples / "changed.yaml"
    for change, expected in changes:
        path.write_text(yaml.safe_dump({**good, **change}))
        assert [line for line in found(path) if line.startswith(f"{expected} ")], change
    path.write_text(yaml.safe_dump({"modules": [{"module": "another.Module"}]}))
    lines = found(samples / "homeserver.yaml", path)
    assert [line for line in lines if line.startswith("ERROR configuration.replaced-modules ")]


@pytest.mark.parametrize("value", ["missing", None, ["a.example"]])
def test_federation_that_is_open(tmp_path: Path, value: object) -> None:
    module = {"module": "synapse_bum.federation.FederationModule", "config": {"admin_hosts": ["a.example"]}}
    homeserver: dict[str, Any] = {
        "server_name": "own.example",
        "trusted_key_servers": [],
        "room_list_publication_rules": [],
        "modules": [module],
    }
    path = tmp_path / "homeserver.yaml"
    path.write_text(yaml.safe_dump(homeserver | {"federation_domain_whitelist": []}))
    assert found(path) == []
    path.write_text(yaml.safe_dump(homeserver | ({} if value == "missing" else {"federation_domain_whitelist": value})))
    (line,) = found(path)
    assert line.startswith("ERROR federation.whitelist ")
    assert ("talks with every server" in line) is not isinstance(value, list)


def test_a_worker_is_looked_at_too(samples: Path) -> None:
    path = samples / "worker.yaml"
    clients = [{"port": 8001, "type": "http", "resources": [{"names": ["client"]}]}]
    worker: dict[str, Any] = {
        "worker_app": "synapse.app.generic_worker",
        "worker_name": "media",
        "enable_media_repo": True,
        "worker_listeners": clients,
    }
    path.write_text(yaml.safe_dump(worker))
    (samples / "shared.yaml").write_text("enable_media_repo: false")
    files = (samples / "homeserver.yaml", samples / "shared.yaml", path)
    around = Surroundings(machine=QUIET)
    assert [line.split()[1] for line in found(*files, around=around)] == ["portal.proxy"]
    path.write_text(yaml.safe_dump({key: value for key, value in worker.items() if key != "worker_listeners"}))
    assert [line.split()[1] for line in found(*files, around=around)] == ["listeners.no-clients", "portal.proxy"]
    metrics = [{"port": 9001, "type": "http", "resources": [{"names": ["metrics"]}]}]
    path.write_text(yaml.safe_dump(worker | {"worker_listeners": metrics, "worker_log_config": "/nowhere.yaml"}))
    lines = found(*files, around=around)
    assert [line.split()[1] for line in lines] == ["listeners.no-clients", "log.file", "portal.proxy"]
    wrong = [{"module": "synapse_bum.antivirus.AntivirusModul"}]
    path.write_text(yaml.safe_dump(worker | {"modules": wrong}))
    assert {line.split()[1] for line in found(*files, around=around)} >= {
        "configuration.replaced-modules",
        "modules.unknown",
    }


def test_what_may_reach_a_disk_is_said_where_files_are_decrypted(samples: Path) -> None:
    machine = attr.evolve(QUIET, swaps="Filename\n/swapfile file 1 0 -2\n", core_limit=-1)
    around = Surroundings(machine=machine)
    checks = [line.split()[1] for line in found(samples / "homeserver.yaml", around=around)]
    assert {"machine.swap", "machine.core-dumps"} <= set(checks)
    assert not [line for line in found(samples / "storage.yaml", around=around) if " machine." in line]


def asked(capsys: pytest.CaptureFixture[str], *options: str) -> tuple[int, str, str]:
    status = main(["check", "--offline", *options])
    captured = capsys.readouterr()
    return status, captured.out, captured.err


def test_the_exit_status_is_for_scripts(samples: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fine, warned, wrong = str(samples / "homeserver.yaml"), tmp_path / "warned.yaml", tmp_path / "wrong.yaml"
    warned.write_text("modules: [{module: synapse_bum.storage.StorageModule}]\n")
    wrong.write_text("modules: []\n")
    assert asked(capsys, "-c", fine, "--strict")[0] == 0
    assert asked(capsys, "-c", str(warned))[0] == 0
    assert asked(capsys, "-c", str(warned), "--strict")[0] == 1
    assert asked(capsys, "-c", str(wrong))[0] == 1
    assert asked(capsys, "-c", fine, "--ca-file", fine)[0] == 2
    with pytest.raises(SystemExit) as ended:
        main(["check"])
    assert ended.value.code == 2
    status, _said, sentence = asked(capsys, "-c", fine, "--clamd-conf", str(tmp_path / "nothing"))
    assert (status, "nothing: No such file" in sentence) == (1, True)


def test_the_json_is_whole_and_of_the_same_findings(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "homeserver.yaml"
    path.write_text("modules: [{module: synapse_bum.storage.StorageModule}]\nlisteners: 5\n")
    status, said, sentence = asked(capsys, "--json", "-c", str(path))
    answer = json.loads(said)
    assert (status, sentence) == (1, "")
    assert set(answer) == {"findings", "summary"}
    assert all(set(one) == {"check", "level", "where", "says", "remedy"} for one in answer["findings"])
    assert all(isinstance(one["remedy"], str) and one["remedy"] for one in answer["findings"])
    assert {one["check"] for one in answer["findings"]} <= {one.value for one in Check}
    (shape,) = [one for one in answer["findings"] if one["check"] == "configuration.shape"]
    assert (shape["level"], shape["where"], shape["says"]) == ("error", "listeners", "must be a list, not int")
    levels = [one["level"] for one in answer["findings"]]
    assert answer["summary"] == {
        "errors": levels.count("error"),
        "warnings": levels.count("warning"),
        "notes": 0,
        "ok": 0,
        "passed": False,
    }
    lines = asked(capsys, "-c", str(path))[1].splitlines()
    assert len(lines) == len(answer["findings"])


def test_a_file_that_is_missing_is_json_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, said, _sentence = asked(capsys, "--json", "-c", str(tmp_path / "nothing.yaml"))
    (finding,) = json.loads(said)["findings"]
    assert (status, finding["check"], finding["level"]) == (1, "configuration.file", "error")


def test_the_page_has_a_line_for_each_check_and_no_other() -> None:
    rows = re.findall(r"^\| `([a-z-]+\.[a-z-]+)` \| ([^|]+) \| ([^|]+) \|$", PAGE, re.MULTILINE)
    assert [name for name, _means, _change in rows] == [one.value for one in Check]
    assert all(len(means) > 20 and len(change) > 10 for _name, means, change in rows)


def test_each_check_is_made_and_has_a_remedy() -> None:
    code = "\n".join(path.read_text(encoding="utf-8") for path in CODE.rglob("*.py") if path.name != "catalogue.py")
    assert [one.name for one in Check if f"Check.{one.name}," not in code and f"Check.{one.name}\n" not in code] == []
    assert all(one.remedy for one in Check)
    assert len({one.value for one in Check}) == len(Check)


KEYS = (
    "modules",
    "listeners",
    "worker_listeners",
    "log_config",
    "retention",
    "media_retention",
    "media_storage_providers",
    "email",
    "database",
    "max_upload_size",
    "oidc_providers",
    "oidc_config",
    "matrix_authentication_service",
    "federation_domain_whitelist",
    "server_name",
    "trusted_key_servers",
    "worker_app",
    "worker_name",
    "enable_media_repo",
    "media_store_path",
    "signing_key_path",
    "redis",
    "redaction_retention_period",
    "public_baseurl",
)
ODD: tuple[Any, ...] = (
    *(None, True, 5, 1.5, "a", "a\0b", "https://[a", [], [5], ["a"], [[]], [{}], [{"a": 5}], {}, {"a": 5}),
    *([{"resources": 5}], [{"resources": [5, {"names": 5}]}], [{"module": 5}], [{"server_name": 5}], {"enabled": []}),
)
NAMES = ("antivirus.Antivirus", "federation.Federation", "oidc.Oidc", "portal.Portal", "retention.Retention")
WORDS = st.sampled_from([*KEYS, "bind_addresses", "resources", "names", "module", "config", "port"])
MODULES = st.sampled_from([f"synapse_bum.{name}Module" for name in (*NAMES, "storage.Storage", "other.Other")])
LEAVES = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8), MODULES)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.one_of(WORDS, LEAVES), inner, max_size=3),
        st.fixed_dictionaries({"module": MODULES, "config": inner}),
    ),
    max_leaves=12,
)
DOCUMENTS = st.dictionaries(st.one_of(st.sampled_from(KEYS), LEAVES), VALUES, max_size=6)


@settings(max_examples=100)
@given(st.lists(DOCUMENTS, min_size=1, max_size=3))
def test_yaml_of_all_shapes_is_said_to_be_wrong_and_never_raises(
    tmp_path_factory: pytest.TempPathFactory, documents: list[Any]
) -> None:
    folder = tmp_path_factory.mktemp("yaml")
    paths = []
    for number, document in enumerate(documents):
        paths.append(folder / f"{number}.yaml")
        paths[-1].write_text(yaml.dump(document), encoding="utf-8")
    remarks = list(check(paths, Surroundings(machine=QUIET)))
    assert all(remark.text for remark in remarks)


@pytest.mark.parametrize("key", KEYS)
def test_each_section_may_hold_anything(samples: Path, key: str) -> None:
    good = yaml.safe_load((samples / "homeserver.yaml").read_text())
    good["modules"] += [
        {"module": "synapse_bum.federation.FederationModule", "config": {}},
        {"module": "synapse_bum.oidc.OidcModule", "config": {}},
    ]
    around = Surroundings(given=Given(proxies=(samples / "nginx.conf",)), machine=QUIET)
    path = samples / "odd.yaml"
    for value in ODD:
        path.write_text(yaml.safe_dump({**good, key: value}))
        assert found(path, around=around)


@settings(max_examples=100)
@given(st.one_of(st.text(), st.binary(max_size=200)))
def test_bytes_of_all_kinds_are_a_sentence(tmp_path_factory: pytest.TempPathFactory, content: str | bytes) -> None:
    path = tmp_path_factory.mktemp("bytes") / "homeserver.yaml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8", "surrogatepass"))
    assert read_or_refused(path, Surroundings(given=Given(path, path, (path,)), machine=QUIET))


@pytest.mark.parametrize(
    "content",
    [
        "a: &a [*a]",
        "modules: &a [*a]",
        "modules: &a {module: *a}",
        "[" * 5000,
        "a: 2026-02-30",
        "? [a]\n: b",
        "a: !!int x",
    ],
)
def test_yaml_that_is_unusual(tmp_path: Path, content: str) -> None:
    path = tmp_path / "homeserver.yaml"
    path.write_text(content)
    assert read_or_refused(path, Surroundings(machine=QUIET))


def read_or_refused(path: Path, around: Surroundings) -> bool:
    """Whether there are remarks, or one sentence about the file."""
    try:
        return bool(list(check([path], around)))
    except ConfigurationError as failure:
        return str(failure).startswith(str(path))
