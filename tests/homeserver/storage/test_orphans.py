"""Files without rows and rows without files: each is found, and nothing else is."""

from collections.abc import Callable, Sequence
from typing import Any
from unittest.mock import patch

from synapse_bum.database import Database
from synapse_bum.deletion.folders import Folder
from synapse_bum.homeserver.media_deletion import HIDDEN_MARKER, TOMBSTONE_MARKER
from synapse_bum.storage.orphans.remote_ids import RemoteIds
from synapse_bum.testing import malware
from synapse_bum.testing.deletion_case import SERVER
from synapse_bum.testing.orphan_case import OrphanTestCase

PICTURE = malware.png()
STRAYS = (
    "local_content/ab/cd/efgh",
    "local_thumbnails/ab/cd/efgh/32-32-image-png-crop",
    "url_cache/1970-01-02/efgh",
    "url_cache_thumbnails/1970-01-02/efgh/32-32-image-png-crop",
    "remote_content/remote.example/ab/cd/efgh",
    "remote_thumbnail/remote.example/ab/cd/efgh/32-32-image-png",
    "remote_content/gone.example/ab/cd/efgh",
)


class FoundTests(OrphanTestCase):
    def test_a_server_where_all_is_well_has_none(self) -> None:
        self.upload(PICTURE)
        self.fetch("known")
        self.add_preview()
        self.age_all()
        run = self.look()
        assert (run["state"], run["error"]) == ("done", None)
        report = run["report"]
        assert report["complete"]
        assert self.stray(report) == {}
        assert self.lost(report) == {}
        assert report["looked_at"] == {"files": len(self.files()), "rows": 3}
        assert report["undecided_rows"] == report["foreign_files"] == report["young_files"] == 0

    def test_files_without_rows_are_found_in_every_folder_and_a_dry_run_leaves_them(self) -> None:
        self.upload(PICTURE)
        self.fetch("known")
        self.add_preview()
        self.age_all()
        for name in STRAYS:
            self.put(name)
        before = self.files()
        run = self.look()
        assert self.stray(run["report"]) == {"the media store": sorted(STRAYS)}
        assert run["report"]["files_without_rows"]["files"] == len(STRAYS)
        assert run["report"]["files_without_rows"]["bytes"] == 5 * len(STRAYS)
        assert self.files() == before
        assert run["removed"] == {"files": 0, "bytes": 0}

    def test_rows_without_files_are_found_of_every_kind(self) -> None:
        self.upload(PICTURE)
        self.fetch("known")
        self.add_preview()
        self.age_all()
        thumbnails = self.count("local_media_repository_thumbnails") - 1
        assert thumbnails > 1
        for name in self.files():
            (self.store / name).unlink()
        report = self.look()["report"]
        assert self.lost(report) == {
            "local_content": 1,
            "local_thumbnails": thumbnails,
            "url_cache": 1,
            "url_cache_thumbnails": 1,
            "remote_content": 1,
        }
        sizes = {kind["folder"]: kind["bytes"] for kind in report["rows_without_files"]["kinds"]}
        assert (sizes["local_content"], sizes["url_cache_thumbnails"]) == (len(PICTURE), 7)
        assert report["rows_without_files"]["rows"] == thumbnails + 4

    def test_a_thumbnail_of_another_server_may_have_its_old_name(self) -> None:
        self.fetch("known")
        ((file_id,),) = self.sql("SELECT filesystem_id FROM remote_media_cache")
        for method in ("crop", "scale"):
            self.sql(
                "INSERT INTO remote_media_cache_thumbnails (media_origin, media_id, thumbnail_width, thumbnail_height,"
                " thumbnail_type, thumbnail_method, thumbnail_length, filesystem_id)"
                " VALUES (?, 'known', 32, 32, 'image/png', ?, 9, ?)",
                SERVER,
                method,
                file_id,
            )
        self.put(f"remote_thumbnail/{SERVER}/{file_id[:2]}/{file_id[2:4]}/{file_id[4:]}/32-32-image-png")
        self.age_all()
        assert self.lost(self.look()["report"]) == {}

    def test_what_is_younger_than_an_hour_is_no_orphan(self) -> None:
        self.put("local_content/ab/cd/young", 0.9 / 24)
        self.put("remote_content/a.example/ab/cd/young", 0.9 / 24)
        self.put("local_content/ab/cd/older", 1.1 / 24)
        self.upload(PICTURE)
        for name in self.files():
            if "ab/cd" not in name:
                (self.store / name).unlink()
        report = self.look()["report"]
        assert self.stray(report) == {"the media store": ["local_content/ab/cd/older"]}
        assert report["young_files"] == 2
        assert self.lost(report) == {}

    def test_a_file_that_came_while_the_rows_of_its_server_were_read_long_ago_is_no_orphan(self) -> None:
        self.put("remote_content/a.example/ab/cd/efgh", 300)
        self.put("remote_content/a.example/xy/cd/efgh", 1.5 / 24)

        def read_long_ago(database: Database, now_ms: Callable[[], int]) -> RemoteIds:
            return RemoteIds(database, lambda: now_ms() - 2 * 3_600_000)

        with patch("synapse_bum.storage.orphans.file_side.RemoteIds", read_long_ago):
            report = self.look()["report"]
        assert self.stray(report)["the media store"] == ["remote_content/a.example/ab/cd/efgh"]

    def test_quarantined_and_hidden_files_and_reserved_ids_are_no_orphans(self) -> None:
        self.upload(PICTURE)
        self.fetch("known")
        self.age_all()
        self.sql("UPDATE local_media_repository SET quarantined_by = '@admin:test'")
        self.sql("UPDATE remote_media_cache SET quarantined_by = ?", HIDDEN_MARKER)
        self.make_request("POST", "/_matrix/media/v1/create", access_token=self.alice_token)
        report = self.look()["report"]
        assert self.stray(report) == {}
        assert self.lost(report) == {}

    def test_a_file_that_is_being_deleted_is_no_row_without_a_file(self) -> None:
        mxc = self.upload(PICTURE)
        self.age_all()
        with self.removal_stopped():
            self.delete(mxc)
            for name in self.files():
                (self.store / name).unlink()
            assert self.lost(self.look()["report"]) == {}

    def test_a_row_that_is_deleted_during_the_look_is_no_orphan(self) -> None:
        self.upload(PICTURE)
        self.age_all()
        for name in self.files():
            (self.store / name).unlink()
        present = Folder.present

        def and_drop(folder: Folder, paths: Sequence[str]) -> Any:  # noqa: ANN401 - as `present`
            found = present(folder, paths)
            self.drop = True
            return found

        run_id = self.queue()
        turn = self.tick()
        with patch.object(Folder, "present", and_drop):
            for _ in range(200):
                if getattr(self, "drop", False):
                    break
                self.reactor.advance(0.02)
        self.sql("DELETE FROM local_media_repository")
        while not turn.called:
            self.reactor.advance(0.05)
        assert self.lost(self.run_of(run_id)["report"]) == {}

    def test_a_tombstone_has_no_file_by_design_and_its_file_is_an_orphan(self) -> None:
        self.fetch("old")
        self.fetch("gone")
        self.age_all()
        ((file_id,),) = self.sql("SELECT filesystem_id FROM remote_media_cache WHERE media_id = 'gone'")
        path = f"remote_content/{SERVER}/{file_id[:2]}/{file_id[2:4]}/{file_id[4:]}"
        (self.store / path).unlink()
        self.sql("UPDATE remote_media_cache SET quarantined_by = ?, media_length = 0", TOMBSTONE_MARKER)
        report = self.look()["report"]
        assert self.lost(report) == {}
        assert len(self.stray(report)["the media store"]) == 1

    def test_many_files_of_a_server_are_compared_in_parts(self) -> None:
        for number in range(9):
            self.fetch(f"file{number}")
        self.age_all()
        strays = [f"remote_content/{SERVER}/{part}/cd/efgh" for part in ("AA", "Mm", "zz")]
        for name in strays:
            self.put(name)
        with (
            patch("synapse_bum.homeserver.stored_ids.REMOTE_PAGE", 2),
            patch("synapse_bum.storage.orphans.remote_ids.MAX_IDS", 2),
            patch("synapse_bum.storage.orphans.file_side.CHUNK", 2),
            patch("synapse_bum.storage.orphans.row_side.PAGE", 2),
        ):
            report = self.look()["report"]
        assert self.stray(report) == {"the media store": sorted(strays)}
        assert report["looked_at"] == {"files": 12, "rows": 9}
        assert self.lost(report) == {}

    def test_only_ten_paths_are_named_and_all_are_counted(self) -> None:
        for number in range(15):
            self.put(f"local_content/ab/cd/stray{number}")
        (kind,) = self.look()["report"]["files_without_rows"]["kinds"]
        assert (kind["files"], len(kind["sample"])) == (15, 10)
