"""What is done with a remote file whose time has come, and how the walk spreads its work: pure decisions."""

from hypothesis import given
from hypothesis import strategies as st

from synapse_bum.homeserver.media import StoredMedia
from synapse_bum.homeserver.remote_media_listing import CachedFile
from synapse_bum.retention.media import remote_media
from synapse_bum.retention.media.remote_index import CURRENT_FOR_MS, PAGE, Entry, Position, Walk
from synapse_bum.retention.media.remote_media import (
    MAX_AVATAR_BYTES,
    REST_MS,
    TICK_MS,
    TICKS_PER_PASS,
    is_avatar,
    pages_due,
    sort_out,
)

DAY_MS = 86_400_000


def a_file(
    media_type: str | None = "image/png", size_bytes: int = 1, created_ts: int = 0, server_name: str = "a.example"
) -> CachedFile:
    media = StoredMedia(server_name, "media", "file", local=False)
    return CachedFile(media, created_ts, media_type, size_bytes, foreign_thumbnails=False)


def test_only_a_small_image_that_is_referred_to_is_fetched_again() -> None:
    assert is_avatar(a_file(), referenced=True)
    assert is_avatar(a_file("IMAGE/WebP", MAX_AVATAR_BYTES), referenced=True)
    assert not is_avatar(a_file(), referenced=False)
    assert not is_avatar(a_file(size_bytes=MAX_AVATAR_BYTES + 1), referenced=True)
    for media_type in ("application/pdf", "text/plain", "images/png", "image", "", None):
        assert not is_avatar(a_file(media_type), referenced=True)


entries = st.builds(
    lambda noted_ts, created_ts, server_name: Entry(
        Position(noted_ts, server_name, "media"),
        None if created_ts is None else a_file(created_ts=created_ts, server_name=server_name),
    ),
    st.integers(0, 100),
    st.none() | st.integers(0, 100),
    st.sampled_from(["a.example", "held.example"]),
)


@given(st.lists(entries), st.integers(0, 100))
def test_each_entry_is_expired_or_young_or_gone_or_held(found: list[Entry], cutoff_ts: int) -> None:
    done = sort_out(found, cutoff_ts, frozenset({"held.example"}))
    assert all(entry.file and entry.file.created_ts <= cutoff_ts for entry in done.expired)
    assert all(entry.file and entry.file.created_ts > cutoff_ts for entry in done.later)
    held = [entry for entry in found if entry.file and entry.position.server_name == "held.example"]
    assert not {entry.position.server_name for entry in (*done.expired, *done.later)} & {"held.example"}
    assert len(done.expired) + len(done.later) + len(done.gone) + len(held) == len(found)


def test_a_large_table_is_walked_once_a_day() -> None:
    walk = Walk(completed_ts=0, completed_pages=2_345)
    now_ms, done, ends = 0, 0, list[int]()
    while now_ms < 10 * DAY_MS:
        now_ms += TICK_MS
        for _ in range(pages_due(walk, now_ms)):
            done += 1
            walk = Walk(begun_ts=now_ms, completed_ts=walk.completed_ts, completed_pages=walk.completed_pages)
            if done % walk.completed_pages == 0:
                walk = Walk(completed_ts=now_ms, completed_pages=walk.completed_pages)
                ends.append(now_ms)
                break
    assert all(later - earlier < DAY_MS for earlier, later in zip([0, *ends], ends, strict=False))
    assert len(ends) >= 10
    assert all(Walk(completed_ts=end, completed_pages=1).is_current(end + DAY_MS) for end in ends)
    assert REST_MS + TICKS_PER_PASS * TICK_MS < DAY_MS < CURRENT_FOR_MS


def test_small_tables_and_the_first_pass_are_left_to_the_runs() -> None:
    small = remote_media.SMALL_TABLE // PAGE
    assert pages_due(Walk(), DAY_MS) == 0
    assert pages_due(Walk(begun_ts=1), DAY_MS) == 0
    assert pages_due(Walk(completed_ts=0, completed_pages=small), 10 * DAY_MS) == 0
    assert pages_due(Walk(completed_ts=0, completed_pages=small + 1), 10 * DAY_MS) == 1
