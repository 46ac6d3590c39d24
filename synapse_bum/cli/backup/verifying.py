"""The proof that a backup can be used: it is restored, a Synapse starts on it, and serves what it held."""

import contextlib
import hashlib
import json
import secrets
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path
from typing import Any

import attr

from synapse_bum.cli.backup.failure import BackupError
from synapse_bum.cli.backup.manifest import MEDIA, Manifest
from synapse_bum.cli.backup.restic import Repository
from synapse_bum.cli.backup.restoring import fetch_run, load
from synapse_bum.cli.backup.runs import Run
from synapse_bum.cli.backup.scratch_server import ScratchServer, scratch_config, scratch_server
from synapse_bum.cli.backup.stored_files import being_deleted
from synapse_bum.cli.backup.workroom import Workroom
from synapse_bum.cli.check.configuration import read_configuration
from synapse_bum.homeserver.database_copying import PostgresDatabase, scratch_name
from synapse_bum.homeserver.dump_contents import FileSample, MessageSample, fingerprint_of, give_token, read_counts
from synapse_bum.homeserver.offline_database import OfflineDatabase, OfflineDatabaseError, OfflineTransaction
from synapse_bum.homeserver.stored_local_files import LocalFiles, local_file_ids


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Verified:
    """What was seen.

    Attributes:
        manifest: of the run.
        messages: how many were served as they were.
        files: the same for files.
    """

    manifest: Manifest
    messages: int
    files: int


def verify(repository: Repository, run: Run, room: Workroom, server: PostgresDatabase | None, read: str) -> Verified:
    """Prove that a run can be used, and leave nothing behind.

    Args:
        repository: that holds it.
        run: a whole one.
        room: where it is restored to.
        server: a database of PostgreSQL beside which another one can be made; None with SQLite.
        read: how much of the repository's data is read, as restic's `--read-data-subset` takes it.

    Raises:
        BackupError: the repository is damaged, or the backup did not come back as it was.
        OfflineDatabaseError: no scratch database can be had.
        OSError: no space is left.
    """
    repository.check(read)
    room.scratch.mkdir(mode=0o700)
    manifest = fetch_run(repository, run, room.scratch)
    _refuse_no_proof(manifest)
    with _scratch_database(manifest, server) as target:
        load(room.scratch, manifest, target)
        settings = _settings(room, manifest, target)
        tokens = _prepare(OfflineDatabase(settings), manifest, room.scratch)
        key = manifest.signing_key
        config = scratch_config(
            read_configuration([room.scratch / manifest.copy_of(path) for path in manifest.config_files]),
            folder=room.scratch,
            media=room.scratch / MEDIA,
            database=settings,
            providers=[room.scratch / place for place in manifest.places[1:]],
            signing_key=None if key is None else room.scratch / manifest.copy_of(key),
        )
        with scratch_server(room.scratch, config) as synapse:
            for message in manifest.contents.messages:
                _expect_message(synapse, message, tokens[message.user_id])
            for file in manifest.contents.files:
                _expect_file(synapse, manifest.server_name, file, tokens[file.user_id])
    return Verified(manifest, len(manifest.contents.messages), len(manifest.contents.files))


def drop_left_database(server: PostgresDatabase | None, server_name: str) -> None:
    """Drop the scratch database that a verification left which was killed.

    Args:
        server: see `verify`.
        server_name: of the homeserver.

    Raises:
        OfflineDatabaseError: it can't be dropped.
    """
    if server is not None:
        server.drop_scratch(scratch_name(server_name))


@contextlib.contextmanager
def _scratch_database(manifest: Manifest, server: PostgresDatabase | None) -> Iterator[PostgresDatabase | None]:
    if not manifest.is_postgres:
        yield None
        return
    if server is None:
        raise BackupError("this is a backup of PostgreSQL: name a database server with --database")
    name = scratch_name(manifest.server_name)
    try:
        scratch = server.create_scratch(name)
    except OfflineDatabaseError as error:
        raise BackupError(
            f"no scratch database can be made ({error}): `ALTER ROLE ... CREATEDB`, or name another server with"
            " --database"
        ) from None
    try:
        yield scratch
    finally:
        server.drop_scratch(name)


def _settings(room: Workroom, manifest: Manifest, target: PostgresDatabase | None) -> dict[str, Any]:
    if target is not None:
        return dict(target.settings)
    return {"name": "sqlite3", "args": {"database": str(room.scratch / manifest.dump_name)}}


def _prepare(database: OfflineDatabase, manifest: Manifest, folder: Path) -> dict[str, str]:
    """Compares the number of rows, looks for all files, and gives those who shall ask a token each."""
    samples: list[MessageSample | FileSample] = [*manifest.contents.messages, *manifest.contents.files]
    tokens = {sample.user_id: secrets.token_urlsafe() for sample in samples}
    with database.transaction() as txn:
        counts = read_counts(txn)
        if counts != manifest.contents.counts:
            raise BackupError(f"the restored database holds {counts}, and not {manifest.contents.counts}")
        _expect_all_files(txn, manifest, folder)
        for user_id, token in tokens.items():
            give_token(txn, user_id, token)
        txn.keep()
    return tokens


def _expect_all_files(txn: OfflineTransaction, manifest: Manifest, folder: Path) -> None:
    """Each row has its file, or the backup knows why not."""
    if manifest.elsewhere:
        return
    files = LocalFiles([folder / place for place in manifest.places])
    missing = {media_id for media_id in local_file_ids(txn) if files.path_of(media_id) is None}
    missing -= {*manifest.lost, *manifest.gone}
    missing -= being_deleted(txn, manifest.server_name, sorted(missing), is_postgres=manifest.is_postgres)
    if missing:
        raise BackupError(
            f"{len(missing)} files of users are not in the backup although its database has them, for example"
            f" {min(missing)}: look at `media_store_path`, and make another backup"
        )


def _refuse_no_proof(manifest: Manifest) -> None:
    """Nothing that was asked for proves nothing, unless there is nothing."""
    unproved = manifest.contents.unproved
    # Files that are only elsewhere or lost are in no backup, and messages of people who have left nobody can ask for.
    files_are_unproved = "files" in unproved and not manifest.elsewhere and not manifest.has_no_file
    if files_are_unproved or ("messages" in unproved and not manifest.contents.files):
        raise BackupError(
            f"the backup {manifest.run_id} holds {' and '.join(unproved)}, and none could be asked for: nothing is"
            " proved of them. Is `media_store_path` mounted, is there an account that is open?"
        )


def _expect_message(synapse: ScratchServer, sample: MessageSample, token: str) -> None:
    status, body = synapse.event(sample.room_id, sample.event_id, token)
    if status != HTTPStatus.OK:
        raise BackupError(f"the restored Synapse answers {status} for the message {sample.event_id}")
    if fingerprint_of(json.loads(body).get("content")) != sample.sha256:
        raise BackupError(f"the message {sample.event_id} is not what it was")


def _expect_file(synapse: ScratchServer, server_name: str, sample: FileSample, token: str) -> None:
    status, body = synapse.file(server_name, sample.media_id, token)
    if status != HTTPStatus.OK:
        raise BackupError(f"the restored Synapse answers {status} for the file {sample.media_id}")
    if hashlib.sha256(body).hexdigest() != sample.sha256:
        raise BackupError(f"the file {sample.media_id} is not what it was")
