"""What one step of the ledger makes of what it sees."""

from collections.abc import Sequence

import attr

from synapse_bum.deletion.tally import Note
from synapse_bum.homeserver.stored_bytes import LOCAL, NO_SHARE, Share, StoredFile
from synapse_bum.storage.ledger.settling import LATE_UPLOAD_MS, WATCHED_FOR_MS, Seen, Step, Watched, settle

SETTLED, UNTIL, NOW = 1_000_000, 2_000_000, 2_600_000
RESERVATION_MS = 86_400_000
ALICE = "@alice:test"
OLD = StoredFile(LOCAL, "old", 500_000, ALICE, Share(1, 100, 10), is_reserved=False)
FRESH = attr.evolve(OLD, media_id="fresh", created_ts=1_500_000)
YOUNG = attr.evolve(OLD, media_id="young", created_ts=2_500_000)


def note(number: int, file: StoredFile, share: Share, noted_ts: int = NOW - 1_000) -> Note:
    return Note(number, file.name, file.created_ts, file.uploader, share, noted_ts)


def watched(file: StoredFile, share: Share, until_ts: int = NOW + 1) -> Watched:
    return Watched(file.name, file.created_ts, file.uploader, share, until_ts)


def step(
    *present: StoredFile,
    notes: Sequence[Note] = (),
    watching: Sequence[Watched] = (),
    fresh: Sequence[StoredFile] = (),
) -> Step:
    seen = Seen(watched=watching, notes=notes, present={file.name: file for file in present}, fresh=fresh)
    return settle(seen, SETTLED, UNTIL, now_ms=NOW, reservation_ms=RESERVATION_MS)


def test_files_settle_once_they_are_old_enough() -> None:
    done = step(fresh=[FRESH, YOUNG])
    assert (done.settled, done.recent) == ({ALICE: FRESH.share}, {ALICE: YOUNG.share})


def test_a_file_that_is_gone_is_taken_off_once_however_often_it_was_noted() -> None:
    notes = [note(1, OLD, OLD.share), note(2, OLD, OLD.share)]
    done = step(notes=notes)
    assert done.settled == {ALICE: NO_SHARE - OLD.share}
    assert done.watched == ()


def test_the_first_note_says_what_the_ledger_contains() -> None:
    notes = [note(1, OLD, Share(1, 100, 0)), note(2, OLD, Share(1, 100, 4))]
    assert step(OLD, notes=notes).settled == {ALICE: Share(0, 0, 10)}


def test_what_the_ledger_watches_goes_before_what_was_noted() -> None:
    done = step(OLD, notes=[note(1, OLD, NO_SHARE)], watching=[watched(OLD, OLD.share)])
    assert done.settled == {}


def test_what_was_noted_and_has_not_happened_is_watched_for_an_hour() -> None:
    done = step(OLD, notes=[note(1, OLD, OLD.share, NOW - 1_000)])
    assert done.settled == {}
    assert done.watched == (watched(OLD, OLD.share, NOW - 1_000 + WATCHED_FOR_MS),)
    assert step(OLD, notes=[note(1, OLD, OLD.share, NOW - WATCHED_FOR_MS)]).watched == ()


def test_a_file_that_was_fetched_again_is_another_file() -> None:
    first = attr.evolve(OLD, origin="remote.example", uploader="")
    second = attr.evolve(first, created_ts=1_500_000, share=Share(1, 7, 0))
    done = step(second, notes=[note(1, first, first.share)], fresh=[second])
    assert done.settled == {None: second.share - first.share}


def test_a_file_that_was_not_settled_yet_is_not_taken_off() -> None:
    assert step(notes=[note(1, FRESH, FRESH.share)]).settled == {}


def test_a_reserved_id_is_watched_as_long_as_something_can_be_uploaded_to_it() -> None:
    reserved = attr.evolve(FRESH, share=NO_SHARE, is_reserved=True)
    done = step(fresh=[reserved])
    assert done.settled == {}
    assert done.watched == (watched(reserved, NO_SHARE, reserved.created_ts + RESERVATION_MS + LATE_UPLOAD_MS),)
    uploaded = attr.evolve(OLD, share=Share(1, 100, 0))
    assert step(uploaded, watching=[watched(OLD, NO_SHARE)]).settled == {ALICE: Share(1, 100, 0)}
