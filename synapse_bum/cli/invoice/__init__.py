"""`synapse-bum invoice`: what a month costs, calculated without a server from numbers that somebody knows.

| module | what it holds |
|---|---|
| `command` | the command: options, what is printed, how it ends |
| `settings` | what of the storage module's configuration it needs, from homeserver.yaml or the defaults |
| `answer` | from the numbers to the printed invoice, in each format |
| `table` | the lines and the total for a terminal |
"""

from synapse_bum.cli.invoice.command import INVOICE

__all__ = ["INVOICE"]
