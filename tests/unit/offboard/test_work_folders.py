"""Whose it is what a killed backup has left: only this server's is erased, and what is unclear is named."""

import json
from pathlib import Path

import pytest

from synapse_bum.cli.backup.workroom import Workroom, default_work_dir
from synapse_bum.cli.offboard import work_folder

pytestmark = pytest.mark.any_synapse

SERVER, OTHER = "chat.amt.example", "other.example"
CONFIG = Path("/srv/chat/homeserver.yaml")


def a_file(path: Path, text: str = "") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def a_manifest(folder: Path, server_name: str) -> None:
    a_file(folder / "manifest.json", json.dumps({"server_name": server_name}))


def sorted_out(
    usual: Path, given: tuple[Path, ...] = (), run_ids: tuple[str, ...] = (), server_name: str = SERVER
) -> tuple[list[Path], list[Path]]:
    found = work_folder.sort_out(server_name, given, [CONFIG], run_ids, usual)
    return list(found.ours), list(found.unclear)


def test_the_usual_folders_are_those_of_the_backup_command() -> None:
    assert default_work_dir(SERVER) == work_folder.USUAL / SERVER
    assert default_work_dir(None) == work_folder.USUAL / work_folder.OF_RESTORES


def test_where_nothing_lies_there_is_nothing_to_erase(tmp_path: Path) -> None:
    assert sorted_out(tmp_path / "missing") == ([], [])
    a_file(tmp_path / "lock")
    a_file(tmp_path / "runs")
    (tmp_path / SERVER / "scratch").mkdir(parents=True)
    assert sorted_out(tmp_path, given=(tmp_path / "given",)) == ([], [])


def test_the_folder_of_its_name_is_its_own(tmp_path: Path) -> None:
    for name in (SERVER, f"{SERVER}:8448", OTHER):
        a_file(tmp_path / name / "scratch" / "homeserver.db")
    assert sorted_out(tmp_path) == ([tmp_path / SERVER], [])
    assert sorted_out(tmp_path, server_name=f"{SERVER}:8448") == ([tmp_path / f"{SERVER}:8448"], [])


def test_no_name_leads_out_of_the_usual_folder(tmp_path: Path) -> None:
    a_file(tmp_path / "scratch" / "homeserver.db")
    assert sorted_out(tmp_path / "usual", server_name="..") == ([], [])


def test_what_an_operator_has_named_is_its_own(tmp_path: Path) -> None:
    a_manifest(tmp_path / "scratch", OTHER)
    assert sorted_out(tmp_path, given=(tmp_path,)) == ([tmp_path], [])


def test_what_a_restore_has_left_for_which_no_server_was_named_is_looked_at(tmp_path: Path) -> None:
    folder = tmp_path / work_folder.OF_RESTORES
    a_file(folder / "cache" / "0f" / "index" / "1")
    assert sorted_out(tmp_path) == ([], [folder])
    a_manifest(folder / "run" / "closing", SERVER)
    assert sorted_out(tmp_path) == ([folder], [])


@pytest.mark.parametrize("place", ["run/closing", "scratch", "scratch/raw/var/lib/synapse-bum-backup/run/closing"])
def test_a_manifest_tells_whose_it_is(tmp_path: Path, place: str) -> None:
    a_manifest(tmp_path / place, SERVER)
    assert sorted_out(tmp_path) == ([tmp_path], [])
    a_manifest(tmp_path / place, OTHER)
    assert sorted_out(tmp_path) == ([], [])


def test_a_copy_of_its_configuration_tells_whose_it_is(tmp_path: Path) -> None:
    a_file(tmp_path / "run/data/config" / CONFIG.relative_to("/"))
    assert sorted_out(tmp_path) == ([tmp_path], [])


def test_a_run_that_is_in_its_repository_tells_whose_it_is(tmp_path: Path) -> None:
    a_file(tmp_path / "cache/0f/snapshots/1")
    Workroom(tmp_path).written.add("a-run")
    assert sorted_out(tmp_path) == ([], [tmp_path])
    assert sorted_out(tmp_path, run_ids=("a-run",)) == ([tmp_path], [])


def test_what_two_servers_share_is_unclear(tmp_path: Path) -> None:
    a_manifest(tmp_path / "scratch", OTHER)
    a_file(tmp_path / "run/data/config" / CONFIG.relative_to("/"))
    assert sorted_out(tmp_path) == ([], [tmp_path])


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"server_name": 1}'])
def test_a_manifest_that_is_none_tells_nothing(tmp_path: Path, text: str) -> None:
    a_file(tmp_path / "scratch" / "manifest.json", text)
    assert sorted_out(tmp_path) == ([], [tmp_path])
