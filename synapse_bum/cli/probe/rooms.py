"""The two rooms of the probe: one of two, and a group. Made once, and remembered in the probe's own folder.

They are not encrypted: what is measured is whether the server takes messages and delivers them, and that is the same
path for ciphertext. No text of anybody is in them.
"""

import json
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import attr

from synapse_bum.cli.probe.files import write_whole
from synapse_bum.cli.probe.matrix import Client, RequestError
from synapse_bum.cli.probe.result import State, TryError

STEP: Final = "rooms"

_FILE: Final = "rooms.json"


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Rooms:
    """Where the probe writes.

    Attributes:
        direct: room id of the room of two.
        group: room id of the group.
    """

    direct: str
    group: str


def rooms_of(first: Client, second: Client, folder: Path) -> Rooms:
    """Returns the rooms of two accounts, and makes them where they are not there yet.

    Raises:
        TryError: they can't be had.
    """
    if first.user_id == second.user_id:
        raise TryError(STEP, "both accounts are the same one", State.UNKNOWN)
    path, users = folder / _FILE, [first.user_id, second.user_id]
    known = _known(path, users)
    if known is not None:
        return known
    try:
        direct = _make(first, second, {"preset": "trusted_private_chat", "is_direct": True})
        group = _make(first, second, {"preset": "private_chat", "name": "Verfügbarkeit"})
    except RequestError as error:
        # Nothing was tried yet that people do all day.
        raise TryError(STEP, str(error), State.UNKNOWN) from None
    made = Rooms(direct, group)
    try:
        write_whole(path, json.dumps({"users": users, **attr.asdict(made)}))
    except OSError as error:
        raise TryError(STEP, f"{path}: {error.strerror}", State.UNKNOWN) from None
    return made


def _make(first: Client, second: Client, options: dict[str, Any]) -> str:
    room_id = str(first.post("createRoom", {**options, "invite": [second.user_id]}).get("room_id"))
    second.post(f"join/{quote(room_id, safe='')}", {})
    return room_id


def _known(path: Path, users: list[str]) -> Rooms | None:
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
        return Rooms(str(stored["direct"]), str(stored["group"])) if stored["users"] == users else None
    except (OSError, ValueError, TypeError, KeyError):
        return None
