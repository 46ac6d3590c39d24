"""The errors of the content scanner API (MSC1453), as exceptions. `resource.py` turns them into answers in one place.

Each carries what the documentation of matrix-content-scanner says (status, `reason`, `info`) and beside it what every
Matrix client understands (`errcode`, `error`).
"""

from http import HTTPStatus
from typing import Any, Final

from synapse.module_api.errors import Codes

VIRUS_FOUND: Final = "***VIRUS DETECTED***"
"""`info` for an infected file, word for word as the peer says it: old clients show it."""


class ContentScannerError(Exception):
    """An answer other than 200.

    Attributes:
        status: of HTTP.
        reason: code of the content scanner API.
        info: a sentence for people; never holds what the client sent.
        errcode: code of Matrix.
    """

    def __init__(self, status: HTTPStatus, reason: str, info: str, errcode: str) -> None:
        super().__init__(info)
        self.status = status
        self.reason = reason
        self.info = info
        self.errcode = errcode

    @property
    def body(self) -> dict[str, Any]:
        """The JSON object that the client gets."""
        return error_body(self.reason, self.info, self.errcode)


def error_body(reason: str, info: str, errcode: str) -> dict[str, Any]:
    """The JSON object of an error."""
    return {"reason": reason, "info": info, "errcode": errcode, "error": info}


def malformed(info: str) -> ContentScannerError:
    """The request body is not what it must be (400)."""
    return ContentScannerError(HTTPStatus.BAD_REQUEST, "MCS_MALFORMED_JSON", info, Codes.BAD_JSON.value)


def bad_decryption() -> ContentScannerError:
    """The encrypted request body can't be decrypted (403): the client fetches the public key again and retries."""
    info = "The encrypted request body could not be decrypted. Fetch the public key again and retry once."
    return ContentScannerError(HTTPStatus.FORBIDDEN, "MCS_BAD_DECRYPTION", info, Codes.FORBIDDEN.value)


def failed_to_decrypt(info: str) -> ContentScannerError:
    """The file and what the client says of its encryption don't fit (400)."""
    return ContentScannerError(HTTPStatus.BAD_REQUEST, "MCS_MEDIA_FAILED_TO_DECRYPT", info, Codes.UNKNOWN.value)


def not_clean() -> ContentScannerError:
    """The file is infected (403)."""
    return ContentScannerError(HTTPStatus.FORBIDDEN, "MCS_MEDIA_NOT_CLEAN", VIRUS_FOUND, Codes.FORBIDDEN.value)


def type_forbidden() -> ContentScannerError:
    """The operator does not allow files of this type (403)."""
    info = "Files of this type are not allowed here"
    return ContentScannerError(HTTPStatus.FORBIDDEN, "MCS_MIME_TYPE_FORBIDDEN", info, Codes.FORBIDDEN.value)


def no_such_file() -> ContentScannerError:
    """The media repository does not have the file (404)."""
    info = "The file is not in the media repository"
    return ContentScannerError(HTTPStatus.NOT_FOUND, "M_NOT_FOUND", info, Codes.NOT_FOUND.value)


def no_verdict(info: str) -> ContentScannerError:
    """Nothing can be said of the file now (502): neither clean nor infected."""
    return ContentScannerError(HTTPStatus.BAD_GATEWAY, "MCS_MEDIA_REQUEST_FAILED", info, Codes.UNKNOWN.value)


def too_many(info: str) -> ContentScannerError:
    """The requester asks for more than his share (429)."""
    code = Codes.LIMIT_EXCEEDED.value
    return ContentScannerError(HTTPStatus.TOO_MANY_REQUESTS, code, info, code)


def unrecognized(status: HTTPStatus) -> ContentScannerError:
    """No such path (404) or not with this method (405)."""
    reason = Codes.NOT_FOUND if status is HTTPStatus.NOT_FOUND else Codes.UNRECOGNIZED
    return ContentScannerError(status, reason.value, "Unrecognized request", Codes.UNRECOGNIZED.value)


def unsatisfiable_range() -> ContentScannerError:
    """The client wants a part that the file does not have (416)."""
    status = HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE
    return ContentScannerError(
        status, Codes.INVALID_PARAM.value, "`Range` is behind the end", Codes.INVALID_PARAM.value
    )


def internal_error() -> ContentScannerError:
    """A defect of ours (500)."""
    return ContentScannerError(
        HTTPStatus.INTERNAL_SERVER_ERROR, Codes.UNKNOWN.value, "Internal server error", Codes.UNKNOWN.value
    )
