"""Names and addresses that SCIM brings to accounts.

Addresses change in the transaction of the row. They count by the rules of a login, and as SCIM says of none that it is
verified, only with `trust_email: true`; nobody loses his to somebody else. The display name comes after the commit, in
the background: Synapse writes it into every room.
"""

import logging
from collections.abc import Awaitable, Callable

from synapse.module_api import LoggingTransaction, ModuleApi, UserID

from synapse_bum.database import Database
from synapse_bum.database.error_text import first_line
from synapse_bum.homeserver.user_emails import bind, end_mails_to, holder_of, tell_bound, tell_unbound, unbind
from synapse_bum.homeserver.user_profiles import display_name
from synapse_bum.oidc.mapping.config import MappingConfig
from synapse_bum.oidc.mapping.display_name import cleaned_display_name
from synapse_bum.oidc.scim.errors import InvalidValueError
from synapse_bum.oidc.scim.person import decision_for
from synapse_bum.oidc.scim.resources import ScimUser

logger = logging.getLogger(__name__)


class Profiles:
    """The names and addresses of one identity provider's people."""

    def __init__(self, api: ModuleApi, database: Database, config: MappingConfig) -> None:
        """Prepares.

        Args:
            api: of the homeserver.
            database: of the module.
            config: of the mapping of the identity provider.
        """
        self._api = api
        self._database = database
        self._config = config

    def change_address(self, txn: LoggingTransaction, user_id: str, before: ScimUser | None, after: ScimUser) -> None:
        """Binds the person's address to the account, in the place of the one that SCIM had brought before.

        Args:
            txn: the transaction that writes the row.
            user_id: the account.
            before: what SCIM said last; None when it has said nothing.
            after: what it says.
        """
        old, new = self._address(before), self._address(after)
        if old is not None and old != new and unbind(txn, user_id, old):
            self._after(txn, self._tell_unbound, user_id, old)
        if new is None or holder_of(txn, new) == user_id:
            return
        if bind(txn, user_id, new, self._api.get_current_time_msec()):
            self._after(txn, self._tell_bound, user_id, new)
        else:
            txn.call_after(
                logger.warning, "%s gets no e-mail address by SCIM: somebody else has it, and keeps it", user_id
            )

    def bring_name(self, user_id: str, user: ScimUser) -> None:
        """Has the display name set in the background; nothing happens when SCIM says none, or it is the same."""
        name = None if user.shown_name is None else cleaned_display_name(user.shown_name)
        if name is not None:
            self._api.delayed_background_call(0, self._set_name, user_id, name, desc="synapse_bum_oidc_scim_name")

    async def _set_name(self, user_id: str, name: str) -> None:
        try:
            if await self._database.run("synapse_bum_oidc_scim_name", display_name, user_id) != name:
                await self._api.set_displayname(UserID.from_string(user_id), name)
        except Exception as error:  # noqa: BLE001 - the next change or login brings it
            logger.warning("The display name of %s could not be set: %s", user_id, first_line(error))

    def _address(self, user: ScimUser | None) -> str | None:
        if user is None:
            return None
        try:
            return decision_for(self._config, user).email
        except InvalidValueError:
            # Somebody who could not be created today has no address here; his access can be ended all the same.
            return None

    def _after(
        self, txn: LoggingTransaction, tell: Callable[[str, str], Awaitable[None]], user_id: str, address: str
    ) -> None:
        txn.call_after(
            self._api.delayed_background_call, 0, tell, user_id, address, desc="synapse_bum_oidc_scim_address"
        )

    async def _tell_bound(self, user_id: str, address: str) -> None:
        await tell_bound(self._api, user_id, address)

    async def _tell_unbound(self, user_id: str, address: str) -> None:
        await end_mails_to(self._api, user_id, address)
        await tell_unbound(self._api, user_id, address)
