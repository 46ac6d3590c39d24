"""What SCIM does with people: create, show, change, delete.

A change is one transaction: it reads, decides, locks, and writes row and audit. What Synapse has to do beside it comes
after the commit and may be repeated: sessions, the display name, the address.
"""

import logging
from collections.abc import Callable
from typing import Any, Final

import attr
from synapse.module_api import LoggingTransaction, ModuleApi

from synapse_bum import audit
from synapse_bum.database import Database, Leases
from synapse_bum.homeserver.lock_changes import watch_lock_changes
from synapse_bum.oidc.last_admin import take_turn
from synapse_bum.oidc.mapping.config import MappingConfig
from synapse_bum.oidc.scim import records
from synapse_bum.oidc.scim.access import Access
from synapse_bum.oidc.scim.accounts import Accounts
from synapse_bum.oidc.scim.deactivation import Deactivation
from synapse_bum.oidc.scim.directory import Directory, Resource
from synapse_bum.oidc.scim.errors import MutabilityError, NotFoundError, ScimError
from synapse_bum.oidc.scim.locks import HandLocks
from synapse_bum.oidc.scim.patches import apply_patch, patch_says_inactive
from synapse_bum.oidc.scim.person import decision_for, resource_id, subject_for, subject_of_id
from synapse_bum.oidc.scim.profiles import Profiles
from synapse_bum.oidc.scim.records import Record
from synapse_bum.oidc.scim.resources import ScimUser, parse_user, put_says_inactive, user_name_key
from synapse_bum.oidc.scim.searches import Search

logger = logging.getLogger(__name__)

_NOBODY: Final = "There is no such user."


@attr.s(auto_attribs=True, frozen=True, slots=True)
class _Wish:
    """What a request wants of a person.

    Attributes:
        of: what becomes of a user; raises `ScimError`.
        ends_access: whether it says that the person is inactive.
    """

    of: Callable[[ScimUser], ScimUser]
    ends_access: bool


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
        """Begins to do what earlier requests have left to do, and to learn of locks that are set past us."""
        watch_lock_changes(self._api, HandLocks(self._database))
        self._deactivation.start()

    async def create(self, body: object) -> Resource:
        """Creates a person.

        Raises:
            ScimError: see `Accounts.create`; the body is wrong.
        """
        user = parse_user(body)
        return await self._follow(await self._accounts.create(user))

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

        When access ends by it, it ends even if something else is wrong with the request: that is not done then.

        Raises:
            ScimError: the person is unknown, the body is wrong, or the change must not be made.
        """
        wish = _Wish(lambda user: parse_user(body, replaces=user), put_says_inactive(body))
        return await self._change(resource, wish)

    async def patch(self, resource: str, body: object) -> Resource:
        """Changes what is known of a person; the exceptions are those of `replace`."""
        return await self._change(resource, _Wish(lambda user: apply_patch(user, body), patch_says_inactive(body)))

    async def delete(self, resource: str) -> None:
        """Ends a person's access; from then on SCIM sees him no more.

        Raises:
            ScimError: the person is unknown, or access must not be ended.
        """
        done = await self._database.run("synapse_bum_oidc_scim_delete", self._delete, _subject(resource))
        if isinstance(done, ScimError):
            raise done
        await self._deactivation.until_done(done)

    async def _change(self, resource: str, wish: _Wish) -> Resource:
        done = await self._database.run("synapse_bum_oidc_scim_change", self._write, _subject(resource), wish)
        if isinstance(done, ScimError):
            raise done
        return await self.show(resource) if done is None else await self._follow(done)

    async def _follow(self, record: Record) -> Resource:
        """Does what comes after the commit."""
        await self._deactivation.until_done(record)
        shown = await self.show(resource_id(record.subject))
        if shown.user.active:
            self._profiles.bring_name(shown.account.user_id, shown.user)
        return shown

    def _wanted(self, txn: LoggingTransaction, before: Resource, wish: _Wish) -> ScimUser:
        """What becomes of a person, without what must not keep him in."""
        try:
            user = wish.of(before.user)
            self._check(txn, before, user)
        except ScimError as error:
            if not wish.ends_access:
                raise
            txn.call_after(
                logger.info,
                "SCIM ends the access of %s, but nothing else that it has sent with it is done: %s",
                before.account.user_id,
                error.detail,
            )
            return attr.evolve(before.user, active=False)
        return user

    def _check(self, txn: LoggingTransaction, before: Resource, user: ScimUser) -> None:
        subject = before.subject
        if user.external_id != before.user.external_id and (
            user.external_id is None or subject_for(self._config, user.external_id) != subject
        ):
            raise MutabilityError("externalId can't be changed: it says whose account this is.")
        if user_name_key(user.user_name) != user_name_key(before.user.user_name):
            decision_for(self._config, user)
            self._directory.refuse_taken_name(txn, user.user_name, subject)

    def _write(self, txn: LoggingTransaction, subject: str, wish: _Wish) -> Record | ScimError | None:
        """Changes a person; None when SCIM has never written anything of him and there is nothing to change."""
        take_turn(txn)
        before = self._found(txn, subject)
        user = self._wanted(txn, before, wish)
        was_active = _said(before).active
        ends = (wish.ends_access and was_active) or (not user.active and before.account.is_open)
        if user == before.user and not ends:
            return before.record
        # Who is shown inactive because an administrator has deactivated the account is not ended by that.
        now_ms, record = self._next_record(before, attr.evolve(user, active=was_active))
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
        said = _said(before)
        old: dict[str, Any] = {"active": said.active, "locked": before.account.is_locked}
        new: dict[str, Any] = {"active": record.user.active, "locked_by_scim": record.locked_ts is not None}
        names = [field.name for field in attr.fields(ScimUser)]
        new["changed"] = [name for name in names if getattr(said, name) != getattr(record.user, name)]
        user_id, now_ms = record.user_id, self._api.get_current_time_msec()
        audit.append(txn, audit.Entry(now_ms, self._access.actor, f"oidc.scim.{action}", user_id, old, new))


def _said(resource: Resource) -> ScimUser:
    """What SCIM has said of a person, whatever has become of the account; who was never mentioned may come in."""
    return attr.evolve(resource.user, active=True) if resource.record is None else resource.record.user


def _subject(resource: str) -> str:
    subject = subject_of_id(resource)
    if subject is None:
        raise NotFoundError(_NOBODY)
    return subject
