"""Looks, after a login, whether Synapse took it for one from the browser's address.

Synapse limits logins by address (`rc_login`). When every one seems to come from the portal, or from a proxy before it,
a stranger who types wrong passwords keeps all administrators out. Nobody would see that before it happens.
"""

import ipaddress
import logging
from typing import Final

from synapse.module_api import ModuleApi

from synapse_bum.portal.accounts.accounts import DEVICES
from synapse_bum.portal.homeserver_api.outcomes import HomeserverError
from synapse_bum.portal.sessions.session import Session
from synapse_bum.portal.sessions.session_keeper import SessionKeeper

logger = logging.getLogger(__name__)

WAIT_MS: Final = 10_000
"""Synapse writes addresses down every five seconds, in one of its processes."""

_DEVICE: Final = DEVICES + "/{device_id}"


class AddressCheck:
    """Says what is wrong once in the life of a process."""

    def __init__(self, api: ModuleApi, keeper: SessionKeeper) -> None:
        """Takes the homeserver and the sessions."""
        self._api = api
        self._keeper = keeper
        self._has_said = False

    def begin(self, session: Session, address: str | None) -> None:
        """Looks in a moment.

        Args:
            session: that has just begun; still the one of a browser.
            address: of that browser, as this process knows it; None when it does not.
        """
        if not self._has_said and session.device_id:
            self._api.delayed_background_call(WAIT_MS, self._look, session, address, desc="synapse_bum_portal_address")

    async def _look(self, session: Session, address: str | None) -> None:
        try:
            device = await self._keeper.server(session, address).get(
                _DEVICE, user_id=session.user_id, device_id=session.device_id
            )
        except HomeserverError:
            # Logged out by now, or nobody answers: the next login will tell.
            return
        noted = device.get("last_seen_ip")
        if self._has_said or not noted:
            return
        if address is None or not _is_same(noted, address):
            self._has_said = True
            logger.error(
                "Synapse takes the logins of all for those of one at %s, so that wrong passwords of a stranger keep"
                " everybody out (rc_login): let the listener behind `config.admin_api_url` have `x_forwarded: true`,"
                " and every proxy before it believe the `X-Forwarded-For` of this machine (docs/portal.md)",
                noted,
            )
        elif _is_loopback(address):
            self._has_said = True
            logger.warning(
                "Somebody has logged in from %s: unless that was a browser on this machine, the proxy before the portal"
                " does not send `X-Forwarded-For`, or the listener lacks `x_forwarded: true`, and all logins count as"
                " those of one (rc_login)",
                address,
            )


def _is_same(one: str, other: str) -> bool:
    try:
        return _read(one) == _read(other)
    except ValueError:
        return one == other


def _is_loopback(address: str) -> bool:
    try:
        return _read(address).is_loopback
    except ValueError:
        return False


def _read(address: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    found = ipaddress.ip_address(address)
    return getattr(found, "ipv4_mapped", None) or found
