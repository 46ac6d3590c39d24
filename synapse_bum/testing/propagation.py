"""How long a change of the partners takes until all processes of a homeserver know it, by what they log.

Run on Synapse 1.133.0 and 1.163.2.
"""

import datetime as dt
import re
import time
from http import HTTPStatus
from typing import Final

from synapse_bum.rest import BASE
from synapse_bum.testing.http_client import HttpClient, MatrixClient
from synapse_bum.testing.local_server import LocalServer
from synapse_bum.testing.workers import SynapseStack

_SEEN: Final = re.compile(
    r"^(\S+ \S+) INFO synapse_bum\.federation\.live \S+ \d+ partners, generation (\d+)$", re.MULTILINE
)
_LOG_TIME: Final = "%Y-%m-%d %H:%M:%S,%f"
_PAUSE_S: Final = 0.2
_LOOK_EVERY_S: Final = 0.1
_PATIENCE_S: Final = 120.0


def change_partner(admin: MatrixClient, base_url: str, method: str, name: str) -> None:
    """Adds or removes a partner at one of the processes.

    Args:
        admin: an administrator.
        base_url: of the process.
        method: `PUT` or `DELETE`.
        name: of the partner.

    Raises:
        AssertionError: it was not answered with 200. Who comes back while he is being removed is tried again.
    """
    client = HttpClient(base_url, admin.token)
    end = time.monotonic() + _PATIENCE_S
    while True:
        answer = client.request(method, f"{BASE}/federation/partners/{name}", json_body={"reason": "a test"})
        if answer.status != HTTPStatus.CONFLICT or time.monotonic() > end:
            break
        time.sleep(_PAUSE_S)
    assert answer.status == HTTPStatus.OK, answer.body


def delays(stack: SynapseStack, admin: MatrixClient, changes: int) -> list[float]:
    """Adds partners, at each process in turn, and reads in the logs when each process knew of each.

    Args:
        stack: fresh: nobody has changed its partners so far.
        admin: an administrator of it.
        changes: how many partners.

    Returns:
        For each change the seconds from the request for it to the moment in which the last process knew.

    Raises:
        TimeoutError: some process did not hear of the last change.
    """
    urls = [url for url, _ in stack.processes.values()]
    servers = [server for _, server in stack.processes.values()]
    began: dict[int, float] = {}
    for number in range(changes):
        began[number + 1] = time.time()
        change_partner(admin, urls[number % len(urls)], "PUT", f"p{number}.example")
        time.sleep(_PAUSE_S)
    deadline = time.monotonic() + _PATIENCE_S
    while any(max(_seen(server), default=0) < changes for server in servers):
        if time.monotonic() > deadline:
            raise TimeoutError("not every process has heard of the last change")
        time.sleep(_LOOK_EVERY_S)
    known = [_seen(server) for server in servers]
    return [max(_first(moments, generation) for moments in known) - asked for generation, asked in began.items()]


def _first(moments: dict[int, float], generation: int) -> float:
    """When a process knew of a change; it may have read several at once."""
    return min(moment for found, moment in moments.items() if found >= generation)


def _seen(server: LocalServer) -> dict[int, float]:
    """When a process took over which generation, in s since the epoch."""
    return {
        # In the local time of this machine, as `timestamp` takes it.
        int(generation): dt.datetime.strptime(moment, _LOG_TIME).timestamp()  # noqa: DTZ007
        for moment, generation in _SEEN.findall(server.log_text())
    }
