"""Makes many accounts from a list: a preview that changes nothing, then a result for each line.

The list is pasted: Synapse takes no files from forms (it refuses `multipart/form-data`, GHSA-rfq8-j7rh-8hf2).
"""

from typing import Final

import attr

from synapse_bum.portal import csv_cells
from synapse_bum.portal.accounts.account_details import new_password
from synapse_bum.portal.accounts.account_pages import creation, kept_elsewhere, reserved_name, unless
from synapse_bum.portal.accounts.accounts import WantedAccount, have_passwords
from synapse_bum.portal.accounts.user_import import (
    Carried,
    Outcome,
    Result,
    carry_out,
    problems_on_server,
    results_as_text,
    results_of_text,
)
from synapse_bum.portal.accounts.user_import_file import (
    COLUMNS,
    MAX_LENGTH,
    MAX_ROWS,
    Line,
    as_text,
    lines_of,
    template,
)
from synapse_bum.portal.csv_cells import UnreadableError
from synapse_bum.portal.forms.form import Field, Filled, Form, Kind
from synapse_bum.portal.homeserver_api.steps import Step
from synapse_bum.portal.listing import DEFAULT_LIMIT, Listing
from synapse_bum.portal.page import Area, Page
from synapse_bum.portal.reply import Reply
from synapse_bum.portal.visit import Visit

_FORM: Final = Form("import", (Field("rows", Kind.LONG_TEXT, required=True, max_length=MAX_LENGTH, hint=True),))

_SHOWN: Final = 50
"""Lines of the preview, good ones and bad ones each: a page stays small."""

_LINES: Final = "lines"
_PASSWORDS: Final = "passwords"
"""Name of a field; `password` in it keeps it out of drafts."""

_RESULTS: Final = "users/import/results"


async def _show(visit: Visit) -> Reply:
    return _upload(visit, visit.blank(_FORM))


async def _preview(visit: Visit) -> Reply:
    filled = _FORM.read(visit.form)
    if filled.complaints:
        return _upload(visit, filled)
    try:
        lines = _lines(visit, filled["rows"])
    except UnreadableError as e:
        return _upload(visit, filled.complain("rows", e.complaint.key, **e.complaint.values))
    return await _as_preview(visit, lines)


def _lines(visit: Visit, text: str) -> list[Line]:
    """Reads a list; raises `UnreadableError` as `lines_of` does."""
    found = []
    for line in lines_of(text, visit.server_name):
        complaint = reserved_name(visit, line.wanted.name)
        found.append(line if complaint is None else line.with_complaint(complaint))
    return found


def _upload(visit: Visit, filled: Filled) -> Reply:
    return visit.show("account/import.html", form=filled, columns=", ".join(COLUMNS), max_rows=MAX_ROWS)


async def _as_preview(visit: Visit, lines: list[Line]) -> Reply:
    checked = await problems_on_server(visit.server, lines)
    good = [line for line in checked if not line.complaints]
    bad = [line for line in checked if line.complaints]
    shown = sorted((*bad[:_SHOWN], *good[:_SHOWN]), key=lambda line: line.number)
    return visit.show(
        "account/import_preview.html",
        title=visit.t("import.preview_title"),
        shown=shown,
        hidden=len(checked) - len(shown),
        good=len(good),
        bad=len(bad),
        text=as_text(good),
    )


async def _show_again(visit: Visit) -> Reply:
    """The preview, when the session has ended before it was carried out; the form for everybody else."""
    try:
        lines = _lines(visit, (visit.draft or {}).get(_LINES, ""))
    except UnreadableError:
        return Reply.to(visit.url("users/import"))
    return await _as_preview(visit, lines)


async def _run(visit: Visit) -> Reply:
    try:
        lines = _lines(visit, visit.form.fields.get(_LINES, ""))
    except UnreadableError:
        return visit.go(visit.url("users/import"), "import.nothing_to_do", kind="warning")
    before = results_of_text(visit.form.fields.get(_PASSWORDS, ""))

    def begin(user_id: str, wanted: WantedAccount) -> Step:
        return creation(visit, user_id, wanted)

    good = [line for line in lines if not line.complaints]
    make = new_password if await have_passwords(visit.server) else _no_password
    carried = await carry_out(visit.server, visit.server_name, good, begin, make)
    results = [*before, *(_in_words(visit, result) for result in carried.results)]
    # As long as something is left to do, the latest are shown.
    offset = max(0, len(results) - DEFAULT_LIMIT) if carried.left else 0
    return attr.evolve(_as_result(visit, results, carried, offset), done=True)


def _in_words(visit: Visit, result: Result) -> Result:
    complaint = result.complaint
    return result if complaint is None else attr.evolve(result, said=visit.t(complaint.key, **complaint.values))


def _no_password() -> str:
    return ""


def _as_result(visit: Visit, results: list[Result], carried: Carried, offset: int) -> Reply:
    shown = results[offset : offset + DEFAULT_LIMIT]
    return visit.show(
        "account/import_result.html",
        title=visit.t("import.result_title" if not carried.left else "import.partial_title"),
        shown=shown,
        part=Listing(_RESULTS, offset, DEFAULT_LIMIT, {}).part(len(shown), len(results)),
        created=sum(result.outcome is Outcome.CREATED for result in results),
        left=len(carried.left),
        stuck=None if carried.stuck is None else carried.stuck.value,
        has_passwords=any(result.password for result in results),
        left_text=as_text(carried.left),
        results_text=results_as_text(results),
    )


async def _results(visit: Visit) -> Reply:
    """Another part of the results, which only the browser has."""
    results = results_of_text(visit.form.fields.get(_PASSWORDS, ""))
    offset = min(visit.form.whole_number("from"), max(0, len(results) - 1))
    # It changes nothing, so the same form may ask for further parts.
    return _as_result(visit, results, Carried((), ()), offset)


async def _passwords(visit: Visit) -> Reply:
    results = results_of_text(visit.form.fields.get(_PASSWORDS, ""))
    header = [visit.t(f"import.{name}") for name in ("line", "name", "outcome", "password", "reason")]
    rows = [
        (
            str(result.number),
            result.name,
            visit.t(f"import.outcome_{result.outcome.value}"),
            result.password,
            result.said,
        )
        for result in results
    ]
    file = visit.file(csv_cells.write([header, *rows]), csv_cells.CSV_TYPE, "nutzer-passwoerter.csv")
    # It changes nothing, so it may be fetched again as long as the page is open.
    return attr.evolve(file, done=False)


async def _to_upload(visit: Visit) -> Reply:
    return Reply.to(visit.url("users/import"))


async def _template(visit: Visit) -> Reply:
    return visit.file(template(), csv_cells.CSV_TYPE, "nutzer-vorlage.csv")


_AREA: Final = Area.IDENTITIES
PAGES = (
    unless(
        kept_elsewhere,
        Page("users/import", area=_AREA, title="import.title", show=_show, submit=_preview, menu=30),
    ),
    unless(kept_elsewhere, Page("users/import/run", area=_AREA, title="import.title", show=_show_again, submit=_run)),
    Page(_RESULTS, area=_AREA, title="import.title", show=_to_upload, submit=_results),
    Page("users/import/passwords", area=_AREA, title="import.title", show=_to_upload, submit=_passwords),
    Page("users/import/template", area=_AREA, title="import.title", show=_template),
)
