"""The ledger says what is stored, to the byte, whatever happens between two of its updates.

Everybody else's work is cut into its transactions, and these come in any order: uploads that are committed late, notes
that are read, written and acted on with anything in between, updates that are rolled back. Two things are promised to
the ledger and kept here: a row is there within ten minutes of the time that it says, and who has noted something does
it within five minutes. On a snapshot, a count sees what was committed when it began, so it stands for that moment.
"""

from collections.abc import Callable, Sequence

import attr
from hypothesis import assume, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from synapse_bum.deletion import DELETION, tally
from synapse_bum.homeserver.stored_bytes import LOCAL, Name, files_named
from synapse_bum.storage.ledger import LEDGER, UserOrder, advance, list_users, read, recount, user_bytes
from synapse_bum.storage.ledger.settling import SETTLES_AFTER_MS
from synapse_bum.storage.ledger.watched import note_arrivals
from synapse_bum.storage.ledger.watching import YOUNG_MS
from synapse_bum.storage.usage import CountConfig, UserStored
from synapse_bum.testing.media_tables import RESERVATION_MS, MediaTables
from synapse_bum.testing.stored_sums import stored_by_user, stored_in_all

MINUTE_MS = 60_000
DAY_MS = 86_400_000
START_MS = 1_700_000_000_000
UPLOADERS = (None, "", "@alice:test", "@bob:test", "@carol:test")
REMOTE = "remote.example"
NO_DRIFT = {"local": 0, "remote": 0, "thumbnails": 0}

sizes = st.sampled_from((0, 1, 7, 1_000, 2**31 - 1))
lengths = st.integers(1, 100)
picks = st.integers(0, 2**16)


@attr.s(auto_attribs=True, frozen=True, eq=False)
class InFlight:
    """What somebody is about to do.

    Attributes:
        deadline_ms: until when he does it, or never.
        steps: transactions that are left.
        keeps: the file that nobody can delete before the first of them is over.
    """

    deadline_ms: int
    steps: Sequence[Callable[[], None]]
    keeps: Name | None = None


class LedgerMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.tables = MediaTables(DELETION, LEDGER)
        self.now_ms = START_MS
        self.in_flight: list[InFlight] = []
        self.ids = 0
        self.is_counted = False
        tally.begin_reading(self.tables.txn)

    @initialize(is_counted=st.booleans())
    def some_files_are_there(self, *, is_counted: bool) -> None:
        for number in range(4):
            created_ts = self.now_ms - number * 8 * MINUTE_MS
            self.sql("INSERT INTO local_media_repository VALUES (?, 10, ?, '@alice:test')", f"old{number}", created_ts)
            self.sql("INSERT INTO remote_media_cache VALUES (?, ?, 20, ?)", REMOTE, f"r{number}", created_ts)
            self.sql("INSERT INTO local_media_repository_thumbnails VALUES (?, 1, 3)", f"old{number}")
            self.sql("INSERT INTO remote_media_cache_thumbnails VALUES (?, ?, 1, 4)", REMOTE, f"r{number}")
            reserved = f"reserved{number}", created_ts, "@bob:test"
            self.sql("INSERT INTO local_media_repository VALUES (?, NULL, ?, ?)", *reserved)
        if is_counted:
            self.full_recount()

    def teardown(self) -> None:
        # Whatever the ledger has missed, it would miss for ever.
        self.time_passes(120, kept=True)
        self.update()
        self.full_recount()
        self.tables.close()

    # What passes.

    @rule(minutes=st.sampled_from((0.02, 1, 4, 9, 11, 31, 59, 61, 200, 1500)), kept=st.booleans())
    def time_passes(self, minutes: float, *, kept: bool) -> None:
        until_ms = self.now_ms + int(minutes * MINUTE_MS)
        while due := [work for work in self.in_flight if work.deadline_ms < until_ms]:
            if kept:
                self.go_on(due[0])
            else:
                self.in_flight.remove(due[0])
        self.now_ms = until_ms

    @precondition(lambda self: self.in_flight)
    @rule(pick=picks)
    def somebody_goes_on(self, pick: int) -> None:
        self.go_on(self.in_flight[pick % len(self.in_flight)])

    # What comes.

    @rule(uploader=st.sampled_from(UPLOADERS), size=st.one_of(st.none(), sizes))
    def upload_or_reserve(self, uploader: str | None, size: int | None) -> None:
        self.ids += 1
        row = (f"m{self.ids}", size, self.now_ms, uploader)
        self.begin(
            SETTLES_AFTER_MS,
            lambda: self.sql("INSERT INTO local_media_repository VALUES (?, ?, ?, ?)", *row),
        )

    @rule(pick=picks, size=sizes, slowness_ms=st.sampled_from((0, MINUTE_MS, DAY_MS // 2)))
    def upload_to_a_reserved_id(self, pick: int, size: int, slowness_ms: int) -> None:
        reserved = self.tables.rows(
            "SELECT media_id FROM local_media_repository WHERE media_length IS NULL AND created_ts > ?",
            self.now_ms - RESERVATION_MS,
        )
        assume(reserved)
        media_id = reserved[pick % len(reserved)][0]
        self.begin(
            slowness_ms,
            lambda: self.sql("UPDATE local_media_repository SET media_length = ? WHERE media_id = ?", size, media_id),
        )

    @rule(number=st.integers(1, 4), size=sizes)
    def a_copy_of_a_file_of_another_server_comes(self, number: int, size: int) -> None:
        name, created_ts = (REMOTE, f"r{number}"), self.now_ms
        self.begin(
            SETTLES_AFTER_MS,
            lambda: note_arrivals(self.tables.txn, [(name, created_ts)]),
            # Whoever comes second is refused.
            lambda: self.sql("INSERT OR IGNORE INTO remote_media_cache VALUES (?, ?, ?, ?)", *name, size, created_ts),
        )

    # What changes, noted before.

    @rule(pick=picks, width=st.integers(1, 3), length=lengths)
    def thumbnail(self, pick: int, width: int, length: int) -> None:
        name = self.some_file(pick)
        row: tuple[str, ...]
        if name[0] == LOCAL:
            row, sql = name[1:], "INSERT OR REPLACE INTO local_media_repository_thumbnails VALUES (?, ?, ?)"
        else:
            row, sql = name, "INSERT OR REPLACE INTO remote_media_cache_thumbnails VALUES (?, ?, ?, ?)"
        self.begin_noted(name, lambda: self.sql(sql, *row, width, length))

    @rule(pick=picks, and_thumbnails=st.booleans())
    def synapse_deletes(self, pick: int, *, and_thumbnails: bool) -> None:
        name = self.some_file(pick)
        self.begin_noted(name, lambda: self.drop(name, and_thumbnails=and_thumbnails))

    @rule(pick=picks)
    def somebody_notes_and_does_nothing(self, pick: int) -> None:
        self.begin_noted(self.some_file(pick), lambda: None)

    @rule(pick=picks, and_thumbnails=st.booleans())
    def we_delete(self, pick: int, *, and_thumbnails: bool) -> None:
        name = self.some_file(pick)
        self.wait_for(name)
        tally.note_changes(self.tables.txn, [name], self.now_ms)
        self.drop(name, and_thumbnails=and_thumbnails)

    @rule(pick=picks)
    def we_leave_a_tombstone(self, pick: int) -> None:
        name = self.some_file(pick)
        assume(name[0] != LOCAL)
        self.wait_for(name)
        tally.note_changes(self.tables.txn, [name], self.now_ms)
        self.sql("UPDATE remote_media_cache SET media_length = 0 WHERE media_origin = ? AND media_id = ?", *name)
        self.sql("DELETE FROM remote_media_cache_thumbnails WHERE media_origin = ? AND media_id = ?", *name)

    # What is counted.

    @rule()
    def update(self) -> None:
        assert advance(self.tables.api, self.tables.txn, self.now_ms) == stored_in_all(self.tables.rows)
        self.check_ledger()

    @rule(full=st.booleans())
    def the_process_dies_while_it_counts(self, *, full: bool) -> None:
        self.tables.begin()
        (recount if full else advance)(self.tables.api, self.tables.txn, self.now_ms)
        self.tables.roll_back()

    @rule()
    def full_recount(self) -> None:
        is_comparable = self.is_counted and self.now_ms - self.as_of_ts < DAY_MS
        recounted = recount(self.tables.api, self.tables.txn, self.now_ms)
        assert recounted.stored == stored_in_all(self.tables.rows)
        if is_comparable:
            assert recounted.drift_bytes == NO_DRIFT
        self.check_ledger()

    # The rest.

    def begin(self, within_ms: int, *steps: Callable[[], None]) -> None:
        # At the very end of his time is too late: then the row is settled.
        self.in_flight.append(InFlight(self.now_ms + max(within_ms - 1, 0), steps))

    def begin_noted(self, name: Name, act: Callable[[], None]) -> None:
        """Read now, write the note, act: the first two in one transaction, which sees what is committed meanwhile."""
        now_ms, txn = self.now_ms, self.tables.txn
        found = [file for file in files_named(txn, [name]).values() if file.created_ts <= now_ms - YOUNG_MS]
        self.in_flight.append(
            InFlight(now_ms + YOUNG_MS - 1, [lambda: tally.write_notes(txn, found, now_ms), act], keeps=name)
        )

    def go_on(self, work: InFlight) -> None:
        self.in_flight.remove(work)
        work.steps[0]()
        if len(work.steps) > 1:
            self.in_flight.append(attr.evolve(work, steps=work.steps[1:], keeps=None))

    def wait_for(self, name: Name) -> None:
        for work in [work for work in self.in_flight if work.keeps == name]:
            self.go_on(work)

    def drop(self, name: Name, *, and_thumbnails: bool) -> None:
        self.wait_for(name)
        table, where, key = (
            ("local_media_repository", "media_id = ?", name[1:])
            if name[0] == LOCAL
            else ("remote_media_cache", "media_origin = ? AND media_id = ?", name)
        )
        self.sql(f"DELETE FROM {table} WHERE {where}", *key)  # noqa: S608
        if and_thumbnails:
            self.sql(f"DELETE FROM {table}_thumbnails WHERE {where}", *key)  # noqa: S608

    def some_file(self, pick: int) -> Name:
        names: list[Name] = [
            *((LOCAL, media_id) for (media_id,) in self.tables.rows("SELECT media_id FROM local_media_repository")),
            *self.tables.rows("SELECT media_origin, media_id FROM remote_media_cache"),
        ]
        assume(names)
        return names[pick % len(names)]

    def sql(self, sql: str, *parameters: object) -> None:
        self.tables.rows(sql, *parameters)

    def check_ledger(self) -> None:
        self.is_counted, self.as_of_ts = True, self.now_ms
        ledger = read(self.tables.txn)
        assert ledger is not None
        assert ledger.stored == stored_in_all(self.tables.rows)
        assert ledger.as_of_ts == self.now_ms
        expected = stored_by_user(self.tables.rows)
        count = CountConfig()
        page, total = list_users(
            self.tables.txn, order_by=UserOrder.USED_BYTES, descending=True, count=count, offset=0, limit=10
        )
        users = [user for user_id, user in expected.items() if user_id]
        assert page == sorted(users, key=lambda user: (-user.used_bytes(count), user.user_id))
        assert total == len(users)
        for user_id in ("@alice:test", "@nobody:test"):
            assert user_bytes(self.tables.txn, user_id) == expected.get(user_id, UserStored(user_id))


TestLedger = LedgerMachine.TestCase
TestLedger.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
