"""Contract and support: who can be asked, what the contract allows, and the way to report a fault."""

import attr

from synapse_bum.portal.config import ContractConfig
from synapse_bum.portal.homeserver_api.homeserver_client import BUM
from synapse_bum.portal.page import Area, Page
from synapse_bum.portal.presentation.contract_terms import contract_terms
from synapse_bum.portal.reply import Reply
from synapse_bum.portal.statistics.calendar_days import begin_ms, day_of
from synapse_bum.portal.visit import Visit


async def _show(visit: Visit) -> Reply:
    reports = await visit.server.get(BUM + "/portal/tickets", query={"limit": 1})
    contract = visit.config.contract
    return visit.show(
        "support/overview.html",
        contacts=visit.config.support.contacts,
        email=visit.config.support.email,
        contract=contract,
        terms=None if contract is None else _terms(contract, visit.now_ms),
        reports=reports["total"],
    )


def _terms(contract: ContractConfig, now_ms: int) -> dict[str, int]:
    """The days of the contract by name, as their first moments."""
    terms = contract_terms(contract.begin, day_of(now_ms))
    return {name: begin_ms(day) for name, day in attr.asdict(terms).items()}


PAGES = (Page("support", area=Area.APPLICATION, title="support.title", show=_show, menu=140),)
