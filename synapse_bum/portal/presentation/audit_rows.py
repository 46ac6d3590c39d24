"""The audit as a person reads it: what an action is called, who acts, and what was changed. Pure."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

import attr

from synapse_bum.portal.homeserver_api.steps import REFUSED, UNFINISHED, Action
from synapse_bum.portal.language.formats import Formats

_RUN_STATES: Final = ("queued", "running", "needs_confirmation", "done", "failed", "cancelled")


def _of(prefix: str, *names: str) -> tuple[str, ...]:
    return tuple(f"{prefix}.{name}" for name in names)


GROUPS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "antivirus": (
            *_of("antivirus", "rejected", "blocked", "block_failed", "released", "deleted", "let_go", "forgotten"),
            *_of("antivirus.rescan", "queued", "running", "needs_confirmation", "done", "cancelled"),
        ),
        "media": ("media.delete",),
        "retention": (
            *_of("retention.run", *_RUN_STATES),
            *_of("retention", "purge", "room.delete", "stray_files.remove", "hold.set", "hold.lift"),
        ),
        "storage": ("storage.recount", *_of("storage.orphans", *_RUN_STATES), "storage.orphans.remove"),
        "federation": _of(
            "federation",
            *("added", "changed", "removed", "closed"),
            *("list_taken", "list_waits", "list_confirmed", "list_refused"),
        ),
        "oidc": (
            *_of("oidc.admin", "granted", "revoked", "withdrawn", "kept", "by_hand"),
            *_of("oidc", "email.changed", "email.taken", "display_name.changed", "subject.migrated"),
            *_of("oidc.scim", "created", "adopted", "returned", "changed", "ended", "restored"),
            *_of("oidc.scim", "deleted", "deactivated", "refused"),
        ),
        "availability": (
            *_of("availability", "entered", "changed", "removed", "measured", "followed", "retracted"),
            *_of("availability", "announced", "reannounced", "withdrawn", "token_shown"),
        ),
        "support": _of("support.ticket", "reported", "confirmed", "answered"),
        "portal": (*(action.value for action in Action), REFUSED, UNFINISHED),
        "audit": ("audit.drop",),
    }
)
"""Every action that docs/api.md names, by what it is about."""

ACTIONS: Final = frozenset(action for actions in GROUPS.values() for action in actions)

JOBS: Final = frozenset(
    {
        "antivirus",
        "antivirus.rescan",
        "retention",
        "synapse_bum.storage",
        "federation.signed_list",
        "availability.probe",
        "audit.drop",
        "admin API",
    }
)
"""Actors that are no persons."""

_MOST_LINES: Final = 24
_MOST_CHARACTERS: Final = 300


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Line:
    """One line of what was changed; `name` is empty where the state is a single word."""

    name: str
    old: str
    new: str


def action_text(action: str) -> str | None:
    """Key of the name of an action; None for one that nobody has named."""
    return f"audit.action.{action}" if action in ACTIONS else None


def actor_text(actor: str) -> str | None:
    """Key of the name of a job; None for a person, and for a job that nobody has named."""
    return f"audit.actor.{actor.replace(' ', '_').lower()}" if actor in JOBS else None


def changes(old: object, new: object, formats: Formats) -> list[Line]:
    """What was changed, field by field.

    Args:
        old: the state before: a word, an object or None.
        new: the state afterwards.
        formats: writes times and sizes.
    """
    if not isinstance(old, dict) and not isinstance(new, dict):
        return [] if old is None and new is None else [Line("", _written("", old, formats), _written("", new, formats))]
    before, after = _fields(old), _fields(new)
    names = sorted({*before, *after}, key=lambda name: (name != "", name))
    lines = [
        Line(name, _written(name, before.get(name), formats), _written(name, after.get(name), formats))
        for name in names
        if not (before.get(name) is None and after.get(name) is None)
    ]
    left_out = len(lines) - _MOST_LINES
    return lines if left_out <= 0 else [*lines[:_MOST_LINES], Line("\N{HORIZONTAL ELLIPSIS}", "", f"+{left_out}")]


def _fields(state: object) -> dict[str, Any]:
    if isinstance(state, dict):
        return state
    return {} if state is None else {"": state}


def _written(name: str, value: object, formats: Formats) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int):
        return _number(name, value, formats)
    if isinstance(value, dict):
        return _cut(", ".join(f"{key}: {_written(key, inner, formats)}" for key, inner in value.items()))
    if isinstance(value, list):
        return _cut(", ".join(_written("", inner, formats) for inner in value))
    return _cut(str(value))


def _number(name: str, value: int, formats: Formats) -> str:
    if name.endswith("_bytes"):
        return formats.size(value)
    if name.endswith("_ts"):
        try:
            return formats.time(value)
        except (OverflowError, ValueError, OSError):
            return str(value)
    return str(value)


def _cut(text: str) -> str:
    return text if len(text) <= _MOST_CHARACTERS else text[: _MOST_CHARACTERS - 1] + "\N{HORIZONTAL ELLIPSIS}"
