"""What SCIM does with people: create, show, change, delete.

A change is one transaction: it reads, decides, locks, and writes row and audit. What Synapse has to do beside it comes
after the commit and may be repeated: sessions, the display name, the address.
"""

from collections.abc import Callable
from typing import Any, Final

import attr
from synapse.module_api import LoggingTransaction, ModuleApi

from synapse_bum import audit
from synapse_bum.database import Database, Leases
from synapse_bum.oidc.last_admin import take_turn
from synapse_bum.oidc.mapping.config import MappingConfig
from synapse_bum.oidc.scim import records
from synapse_bum.oidc.scim.access import Access
from synapse_bum.oidc.scim.accounts import Accounts
from synapse_bum.oidc.scim.deactivation import Deactivation
from synapse_bum.oidc.scim.directory import Directory, Resource
from synapse_bum.oidc.scim.errors import MutabilityError, NotFoundError, ScimError
from synapse_bum.oidc.scim.patches import apply_patch
from synapse_bum.oidc.scim.person import decision_for, resource_id, subject_for, subject_of_id
from synapse_bum.oidc.scim.profiles import Profiles
from synapse_bum.oidc.scim.records import Record
from synapse_bum.oidc.scim.resources import ScimUser, parse_user, user_name_key
from synapse_bum.oidc.scim.searches import Search

_NOBODY: Final = "There is no such user."

Wanted = Callable[[ScimUser], ScimUser]
"""What becomes of a user; raises `ScimError`."""


class ScimService:
    """The people of one identity provider, for its SCIM client."""

    def __init__(
        self,
        api: ModuleApi,
        database: Database,
        leases: Leases,
        config: MappingConfig,
        max_endings_per_hour: int,
    ) -> None:
        """Builds its parts.

        Args:
            api: of the homeserver.
            database: with the identity tables.
            leases: of this process.
            config: of the mapping of the identity provider.
            max_endings_per_hour: so many people may lose access within an hour.
        """
        self._api = api
        self._database = database
        self._config = config
        self._access = Access(api, config.idp_id, max_endings_per_hour)
        self._profiles = Profiles(api, database, config)
        self._accounts = Accounts(api, database, config, self._access, self._profiles)
        self._deactivation = Deactivation(api, database, leases, self._accounts)
        self._directory = Directory(config, api.server_name)

    def start(self) -> None:
        """Begins to do what earlier requests have left to do."""
        self._deactivation.start()

    async def create(self, body: object) -> Resource:
        """Creates a person.

        Raises:
            ScimError: see `Accounts.create`; the body is wrong.
        """
        user = parse_user(body)
        record = await self._accounts.create(user)
        await self._follow(record)
        return await self.show(resource_id(record.subject))

    async def show(self, resource: str) -> Resource:
        """One person.

        Raises:
            NotFoundError: SCIM sees nobody with this id.
        """
        subject = _subject(resource)
        found = await self._database.run("synapse_bum_oidc_scim_show", self._directory.find, subject)
        if found is None:
            raise NotFoundError(_NOBODY)
        return found

    async def search(self, search: Search) -> tuple[list[Resource], int]:
        """A page of people, and how many there are in all."""
        return await self._database.run("synapse_bum_oidc_scim_search", self._directory.search, search)

    async def replace(self, resource: str, body: object) -> Resource:
        """Replaces what is known of a person.

        Raises:
            ScimError: the person is unknown, the body is wrong, or the change must not be made.
        """
        return await self._change(resource, lambda user: parse_user(body, replaces=user))

    async def patch(self, resource: str, body: object) -> Resource:
        """Changes what is known of a person; the exceptions are those of `replace`."""
        return await self._change(resource, lambda user: apply_patch(user, body))

    async def delete(self, resource: str) -> None:
        """Ends a person's access; from then on SCIM sees him no more.

        Raises:
            ScimError: the person is unknown, or access must not be ended.
        """
        done = await self._database.run("synapse_bum_oidc_scim_delete", self._delete, _subject(resource))
        if isinstance(done, ScimError):
            raise done
        await self._deactivation.until_done(done)

    async def _change(self, resource: str, wanted_of: Wanted) -> Resource:
        done = await self._database.run("synapse_bum_oidc_scim_change", self._write, _subject(resource), wanted_of)
        if isinstance(done, ScimError):
            raise done
        if done is not None:
            await self._follow(done)
        return await self.show(resource)

    async def _follow(self, record: Record) -> None:
        """Does what comes after the commit."""
        await self._deactivation.until_done(record)
        if record.user.active:
            self._profiles.bring_name(record.user_id, record.user)

    def _write(self, txn: LoggingTransaction, subject: str, wanted_of: Wanted) -> Record | ScimError | None:
        """Changes a person; None when SCIM has never written anything of him and there is nothing to change."""
        take_turn(txn)
        before = self._found(txn, subject)
        user = wanted_of(before.user)
        if user.external_id != before.user.external_id and (
            user.external_id is None or subject_for(self._config, user.external_id) != subject
        ):
            raise MutabilityError("externalId can't be changed: it says whose account this is.")
        if user_name_key(user.user_name) != user_name_key(before.user.user_name):
            decision_for(self._config, user)
            self._directory.refuse_taken_name(txn, user.user_name, subject)
        ends = not user.active and (before.user.active or before.account.is_open)
        if user == before.user and not ends:
            return before.record
        now_ms, record = self._next_record(before, user)
        if ends:
            ended = self._access.end(txn, before.account, record, now_ms)
            if isinstance(ended, ScimError):
                return ended
            record = ended
        elif user.active and not before.user.active:
            record = self._access.restore(txn, before.account, record)
        records.put(txn, record)
        self._profiles.change_address(txn, record.user_id, None if before.record is None else before.user, user)
        action = "ended" if ends else "restored" if user.active and not before.user.active else "changed"
        self._note(txn, action, before, record)
        return record

    def _delete(self, txn: LoggingTransaction, subject: str) -> Record | ScimError:
        take_turn(txn)
        before = self._found(txn, subject)
        now_ms, record = self._next_record(before, before.user)
        ended = self._access.end(txn, before.account, record, now_ms)
        if isinstance(ended, ScimError):
            return ended
        record = attr.evolve(ended, deleted_ts=now_ms)
        records.put(txn, record)
        self._note(txn, "deleted", before, record)
        return record

    def _found(self, txn: LoggingTransaction, subject: str) -> Resource:
        found = self._directory.find(txn, subject)
        if found is None:
            raise NotFoundError(_NOBODY)
        return found

    def _next_record(self, before: Resource, user: ScimUser) -> tuple[int, Record]:
        """The present, and the row of a person with what is new."""
        now_ms = self._api.get_current_time_msec()
        user_id = before.account.user_id
        record = before.record or Record(
            self._config.idp_id, before.subject, user_id, user, created_ts=before.created_ts or now_ms
        )
        modified_ts = max(now_ms, before.modified_ts + 1)
        return now_ms, attr.evolve(record, user_id=user_id, user=user, modified_ts=modified_ts)

    def _note(self, txn: LoggingTransaction, action: str, before: Resource, record: Record) -> None:
        old: dict[str, Any] = {"active": before.user.active, "locked": before.account.is_locked}
        new: dict[str, Any] = {"active": record.user.active, "locked_by_scim": record.locked_ts is not None}
        names = [field.name for field in attr.fields(ScimUser)]
        new["changed"] = [name for name in names if getattr(before.user, name) != getattr(record.user, name)]
        user_id, now_ms = record.user_id, self._api.get_current_time_msec()
        audit.append(txn, audit.Entry(now_ms, self._access.actor, f"oidc.scim.{action}", user_id, old, new))


def _subject(resource: str) -> str:
    subject = subject_of_id(resource)
    if subject is None:
        raise NotFoundError(_NOBODY)
    return subject
