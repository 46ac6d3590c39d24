"""Request bodies: a JSON object of at most 64 KiB that is exactly what a schema says.

Pure. A schema is a class as in `synapse_bum.reading`; an unknown key is refused, because a mistyped `dry_run` must not
start a real run.
"""

import json
from http import HTTPStatus
from typing import Final, NoReturn, TypeVar

from synapse.module_api.errors import Codes, SynapseError

from synapse_bum.reading import Path, Problem, Refusal, read
from synapse_bum.rest.errors import invalid_param

T = TypeVar("T")

MAX_BODY_BYTES: Final = 65_536


def read_body(schema: type[T], content: bytes) -> T:
    """Reads a body.

    Args:
        schema: an attrs class made with `option`.
        content: of the request; one byte above the limit is enough to be refused.

    Raises:
        SynapseError: 413 M_TOO_LARGE; 400 M_NOT_JSON for anything but a JSON object; 400 M_MISSING_PARAM and
            M_INVALID_PARAM with the parameter's name.
    """
    if len(content) > MAX_BODY_BYTES:
        raise SynapseError(
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"The body has more than {MAX_BODY_BYTES} bytes", Codes.TOO_LARGE
        )
    try:
        return read(schema, _json_object(content))
    except Refusal as e:
        code = Codes.MISSING_PARAM if e.problem is Problem.MISSING else Codes.INVALID_PARAM
        raise SynapseError(HTTPStatus.BAD_REQUEST, e.sentence(_dotted), code) from None


def _json_object(content: bytes) -> dict[str, object]:
    try:
        decoded = json.loads(content.decode(), object_pairs_hook=_without_duplicates, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        decoded = None
    if not isinstance(decoded, dict):
        raise SynapseError(HTTPStatus.BAD_REQUEST, "The body must be a JSON object", Codes.NOT_JSON)
    return decoded


def _without_duplicates(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found: dict[str, object] = {}
    for key, value in pairs:
        if key in found:
            raise invalid_param(key, "stands in the body twice")
        found[key] = value
    return found


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON (RFC 8259 section 6)")


def _dotted(path: Path) -> str:
    return ".".join(path) or "body"
