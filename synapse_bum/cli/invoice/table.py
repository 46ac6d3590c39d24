"""The lines of an invoice and their total, for a terminal: decimals after a point, no thousands separators."""

from synapse_bum.storage.invoice.calculation import Invoice
from synapse_bum.storage.invoice.document import Particulars, euros
from synapse_bum.storage.invoice.price_list import CURRENCY


def as_table(invoice: Invoice, _particulars: Particulars) -> str:
    """Writes one row for each line, then the total."""
    rows = [
        (line.position, line.description, str(line.quantity), euros(line.unit_price), euros(line.amount))
        for line in invoice.lines
    ]
    total = euros(invoice.total)
    position, description, quantity, price, amount = (max(map(len, column)) for column in zip(*rows, strict=True))
    amount = max(amount, len(total))
    lines = [
        f"{row[0]:{position}}  {row[1]:{description}}  {row[2]:>{quantity}} x {row[3]:>{price}} = {row[4]:>{amount}}"
        for row in rows
    ]
    label = f"{invoice.month}, net, {CURRENCY}"
    return "\n".join([*lines, label + total.rjust(len(lines[0]) - len(label))]) + "\n"
