"""What the remover leaves: nothing, at no place; whatever happens between two of its steps."""

import base64
import shutil
from collections.abc import Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Any, ClassVar
from unittest.mock import patch

from prometheus_client import REGISTRY
from synapse.media.storage_provider import StorageProvider
from synapse.types import UserID

from synapse_bum.deletion import After, DeletionState, folders, remover
from synapse_bum.deletion.remover import FIRST_RETRY_MS, SETTLE_MS, YOUNG_MS
from synapse_bum.homeserver import media_deletion
from synapse_bum.testing import malware
from synapse_bum.testing.deleting_module import STEPS
from synapse_bum.testing.deletion_case import SERVER, DeletionTestCase

PICTURE = malware.png()
TABLES = (
    "local_media_repository",
    "local_media_repository_thumbnails",
    "remote_media_cache",
    "remote_media_cache_thumbnails",
)


class ForgetfulProvider(StorageProvider):
    """A storage provider that can't delete."""

    def __init__(self, hs: object, config: object) -> None:
        del hs, config

    @staticmethod
    def parse_config(config: object) -> object:
        return config

    async def store_file(self, path: str, file_info: object) -> None:
        """Keeps what no test looks at."""

    async def fetch(self, path: str, file_info: object) -> None:
        """Has nothing."""


class DeletingProvider(ForgetfulProvider):
    """A storage provider that can delete."""

    deleted: ClassVar[list[str]] = []

    async def delete_file(self, path: str) -> None:
        self.deleted.append(path)


def provider(cls: type[object]) -> Mapping[str, Any]:
    return {
        "media_storage_providers": [
            {"module": f"{cls.__module__}.{cls.__name__}", "store_local": True, "store_remote": True, "config": {}}
        ]
    }


def metric(name: str, kind: str = "local_media") -> float:
    return REGISTRY.get_sample_value(name, {"kind": kind, "policy": "example:rule"}) or 0


class RemovalTests(DeletionTestCase):
    def rows(self) -> dict[str, int]:
        return {table: self.count(table) for table in TABLES}

    def test_nothing_is_left_of_an_upload(self) -> None:
        mxc = self.upload(PICTURE)
        assert len(self.files()) > 1, "the file and its thumbnails"
        assert self.rows()["local_media_repository_thumbnails"] > 0
        files, size = metric("synapse_bum_deleted_files_total"), metric("synapse_bum_deleted_bytes_total")
        self.delete(mxc)
        self.turn()
        assert self.files() == [], "removed at once ..."
        self.settle()
        assert set(self.rows().values()) == {0}
        (done,) = self.journal()
        assert done.state is DeletionState.DROPPED
        assert metric("synapse_bum_deleted_files_total") == files + 1
        assert metric("synapse_bum_deleted_bytes_total") == size + len(PICTURE) + done.thumbnail_bytes
        assert REGISTRY.get_sample_value("synapse_bum_deletions_pending") == 0

    def test_neighbours_stay_as_they_are(self) -> None:
        kept = self.upload(PICTURE)
        before = self.files()
        gone = self.upload(PICTURE)
        self.delete(gone)
        self.settle()
        assert self.files() == before
        assert self.download(kept).result["body"] == PICTURE

    def test_what_synapse_still_stores_after_the_first_look_goes_with_the_second(self) -> None:
        mxc = self.upload(PICTURE)
        (path,) = (self.store / name for name in self.files() if name.startswith("local_content"))
        self.delete(mxc)
        self.turn()
        path.write_bytes(b"an upload that was on its way to a storage provider")
        assert self.journal()[0].state is DeletionState.HIDDEN
        self.turn(SETTLE_MS)
        assert self.files() == []
        assert self.journal()[0].state is DeletionState.DROPPED

    def test_an_old_file_is_gone_after_one_look(self) -> None:
        mxc = self.upload(PICTURE)
        self.reactor.advance(YOUNG_MS / 1000 + 1)
        self.delete(mxc)
        self.turn()
        assert self.journal()[0].state is DeletionState.DROPPED

    def test_a_thumbnail_that_synapse_finishes_meanwhile_goes_too(self) -> None:
        mxc = self.upload(PICTURE)
        self.reactor.advance(YOUNG_MS / 1000 + 1)
        media_id = mxc.rpartition("/")[2]
        late = self.store / "local_thumbnails" / media_id[:2] / media_id[2:4] / media_id[4:] / "7-7-image-png-crop"
        note_unlinked = remover.note_unlinked

        def another_thumbnail(txn: Any, *rest: Any) -> None:  # noqa: ANN401 - as the original
            note_unlinked(txn, *rest)
            late.parent.mkdir()
            late.write_bytes(b"late")
            txn.execute(
                "INSERT INTO local_media_repository_thumbnails VALUES (?, 7, 7, 'image/png', 'crop', 4)", (media_id,)
            )
            changed.stop()

        changed = patch.object(remover, "note_unlinked", another_thumbnail)
        changed.start()
        self.delete(mxc)
        self.turn()
        assert self.files() == []
        assert set(self.rows().values()) == {0}
        assert self.journal()[0].state is DeletionState.DROPPED

    def test_a_file_that_is_gone_already_is_a_success(self) -> None:
        mxc = self.upload(PICTURE)
        for name in self.files():
            (self.store / name).unlink()
        self.delete(mxc)
        self.settle()
        assert self.journal()[0].state is DeletionState.DROPPED

    def test_of_two_processes_that_end_the_same_deletion_one_counts_it(self) -> None:
        mxc = self.upload(PICTURE)
        self.reactor.advance(YOUNG_MS / 1000 + 1)
        ended: list[int] = []
        drop_unlinked = remover.drop_unlinked

        def rival_and_we(*arguments: Any) -> Any:  # noqa: ANN401 - as the original
            both = [drop_unlinked(*arguments), drop_unlinked(*arguments)]
            ended.extend(len(deletions) for deletions in both)
            return both[1]

        with patch.object(remover, "drop_unlinked", rival_and_we):
            self.delete(mxc)
            self.turn()
        assert ended == [1, 0]
        assert self.journal()[0].state is DeletionState.DROPPED

    def test_a_crash_at_any_step_is_made_good(self) -> None:
        for step in STEPS:
            mxc = self.upload(PICTURE)
            with patch.object(remover, step, side_effect=RuntimeError("the process died here")):
                self.delete(mxc)
                self.settle()
                assert self.journal()[0].state is not DeletionState.DROPPED, step
                assert self.download(mxc).code == HTTPStatus.NOT_FOUND, step
            self.settle()
            assert self.journal()[0].state is DeletionState.DROPPED, step
            assert self.files() == [], step
            assert set(self.rows().values()) == {0}, step

    def test_a_crash_between_two_unlinks_is_made_good(self) -> None:
        for broken in ("unlink", "_remove_tree"):
            mxc = self.upload(PICTURE)
            target = patch.object(Path, "unlink") if broken == "unlink" else patch.object(folders, "_remove_tree")
            with target as step:
                step.side_effect = RuntimeError("the process died here")
                self.delete(mxc)
                self.turn()
                assert self.journal()[0].state is DeletionState.HIDDEN
                assert self.files() != []
            self.turn(FIRST_RETRY_MS)
            self.settle()
            assert self.journal()[0].state is DeletionState.DROPPED
            assert self.files() == []

    def test_a_file_system_that_refuses_is_said_once_and_asked_again(self) -> None:
        mxcs = [self.upload(PICTURE), self.upload(PICTURE)]
        with (
            patch.object(Path, "unlink", side_effect=PermissionError(13, "Permission denied")),
            self.assertLogs("synapse_bum.deletion.remover", "WARNING") as logs,
        ):
            for mxc in mxcs:
                self.delete(mxc)
            self.turn()
            self.turn(FIRST_RETRY_MS)
        assert len(logs.output) == 1
        assert {row.error for row in self.journal()} == {"the media store: PermissionError: Permission denied"}
        assert {row.attempts for row in self.journal()} == {2}
        assert {row.state for row in self.journal()} == {DeletionState.HIDDEN}
        assert REGISTRY.get_sample_value("synapse_bum_deletions_failing") == 2
        self.settle()
        self.settle()
        assert {(row.state, row.error) for row in self.journal()} == {(DeletionState.DROPPED, None)}
        assert REGISTRY.get_sample_value("synapse_bum_deletions_failing") == 0

    def test_a_process_without_the_volume_removes_nothing_and_claims_nothing(self) -> None:
        mxc = self.upload(PICTURE)
        elsewhere = self.store.with_name("volume")
        self.store.rename(elsewhere)
        self.store.mkdir()
        with self.assertLogs("synapse_bum.deletion.remover", "WARNING") as logs:
            self.delete(mxc)
            self.settle()
        assert ["without the media volume" in line for line in logs.output] == [True]
        assert self.journal()[0].state is DeletionState.HIDDEN
        self.store.rmdir()
        elsewhere.rename(self.store)
        self.settle()
        assert self.files() == []
        assert self.journal()[0].state is DeletionState.DROPPED

    def test_a_name_that_leads_out_of_the_media_store_is_refused(self) -> None:
        mxc = self.upload(PICTURE)
        victim = self.store.parent / "victim"
        victim.write_bytes(b"not ours")
        paths = media_deletion.MediaPaths("local_content/../../victim", "local_thumbnails/../..", ())
        with patch.object(media_deletion, "paths_of", return_value=paths):
            self.delete(mxc)
            self.settle()
        assert victim.read_bytes() == b"not ours"
        assert self.files() != []
        (row,) = self.journal()
        assert row.state is DeletionState.HIDDEN
        assert "leads out of it" in (row.error or "")

    def test_a_remote_file_is_dropped_and_can_be_fetched_again(self) -> None:
        assert self.fetch("far").code == HTTPStatus.OK
        self.delete(f"mxc://{SERVER}/far")
        self.settle()
        assert self.files() == []
        assert set(self.rows().values()) == {0}
        assert self.fetch("far").code == HTTPStatus.OK
        assert self.fetched == ["far", "far"]

    def test_a_tombstone_is_never_fetched_again(self) -> None:
        assert self.fetch("far").code == HTTPStatus.OK
        self.delete(f"mxc://{SERVER}/far", after=After.TOMBSTONE)
        self.settle()
        assert self.files() == []
        assert self.journal()[0].state is DeletionState.DROPPED
        for path in ("download/{}", "thumbnail/{}?width=32&height=32"):
            place = path.format(f"{SERVER}/far")
            assert self.get(f"/_matrix/client/v1/media/{place}").code == HTTPStatus.NOT_FOUND
        assert self.fetch("far").code == HTTPStatus.NOT_FOUND
        assert self.fetched == ["far"]


class UrlPreviewTests(DeletionTestCase):
    server: ClassVar[Mapping[str, Any]] = {
        "url_preview_enabled": True,
        "url_preview_ip_range_blacklist": ["127.0.0.0/8"],
        "max_spider_size": "1M",
    }

    def test_a_preview_goes_with_its_thumbnails(self) -> None:
        previewer = self.hs.get_media_repository().url_previewer
        assert previewer is not None
        url = "data:image/png;base64," + base64.b64encode(PICTURE).decode()
        info = self.get_success(previewer._handle_url(url, UserID.from_string(self.alice), allow_data_urls=True))
        self.get_success(
            self.hs.get_media_repository()._generate_thumbnails(
                None, info.filesystem_id, info.filesystem_id, info.media_type, url_cache=True
            )
        )
        assert {name.partition("/")[0] for name in self.files()} == {"url_cache", "url_cache_thumbnails"}
        self.delete(f"mxc://test/{info.filesystem_id}")
        self.settle()
        assert self.files() == []


class CopyFolderTests(DeletionTestCase):
    def default_config(self) -> dict[str, Any]:
        config = super().default_config()
        self.copies = Path(self.mktemp())  # type: ignore[no-untyped-call]
        config["media_storage_providers"] = [
            {
                "module": "file_system",
                "store_local": True,
                "store_remote": True,
                "store_synchronous": True,
                "config": {"directory": str(self.copies)},
            }
        ]
        return config

    def test_the_copies_go_too(self) -> None:
        local = self.upload(PICTURE)
        self.fetch("far", PICTURE)
        assert len(self.files(self.copies)) == len(self.files()) > 2
        self.delete(local)
        self.delete(f"mxc://{SERVER}/far")
        self.settle()
        assert self.files(self.copies) == []
        assert self.files() == []
        assert {row.state for row in self.journal()} == {DeletionState.DROPPED}

    def test_copies_on_a_volume_that_is_not_mounted_are_not_claimed_to_be_gone(self) -> None:
        mxc = self.upload(PICTURE)
        shutil.rmtree(self.copies)
        self.copies.mkdir()
        self.delete(mxc)
        self.settle()
        (row,) = self.journal()
        assert row.state is DeletionState.HIDDEN
        assert "is its volume mounted?" in (row.error or "")


class UnknownProviderTests(DeletionTestCase):
    server: ClassVar[Mapping[str, Any]] = provider(ForgetfulProvider)

    def test_what_can_not_be_deleted_is_never_claimed_to_be_gone(self) -> None:
        mxc = self.upload(PICTURE)
        with self.assertLogs("synapse_bum.deletion.remover", "WARNING") as logs:
            self.delete(mxc)
            for _ in range(3):
                self.settle()
        assert len(logs.output) == 1
        assert "ForgetfulProvider" in logs.output[0]
        (row,) = self.journal()
        assert (row.state, row.done_ts) == (DeletionState.HIDDEN, None)
        assert "delete_file(path)" in (row.error or "")
        assert self.files() == [], "the media store itself is emptied all the same"
        assert self.count("local_media_repository") == 1
        assert self.download(mxc).code == HTTPStatus.NOT_FOUND


class DeletingProviderTests(DeletionTestCase):
    server: ClassVar[Mapping[str, Any]] = provider(DeletingProvider)

    def test_a_provider_with_delete_file_gets_every_path(self) -> None:
        DeletingProvider.deleted.clear()
        mxc = self.upload(PICTURE)
        stored = self.files()
        self.delete(mxc)
        self.settle()
        assert set(DeletingProvider.deleted) == set(stored)
        assert self.journal()[0].state is DeletionState.DROPPED
