"""Having a source close again what the log says, and finding the line that it can't carry out.

A line may be one of this log and still say something that its source can't read: a field is missing, or is of another
kind. Sources carry out all of theirs together; only when that fails is it worth looking at each alone.
"""

from collections.abc import Callable, Sequence

import attr
from synapse.module_api import LoggingTransaction

from synapse_bum.after_restore.source import Done, Logged, Source


@attr.s(auto_attribs=True)
class NotClosedError(Exception):
    """A source could not close again what the log says.

    Attributes:
        source: which.
        logged: what it was to carry out.
        cause: why.
    """

    source: Source
    logged: Sequence[Logged]
    cause: Exception


class _RolledBackError(Exception):
    """Takes back what was tried, where all of it worked."""


class _FoundError(Exception):
    """Takes back what was tried."""

    def __init__(self, each: Logged) -> None:
        super().__init__()
        self.each = each


def close_again(txn: LoggingTransaction, source: Source, logged: Sequence[Logged]) -> list[Done]:
    """Have a source close again what the log says.

    Raises:
        NotClosedError: it can't.
    """
    try:
        return source.close_again(txn, logged)
    except Exception as error:
        raise NotClosedError(source, logged, error) from error


def where_it_failed(failed: NotClosedError, run: Callable[[Callable[[LoggingTransaction], None]], None]) -> str:
    """Say which line it was; empty where each alone can be carried out.

    Args:
        failed: what could not be carried out.
        run: runs something in a transaction of its own, which is always rolled back.
    """

    def try_each(txn: LoggingTransaction) -> None:
        for each in failed.logged:
            try:
                failed.source.close_again(txn, [each])
            except Exception:  # noqa: BLE001 - which one it is has been said already
                raise _FoundError(each) from None
        raise _RolledBackError

    try:
        run(try_each)
    except _FoundError as found:
        seq = found.each.seq
        if seq is None:
            return ""
        return (
            f". That is the line with `seq` {seq}, of the source {failed.source.name!r}. If the line is wrong and"
            " not the database: bring the right file back, or, if it is lost for good, take that line out and set"
            " `config.log_begins_at` to the number of the next one"
        )
    except Exception:  # noqa: BLE001 - the database itself is away; that was the reason then
        return ""
    return ""
