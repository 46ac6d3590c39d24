"""Paths of our API: templates such as `antivirus/findings/{server_name}/{media_id}`, and which one a request means.

Pure. A path is split before it is decoded, so `%2F` stays inside its segment, and segments are never joined again: what
a handler gets is one decoded text per parameter, and each has passed its validator.
"""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Final

import attr

from synapse_bum import identifiers

Validator = Callable[[str], bool]


def _is_room_or_user(text: str) -> bool:
    return identifiers.is_room_id(text) or identifiers.is_user_id(text)


VALIDATORS: Final[Mapping[str, Validator]] = MappingProxyType(
    {
        "server_name": identifiers.is_server_name,
        "partner_name": identifiers.is_line,
        "signature": identifiers.is_signature,
        "media_id": identifiers.is_media_id,
        "run_id": identifiers.is_run_id,
        "outage_id": identifiers.is_run_id,
        "maintenance_id": identifiers.is_run_id,
        "ticket_id": identifiers.is_run_id,
        "user_id": identifiers.is_user_id,
        "room_id": identifiers.is_room_id,
        "room_or_user_id": _is_room_or_user,
    }
)
"""The parameters that a template may have, by name."""


class InvalidSegmentError(Exception):
    """A segment is not what its parameter must be."""

    def __init__(self, parameter: str) -> None:
        super().__init__(parameter)
        self.parameter = parameter


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Template:
    """A path with parameters.

    Attributes:
        text: as written, below the base of the API.
        segments: fixed text, or a parameter's name in braces.
    """

    text: str
    segments: tuple[str, ...]

    @classmethod
    def parse(cls, text: str) -> "Template":
        """Reads a template.

        Raises:
            ValueError: it has an empty segment, a parameter without validator, or one twice.
        """
        segments = tuple(text.split("/"))
        parameters = [segment[1:-1] for segment in segments if _is_parameter(segment)]
        unknown = [name for name in parameters if name not in VALIDATORS]
        if unknown or len(set(parameters)) < len(parameters) or not all(segments):
            raise ValueError(f"`{text}` is no template; parameters are {', '.join(VALIDATORS)}")
        return cls(text, segments)

    @property
    def fixed(self) -> tuple[bool, ...]:
        """For each segment whether it is fixed text; the greatest of several templates fits best."""
        return tuple(not _is_parameter(segment) for segment in self.segments)

    def fits(self, path: Sequence[bytes]) -> bool:
        """Whether the fixed segments are those of the path and no parameter is empty.

        Args:
            path: percent-decoded segments, as Twisted's `Request.postpath` has them.
        """
        if len(path) != len(self.segments):
            return False
        return all(
            bool(given) if _is_parameter(segment) else given == segment.encode()
            for segment, given in zip(self.segments, path, strict=True)
        )

    def values(self, path: Sequence[bytes]) -> Mapping[str, str]:
        """Decodes and validates the parameters of a path that fits.

        Returns:
            decoded text by parameter.

        Raises:
            InvalidSegmentError: a segment is no UTF-8 or not what its parameter must be.
        """
        found: dict[str, str] = {}
        for segment, given in zip(self.segments, path, strict=True):
            if not _is_parameter(segment):
                continue
            name = segment[1:-1]
            try:
                text = given.decode()
            except UnicodeDecodeError:
                raise InvalidSegmentError(name) from None
            if not VALIDATORS[name](text):
                raise InvalidSegmentError(name)
            found[name] = text
        return MappingProxyType(found)


def _is_parameter(segment: str) -> bool:
    return segment.startswith("{") and segment.endswith("}")
