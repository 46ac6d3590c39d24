"""The duty that sends the mails about reports, and drops reports that are too old.

One process does it, and takes each mail before it sends it. A mail that could not be sent is tried again until it is;
it comes twice only where a process dies, or waits in vain for the mail server's answer, after the mail was taken.
"""

import logging
from typing import Final

from synapse.module_api import ModuleApi
from twisted.internet.defer import CancelledError

from synapse_bum.database import Database
from synapse_bum.database.error_text import first_line
from synapse_bum.homeserver.mailer import can_send_mail
from synapse_bum.homeserver.time_limit import within
from synapse_bum.portal.support import outbox, tickets
from synapse_bum.portal.support.mail import write_mail
from synapse_bum.portal.support.outbox import Waiting
from synapse_bum.quantities import Duration

logger = logging.getLogger(__name__)

LOOK_EVERY_MS: Final = 15_000

DROP_EVERY_MS: Final = 3_600_000
"""How often it is looked for reports that are too old."""

SEND_SECONDS: Final = 60
"""How long the mail server may take for a mail."""


def mails_go_out(api: ModuleApi, email: str | None) -> bool:
    """Whether reports are mailed: there is an address, and Synapse can send mail."""
    if email is None:
        return False
    if not can_send_mail(api):
        logger.warning(
            "`config.support.email` of synapse_bum.portal.PortalModule: homeserver.yaml has no section `email`, so"
            " reports are kept in the portal, but mailed to nobody"
        )
        return False
    return True


class Post:
    """Sends what waits in the outbox."""

    def __init__(self, api: ModuleApi, database: Database, *, email: str | None, lifetime: Duration) -> None:
        """Prepares.

        Args:
            api: of the process that runs background tasks.
            database: with `SUPPORT`.
            email: of the support; None where no mail goes out.
            lifetime: of reports that have been answered.
        """
        self._api = api
        self._database = database
        self._email = email
        self._lifetime = lifetime
        self._dropped_ms: int | None = None
        self._sent: set[str] = set()
        self._busy = False

    def start(self) -> None:
        """Begins to look for mails that wait."""
        self._api.looping_background_call(self.look, LOOK_EVERY_MS, desc="synapse_bum_portal_post")

    async def look(self) -> None:
        """Sends what waits, unless the last look is still at it."""
        if self._busy:
            return
        self._busy = True
        try:
            await self._drop_old()
            if self._email is not None:
                await self._send_all(self._email)
        except Exception as error:  # noqa: BLE001 - a background duty: the next look goes on
            logger.warning("Mails about reported faults have to wait: %s", first_line(error))
        finally:
            self._busy = False

    async def _drop_old(self) -> None:
        now_ms = self._api.get_current_time_msec()
        if self._dropped_ms is not None and 0 <= now_ms - self._dropped_ms < DROP_EVERY_MS:
            return
        await self._database.run("synapse_bum_portal_old_tickets", tickets.drop_older, self._lifetime.before(now_ms))
        self._dropped_ms = now_ms

    async def _send_all(self, email: str) -> None:
        while (waiting := await self._take()) is not None:
            if waiting.mail_id not in self._sent and not await self._send(waiting, email):
                continue
            # Before the database is asked: where it fails, this process at least does not send the mail again.
            self._sent.add(waiting.mail_id)
            await self._database.run("synapse_bum_portal_mail_sent", outbox.drop_mail, waiting.mail_id)
            self._sent.discard(waiting.mail_id)

    async def _take(self) -> Waiting | None:
        return await self._database.run(
            "synapse_bum_portal_take_mail", outbox.take_mail, self._api.get_current_time_msec()
        )

    async def _send(self, waiting: Waiting, email: str) -> bool:
        mail = write_mail(waiting.kind, waiting.ticket, self._api.server_name)
        recipient = waiting.recipient or email
        try:
            await within(self._api, SEND_SECONDS, self._api.send_mail, recipient, mail.subject, mail.html, mail.text)
        except CancelledError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever the mail server does, the mail waits for the next try
            logger.warning(
                "Could not send a mail about the report %s, it is tried again: %s",
                waiting.ticket.ticket_id,
                first_line(error),
            )
            return False
        logger.info("Sent a mail about the report %s", waiting.ticket.ticket_id)
        return True
