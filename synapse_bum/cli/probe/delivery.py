"""Handing results over to the homeserver, oldest first; what it has leaves the journal."""

import time
from http import HTTPStatus
from typing import Final
from urllib.parse import SplitResult

from synapse_bum.cli.probe.journal import Journal
from synapse_bum.cli.probe.matrix import RequestError, Server

PATH: Final = "/_synapse/client/bum/v1/availability/probes"
BATCH: Final = 100

_TIMEOUT_S: Final = 15.0


def deliver(journal: Journal, address: SplitResult, token: str) -> tuple[int, str | None]:
    """Delivers what the journal has.

    Args:
        journal: of the probe.
        address: of the homeserver.
        token: the secret of the probe.

    Returns:
        how many results the homeserver has now, and a sentence for the operator when it did not take all. A server that
        does not answer is none: the next time will do.

    Raises:
        OSError: the journal can't be read or written.
    """
    done = 0
    while batch := journal.read()[:BATCH]:
        server = Server(address, time.monotonic() + _TIMEOUT_S)
        body = {"sent_ts": server.now_ms(), "results": [result.as_json() for result in batch]}
        try:
            answer = server.request("POST", PATH, body, token=token)
        except RequestError as error:
            return done, _sentence(error)
        journal.remove({result.probe_id for result in batch})
        done += len(batch)
        if answer.get("clock_wrong"):
            return done, f"{answer['clock_wrong']} results do not count: the clock of this machine is wrong"
    return done, None


def _sentence(error: RequestError) -> str | None:
    if error.status is None or error.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return None
    if error.status == HTTPStatus.UNAUTHORIZED:
        return "the homeserver does not know the token of --report-token-file: results are kept"
    if error.status == HTTPStatus.NOT_FOUND:
        return "the homeserver has no synapse_bum.availability module at this address: results are kept"
    return f"the homeserver does not take the results ({error}): they are kept"
