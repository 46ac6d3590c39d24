"""Files as Synapse's admin API and our own have them, read for the pages. Pure.

Source: `synapse/rest/admin/media.py`, run on 1.133.0 and 1.163.2.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

import attr

from synapse_bum.identifiers import is_media_id, is_server_name

ORDERS: Final[Mapping[str, tuple[str, str]]] = MappingProxyType(
    {
        "": ("created_ts", "b"),
        "oldest": ("created_ts", "f"),
        "largest": ("media_length", "b"),
        "smallest": ("media_length", "f"),
    }
)
"""What the list of a user's files may be ordered by: the value in our address, and Synapse's `order_by` and `dir`."""

HELD: Final = frozenset({"synapse_bum:held", "synapse_bum:scanning"})
"""`quarantined_by` of a file that waits for its scan."""

INFECTED: Final = "synapse_bum:infected"
"""`quarantined_by` of a file in which a virus was found."""

BEING_DELETED: Final = "synapse_bum:deleted"
"""`quarantined_by` of a file that is deleted and served to nobody; its bytes are being removed."""

_SCHEME: Final = "mxc://"
_SCANS: Final = ("clean", "unscanned", "encrypted")


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Address:
    """The address of a file, `mxc://server_name/media_id`; both parts are valid."""

    server_name: str
    media_id: str

    def __str__(self) -> str:
        return f"{_SCHEME}{self.server_name}/{self.media_id}"


@attr.s(auto_attribs=True, frozen=True, slots=True)
class StoredFile:
    """What the server knows of a file.

    Attributes:
        address: where it is.
        name: as whoever uploaded it calls it; empty for none.
        media_type: as whoever uploaded it says.
        size_bytes: None while it is not uploaded yet.
        created_ms: when it was uploaded, or fetched from another server, ms since the epoch.
        last_access_ms: None for never.
        owner: user id; empty for files of other servers, and those without an owner.
        quarantined_by: who keeps it from being served; None when nobody does.
    """

    address: Address
    name: str
    media_type: str
    size_bytes: int | None
    created_ms: int
    last_access_ms: int | None
    owner: str
    quarantined_by: str | None


@attr.s(auto_attribs=True, frozen=True, slots=True)
class ScanState:
    """What is known of the scan of one file.

    Attributes:
        key: of the sentence, below `files.scan`.
        values: for the sentence.
    """

    key: str
    values: Mapping[str, str] = attr.ib(factory=dict)


def address(mxc: str) -> Address | None:
    """Reads `mxc://server_name/media_id`; None for everything else. Users may write what they like into events."""
    server_name, _slash, media_id = mxc.removeprefix(_SCHEME).partition("/")
    is_one = mxc.startswith(_SCHEME) and is_server_name(server_name) and is_media_id(media_id)
    return Address(server_name, media_id) if is_one else None


def stored_file(found: Mapping[str, Any], server_name: str) -> StoredFile:
    """Reads one file of an answer, of a user's list or its own.

    Args:
        found: the object.
        server_name: of the file.
    """
    return StoredFile(
        address=Address(server_name, found["media_id"]),
        name=found.get("upload_name") or "",
        media_type=found.get("media_type") or "",
        size_bytes=found.get("media_length"),
        created_ms=found["created_ts"],
        last_access_ms=found.get("last_access_ts") or None,
        owner=found.get("user_id") or "",
        quarantined_by=found.get("quarantined_by"),
    )


def lock_key(quarantined_by: str | None) -> str:
    """Returns the key of what a list says about whether a file is served."""
    if quarantined_by is None:
        return "files.lock.none"
    if quarantined_by == BEING_DELETED:
        return "files.lock.deleted"
    return "files.lock.held" if quarantined_by in HELD else "files.lock.blocked"


def is_for_operators(file: StoredFile | None, finding: Mapping[str, Any] | None) -> bool:
    """Whether a file is deleted by the finding about it, and nowhere else.

    Args:
        file: None where the server says nothing of it.
        finding: about it; None for none.
    """
    if file is not None and file.quarantined_by == INFECTED:
        return True
    return finding is not None and finding["state"] in {"blocked", "block_failed"}


def scan_state(
    quarantined_by: str | None, finding: Mapping[str, Any] | None, scan: str | None = None, *, has_scanner: bool
) -> ScanState:
    """Decides what is said about the scan of a file; what nothing is known of is never called clean.

    Args:
        quarantined_by: who keeps the file from being served; None when nobody does.
        finding: about it; None for none.
        scan: its state as the antivirus module tells it; None when it tells nothing.
        has_scanner: whether the antivirus module answers.
    """
    if finding is not None and not (finding["state"] == "released" and quarantined_by is not None):
        return ScanState(finding["state"], {"signature": finding["signature"]})
    if quarantined_by in HELD:
        return ScanState("held")
    if quarantined_by == INFECTED:
        return ScanState("infected")
    if quarantined_by is not None:
        return ScanState("quarantined", {"who": quarantined_by})
    if scan in _SCANS:
        return ScanState(scan)
    return ScanState("nothing_known" if has_scanner else "no_scanner")
