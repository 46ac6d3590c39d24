"""Who may order what, and when. Pure."""

import unicodedata
from collections.abc import Sequence
from datetime import date, datetime, timedelta, timezone
from typing import Final

from synapse_bum.cli.backup.runs import Run
from synapse_bum.cli.offboard.failure import OffboardError
from synapse_bum.cli.offboard.journal import Journal
from synapse_bum.contract_end import Closing

_DAY_MS: Final = 86_400_000


def refuse_unconfirmed(confirmed: str, server_name: str) -> None:
    """Demand the whole name of the server, letter by letter.

    Raises:
        OffboardError: it is another one.
    """
    if confirmed != server_name:
        raise OffboardError(f"--confirm {confirmed}: this is another server; nothing was done")


def refuse_early(journal: Journal, now_ms: int) -> None:
    """Demand that the grace period is over.

    Raises:
        OffboardError: it is not, or nothing was closed.
    """
    closing = journal.closing
    if closing is None:
        raise OffboardError("the server is not closed: --stage close comes first")
    if now_ms < closing.closed_ts:
        raise OffboardError("the clock of this machine is before the day of the closing: set it; nothing was done")
    if now_ms < end_of_grace(closing):
        raise OffboardError(
            f"the grace period of {closing.grace_days} days lasts until {shown_time(end_of_grace(closing))}: nothing is"
            " erased before"
        )


def refuse_late(closing: Closing, now_ms: int) -> None:
    """Demand that the grace period still lasts.

    Raises:
        OffboardError: it is over.
    """
    if now_ms >= end_of_grace(closing):
        raise OffboardError(
            f"the grace period of {closing.grace_days} days is over: who wants to open the server all the same makes it"
            " longer with --stage close --grace-days"
        )


def refuse_begun(journal: Journal) -> None:
    """Demand that nothing is being erased.

    Raises:
        OffboardError: it is.
    """
    if journal.erasure is not None:
        raise OffboardError("the erasing has begun: this server can't be opened again, and there is nothing to close")


def refuse_another_closing(journal: Journal, marker: Closing | None) -> None:
    """Demand that the database says of the closing what the journal says: which, when, by whom, for how long.

    Raises:
        OffboardError: it does not.
    """
    if marker is None or marker.closing_id != journal.closing_id:
        raise OffboardError(
            "the database is not the one that was closed (was it restored?): close it once more with --stage close;"
            " that begins a new grace period where the database is open"
        )
    if marker != journal.closing:
        raise OffboardError(
            "the journal does not say what the database says of when, by whom and for how long the server was closed:"
            " --stage close brings the journal up to date"
        )


def refuse_backups_after(journal: Journal, runs: Sequence[Run]) -> None:
    """Demand that nobody has made a backup since the closing.

    A restored copy has the server's name and configuration: without this its end would erase the backups of the server
    that is still in use.

    Args:
        journal: of the closing.
        runs: of the backup.

    Raises:
        OffboardError: somebody has.
    """
    younger = [run for run in runs if journal.closed_ts is None or run.started_ts >= journal.closed_ts]
    if younger:
        newest = max(younger, key=lambda run: run.started_ts)
        raise OffboardError(
            f"{len(younger)} backups of a server of this name are younger than the closing, the newest,"
            f" {newest.run_id}, of {shown_time(newest.started_ts)}: is it in use somewhere, and this one a restored"
            " copy of it? Nothing is erased. Where they are backups of the closed server itself, stop their timer and"
            " take them out with `restic forget`"
        )


def refuse_same_person(journal: Journal, by: str) -> None:
    """Demand a second person.

    Raises:
        OffboardError: it is the one who ordered the closing.
    """
    if _name(by) == _name(journal.closed_by):
        raise OffboardError(f"--by {by}: has ordered the closing; the erasing needs a second person")


def data_return(returned: str | None, *, declined: bool, today: date) -> str:
    """What became of the customer's data, as the report says it.

    Args:
        returned: the day on which they were handed over, `YYYY-MM-DD`.
        declined: whether the customer did not want them.
        today: to compare with.

    Raises:
        OffboardError: nobody has said, or that day is none or still to come.
    """
    if declined:
        return "declined"
    if returned is None:
        raise OffboardError(
            "has a return of the data been offered? Say --data-returned YYYY-MM-DD when they were handed over, or"
            " --return-declined when the customer did not want them"
        )
    try:
        day = date.fromisoformat(returned)
    except ValueError:
        raise OffboardError(f"--data-returned {returned}: is no day as YYYY-MM-DD") from None
    if day > today + timedelta(days=1):
        raise OffboardError(f"--data-returned {returned}: is still to come")
    return f"returned {day.isoformat()}"


def refuse_unseen(journal: Journal, fingerprint: str) -> None:
    """Demand that a dry run has shown this plan.

    Raises:
        OffboardError: none has, or something is different now.
    """
    if journal.shown is None:
        raise OffboardError("look first: the same command with --dry-run; nothing was erased")
    if journal.shown != fingerprint:
        raise OffboardError("something has changed since the last --dry-run: look again; nothing was erased")


def shown_time(ts_ms: int) -> str:
    """A time as people read it, UTC."""
    return datetime.fromtimestamp(ts_ms / 1000, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def end_of_grace(closing: Closing) -> int:
    """When a closing can't be taken back any more, ms since the epoch."""
    return closing.closed_ts + closing.grace_days * _DAY_MS


def _name(text: str) -> str:
    # The same letters can be written in several ways.
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())
