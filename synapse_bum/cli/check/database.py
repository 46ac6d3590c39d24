"""What only the homeserver's database knows: its clock, and which request secret the processes have. Read-only."""

import sqlite3
import time
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import attr
from synapse.module_api.errors import ConfigError

from synapse_bum.antivirus.config import AntivirusConfig
from synapse_bum.antivirus.content_scanner.request_key_pins import Pins, Standing, read_pins, standing
from synapse_bum.antivirus.content_scanner.secrets import read_request_key
from synapse_bum.cli.check.catalogue import Check
from synapse_bum.cli.check.remark import Remark, error, note, warning
from synapse_bum.homeserver.offline_database import OfflineDatabase, OfflineDatabaseError, database_settings

_CONNECT_S: Final = 10
_SLOW_S: Final = 2.0
"""Beyond this a clock is worth a word: times of messages and of the database are compared."""
_WRONG_S: Final = 60.0
# The clock itself, not the begin of the transaction.
_CLOCK: Final = "SELECT CAST(EXTRACT(EPOCH FROM clock_timestamp()) AS DOUBLE PRECISION)"


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Looked:
    """What the database said.

    Attributes:
        ahead_s: how far its clock is ahead of this machine's, beyond what the question took; None for SQLite.
        pins: the public keys of the request secret; None when the antivirus module has not run yet.
    """

    ahead_s: float | None
    pins: Pins | None


def database_remarks(settings: Mapping[str, Any], config: AntivirusConfig | None) -> Iterator[Remark]:
    """Connect to the database that homeserver.yaml names, and look.

    Args:
        settings: homeserver.yaml.
        config: of the antivirus module; None when it is not loaded.
    """
    if "database" not in settings and "databases" not in settings:
        return
    try:
        looked = _look(database_settings(settings))
    except OfflineDatabaseError as failure:
        # Before the first start there is none: whether that is wrong is not known here.
        yield note(Check.DATABASE_UNASKED, f"its clock was not asked: {failure}")
        return
    yield from clock_remarks(looked.ahead_s)
    path = None if config is None else config.content_scanner.request_secret_path
    if path is not None and looked.pins is not None:
        try:
            public_key = read_request_key(path).public_key
        except ConfigError:
            return  # said by another check
        yield from pin_remarks(public_key, looked.pins, int(time.time() * 1000), path)


def clock_remarks(ahead_s: float | None) -> Iterator[Remark]:
    """Judge the difference of two clocks. Pure.

    Args:
        ahead_s: of the database's before this machine's, in seconds; None when it was not measured.
    """
    if ahead_s is None or abs(ahead_s) <= _SLOW_S:
        return
    way = "ahead of" if ahead_s > 0 else "behind"
    says = f"its clock is {abs(ahead_s):.0f} s {way} this machine's: retention, holds and sessions go by both"
    yield error(Check.CLOCK, says) if abs(ahead_s) > _WRONG_S else warning(Check.CLOCK, says)


def pin_remarks(public_key: str, pins: Pins, now_ms: int, path: str) -> Iterator[Remark]:
    """Compare the file's key with what the processes have. Pure.

    Args:
        public_key: of the file.
        pins: as they are in the database.
        now_ms: the time that it is.
        path: of the file.
    """
    found = standing(public_key, pins, now_ms)
    if found is Standing.PREVIOUS:
        says = f"{path} holds the request secret of before the last change, accepted for 24 hours after it"
        yield warning(Check.REQUEST_SECRET_PIN, says)
    elif found is Standing.REFUSED:
        says = f"{path} holds another request secret than the other processes have: this one would not start"
        yield error(Check.REQUEST_SECRET_PIN, says)
    elif found is Standing.NEW:
        says = (
            f"{path} holds a new request secret: the one in use is accepted for 24 hours after the first start with it"
        )
        yield note(Check.REQUEST_SECRET_PIN, says)


def _look(settings: Mapping[str, Any]) -> Looked:
    arguments = settings.get("args")
    if not isinstance(arguments, dict):
        raise OfflineDatabaseError("`database.args` must be a mapping")
    if settings.get("name") == "sqlite3":
        return Looked(None, _sqlite_pins(arguments.get("database")))
    database = OfflineDatabase({**settings, "args": {"connect_timeout": _CONNECT_S, **arguments}})
    with database.transaction() as txn:
        before = time.time()
        txn.execute(_CLOCK)
        row = txn.fetchone()
        after = time.time()
        theirs = before if row is None else float(row[0])
        ahead_s = max(0.0, theirs - after) or min(0.0, theirs - before)
        txn.execute("SELECT to_regclass('synapse_bum_antivirus_request_keys')")
        there = txn.fetchone()
        pins = read_pins(txn) if there is not None and there[0] is not None else None
    return Looked(ahead_s, pins)


def _sqlite_pins(path: object) -> Pins | None:
    """Read without a lock: a homeserver may be writing."""
    if not isinstance(path, str) or not Path(path).is_file():
        raise OfflineDatabaseError(f"there is no database {path}")
    try:
        with closing(sqlite3.connect(f"{Path(path).absolute().as_uri()}?mode=ro", uri=True)) as connection:
            cursor = connection.cursor()
            cursor.execute("SELECT 1 FROM sqlite_master WHERE name = 'synapse_bum_antivirus_request_keys'")
            return read_pins(cursor) if cursor.fetchone() is not None else None
    except sqlite3.Error as failure:
        raise OfflineDatabaseError(f"the database can't be opened: {failure}") from None
