"""Whether people can publish rooms and find them, and who else is shown these. Pure.

Synapse lets nobody publish a room unless told who may (`synapse/config/room_directory.py`, 1.133.0 and 1.163.2), and
shows published rooms to users of its own only (`synapse/config/server.py`).
"""

from collections.abc import Iterator, Mapping
from typing import Any

from synapse_bum.cli.check.catalogue import Check
from synapse_bum.cli.check.remark import Remark, warning


def directory_remarks(homeserver: Mapping[str, Any]) -> Iterator[Remark]:
    """What the directory of rooms lacks, and whom it tells too much.

    Args:
        homeserver: homeserver.yaml.

    Yields:
        What there is to say; nothing of what was chosen in so many words.
    """
    may_search = homeserver.get("enable_room_list_search", True)
    if may_search and homeserver.get("room_list_publication_rules") is None:
        yield warning(
            Check.PUBLICATION, "`room_list_publication_rules` is not set: nobody can publish a room, so none is found"
        )
    if homeserver.get("allow_public_rooms_without_auth"):
        yield warning(
            Check.ROOMS_FOR_EVERYBODY,
            "`allow_public_rooms_without_auth: true`: names and topics of published rooms are shown without an account",
        )
    if homeserver.get("allow_public_rooms_over_federation") and homeserver.get("federation_domain_whitelist") is None:
        yield warning(
            Check.ROOMS_FOR_SERVERS,
            "`allow_public_rooms_over_federation: true`: names and topics of published rooms are shown to every server",
        )
