"""Which small files go with a homeserver, and which are the machine's."""

from pathlib import Path

import pytest

from synapse_bum.cli.offboard.failure import OffboardError
from synapse_bum.cli.offboard.small_files import SmallFiles, recovery_log_of, sort_out, unknown_beside


@pytest.fixture
def config(tmp_path: Path) -> Path:
    folder = tmp_path / "synapse"
    folder.mkdir()
    return a_file(folder / "homeserver.yaml")


_ROTATED = (".1", ".2.gz", ".2026-11-22", "-20261122", "-20261121.gz", "-20261120-1763596800.zst")


def a_file(path: Path, text: str = "text") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def sorted_out(config: Path, *named: Path, key: Path | None = None, logs: tuple[Path, ...] = ()) -> SmallFiles:
    return sort_out([config, *named, *([key] if key else [])], logs, [config], key, [], [])


def test_what_lies_with_the_configuration_goes_and_homeserver_yaml_is_the_last(config: Path, tmp_path: Path) -> None:
    secret = a_file(config.parent / "secrets" / "session")
    certificate = a_file(tmp_path / "certificates" / "fullchain.pem")
    found = sorted_out(config, secret, certificate)
    assert found.configuration == (secret, config)
    assert found.elsewhere == (certificate,)


def test_the_signing_key_goes_wherever_it_lies(config: Path, tmp_path: Path) -> None:
    key = a_file(tmp_path / "keys" / "signing.key")
    found = sorted_out(config, key=key)
    assert found.configuration == (key, config)
    assert found.elsewhere == ()


def test_behind_a_link_to_a_secret_the_secret_goes(config: Path, tmp_path: Path) -> None:
    target = a_file(tmp_path / "keys" / "signing.key")
    key = config.parent / "signing.key"
    key.symlink_to(target)
    assert set(sorted_out(config, key=key).configuration) == {key, target, config}


def test_behind_a_link_to_a_certificate_of_the_machine_that_stays(config: Path, tmp_path: Path) -> None:
    target = a_file(tmp_path / "letsencrypt" / "fullchain.pem")
    link = config.parent / "tls.crt"
    link.symlink_to(target)
    found = sorted_out(config, link)
    assert found.configuration == (link, config)
    assert found.elsewhere == (target,)


def test_logs_go_with_what_rotation_has_made_of_them(config: Path, tmp_path: Path) -> None:
    log = a_file(tmp_path / "log" / "homeserver.log")
    old = [a_file(log.with_name(f"homeserver.log{end}")) for end in _ROTATED]
    others = [a_file(log.with_name(name)) for name in ("homeserver.log.bak", "homeserver.logbook", "other.log.1")]
    log_config = a_file(config.parent / "log.yaml", f"version: 1\nhandlers: {{file: {{filename: {log}}}}}\n")
    recovery = a_file(tmp_path / "recovery.log")
    found = sorted_out(config, log_config, logs=(recovery, tmp_path / "never.log"))
    assert {path for path in found.logs if path.exists()} == {log, *old, recovery}
    assert not set(others) & {*found.logs, *found.configuration, *found.elsewhere}
    assert found.configuration == (log_config, config)


def test_of_a_worker_that_is_named_its_logs_go(config: Path, tmp_path: Path) -> None:
    log = a_file(tmp_path / "log" / "media.log")
    log_config = a_file(config.parent / "workers" / "media.log.yaml", f"handlers: {{file: {{filename: {log}}}}}\n")
    pid = a_file(config.parent / "media.pid")
    worker = a_file(
        config.parent / "workers" / "media.yaml", f"worker_log_config: {log_config}\nworker_pid_file: {pid}\n"
    )
    found = sort_out([config], [], [config], None, [worker], [])
    assert set(found.configuration) == {worker, log_config, pid, config}
    assert found.logs == (log,)


def test_logs_that_go_to_the_container_are_no_files(config: Path) -> None:
    log_config = a_file(config.parent / "log.yaml", "handlers: {file: {filename: /dev/stdout}}\n")
    assert sorted_out(config, log_config).logs == ()


def test_a_folder_that_is_named_goes_with_all_that_is_in_it(config: Path, tmp_path: Path) -> None:
    folder = tmp_path / "messenger"
    letter = a_file(folder / "letters" / "uebergabe.txt")
    log = a_file(folder / "log" / "worker.log")
    a_file(folder / "workers" / "log.yaml", f"handlers: {{file: {{filename: {log}}}}}\n")
    media = a_file(folder / "data" / "media" / "local_content").parent
    of_the_machine = a_file(tmp_path / "certificates" / "fullchain.pem")
    (folder / "tls").symlink_to(of_the_machine)
    found = sort_out([config], [], [config], None, [folder], [media])
    assert set(found.configuration) == {letter, folder / "workers" / "log.yaml", folder / "tls", config}
    assert found.logs == (log,)
    names = ["letters", "log", "workers", "data"]
    assert set(found.folders) == {folder, *(folder / name for name in names)}
    assert found.folders[-1] == folder
    assert found.elsewhere == (of_the_machine,)


def test_a_part_of_the_machine_does_not_go(config: Path) -> None:
    with pytest.raises(OffboardError, match="is a part of the whole machine"):
        sort_out([config], [], [config], None, [Path("/etc")], [])


def test_what_nobody_knows_beside_the_configuration_is_named(config: Path) -> None:
    known = a_file(config.parent / "secrets" / "key")
    media = a_file(config.parent / "media" / "local_content" / "file").parent.parent
    worker = a_file(config.parent / "workers" / "media.yaml")
    assert unknown_beside([config], [config, known, media]) == [f"file {worker}"]
    for number in range(200):
        a_file(config.parent / f"{number}.log")
    assert unknown_beside([config], [config, known, media])[-1] == f"more than 200 other files in {config.parent}"


def test_behind_a_link_to_the_folder_everything_is_known_all_the_same(tmp_path: Path) -> None:
    real, link = tmp_path / "real", tmp_path / "link"
    a_file(real / "media" / "local_content" / "file")
    a_file(real / "homeserver.yaml")
    a_file(real / "letter")
    link.symlink_to(real)
    config, media = link / "homeserver.yaml", real / "media"
    assert unknown_beside([config], [config, media]) == [f"file {real / 'letter'}"]
    found = sort_out([config], [], [config], None, [tmp_path / "link" / ".." / "real"], [media])
    assert found.configuration == (real / "letter", config)


def test_the_recovery_log_is_found() -> None:
    other = {"module": "synapse_bum.storage.StorageModule", "config": {"log_path": "/elsewhere"}}
    ours = {"module": "synapse_bum.recovery.RecoveryModule", "config": {"log_path": "/log"}}
    assert recovery_log_of({"modules": [other, ours]}) == Path("/log")
    assert recovery_log_of({"modules": [other, {"module": "any.Module"}]}) is None
    assert recovery_log_of({}) is None
