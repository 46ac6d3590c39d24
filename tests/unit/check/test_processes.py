"""The files of several processes: what a later one takes away, and what each process sees."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from synapse_bum.cli.check.configuration import Layer, read_layers
from synapse_bum.cli.check.processes import Process, layer_remarks, process_remarks, processes_of

ANTIVIRUS = "synapse_bum.antivirus.AntivirusModule"
RETENTION = "synapse_bum.retention.RetentionModule"


def modules(*names: str, **config: object) -> dict[str, Any]:
    return {"modules": [{"module": name, "config": config} for name in names]}


def layers(*contents: dict[str, Any]) -> list[Layer]:
    return [Layer(Path(f"{number}.yaml"), content) for number, content in enumerate(contents)]


def said(*contents: dict[str, Any]) -> list[str]:
    remarks = layer_remarks(layers(*contents))
    return [f"{remark.level.value} {remark.check.value} {remark.text}" for remark in remarks]


def said_of_processes(*contents: dict[str, Any]) -> list[str]:
    read = layers(*contents)
    return [f"{one.level.value} {one.check.value} {one.text}" for one in process_remarks(read, processes_of(read))]


WORKER: dict[str, Any] = {"worker_app": "synapse.app.generic_worker", "worker_name": "media"}


def test_modules_of_one_file_for_all_are_fine() -> None:
    assert said(modules(ANTIVIRUS), WORKER) == []
    assert said({}, modules(ANTIVIRUS), WORKER) == []
    assert said(modules(ANTIVIRUS), modules(RETENTION, ANTIVIRUS)) == []
    assert said(modules("another.Module"), modules(ANTIVIRUS)) == []


def test_a_second_list_replaces_the_first() -> None:
    (line,) = said(modules(ANTIVIRUS, RETENTION), modules(RETENTION))
    assert line == (
        f"ERROR configuration.replaced-modules 1.yaml: `modules` replaces the whole list of 0.yaml; without {ANTIVIRUS}"
    )
    (line,) = said(modules(ANTIVIRUS), WORKER | {"modules": []})
    assert line.startswith("ERROR configuration.replaced-modules 1.yaml: ")
    (line,) = said(modules(ANTIVIRUS), WORKER | {"modules": None})
    assert "replaces the whole list" in line
    assert len(said(modules(ANTIVIRUS), WORKER | {"modules": []}, WORKER | {"modules": []})) == 2


@pytest.mark.parametrize("key", ["macaroon_secret_key_path", "database", "server_name", "max_upload_size"])
def test_what_all_processes_have_to_see_alike(key: str) -> None:
    assert said({key: "/a"}, WORKER | {key: "/a"}) == []
    (line,) = said({key: "/a"}, WORKER | {key: "/b"})
    assert line.startswith(f"ERROR configuration.shared-key 1.yaml: `{key}` is not what 0.yaml has")
    assert said({key: "/a"}, {key: "/b"}) == [], "a second file of all processes may change it"


def test_secrets_of_modules_are_the_same_everywhere() -> None:
    main = modules(ANTIVIRUS, content_scanner={"request_secret_path": "/a"})
    other = WORKER | modules(ANTIVIRUS, content_scanner={"request_secret_path": "/b"})
    (line,) = said(main, other)
    assert f"`{ANTIVIRUS}.content_scanner.request_secret_path` is not what 0.yaml has: /b instead of /a" in line


def test_each_workers_file_is_a_process_behind_those_of_all() -> None:
    main, media, sender = processes_of(
        layers(
            {"a": 1, "enable_media_repo": False}, WORKER | {"enable_media_repo": True}, {"a": 2}, {"worker_app": "b"}
        )
    )
    assert (main.name, main.is_worker, main.has_media, main.settings["a"]) == ("main", False, False, 2)
    assert (media.name, media.has_media, media.settings["a"]) == ("media", True, 2)
    assert (sender.name, sender.has_media) == ("3.yaml", False)
    (alone,) = processes_of(layers(WORKER))
    assert alone.is_worker
    assert [process.name for process in processes_of([])] == ["main"]


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, True),
        ({"enable_media_repo": False}, False),
        ({"worker_app": "synapse.app.generic_worker"}, True),
        ({"worker_app": "synapse.app.generic_worker", "enable_media_repo": False}, False),
        ({"worker_app": "synapse.app.media_repository", "enable_media_repo": False}, True),
        ({"worker_app": "synapse.app.federation_sender"}, False),
    ],
)
def test_who_has_the_media_repository(settings: dict[str, Any], expected: bool) -> None:  # noqa: FBT001 - of a table
    assert Process("a", settings, is_worker=True).has_media is expected


def test_folders_are_read_as_synapse_reads_them(tmp_path: Path) -> None:
    folder = tmp_path / "conf.d"
    folder.mkdir()
    for name, content in (("b.yaml", {"a": 2}), ("a.yaml", {"a": 1}), ("c.yml", {"a": 3})):
        (folder / name).write_text(yaml.safe_dump(content))
    assert [layer.settings for layer in read_layers([folder])] == [{"a": 1}, {"a": 2}]


def test_two_workers_of_one_name() -> None:
    nameless: dict[str, Any] = {"worker_app": "synapse.app.generic_worker"}
    shared = {"enable_media_repo": True}
    assert (
        said_of_processes(shared, WORKER | {"enable_media_repo": False}, nameless | {"enable_media_repo": False}) == []
    )
    (line,) = said_of_processes({}, *[WORKER | {"enable_media_repo": False}] * 2)
    assert line == (
        "ERROR processes.name 2.yaml: `worker_name` is `media`, as in 1.yaml: two processes take each other's turns and"
        " locks"
    )
    (line,) = said_of_processes({}, *[nameless | {"enable_media_repo": False}] * 2)
    assert "`worker_name` is `synapse.app.generic_worker`" in line, "Synapse's name for those without one"
    same = layers({}, WORKER | {"enable_media_repo": False})
    assert list(process_remarks([*same, same[1]], processes_of(same))) == [], "one file that is given twice"


def test_who_has_the_media() -> None:
    without = {"enable_media_repo": False}
    (line,) = said_of_processes(without)
    assert line.startswith("NOTE processes.media-unseen processes: none of these processes has the media")
    (line,) = said_of_processes({}, WORKER)
    assert line.startswith("WARNING processes.two-media processes: main has the media beside media:")
    assert said_of_processes(without, WORKER | {"enable_media_repo": True}) == []
    two = [WORKER | {"enable_media_repo": True, "worker_name": name} for name in ("media1", "media2")]
    assert said_of_processes(without, *two) == [], "with a folder that both see"
