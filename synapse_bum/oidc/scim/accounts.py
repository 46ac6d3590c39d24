"""New accounts for people who have never logged in, linked to them from the start; and old ones that come back.

| what stands there after a crash | what happens next |
|---|---|
| a row, no account | the next request goes on; after half a minute the row is dropped |
| a row, an account with its mark | the next request links it; after half a minute the duty does |
| the link | all is done: row and link are one transaction |

So nobody gets two accounts, and none that somebody else has made under the same name meanwhile.
"""

from typing import Final

import attr
from synapse.module_api import LoggingTransaction, ModuleApi

from synapse_bum import audit
from synapse_bum.database import Database
from synapse_bum.homeserver.account_access import account_of
from synapse_bum.homeserver.account_creation import NameTakenError, has_mark, link_marked, mark_for, register
from synapse_bum.homeserver.external_ids import user_of
from synapse_bum.oidc import localparts
from synapse_bum.oidc.last_admin import take_turn
from synapse_bum.oidc.localparts import Newcomer, Outcome
from synapse_bum.oidc.mapping.config import MappingConfig
from synapse_bum.oidc.mapping.decision import Decision
from synapse_bum.oidc.scim import records
from synapse_bum.oidc.scim.access import GIVEN_UP, Access, is_given_up
from synapse_bum.oidc.scim.directory import Directory
from synapse_bum.oidc.scim.errors import ConflictError, ScimError, UnavailableError, UniquenessError
from synapse_bum.oidc.scim.person import decision_for
from synapse_bum.oidc.scim.profiles import Profiles
from synapse_bum.oidc.scim.records import Record
from synapse_bum.oidc.scim.resources import ScimUser

_ATTEMPTS: Final = 12
"""More than there are candidates for a localpart."""

_RETRY_AFTER_S: Final = 60


@attr.s(auto_attribs=True, frozen=True, slots=True)
class _Registration:
    """An account that is to be registered now."""

    record: Record
    localpart: str


class Accounts:
    """Creates accounts for one identity provider's people."""

    def __init__(
        self, api: ModuleApi, database: Database, config: MappingConfig, access: Access, profiles: Profiles
    ) -> None:
        """Prepares.

        Args:
            api: of the homeserver.
            database: with the identity tables.
            config: of the mapping of the identity provider.
            access: of the same people.
            profiles: of the same people.
        """
        self._api = api
        self._database = database
        self._config = config
        self._access = access
        self._profiles = profiles
        self._directory = Directory(config, api.server_name)

    async def create(self, user: ScimUser) -> Record:
        """Creates an account, or takes back the one that SCIM had deleted.

        Returns:
            the row, complete.

        Raises:
            InvalidValueError: the person could not log in.
            UniquenessError: SCIM has created this person already, or somebody else has the login name.
            ConflictError: the account is deactivated, or no name is left.
            UnavailableError: the person is just logging in for the first time.
        """
        decision = decision_for(self._config, user)
        person = localparts.newcomer(self._api, self._config, decision)
        for _attempt in range(_ATTEMPTS):
            step = await self._database.run("synapse_bum_oidc_scim_create", self._begin, person, user)
            if isinstance(step, _Registration):
                step = await self._register(step, decision)
            if isinstance(step, ScimError):
                raise step
            if step is not None:
                return step
        raise UnavailableError("The account could not be created now.", retry_after_s=_RETRY_AFTER_S)

    async def finish_or_drop(self, record: Record) -> None:
        """Ends a creation that was cut off: links the account if it was registered, else forgets about it.

        That of another identity provider, for which SCIM worked before, is forgotten: nobody asks for it any more.
        """
        await self._database.run("synapse_bum_oidc_scim_finish", self._finish_or_drop, record)

    async def _register(self, registration: _Registration, decision: Decision) -> Record | None:
        """Registers and links; None when somebody was faster, and the next attempt will see what he did."""
        record = registration.record
        try:
            await register(self._api, registration.localpart, decision.display_name, self._mark(record))
        except NameTakenError:
            return None
        return await self._database.run("synapse_bum_oidc_scim_link", self._link, record)

    def _begin(
        self, txn: LoggingTransaction, person: Newcomer, user: ScimUser
    ) -> Record | _Registration | ScimError | None:
        take_turn(txn)
        now_ms = self._api.get_current_time_msec()
        self._directory.refuse_taken_name(txn, user.user_name, person.subject)
        record = records.read(txn, self._config.idp_id, person.subject)
        linked = user_of(txn, self._config.auth_provider, person.subject)
        if linked is not None:
            return self._take_back(txn, linked, person.subject, record, user)
        if record is not None and has_mark(txn, record.user_id, self._mark(record)):
            return self._link(txn, attr.evolve(record, user=user))
        choice = localparts.reserve(txn, person, now_ms)
        if choice.outcome is Outcome.NONE_LEFT or choice.user_id is None:
            if choice.outcome is Outcome.UNDER_WAY:
                return UnavailableError("The person is just getting an account.", retry_after_s=_RETRY_AFTER_S)
            return ConflictError("All names for this account are taken.")
        begun = Record(
            self._config.idp_id, person.subject, choice.user_id, user, has_work=True, modified_ts=_later(record, now_ms)
        )
        records.put(txn, begun)
        return _Registration(begun, choice.user_id[1:].partition(":")[0])

    def _link(self, txn: LoggingTransaction, record: Record) -> Record | None:
        """Makes a registered account this person's; None when it is somebody's already."""
        link = (self._config.auth_provider, record.subject, record.user_id)
        if user_of(txn, *link[:2]) is not None or not link_marked(self._api, txn, self._mark(record), link):
            return None
        now_ms = self._api.get_current_time_msec()
        made = attr.evolve(record, has_work=False, created_ts=now_ms, modified_ts=_later(record, now_ms))
        if not made.user.active:
            made = self._access.close_new(txn, made, now_ms)
        records.put(txn, made)
        self._profiles.change_address(txn, made.user_id, None, made.user)
        self._note(txn, "oidc.scim.created", made, None)
        return made

    def _take_back(
        self, txn: LoggingTransaction, linked: str, subject: str, old: Record | None, user: ScimUser
    ) -> Record | ScimError:
        """What becomes of a person who has an account: SCIM had deleted it, or never knew of it."""
        account = account_of(txn, linked)
        if account is None:
            return ConflictError("The person is linked to an account that does not exist.")
        if old is not None and old.is_complete and old.deleted_ts is None:
            return UniquenessError("This person has been created already.")
        if is_given_up(account, old):
            return ConflictError(GIVEN_UP)
        now_ms = self._api.get_current_time_msec()
        is_return = old is not None and old.is_complete
        kept = Record(self._config.idp_id, subject, linked, user, created_ts=now_ms)
        if old is not None and is_return:
            kept = attr.evolve(kept, locked_ts=old.locked_ts, has_work=old.has_work, created_ts=old.created_ts)
        if user.active:
            back: Record | ScimError = self._access.restore(txn, account, kept)
        else:
            back = self._access.end(txn, account, kept, now_ms)
        if isinstance(back, ScimError):
            return back
        back = attr.evolve(back, modified_ts=_later(old, now_ms))
        records.put(txn, back)
        self._profiles.change_address(txn, linked, old.user if old is not None and is_return else None, user)
        self._note(txn, "oidc.scim.returned" if is_return else "oidc.scim.adopted", back, old)
        return back

    def _finish_or_drop(self, txn: LoggingTransaction, seen: Record) -> None:
        take_turn(txn)
        record = records.read(txn, seen.idp_id, seen.subject)
        if record is None or record.is_complete or record.modified_ts != seen.modified_ts:
            return
        if record.idp_id != self._config.idp_id or self._link(txn, record) is None:
            records.remove(txn, record)

    def _mark(self, record: Record) -> str:
        return mark_for("synapse_bum.oidc.scim", record.idp_id, record.subject, record.user_id)

    def _note(self, txn: LoggingTransaction, action: str, record: Record, old: Record | None) -> None:
        before = None if old is None else {"active": old.user.active, "deleted_ts": old.deleted_ts}
        after = {"active": record.user.active, "locked_ts": record.locked_ts}
        entry = audit.Entry(record.modified_ts, self._access.actor, action, record.user_id, before, after)
        audit.append(txn, entry)


def _later(record: Record | None, now_ms: int) -> int:
    """A time of change that is not that of the change before."""
    return now_ms if record is None else max(now_ms, record.modified_ts + 1)
