"""The portal's pages on a large server, beside the APIs that each asks, called without the portal.

10,000 users, 5,000 rooms, 100,000 files, and records of years in all our modules; one Synapse process with PostgreSQL.
Which APIs a page asks stands in Synapse's log. The page and these calls take turns, so the difference is the portal's
own: session, sending, reading, rendering.
"""

import math
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from typing import Final
from urllib.parse import quote

import attr

from benchmarks.measuring import Effort, Goal, Turns, ratio, take_turns
from benchmarks.portal_rows import BUSIEST, FILES, ROOMS
from benchmarks.portal_server import Answer, PortalServer
from benchmarks.report import Row, Section
from benchmarks.row_terms import USERS

PAGE_MS: Final = 150
OWN_MS: Final = 50
PAGE_KB: Final = 100
PERCENT: Final = 95

_PROGRAMS: Final = ("initdb", "postgres")
_LAST_USER: Final = USERS - 50
_MS: Final = 1_000
_KB: Final = 1_000
_SLOWEST: Final = 5
"""Lists whose goals are printed."""
_PAGE: Final = "page"
_CALLS: Final = "calls"
_TURNS: Final = {Effort.THOROUGH: Turns(2, 50, 50, 0), Effort.QUICK: Turns(2, 20, 20, 0)}

_LISTS: Final[Mapping[str, str]] = {
    "users": "users",
    "users, the last page": f"users?show=all&from={_LAST_USER}",
    "users, searched": "users?q=frau-sch%C3%B6nhuber+77",
    "administrators": "administrators",
    "rooms": "rooms",
    "rooms, the last page": f"rooms?from={ROOMS - 50}",
    "rooms, searched": "rooms?q=unterarbeitsgruppe+77",
    "rooms, by members": "rooms?order=members",
    "files, by user": "files",
    "files, searched": "files?q=77",
    "files of one user": "users/{user_id}/files",
    "files of one user, by size": "users/{user_id}/files?order=largest",
    "files of one room": "rooms/{room_id}/files",
    "storage by user": "storage/users",
    "findings": "findings",
    "held files": "held",
    "rescans": "rescans",
    "audit": "audit",
    "audit, filtered": "audit?action=portal.user.lock",
    "holds": "holds",
    "partners": "partners",
    "rooms with outsiders": "outsiders",
    "deletion runs": "retention/runs",
    "deletions": "retention/deletions",
    "looks for orphans": "orphans",
    "outages": "outages",
    "maintenance": "maintenance",
    "reports of faults": "tickets",
}
_OTHERS: Final[Mapping[str, str]] = {
    "start": "",
    "one user": "users/{user_id}",
    "one room": "rooms/{room_id}",
    "largest rooms": "rooms/sizes",
    "statistics, a year": "statistics?span=365",
    "storage": "storage",
    "retention": "retention",
    "availability": "availability",
    "configuration": "configuration",
    "export": "users/export",
    "support": "support",
}


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Measured:
    """One page.

    Attributes:
        name: of it.
        calls: how many APIs it asks.
        page_s: how long each request took.
        calls_s: how long its calls took without it, in the same turns.
        size_bytes: of its HTML.
    """

    name: str
    calls: int
    page_s: Sequence[float]
    calls_s: Sequence[float]
    size_bytes: int

    def beyond_ms(self, percent: int) -> float:
        """What the page takes beyond its calls, by this percentile of each."""
        return _ms(self.page_s, percent) - _ms(self.calls_s, percent)

    def noise_ms(self, percent: int) -> float:
        """What the same comparison finds where there is nothing to be found: between calls and the same calls."""
        return abs(_ms(self.calls_s[::2], percent) - _ms(self.calls_s[1::2], percent))


def measure(effort: Effort) -> Iterator[Section]:
    """Measure the pages; yields each section when it is done."""
    if not all(map(shutil.which, _PROGRAMS)):
        remark = "PostgreSQL is not installed (Debian: postgresql), so nothing was measured."
        yield Section(title="Portal", columns=("",), rows=[], remarks=[remark])
        return
    with ExitStack() as everything:
        server = PortalServer(everything)
        for title, pages in (("lists", _LISTS), ("other pages", _OTHERS)):
            measured = [measure_page(server, name, path, _TURNS[effort]) for name, path in pages.items()]
            yield _section(title, measured, are_lists=pages is _LISTS)


def measure_page(server: PortalServer, name: str, path: str, turns: Turns) -> Measured:
    """Have a page and its calls take turns."""
    names = {"user_id": f"@{BUSIEST}:{server.synapse.server_name}", "room_id": server.room_id}
    filled = path.format_map({key: quote(value, safe="") for key, value in names.items()})
    calls = server.calls_of(filled)
    answers: list[Answer] = []

    def page() -> float:
        answers.append(server.page(filled))
        return answers[-1].seconds

    contenders: dict[str, Callable[[], float]] = {_PAGE: page, _CALLS: partial(server.calls, calls)}
    taken = take_turns(contenders, turns)
    return Measured(name, len(calls), taken[_PAGE], taken[_CALLS], max(len(answer.body) for answer in answers))


def percentile(values: Sequence[float], percent: int) -> float:
    """The lowest value that so many percent of all do not exceed."""
    return sorted(values)[math.ceil(len(values) * percent / 100) - 1]


def _ms(seconds: Sequence[float], percent: int) -> float:
    return percentile(seconds, percent) * _MS


def _section(title: str, pages: Sequence[Measured], *, are_lists: bool) -> Section:
    rows: list[Row] = [
        (
            page.name,
            page.calls,
            _ms(page.page_s, 50),
            _ms(page.page_s, PERCENT),
            _ms(page.calls_s, 50),
            _ms(page.calls_s, PERCENT),
            page.beyond_ms(50),
            page.beyond_ms(PERCENT),
            ratio(page.page_s, page.calls_s).median,
            page.size_bytes / _KB,
        )
        for page in pages
    ]
    return Section(
        title=f"Portal: {title}; {USERS:,} users, {ROOMS:,} rooms, {FILES:,} files",
        columns=(
            "page",
            "calls",
            "page, ms",
            "page p95",
            "its calls alone, ms",
            "calls p95",
            "beyond its calls, ms",
            "beyond p95",
            "times as long",
            "HTML, kB",
        ),
        rows=rows,
        goals=list(_goals(title, pages, are_lists=are_lists)),
        remarks=[
            f"{len(pages[0].page_s)} requests a page, one at a time; each in turn with its calls.",
            "Medians; p95: what 95 of 100 requests do not exceed. Beyond its calls: the difference of the two.",
        ],
    )


def _goals(title: str, pages: Sequence[Measured], *, are_lists: bool) -> Iterator[Goal]:
    """What was promised, about the pages that keep it worst."""
    if are_lists:
        for page in sorted(pages, key=lambda page: -_ms(page.page_s, PERCENT))[:_SLOWEST]:
            page_ms, calls_ms = _ms(page.page_s, PERCENT), _ms(page.calls_s, PERCENT)
            yield Goal(f"{title}, p95: {page.name}", page_ms, PAGE_MS, "ms", without_us=calls_ms)
    dearest = max(pages, key=lambda page: page.beyond_ms(PERCENT))
    own_ms, noise_ms = dearest.beyond_ms(PERCENT), dearest.noise_ms(PERCENT)
    yield Goal(f"{title}, p95 beyond the calls, the worst: {dearest.name}", own_ms, OWN_MS, "ms", without_us=noise_ms)
    largest = max(pages, key=lambda page: page.size_bytes)
    yield Goal(f"{title}, HTML of the largest: {largest.name}", largest.size_bytes / _KB, PAGE_KB, "kB")
