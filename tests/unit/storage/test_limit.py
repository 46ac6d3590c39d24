"""What fits is let in, what does not fit is refused, and nothing that is on its way is forgotten."""

import itertools
import sqlite3
from collections.abc import Iterator
from decimal import Decimal
from typing import Any, cast

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, precondition, rule
from synapse.module_api import LoggingTransaction

from synapse_bum.storage.limit import reservations
from synapse_bum.storage.limit.decision import Limits, Refusal, Used, decide
from synapse_bum.storage.limit.reservations import LONGEST_UPLOAD_MS, Process, Upload
from synapse_bum.storage.limit.tables import LIMIT

GB = 1_000_000_000
ALICE, BOB = "@alice:test", "@bob:test"
HERE = Process("main", "first")


@pytest.mark.parametrize(
    ("used", "size_bytes", "expected"),
    [
        (Used(0, 0), 1000, Refusal.USER),
        (Used(0, 0), 300, None),
        (Used(0, 0), 301, Refusal.USER),
        (Used(700, 0), 300, None),
        (Used(701, 0), 300, Refusal.POOL),
        (Used(500, 299), 1, None),
        (Used(500, 299), 2, Refusal.USER),
        (Used(2000, 0), 0, Refusal.POOL),
        (Used(1000, 300), 0, None),
    ],
)
def test_both_limits_may_be_reached_by_the_byte_and_not_exceeded(
    used: Used, size_bytes: int, expected: Refusal | None
) -> None:
    assert decide(Limits(1000, 300, GB), used, size_bytes) is expected


def test_one_user_may_have_his_share_and_always_what_he_brings() -> None:
    def user_bytes(limit: str, included: str) -> int:
        limits = Limits.of(
            hard_limit_gb=Decimal(limit), user_share=0.1, included_gb_per_user=Decimal(included), gigabyte=GB
        )
        assert limits.pool_bytes == int(Decimal(limit) * GB)
        return limits.user_bytes

    assert user_bytes("1000", "1") == 100 * GB
    assert user_bytes("5", "1") == 1 * GB
    assert user_bytes("0.5", "0") == 50_000_000


def test_clients_are_told_in_clear_words_what_to_do() -> None:
    limits = Limits(1000 * GB, 2_500_000_000, GB)
    assert "storage of this server is full" in limits.sentence(Refusal.POOL)
    assert "your share of this server's storage (2.5 GB)" in limits.sentence(Refusal.USER)
    assert "Delete files" in limits.sentence(Refusal.USER)
    assert "try again later" in limits.sentence(Refusal.UNKNOWN)


class Server:
    """A database with the table of uploads, files and a ledger; each method is one transaction."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self._connection = sqlite3.connect(":memory:", isolation_level=None)
        self._cursor = self._connection.cursor()
        for migration in LIMIT.migrations:
            for statement in migration.sqlite:
                self._cursor.execute(statement)
        self._cursor.execute("CREATE TABLE files (user_id TEXT, size_bytes BIGINT)")
        self._ledger: dict[str, int] = {}
        self._tickets = map(str, itertools.count())

    @property
    def txn(self) -> LoggingTransaction:
        return cast("LoggingTransaction", self._cursor)

    def counted(self, _txn: LoggingTransaction, user_id: str) -> Used | None:
        return Used(sum(self._ledger.values()), self._ledger.get(user_id, 0))

    def let_in(self, user_id: str, size_bytes: int, process: Process = HERE, now_ms: int = 0) -> str | Refusal:
        upload = Upload(next(self._tickets), user_id, size_bytes, now_ms)
        refusal = reservations.reserve(self.txn, upload, process, self.limits, self.counted)
        return refusal or upload.ticket

    def store(self, user_id: str, size_bytes: int) -> None:
        self._cursor.execute("INSERT INTO files VALUES (?, ?)", (user_id, size_bytes))

    def update(self, now_ms: int = 0) -> None:
        """What the accounting does: count and settle, on one snapshot."""
        self._cursor.execute("SELECT user_id, SUM(size_bytes) FROM files GROUP BY user_id")
        self._ledger = dict(self._cursor.fetchall())
        reservations.settle(self.txn, now_ms)

    def stored(self, user_id: str | None = None) -> int:
        self._cursor.execute(
            "SELECT COALESCE(SUM(size_bytes), 0) FROM files WHERE user_id = COALESCE(?, user_id)", (user_id,)
        )
        return int(self._cursor.fetchone()[0])

    def notes(self) -> int:
        self._cursor.execute("SELECT COUNT(*) FROM synapse_bum_storage_uploads")
        return int(self._cursor.fetchone()[0])

    def close(self) -> None:
        self._connection.close()


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server(Limits(1000, 600, GB))
    yield made
    made.close()


def test_what_is_on_its_way_counts(server: Server) -> None:
    assert server.let_in(ALICE, 600) == "0"
    assert server.let_in(BOB, 401) is Refusal.POOL
    assert server.let_in(ALICE, 1) is Refusal.USER
    assert server.let_in(BOB, 400) == "3"


def test_an_upload_that_left_nothing_makes_room_at_once(server: Server) -> None:
    ticket = server.let_in(ALICE, 600)
    reservations.free(server.txn, str(ticket))
    assert server.let_in(ALICE, 600) != Refusal.USER
    assert server.notes() == 1


def test_an_upload_counts_until_the_ledger_knows_it(server: Server) -> None:
    ticket = server.let_in(ALICE, 600)
    server.store(ALICE, 600)
    reservations.finish(server.txn, str(ticket))
    assert server.let_in(BOB, 401) is Refusal.POOL
    server.update()
    assert server.notes() == 0
    assert server.let_in(BOB, 401) is Refusal.POOL
    assert server.let_in(BOB, 400) != Refusal.POOL


def test_an_upload_that_still_runs_survives_updates(server: Server) -> None:
    server.let_in(ALICE, 600)
    server.update(now_ms=LONGEST_UPLOAD_MS)
    assert server.let_in(BOB, 401) is Refusal.POOL


def test_an_upload_of_a_process_that_never_came_back_ends_after_an_hour(server: Server) -> None:
    server.let_in(ALICE, 600)
    server.update(now_ms=LONGEST_UPLOAD_MS + 1)
    assert server.let_in(BOB, 600) != Refusal.POOL


def test_a_process_that_starts_again_ends_its_own_earlier_uploads_only(server: Server) -> None:
    server.let_in(ALICE, 100, Process("main", "first"))
    server.let_in(ALICE, 200, Process("media1", "first"))
    server.let_in(ALICE, 300, Process("main", "second"))
    reservations.finish_earlier(server.txn, Process("main", "second"))
    server.update()
    assert server.let_in(ALICE, 101) is Refusal.USER
    assert server.let_in(ALICE, 100) != Refusal.USER


def test_before_the_first_count_nobody_knows(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "counted", lambda _txn, _user_id: None)
    assert server.let_in(ALICE, 1) is Refusal.UNKNOWN
    assert server.notes() == 0


SIZES = st.integers(0, 400)
USERS = st.sampled_from([ALICE, BOB, "@carol:test"])


class Uploading(RuleBasedStateMachine):
    """Uploads, updates of the ledger, failures and restarts in any order never exceed the limits."""

    on_their_way: Bundle[Any] = Bundle("on_their_way")
    stored: Bundle[Any] = Bundle("stored")

    def __init__(self) -> None:
        super().__init__()
        self.server = Server(Limits(1000, 600, GB))
        self.runs = map(str, itertools.count())
        self.process = Process("main", next(self.runs))
        self.open: set[str] = set()

    @rule(target=on_their_way, user_id=USERS, size_bytes=SIZES)
    def begin(self, user_id: str, size_bytes: int) -> tuple[str, str, int] | None:
        answer = self.server.let_in(user_id, size_bytes, self.process)
        if isinstance(answer, Refusal):
            return None
        self.open.add(answer)
        return answer, user_id, size_bytes

    @rule(target=stored, upload=consumes(on_their_way))
    def write_row(self, upload: tuple[str, str, int] | None) -> tuple[str, str, int] | None:
        if upload is None or upload[0] not in self.open:
            return None
        self.server.store(*upload[1:])
        return upload

    @rule(upload=consumes(on_their_way))
    def fail(self, upload: tuple[str, str, int] | None) -> None:
        if upload is not None and upload[0] in self.open:
            self.open.discard(upload[0])
            reservations.free(self.server.txn, upload[0])

    @rule(upload=consumes(stored))
    def end(self, upload: tuple[str, str, int] | None) -> None:
        if upload is not None and upload[0] in self.open:
            self.open.discard(upload[0])
            reservations.finish(self.server.txn, upload[0])

    @rule()
    def update(self) -> None:
        self.server.update()

    @rule()
    def die_and_start_again(self) -> None:
        self.open.clear()
        self.process = Process("main", next(self.runs))
        reservations.finish_earlier(self.server.txn, self.process)

    @precondition(lambda self: not self.open)
    @rule(user_id=USERS, size_bytes=SIZES)
    def when_all_is_quiet_the_answer_is_exact(self, user_id: str, size_bytes: int) -> None:
        self.server.update()
        assert self.server.notes() == 0
        fits = self.server.stored() + size_bytes <= 1000 and self.server.stored(user_id) + size_bytes <= 600
        answer = self.server.let_in(user_id, size_bytes, self.process)
        assert fits != isinstance(answer, Refusal)
        reservations.free(self.server.txn, str(answer))

    @invariant()
    def no_limit_is_exceeded(self) -> None:
        assert self.server.stored() <= 1000
        assert self.server.stored(ALICE) <= 600

    def teardown(self) -> None:
        self.server.close()


TestUploading = Uploading.TestCase
TestUploading.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)
