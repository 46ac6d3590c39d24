"""What a month costs: the lines of its invoice, and the invoice as a file."""

from typing import Any, Final

from synapse_bum.portal import csv_cells
from synapse_bum.portal.forms.form import Complaint, Field, Filled, Form
from synapse_bum.portal.homeserver_api.homeserver_client import BUM
from synapse_bum.portal.homeserver_api.outcomes import ForbiddenError, NotFoundError, RefusedError
from synapse_bum.portal.language.saying import Saying
from synapse_bum.portal.page import Area, Page
from synapse_bum.portal.presentation.storage_sayings import invoice_refusal, is_month, months_of
from synapse_bum.portal.reply import Reply
from synapse_bum.portal.visit import Visit

_ROUTE: Final = BUM + "/storage/invoice"
_DAYS_KEPT: Final = 1_000
_FILES: Final = {
    "csv-de": (csv_cells.CSV_TYPE, "rechnung-{month}.csv"),
    "csv": (csv_cells.CSV_TYPE, "rechnung-{month}-englisch.csv"),
    "text": ("text/plain; charset=utf-8", "rechnung-{month}.txt"),
}
"""Media type and name by format, as the API names it. Both kinds of CSV have the same name there."""


def _is_printable(value: str) -> Complaint | None:
    return None if value.isprintable() else Complaint("invoice.xrechnung.unprintable")


_XRECHNUNG: Final = Form(
    "invoice.xrechnung", (Field("number", required=True, max_length=100, hint=True, check=_is_printable),)
)


async def _show(visit: Visit) -> Reply:
    months = await _months(visit)
    month = _chosen(visit, months)
    invoice: dict[str, Any] | None = None
    refused: Saying | None = None
    if month is None:
        refused = Saying("invoice.refused.not_counted_yet", kind="info")
    else:
        try:
            invoice = await visit.server.get(_ROUTE, query={"month": month})
        except RefusedError as e:
            refused = _why(visit, e)
    return visit.show(
        "invoice/month.html",
        month=month,
        months=[(name, _name(visit, name)) for name in months],
        month_name="" if month is None else _name(visit, month),
        invoice=invoice,
        refused=refused,
    )


async def _months(visit: Visit) -> list[str]:
    # Days are kept for two years.
    answer = await visit.server.get(BUM + "/storage/history", query={"limit": _DAYS_KEPT})
    return months_of(answer["history"])


def _chosen(visit: Visit, months: list[str]) -> str | None:
    asked = visit.query.text("month")
    if is_month(asked):
        return asked
    return months[0] if months else None


def _name(visit: Visit, month: str) -> str:
    year, _dash, number = month.partition("-")
    return visit.t(f"invoice.month_{number}", year=year)


def _why(visit: Visit, error: RefusedError) -> Saying:
    if isinstance(error, ForbiddenError | NotFoundError):
        raise error
    said = invoice_refusal(error.sentence, visit.formats)
    if said is None:
        raise error
    return said


async def _download(visit: Visit) -> Reply:
    month, shape = visit.query.text("month"), visit.query.text("format")
    if not is_month(month) or shape not in _FILES:
        return visit.go(visit.url("invoice"))
    kind, name = _FILES[shape]
    try:
        answer = await visit.server.download(_ROUTE, query={"month": month, "format": shape})
    except RefusedError as e:
        said = _why(visit, e)
        return visit.go(visit.url("invoice", {"month": month}), said.key, kind=said.kind, **said.values)
    return visit.file(answer.body, kind, name.format(month=month))


async def _xrechnung(visit: Visit) -> Reply:
    """Shows the form, and answers with the file once it has a number: nothing is changed by that, so it is a GET."""
    month = visit.query.text("month")
    if not is_month(month):
        return visit.go(visit.url("invoice"))
    if "number" not in visit.query.fields:
        return _xrechnung_form(visit, month, _XRECHNUNG.blank(), await _known_obstacle(visit, month))
    filled = _XRECHNUNG.read(visit.query)
    if filled.complaints:
        return _xrechnung_form(visit, month, filled, None)
    query = {"month": month, "format": "xrechnung", "number": filled["number"]}
    try:
        answer = await visit.server.download(_ROUTE, query=query)
    except RefusedError as e:
        return _xrechnung_form(visit, month, filled, _why(visit, e))
    return visit.file(answer.body, "application/xml", f"xrechnung-{month}.xml")


async def _known_obstacle(visit: Visit, month: str) -> Saying | None:
    """What is against an invoice of a month, asked before somebody types a number in vain; None for nothing known."""
    try:
        invoice = await visit.server.get(_ROUTE, query={"month": month})
    except RefusedError as e:
        return _why(visit, e)
    return Saying("invoice.refused.preliminary") if invoice["preliminary"] else None


def _xrechnung_form(visit: Visit, month: str, filled: Filled, refused: Saying | None) -> Reply:
    return visit.show(
        "invoice/xrechnung.html",
        title=visit.t("invoice.xrechnung.title_of", month=_name(visit, month)),
        form=filled,
        month=month,
        refused=refused,
    )


PAGES = (
    Page("invoice", area=Area.APPLICATION, title="invoice.title", show=_show, menu=90),
    Page("invoice/file", area=Area.APPLICATION, title="invoice.title", show=_download),
    Page("invoice/xrechnung", area=Area.APPLICATION, title="invoice.xrechnung.title", show=_xrechnung),
)
