"""Paths of the media store: each that Synapse makes leads back to its file, and no other path does."""

import string
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from synapse.media.filepath import MediaFilePaths

from synapse_bum.homeserver.media_layout import Owner, Shelf, owner_of

PATHS = MediaFilePaths("/store")
letters = st.text(string.ascii_letters, min_size=5, max_size=24)
any_id = st.text(string.ascii_letters + string.digits + "_-.[]:", min_size=5, max_size=30)
preview_ids = (
    st.builds("{:%Y-%m-%d}_{}".format, st.dates(), st.text(string.ascii_letters, min_size=1, max_size=16)) | letters
)
servers = st.sampled_from(["matrix.org", "localhost:8448", "[::1]:8448", "1.2.3.4"])
thumbnails = st.tuples(
    st.integers(1, 2_000), st.integers(1, 2_000), st.sampled_from(["image/png", "image/jpeg"]), st.just("crop")
)
Thumbnail = tuple[int, int, str, str]


def is_made_by_synapse(media_id: str) -> bool:
    return not {media_id[:2], media_id[2:4], media_id[4:]} & {".", ".."}


@given(any_id.filter(is_made_by_synapse), thumbnails)
def test_local_files(media_id: str, thumbnail: Thumbnail) -> None:
    owner = owner_of(PATHS.local_media_filepath_rel(media_id))
    assert owner == Owner(Shelf.LOCAL_CONTENT, None, (media_id,))
    owner = owner_of(PATHS.local_media_thumbnail_rel(media_id, *thumbnail))
    assert owner == Owner(Shelf.LOCAL_THUMBNAILS, None, (media_id,))


@given(preview_ids, thumbnails)
def test_url_previews(media_id: str, thumbnail: Thumbnail) -> None:
    for path in (PATHS.url_cache_filepath_rel(media_id), PATHS.url_cache_thumbnail_rel(media_id, *thumbnail)):
        owner = owner_of(path)
        assert owner is not None
        assert media_id in owner.file_ids
        assert owner.server_name is None


@given(servers, letters, thumbnails)
def test_files_of_other_servers(server_name: str, file_id: str, thumbnail: Thumbnail) -> None:
    width, height, content_type, method = thumbnail
    paths = [
        PATHS.remote_media_filepath_rel(server_name, file_id),
        PATHS.remote_media_thumbnail_rel(server_name, file_id, width, height, content_type, method),
        PATHS.remote_media_thumbnail_rel_legacy(server_name, file_id, width, height, content_type),
    ]
    for path in paths:
        owner = owner_of(path)
        assert owner is not None
        assert (owner.server_name, owner.file_ids) == (server_name, (file_id,))


@given(st.lists(st.sampled_from([*(shelf.value for shelf in Shelf), "ab", "cd", "rest", "1-1-image-png", ".", ""])))
def test_a_path_with_an_owner_is_a_path_that_synapse_makes(parts: list[str]) -> None:
    path = "/".join(parts)
    owner = owner_of(path)
    if owner is None:
        return
    folders = {
        Shelf.LOCAL_CONTENT: PATHS.local_media_filepath,
        Shelf.LOCAL_THUMBNAILS: PATHS.local_media_thumbnail_dir,
        Shelf.URL_CACHE: PATHS.url_cache_filepath,
        Shelf.URL_CACHE_THUMBNAILS: PATHS.url_cache_thumbnail_directory,
    }
    expected = Path("/store", path).parent if owner.shelf.has_thumbnails else Path("/store", path)
    if owner.server_name is not None:
        of_server = PATHS.remote_media_thumbnail_dir if owner.shelf.has_thumbnails else PATHS.remote_media_filepath
        assert {of_server(owner.server_name, file_id) for file_id in owner.file_ids} == {str(expected)}
    else:
        assert {folders[owner.shelf](file_id) for file_id in owner.file_ids} == {str(expected)}


@pytest.mark.parametrize(
    "path",
    [
        "",
        "local_content",
        "local_content/ab/cd",
        "local_content/ab/cd/",
        "local_content/ab/cd/rest/more",
        "local_content/abc/d/rest",
        "local_content/ab/cd/re st",
        "local_content/ab/cd/rest\n",
        "local_content/ab/../rest",
        "local_content/ab/cd/..",
        "/local_content/ab/cd/rest",
        "other/ab/cd/rest",
        "local_thumbnails/ab/cd/rest",
        "local_thumbnails/ab/cd/rest/README",
        "remote_content/ab/cd/rest",
        "remote_thumbnail/matrix.org/ab/cd/rest",
        "url_cache/2017-09-28",
        "url_cache_thumbnails/2017-09-28/rest",
        "lost+found/x",
        "local_content/.nfs0000000001",
    ],
)
def test_what_synapse_does_not_make_has_no_owner(path: str) -> None:
    assert owner_of(path) is None
