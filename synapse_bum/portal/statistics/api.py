"""`GET B/portal/statistics`: the daily counts."""

from typing import Any

from synapse.module_api import LoggingTransaction

from synapse_bum.database import Database
from synapse_bum.portal.statistics.records import list_days
from synapse_bum.rest import Answer, ApiRequest, Routes, invalid_param
from synapse_bum.rest.queries import MAX_INTEGER


class StatisticsApi:
    """The handler; works on every process and reads our own table only."""

    def __init__(self, database: Database, *, show_activity: bool) -> None:
        """Prepares.

        Args:
            database: with `STATISTICS`.
            show_activity: whether users of a day may be shown.
        """
        self._database = database
        self._show_activity = show_activity

    def add_to(self, routes: Routes) -> None:
        """Adds the route."""
        routes.add("GET", "portal/statistics", self.statistics)

    async def statistics(self, request: ApiRequest) -> Answer:
        """A page of days, the earliest first."""
        page = request.page()
        from_ts, to_ts = request.query.integer("from_ts") or 0, request.query.integer("to_ts")
        if to_ts is not None and to_ts < from_ts:
            raise invalid_param("to_ts", "must not be before `from_ts`")
        before_ts = MAX_INTEGER if to_ts is None else to_ts

        def read(txn: LoggingTransaction) -> tuple[list[dict[str, Any]], int]:
            days, total = list_days(txn, from_ts, before_ts, page.offset, page.limit)
            return [day.as_json(show_activity=self._show_activity) for day in days], total

        return Answer(page.answer("statistics", *await self._database.run("synapse_bum_portal_statistics", read)))
