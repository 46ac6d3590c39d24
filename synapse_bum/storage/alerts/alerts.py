"""`Alerts`: compares the pool with the thresholds at each update of the ledger, and tells the operators.

What they are told is decided and written down in the transaction of the update; log, metric and mail come after its
commit. A mail that could not be sent is tried again; it comes twice only where a process dies, or waits in vain for the
mail server's answer, after the mail was taken.
"""

import logging
import secrets
from collections.abc import Collection
from decimal import Decimal
from typing import Final
from zoneinfo import ZoneInfo

from synapse.module_api import LoggingTransaction, ModuleApi
from twisted.internet.defer import CancelledError

from synapse_bum.config import SetupError
from synapse_bum.database import Database
from synapse_bum.homeserver.mailer import can_send_mail
from synapse_bum.homeserver.time_limit import within
from synapse_bum.storage.alerts import metrics, outbox
from synapse_bum.storage.alerts.mail import Notice, write_mail
from synapse_bum.storage.alerts.outbox import Waiting
from synapse_bum.storage.alerts.tables import ALERTS
from synapse_bum.storage.alerts.thresholds import crossed, percent
from synapse_bum.storage.usage import Pool

logger = logging.getLogger(__name__)

SEND_SECONDS: Final = 60
"""How long the mail server may take for a mail."""

LOOK_EVERY_MS: Final = 60_000
"""How often it is looked whether a mail waits that this process did not write."""


def check_mail(api: ModuleApi, email: str | None) -> None:
    """Make sure that mail can be sent if it is wanted.

    Args:
        api: of the homeserver.
        email: value of `alert_email`.

    Raises:
        SetupError: it can't.
    """
    if email is not None and not can_send_mail(api):
        raise SetupError(
            "`config.alert_email` of synapse_bum.storage.StorageModule: homeserver.yaml has no section `email`, so"
            " Synapse can't send mail; add it with `smtp_host` and `notif_from`, or remove `alert_email`"
        )


class Alerts:
    """Tells operators, once for each threshold that is reached."""

    def __init__(
        self,
        api: ModuleApi,
        database: Database,
        *,
        alert_at: Collection[float],
        email: str | None,
        timezone: ZoneInfo,
        hard_limit_bytes: int | None,
    ) -> None:
        """Prepare.

        Args:
            api: of the homeserver.
            database: the tables of the alerts are added to its components.
            alert_at: shares of the pool.
            email: who gets a mail; None for nobody.
            timezone: of the readers.
            hard_limit_bytes: beyond which uploads are refused; None when they never are.
        """
        database.add(ALERTS)
        self._api = api
        self._database = database
        self._thresholds = frozenset(Decimal(str(share)) for share in alert_at)
        self._email = email
        self._timezone = timezone
        self._hard_limit_bytes = hard_limit_bytes
        self._looked_ms: int | None = None
        self._sent: set[str] = set()
        self.nothing_is_known()

    def nothing_is_known(self) -> None:
        """Says in the metrics that this process does not keep the ledger."""
        for threshold in self._thresholds:
            metrics.REACHED.labels(percent(threshold)).set(float("nan"))

    def note(self, txn: LoggingTransaction, pool: Pool, now_ms: int) -> None:
        """Decide what operators are told of the pool, and write it down; they are told after the commit.

        Args:
            txn: the transaction in which the ledger is brought up to date.
            pool: as it is now.
            now_ms: ms since the epoch.
        """
        before = outbox.told(txn)
        crossing = crossed(pool.used_bytes, pool.included_bytes, self._thresholds, before)
        outbox.write_told(txn, before, crossing, now_ms)
        if crossing.new and self._email is not None:
            outbox.add_mail(txn, secrets.token_hex(8), Notice(now_ms, crossing.new, pool))
        txn.call_after(self._tell, pool, crossing.new, crossing.left, crossing.told)

    def _tell(self, pool: Pool, new: Collection[Decimal], left: Collection[Decimal], told: Collection[Decimal]) -> None:
        for threshold in self._thresholds:
            metrics.REACHED.labels(percent(threshold)).set(threshold in told)
        extra = {"used_bytes": pool.used_bytes, "included_bytes": pool.included_bytes, "users": pool.users}
        for threshold in new:
            logger.warning(
                "The storage pool has reached %s %%: %d bytes used of %d",
                percent(threshold),
                pool.used_bytes,
                pool.included_bytes,
                extra={"threshold": percent(threshold), **extra},
            )
        for threshold in left:
            logger.info(
                "The storage pool is below %s %% again: %d bytes used of %d",
                percent(threshold),
                pool.used_bytes,
                pool.included_bytes,
                extra={"threshold": percent(threshold), **extra},
            )
        if new:
            self._looked_ms = None

    async def deliver(self) -> None:
        """Send the mails that wait; cheap when there are none, so it may be called often.

        Ends at the first mail that can't be sent: it is tried again after `outbox.RETRY_MS`.

        Raises:
            Exception: the database's own errors; nothing is lost.
        """
        now_ms = self._api.get_current_time_msec()
        if self._email is None or (self._looked_ms is not None and 0 <= now_ms - self._looked_ms < LOOK_EVERY_MS):
            return
        self._looked_ms = now_ms
        dropped = await self._database.run("synapse_bum_storage_old_mails", outbox.drop_old_mails, now_ms)
        if dropped:
            logger.warning("Gave up on %d mails about the storage pool that could not be sent for a week", dropped)
        while (waiting := await self._take()) is not None:
            if waiting.mail_id not in self._sent and not await self._send(waiting, self._email):
                return
            # Before the database is asked: where it fails, this process at least does not send the mail again.
            self._sent.add(waiting.mail_id)
            await self._database.run("synapse_bum_storage_mail_sent", outbox.drop_mail, waiting.mail_id)
            self._sent.discard(waiting.mail_id)

    async def _take(self) -> Waiting | None:
        return await self._database.run(
            "synapse_bum_storage_take_mail", outbox.take_mail, self._api.get_current_time_msec()
        )

    async def _send(self, waiting: Waiting, email: str) -> bool:
        mail = write_mail(waiting.notice, self._api.server_name, self._timezone, self._hard_limit_bytes)
        try:
            await within(self._api, SEND_SECONDS, self._api.send_mail, email, mail.subject, mail.html, mail.text)
        except CancelledError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever the mail server does, the mail waits for the next try
            metrics.FAILED.inc()
            logger.warning("Could not send a mail about the storage pool, it is tried again: %s", error)
            return False
        metrics.SENT.inc()
        logger.info("Sent a mail about the storage pool to the operators")
        return True
