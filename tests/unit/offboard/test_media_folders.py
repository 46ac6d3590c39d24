"""Of a media folder goes what is ours, and nothing when somebody else has a part in it."""

from pathlib import Path
from typing import Any

import pytest

from synapse_bum.cli.offboard import folders
from synapse_bum.cli.offboard.failure import OffboardError
from synapse_bum.cli.offboard.mounts import mount_points_in, mounts_below, mounts_of
from synapse_bum.homeserver.media_layout import Owner

pytestmark = pytest.mark.any_synapse

MOUNTINFO = (
    b"24 1 8:1 / / rw - ext4 /dev/sda1 rw\n"
    b"25 24 8:2 /sub /srv/media\\040store rw shared:1 - ext4 /dev/sdb1 rw\n"
    b"26 24 8:1 /var/other /srv/media\\040store/local_content/aa rw - ext4 /dev/sda1 rw\n"
)


class FakeOwnership:
    """Knows the files that it was given."""

    def __init__(self, *known: str) -> None:
        self.known = {*known}

    def not_ours(self, owners: list[Owner]) -> list[Owner]:
        return [owner for owner in owners if not {*owner.file_ids} & self.known]


def ownership(*known: str) -> Any:  # noqa: ANN401 - stands for `Ownership`
    return FakeOwnership(*known)


@pytest.fixture
def media(tmp_path: Path) -> Path:
    for path in (
        "local_content/aa/bb/cc",
        "local_thumbnails/aa/bb/cc/32-32-image-png-crop",
        "remote_content/a/dd/ee/f",
    ):
        file = tmp_path / "media" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"abc")
    return tmp_path / "media"


def test_all_of_it_goes_when_all_of_it_is_ours(media: Path) -> None:
    ours = ownership("aabbcc", "ddeef")
    assert folders.count(media, ours) == folders.Counted(3, 9)
    folders.erase(media, ours)
    assert not media.exists()
    folders.erase(media, ours)


def test_with_another_servers_files_in_it_nothing_goes(media: Path) -> None:
    """Two homeservers with one folder: rows of ours name some of the files only."""
    for look in (folders.count, folders.erase):
        with pytest.raises(OffboardError, match="does not know, for example remote_content/a/dd/ee/f: another one"):
            look(media, ownership("aabbcc"))
    assert (media / "local_content/aa/bb/cc").exists()


def test_what_another_server_brings_between_the_look_and_the_deletion_stays(media: Path) -> None:
    class GrowingOwnership(FakeOwnership):
        """The folder gets a file whenever somebody asks whose all the others are."""

        def not_ours(self, owners: list[Owner]) -> list[Owner]:
            (media / "url_cache").mkdir(exist_ok=True)
            (media / "url_cache" / "2026-01-02").mkdir(exist_ok=True)
            (media / "url_cache" / "2026-01-02" / "theirs").write_bytes(b"of somebody else")
            return super().not_ours(owners)

    growing: Any = GrowingOwnership("aabbcc", "ddeef")
    with pytest.raises(OffboardError, match="for example url_cache/2026-01-02/theirs"):
        folders.erase(media, growing)
    assert (media / "url_cache" / "2026-01-02" / "theirs").exists()


def test_without_the_database_only_empty_folders_go(media: Path) -> None:
    with pytest.raises(OffboardError, match="holds 3 files or folders again"):
        folders.erase(media, None)
    for file in [path for path in media.rglob("*") if path.is_file()]:
        file.unlink()
    folders.erase(media, None)
    assert not media.exists()


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_a_link_is_refused_because_what_is_behind_it_would_be_left(media: Path, tmp_path: Path, kind: str) -> None:
    behind = tmp_path / "behind"
    if kind == "folder":
        behind.mkdir()
    else:
        behind.write_bytes(b"abc")
    (media / "local_content" / "aa" / "bb" / "dd").symlink_to(behind)
    with pytest.raises(OffboardError, match="links are not followed"):
        folders.count(media, ownership("aabbcc", "ddeef", "aabbdd"))


def test_what_is_mounted_in_it_is_refused(media: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also a folder of the same file system: only the kernel's list tells."""
    mounted = [Path("/"), media, media / "local_content" / "aa"]
    monkeypatch.setattr("synapse_bum.cli.offboard.mounts.mount_points", lambda: mounted)
    for look in (folders.count, folders.erase):
        with pytest.raises(OffboardError, match="local_content/aa is mounted in"):
            look(media, ownership("aabbcc", "ddeef"))
    assert (media / "local_content/aa/bb/cc").exists()


def test_a_media_store_that_is_not_mounted_is_not_an_empty_one(tmp_path: Path) -> None:
    folder = tmp_path / "media"
    folder.mkdir()
    with pytest.raises(OffboardError, match="the database names 3 files: is a file system not mounted"):
        folders.refuse_missing(folder, 3)
    folders.refuse_missing(folder, 0)
    (folder / "local_content").mkdir()
    folders.refuse_missing(folder, 3)


def test_the_kernels_list_is_read() -> None:
    found = [Path("/"), Path("/srv/media store"), Path("/srv/media store/local_content/aa")]
    assert mount_points_in(MOUNTINFO) == found


def test_where_a_path_is_mounted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert mounts_below(Path("/")) != []
    monkeypatch.setattr(Path, "is_mount", lambda path: path in {tmp_path, Path("/")})
    assert mounts_of([tmp_path / "a" / "missing", tmp_path]) == (str(tmp_path),)
    assert mounts_of([Path("/")]) == ()
