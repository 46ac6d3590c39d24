"""What the pages of an export say to the person who reads them."""

import json
from pathlib import Path

import pytest

from synapse_bum.cli.export_user.exporting import Exporter
from synapse_bum.homeserver.database_snapshot import ReadableDatabase
from synapse_bum.testing.small_homeserver import ALICE, SmallHomeserver

pytestmark = pytest.mark.any_synapse


@pytest.fixture
def homeserver(tmp_path: Path) -> SmallHomeserver:
    folder = tmp_path / "server"
    folder.mkdir()
    return SmallHomeserver(folder)


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "alice"


def export(homeserver: SmallHomeserver, out: Path) -> None:
    Exporter(homeserver.config, ReadableDatabase(homeserver.settings), "messenger.example", None).export(ALICE, out)


def test_a_name_that_hides_its_ending_is_not_shown_as_it_was_given(homeserver: SmallHomeserver, out: Path) -> None:
    homeserver.a_file("aaaaplain", b"text")
    homeserver.execute("UPDATE local_media_repository SET upload_name = ?", [("Rechnung\u202efdp.exe",)])
    export(homeserver, out)
    page = (out / "index.html").read_text()
    assert "\u202e" not in page
    assert "<td>000001_Rechnungfdp.exe</td>" in page
    assert json.loads((out / "data/files.json").read_text())[0]["name"] == "Rechnung\u202efdp.exe"


def test_it_says_plainly_what_of_encrypted_rooms_and_of_others_is_not_in_it(
    homeserver: SmallHomeserver, out: Path
) -> None:
    export(homeserver, out)
    for name in ("index.html", "LIESMICH.txt"):
        said = (out / name).read_text()
        assert "Der Server hat die Schlüssel nicht; er kann nur den Geheimtext herausgeben." in " ".join(said.split())
        assert "Dateien, die andere hochgeladen haben, hier oder auf anderen Servern" in said
