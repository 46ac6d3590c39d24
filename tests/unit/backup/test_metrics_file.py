"""The file for node_exporter."""

import stat
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from synapse_bum.cli.backup.metrics_file import write_metrics

SERVER = "m.example"


def values_in(path: Path, server: str = SERVER) -> dict[str, float]:
    """What Prometheus gets of a server; what succeeded never is left out."""
    samples = [one for family in text_string_to_metric_families(path.read_text()) for one in family.samples]
    return {one.name: one.value for one in samples if one.labels["server"] == server and one.value}


def test_prometheus_reads_it_and_other_users_may(tmp_path: Path) -> None:
    path = tmp_path / "backup.prom"
    values = {"last_run_ok": 1, "size_bytes": 123_456_789_012, "last_success_timestamp_seconds": 1.795e9}
    write_metrics(path, SERVER, values)
    assert values_in(path) == {
        "synapse_bum_backup_last_run_ok": 1,
        "synapse_bum_backup_size_bytes": 123_456_789_012,
        "synapse_bum_backup_last_success_timestamp_seconds": 1_795_000_000,
    }
    assert stat.S_IMODE(path.stat().st_mode) & 0o444 == 0o444
    assert [one.name for one in tmp_path.iterdir()] == ["backup.prom"]


def test_what_a_command_does_not_know_stays(tmp_path: Path) -> None:
    path = tmp_path / "backup.prom"
    write_metrics(path, SERVER, {"last_run_ok": 1, "last_success_timestamp_seconds": 1.795e9})
    write_metrics(path, SERVER, {"last_run_ok": 0.5, "last_verify_ok": 1})
    assert values_in(path) == {
        "synapse_bum_backup_last_run_ok": 0.5,
        "synapse_bum_backup_last_success_timestamp_seconds": 1_795_000_000,
        "synapse_bum_backup_last_verify_ok": 1,
    }


def test_a_file_of_somebody_else_is_no_reason_to_fail(tmp_path: Path) -> None:
    path = tmp_path / "backup.prom"
    path.write_bytes(b"\xff\x00 nonsense\nsynapse_bum_backup_other 3\n")
    write_metrics(path, SERVER, {"last_run_ok": 1})
    assert values_in(path) == {"synapse_bum_backup_last_run_ok": 1}


def test_each_server_of_a_machine_has_its_values(tmp_path: Path) -> None:
    path = tmp_path / "backup.prom"
    write_metrics(path, SERVER, {"last_run_ok": 1})
    write_metrics(path, "other.example:8448", {"last_run_ok": 2})
    assert values_in(path) == {"synapse_bum_backup_last_run_ok": 1}
    assert values_in(path, "other.example:8448") == {"synapse_bum_backup_last_run_ok": 2}


def test_a_configuration_that_names_no_server_is_told_of_the_one_that_is_known(tmp_path: Path) -> None:
    path = tmp_path / "backup.prom"
    write_metrics(path, None, {"last_run_ok": 3})
    assert values_in(path, "") == {"synapse_bum_backup_last_run_ok": 3}
    write_metrics(path, SERVER, {"last_run_ok": 1})
    assert values_in(path, "") == {}
    write_metrics(path, None, {"last_run_ok": 4})
    assert values_in(path) == {"synapse_bum_backup_last_run_ok": 4}


def test_what_never_succeeded_is_as_old_as_can_be(tmp_path: Path) -> None:
    """An alert about the age of the last proof speaks where there never was one, too."""
    path = tmp_path / "backup.prom"
    write_metrics(path, SERVER, {"last_run_ok": 1})
    for name in ("last_success", "last_verify_success"):
        assert f'synapse_bum_backup_{name}_timestamp_seconds{{server="{SERVER}"}} 0\n' in path.read_text()
