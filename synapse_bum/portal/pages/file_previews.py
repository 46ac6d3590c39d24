"""The preview of a file: asked for with a reason, written down, and shown once. Off unless it is configured.

Three requests: the form, the page that its button leads to, and the picture in that page by a pass (`passes.py`). Each
looks anew whether there may be a preview.
"""

from http import HTTPStatus
from typing import Final

from synapse_bum.portal.files import previews
from synapse_bum.portal.files.stored_files import StoredFile
from synapse_bum.portal.forms.form import Field, Filled, Form, Kind
from synapse_bum.portal.homeserver_api.outcomes import ForbiddenError, NotOfferedError, RefusedError
from synapse_bum.portal.homeserver_api.steps import Action
from synapse_bum.portal.page import Area, Page
from synapse_bum.portal.pages.files import address_of, file_url, find_file, scan_of
from synapse_bum.portal.reply import Reply
from synapse_bum.portal.visit import Visit

_PAGE: Final = "files/{server_name}/{media_id}/preview"
_PICTURE: Final = f"{_PAGE}/picture"
_FORM: Final = Form(
    "files.preview.form", (Field("reason", Kind.LONG_TEXT, required=True, max_length=1_000, hint=True),)
)
_ALONE: Final = "default-src 'none'; frame-ancestors 'none'; sandbox"
"""Content-Security-Policy of the picture: should a browser take it for a page, that page may do nothing."""


class _NoPreviewError(Exception):
    """There is none; `key` says why, below `files.preview.not`."""

    def __init__(self, key: str) -> None:
        super().__init__(key)
        self.key = key


async def _ask(visit: Visit) -> Reply:
    try:
        file = await _file(visit)
    except _NoPreviewError as e:
        return _refused(visit, e.key, HTTPStatus.OK)
    return _asked(visit, file, visit.blank(_FORM))


async def _show(visit: Visit) -> Reply:
    try:
        file = await _file(visit)
    except _NoPreviewError as e:
        return _refused(visit, e.key, HTTPStatus.CONFLICT)
    filled = _FORM.read(visit.form)
    if filled.complaints:
        return _asked(visit, file, filled)
    mxc = str(file.address)
    async with visit.step(Action.FILE_VIEW, mxc, filled["reason"], owner=file.owner):
        given = visit.passes.issue(mxc)
    names = {"server_name": file.address.server_name, "media_id": file.address.media_id}
    return visit.show(
        "files/preview.html",
        done=True,
        file=file,
        picture=visit.url(_PICTURE, {"pass": given, **_owner(visit)}, **names),
        back=file_url(visit, file.address, _owner(visit)),
    )


async def _picture(visit: Visit) -> Reply:
    try:
        file = await _file(visit)
        if not await visit.passes.redeem(visit.query.text("pass"), str(file.address)):
            return _refused(visit, "used_up", HTTPStatus.GONE)
        return await _fetched(visit, file)
    except _NoPreviewError as e:
        return _refused(visit, e.key, HTTPStatus.CONFLICT)


async def _fetched(visit: Visit, file: StoredFile) -> Reply:
    names = {"server_name": file.address.server_name, "media_id": file.address.media_id}
    try:
        answer = await visit.server.download(previews.THUMBNAIL, query=previews.SIZE, **names)
    except ForbiddenError:
        raise
    except RefusedError as e:
        raise _NoPreviewError("not_made") from e
    kind = previews.picture_type(answer.body)
    if kind is None or len(answer.body) > previews.MAX_BYTES:
        raise _NoPreviewError("not_made")
    headers = {"Content-Disposition": "inline", "Content-Security-Policy": _ALONE}
    return Reply(HTTPStatus.OK, answer.body, kind, headers)


async def _file(visit: Visit) -> StoredFile:
    """Returns the file of the address, when there may be a preview of it.

    Raises:
        _NoPreviewError: there may not.
        NotFoundError: there is no such file.
        NotOfferedError: previews are off.
    """
    if not visit.config.file_previews:
        raise NotOfferedError(HTTPStatus.NOT_FOUND, "", "")
    address = address_of(visit)
    scan, has_scanner = await scan_of(visit, address)
    file = await find_file(visit, address) if has_scanner else None
    reason = previews.obstacle(file, scan, has_scanner=has_scanner)
    if reason is not None or file is None:
        raise _NoPreviewError(reason or "unknown")
    return file


def _asked(visit: Visit, file: StoredFile, filled: Filled) -> Reply:
    name = file.name or visit.t("files.nameless")
    return visit.show(
        "form.html",
        form=filled,
        paragraphs=visit.t.lines("files.preview.explain", name=name, mxc=str(file.address)),
        button=visit.t("files.preview.button"),
        back=file_url(visit, file.address, _owner(visit)),
    )


def _refused(visit: Visit, key: str, status: int) -> Reply:
    return visit.show(
        "message.html",
        status=status,
        paragraphs=visit.t.lines(f"files.preview.not.{key}"),
        link=file_url(visit, address_of(visit), _owner(visit)),
        link_text=visit.t("files.to_file"),
    )


def _owner(visit: Visit) -> dict[str, str | int]:
    """Before 1.140 Synapse tells of a file only to those who know whose it is."""
    owner = visit.query.text("owner")
    return {"owner": owner} if owner else {}


PAGES = (
    Page(_PAGE, area=Area.APPLICATION, title="files.preview.title", show=_ask, submit=_show),
    Page(_PICTURE, area=Area.APPLICATION, title="files.preview.title", show=_picture),
)
