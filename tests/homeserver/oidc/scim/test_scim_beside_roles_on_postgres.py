"""Two processes take away the last two administrators at once: SCIM by a lock, a login by a role that is gone."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from unittest.mock import AsyncMock, Mock

import pytest
from synapse.storage.engines import PostgresEngine

from synapse_bum.audit import AUDIT
from synapse_bum.config import parse
from synapse_bum.database import Dialect
from synapse_bum.database.schema import migrate
from synapse_bum.homeserver.user_accounts import acting_administrators
from synapse_bum.oidc.admins import Admins
from synapse_bum.oidc.config import OidcConfig
from synapse_bum.oidc.mapping.config import parse_mapping
from synapse_bum.oidc.scim.errors import ForbiddenError
from synapse_bum.oidc.scim.person import resource_id
from synapse_bum.oidc.scim.service import ScimService
from synapse_bum.oidc.tables import OIDC
from synapse_bum.testing.postgres import RealPostgres
from synapse_bum.testing.postgres_process import PostgresProcess
from synapse_bum.testing.scim_bodies import LEAVES

pytestmark = [pytest.mark.requires("postgresql"), pytest.mark.any_synapse, pytest.mark.long]

NOW_MS = 1_700_000_000_000
ROUNDS = 20
ANNA, BERT = "@anna:x", "@bert:x"
TABLES = """
CREATE TABLE users (name TEXT UNIQUE, admin SMALLINT NOT NULL DEFAULT 1, is_guest SMALLINT NOT NULL DEFAULT 0,
    appservice_id TEXT, user_type TEXT, approved BOOLEAN, deactivated SMALLINT NOT NULL DEFAULT 0,
    locked BOOLEAN NOT NULL DEFAULT FALSE, creation_ts BIGINT NOT NULL DEFAULT 0, upgrade_ts BIGINT);
CREATE TABLE user_external_ids (auth_provider TEXT NOT NULL, external_id TEXT NOT NULL, user_id TEXT NOT NULL,
    UNIQUE (auth_provider, external_id));
CREATE TABLE access_tokens (token TEXT NOT NULL, user_id TEXT NOT NULL, puppets_user_id TEXT)
"""
"""Of Synapse, with the columns that matter here."""

ROUND = """
TRUNCATE users, user_external_ids, synapse_bum_oidc_scim_users, synapse_bum_oidc_scim_endings,
    synapse_bum_oidc_people, synapse_bum_oidc_admin_grants;
INSERT INTO users (name) VALUES ('@anna:x'), ('@bert:x');
INSERT INTO user_external_ids
    VALUES ('oidc-keycloak', 'anna', '@anna:x'), ('oidc-keycloak', 'bert', '@bert:x');
INSERT INTO synapse_bum_oidc_admin_grants VALUES ('@bert:x', 'keycloak', 1, 1, 0);
INSERT INTO synapse_bum_oidc_people (idp_id, subject, user_name, user_name_key, admin, pending, login_ts)
    VALUES ('keycloak', 'bert', 'bert', 'bert', 'no', 1, 1700000000000)
"""
"""Two administrators: anna, whom SCIM ends, and bert by a role, whose last login says that he has it no more."""


class ProcessDatabase:
    """`Database` of one process."""

    def __init__(self, process: PostgresProcess) -> None:
        self._process = process

    async def run(self, _desc: str, func: Callable[..., Any], *arguments: object) -> Any:  # noqa: ANN401 - as `Database`
        """Runs a function in one transaction."""

        def work(txn: Any) -> Any:  # noqa: ANN401 - as `PostgresProcess.run` has it
            txn.database_engine = object.__new__(PostgresEngine)
            return func(txn, *arguments)

        return self._process.run(work)


def lock(txn: Any, user_id: str, locked: bool) -> None:  # noqa: ANN401, FBT001 - Synapse's signature
    """What Synapse writes, apart from caches."""
    txn.execute("UPDATE users SET locked = ? WHERE name = ?", (locked, user_id))


def api_of_process() -> Any:  # noqa: ANN401 - a fake
    api = Mock(server_name="x", worker_app="worker")
    api.get_current_time_msec.return_value = NOW_MS
    api._store.set_user_locked_status_txn = lock
    api._store.invalidate_cache_and_stream = AsyncMock()
    return api


@pytest.fixture(scope="module")
def processes() -> Iterator[list[PostgresProcess]]:
    with RealPostgres() as server:
        opened = [PostgresProcess(server.dsn()) for _ in range(2)]
        opened[0].run(lambda txn: migrate(txn, Dialect.POSTGRES, (OIDC, AUDIT)))
        opened[0].run(lambda txn: txn.execute(TABLES))
        yield opened
        for process in opened:
            process.close()


def test_one_of_the_last_two_stays(processes: list[PostgresProcess]) -> None:
    scim_database, login_database = map(ProcessDatabase, processes)
    config: Any = parse_mapping({"idp_id": "keycloak", "preset": "keycloak"})
    service = ScimService(api_of_process(), scim_database, Mock(), config, 25)  # type: ignore[arg-type]
    service._deactivation.until_done = AsyncMock()  # type: ignore[method-assign]
    admins = Admins(api_of_process(), login_database, parse(OidcConfig, {}))  # type: ignore[arg-type]
    barrier = threading.Barrier(2)

    async def end() -> bool:
        try:
            return (await service.patch(resource_id("anna"), LEAVES)).user.active
        except ForbiddenError:
            return True

    async def loses_role() -> None:
        await admins.apply("keycloak", "bert", BERT)

    def at_once(work: Callable[[], Any]) -> Any:  # noqa: ANN401 - what the work returns
        barrier.wait(10)
        return asyncio.run(work())

    for _ in range(ROUNDS):
        processes[0].run(lambda txn: txn.execute(ROUND))
        with ThreadPoolExecutor(2) as threads:
            anna_stays, _ = threads.map(at_once, (end, loses_role))
        acting = asyncio.run(scim_database.run("test", acting_administrators))
        assert acting == ({ANNA} if anna_stays else {BERT})
