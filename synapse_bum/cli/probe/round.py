"""One try: the first account writes to the second in the room of two, and the second to the first in the group."""

import secrets
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import attr

from synapse_bum.cli.probe.accounts import PasswordAccount, TokenAccount, client_of, state_of
from synapse_bum.cli.probe.matrix import Client, RequestError, Server
from synapse_bum.cli.probe.result import Result, State, TryError
from synapse_bum.cli.probe.rooms import rooms_of

Account = TokenAccount | PasswordAccount

_LONGEST_POLL_MS: Final = 10_000


@attr.s(auto_attribs=True, slots=True)
class _Times:
    direct_ms: int | None = None
    group_ms: int | None = None


def try_once(
    server: Server, accounts: tuple[Account, Account], folder: Path, is_alone: Callable[[], bool] = lambda: False
) -> Result:
    """Uses the chat once.

    Args:
        server: with the deadline of this try.
        accounts: who writes to whom.
        folder: of the probe.
        is_alone: whether this machine reaches nobody else either; asked only after a failure.

    Returns:
        how it went; nothing that a server or the network does raises.
    """
    probe_id, began_ms, times = secrets.token_hex(12), server.now_ms(), _Times()
    try:
        _chat(server, accounts, folder, probe_id, times)
    except TryError as error:
        state, what = error.state, error.what
        if state is State.FAILED and server.clock_offset_ms is None and is_alone():
            state, what = State.UNKNOWN, f"{what}; the reference is not reached either"
        step: str | None = error.step
        found = Result(probe_id, began_ms, state, step, what)
    else:
        found = Result(probe_id, began_ms, State.OK)
    return attr.evolve(
        found, direct_ms=times.direct_ms, group_ms=times.group_ms, clock_offset_ms=server.clock_offset_ms
    )


def _chat(server: Server, accounts: tuple[Account, Account], folder: Path, probe_id: str, times: _Times) -> None:
    first = client_of(accounts[0], 1, server, folder)
    second = client_of(accounts[1], 2, server, folder)
    rooms = rooms_of(first, second, folder)
    times.direct_ms = _deliver("direct", first, second, rooms.direct, probe_id)
    times.group_ms = _deliver("group", second, first, rooms.group, probe_id)


def _deliver(kind: str, sender: Client, reader: Client, room_id: str, probe_id: str) -> int:
    """Has a message go from one to the other; returns how long it took, in ms."""
    try:
        since = str(reader.sync([room_id], None, 0).get("next_batch"))
    except RequestError as error:
        raise TryError(f"{kind}_receive", str(error), state_of(error)) from None
    began = time.monotonic()
    try:
        event_id = sender.send(room_id, f"probe {probe_id}", f"{kind}-{probe_id}")
    except RequestError as error:
        raise TryError(f"{kind}_send", str(error), state_of(error)) from None
    try:
        while True:
            left_ms = max(0, int(reader.server.remaining_s * 1_000) - 500)
            news = reader.sync([room_id], since, min(left_ms, _LONGEST_POLL_MS))
            if event_id in _events(news, room_id):
                return int((time.monotonic() - began) * 1_000)
            since = str(news.get("next_batch"))
            if left_ms == 0:
                raise TryError(f"{kind}_receive", "the message did not come in time")
    except RequestError as error:
        raise TryError(f"{kind}_receive", str(error), state_of(error)) from None


def _events(news: dict[str, Any], room_id: str) -> set[str]:
    try:
        return {str(event["event_id"]) for event in news["rooms"]["join"][room_id]["timeline"]["events"]}
    except (KeyError, TypeError):
        return set()
