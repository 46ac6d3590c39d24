"""What could not be looked at is said, and is never "no orphans"."""

import contextlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from http import HTTPStatus
from pathlib import Path
from typing import Any, ClassVar
from unittest.mock import patch

from synapse.media.storage_provider import StorageProvider

from synapse_bum.deletion.folders import Folder
from synapse_bum.testing import malware
from synapse_bum.testing.orphan_case import OrphanTestCase, unreadable

PICTURE = malware.png()


class UnseenTests(OrphanTestCase):
    def test_a_folder_that_can_not_be_read_is_named_and_the_rest_is_looked_at(self) -> None:
        self.put("local_content/ab/cd/efgh")
        self.put("local_content/xy/cd/efgh")
        self.put("remote_content/a.example/ab/cd/efgh")
        with unreadable(self.store / "local_content/xy"):
            run = self.look()
        assert run["state"] == "failed"
        assert "local_content/xy of the media store: Permission denied" in run["error"]
        assert not run["report"]["complete"]
        assert run["report"]["not_looked_at"] == [
            {"place": "the media store", "what": "local_content/xy", "reason": "Permission denied"}
        ]
        assert len(self.stray(run["report"])["the media store"]) == 2

    def test_a_file_that_can_not_be_asked_for_is_undecided_and_not_lost(self) -> None:
        self.upload(b"plain", "text/plain")
        self.age_all()
        stat = os.stat

        def refuse(path: Any, **more: Any) -> Any:  # noqa: ANN401 - as `os.stat`
            if "local_content/" in str(path) and not more:
                raise OSError(5, "Input/output error")
            return stat(path, **more)

        with patch("os.stat", refuse):
            run = self.look()
        assert run["state"] == "failed"
        assert run["report"]["undecided_rows"] == 1
        assert self.lost(run["report"]) == {}
        assert run["report"]["not_looked_at"][0]["reason"] == "Input/output error"

    def test_a_volume_that_is_not_mounted_is_no_look_without_orphans(self) -> None:
        self.upload(PICTURE)
        self.age_all()
        for name in self.files():
            (self.store / name).unlink()
        for folder in list(self.store.iterdir()):
            folder.rename(folder.with_name("moved_" + folder.name))
        run = self.look()
        assert run["state"] == "failed"
        assert "is its volume mounted?" in run["error"]
        assert self.lost(run["report"]) == {}
        assert run["report"]["undecided_rows"] > 0

    def test_an_empty_server_has_none(self) -> None:
        run = self.look()
        assert (run["state"], run["report"]["complete"]) == ("done", True)

    def test_a_folder_that_is_a_link_is_said_not_to_be_looked_at(self) -> None:
        mxc = self.upload(PICTURE)
        self.age_all()
        (self.store / "local_content").rename(self.store / "elsewhere")
        (self.store / "local_content").symlink_to((self.store / "elsewhere").absolute())
        run = self.look()
        assert run["report"]["not_looked_at"][0]["what"] == "local_content"
        assert self.lost(run["report"]) == {}, "behind the link it is there"
        assert self.download(mxc).code == HTTPStatus.OK


class ScriptedProvider(StorageProvider):
    """Keeps nothing, and nobody knows what it has."""

    def __init__(self, hs: object, config: object) -> None:
        del hs, config

    @staticmethod
    def parse_config(config: object) -> object:
        return config

    async def store_file(self, path: str, file_info: object) -> None:
        """Keeps what no test looks at."""

    async def fetch(self, path: str, file_info: object) -> None:
        """Has nothing."""


class UnlistedProviderTests(OrphanTestCase):
    server: ClassVar[Mapping[str, Any]] = {
        "media_storage_providers": [{"module": f"{__name__}.ScriptedProvider", "store_local": True, "config": {}}]
    }

    def test_a_row_whose_file_may_be_where_nobody_can_look_is_undecided(self) -> None:
        self.upload(b"plain", "text/plain")
        self.add_preview()
        self.age_all()
        for name in self.files():
            (self.store / name).unlink()
        run = self.look()
        assert run["state"] == "done"
        assert not run["report"]["complete"]
        assert run["report"]["undecided_rows"] == 1
        assert self.lost(run["report"]) == {"url_cache": 1, "url_cache_thumbnails": 1}, "providers never have previews"
        assert run["report"]["not_looked_at"][0]["place"] == "the storage provider ScriptedProvider"


class CopyFolderTests(OrphanTestCase):
    def default_config(self) -> dict[str, Any]:
        config = super().default_config()
        self.copies = Path(self.mktemp()).absolute()  # type: ignore[no-untyped-call]
        self.copies.mkdir()
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

    def age_all(self, days: float = 1) -> None:
        super().age_all(days)
        for name in self.files(self.copies):
            self.age(self.copies / name, days)

    def test_a_row_whose_file_is_only_at_a_provider_is_no_orphan(self) -> None:
        self.upload(PICTURE)
        self.fetch("known")
        self.age_all()
        for name in self.files():
            (self.store / name).unlink()
        run = self.look()
        assert run["state"] == "done"
        assert self.lost(run["report"]) == {}
        for name in self.files(self.copies):
            if name.startswith("local_content"):
                (self.copies / name).unlink()
        assert self.lost(self.look()["report"]) == {"local_content": 1}

    def test_copies_without_rows_are_reported_and_never_removed(self) -> None:
        self.upload(PICTURE)
        self.age_all()
        stray = self.put("remote_content/a.example/ab/cd/efgh", store=self.copies)
        run = self.look(dry_run=False)
        (place,) = self.stray(run["report"])
        assert place.startswith("the storage provider FileStorageProviderBackend")
        assert stray.exists()
        assert run["removed"]["files"] == 0

    def test_a_provider_that_raises_leaves_rows_undecided(self) -> None:
        self.upload(b"plain", "text/plain")
        self.age_all()
        for name in self.files():
            (self.store / name).unlink()
        raising = self.copies_raise(lambda: OSError(5, "Input/output error"))
        with raising:
            run = self.look()
        assert run["state"] == "failed"
        assert "Input/output error" in run["error"]
        assert run["report"]["undecided_rows"] == 1
        assert self.lost(run["report"]) == {}

    @contextlib.contextmanager
    def copies_raise(self, error: Callable[[], Exception]) -> Iterator[None]:
        present, walk = Folder.present, Folder.walk

        def broken_present(folder: Folder, paths: Sequence[str]) -> Any:  # noqa: ANN401 - as `present`
            if folder.path == self.copies:
                raise error()
            return present(folder, paths)

        def broken_walk(folder: Folder, *arguments: Any) -> Any:  # noqa: ANN401 - as `walk`
            if folder.path == self.copies:
                raise error()
            return walk(folder, *arguments)

        with patch.object(Folder, "present", broken_present), patch.object(Folder, "walk", broken_walk):
            yield
