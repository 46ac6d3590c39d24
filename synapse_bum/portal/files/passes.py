"""Passes: addresses that show something once, to one session, for a minute.

What a page writes down before it shows must not be shown again by an address out of the history or a log.
"""

import secrets
from typing import Final

from synapse_bum.portal.sessions.records import Records
from synapse_bum.portal.sessions.sealing import Sealer
from synapse_bum.portal.sessions.session import Session

LIFETIME_MS: Final = 60_000
"""From the page to the request for what it shows; browsers ask within the second."""

_PURPOSE: Final = "pass"
_SKEW_MS: Final = 300_000


class Passes:
    """The passes of one session."""

    def __init__(self, sealer: Sealer, records: Records, session: Session, now_ms: int) -> None:
        """Takes the keys, what all processes know, whose passes these are, and the time, ms since the epoch."""
        self._sealer = sealer
        self._records = records
        self._session_id = session.session_id
        self._now_ms = now_ms

    def issue(self, what: str) -> str:
        """Makes a pass.

        Args:
            what: it opens; nothing else.

        Returns:
            text for a query.
        """
        content = {"id": secrets.token_urlsafe(18), "session": self._session_id, "what": what}
        return self._sealer.seal(_PURPOSE, content, self._now_ms)

    async def redeem(self, given: str, what: str) -> bool:
        """Uses a pass up; whether it was a genuine one, of this session, for this, in time, and for the first time.

        Args:
            given: as it came in.
            what: it is to open.
        """
        content = self._sealer.open(_PURPOSE, given, self._now_ms, LIFETIME_MS)
        if content is None or content["session"] != self._session_id or content["what"] != what:
            return False
        # Remembered for longer than any process takes the pass for a fresh one.
        until_ms = self._now_ms + LIFETIME_MS + 2 * _SKEW_MS
        return await self._records.claim(f"{_PURPOSE}.{content['id']}", until_ms)
