"""The queries of the handbook, with which others check an invoice, say what the module says."""

import re
from http import HTTPStatus
from pathlib import Path
from typing import Any

from synapse.module_api import LoggingTransaction

from synapse_bum.rest import BASE
from synapse_bum.storage.duty import TICK_MS
from synapse_bum.testing import malware
from synapse_bum.testing.deletion_case import DeletionTestCase

HANDBOOK = (Path(__file__).resolve().parents[3] / "docs" / "storage.md").read_text(encoding="utf-8")
BEGIN_S = 1_771_000_000
"""In February 2026, the month of the handbook's queries."""


class TestHandbook(DeletionTestCase):
    """A homeserver in that month, with more stored than its three users bring."""

    def default_config(self) -> dict[str, Any]:
        config = super().default_config()
        module = {
            "module": "synapse_bum.storage.StorageModule",
            "config": {"included_gb_per_user": 0, "gigabyte": 1000},
        }
        config["modules"].append(module)
        return config

    def prepare(self, *reactor_clock_and_homeserver: Any) -> None:  # noqa: ANN401 - the clock's module changed
        self.reactor.advance(BEGIN_S)
        super().prepare(*reactor_clock_and_homeserver)

    def test_its_queries_give_the_numbers_of_the_invoice(self) -> None:
        used, registered, days, distinct = re.findall(r"```sql\n(.*?);\n```", HANDBOOK, re.DOTALL)
        self.upload(malware.png(300, 300))
        self.fetch("far", malware.png(200, 200, seed=1))
        self.pump()
        channel = self.make_request("POST", f"{BASE}/storage/recount", access_token=self.admin_token)
        assert channel.code == HTTPStatus.ACCEPTED, channel.json_body
        self.reactor.advance(2 * TICK_MS / 1000)
        self.pump()
        channel = self.make_request("GET", f"{BASE}/storage/invoice?month=2026-02", access_token=self.admin_token)
        assert channel.code == HTTPStatus.OK, channel.json_body
        invoice = channel.json_body
        ((used_bytes,),) = self._ask(used)
        assert used_bytes / 1000 == invoice["storage"]["used_gb"] > 0
        assert self._ask(registered) == self._ask(distinct) == [(invoice["users"],)] == [(3,)]
        ((day, users, locked_users, used_of_day, included_bytes, extension_gb),) = self._ask(days)
        assert day == "2026-02-13"
        assert (users, locked_users, used_of_day, included_bytes) == (3, 0, used_bytes, 0)
        assert extension_gb == invoice["storage"]["extension_gb"] == -(-used_bytes // 1000)

    def _ask(self, sql: str) -> list[tuple[Any, ...]]:
        def read(txn: LoggingTransaction) -> list[tuple[Any, ...]]:
            txn.execute(sql)
            return list(txn.fetchall())

        rows: list[tuple[Any, ...]] = self.get_success(
            self.hs.get_datastores().main.db_pool.runInteraction("ask", read)
        )
        return rows
