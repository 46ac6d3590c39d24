"""The routes below `storage/` but those of orphans: the pool, its users and history, invoices and recounts."""

import logging
import secrets
from enum import Enum
from http import HTTPStatus
from typing import Any, Final

from synapse.module_api import LoggingTransaction, ModuleApi
from synapse.module_api.errors import Codes, SynapseError

from synapse_bum.database import Database
from synapse_bum.rest import Access, Answer, ApiRequest, Document, Routes, conflict, invalid_param, not_found
from synapse_bum.rest.queries import MAX_INTEGER
from synapse_bum.storage import ledger, recounts, snapshots
from synapse_bum.storage.billing import bill
from synapse_bum.storage.config import StorageConfig
from synapse_bum.storage.invoice.calculation import Item, ItemError, parse_item
from synapse_bum.storage.invoice.document import as_json
from synapse_bum.storage.invoice.price_list import InvoiceError
from synapse_bum.storage.invoice_files import InvoiceFormat, electronic_file, text_file
from synapse_bum.storage.ledger import UserOrder
from synapse_bum.storage.month import Month, MonthError, day_of
from synapse_bum.storage.pool_record import read_users
from synapse_bum.storage.usage import Pool, Stored

logger = logging.getLogger(__name__)


class Direction(Enum):
    """The order of a list, as in Synapse's admin API."""

    FORWARDS = "f"
    BACKWARDS = "b"


_UNKNOWN: Final = dict.fromkeys(
    (
        "users",
        "included_bytes",
        "used_bytes",
        "local_bytes",
        "remote_bytes",
        "thumbnail_bytes",
        "free_bytes",
        "extension_gb",
        "as_of_ts",
    )
)
"""What is said before the first count: nothing is known, which is not 0."""


class StorageApi:
    """The handlers of the storage routes; they work on every process and read our own tables only."""

    def __init__(self, api: ModuleApi, database: Database, config: StorageConfig) -> None:
        """Prepare.

        Args:
            api: of the homeserver.
            database: with the tables of the storage accounting.
            config: what counts and what it costs.
        """
        self._api = api
        self._database = database
        self._config = config

    def add_to(self, routes: Routes) -> None:
        """Add the routes."""
        routes.add("GET", "storage/usage", self.usage)
        routes.add("GET", "storage/users", self.users)
        routes.add("GET", "storage/history", self.history)
        routes.add("GET", "storage/invoice", self.invoice)
        routes.add("POST", "storage/recount", self.start_recount, access=Access.OPERATOR)
        routes.add("GET", "storage/recount/{run_id}", self.recount)

    async def usage(self, _request: ApiRequest) -> Answer:
        """The pool as of the last update."""

        def read(txn: LoggingTransaction) -> dict[str, Any]:
            users, known = read_users(txn), ledger.read(txn)
            if users is None or known is None:
                return dict(_UNKNOWN)
            return usage_json(self._config.pool(users, known.stored), known.stored, known.as_of_ts)

        return Answer(await self._database.run("synapse_bum_storage_usage", read))

    async def users(self, request: ApiRequest) -> Answer:
        """A page of users and what they have stored."""
        page = request.page()
        order = request.query.choice("order_by", UserOrder) or UserOrder.USER_ID
        descending = request.query.choice("dir", Direction) is Direction.BACKWARDS
        count = self._config.count

        def read(txn: LoggingTransaction) -> tuple[list[dict[str, Any]], int]:
            users, total = ledger.list_users(
                txn, order_by=order, descending=descending, count=count, offset=page.offset, limit=page.limit
            )
            return [user.as_json(count) for user in users], total

        return Answer(page.answer("users", *await self._database.run("synapse_bum_storage_users", read)))

    async def history(self, request: ApiRequest) -> Answer:
        """A page of the daily snapshots, the oldest first."""
        page = request.page()
        from_ts, to_ts = request.query.integer("from_ts") or 0, request.query.integer("to_ts")
        if to_ts is not None and to_ts < from_ts:
            raise invalid_param("to_ts", "must not be before `from_ts`")
        until_ts = MAX_INTEGER if to_ts is None else to_ts

        def read(txn: LoggingTransaction) -> tuple[list[dict[str, Any]], int]:
            found, total = snapshots.list_history(txn, from_ts, until_ts, page.offset, page.limit)
            return [snapshot.as_json() for snapshot in found], total

        return Answer(page.answer("history", *await self._database.run("synapse_bum_storage_history", read)))

    async def invoice(self, request: ApiRequest) -> Answer | Document:
        """What a month costs; the running month gives a preliminary invoice."""
        month, items = _month(request), _items(request)
        shape = request.query.choice("format", InvoiceFormat) or InvoiceFormat.JSON
        number = request.query.text("number")
        if shape is InvoiceFormat.XRECHNUNG and number is None:
            raise _missing("number", "an XRechnung needs the number of the invoice")
        if shape is not InvoiceFormat.XRECHNUNG and number is not None:
            raise invalid_param("number", "goes with `format=xrechnung` only")
        now_ms = self._api.get_current_time_msec()
        try:
            invoice, particulars = await self._database.run(
                "synapse_bum_storage_invoice", bill, self._config, month, now_ms, items
            )
            if number is not None:
                return electronic_file(
                    invoice, particulars, self._config.invoice, number, day_of(now_ms, self._config.timezone)
                )
        except MonthError as error:
            raise invalid_param("month", str(error)) from None
        except ItemError as error:
            raise invalid_param("items", str(error)) from None
        except InvoiceError as error:
            raise conflict(str(error)) from None
        if shape is InvoiceFormat.JSON:
            return Answer(as_json(invoice, particulars))
        return text_file(invoice, particulars, shape)

    async def start_recount(self, request: ApiRequest) -> Answer:
        """Queue a full recount."""
        run_id, now_ms = secrets.token_hex(8), self._api.get_current_time_msec()

        def add(txn: LoggingTransaction) -> None:
            if not recounts.add_recount(txn, run_id, request.user_id, now_ms):
                raise conflict(f"{recounts.MAX_QUEUED} recounts are waiting already")

        await self._database.run("synapse_bum_storage_start_recount", add)
        logger.info("Queued the storage recount %s", run_id, extra={"run_id": run_id})
        return Answer.accepted(run_id)

    async def recount(self, request: ApiRequest) -> Answer:
        """How far a recount has come."""
        found = await self._database.run("synapse_bum_storage_recount", recounts.get_recount, request.path["run_id"])
        if found is None:
            raise not_found("recount with this id")
        return Answer(found.as_json())


def usage_json(pool: Pool, stored: Stored, as_of_ts: int) -> dict[str, Any]:
    """The object that `GET storage/usage` shows.

    Args:
        pool: of the registered users.
        stored: in it.
        as_of_ts: when both were counted; ms since the epoch.
    """
    return {
        "users": pool.users,
        "included_bytes": pool.included_bytes,
        "used_bytes": pool.used_bytes,
        "local_bytes": stored.local_bytes,
        "remote_bytes": stored.remote_bytes,
        "thumbnail_bytes": stored.thumbnail_bytes,
        "free_bytes": pool.free_bytes,
        "extension_gb": pool.extension_gb,
        "as_of_ts": as_of_ts,
    }


def _month(request: ApiRequest) -> Month:
    text = request.query.text("month")
    if text is None:
        raise _missing("month", "write it as YYYY-MM, for example 2026-02")
    try:
        return Month.parse(text)
    except MonthError as error:
        raise invalid_param("month", str(error)) from None


def _items(request: ApiRequest) -> tuple[Item, ...]:
    """Reads `items`, for example `ELO.1=1,AL.3=7.5`."""
    text = request.query.text("items")
    try:
        return () if text is None else tuple(map(parse_item, text.split(",")))
    except ItemError as error:
        raise invalid_param("items", str(error)) from None


def _missing(name: str, remedy: str) -> SynapseError:
    return SynapseError(HTTPStatus.BAD_REQUEST, f"`{name}`: {remedy}", Codes.MISSING_PARAM)
