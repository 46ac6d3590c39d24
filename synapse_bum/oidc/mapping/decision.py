"""What the claims of a person mean: whether the person may come, under which name, with which rights.

Pure, and the only place where the single rules come together. Never raises, whatever the claims hold: what can't be
read is refused or left out, with a reason.
"""

from collections.abc import Mapping
from enum import Enum
from typing import Final

import attr

from synapse_bum.oidc.mapping.claims import ClaimError, text_claim
from synapse_bum.oidc.mapping.config import MappingConfig
from synapse_bum.oidc.mapping.display_name import cleaned_display_name
from synapse_bum.oidc.mapping.email_address import canonical_email
from synapse_bum.oidc.mapping.localpart import LocalpartError, base_localpart, login_name
from synapse_bum.oidc.mapping.preset import PRESETS, Preset
from synapse_bum.oidc.mapping.roles import Roles, roles_of
from synapse_bum.oidc.mapping.subject import subject_of

_GUEST_MARK: Final = "#ext#"
_LOGIN_NAMES: Final = ("preferred_username", "upn")


class AdminClaim(Enum):
    """What the identity provider says about a person's right to administer the homeserver."""

    YES = "yes"
    NO = "no"
    UNKNOWN = "unknown"
    """Nothing, or nothing that can be believed: changes nothing."""


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Decision:
    """What was found in the claims.

    Attributes:
        allowed: whether the person may log in. When not, only `subject`, `user_name`, `guest` and `reasons` say
            something: who it is that was refused.
        subject: who it is, for ever; None when that can't be read, and the person is refused then.
        localpart: of a new account, before a suffix; see `candidate`.
        user_name: the login name as the identity provider writes it, in NFC, without space at its ends.
        display_name: at most 256 characters; None for none.
        email: only when it may be trusted; canonical, lower case.
        admin: whether the person is to be an administrator.
        guest: whether it is a guest of the Entra ID tenant.
        reasons: plain sentences about refusals and about what was left out. They hold names of claims and of roles in
            the configuration, and no values of claims.
    """

    allowed: bool
    subject: str | None
    localpart: str | None
    user_name: str | None
    display_name: str | None
    email: str | None
    admin: AdminClaim
    guest: bool
    reasons: tuple[str, ...]


def decide(config: MappingConfig, claims: Mapping[str, object]) -> Decision:
    """Decides about a person.

    Args:
        config: of the identity provider.
        claims: what it says of the person; anything that JSON can hold.
    """
    refusals: list[str] = []
    subject = user_name = localpart = None
    try:
        subject = subject_of(config, claims)
    except ClaimError as e:
        refusals.append(str(e))
    try:
        user_name = login_name(claims, config.localpart_claim)
        localpart = base_localpart(user_name, before_at=PRESETS[config.preset].before_at)
    except (ClaimError, LocalpartError) as e:
        refusals.append(str(e))
    if not _is_of_tenant(config, claims):
        refusals.append("The claim `tid` is not the `tenant` of the configuration")
    guest = config.preset is Preset.ENTRA_ID and _is_guest(config, claims)
    if guest and config.deny_guests:
        refusals.append("Guests of the tenant are refused (`deny_guests`)")
    roles = roles_of(config, claims)
    if config.required_roles and not roles.held & config.required_roles:
        refusals.append("None of the `required_roles` is among the person's roles")
    if refusals:
        reasons = (*refusals, *roles.reasons)
        return Decision(False, subject, None, user_name, None, None, AdminClaim.UNKNOWN, guest, reasons)  # noqa: FBT003
    notes = list(roles.reasons)
    display_name = _display_name(config, claims, notes)
    email = _email(config, claims, notes)
    admin = _admin(config, roles, notes)
    return Decision(True, subject, localpart, user_name, display_name, email, admin, guest, tuple(notes))  # noqa: FBT003


def _is_of_tenant(config: MappingConfig, claims: Mapping[str, object]) -> bool:
    if config.tenant is None:
        return True
    tenant = claims.get("tid")
    return isinstance(tenant, str) and tenant.lower() == config.tenant


def _is_guest(config: MappingConfig, claims: Mapping[str, object]) -> bool:
    """Whether `acct` (0 is a member) or `idp` says so, or a login name is that of a guest; what is unclear is a guest.

    `idp` is who has authenticated the person. It is there when that is not the issuer, as with guests of another tenant
    (Microsoft identity platform, "ID token claims reference").
    """
    account_kind = claims.get("acct")
    if account_kind is not None and account_kind not in (0, "0"):
        return True
    authenticated_by = claims.get("idp")
    if authenticated_by is not None and not (
        isinstance(authenticated_by, str) and authenticated_by == claims.get("iss")
    ):
        return True
    names = map(claims.get, (config.localpart_claim, *_LOGIN_NAMES))
    return any(isinstance(name, str) and _GUEST_MARK in name.lower() for name in names)


def _display_name(config: MappingConfig, claims: Mapping[str, object], notes: list[str]) -> str | None:
    try:
        written = text_claim(claims, config.display_name_claim)
    except ClaimError as e:
        notes.append(str(e))
        return None
    return None if written is None else cleaned_display_name(written)


def _email(config: MappingConfig, claims: Mapping[str, object], notes: list[str]) -> str | None:
    claim = config.email_claim
    try:
        written = text_claim(claims, claim)
    except ClaimError as e:
        notes.append(str(e))
        return None
    if written is None:
        return None
    if config.trust_email is None and PRESETS[config.preset].email_when_verified:
        if claims.get("email_verified") is not True:
            notes.append(f"The claim `{claim}` is left out: `email_verified` is not true")
            return None
    elif not config.trust_email:
        notes.append(f"The claim `{claim}` is left out: nobody has verified it (`trust_email`)")
        return None
    address = canonical_email(written)
    if address is None:
        notes.append(f"The claim `{claim}` is left out: it is no plain address")
    return address


def _admin(config: MappingConfig, roles: Roles, notes: list[str]) -> AdminClaim:
    if not config.admin_roles:
        return AdminClaim.UNKNOWN
    granted = roles.held & config.admin_roles
    if granted:
        notes.append(f"The role `{min(granted)}` makes an administrator (`admin_roles`)")
        return AdminClaim.YES
    if roles.doubtful or not roles.listed:
        notes.append("Whether it is an administrator can't be read, so nothing changes")
        return AdminClaim.UNKNOWN
    if not roles.groups_listed and _may_be_by_group(config):
        notes.append("The groups are missing that could make an administrator, so nothing changes")
        return AdminClaim.UNKNOWN
    return AdminClaim.NO


def _may_be_by_group(config: MappingConfig) -> bool:
    """Whether a group may make an administrator: Keycloak's begin with `/`, elsewhere any name may be one."""
    if config.groups_path is None:
        return False
    return config.preset is not Preset.KEYCLOAK or any(name.startswith("/") for name in config.admin_roles)
