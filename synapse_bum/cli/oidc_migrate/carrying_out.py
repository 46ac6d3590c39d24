"""One migration in the database, in one transaction: the plan, and with it the change, or nothing."""

import time
from collections.abc import Sequence

from synapse_bum.audit import AUDIT
from synapse_bum.cli.stopped_synapse import refuse_while_synapse_runs
from synapse_bum.database import Dialect
from synapse_bum.database.leases import LEASES
from synapse_bum.database.schema import SchemaTooNewError, migrate
from synapse_bum.homeserver.offline_database import (
    OfflineDatabase,
    OfflineDatabaseError,
    StoredLink,
    links_of,
    relink,
)
from synapse_bum.oidc.mapping.config import MappingConfig
from synapse_bum.oidc.migration import Migration, Renaming, move_rows, plan_migration, provisioned_by_scim
from synapse_bum.oidc.tables import OIDC


def carry_out(
    database: OfflineDatabase, mapping: MappingConfig, renamings: Sequence[Renaming], *, apply: bool
) -> Migration:
    """Plan a migration and, if that is wanted and there is no problem, do it.

    Args:
        database: of the homeserver.
        mapping: of the identity provider.
        renamings: who becomes whom.
        apply: whether something shall be changed. Otherwise all is as before, whatever was found.

    Raises:
        SynapseRunsError: something shall be changed while Synapse runs, which keeps links in memory.
        OfflineDatabaseError: the database can't be read or written; nothing was changed.
    """
    dialect = Dialect.POSTGRES if database.is_postgres else Dialect.SQLITE
    now_ms = int(time.time() * 1000)
    with database.transaction() as txn:
        try:
            # They are made by the first start of a module; taken back with everything else where nothing is applied.
            migrate(txn, dialect, (LEASES, AUDIT, OIDC))
        except SchemaTooNewError as error:
            raise OfflineDatabaseError(str(error)) from None
        if apply:
            refuse_while_synapse_runs(database, txn, now_ms)
            database.lock_links(txn)
        migration = plan_migration(
            renamings, links_of(txn, mapping.auth_provider), provisioned_by_scim(txn, mapping.idp_id)
        )
        if apply and not migration.problems:
            for move in migration.moves:
                if not relink(txn, mapping.auth_provider, StoredLink(move.old, move.user_id), move.new):
                    raise OfflineDatabaseError(f"the link of {move.user_id} has just changed; nothing was changed")
                move_rows(txn, mapping.idp_id, move, now_ms)
            txn.keep()
    return migration
