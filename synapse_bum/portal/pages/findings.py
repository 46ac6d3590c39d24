"""What the virus scanner has found, how the scanner is, and what can be done with a file."""

from typing import Any, Final

from synapse_bum.portal.forms.confirmation import Question, confirmation
from synapse_bum.portal.homeserver_api.homeserver_client import BUM
from synapse_bum.portal.homeserver_api.outcomes import ForbiddenError, NotFoundError, RefusedError
from synapse_bum.portal.page import Area, Page
from synapse_bum.portal.presentation.virus_findings import file_of, offer, probes, refusal, scanner_saying
from synapse_bum.portal.reply import Reply
from synapse_bum.portal.visit import Visit

_ONE: Final = BUM + "/antivirus/findings/{server_name}/{media_id}"
_DETAIL: Final = "findings/{server_name}/{media_id}"


def _address(visit: Visit) -> str:
    return visit.url(_DETAIL, server_name=visit.path["server_name"], media_id=visit.path["media_id"])


async def _list(visit: Visit) -> Reply:
    listing = visit.listing("findings")
    status = await visit.server.get(BUM + "/antivirus/status")
    answer = await visit.server.get(BUM + "/antivirus/findings", query={"from": listing.offset, "limit": listing.limit})
    found = answer["findings"]
    return visit.show(
        "findings/list.html",
        scanner=status,
        saying=scanner_saying(status, visit.now_ms),
        signature_age_ms=None if status["signature_ts"] is None else max(0, visit.now_ms - status["signature_ts"]),
        probes=probes(status["self_test"]),
        findings=[(finding, *file_of(finding["mxc"])) for finding in found],
        part=listing.part(len(found), answer["total"]),
    )


async def _detail(visit: Visit) -> Reply:
    finding = await _finding(visit)
    own_name = visit.server_name
    return visit.show(
        "findings/detail.html",
        finding=finding,
        file=dict(visit.path),
        offer=offer(finding, own_name),
        own_users=[finding[who] for who in ("uploader", "reporter") if _is_ours(finding[who], own_name)],
    )


def _is_ours(who: str | None, own_name: str) -> bool:
    # A reporter may be a whole server.
    return who is not None and who.startswith("@") and who.partition(":")[2] == own_name


async def _finding(visit: Visit) -> dict[str, Any]:
    return await visit.server.get(_ONE, server_name=visit.path["server_name"], media_id=visit.path["media_id"])


async def _describe(visit: Visit) -> Question:
    finding = await _finding(visit)
    return Question(
        {"mxc": finding["mxc"], "signature": finding["signature"]},
        back=_address(visit),
        facts=(visit.t(f"findings.state_{finding['state']}_explain"),),
    )


async def _release(visit: Visit, reason: str) -> Reply:
    try:
        await visit.server.post(
            _ONE + "/release",
            {"reason": reason},
            server_name=visit.path["server_name"],
            media_id=visit.path["media_id"],
        )
    except RefusedError as e:
        return _why_not(visit, e)
    return visit.go(_address(visit), "findings.release.done")


async def _delete(visit: Visit, _reason: str) -> Reply:
    try:
        await visit.server.delete(_ONE, server_name=visit.path["server_name"], media_id=visit.path["media_id"])
    except RefusedError as e:
        return _why_not(visit, e)
    return visit.go(_address(visit), "findings.delete.done")


def _why_not(visit: Visit, error: RefusedError) -> Reply:
    if isinstance(error, ForbiddenError | NotFoundError):
        raise error
    said = refusal(error.sentence)
    return visit.go(_address(visit), said.key, kind=said.kind, **said.values)


async def _describe_signature(visit: Visit) -> Question:
    # This says so where the antivirus is not loaded; there is no route for one signature.
    await visit.server.get(BUM + "/antivirus/status")
    return Question({"signature": visit.path["signature"]}, back=visit.url("findings"))


async def _release_signature(visit: Visit, reason: str) -> Reply:
    answer = await visit.server.post(
        BUM + "/antivirus/signatures/{signature}/release",
        {"reason": reason},
        patience_s=60,
        signature=visit.path["signature"],
    )
    return visit.go(visit.url("findings"), "findings.signature.done", count=answer["released"])


PAGES = (
    Page("findings", area=Area.APPLICATION, title="findings.title", show=_list, menu=60),
    Page(_DETAIL, area=Area.APPLICATION, title="findings.detail_title", show=_detail),
    confirmation(
        _DETAIL + "/release",
        texts="findings.release",
        area=Area.APPLICATION,
        describe=_describe,
        carry_out=_release,
        reason=True,
        operators=True,
    ),
    confirmation(
        _DETAIL + "/delete",
        texts="findings.delete",
        area=Area.APPLICATION,
        describe=_describe,
        carry_out=_delete,
        operators=True,
    ),
    confirmation(
        "signatures/{signature}/release",
        texts="findings.signature",
        area=Area.APPLICATION,
        describe=_describe_signature,
        carry_out=_release_signature,
        reason=True,
        operators=True,
    ),
)
