"""What a homeserver leaves around it: on this machine, beside its database, and where this command can't look.

None of it is erased, because it is the machine's, or somebody else's too. The report names it, so that whoever reads it
knows what a person still has to do.
"""

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from synapse_bum.database import Cursor

ROOT: Final = Path("/")
"""Of this machine."""

_SETTINGS: Final = (
    "etc/systemd/system",
    "etc/nginx",
    "etc/letsencrypt",
    "etc/apache2",
    "etc/haproxy",
    "etc/cron.d",
    "etc/logrotate.d",
    "etc/prometheus",
    "etc/clamav",
    "etc/c-icap",
    "etc/synapse-bum-backup",
    "etc/synapse-bum-probe",
    "var/lib/synapse-bum-probe",
    "var/lib/prometheus/node-exporter",
)
"""Where files may name a homeserver, or lie in a folder of its name."""

_LOGS: Final = (
    "var/log/nginx",
    "var/log/apache2",
    "var/log/haproxy.log",
    "var/log/clamav",
    "var/log/c-icap",
    "var/log/postgresql",
    "var/log/redis",
    "var/log/mail.log",
    "var/log/syslog",
    "var/log/journal",
)
"""Of everybody who uses the machine: addresses and names of people, rooms and files may stand there."""

_DUMPS: Final = ("var/lib/systemd/coredump", "var/crash")
# What we call files, and what nginx's and others' are called by custom, with the server's name in place of {}.
_FILE_NAME: Final = (
    r"(synapse-bum-((backup|probe)-)?)?{}(-(worker@?|backup|backup-verify|probe))?"
    r"(\.(conf|service|target|timer|prom|ya?ml|pem|crt|key))?"
)
_NAMES_IT: Final = "names this server; stop what it starts, and delete it or take that out"
_LARGEST: Final = 1_000_000
_PARTS_OF_URLS: Final = ("issuer", "endpoint")
# By the index on actions.
_EXPORTS: Final = "SELECT count(*) FROM synapse_bum_audit WHERE action = 'export.user'"


def on_machine(server_name: str, config_files: Sequence[Path], going: Sequence[Path], root: Path) -> list[str]:
    """Name what of the machine speaks of a homeserver, or may hold something of it.

    Args:
        server_name: of the homeserver.
        config_files: homeserver.yaml, by which units name it.
        going: files and folders that are erased.
        root: see `ROOT`.

    Returns:
        Lines of the report: the same ones as long as nothing is added or taken away. What can't be read is named.
    """
    host = re.sub(r":[0-9]+$", "", server_name)
    # Hosts below it are the customer's too; those that only end alike are not.
    names = re.compile(rf"(?<![A-Za-z0-9-]){re.escape(host)}(?![A-Za-z0-9-]|\.[A-Za-z0-9])", re.IGNORECASE)
    file_names = re.compile(_FILE_NAME.format(re.escape(host)), re.IGNORECASE)
    paths = [str(path.absolute()) for path in config_files]

    def said_of(path: Path) -> str | None:
        if any(map(file_names.fullmatch, path.relative_to(root).parts)):
            return _NAMES_IT
        try:
            if path.stat().st_size > _LARGEST:
                return None
            text = path.read_text(encoding="utf-8", errors="replace")
        except FileNotFoundError:
            return None
        except OSError as error:
            return f"could not be looked into ({error.strerror}); look whether it is of this server"
        return _NAMES_IT if names.search(text) or any(one in text for one in paths) else None

    found = {path: said_of(path) for place in _SETTINGS for path in _files(root / place)}
    stays = {path: said for path, said in found.items() if not any(path.is_relative_to(one) for one in going)}
    logs = [place for place in _LOGS if next(_files(root / place), None) is not None]
    dumps = [place for place in _DUMPS if next(_files(root / place), None) is not None]
    return [
        *(f"file {path}: {said}" for path, said in stays.items() if said is not None),
        *(f"logs {root / place}: of everybody on this machine; delete what is of this server" for place in logs),
        *(f"core dumps {root / place}: may hold the memory of this server; look whose they are" for place in dumps),
    ]


def exports_known(txn: Cursor) -> int:
    """How many exports of people the audit knows of.

    Args:
        txn: of a database with the table of the audit.
    """
    txn.execute(_EXPORTS)
    row = txn.fetchone()
    return 0 if row is None else int(row[0])


def out_of_sight(homeserver: Mapping[str, Any], exports: int) -> list[str]:
    """Name where this command can't look, and what a person does there. Pure.

    Args:
        homeserver: homeserver.yaml.
        exports: how many exports of people the audit knows of.
    """
    providers = _identity_providers(homeserver)
    return [
        *_around_database(homeserver),
        *_around_redis(homeserver),
        *_around_mail(homeserver),
        *(f"identity provider {url}: delete the client, and accounts that were for this server" for url in providers),
        f"exports by `export-user`: {exports} are in the audit; delete their folders where they still are",
        "folders that `backup --restore` has filled: delete them",
        "other copies of backups, snapshots of file systems and of virtual machines: delete them",
        "logs on other machines (log servers, reverse proxies): delete what is of this server",
        "the probe, on another machine: stop its timer, delete its token and its state",
        "reverse proxy and DNS: take out names, certificates and well-known files",
        "other servers of the federation, and people's devices: they keep what was sent to them",
        "disks, swap included: deleted means what a file system understands by it; destroy the keys of encrypted ones",
    ]


def _around_database(homeserver: Mapping[str, Any]) -> Iterator[str]:
    for settings in (homeserver.get("database"), *(homeserver.get("databases") or {}).values()):
        if isinstance(settings, Mapping) and settings.get("name") == "psycopg2":
            arguments = settings.get("args") or {}
            name = arguments.get("dbname") or arguments.get("database") or "of the connection string"
            yield (
                f"PostgreSQL at {arguments.get('host') or 'this machine'}: the empty database {name} and the role"
                f" {arguments.get('user') or 'of the connection string'} (dropdb, dropuser); archives of its"
                " write-ahead log and base backups: delete them; a server that `backup --verify --database` has named:"
                " a database synapse_bum_scratch_* there"
            )


def _around_redis(homeserver: Mapping[str, Any]) -> Iterator[str]:
    redis = homeserver.get("redis")
    if isinstance(redis, Mapping) and redis.get("enabled"):
        where = redis.get("path") or f"{redis.get('host') or 'localhost'}:{redis.get('port') or 6379}"
        yield f"Redis at {where}: stop it, and delete its file (dump.rdb) where it writes one"


def _around_mail(homeserver: Mapping[str, Any]) -> Iterator[str]:
    email = homeserver.get("email")
    if isinstance(email, Mapping):
        host = email.get("smtp_host") or "localhost"
        yield f"mail server {host}: its queue and its logs hold addresses of people; mailboxes hold what was sent"


def _identity_providers(homeserver: Mapping[str, Any]) -> Iterator[str]:
    providers = homeserver.get("oidc_providers") or ()
    named = [homeserver.get("matrix_authentication_service"), homeserver.get("oidc_config"), *providers]
    experimental = homeserver.get("experimental_features")
    if isinstance(experimental, Mapping):
        named.append(experimental.get("msc3861"))
    for settings in named:
        if isinstance(settings, Mapping) and settings.get("enabled", True):
            yield from (str(settings[part]) for part in _PARTS_OF_URLS if settings.get(part))


def _files(place: Path) -> Iterator[Path]:
    """The files of a folder and below, or the file itself; folders that can't be read; links are left out."""
    if place.is_file():
        yield place
    unread: list[Path] = []
    for above, folders, files in os.walk(place, onerror=lambda error: unread.append(Path(error.filename))):
        folders.sort()
        yield from (path for one in sorted(files) if not (path := Path(above, one)).is_symlink())
    yield from (path for path in unread if path.is_dir())
