"""The list of partners that a federation signs: a JWS in compact form (RFC 7515) whose payload is this JSON object.

    {"version": 7, "expires_ts": 1798758000000, "partners": [
        {"server_name": "a.example", "organisation": "Amt A", "valid_from_ts": null, "valid_until_ts": null}]}

Pure. What is not exactly understood is refused as a whole, with a sentence: half a list would be another list. Unknown
fields are ignored, so that a federation may say more than this version knows.
"""

import base64
import json
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import attr

from synapse_bum.federation.jws import BadSignatureError
from synapse_bum.federation.names import NameRefusedError, partner_name, server_name
from synapse_bum.federation.partner import Partner, Source
from synapse_bum.quantities import kind_of, shown
from synapse_bum.reading import Path, Refusal, fail, integer, option, read, section, text

try:
    from synapse_bum.federation.jws_joserfc import payload_of
except ModuleNotFoundError:
    from synapse_bum.federation.jws_authlib import payload_of

if TYPE_CHECKING:
    from attr import AttrsInstance

MAX_BYTES: Final = 10 << 20
"""A hundred thousand partners."""

MAX_DROPPED: Final = 0.2
"""A list that drops a larger share of the partners in force waits for an operator."""

_MAX_TS: Final = 2**53 - 1
_EXCHANGE: Final = ("X25519", "X448")
"""Curves that sign nothing."""

_COMPACT: Final = re.compile(rb"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*")


class ListRefusedError(Exception):
    """This list is not taken over; the text says why."""


@attr.s(auto_attribs=True, frozen=True, slots=True)
class _Entry:
    server_name: str = option(text)
    organisation: str | None = option(text, default=None)
    valid_from_ts: int | None = option(integer(0, _MAX_TS), default=None)
    valid_until_ts: int | None = option(integer(0, _MAX_TS), default=None)


_read_entry: Final = section(_Entry)


def _entries(value: object, path: Path) -> tuple[_Entry, ...]:
    # Not `list_of`, which compares each item with all others.
    if not isinstance(value, list):
        fail(path, f"must be a list, not {kind_of(value)}")
    return tuple(_read_entry(_known(_Entry, item), (*path, str(place))) for place, item in enumerate(value))


def _known(schema: "type[AttrsInstance]", value: object) -> object:
    """Leaves out what this version does not know."""
    names = {field.name for field in attr.fields(schema)}
    return {key: found for key, found in value.items() if key in names} if isinstance(value, Mapping) else value


@attr.s(auto_attribs=True, frozen=True, slots=True)
class _Payload:
    version: int = option(integer(1, _MAX_TS))
    expires_ts: int = option(integer(0, _MAX_TS))
    partners: tuple[_Entry, ...] = option(_entries)


@attr.s(auto_attribs=True, frozen=True, slots=True)
class SignedList:
    """A list with a good signature.

    Attributes:
        version: counts up with each new list.
        expires_ts: the first moment in which it is not believed any more, ms since the epoch.
        partners: by name; this server itself is left out.
    """

    version: int
    expires_ts: int
    partners: Mapping[str, Partner]


def read_list(content: bytes, keys: bytes, *, own_name: str, allow_wildcards: bool, now_ms: int) -> SignedList:
    """Reads a list and proves its signature.

    Args:
        content: the JWS, white space around it allowed.
        keys: a JSON Web Key Set (RFC 7517) of public keys, each with a `kid`.
        own_name: of this homeserver, which stands in the list too.
        allow_wildcards: whether a partner may be all servers below a name.
        now_ms: ms since the epoch; it becomes `created_ts`.

    Raises:
        ListRefusedError: signature, form or content are wrong, or it is over, or empty.
    """
    if len(content) > MAX_BYTES:
        raise ListRefusedError(f"the list has more than {MAX_BYTES} bytes")
    payload = _read_payload(_proved(content.strip(), keys))
    if payload.expires_ts <= now_ms:
        raise ListRefusedError("the list is over (`expires_ts`)")
    partners: dict[str, Partner] = {}
    own = own_name.lower()
    for entry in payload.partners:
        try:
            if "*" not in entry.server_name and server_name(entry.server_name) == own:
                continue
            name = partner_name(entry.server_name, own_name=own_name, allow_wildcards=allow_wildcards)
        except NameRefusedError as refusal:
            raise ListRefusedError(f"{shown(entry.server_name)} in the list {refusal}") from None
        if name in partners:
            raise ListRefusedError(f"{shown(name)} stands in the list twice")
        partners[name] = Partner(
            name,
            entry.organisation,
            Source.SIGNED_LIST,
            valid_from_ts=entry.valid_from_ts,
            valid_until_ts=entry.valid_until_ts,
            created_ts=now_ms,
        )
    if not partners:
        raise ListRefusedError("the list is empty")
    return SignedList(payload.version, payload.expires_ts, partners)


def dropped(old: Mapping[str, Partner], new: Mapping[str, Partner], now_ms: int) -> list[str]:
    """The partners that a new list takes away: it lacks them, has them ended, or has them begin later than before."""
    return sorted(name for name in _lasting(old, now_ms) if not _goes_on(old[name], new.get(name), now_ms))


def drops_too_many(old: Mapping[str, Partner], new: Mapping[str, Partner], now_ms: int) -> bool:
    """Whether a new list takes away so many partners of the old one that an operator has to look."""
    return len(dropped(old, new, now_ms)) > MAX_DROPPED * len(_lasting(old, now_ms))


def _lasting(partners: Mapping[str, Partner], now_ms: int) -> list[str]:
    return [name for name, partner in partners.items() if _lasts(partner, now_ms)]


def _lasts(partner: Partner, now_ms: int) -> bool:
    return partner.valid_until_ts is None or now_ms < partner.valid_until_ts


def _goes_on(old: Partner, new: Partner | None, now_ms: int) -> bool:
    if new is None or not _lasts(new, now_ms):
        return False
    return new.valid_from_ts is None or new.valid_from_ts <= max(now_ms, old.valid_from_ts or 0)


def _proved(content: bytes, keys: bytes) -> bytes:
    """Returns the payload of a JWS whose signature is good."""
    if _COMPACT.fullmatch(content) is None:
        # Libraries would pass over whatever is no Base64.
        raise ListRefusedError("the list has no good signature (not in compact form)")
    key_set = _key_set(keys)
    header = _header(content)
    if "crit" in header:
        raise ListRefusedError("the list needs something that is not known here (`crit`)")
    kid = header.get("kid")
    if not isinstance(kid, str) or kid not in key_set:
        raise ListRefusedError("the list is signed with a key that is not in `keys_path`")
    try:
        return payload_of(content, key_set[kid])
    except BadSignatureError as e:
        raise ListRefusedError(f"the list has no good signature ({e})") from None


def _header(content: bytes) -> Mapping[str, Any]:
    encoded = content.partition(b".")[0]
    try:
        header = json.loads(base64.urlsafe_b64decode(encoded + b"=" * (-len(encoded) % 4)))
    except (ValueError, RecursionError):
        header = None
    if not isinstance(header, dict):
        raise ListRefusedError("the list has no good signature (its header is no JSON object)")
    return header


def _key_set(keys: bytes) -> Mapping[str, Mapping[str, Any]]:
    try:
        return {key["kid"]: key for key in json.loads(keys)["keys"] if _signs(key)}
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise ListRefusedError("`keys_path` holds no JSON Web Key Set with a `kid` for each key") from None


def _signs(key: Mapping[str, Any]) -> bool:
    """Whether a key is for signatures that the reader of the list can't make himself."""
    return key["kty"] in {"EC", "RSA", "OKP"} and key.get("use", "sig") == "sig" and key.get("crv") not in _EXCHANGE


def _read_payload(payload: bytes) -> _Payload:
    try:
        decoded = json.loads(payload)
        if not isinstance(decoded, dict):
            raise ListRefusedError("the list is no JSON object")
        return read(_Payload, _known(_Payload, decoded))
    except Refusal as refusal:
        raise ListRefusedError(f"the list is not understood: {refusal.sentence('.'.join)}") from None
    except (ValueError, RecursionError):
        raise ListRefusedError("the list is no JSON object") from None
