"""Files that wait for a scan with their key (`require_scan`), and letting one go without it."""

from synapse_bum.portal.forms.confirmation import Question, confirmation
from synapse_bum.portal.homeserver_api.homeserver_client import BUM
from synapse_bum.portal.page import Area, Page
from synapse_bum.portal.presentation.virus_findings import file_of
from synapse_bum.portal.reply import Reply
from synapse_bum.portal.visit import Visit


async def _list(visit: Visit) -> Reply:
    listing = visit.listing("held")
    answer = await visit.server.get(BUM + "/antivirus/held", query={"from": listing.offset, "limit": listing.limit})
    files = [(held, *file_of(held["mxc"])) for held in answer["held"]]
    return visit.show("findings/held.html", files=files, part=listing.part(len(files), answer["total"]))


async def _describe(visit: Visit) -> Question:
    # This says so where the antivirus is not loaded; there is no route for one file.
    await visit.server.get(BUM + "/antivirus/held", query={"limit": 1})
    mxc = f"mxc://{visit.path['server_name']}/{visit.path['media_id']}"
    return Question({"mxc": mxc}, back=visit.url("held"))


async def _release(visit: Visit, reason: str) -> Reply:
    await visit.server.post(
        BUM + "/antivirus/held/{server_name}/{media_id}/release",
        {"reason": reason},
        server_name=visit.path["server_name"],
        media_id=visit.path["media_id"],
    )
    return visit.go(visit.url("held"), "held.release.done")


PAGES = (
    Page("held", area=Area.APPLICATION, title="held.title", show=_list),
    confirmation(
        "held/{server_name}/{media_id}/release",
        texts="held.release",
        area=Area.APPLICATION,
        describe=_describe,
        carry_out=_release,
        reason=True,
        operators=True,
    ),
)
