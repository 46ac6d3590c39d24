"""Roles and groups of a person that count here, and how far the lists can be believed.

Sources: Microsoft identity platform, "Groups overage claim"; OpenID Connect Core 1.0 section 5.6.2 (`_claim_names`).
"""

from collections.abc import Mapping, Sequence
from typing import Final

import attr

from synapse_bum.oidc.mapping.config import MappingConfig
from synapse_bum.oidc.mapping.preset import ClaimPath, Preset

_FULL_PATH: Final = "/"


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Roles:
    """What the lists say.

    Attributes:
        held: roles of the configuration that the person has.
        listed: whether at least one list is there.
        groups_listed: whether the list of groups is there.
        doubtful: whether a list is unusable or does not fit into the token: the person may have more roles.
        reasons: sentences about what was left out.
    """

    held: frozenset[str]
    listed: bool
    groups_listed: bool
    doubtful: bool
    reasons: tuple[str, ...]


class _Unusable(Exception):  # noqa: N818 - a state of a list
    """Something stands there, and it is no list of texts."""


def roles_of(config: MappingConfig, claims: Mapping[str, object]) -> Roles:
    """Reads the lists of roles, and the list of groups when the configuration names one.

    A name that begins with `/` is a group: no role of that name counts as one. With Keycloak a group without it is
    the leaf of a path, and anybody may have a group of that name somewhere: it does not count.

    Args:
        config: of the identity provider.
        claims: what it says of the person.
    """
    wanted = config.admin_roles | config.required_roles
    held: set[str] = set()
    reasons: list[str] = []
    listed = groups_listed = doubtful = False
    groups = () if config.groups_path is None else ((config.groups_path, True),)
    for path, is_groups in (*((path, False) for path in config.roles_paths), *groups):
        if _overflows(claims, path, is_groups=is_groups):
            doubtful = True
            reasons.append(f"Not all of `{_dotted(path)}` fits into the token")
        try:
            names = _names_at(claims, path)
        except _Unusable:
            doubtful = True
            reasons.append(f"The claim `{_dotted(path)}` is no list of texts; it gives nothing")
            continue
        if names is None:
            continue
        listed = True
        found = wanted.intersection(names)
        if not is_groups:
            held.update(name for name in found if not name.startswith(_FULL_PATH))
            continue
        groups_listed = True
        if config.preset is Preset.KEYCLOAK:
            found = frozenset(name for name in found if name.startswith(_FULL_PATH))
            if not all(name.startswith(_FULL_PATH) for name in names):
                reasons.append(f"Groups of `{_dotted(path)}` without their full path give nothing")
        held.update(found)
    return Roles(frozenset(held), listed, groups_listed, doubtful, tuple(reasons))


def _names_at(claims: Mapping[str, object], path: ClaimPath) -> Sequence[str] | None:
    value: object = claims
    for segment in path:
        if not isinstance(value, Mapping):
            raise _Unusable
        value = value.get(segment)
        if value is None:
            return None
    if isinstance(value, (list, tuple)) and all(isinstance(name, str) for name in value):
        return value
    raise _Unusable


def _overflows(claims: Mapping[str, object], path: ClaimPath, *, is_groups: bool) -> bool:
    """Whether a claim was left out of the token because it is too long: it stands elsewhere then."""
    elsewhere = claims.get("_claim_names")
    if elsewhere is not None and (not isinstance(elsewhere, Mapping) or path[0] in elsewhere):
        return True
    return is_groups and claims.get("hasgroups") not in (None, False)


def _dotted(path: ClaimPath) -> str:
    return ".".join(path)
