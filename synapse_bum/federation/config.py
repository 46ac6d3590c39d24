"""The `config:` of `synapse_bum.federation.FederationModule`. Each key is explained in README.md."""

import datetime as dt
import re
from collections.abc import Mapping
from enum import Enum
from typing import Final
from zoneinfo import ZoneInfo

import attr
from synapse.module_api.errors import ConfigError

from synapse_bum.config import (
    Path,
    SharedConfig,
    absolute_path,
    boolean,
    duration_ms,
    fail,
    mapping_of,
    one_of,
    option,
    section,
    text,
)
from synapse_bum.federation.names import WILDCARD, NameRefusedError, partner_name

_ZONE: Final = "Europe/Berlin"
_MAX_WAIT_MS: Final = 600_000
_DATE: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)


class Relay(Enum):
    """What becomes of events of servers that are not allowed, when a partner passes them on."""

    HIDE = "hide"
    SHOW = "show"


def date_ts(value: object, path: Path) -> int:
    """Reads a day, and returns its first moment in Germany in ms since the epoch."""
    expected = "must be a day such as `2026-01-31`"
    day = value
    if isinstance(value, str) and _DATE.fullmatch(value):
        try:
            day = dt.date.fromisoformat(value)
        except ValueError:
            fail(path, f"{expected}; there is no such day")
    if not isinstance(day, dt.date) or isinstance(day, dt.datetime):
        fail(path, expected)
    begin = dt.datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(_ZONE))
    return int(begin.timestamp()) * 1000


def static_name(value: object, path: Path) -> str:
    """Reads the name of a partner. Whether wildcards may stand here is checked where the whole section is known."""
    try:
        return partner_name(text(value, path), own_name="", allow_wildcards=True)
    except NameRefusedError as refusal:
        fail(path, str(refusal))


def list_source(value: object, path: Path) -> str:
    """Reads where a list is: an absolute path or an https address."""
    place = text(value, path)
    if not place.isprintable() or not (place.startswith("/") or re.fullmatch(r"https://[^\s/?#@]+(/[^\s#]*)?", place)):
        fail(path, "must be an absolute path, or an address that begins with `https://` and holds no password")
    return place


@attr.s(auto_attribs=True, frozen=True, slots=True)
class StaticPartner:
    """One entry of `partners`.

    Attributes:
        organisation: to whom the server belongs.
        valid_from: first moment, ms since the epoch; None for always.
        valid_until: the first moment behind it; None for ever.
    """

    organisation: str | None = option(text, default=None)
    valid_from: int | None = option(date_ts, default=None)
    valid_until: int | None = option(date_ts, default=None)

    def __attrs_post_init__(self) -> None:
        if self.valid_from is not None and self.valid_until is not None and self.valid_until <= self.valid_from:
            raise ConfigError("must be a day after `valid_from`", ("valid_until",))


@attr.s(auto_attribs=True, frozen=True, slots=True)
class SignedListConfig:
    """Section `signed_list`.

    Attributes:
        source: path or https address of the list.
        keys_path: file with a JSON Web Key Set, the keys of whoever signs.
        refresh_ms: between two looks.
        max_stale_ms: how long the list is believed after it was last confirmed.
    """

    source: str = option(list_source)
    keys_path: str = option(absolute_path)
    refresh_ms: int = option(duration_ms, default="1h", key="refresh")
    max_stale_ms: int = option(duration_ms, default="7d", key="max_stale")

    def __attrs_post_init__(self) -> None:
        if self.max_stale_ms <= self.refresh_ms:
            raise ConfigError("must be longer than `refresh`", ("max_stale",))


@attr.s(auto_attribs=True, frozen=True, slots=True)
class RemovalConfig:
    """Section `removal`.

    Attributes:
        kick: whether members of a removed partner are removed from rooms.
        wait_ms: how long kicks may take to leave; at most ten minutes.
    """

    kick: bool = option(boolean, default=True)
    wait_ms: int = option(duration_ms, default="60s", key="wait")

    def __attrs_post_init__(self) -> None:
        if self.wait_ms > _MAX_WAIT_MS:
            raise ConfigError("must not be longer than `10m`: until it ends, events go out to the partner", ("wait",))


@attr.s(auto_attribs=True, frozen=True, slots=True)
class FederationConfig(SharedConfig):
    """The whole configuration of the module.

    Attributes:
        partners: by name.
        managed: whether partners can be changed at run time.
        allow_wildcards: whether a partner may be all servers below a name.
        signed_list: None without one.
        removal: what happens when an operator removes a partner.
        relay: what becomes of events of others that a partner passes on.
    """

    partners: Mapping[str, StaticPartner] = option(mapping_of(static_name, section(StaticPartner)), default={})
    managed: bool = option(boolean, default=True)
    allow_wildcards: bool = option(boolean, default=False)
    signed_list: SignedListConfig | None = option(section(SignedListConfig), default=None)
    removal: RemovalConfig = option(section(RemovalConfig), default={})
    relay: Relay = option(one_of(Relay), default="hide")

    def __attrs_post_init__(self) -> None:
        wildcards = sorted(name for name in self.partners if name.startswith(WILDCARD))
        if wildcards and not self.allow_wildcards:
            raise ConfigError("is a wildcard; these need `allow_wildcards: true`", ("partners", wildcards[0]))
