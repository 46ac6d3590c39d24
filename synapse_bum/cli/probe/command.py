"""The command `synapse-bum probe`."""

import argparse
import fcntl
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from synapse_bum.cli.command import Command
from synapse_bum.cli.probe.clock import MAX_OFFSET_MS
from synapse_bum.cli.probe.delivery import deliver
from synapse_bum.cli.probe.journal import Journal
from synapse_bum.cli.probe.matrix import RequestError, Server
from synapse_bum.cli.probe.result import Result, State
from synapse_bum.cli.probe.round import try_once
from synapse_bum.cli.probe.settings import Settings, SettingsError, read_settings
from synapse_bum.quantities import parse_duration

_DEFAULT_STATE: Final = Path("/var/lib/synapse-bum-probe")
_REFERENCE_TIMEOUT_S: Final = 5.0
_NOTHING_TRIED: Final = 2
# An outage is a result; what is wrong with the probe itself nobody would notice, if it looked the same.
_STATUSES: Final = {State.OK: 0, State.FAILED: 1, State.UNKNOWN: 3}


def _seconds(text: str) -> float:
    try:
        return parse_duration(text).nominal_ms / 1_000
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--url", required=True, help="the homeserver as clients reach it, for example https://matrix.messenger.example"
    )
    parser.add_argument(
        "--token-file",
        action="append",
        type=Path,
        default=[],
        metavar="PATH",
        help="file with the access token of an account of the probe; two accounts are needed",
    )
    parser.add_argument(
        "--password-file",
        action="append",
        default=[],
        metavar="USER=PATH",
        help="the same with a password: a user id and a file, such as @probe-a:messenger.example=/etc/probe/a",
    )
    parser.add_argument(
        "--report-token-file",
        type=Path,
        metavar="PATH",
        help="file with the secret of `probe_token_path`; without it results are kept and not delivered",
    )
    parser.add_argument(
        "--report-url", metavar="URL", help="where results are delivered to, when that is not the address of --url"
    )
    parser.add_argument(
        "--reference-url",
        metavar="URL",
        help="a server of somebody else: when it is not reached either, the fault is here and nothing is counted",
    )
    parser.add_argument(
        "--state",
        type=Path,
        default=_DEFAULT_STATE,
        metavar="DIR",
        help=f"folder of the probe for its journal, rooms and tokens ({_DEFAULT_STATE})",
    )
    parser.add_argument(
        "--every", type=_seconds, metavar="TIME", help="go on, and try this often, for example 60s; once without it"
    )
    parser.add_argument("--timeout", type=_seconds, default=30.0, metavar="TIME", help="of one try (30s)")


def _run(options: argparse.Namespace) -> int:
    try:
        settings = read_settings(options)
        with _alone(settings.folder):
            if settings.every_s is None:
                return _STATUSES[_turn(settings).state]
            while True:
                _wait_for_turn(settings.every_s)
                _turn(settings)
    except SettingsError as error:
        print(f"synapse-bum probe: {error}", file=sys.stderr)
        return _NOTHING_TRIED


def _turn(settings: Settings) -> Result:
    """Tries once, keeps the result, and delivers what can be delivered."""
    server = Server(settings.server, time.monotonic() + settings.timeout_s)
    result = try_once(server, settings.accounts, settings.folder, lambda: _is_alone(settings))
    print(f"{time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime(result.ts / 1_000))} {result.summary()}", flush=True)
    offset_ms = result.clock_offset_ms
    if offset_ms is not None and abs(offset_ms) > MAX_OFFSET_MS:
        _complain(f"the clock of this machine is wrong by {offset_ms / 1_000:.0f} s: results do not count")
    journal = Journal(settings.folder / "journal.jsonl")
    try:
        if offset_ms is not None:
            journal.settle_clock(offset_ms)
        journal.append(result)
        # Before a server has answered, nobody knows whether the clock was right: such results wait.
        if settings.report_token is not None and offset_ms is not None:
            _done, sentence = deliver(journal, settings.report_to, settings.report_token)
            if sentence is not None:
                _complain(sentence)
    except OSError as error:
        _complain(f"the journal in {settings.folder} can't be used: {error.strerror or error}")
    return result


def _is_alone(settings: Settings) -> bool:
    """Whether a server of somebody else is not reached either; any answer of it is one."""
    if settings.reference is None:
        return False
    server = Server(settings.reference, time.monotonic() + _REFERENCE_TIMEOUT_S)
    try:
        server.request("GET", "/")
    except RequestError as error:
        return error.status is None
    return False


def _wait_for_turn(every_s: float) -> None:
    """Waits for the next multiple of the interval on the clock: a try that took long leaves one out."""
    time.sleep(every_s - time.time() % every_s)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Keeps a second probe away from this folder."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise SettingsError(f"--state {folder}: {error.strerror}") from None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise SettingsError(f"another probe uses {folder} at this moment") from None
    try:
        yield
    finally:
        os.close(descriptor)


def _complain(sentence: str) -> None:
    print(f"synapse-bum probe: {sentence}", file=sys.stderr, flush=True)


PROBE: Final = Command(
    name="probe",
    summary="use the chat once a minute as people do, and report how it went",
    description="Sends and receives a message in a room of two and in a group, with two accounts of its own, and"
    " delivers the result to the homeserver. Results are kept while it is away. Ends with 1 when the try failed, with 3"
    " when the probe itself could not try, with 2 when nothing was tried.",
    add_options=_add_options,
    run=_run,
)
