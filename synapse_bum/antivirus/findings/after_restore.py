"""Findings and releases of after the backup: what was blocked is blocked again, and what was released is released.

Everything is written in the transaction before the first request; Synapse's own stream learns of it as of any block.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import attr
from synapse.module_api import LoggingTransaction

from synapse_bum.after_restore import SOON_MS, Done, Logged, State, columns_of, text_of
from synapse_bum.antivirus.findings.exemptions import Exemption, add_exemption, take_turn
from synapse_bum.antivirus.findings.finding import (
    BLOCKED_STATES,
    FINDING_STATES,
    Finding,
    FindingState,
    Source,
    get_finding,
    record_finding,
)
from synapse_bum.antivirus.quarantine.blocking import MARKER, block_stored
from synapse_bum.antivirus.quarantine.quarantine_stream import note_change
from synapse_bum.antivirus.stored import verdicts
from synapse_bum.antivirus.tables import ANTIVIRUS
from synapse_bum.database import Component
from synapse_bum.homeserver import media
from synapse_bum.homeserver.media import StoredMedia

_FINDING: Final = ("sha256", "signature", "state", "source", "uploader", "reporter", "found_ts")
_RELEASE: Final = ("released_by", "reason", "released_ts")


class Findings:
    """The source of findings; to be registered behind `Releases`."""

    name = "antivirus.findings"
    every_ms = SOON_MS
    summary = None
    tells_only_ends = False
    tells_ends = True
    ends_unknown = False
    components: Sequence[Component] = (ANTIVIRUS,)
    # All findings: as many as infected files were ever found.
    live = (
        f"SELECT server_name || '/' || media_id AS key, {text_of(*_FINDING)} AS state"  # noqa: S608 - our own text
        " FROM synapse_bum_antivirus_findings"
    )

    def __init__(self, own_name: str) -> None:
        self._own_name = own_name

    def state_of(self, state: str) -> State:
        """What stands in the log for a finding. Pure."""
        columns = dict(zip(_FINDING, columns_of(state), strict=True))
        return {**columns, "found_ts": int(columns["found_ts"] or 0)}

    def close_again(self, txn: LoggingTransaction, logged: Sequence[Logged]) -> list[Done]:
        """Blocks, releases and records again."""
        take_turn(txn)
        done: list[Done] = []
        for each in logged:
            if each.state is None:
                continue
            wanted = _finding(each.key, each.state)
            before = get_finding(txn, wanted.server_name, wanted.media_id)
            if before == wanted or (before is not None and not FINDING_STATES.allows(before.state, wanted.state)):
                continue
            stored = media.stored_media(txn, wanted.server_name, wanted.media_id, self._own_name)
            made = self._carry_out(txn, wanted, stored, each.ts)
            done.append(
                Done("recovery.finding", wanted.mxc, None if before is None else before.state.value, made.state.value)
            )
        return done

    def _carry_out(self, txn: LoggingTransaction, wanted: Finding, stored: StoredMedia | None, ts: int) -> Finding:
        if stored is not None and wanted.state in BLOCKED_STATES:
            made, _ = block_stored(txn, stored, lambda state: attr.evolve(wanted, state=state))
            return made
        record_finding(txn, wanted)
        if stored is None:
            return wanted
        if wanted.state is FindingState.DELETED:
            # The deletion log has it deleted again; until then, and without one, nobody gets it.
            media.mark_quarantined(txn, stored, MARKER)
        elif wanted.state is FindingState.RELEASED and media.clear_quarantine(txn, stored, MARKER):
            verdicts.write_unscanned(txn, stored.server_name, stored.media_id, ts)
            if media.quarantined_by(txn, stored) is None:
                note_change(txn, stored.server_name, stored.media_id, quarantined=False, now_ms=ts)
        return wanted


class Releases:
    """The source of what operators released: pairs of bytes and signature that are not blocked again."""

    name = "antivirus.releases"
    every_ms = SOON_MS
    summary = None
    tells_only_ends = False
    tells_ends = True
    ends_unknown = False
    components: Sequence[Component] = (ANTIVIRUS,)
    # All releases: as many as operators have made.
    live = (
        f"SELECT sha256 || '/' || signature AS key, {text_of(*_RELEASE)} AS state"  # noqa: S608 - our own text
        " FROM synapse_bum_antivirus_exemptions"
    )

    def state_of(self, state: str) -> State:
        """What stands in the log for a release. Pure."""
        released_by, reason, released_ts = columns_of(state)
        return {"released_by": released_by or "", "reason": reason or "", "released_ts": int(released_ts or 0)}

    def close_again(self, txn: LoggingTransaction, logged: Sequence[Logged]) -> list[Done]:
        """Writes releases again; the rows of their findings are released by `Findings`."""
        done: list[Done] = []
        take_turn(txn)
        for each in logged:
            if each.state is None:
                continue
            sha256, _, signature = each.key.partition("/")
            add_exemption(txn, Exemption(sha256, signature, **{name: each.state[name] for name in _RELEASE}))
            done.append(Done("recovery.release", each.key, None, "released"))
        return done


def _finding(key: str, state: Mapping[str, Any]) -> Finding:
    server_name, _, media_id = key.rpartition("/")
    return Finding(
        server_name=server_name,
        media_id=media_id,
        sha256=state["sha256"],
        signature=state["signature"],
        state=FindingState(state["state"]),
        source=Source(state["source"]),
        uploader=state["uploader"],
        reporter=state["reporter"],
        found_ts=state["found_ts"],
    )
