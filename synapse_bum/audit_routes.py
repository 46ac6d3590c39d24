"""`GET B/audit`: the audit for administrators, whichever module is loaded."""

from synapse_bum.audit import AUDIT, Selection, read_page
from synapse_bum.database import Database
from synapse_bum.rest import Answer, ApiRequest, Routes


def add_audit_routes(routes: Routes, database: Database) -> None:
    """Adds the route; to be called in every module's `__init__`, the first one answers.

    Args:
        routes: of the module.
        database: of the module; the audit's tables are added to its components.
    """
    database.add(AUDIT)

    async def read(request: ApiRequest) -> Answer:
        page = request.page()
        selection = Selection(page.offset, page.limit, request.query.integer("since_ts"), request.query.text("action"))
        rows, total = await database.run("synapse_bum_audit_read", read_page, selection)
        return Answer(page.answer("audit", [row.as_json() for row in rows], total))

    routes.add("GET", "audit", read)
