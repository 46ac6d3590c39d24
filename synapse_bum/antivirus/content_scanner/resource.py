"""The content scanner API (MSC1453) at `/_matrix/media_proxy/unstable`.

Order of the checks: listener (404), path (404), method (405), token (401), body (400, 403), then the file. Only
`public_key` needs no token. The API is that of Element's matrix-content-scanner, as documented in its `docs/api.md`.
"""

import logging
import os
import stat
from collections.abc import Awaitable, Callable, Mapping, Sequence
from http import HTTPStatus
from types import MappingProxyType
from typing import Any, Final, TypeAlias

import attr
from synapse.module_api import DirectServeJsonResource, ModuleApi, SynapseRequest
from synapse.module_api.errors import SynapseError

from synapse_bum.antivirus.content_scanner import errors
from synapse_bum.antivirus.content_scanner.byte_range import ByteRange, UnsatisfiableRangeError, wanted_range
from synapse_bum.antivirus.content_scanner.errors import ContentScannerError
from synapse_bum.antivirus.content_scanner.examination import Asker, Examination, Examiner
from synapse_bum.antivirus.content_scanner.key_verdicts import KeyVerdict
from synapse_bum.antivirus.content_scanner.request_body import MAX_BODY_BYTES, read_scan_request
from synapse_bum.antivirus.content_scanner.secrets import Secrets
from synapse_bum.antivirus.events.links import Links
from synapse_bum.database.error_text import traced
from synapse_bum.homeserver import media_serving
from synapse_bum.homeserver.media_details import MediaDetails
from synapse_bum.homeserver.requests import is_for_clients, requester_of, send_json
from synapse_bum.identifiers import is_media_id, is_server_name

logger = logging.getLogger(__name__)

PATH: Final = "/_matrix/media_proxy/unstable"

OPAQUE_TYPE: Final = "application/octet-stream"
"""Media type of ciphertext."""

_JSON: TypeAlias = tuple[int, Mapping[str, Any]]
_Handler: TypeAlias = Callable[[SynapseRequest, Asker, Sequence[str]], Awaitable[_JSON | None]]


@attr.s(auto_attribs=True, frozen=True, slots=True)
class _Route:
    method: str
    parameters: int
    handler: _Handler


class ContentScannerResource(DirectServeJsonResource):
    """Answers everything below `PATH`."""

    isLeaf = True  # noqa: N815 - Twisted's name

    def __init__(self, api: ModuleApi, examiner: Examiner, secrets: Secrets, links: Links) -> None:
        super().__init__()
        self._api = api
        self._examiner = examiner
        self._secrets = secrets
        self._links = links
        self._routes: Mapping[str, _Route] = MappingProxyType(
            {
                "download": _Route("GET", 2, self._download),
                "thumbnail": _Route("GET", 2, self._thumbnail),
                "scan": _Route("GET", 2, self._scan),
                "download_encrypted": _Route("POST", 0, self._download_encrypted),
                "scan_encrypted": _Route("POST", 0, self._scan_encrypted),
            }
        )

    def _send_response(self, request: SynapseRequest, code: int, response_object: Any) -> None:  # noqa: ANN401 - Synapse's
        """Called by Synapse with what `_async_render` returned."""
        send_json(request, code, response_object)

    async def _async_render(self, request: SynapseRequest) -> tuple[int, Any] | None:
        """Called by Synapse for every method but OPTIONS, which it answers itself.

        Returns:
            Status and JSON object; None when a file was sent.
        """
        try:
            return await self._answer(request)
        except ContentScannerError as error:
            return error.status, error.body
        except SynapseError as error:
            # Synapse's own refusals: of the token, of a thumbnail's parameters, of too many downloads.
            return error.code, {**error.error_dict(None), "reason": error.errcode, "info": error.msg}
        except Exception as error:
            if request.startedWriting:
                raise
            logger.error("The content scanner API failed: %s", traced(error, is_quoted=False))
            broken = errors.internal_error()
            return broken.status, broken.body

    async def _answer(self, request: SynapseRequest) -> tuple[int, Any] | None:
        path = [segment.decode("utf-8", errors="replace") for segment in request.postpath or []]
        if len(path) > 1 and not path[-1]:
            path.pop()
        if not path or not is_for_clients(self._api, request):
            raise errors.unrecognized(HTTPStatus.NOT_FOUND)
        name, *parameters = path
        method = "GET" if request.method == b"HEAD" else request.method.decode("ascii", errors="replace")
        if name == "public_key" and not parameters:
            _check_method(method, "GET")
            return HTTPStatus.OK, {"public_key": (await self._secrets.request_key()).public_key}
        route = self._routes.get(name)
        if route is None or len(parameters) != route.parameters:
            raise errors.unrecognized(HTTPStatus.NOT_FOUND)
        _check_method(method, route.method)
        requester = await requester_of(self._api, request)
        if parameters and not (is_server_name(parameters[0]) and is_media_id(parameters[1])):
            raise errors.no_such_file()
        asker = Asker(requester.user.to_string(), request.getClientAddress().host)
        return await route.handler(request, asker, parameters)

    async def _scan(self, _request: SynapseRequest, asker: Asker, parameters: Sequence[str]) -> _JSON:
        return _scan_result(await self._examiner.plain(asker, *parameters))

    async def _scan_encrypted(self, request: SynapseRequest, asker: Asker, _parameters: Sequence[str]) -> _JSON:
        return _scan_result(await self._examine(request, asker))

    async def _download(self, request: SynapseRequest, asker: Asker, parameters: Sequence[str]) -> None:
        details = _delivered(await self._examiner.plain(asker, *parameters))
        await self._send(request, details, details.media_type or OPAQUE_TYPE)

    async def _download_encrypted(self, request: SynapseRequest, asker: Asker, _parameters: Sequence[str]) -> None:
        details = _delivered(await self._examine(request, asker))
        await self._send(request, details, OPAQUE_TYPE)

    async def _thumbnail(self, request: SynapseRequest, asker: Asker, parameters: Sequence[str]) -> None:
        """Thumbnails are made by Synapse from what was scanned, so the scan of the original says it all."""
        _delivered(await self._examiner.plain(asker, *parameters))
        await media_serving.send_thumbnail(self._api, request, *parameters)

    async def _examine(self, request: SynapseRequest, asker: Asker) -> Examination:
        content = request.content.read(MAX_BODY_BYTES + 1) if request.content is not None else b""
        wanted = read_scan_request(content, await self._secrets.request_key())
        examination = await self._examiner.encrypted(asker, wanted.file, await self._secrets.verdict_secret())
        if wanted.event is not None:
            names = wanted.file.server_name, wanted.file.media_id
            await self._links.note(
                asker.user_id,
                *names,
                room_id=wanted.event.room_id,
                event_id=wanted.event.event_id,
                proved=examination.is_proved,
            )
        return examination

    async def _send(self, request: SynapseRequest, details: MediaDetails, media_type: str) -> None:
        stored = details.stored
        async with self._examiner.opened(stored) as path:
            try:
                fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            except OSError as error:
                raise errors.no_verdict(f"The file can't be read: {error.strerror}") from None
        with os.fdopen(fd, "rb") as file:
            status = os.fstat(fd)
            if not stat.S_ISREG(status.st_mode):
                raise errors.no_such_file()
            part = _part_of(request, status.st_size)
            first, length = (0, status.st_size) if part is None else (part.first, part.length)
            request.setHeader(b"Accept-Ranges", b"bytes")
            request.setResponseCode(HTTPStatus.OK if part is None else HTTPStatus.PARTIAL_CONTENT)
            if part is not None:
                request.setHeader(b"Content-Range", part.content_range(status.st_size).encode())
            media_serving.mark_accessed(self._api, stored.server_name, stored.media_id)
            headers = media_type, details.upload_name
            await media_serving.send_part(self._api, request, file, first=first, length=length, headers=headers)


def _part_of(request: SynapseRequest, size: int) -> ByteRange | None:
    # We send no validator that an `If-Range` could match (RFC 9110 section 13.1.5).
    header = None if request.getHeader(b"If-Range") is not None else request.getHeader(b"Range")
    try:
        return wanted_range(None if header is None else header.decode("latin-1"), size)
    except UnsatisfiableRangeError:
        request.setHeader(b"Content-Range", f"bytes */{size}".encode())
        raise errors.unsatisfiable_range() from None


def _check_method(method: str, wanted: str) -> None:
    if method != wanted:
        raise errors.unrecognized(HTTPStatus.METHOD_NOT_ALLOWED)


def _scan_result(examination: Examination) -> _JSON:
    if examination.verdict is KeyVerdict.FORBIDDEN:
        raise errors.type_forbidden()
    clean = examination.verdict is KeyVerdict.CLEAN
    return HTTPStatus.OK, {"clean": clean, "info": "File is clean" if clean else errors.VIRUS_FOUND}


def _delivered(examination: Examination) -> MediaDetails:
    if examination.verdict is KeyVerdict.FORBIDDEN:
        raise errors.type_forbidden()
    if examination.verdict is not KeyVerdict.CLEAN or examination.details is None:
        raise errors.not_clean()
    if examination.is_withheld:
        raise errors.no_such_file()
    return examination.details
