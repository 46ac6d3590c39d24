"""Homeservers in a test's own process, made in half the time: the later ones take over what is the same for all.

A test case of Synapse's makes a homeserver for each of its tests. Most of that time goes into what comes out alike each
time: the background updates of an empty database, the compilation of templates, the examination of the JSON schemas of
Synapse's configuration, the certificates of the machine, and the archive of ten thousand files with which a scanner is
tested. While a homeserver runs, its clock is sorted at each step. Run on Synapse 1.133.0 and 1.163.2; needs Synapse's
own `tests` package.
"""

import bisect
import contextlib
import functools
import inspect
from collections.abc import Callable
from typing import Any, Final
from unittest import TestResult
from unittest.mock import patch
from weakref import WeakKeyDictionary

import jsonschema  # type: ignore[import-untyped]
import psycopg2  # type: ignore[import-untyped]
from jinja2 import BytecodeCache, Environment
from jinja2.bccache import Bucket
from OpenSSL.SSL import Context
from tests import server, utils
from tests.unittest import HomeserverTestCase
from twisted.internet.base import DelayedCall
from twisted.internet.task import Clock

from synapse_bum.antivirus.scanning import probes


class _CompiledTemplates(BytecodeCache):
    """In memory, by Jinja's key (name and file of the template) and the sum of its text."""

    def __init__(self) -> None:
        self._kept: dict[tuple[str, str], bytes] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        """Fills the bucket when its template was compiled before."""
        kept = self._kept.get((bucket.key, bucket.checksum))
        if kept is not None:
            bucket.bytecode_from_string(kept)

    def dump_bytecode(self, bucket: Bucket) -> None:
        """Keeps what was compiled."""
        self._kept[bucket.key, bucket.checksum] = bucket.bytecode_to_string()


class _First(HomeserverTestCase):
    """A homeserver without modules, with whose database later homeservers begin: background updates are done there.

    Attributes:
        database: its name on PostgreSQL.
    """

    def runTest(self) -> None:  # noqa: N802 - unittest's name
        """On SQLite: copies it over the database that is the template of Synapse's tests."""
        self.database: str = self.hs.config.database.databases[0].config["args"].get("dbname", "")
        template = server.PREPPED_SQLITE_DB_CONN

        def copy(connection: Any) -> None:  # noqa: ANN401 - Synapse's wrapper of a connection
            if template is not None:
                connection.conn.backup(template.conn)

        self.get_success(self.hs.get_datastores().main.db_pool.runWithConnection(copy))


def share_what_is_alike() -> None:
    """From now on new homeservers in this process are made sooner.

    Raises:
        AssertionError: the first one could not be made; the text says why.
    """
    _give_default(Environment.__init__, "bytecode_cache", _CompiledTemplates())
    _examine_schemas_once()
    # Nobody is outside: a connection that is made in a test's process has a certificate of the test, or an unknown one.
    _replace(Context, "set_default_verify_paths", lambda _context: None)
    probes.archive_of_many_files = functools.cache(probes.archive_of_many_files)
    _sort_clocks_when_needed()
    first, result = _First("runTest"), TestResult()
    with patch.object(server, "LEAVE_DB", new=True):
        first.run(result)  # type: ignore[no-untyped-call]
    assert result.wasSuccessful(), [text for _case, text in (*result.errors, *result.failures)]
    if utils.USE_POSTGRES_FOR_TESTS:
        _make_template(first.database)


def _make_template(database: str) -> None:
    """Puts a database in the place of PostgreSQL's template for the databases of tests."""
    connection = psycopg2.connect(
        user=utils.POSTGRES_USER,
        host=utils.POSTGRES_HOST,
        port=utils.POSTGRES_PORT,
        password=utils.POSTGRES_PASSWORD,
        dbname=utils.POSTGRES_DBNAME_FOR_INITIAL_CREATE,
    )
    connection.autocommit = True
    with contextlib.closing(connection), connection.cursor() as cursor:
        # Connections that the homeserver has not closed yet; nobody may be in a database that gets another name.
        cursor.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (database,))
        cursor.execute(f"DROP DATABASE {utils.POSTGRES_BASE_DB}")
        cursor.execute(f"ALTER DATABASE {database} RENAME TO {utils.POSTGRES_BASE_DB}")


def _give_default(function: Callable[..., Any], parameter: str, value: object) -> None:
    with_default = [one for one in inspect.signature(function).parameters.values() if one.default is not one.empty]
    assert parameter in {one.name for one in with_default}
    defaults: Final = tuple(value if one.name == parameter else one.default for one in with_default)
    function.__defaults__ = defaults


def _examine_schemas_once() -> None:
    """Schemas of the configuration are constants of their modules."""
    validator = jsonschema.Draft202012Validator
    examine = validator.check_schema
    examined: dict[int, object] = {}

    def check_schema(schema: Any, *arguments: Any, **options: Any) -> None:  # noqa: ANN401 - jsonschema's signature
        if examined.get(id(schema)) is not schema:
            examine(schema, *arguments, **options)
            examined[id(schema)] = schema

    validator.check_schema = check_schema


def _sort_clocks_when_needed() -> None:
    """Twisted's clock for tests asks all its waiting calls for their time at each step; a homeserver has a hundred.

    They stay in order but for the last one, which may just have come, unless somebody has moved one.
    """
    moves = 0
    seen = WeakKeyDictionary[Clock, int]()

    def note() -> None:
        nonlocal moves
        moves += 1

    for name in ("delay", "reset"):
        _replace(DelayedCall, name, _noting(getattr(DelayedCall, name), note))

    def sort_calls(clock: Clock) -> None:
        calls: Any = clock.calls
        if seen.get(clock) != moves:
            seen[clock] = moves
            calls.sort(key=DelayedCall.getTime)
        elif len(calls) > 1 and calls[-1].getTime() < calls[-2].getTime():
            bisect.insort(calls, calls.pop(), key=DelayedCall.getTime)

    _replace(Clock, "_sortCalls", sort_calls)


def _replace(of: type, method: str, function: Callable[..., Any]) -> None:
    assert callable(getattr(of, method))
    setattr(of, method, function)


def _noting(function: Callable[..., None], note: Callable[[], None]) -> Callable[..., None]:
    @functools.wraps(function)
    def noting(*arguments: object) -> None:
        note()
        function(*arguments)

    return noting
