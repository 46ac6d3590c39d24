"""Partners and the signed list: after a restore they are those of last, not those of the backup.

Partners of homeserver.yaml are in no backup. One that an operator has removed is let in or out no more; his users are
removed from our rooms by `removal.py`, since those kicks are lost.
"""

import time
from collections.abc import Mapping, Sequence
from typing import Any, Final

from synapse.module_api import LoggingTransaction

from synapse_bum.after_restore import SOON_MS, Done, Logged, State, columns_of, text_of
from synapse_bum.database import Component
from synapse_bum.federation import list_state, partners
from synapse_bum.federation.list_state import ListState
from synapse_bum.federation.partner import Partner, Source
from synapse_bum.federation.partners import Leaving
from synapse_bum.federation.tables import FEDERATION

_TEXTS: Final = ("organisation", "reason", "ticket", "requested_by", "created_by")
_TIMES: Final = ("valid_from_ts", "valid_until_ts", "created_ts", "leaving_until_ts")
_ACTOR: Final = "system:recovery"
_AT_ONCE: Final = 0
"""The end of a removal, before any time that a clock may have."""
_REASON: Final = "Removed after the backup that was restored"


class Partners:
    """The partners of one source.

    Attributes:
        name: as `after_restore.Source`.
        live: as `after_restore.Source`.
        summary: as `after_restore.Source`; the list may be long, and nobody changes it by hand.
    """

    every_ms = SOON_MS
    tells_only_ends = False
    tells_ends = True
    ends_unknown = False
    components: Sequence[Component] = (FEDERATION,)

    def __init__(self, source: Source) -> None:
        self._source = source
        self.name = "federation.partners" if source is Source.MANAGED else f"federation.{source.value}"
        # One row, which each change counts up.
        self.summary = None if source is Source.MANAGED else "SELECT token FROM synapse_bum_federation_generation"
        # All partners of this source.
        self.live = (
            f"SELECT server_name AS key, {text_of(*_TEXTS, *_TIMES)} AS state FROM synapse_bum_federation_partners"  # noqa: S608
            f" WHERE source = '{source.value}'"
        )

    def state_of(self, state: str) -> State:
        """What stands in the log for a partner; one that is being removed is none any more. Pure."""
        columns = dict(zip((*_TEXTS, *_TIMES), columns_of(state), strict=True))
        if columns["leaving_until_ts"] is not None:
            return None
        texts = {name: columns[name] for name in _TEXTS}
        return texts | {name: None if columns[name] is None else int(columns[name] or 0) for name in _TIMES}

    def close_again(self, txn: LoggingTransaction, logged: Sequence[Logged]) -> list[Done]:
        """Takes out who was removed after the backup, and puts in who was added or changed."""
        done: list[Done] = []
        partners.begin_change(txn, int(time.time() * 1000))
        for each in logged:
            stored = partners.read_one(txn, each.key, self._source)
            wanted = None if each.state is None else self._partner(each.key, each.state)
            if stored == wanted:
                continue
            if wanted is not None:
                partners.put(txn, wanted)
                done.append(Done("recovery.partner_restored", each.key, "partner" if stored else None, "partner"))
            else:
                self._remove(txn, each.key)
                done.append(Done("recovery.partner_removed", each.key, "partner", None))
        return done

    def _remove(self, txn: LoggingTransaction, name: str) -> None:
        """Lets nothing in or out any more; of a managed partner the removal is left to be finished."""
        if self._source is Source.MANAGED:
            partners.begin_leaving(txn, Leaving(name, _AT_ONCE, _REASON, _ACTOR))
        else:
            partners.delete(txn, name, self._source)

    def _partner(self, server_name: str, state: Mapping[str, Any]) -> Partner:
        values = {name: state.get(name) for name in (*_TEXTS, *_TIMES)}
        return Partner(server_name, source=self._source, **values)


class SignedListVersion:
    """Which signed list was in force; to be registered behind its partners.

    An older one is refused after the restore too. The same one is read anew, since not all of its partners may have
    been told, and so the version stands there as the one before.
    """

    name = "federation.list"
    every_ms = SOON_MS
    summary = None
    tells_only_ends = False
    tells_ends = False
    ends_unknown = False
    components: Sequence[Component] = (FEDERATION,)
    # One row at most.
    live = (
        f"SELECT 'version' AS key, {text_of('version', 'expires_ts')} AS state FROM synapse_bum_federation_list"  # noqa: S608
        " WHERE version IS NOT NULL"
    )

    def state_of(self, state: str) -> State:
        """What stands in the log for the list. Pure."""
        version, expires_ts = columns_of(state)
        return {"version": int(version or 0), "expires_ts": None if expires_ts is None else int(expires_ts)}

    def close_again(self, txn: LoggingTransaction, logged: Sequence[Logged]) -> list[Done]:
        """Has no older list taken over, and the one of last looked for at once."""
        done: list[Done] = []
        partners.wait_for_others(txn)
        for each in logged:
            found = list_state.read(txn)
            if each.state is None or (found.version is not None and found.version >= each.state["version"]):
                continue
            before = each.state["version"] - 1
            list_state.write(txn, ListState(before, each.state["expires_ts"], verified_ts=found.verified_ts))
            done.append(Done("recovery.list_version", "signed_list", str(found.version), f"newer than {before}"))
        return done


SOURCES: Final = (Partners(Source.MANAGED), Partners(Source.SIGNED_LIST), SignedListVersion())
"""What the recovery log is told of partners, in the order in which it is brought up to date."""
