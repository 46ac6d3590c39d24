"""Our SQL on SQLite without a homeserver: tables and their versions, leases, secrets."""

import contextlib
import random
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import attr
import pytest
from hypothesis import given
from hypothesis import strategies as st
from synapse.module_api.errors import ConfigError

from synapse_bum.database import Component, Dialect, Migration, SchemaTooNewError
from synapse_bum.database.leases import LEASES, Claim, acquire, clock_sql, release, renew
from synapse_bum.database.schema import migrate, refuse_newer
from synapse_bum.secret_store import SECRETS, Secret, get_or_create, read_secret_file

FIRST = Migration.both(1, "CREATE TABLE synapse_bum_example (a INTEGER)")
SECOND = Migration(
    2,
    sqlite=(
        "ALTER TABLE synapse_bum_example ADD COLUMN b TEXT",
        "INSERT INTO synapse_bum_example VALUES (1, 'sqlite')",
    ),
    postgres=("SELECT 1",),
)


@pytest.fixture
def connection() -> Iterator[sqlite3.Connection]:
    opened = sqlite3.connect(":memory:")
    yield opened
    opened.close()


def migrated(connection: sqlite3.Connection, *components: Component) -> None:
    cursor = connection.cursor()
    cursor.execute("BEGIN IMMEDIATE")
    try:
        migrate(cursor, Dialect.SQLITE, components)
    except Exception:
        connection.rollback()
        raise
    connection.commit()


def test_tables_are_made_step_by_step_and_only_once(connection: sqlite3.Connection) -> None:
    migrated(connection, Component("example", (FIRST,)))
    for _ in range(2):
        migrated(connection, Component("example", (FIRST, SECOND)))
    assert connection.execute("SELECT a, b FROM synapse_bum_example").fetchall() == [(1, "sqlite")]
    assert connection.execute("SELECT component, version FROM synapse_bum_schema").fetchall() == [("example", 2)]


def test_a_later_database_is_refused_and_left_alone(connection: sqlite3.Connection) -> None:
    migrated(connection, Component("example", (FIRST, SECOND)))
    with pytest.raises(SchemaTooNewError) as caught:
        migrated(
            connection, Component("other", (Migration.both(1, "CREATE TABLE x (a)"),)), Component("example", (FIRST,))
        )
    assert "version 2 of the synapse_bum tables for example, this package knows version 1" in str(caught.value)
    tables = {row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    assert tables == {"synapse_bum_schema", "synapse_bum_example"}


@pytest.mark.parametrize(("known", "is_refused"), [(1, True), (2, False)])
def test_later_tables_are_known_before_anything_is_made(
    connection: sqlite3.Connection, known: int, *, is_refused: bool
) -> None:
    component = Component("example", (FIRST, SECOND)[:known])
    refuse_newer(connection.cursor(), Dialect.SQLITE, [component])
    assert connection.execute("SELECT name FROM sqlite_master").fetchall() == []
    migrated(connection, Component("example", (FIRST, SECOND)))
    asked = [Component("other", (Migration.both(1, "CREATE TABLE x (a)"),)), component]
    with pytest.raises(SchemaTooNewError, match="for example") if is_refused else contextlib.nullcontext():
        refuse_newer(connection.cursor(), Dialect.SQLITE, asked)
    assert connection.execute("SELECT component, version FROM synapse_bum_schema").fetchall() == [("example", 2)]


def test_a_failing_step_leaves_everything_as_it_was(connection: sqlite3.Connection) -> None:
    broken = Migration.both(2, "CREATE TABLE synapse_bum_half (a)", "not sql")
    migrated(connection, Component("example", (FIRST,)))
    with pytest.raises(sqlite3.OperationalError):
        migrated(connection, Component("example", (FIRST, broken)))
    migrated(connection, Component("example", (FIRST, SECOND)))
    assert not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'synapse_bum_half'").fetchall()


def test_migrations_count_without_gaps() -> None:
    with pytest.raises(ValueError, match="without gaps"):
        Component("example", (FIRST, Migration.both(3)))


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Step:
    """What one of several processes does, and how much time passes before."""

    owner: str
    action: str
    ttl_ms: int
    waits_ms: int


STEPS = st.lists(
    st.builds(
        Step,
        owner=st.sampled_from("abc"),
        action=st.sampled_from(["acquire", "renew", "release"]),
        ttl_ms=st.integers(1, 20),
        waits_ms=st.integers(0, 12),
    ),
    max_size=40,
)


@given(STEPS)
def test_two_owners_never_hold_a_lease_at_the_same_time(steps: list[Step]) -> None:
    with sqlite3.connect(":memory:") as connection:
        cursor = connection.cursor()
        migrate(cursor, Dialect.SQLITE, (LEASES,))
        now, believed = 1_000, dict.fromkeys("abc", 0)
        holder, ends = "", 0
        for step in steps:
            now += step.waits_ms
            clock = clock_sql(Dialect.SQLITE, now)
            claim = Claim("duty", step.owner, step.ttl_ms)
            free = ends <= now
            if step.action == "release":
                release(cursor, "duty", step.owner)
                believed[step.owner] = 0
                if holder == step.owner:
                    holder, ends = "", 0
            else:
                mine = holder == step.owner
                expected = (mine and not free) if step.action == "renew" else (free or mine)
                taken = (renew if step.action == "renew" else acquire)(cursor, claim, clock)
                assert taken is expected
                if taken:
                    holder, ends = step.owner, now + step.ttl_ms + 1
                    believed[step.owner] = now + step.ttl_ms
            assert sum(until > now for until in believed.values()) <= 1
    connection.close()


def test_leases_of_different_names_do_not_meet(connection: sqlite3.Connection) -> None:
    migrated(connection, LEASES)
    cursor = connection.cursor()
    assert acquire(cursor, Claim("one", "a", 10), "5")
    assert acquire(cursor, Claim("two", "b", 10), "5")
    assert not acquire(cursor, Claim("one", "b", 10), "15")
    assert acquire(cursor, Claim("one", "b", 10), "16")


def test_a_secret_is_made_once(connection: sqlite3.Connection) -> None:
    migrated(connection, SECRETS)
    cursor = connection.cursor()
    values = iter(["first", "second", "third"])
    made = get_or_create(cursor, "name", lambda: next(values))
    assert made.value == "first"
    assert get_or_create(cursor, "name", lambda: next(values)) == made
    assert get_or_create(cursor, "other", lambda: next(values)).value == "third"


def test_a_secret_is_not_shown() -> None:
    secret = Secret("hunter2")
    assert "hunter2" not in repr(secret)
    assert "hunter2" not in f"{secret} {[secret]}"


def test_a_secret_comes_from_its_file_without_the_newline(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text(" hunter2\n")
    assert read_secret_file(str(file), ("token_path",)).value == "hunter2"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "can't read `{path}`: No such file or directory"),
        (b"", "`{path}` is empty"),
        (b" \n", "`{path}` is empty"),
        (b"\xff\xfe", "`{path}` is no UTF-8 text"),
        (b"hunter2 " * 10_000, "`{path}` has more than 65536 bytes"),
    ],
)
def test_an_unusable_secret_file_stops_the_start(tmp_path: Path, content: bytes | None, message: str) -> None:
    file = tmp_path / "secret"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        read_secret_file(str(file), ("scim", "token_path"))
    assert caught.value.msg == "`config.scim.token_path`: " + message.format(path=file)
    assert caught.value.path == ("scim", "token_path")


def test_a_folder_is_no_secret_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="token_path"):
        read_secret_file(str(tmp_path), ("token_path",))


def test_shuffled_start_order_of_modules_gives_the_same_tables() -> None:
    components = [LEASES, SECRETS, Component("example", (FIRST, SECOND))]
    schemas = set()
    for seed in range(6):
        with sqlite3.connect(":memory:") as connection:
            migrated(connection, *random.Random(seed).sample(components, 3))  # noqa: S311 - an order, not a secret
            rows = connection.execute("SELECT name, sql FROM sqlite_master ORDER BY name").fetchall()
            schemas.add(tuple(rows))
        connection.close()
    assert len(schemas) == 1
