"""One export, from the first look to the finished folder."""

import hashlib
import json
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import attr

from synapse_bum import __version__
from synapse_bum.audit import AUDIT
from synapse_bum.audit.chain import Entry
from synapse_bum.audit.table import append
from synapse_bum.cli.export_user import files, pages, texts
from synapse_bum.cli.export_user.audit_entries import audit_entries
from synapse_bum.cli.export_user.destination import Destination
from synapse_bum.cli.export_user.file_copies import Places
from synapse_bum.cli.export_user.json_array import JsonArray
from synapse_bum.cli.export_user.other_people import concealed
from synapse_bum.cli.export_user.our_data import OUR_SOURCES
from synapse_bum.cli.export_user.rooms import write_rooms
from synapse_bum.database import Dialect
from synapse_bum.database.schema import SchemaTooNewError, migrate
from synapse_bum.homeserver.database_snapshot import ReadableDatabase, Snapshot
from synapse_bum.homeserver.offline_database import OfflineDatabaseError
from synapse_bum.homeserver.personal_data import SYNAPSE_SOURCES
from synapse_bum.homeserver.personal_files import files_of, media_places
from synapse_bum.homeserver.personal_source import read_source

ACTION: Final = "export.user"
ACTOR: Final = "cli:export-user"
MANIFEST: Final = "manifest.json"
AUDIT_SECONDS: Final = 60.0
"""How long an export that is made waits to be entered in the audit."""

_CHUNK: Final = 1 << 20
# By the unique index on the name: one row.
_ACCOUNT: Final = "SELECT name FROM users WHERE name = ?"
# By the primary key: one row.
_AUDIT_VERSION: Final = "SELECT version FROM synapse_bum_schema WHERE component = ?"
_AGAIN_SECONDS: Final = 1.0


class ExportError(Exception):
    """There is nothing to export; the text says why and what to do."""


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Export:
    """What was exported.

    Attributes:
        rooms: that the person is or was in.
        messages: of the person, encrypted ones included.
        files: of the person.
        copied: those of the files that lie in the export.
        out_of_reach: those that may well be there, in a place that did not give them or that can't be read here.
        file_bytes: of what was copied.
    """

    rooms: int
    messages: int
    files: int
    copied: int
    out_of_reach: int
    file_bytes: int


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Exporter:
    """Makes exports of people of one homeserver.

    Attributes:
        homeserver: homeserver.yaml.
        database: of the homeserver.
        server_name: of the homeserver.
        requested_by: who asked for the export, for the audit; None where nobody said.
    """

    homeserver: Mapping[str, Any]
    database: ReadableDatabase
    server_name: str
    requested_by: str | None

    def export(self, user_id: str, out: Path) -> Export:
        """Makes one export.

        The audit knows of it before the folder has its name: there is no export without an entry.

        Args:
            user_id: of the person.
            out: the folder; it must not exist.

        Raises:
            ExportError: there is no such account.
            DestinationError: the folder can't be made.
            MediaPlacesError: files can't be looked for where the configuration says.
            OfflineDatabaseError: the database can't be read, or the entry of the audit not be written.
            SchemaTooNewError: a later version of this package has made the audit's table.
            OSError: the folder can't be written.
        """
        now_ms = int(time.time() * 1000)
        places = Places(media_places(self.homeserver))
        with Destination(out) as destination:
            destination.folder("data")
            with self.database.snapshot() as snapshot:
                if snapshot.row(_ACCOUNT, (user_id,)) is None:
                    raise ExportError(f"{user_id} has no account here")
                self._check_audit(snapshot)
                infected = files.infected(snapshot, user_id)
                entries = files.planned(self.server_name, files_of(snapshot, user_id), infected)
                places.check_for(sum(entry.status == files.COPIED for entry in entries))
                sections = list(_write_sections(destination, snapshot, user_id))
                rooms = write_rooms(destination, snapshot, user_id, {entry.mxc: entry.number for entry in entries})
            entries = files.copy_files(destination, places, entries)
            with self.database.snapshot() as later:
                entries = files.take_back(destination, later, user_id, entries)
            files.write_lists(destination, entries)
            done = _summed(rooms, entries)
            self._write_pages(destination, user_id, now_ms, sections, rooms, entries)
            digest = self._write_manifest(destination, user_id, now_ms, done)
            self._write_audit(user_id, now_ms, done, digest)
            destination.publish()
        return done

    def _write_pages(
        self,
        destination: Destination,
        user_id: str,
        now_ms: int,
        sections: list[str],
        rooms: list[dict[str, Any]],
        entries: list[files.FileEntry],
    ) -> None:
        facts = {"Person": user_id, "Server": self.server_name, "Zusammengestellt": pages.moment(now_ms)}
        with destination.text("index.html") as page:
            page.write(pages.head(f"Auskunft für {user_id}") + pages.facts(facts))
            page.write("<h2>Verschlüsselte Nachrichten</h2>\n" + pages.paragraphs([texts.WHY_ENCRYPTED]))
            page.writelines(sections)
            page.writelines(pages.rooms(rooms))
            page.writelines(pages.files(entries))
            page.write("<h2>Nicht enthalten</h2>\n" + pages.paragraphs(texts.NOT_INCLUDED) + pages.foot())
        with destination.text("LIESMICH.txt") as file:
            file.write(
                texts.READ_ME.format(
                    user_id=user_id,
                    server_name=self.server_name,
                    moment=pages.moment(now_ms),
                    why_encrypted=texts.WHY_ENCRYPTED,
                    not_included="\n".join(f"- {line}" for line in texts.NOT_INCLUDED),
                )
            )

    def _write_manifest(self, destination: Destination, user_id: str, now_ms: int, done: Export) -> str:
        """Names every file of the export, and returns the SHA-256 of the list."""
        about = {
            "user_id": user_id,
            "server_name": self.server_name,
            "created_ts": now_ms,
            "made_by": f"synapse-bum {__version__}",
            **attr.asdict(done),
        }
        with destination.text(MANIFEST) as file:
            file.write(json.dumps(about, ensure_ascii=False, indent=2)[:-2] + ',\n  "contents": ')
            with_comma = ""
            file.write("[")
            for path in sorted(destination.path.rglob("*")):
                relative = path.relative_to(destination.path).as_posix()
                if not path.is_file() or relative == MANIFEST:
                    continue
                size, digest = _measured(path)
                file.write(f"{with_comma}\n    " + json.dumps({"path": relative, "size_bytes": size, "sha256": digest}))
                with_comma = ","
            file.write("\n  ]\n}\n")
        return _measured(destination.path / MANIFEST)[1]

    def _check_audit(self, snapshot: Snapshot) -> None:
        """Makes sure, before hours of copying, that this version can write the entry of the audit."""
        if not snapshot.columns("synapse_bum_schema"):
            return
        row = snapshot.row(_AUDIT_VERSION, (AUDIT.name,))
        if row is not None and row[0] > len(AUDIT.migrations):
            raise SchemaTooNewError(AUDIT.name, row[0], len(AUDIT.migrations))

    def _write_audit(self, user_id: str, now_ms: int, done: Export, digest: str) -> None:
        """Writes the entry; the work of hours is not thrown away because somebody else writes at this moment."""
        new = {**attr.asdict(done), "requested_by": self.requested_by, "manifest_sha256": digest}
        entry = Entry(now_ms, ACTOR, ACTION, user_id, new=new)
        end = time.monotonic() + AUDIT_SECONDS
        while True:
            try:
                self._append(entry)
            except OfflineDatabaseError:
                if time.monotonic() >= end:
                    raise
                time.sleep(_AGAIN_SECONDS)
            else:
                return

    def _append(self, entry: Entry) -> None:
        dialect = Dialect.POSTGRES if self.database.is_postgres else Dialect.SQLITE
        with self.database.transaction() as txn:
            migrate(txn, dialect, (AUDIT,))
            append(txn, entry)
            txn.keep()


def _write_sections(destination: Destination, snapshot: Snapshot, user_id: str) -> Iterator[str]:
    """Writes `data/*.json`, and yields a piece of the page for each kind of data that there is."""
    for source in (*SYNAPSE_SOURCES, *OUR_SOURCES):
        rows = read_source(snapshot, source, user_id)
        if source.conceals_others:
            rows = (concealed(row, user_id) for row in rows)
        yield from _write_section(destination, source.name, source.title, rows)
    entries = audit_entries(snapshot, user_id)
    yield from _write_section(destination, "audit", "Protokoll der Administration", entries)


def _write_section(destination: Destination, name: str, title: str, rows: Iterator[dict[str, Any]]) -> Iterator[str]:
    path = f"data/{name}.json"
    first: list[dict[str, Any]] = []
    with JsonArray(destination.text(path)) as array:
        for row in rows:
            array.add(row)
            if len(first) < pages.ROWS_SHOWN:
                first.append(row)
    if first:
        yield pages.section(title, path, first, array.count)


def _summed(rooms: list[dict[str, Any]], entries: list[files.FileEntry]) -> Export:
    copied = [entry.source.size_bytes or 0 for entry in entries if entry.status == files.COPIED]
    out_of_reach = sum(entry.status in files.OUT_OF_REACH for entry in entries)
    messages = sum(room["messages"] for room in rooms)
    return Export(len(rooms), messages, len(entries), len(copied), out_of_reach, sum(copied))


def _measured(path: Path) -> tuple[int, str]:
    """The size of a file and its SHA-256."""
    hashed, size = hashlib.sha256(), 0
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            hashed.update(chunk)
            size += len(chunk)
    return size, hashed.hexdigest()
