"""The error answers of our API, as exceptions: status, `errcode` and a sentence for whoever asked."""

from http import HTTPStatus

from synapse.module_api.errors import Codes, SynapseError


def unrecognized(status: HTTPStatus = HTTPStatus.NOT_FOUND) -> SynapseError:
    """No such path (404), or not with this method (405)."""
    return SynapseError(status, "Unrecognized request", Codes.UNRECOGNIZED)


def forbidden(sentence: str) -> SynapseError:
    """The caller is known but may not do this (403)."""
    return SynapseError(HTTPStatus.FORBIDDEN, sentence, Codes.FORBIDDEN)


def not_found(what: str) -> SynapseError:
    """There is no such object (404).

    Args:
        what: completes "There is no ...", for example "finding for this file".
    """
    return SynapseError(HTTPStatus.NOT_FOUND, f"There is no {what}", Codes.NOT_FOUND)


def conflict(sentence: str) -> SynapseError:
    """The object is in a state that does not allow this (409). Matrix has no `errcode` of its own for it."""
    return SynapseError(HTTPStatus.CONFLICT, sentence, Codes.UNKNOWN)


def too_many(sentence: str, retry_after_ms: int | None = None) -> SynapseError:
    """The caller has done this too often (429).

    Args:
        sentence: what is limited.
        retry_after_ms: when it may be done again; None when that is not a matter of time alone.
    """
    fields = {} if retry_after_ms is None else {"retry_after_ms": retry_after_ms}
    return SynapseError(HTTPStatus.TOO_MANY_REQUESTS, sentence, Codes.LIMIT_EXCEEDED, additional_fields=fields)


def invalid_param(name: str, remedy: str) -> SynapseError:
    """A parameter of the path, the query or the body is wrong (400).

    Args:
        name: of the parameter.
        remedy: what would be right, for example "must be a server name".
    """
    return SynapseError(HTTPStatus.BAD_REQUEST, f"`{name}`: {remedy}", Codes.INVALID_PARAM)
