"""An invoice as a file: which formats there are, and what each is called."""

from datetime import date
from enum import Enum

from synapse_bum.rest import Document
from synapse_bum.storage.invoice.calculation import Invoice
from synapse_bum.storage.invoice.csv_document import Decimals, as_csv
from synapse_bum.storage.invoice.document import Particulars
from synapse_bum.storage.invoice.parties import Parties
from synapse_bum.storage.invoice.price_list import InvoiceError
from synapse_bum.storage.invoice.text_document import as_text
from synapse_bum.storage.invoice.xrechnung import xrechnung

_CSV = "text/csv; charset=utf-8; header=present"


class InvoiceFormat(Enum):
    """How an invoice is written; the values are those of the API."""

    JSON = "json"
    CSV = "csv"
    CSV_DE = "csv-de"
    """For a spreadsheet with German decimals."""
    TEXT = "text"
    """German, can be mailed."""
    XRECHNUNG = "xrechnung"
    """EN 16931 in UBL, as authorities book it."""


def text_file(invoice: Invoice, particulars: Particulars, shape: InvoiceFormat) -> Document:
    """An invoice as CSV or text."""
    name = f"invoice-{invoice.month}"
    if shape is InvoiceFormat.TEXT:
        return Document(as_text(invoice, particulars).encode(), "text/plain; charset=utf-8", f"{name}.txt")
    decimals = Decimals.COMMA if shape is InvoiceFormat.CSV_DE else Decimals.POINT
    return Document(as_csv(invoice, particulars, decimals).encode(), _CSV, f"{name}.csv")


def electronic_file(
    invoice: Invoice, particulars: Particulars, parties: Parties, number: str, issue_date: date
) -> Document:
    """An invoice as XRechnung.

    Args:
        invoice: of a month that is over.
        particulars: say whether its numbers are final.
        parties: who bills whom.
        number: of the invoice.
        issue_date: today.

    Raises:
        InvoiceError: the month is not over or its numbers are not final, or the configuration lacks something.
    """
    content = xrechnung(invoice, parties, number, issue_date)
    # After its own checks: while the month runs, it says from when on to ask.
    if particulars.preliminary:
        raise InvoiceError(
            f"the invoice of {invoice.month} is preliminary until users are counted after the end of the month: an"
            " XRechnung is written then"
        )
    return Document(content, "application/xml", f"invoice-{invoice.month}.xml")
