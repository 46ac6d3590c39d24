"""Secrets, the folder of the media, listeners, the database's clock and the running scanner: pure judgements."""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from synapse_bum.antivirus.content_scanner.request_key_pins import ACCEPTED_MS, Pins
from synapse_bum.cli.check.database import clock_remarks, database_remarks, pin_remarks
from synapse_bum.cli.check.listeners import listener_remarks
from synapse_bum.cli.check.modules import load_modules
from synapse_bum.cli.check.processes import Process
from synapse_bum.cli.check.remark import Remark
from synapse_bum.cli.check.scanner import Answers, judged
from synapse_bum.cli.check.secret_files import (
    FileKind,
    FileState,
    file_state,
    media_folder_judged,
    media_folder_remarks,
    secret_file_remarks,
    secret_paths,
)
from synapse_bum.cli.check.secret_files import judged as judged_file

FOUND = ("FOUND", "Eicar-Test-Signature")
GOOD = Answers(
    "ClamAV 1.4.6", FOUND, ("FOUND", "Heuristics.Limits.Exceeded"), ("FOUND", "Heuristics.Encrypted.Zip"), FOUND, 9
)


def names(remarks: Iterable[Remark]) -> list[str]:
    return [f"{remark.level.value} {remark.check.value}" for remark in remarks]


def main(**settings: object) -> Process:
    return Process("main", settings, is_worker=False)


def test_all_secret_files_are_found() -> None:
    settings = {
        "macaroon_secret_key_path": "/a",
        "database": {"args": {"passfile": "/b"}},
        "redis": {"password_path": "/c"},
        "oidc_providers": [{}, {"client_secret_path": "/d"}, 7],
        "form_secret_path": 5,
        "signing_key_path": "",
    }
    assert dict(secret_paths(settings)) == {
        "macaroon_secret_key_path": "/a",
        "database.args.passfile": "/b",
        "redis.password_path": "/c",
        "oidc_providers.<item 1>.client_secret_path": "/d",
    }


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        (FileState(FileKind.FINE, 0o100400), []),
        (FileState(FileKind.FINE, 0o100640), []),
        (FileState(FileKind.FINE, 0o100644), ["WARNING secrets.readers"]),
        (FileState(FileKind.MISSING), ["ERROR secrets.file"]),
        (FileState(FileKind.NO_FILE, 0o040700), ["ERROR secrets.file"]),
        (FileState(FileKind.UNREADABLE, 0o100400), ["ERROR secrets.file"]),
        (FileState(FileKind.EMPTY, 0o100400), ["ERROR secrets.file"]),
    ],
)
def test_a_file_with_a_secret(state: FileState, expected: list[str]) -> None:
    assert names(judged_file("form_secret_path", "/a", state)) == expected


def test_synapse_makes_one_of_them_itself() -> None:
    assert list(judged_file("registration_shared_secret_path", "/a", FileState(FileKind.MISSING))) == []


def test_files_are_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "secret"
    assert file_state(str(path)).kind is FileKind.MISSING
    assert file_state("a\0b").kind is FileKind.MISSING
    assert file_state(str(tmp_path)).kind is FileKind.NO_FILE
    path.touch(0o600)
    assert file_state(str(path)).kind is FileKind.EMPTY
    path.write_text("x")
    assert names(secret_file_remarks(main(form_secret_path=str(path)))) == []
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert names(secret_file_remarks(main(form_secret_path=str(path)))) == ["ERROR secrets.file"]


def test_the_folder_of_the_media(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "media"
    process = main(media_store_path=str(folder))
    assert names(media_folder_remarks(process)) == [], "Synapse makes it"
    folder.touch()
    assert names(media_folder_remarks(process)) == ["ERROR media.folder"]
    folder.unlink()
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert names(media_folder_remarks(process)) == ["ERROR media.folder"]
    assert names(media_folder_remarks(main(media_store_path=str(folder), enable_media_repo=False))) == []
    assert names(media_folder_judged("/a", is_there=True, can_write=False, nearest="/a")) == ["ERROR media.folder"]


@pytest.mark.parametrize(
    ("ahead_s", "expected"),
    [
        (None, []),
        (0.0, []),
        (-2.0, []),
        (2.1, ["WARNING database.clock"]),
        (-59.0, ["WARNING database.clock"]),
        (61.0, ["ERROR database.clock"]),
        (-3600.0, ["ERROR database.clock"]),
    ],
)
def test_the_clock(ahead_s: float | None, expected: list[str]) -> None:
    assert names(clock_remarks(ahead_s)) == expected


def test_the_clock_says_which_way() -> None:
    ((ahead,), (behind,)) = (list(clock_remarks(seconds)) for seconds in (5.0, -5.0))
    assert "is 5 s ahead of this machine's" in ahead.says
    assert "is 5 s behind this machine's" in behind.says


@pytest.mark.parametrize(
    ("public_key", "expected"),
    [
        ("new", []),
        ("old", ["WARNING antivirus.request-secret-pin"]),
        ("older", ["ERROR antivirus.request-secret-pin"]),
        ("third", ["ERROR antivirus.request-secret-pin"]),
    ],
)
def test_the_request_secret_of_another_process(public_key: str, expected: list[str]) -> None:
    pins = Pins("new", {"old": ACCEPTED_MS, "older": 0})
    assert names(pin_remarks(public_key, pins, ACCEPTED_MS + 1, "/a")) == expected
    assert names(pin_remarks("other", Pins("a", {}), 0, "/a")) == ["NOTE antivirus.request-secret-pin"]


@pytest.mark.parametrize(
    "settings",
    [
        {"database": 5},
        {"database": {"name": "sqlite3", "args": {"database": "/nowhere/homeserver.db"}}},
        {"database": {"name": "sqlite3", "args": None}},
        {"database": {"name": "mysql", "args": {}}},
        {"database": {"name": "psycopg2", "args": {"host": "/nowhere", "dbname": "a"}}},
    ],
)
def test_a_database_that_can_not_be_asked_is_a_note(settings: dict[str, Any]) -> None:
    assert names(database_remarks(settings, None)) == ["NOTE database.unasked"]


def test_a_scanner_that_lets_nothing_pass() -> None:
    assert names(judged("a", GOOD)) == ["OK antivirus.eicar"]


def evolved(**change: tuple[str, str | None]) -> list[str]:
    fields = {name: getattr(GOOD, name) for name in ("version", "eicar", "nested", "encrypted", "sized", "sized_bytes")}
    return names(judged("a", Answers(**{**fields, **change})))[1:]


def test_what_passes_a_scanner_silently() -> None:
    assert evolved(nested=("OK", None)) == ["WARNING antivirus.silent-limits"]
    assert evolved(encrypted=("OK", None)) == ["WARNING antivirus.silent-encryption"]
    for answer in (("OK", None), ("FOUND", "Heuristics.Limits.Exceeded.MaxFileSize"), ("INSTREAM size limit", None)):
        assert evolved(sized=answer) == ["WARNING antivirus.scanner-size"]


def test_a_scanner_without_signatures() -> None:
    (remark,) = judged("a", Answers("ClamAV", ("OK", None), ("OK", None), ("OK", None), ("OK", None), 9))
    assert names([remark]) == ["ERROR antivirus.eicar"]


def of_listeners(listener: dict[str, Any], **config: object) -> list[Remark]:
    modules = [{"module": "synapse_bum.antivirus.AntivirusModule", "config": config}]
    configs, _wrong = load_modules({"modules": modules})
    return list(listener_remarks(main(listeners=[listener]), configs, proxy_is_known=False))


def combined(**keys: object) -> dict[str, Any]:
    return {"port": 8008, "resources": [{"names": ["client", "federation"]}], **keys}


@pytest.mark.parametrize(
    ("keys", "admin_hosts", "is_guarded"),
    [
        ({"bind_addresses": ["127.0.0.1", "::1"]}, ["admin.example"], True),
        ({"bind_address": "127.0.0.1"}, ["admin.example"], True),
        ({"path": "/run/synapse.sock"}, ["admin.example"], True),
        ({"bind_addresses": ["127.0.0.1"]}, [], False),
        ({"bind_addresses": ["127.0.0.1", "0.0.0.0"]}, ["admin.example"], False),  # noqa: S104 - of a table
        ({"bind_addresses": []}, ["admin.example"], False),
        ({}, ["admin.example"], False),
    ],
)
def test_combined_listeners(keys: dict[str, Any], admin_hosts: list[str], is_guarded: bool) -> None:  # noqa: FBT001
    expected = [] if is_guarded else ["WARNING listeners.combined"]
    assert names(of_listeners(combined(**keys), admin_hosts=admin_hosts)) == expected


def test_a_content_scanner_that_nobody_can_ask() -> None:
    metrics = {"port": 9000, "resources": [{"names": ["metrics"]}]}
    assert names(of_listeners(metrics)) == ["ERROR listeners.no-clients"]
    assert names(of_listeners(metrics, content_scanner={"enabled": False})) == []
