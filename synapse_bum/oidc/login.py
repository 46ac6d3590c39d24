"""What a login changes at an account: the administrator's right, the e-mail address, the display name.

The mapping has written what the claims say (`people.py`), before the account was there perhaps. Synapse calls
`on_user_login` twice for one login: when the identity provider has sent the person back (`m.login.sso`), and when the
client has fetched its token (`m.login.token`), which may be another process. Whichever comes first applies it; what
does not work stays pending, and the duty (`duty.py`) tries again.
"""

import logging
from collections.abc import Awaitable, Mapping
from typing import Final

import attr
from synapse.module_api import LoggingTransaction, ModuleApi, UserID
from twisted.internet.defer import CancelledError

from synapse_bum import audit
from synapse_bum.database import Database
from synapse_bum.database.error_text import first_line
from synapse_bum.homeserver.account_access import account_of
from synapse_bum.homeserver.external_ids import LinkFilter, page_of_links, user_of
from synapse_bum.homeserver.user_profiles import display_name
from synapse_bum.oidc import metrics, people
from synapse_bum.oidc.admins import Admins
from synapse_bum.oidc.emails import Emails, step_of
from synapse_bum.oidc.mapping import MappingConfig

logger = logging.getLogger(__name__)

_FIRST_STEP: Final = "m.login.sso"
_SECOND_STEP: Final = "m.login.token"

_BETWEEN_STEPS_MS: Final = 120_000
"""How long a first step that has left nothing is remembered: as long as Synapse's login token lives."""

_MAX_LINKS: Final = 100
"""How many people at one identity provider an account may belong to; it is one, if nobody links by hand."""

_MAX_AT_ONCE: Final = 500
"""How many pending logins one turn of the duty looks at."""

REGISTRATION_MS: Final = 3_600_000
"""How long a registration may take, with a page where the person chooses a name for example."""


@attr.s(auto_attribs=True, frozen=True, slots=True)
class _Work:
    """What is left to do for a login.

    Attributes:
        login: that is pending.
        user_id: the account of the person.
        admin: whether something about administrators may change.
        email: whether the account's addresses change.
        name: the display name to set; None when it stays.
        is_renamed: whether the account has another name until now.
    """

    login: people.PendingLogin
    user_id: str
    admin: bool = False
    email: bool = False
    name: str | None = attr.ib(default=None, repr=False)
    is_renamed: bool = False

    @property
    def is_done(self) -> bool:
        """Whether nothing is left."""
        return not self.admin and not self.email and self.name is None


class LoginSync:
    """Applies logins in one process."""

    def __init__(
        self, api: ModuleApi, database: Database, admins: Admins, providers: Mapping[str, MappingConfig]
    ) -> None:
        """Prepares.

        Args:
            api: of the homeserver.
            database: with the tables OIDC and AUDIT.
            admins: applies the part about administrators.
            providers: identity providers with our mapping, by `idp_id`.
        """
        self._api = api
        self._database = database
        self._admins = admins
        self._emails = Emails(api, database)
        self._auth_providers = {idp_id: config.auth_provider for idp_id, config in providers.items()}
        self._idp_ids = {auth_provider: idp_id for idp_id, auth_provider in self._auth_providers.items()}
        self._renaming: set[str] = set()
        # By identity provider and account: when a first step here has left nothing to do, oldest first.
        self._complete_ms: dict[tuple[str, str], int] = {}
        # By identity provider and subject: when the duty tried last.
        self._tried_ms: dict[tuple[str, str], int] = {}

    async def on_user_login(self, user_id: str, auth_provider_type: str | None, auth_provider_id: str | None) -> None:
        """Synapse's callback `on_user_login`; never raises, because that would end the login with an error.

        Returns when the right of an administrator and the address are applied. A new display name follows in the
        background: Synapse may have to write it into hundreds of rooms.
        """
        idp_id = self._idp_ids.get(auth_provider_id or "")
        # Where the first step has left nothing, the second need not ask the database.
        if idp_id is None or (self._was_complete(idp_id, user_id) and auth_provider_type == _SECOND_STEP):
            return
        # What is still pending at the second step was begun at the first one.
        again = auth_provider_type != _FIRST_STEP
        try:
            waiting = await self._database.run("synapse_bum_oidc_login", self._left_of, idp_id, user_id, again=again)
            if not waiting and not again:
                self._complete_ms[idp_id, user_id] = self._api.get_current_time_msec()
            for work in waiting:
                await self._apply(work)
        except Exception as error:  # noqa: BLE001 - the login itself is not at fault; the duty tries again
            metrics.FAILURES.labels(step="login").inc()
            logger.warning("What the login of %s changes has to wait: %s", user_id, first_line(error))

    def _was_complete(self, idp_id: str, user_id: str) -> bool:
        """Whether a step of the moments before has left nothing to do; true once."""
        now_ms = self._api.get_current_time_msec()
        while self._complete_ms:
            oldest, since_ms = next(iter(self._complete_ms.items()))
            if 0 <= now_ms - since_ms < _BETWEEN_STEPS_MS:
                break
            del self._complete_ms[oldest]
        return self._complete_ms.pop((idp_id, user_id), None) is not None

    async def retry(self, older_than_ms: int) -> None:
        """Applies logins that are pending for a while; for the duty of one process.

        Args:
            older_than_ms: those of the last moments are left to the process in which they happen. What has failed is
                not tried again for so long either.

        Raises:
            Exception: of the database.
        """
        now_ms = self._api.get_current_time_msec()
        waiting = await self._database.run("synapse_bum_oidc_pending", people.pending, _MAX_AT_ONCE)
        tried_ms = {(login.idp_id, login.subject): login.login_ts for login in waiting} | self._tried_ms
        self._tried_ms = {}
        for login in waiting:
            key = (login.idp_id, login.subject)
            # A time in the future was written by a clock that was wrong.
            if not 0 <= now_ms - tried_ms[key] < older_than_ms:
                tried_ms[key] = now_ms
                work = await self._database.run("synapse_bum_oidc_retry", self._left_of_pending, login, now_ms)
                if work is not None:
                    await self._apply(work)
            self._tried_ms[key] = tried_ms[key]

    def _left_of(self, txn: LoggingTransaction, idp_id: str, user_id: str, *, again: bool) -> list[_Work]:
        links = page_of_links(txn, LinkFilter(user_id, self._auth_providers[idp_id]), 0, _MAX_LINKS)
        logins = [people.pending_of(txn, idp_id, link.external_id) for link in links]
        left = [self._left(txn, login, user_id, again=again) for login in logins if login is not None]
        return [work for work in left if work is not None]

    def _left_of_pending(self, txn: LoggingTransaction, login: people.PendingLogin, now_ms: int) -> _Work | None:
        auth_provider = self._auth_providers.get(login.idp_id)
        user_id = None if auth_provider is None else user_of(txn, auth_provider, login.subject)
        if user_id is not None:
            return self._left(txn, login, user_id, again=True)
        if auth_provider is None or not 0 <= now_ms - login.login_ts < REGISTRATION_MS:
            # The account was never made, or the provider is not in the configuration any more.
            people.applied(txn, login)
        return None

    def _left(self, txn: LoggingTransaction, login: people.PendingLogin, user_id: str, *, again: bool) -> _Work | None:
        """What is left to do; when it is nothing, that is written down.

        Args:
            txn: a transaction.
            login: that is pending.
            user_id: the account of the person.
            again: whether it was tried before: then a display name may be set and not yet be in all rooms.
        """
        account = account_of(txn, user_id)
        admin = account is not None and self._admins.concerns(txn, login, user_id)
        if account is None or not account.is_open:
            work = _Work(login, user_id, admin)
        else:
            is_renamed = login.display_name not in {None, display_name(txn, user_id)}
            name = login.display_name if is_renamed or again else None
            work = _Work(login, user_id, admin, bool(step_of(txn, login, user_id)), name, is_renamed)
        if work.is_done:
            people.applied(txn, login)
            return None
        return work

    async def _apply(self, work: _Work) -> None:
        """Does what is left; what fails is counted and logged, and leaves the login pending."""
        login, user_id = work.login, work.user_id
        worked = True
        if work.admin:
            worked &= await self._attempt("admin", user_id, self._admins.apply(login.idp_id, login.subject, user_id))
        if work.email:
            worked &= await self._attempt("email", user_id, self._emails.apply(login, user_id))
        if work.name is not None:
            if user_id not in self._renaming:
                self._renaming.add(user_id)
                self._api.delayed_background_call(
                    0, self._rename, work, work.name, worked=worked, desc="synapse_bum_oidc_rename"
                )
        elif worked:
            await self._database.run("synapse_bum_oidc_applied", people.applied, login)

    async def _rename(self, work: _Work, name: str, *, worked: bool) -> None:
        try:
            setting = self._api.set_displayname(UserID.from_string(work.user_id), name)
            if await self._attempt("display_name", work.user_id, setting):
                await self._database.run("synapse_bum_oidc_renamed", self._renamed, work, worked=worked)
        finally:
            self._renaming.discard(work.user_id)

    def _renamed(self, txn: LoggingTransaction, work: _Work, *, worked: bool) -> None:
        """The name itself is not in the audit: it outlives the account."""
        if worked:
            people.applied(txn, work.login)
        if work.is_renamed:
            now_ms, actor = self._api.get_current_time_msec(), f"idp:{work.login.idp_id}"
            audit.append(txn, audit.Entry(now_ms, actor, "oidc.display_name.changed", work.user_id))

    async def _attempt(self, step: str, user_id: str, work: Awaitable[object]) -> bool:
        try:
            await work
        except CancelledError:
            # The duty's lease is lost: another process goes on.
            raise
        except Exception as error:  # noqa: BLE001 - the other steps do not depend on this one
            metrics.FAILURES.labels(step=step).inc()
            logger.warning("The %s of %s has to wait after a login: %s", step, user_id, first_line(error))
            return False
        return True
