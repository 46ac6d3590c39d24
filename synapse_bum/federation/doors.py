"""Closing every place in Synapse that asks who is allowed, and proving it once the homeserver runs.

The proof asks each place about a name that nobody has. It must refuse, and must have asked our list to know that. A
place that does not is a hole that this version of Synapse has and that is not known here: then everything is denied,
which operators notice at once, rather than some of it allowed, which they don't.
"""

import logging
import secrets
from typing import Final

from synapse.module_api import ModuleApi

from synapse_bum.config import SetupError
from synapse_bum.database.error_text import traced
from synapse_bum.federation.denials import Denials, Direction
from synapse_bum.federation.live import LiveAllowlist
from synapse_bum.federation.whitelist import Whitelist
from synapse_bum.homeserver import federation_doors
from synapse_bum.homeserver.time_limit import within

logger = logging.getLogger(__name__)

_PATIENCE_S: Final = 10
"""A place that asks answers at once; one that does not may try to reach a server that is not there."""


class Doors:
    """The places of one homeserver process.

    Attributes:
        proved: names of the places that refused a stranger by our list; empty before the proof.
    """

    def __init__(self, api: ModuleApi, live: LiveAllowlist) -> None:
        self._api = api
        self._live = live
        self._denials = Denials()
        self._now_ms = now_ms = api.get_current_time_msec
        self._incoming = Whitelist(live.current, Direction.IN, self._denials, now_ms)
        self._outgoing = Whitelist(live.current, Direction.OUT, self._denials, now_ms)
        self.proved: tuple[str, ...] = ()

    def close(self) -> None:
        """Puts our list everywhere; in a module's `__init__`.

        Raises:
            SetupError: the configuration allows servers by itself.
        """
        if not federation_doors.denies_all(self._api):
            raise SetupError(
                "homeserver.yaml: synapse_bum.federation.FederationModule needs the line"
                " `federation_domain_whitelist: []`. Without it Synapse talks with every server until the module is"
                " loaded, and wherever the module is missing. Partners belong under the module's `partners`"
            )
        federation_doors.install(self._api, self._incoming)
        self._api.delayed_background_call(0, self._prove, desc="synapse_bum_federation_doors")

    async def _prove(self) -> None:
        stranger = f"{secrets.token_hex(16)}.invalid"
        try:
            incoming = await self._open_doors(federation_doors.incoming_doors(self._api, stranger), stranger)
            federation_doors.install_outgoing(self._api, self._outgoing, self._lets_in, self._lets_out)
            outgoing = await self._open_doors(federation_doors.outgoing_doors(self._api, stranger), stranger)
        except Exception as error:  # noqa: BLE001 - what nobody has foreseen
            self._live.close()
            logger.critical(
                "No server is allowed any more: the places in Synapse could not be tried: %s", traced(error)
            )
            return
        if incoming or outgoing:
            self._live.close()
            logger.critical(
                "No server is allowed any more: Synapse did not ask for the partners in: %s. Use a version of Synapse"
                " that synapse_bum was tested with",
                ", ".join([*incoming, *outgoing]),
            )
            return
        logger.info("All places that ask who is allowed were tried: %s", ", ".join(self.proved))

    def _lets_in(self, name: str) -> bool:
        allowlist = self._live.current.allowlist
        return allowlist is not None and allowlist.lets_in(name, self._now_ms())

    def _lets_out(self, name: str) -> bool:
        allowlist = self._live.current.allowlist
        return allowlist is not None and allowlist.lets_out(name, self._now_ms())

    async def _open_doors(self, doors: federation_doors.Doors, stranger: str) -> list[str]:
        still_open = []
        for name, ask in doors.items():
            self._denials.expect_probe(stranger)
            try:
                refused = await within(self._api, _PATIENCE_S, ask)
            except Exception as error:  # noqa: BLE001 - what nobody has foreseen
                logger.error("%s could not be asked: %s", name, traced(error))
                refused = False
            if refused and self._denials.probed:
                self.proved = (*self.proved, name)
            else:
                still_open.append(name)
        self._denials.expect_probe(None)
        return still_open
