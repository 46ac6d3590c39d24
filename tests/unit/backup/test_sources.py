"""What of a homeserver belongs into its backup."""

from pathlib import Path
from typing import Any

import pytest

from synapse_bum.cli.backup.failure import BackupError
from synapse_bum.cli.backup.sources import LARGEST_SMALL_FILE, read_sources, refuse_gaps


def a_file(path: Path, size: int = 1) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(bytes(size))
    return str(path)


def homeserver(folder: Path, **more: Any) -> dict[str, Any]:  # noqa: ANN401 - values of YAML
    (folder / "media").mkdir(exist_ok=True)
    return {"server_name": "m.example", "media_store_path": str(folder / "media"), "signing_key": "x", **more}


def test_what_the_configuration_names_is_saved(tmp_path: Path) -> None:
    config = homeserver(
        tmp_path,
        macaroon_secret_key_path=a_file(tmp_path / "macaroon"),
        log_config=a_file(tmp_path / "log.yaml"),
        app_service_config_files=[a_file(tmp_path / "bridge.yaml")],
        oidc_providers=[{"client_secret_path": a_file(tmp_path / "oidc")}],
        modules=[{"module": "m", "config": {"scim": {"token_path": a_file(tmp_path / "scim")}}}],
        tls_certificate_path=str(tmp_path / "not-there"),
        pid_file=a_file(tmp_path / "pid"),
        title=a_file(tmp_path / "no-path-by-its-name"),
    )
    found = read_sources(config, [tmp_path / "homeserver.yaml"])
    assert {path.name for path in found.files} == {"macaroon", "log.yaml", "bridge.yaml", "oidc", "scim"}


def test_the_default_signing_key_lies_beside_the_configuration(tmp_path: Path) -> None:
    a_file(tmp_path / "m.example.signing.key")
    config = homeserver(tmp_path, signing_key=None)
    assert [path.name for path in read_sources(config, [tmp_path / "h.yaml"]).files] == ["m.example.signing.key"]


def test_logs_of_deletions_are_apart_because_they_are_copied_last(tmp_path: Path) -> None:
    modules = [
        {"module": "retention", "config": {"deletion_log_path": a_file(tmp_path / "deletions")}},
        {"module": "recovery", "config": {"log_path": str(tmp_path / "not-yet")}},
    ]
    found = read_sources(homeserver(tmp_path, modules=modules), [])
    assert [path.name for path in found.logs] == ["deletions", "not-yet"]
    assert found.files == ()


def test_providers_that_are_folders_are_saved_and_others_named(tmp_path: Path) -> None:
    (tmp_path / "copies").mkdir()
    providers = [
        {"module": "file_system", "config": {"directory": str(tmp_path / "copies")}},
        {"module": "s3_storage_provider.S3StorageProviderBackend", "config": {"bucket": "b"}},
    ]
    found = read_sources(homeserver(tmp_path, media_storage_providers=providers), [])
    assert found.providers == (tmp_path / "copies",)
    assert found.elsewhere == ("s3_storage_provider.S3StorageProviderBackend",)


def test_where_links_in_the_media_store_lead_is_saved(tmp_path: Path) -> None:
    config = homeserver(tmp_path)
    (tmp_path / "disk").mkdir()
    (tmp_path / "media" / "local_content").symlink_to(tmp_path / "disk")
    (tmp_path / "media" / "inside").mkdir()
    (tmp_path / "media" / "again").symlink_to("inside")
    (tmp_path / "store").symlink_to(tmp_path / "media")
    found = read_sources(config | {"media_store_path": str(tmp_path / "store")}, [])
    assert found.linked == {tmp_path / "media" / "local_content": tmp_path / "disk"}
    assert found.saved_folders == (tmp_path / "media", tmp_path / "disk")


def test_a_media_store_that_is_away_is_told_where_that_is_no_end(tmp_path: Path) -> None:
    config = homeserver(tmp_path, backup_media_store_path=str(tmp_path / "away"))
    found = read_sources(config, [], folders_may_be_absent=True)
    assert found.absent == (tmp_path / "away",)
    assert found.saved_folders == (tmp_path / "media",)


def test_what_is_large_is_no_key(tmp_path: Path) -> None:
    large = a_file(tmp_path / "geoip", LARGEST_SMALL_FILE + 1)
    found = read_sources(homeserver(tmp_path, geoip_path=large), [])
    assert found.files == ()
    assert found.left_out == {Path(large): "is larger than 4 MB"}


def test_what_is_named_and_is_not_there_is_told(tmp_path: Path) -> None:
    found = read_sources(homeserver(tmp_path, a_path="/not/there", b_path=str(tmp_path)), [])
    assert found.left_out == {Path("/not/there"): "is not there", tmp_path: "is no file"}


@pytest.mark.parametrize("path", ["signing.key", "/not/there/signing.key"])
def test_without_its_signing_key_a_backup_is_none(tmp_path: Path, path: str) -> None:
    """A relative path is right only in Synapse's working directory."""
    config = homeserver(tmp_path, signing_key=None, signing_key_path=path)
    config_file = Path(a_file(tmp_path / "homeserver.yaml"))
    with pytest.raises(BackupError, match=r"signing\.key is not there, and without it no backup can be used"):
        refuse_gaps(read_sources(config, [config_file]), config, [config_file])
    default = config | {"signing_key_path": None}
    with pytest.raises(BackupError, match=r"m\.example\.signing\.key is not there"):
        refuse_gaps(read_sources(default, [config_file]), default, [config_file])


def test_without_its_configuration_a_backup_is_none(tmp_path: Path) -> None:
    config, large = homeserver(tmp_path), Path(a_file(tmp_path / "homeserver.yaml", LARGEST_SMALL_FILE + 1))
    with pytest.raises(BackupError, match=r"homeserver\.yaml is larger than 4 MB"):
        refuse_gaps(read_sources(config, [large]), config, [large])


def test_a_store_of_state_in_another_database_is_refused(tmp_path: Path) -> None:
    one = {"name": "psycopg2", "args": {}}
    several = {"first": {**one, "data_stores": ["main"]}, "second": {**one, "data_stores": ["state"]}}
    with pytest.raises(BackupError, match=r"2 databases \(first, second\)"):
        read_sources(homeserver(tmp_path, databases=several), [])
    read_sources(homeserver(tmp_path, databases={"first": one}), [])


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        ({"server_name": None}, "no `server_name`"),
        ({"media_store_path": "not/there"}, "`media_store_path`: there is no folder /"),
        ({"backup_media_store_path": "/not/there"}, "`media_storage_providers`: there is no folder /not/there"),
    ],
)
def test_what_must_be_there_and_is_not_is_said(tmp_path: Path, more: dict[str, Any], sentence: str) -> None:
    with pytest.raises(BackupError, match=sentence):
        read_sources(homeserver(tmp_path, **more), [])
