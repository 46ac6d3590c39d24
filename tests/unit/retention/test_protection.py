"""Which keys refer to files, how many of them one user can protect, and how a reading goes on."""

import json
from typing import Any

import attr
import pytest
from hypothesis import given
from hypothesis import strategies as st

from synapse_bum.homeserver.media_references import Positions
from synapse_bum.retention.config import ProtectConfig
from synapse_bum.retention.media import references
from synapse_bum.retention.media.protection_cap import Reference, protected_files
from synapse_bum.retention.media.protection_progress import BuildStep, Progress
from synapse_bum.retention.media.references import (
    Kind,
    file_of_uri,
    files_of_pack,
    files_of_room_avatar,
    files_of_state,
    parsed,
    sender_and_content,
    uri_of_file,
)

MXC = "mxc://example.org/abc"
FILE = ("example.org", "abc")


def _of_one_size(reference: Reference) -> Reference:
    """Give a reference the size and age that its file has in all others."""
    number = int(reference.media_id.removeprefix("file"))
    return attr.evolve(reference, size_bytes=number * 23 % 90, created_ts=number * 31 % 50)


KEYS = ["url", "images", "pack", "avatar_url", "x"]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.just(MXC),
    lambda inner: (
        st.lists(inner) | st.dictionaries(st.sampled_from(["url", "images", "pack", "avatar_url", "x"]), inner)
    ),
    max_leaves=20,
)
REFERENCES = st.lists(
    st.builds(
        Reference,
        kind=st.sampled_from(Kind),
        media_id=st.sampled_from([f"file{n}" for n in range(12)]),
        size_bytes=st.just(0),
        created_ts=st.just(0),
    ).map(_of_one_size),
    max_size=30,
)
SIZES = st.integers(0, 500)


def rules(most: int = 10**9, *, avatars: bool = True, image_packs: bool = True) -> ProtectConfig:
    return ProtectConfig(avatars=avatars, image_packs=image_packs, max_bytes_per_user=most)


def a_reference(media_id: str, kind: Kind = Kind.PROFILE, size: int = 10, created_ts: int = 0) -> Reference:
    return Reference(kind, media_id, size, created_ts)


@pytest.mark.parametrize(
    ("uri", "file"),
    [
        (MXC, FILE),
        (f"{MXC}#auto", FILE),
        ("mxc://[::1]:8448/a-B_9", ("[::1]:8448", "a-B_9")),
        ("mxc://example.org/", None),
        ("mxc://example.org/a/b", None),
        ("mxc://example.org/../x", None),
        ("MXC://example.org/abc", None),
        ("https://example.org/abc", None),
        ("", None),
        (None, None),
        ([MXC], None),
        (7, None),
    ],
)
def test_only_mxc_uris_name_files(uri: object, file: tuple[str, str] | None) -> None:
    assert file_of_uri(uri) == file


def test_the_uri_of_a_file_is_read_back() -> None:
    assert file_of_uri(uri_of_file(*FILE)) == FILE


def test_images_of_a_pack_and_the_picture_of_the_pack_count() -> None:
    content = {
        "images": {"a": {"url": MXC, "info": {"thumbnail_url": "mxc://example.org/thumb"}}, "b": {"uri": MXC}},
        "pack": {"avatar_url": "mxc://example.org/pack", "attribution": "mxc://example.org/no"},
        "url": "mxc://example.org/url",
        "short": {":a:": "mxc://example.org/short"},
    }
    assert files_of_pack(content) == {FILE, ("example.org", "pack")}
    assert files_of_state("im.ponies.room_emotes", content) == {FILE, ("example.org", "pack")}
    assert files_of_state("m.room.avatar", content) == {("example.org", "url")}


def test_a_pack_refers_to_no_more_files_than_the_limit() -> None:
    many = {"images": {str(n): {"url": f"mxc://example.org/f{n}"} for n in range(references.MOST_REFERENCES + 10)}}
    assert references.MOST_REFERENCES - 1 <= len(files_of_pack(many)) <= references.MOST_REFERENCES


@given(JSON)
def test_no_content_raises(content: Any) -> None:  # noqa: ANN401 - anything
    for files in (files_of_pack(content), files_of_room_avatar(content)):
        assert files <= {FILE}
    sender_and_content(json.dumps({"sender": content, "content": content}))


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000, None, 7, "\udcff"])
def test_what_is_no_json_is_nothing(text: object) -> None:
    assert parsed(text) is None
    assert sender_and_content(text) == ("", None)


@given(REFERENCES, SIZES)
def test_a_user_never_protects_more_than_his_allowance_and_leaves_no_room_unused(
    found: list[Reference], most: int
) -> None:
    sizes = {reference.media_id: reference.size_bytes for reference in found}
    kept = protected_files(found, rules(most))
    used = sum(sizes[media_id] for media_id in kept)
    assert used <= most
    assert all(used + size > most for media_id, size in sizes.items() if media_id not in kept)


@given(REFERENCES, SIZES)
def test_image_packs_never_cost_an_avatar_its_place(found: list[Reference], most: int) -> None:
    avatars = [reference for reference in found if reference.kind.is_avatar]
    assert protected_files(avatars, rules(most)) <= protected_files(found, rules(most))


@given(REFERENCES, SIZES, st.randoms())
def test_the_order_in_which_references_are_read_does_not_matter(found: list[Reference], most: int, random: Any) -> None:  # noqa: ANN401 - hypothesis' own class
    kept = protected_files(found, rules(most))
    random.shuffle(found)
    assert protected_files(found, rules(most)) == kept


def test_the_own_avatar_comes_first_and_then_what_is_new() -> None:
    found = [
        a_reference("old pack", Kind.ROOM_PACK, created_ts=1),
        a_reference("new pack", Kind.USER_PACK, created_ts=9),
        a_reference("room", Kind.ROOM_AVATAR, created_ts=5),
        a_reference("face", Kind.PROFILE, created_ts=0),
    ]
    kept = [protected_files(found, rules(most)) for most in (10, 20, 30, 40)]
    assert kept == [
        {"face"},
        {"face", "room"},
        {"face", "room", "new pack"},
        {"face", "room", "new pack", "old pack"},
    ]


def test_a_file_that_comes_twice_counts_once() -> None:
    found = [a_reference("face"), a_reference("face", Kind.ROOM_PACK), a_reference("other", Kind.ROOM_PACK)]
    assert protected_files(found, rules(20)) == {"face", "other"}


def test_a_large_file_leaves_room_for_small_ones() -> None:
    found = [a_reference("large", size=100, created_ts=9), a_reference("small")]
    assert protected_files(found, rules(50)) == {"small"}


def test_kinds_that_are_switched_off_protect_nothing() -> None:
    found = [a_reference(kind.value, kind) for kind in Kind]
    assert protected_files(found, rules(avatars=False)) == {"room_pack", "user_pack"}
    assert protected_files(found, rules(image_packs=False)) == {"profile", "member", "room_avatar"}
    assert protected_files(found, rules(avatars=False, image_packs=False)) == frozenset()


def test_a_reading_goes_through_all_steps_and_is_usable_only_at_the_end() -> None:
    progress = Progress(3, None, (), Positions(1, 1), None, "")
    assert not progress.is_usable
    progress = progress.begun(Positions(7, 8))
    assert (progress.generation, progress.positions) == (4, Positions(7, 8))
    steps = []
    while progress.step is not None:
        assert not progress.is_usable
        assert progress.after_key == progress.step.start
        assert progress.advanced(["x"], 5, "rules").after_key == ("x",)
        steps.append(progress.step)
        progress = progress.advanced(None, 5, "rules")
    assert steps == list(BuildStep)
    assert progress.is_usable
    assert (progress.complete_ts, progress.rules) == (5, "rules")
    assert not progress.begun(Positions(9, 9)).is_usable
