"""The files that PostgreSQL's library reads to reach a database: passwords, certificates, keys.

Without them a restored configuration opens no database. They are named by parameters of libpq, or by variables where no
parameter does, or they lie in the home of the user where neither does (libpq, "Parameter Key Words", "Environment
Variables").
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from synapse_bum.homeserver.database_copying import connection_parameters
from synapse_bum.homeserver.offline_database import OfflineDatabaseError, database_settings

_VARIABLES_AND_DEFAULTS: Final = {
    "passfile": ("PGPASSFILE", ".pgpass"),
    "servicefile": ("PGSERVICEFILE", ".pg_service.conf"),
    "sslcert": ("PGSSLCERT", ".postgresql/postgresql.crt"),
    "sslkey": ("PGSSLKEY", ".postgresql/postgresql.key"),
    "sslrootcert": ("PGSSLROOTCERT", ".postgresql/root.crt"),
    "sslcrl": ("PGSSLCRL", ".postgresql/root.crl"),
}
_NO_FILES: Final = {"", "system"}  # `sslrootcert=system`: the machine's own


def named_files(homeserver: Mapping[str, Any]) -> Iterator[Path]:
    """The files that the configuration names, among the arguments or in a connection string.

    Args:
        homeserver: homeserver.yaml, or a worker's configuration.
    """
    given = _parameters(homeserver)
    yield from (Path(given[name]) for name in _VARIABLES_AND_DEFAULTS if given.get(name, "") not in _NO_FILES)


def files_of_the_user(homeserver: Mapping[str, Any], environment: Mapping[str, str], home: Path) -> Iterator[Path]:
    """The files that are read for parameters which the configuration does not have.

    Args:
        homeserver: homeserver.yaml.
        environment: of the process.
        home: of its user; what is not there is passed over.
    """
    given = _parameters(homeserver)
    if not given:
        return
    for name, (variable, default) in _VARIABLES_AND_DEFAULTS.items():
        if name in given:
            continue
        if variable in environment:
            if environment[variable] not in _NO_FILES:
                yield Path(environment[variable])
        elif _is_there(home / default):
            yield home / default


def _is_there(path: Path) -> bool:
    """A home that the service may not look into, as with `ProtectHome=`, has nothing for its libpq either."""
    try:
        return path.is_file()
    except PermissionError:
        return False


def _parameters(homeserver: Mapping[str, Any]) -> Mapping[str, str]:
    """Nothing where the database can't be read: whoever opens it says why."""
    try:
        return connection_parameters(database_settings(homeserver))
    except OfflineDatabaseError:
        return {}
