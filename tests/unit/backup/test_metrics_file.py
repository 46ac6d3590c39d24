"""The file for node_exporter."""

import stat
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from synapse_bum.cli.backup.metrics_file import write_metrics


def values_in(path: Path) -> dict[str, float]:
    return {one.name: one.samples[0].value for one in text_string_to_metric_families(path.read_text())}


def test_prometheus_reads_it_and_other_users_may(tmp_path: Path) -> None:
    path = tmp_path / "backup.prom"
    write_metrics(path, {"last_run_ok": 1, "size_bytes": 123_456_789_012, "last_success_timestamp_seconds": 1.795e9})
    assert values_in(path) == {
        "synapse_bum_backup_last_run_ok": 1,
        "synapse_bum_backup_size_bytes": 123_456_789_012,
        "synapse_bum_backup_last_success_timestamp_seconds": 1_795_000_000,
    }
    assert stat.S_IMODE(path.stat().st_mode) & 0o444 == 0o444
    assert [one.name for one in tmp_path.iterdir()] == ["backup.prom"]


def test_what_a_command_does_not_know_stays(tmp_path: Path) -> None:
    path = tmp_path / "backup.prom"
    write_metrics(path, {"last_run_ok": 1, "last_success_timestamp_seconds": 1.795e9})
    write_metrics(path, {"last_run_ok": 0, "last_verify_ok": 1})
    assert values_in(path) == {
        "synapse_bum_backup_last_run_ok": 0,
        "synapse_bum_backup_last_success_timestamp_seconds": 1_795_000_000,
        "synapse_bum_backup_last_verify_ok": 1,
    }


def test_a_file_of_somebody_else_is_no_reason_to_fail(tmp_path: Path) -> None:
    path = tmp_path / "backup.prom"
    path.write_bytes(b"\xff\x00 nonsense\nsynapse_bum_backup_other 3\n")
    write_metrics(path, {"last_run_ok": 1})
    assert values_in(path) == {"synapse_bum_backup_last_run_ok": 1}
