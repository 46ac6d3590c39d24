"""Carries out an import, line by line. The passwords are in the answer and nowhere else."""

import logging
import time
from collections.abc import Callable, Sequence
from enum import Enum
from functools import partial
from typing import Final

import attr

from synapse_bum.database.error_text import traced
from synapse_bum.portal import csv_cells
from synapse_bum.portal.accounts import accounts
from synapse_bum.portal.accounts.account_details import new_password
from synapse_bum.portal.accounts.accounts import HalfMadeError, NameTakenError, WantedAccount
from synapse_bum.portal.accounts.user_import_file import Line
from synapse_bum.portal.csv_cells import UnreadableError
from synapse_bum.portal.forms.form import Complaint
from synapse_bum.portal.homeserver_api.homeserver_client import HomeserverClient
from synapse_bum.portal.homeserver_api.outcomes import ForbiddenError, HomeserverError, RefusedError, UnauthorisedError
from synapse_bum.portal.homeserver_api.steps import NotWrittenError, Step

logger = logging.getLogger(__name__)

PATIENCE_S: Final = 15.0
"""So long one request makes accounts; what is left then waits for the next. Proxies wait a minute, usually."""

_HEADER: Final = ("zeile", "benutzername", "ergebnis", "passwort", "grund")


class Outcome(Enum):
    """What came of a line."""

    CREATED = "created"
    REFUSED = "refused"
    HALF_MADE = "half_made"
    """The account is there; whether all of it is as wanted is not known, nor whether the password shown is its own."""
    UNKNOWN = "unknown"
    """The server did not answer: the account may be there, with the password shown."""


class Stuck(Enum):
    """Why an import does not go on; the texts below `import` have the same names."""

    AWAY = "stuck"
    """The server did not answer, or does not let this administrator any more."""
    NOT_WRITTEN = "not_written"
    """The audit can't be written, so nothing may be done."""


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Result:
    """What came of one line.

    Attributes:
        number: of the line in the list.
        name: the account's.
        outcome: what came of it.
        password: empty when no account was made.
        complaint: why it was refused; None where that stands in `said`.
        said: why it was refused, as a sentence; empty where it was not, and as long as nobody has put it into words.
    """

    number: int
    name: str
    outcome: Outcome
    password: str = attr.ib(default="", repr=False)
    complaint: Complaint | None = None
    said: str = ""


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Carried:
    """How far an import has come.

    Attributes:
        results: of the lines that were tried.
        left: lines that were not.
        stuck: why it can't go on now; None where it can, or need not.
    """

    results: tuple[Result, ...]
    left: tuple[Line, ...]
    stuck: Stuck | None = None


async def problems_on_server(server: HomeserverClient, lines: Sequence[Line]) -> list[Line]:
    """Adds what only the server knows: names and addresses that are taken."""
    found = []
    for line in lines:
        problem = None if line.complaints else await accounts.problem(server, line.wanted)
        found.append(line if problem is None else line.with_complaint(problem[1]))
    return found


async def carry_out(
    server: HomeserverClient,
    server_name: str,
    lines: Sequence[Line],
    begin: Callable[[str, WantedAccount], Step],
    make_password: Callable[[], str] = new_password,
    clock: Callable[[], float] = time.monotonic,
) -> Carried:
    """Makes accounts until all are there, time is up, or the server does not answer.

    Args:
        server: asked in the administrator's name.
        server_name: of the homeserver.
        lines: without complaints.
        begin: the step that makes an account with this user id.
        make_password: for one account; empty for none.
        clock: seconds.
    """
    end = clock() + PATIENCE_S
    results: list[Result] = []
    for index, line in enumerate(lines):
        if clock() >= end:
            return Carried(tuple(results), tuple(lines[index:]))
        user_id = f"@{line.wanted.name}:{server_name}"
        result, stuck = await _make(server, line, partial(begin, user_id, line.wanted), user_id, make_password())
        if result is not None:
            results.append(result)
        if stuck is not None:
            return Carried(tuple(results), tuple(lines[index if result is None else index + 1 :]), stuck)
    return Carried(tuple(results), ())


async def _make(
    server: HomeserverClient, line: Line, begin: Callable[[], Step], user_id: str, password: str
) -> tuple[Result | None, Stuck | None]:
    """Makes one account; returns what came of it, None where nothing was done, and why no other can be made now."""
    result = partial(Result, line.number, line.wanted.name)
    is_begun = False
    try:
        problem = await accounts.problem(server, line.wanted)
        if problem is not None:
            return result(Outcome.REFUSED, complaint=problem[1]), None
        is_begun = True
        async with begin() as changing:
            await accounts.create(changing, line.wanted, user_id, password)
    except NotWrittenError as error:
        logger.error("An import can't go on, since its next step could not be written down: %s", traced(error))
        return None, Stuck.NOT_WRITTEN
    except HalfMadeError as e:
        return result(Outcome.HALF_MADE, password), None if _is_refusal(e.cause) else Stuck.AWAY
    except (UnauthorisedError, ForbiddenError):
        return None, Stuck.AWAY
    except RefusedError as e:
        return result(Outcome.REFUSED, complaint=_why(e)), None
    except HomeserverError:
        return result(Outcome.UNKNOWN, password) if is_begun else None, Stuck.AWAY
    return result(Outcome.CREATED, password), None


def _why(refusal: RefusedError) -> Complaint:
    if isinstance(refusal, NameTakenError):
        return Complaint("account.name.taken")
    return Complaint("import.refused_by_server", {"sentence": refusal.sentence or refusal.errcode})


def _is_refusal(error: HomeserverError) -> bool:
    """Whether the server has refused this one thing, and may well do others."""
    return isinstance(error, RefusedError) and not isinstance(error, ForbiddenError)


def results_as_text(results: Sequence[Result]) -> str:
    """Writes results, whose complaints were put into words, for a hidden field of the page that shows them."""
    rows = [(str(result.number), result.name, result.outcome.value, result.password, result.said) for result in results]
    return csv_cells.write_text([_HEADER, *rows])


def results_of_text(text: str) -> list[Result]:
    """Reads what `results_as_text` wrote; what is none of it is left out."""
    try:
        rows = csv_cells.read(text)
    except UnreadableError:
        return []
    outcomes = {outcome.value: outcome for outcome in Outcome}
    return [
        Result(int(cells[0]), cells[1], outcomes[cells[2]], cells[3], said=cells[4])
        for _number, cells in rows
        if len(cells) == len(_HEADER) and cells[0].isascii() and cells[0].isdigit() and cells[2] in outcomes
    ]
