"""What is known of a file before anybody looks into it: one transaction, and pure decisions about its result."""

from enum import Enum

import attr
from synapse.module_api import LoggingTransaction

from synapse_bum.antivirus.content_scanner.errors import no_such_file, no_verdict
from synapse_bum.antivirus.content_scanner.key_verdicts import BoundVerdict, read_verdict
from synapse_bum.antivirus.findings.finding import Finding, FindingState, get_finding
from synapse_bum.antivirus.quarantine import arrivals, blocking, holding
from synapse_bum.antivirus.stored.verdicts import PlainVerdict, read_plain_verdict
from synapse_bum.homeserver import media_holding
from synapse_bum.homeserver.media_details import MediaDetails, media_details


class Standing(Enum):
    """What the records say of a file."""

    INFECTED = "infected"
    """A finding stands; no key makes it clean."""
    FETCHABLE = "fetchable"
    """It is on another server."""
    SERVED = "served"
    """It may be looked into, and served when it is clean."""
    HELD = "held"
    """It may be looked into with its key; until then nobody gets it."""


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Known:
    """The records about one file.

    Attributes:
        details: its row; None when there is none.
        finding: about it.
        key_verdict: for the key that was asked for.
        plain_verdict: of the file as it is stored.
        is_held: whether it waits for a scan with its key.
    """

    details: MediaDetails | None
    finding: Finding | None
    key_verdict: BoundVerdict | None
    plain_verdict: PlainVerdict | None
    is_held: bool


def read_known(
    txn: LoggingTransaction, server_name: str, media_id: str, own_name: str, binding: str | None, now_ms: int
) -> Known:
    """Read all records about a file, each by a primary or unique key.

    Args:
        txn: in a transaction.
        server_name: where the file was uploaded.
        media_id: as in the mxc URI.
        own_name: our server's name.
        binding: of the key that is asked for; None for the file as it is stored.
        now_ms: ms since the epoch.
    """
    details = media_details(txn, server_name, media_id, own_name)
    quarantined = details is not None and details.quarantined_by is not None
    return Known(
        details=details,
        finding=get_finding(txn, server_name, media_id),
        key_verdict=read_verdict(txn, binding, now_ms) if binding is not None else None,
        plain_verdict=read_plain_verdict(txn, server_name, media_id) if binding is None else None,
        is_held=quarantined and holding.is_held(txn, server_name, media_id),
    )


def standing_of(known: Known, *, local: bool) -> Standing:
    """Decide by the records alone.

    A quarantine by "system" is ours where the file is recorded as held: Synapse's mark of the first moments.

    Args:
        known: the records.
        local: whether the file was uploaded here.

    Raises:
        ContentScannerError: 404 for what does not exist or a moderator keeps from everybody, 502 for what can't be
            said yet.
    """
    details = known.details
    if known.finding is not None and stands(known.finding, is_stored=details is not None):
        return Standing.INFECTED
    if details is None:
        if local:
            raise no_such_file()
        return Standing.FETCHABLE
    if details.size is None:
        raise no_verdict("The file has not been uploaded yet")
    return _by_mark(details.quarantined_by, is_held=known.is_held)


def _by_mark(quarantined_by: str | None, *, is_held: bool) -> Standing:
    if quarantined_by is None:
        return Standing.SERVED
    if quarantined_by == blocking.MARKER:
        return Standing.INFECTED
    if is_held and quarantined_by in {holding.MARKER, media_holding.SYSTEM}:
        return Standing.HELD
    if quarantined_by == arrivals.MARKER:
        raise no_verdict("The file is just being scanned")
    raise no_such_file()


def stands(finding: Finding, *, is_stored: bool) -> bool:
    """Whether a finding says that the file is infected for everybody.

    Args:
        finding: about the file.
        is_stored: whether the file has a row. What was refused once may be there by now with other content (a second
            try on a reserved media id), and what was refused for one key only is no statement about others.
    """
    if finding.state is FindingState.REJECTED:
        return not is_stored and not finding.refuses_one_key_only
    return finding.state is not FindingState.RELEASED
