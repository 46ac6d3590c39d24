"""Everything that a SCIM request can be refused with (RFC 7644 3.12). Pure.

The details are read by administrators of an identity provider, in its log of provisioning. They name attributes, never
their values: a value may be a password or a name.
"""

from typing import ClassVar, Final

import attr

ERROR_SCHEMA: Final = "urn:ietf:params:scim:api:messages:2.0:Error"


@attr.s(auto_attribs=True, frozen=True, slots=True)
class ErrorAnswer:
    """What is sent for an error.

    Attributes:
        status: of HTTP.
        body: the JSON object.
        retry_after_s: value of the header `Retry-After` in seconds; None for no header.
    """

    status: int
    body: dict[str, object]
    retry_after_s: int | None


class ScimError(Exception):
    """A request is refused. The argument is the sentence that the client gets as `detail`."""

    status: ClassVar[int] = 500
    scim_type: ClassVar[str | None] = None

    def __init__(self, detail: str, *, retry_after_s: int | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.retry_after_s = retry_after_s

    def answer(self) -> ErrorAnswer:
        """Status, body and header of the answer. The body's status is text (RFC 7644 3.12)."""
        body: dict[str, object] = {"schemas": [ERROR_SCHEMA], "status": str(self.status), "detail": self.detail}
        if self.scim_type is not None:
            body["scimType"] = self.scim_type
        return ErrorAnswer(self.status, body, self.retry_after_s)


class InvalidRequestError(ScimError):
    """The request can never succeed as it is."""

    status = 400


class InvalidSyntaxError(InvalidRequestError):
    """The body is no JSON object, or not of the schema that it should be."""

    scim_type = "invalidSyntax"


class InvalidValueError(InvalidRequestError):
    """A value is missing, of the wrong type, too long, or holds what must not be in it."""

    scim_type = "invalidValue"


class InvalidPathError(InvalidRequestError):
    """The `path` of an operation is malformed, or of no attribute of a user."""

    scim_type = "invalidPath"


class InvalidFilterError(InvalidRequestError):
    """A filter is malformed, or not supported."""

    scim_type = "invalidFilter"


class NoTargetError(InvalidRequestError):
    """An operation says not what to change."""

    scim_type = "noTarget"


class MutabilityError(InvalidRequestError):
    """An attribute can't be changed, or not be removed."""

    scim_type = "mutability"


class UnauthorizedError(ScimError):
    """The token is missing or wrong."""

    status = 401


class ForbiddenError(ScimError):
    """The change must not be made, whoever asks for it."""

    status = 403


class NotFoundError(ScimError):
    """There is no such resource, or none that this client may see."""

    status = 404


class MethodNotAllowedError(ScimError):
    """The path is right, the method is not."""

    status = 405


class ConflictError(ScimError):
    """The state of the account does not allow the change."""

    status = 409


class UniquenessError(ConflictError):
    """Somebody else has this value already."""

    scim_type = "uniqueness"


class TooLargeError(ScimError):
    """The body is too long."""

    status = 413


class TooManyRequestsError(ScimError):
    """The limit of changes is reached; see `retry_after_s`."""

    status = 429


class InternalError(ScimError):
    """We failed."""


class NotSupportedError(ScimError):
    """This homeserver can't do that."""

    status = 501


class UnavailableError(ScimError):
    """Not now; see `retry_after_s`."""

    status = 503
