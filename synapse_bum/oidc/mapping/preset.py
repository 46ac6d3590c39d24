"""What each identity provider calls things: the claims that hold a person's subject, name, address and roles.

Sources: Microsoft identity platform, "ID token claims reference" and "Optional claims"; Okta, "OpenID Connect & OAuth
2.0 API"; Keycloak, "Server Administration Guide", default client scopes; OpenID Connect Core 1.0 section 5.1.
"""

from collections.abc import Mapping
from enum import Enum
from typing import Final, TypeAlias

import attr

ClaimPath: TypeAlias = tuple[str, ...]
"""Names from a claim down to what is nested in it: `("realm_access", "roles")`."""


class Preset(Enum):
    """Which identity provider it is."""

    KEYCLOAK = "keycloak"
    ENTRA_ID = "entra_id"
    OKTA = "okta"
    GENERIC = "generic"


@attr.s(auto_attribs=True, frozen=True, slots=True)
class PresetRules:
    """What holds for an identity provider as long as the configuration says nothing else.

    Attributes:
        subject_claims: claims that name a person for ever; several are joined with `:`.
        localpart_claim: the login name.
        display_name_claim: the name for people.
        email_claim: the e-mail address.
        roles_paths: where roles are listed; Keycloak's client roles come beside them, by `client_id`.
        before_at: whether the localpart is what stands before the first `@` of the login name.
        integer_subject: whether a subject may be a whole number. It is written in digits, as Synapse does, so 1 and
            "1" are the same person: an identity provider has numbers or texts, and one that changes from one to the
            other means the same people.
        email_when_verified: whether an address counts with `email_verified: true`; otherwise never.
    """

    subject_claims: tuple[str, ...] = ("sub",)
    localpart_claim: str = "preferred_username"
    display_name_claim: str = "name"
    email_claim: str = "email"
    roles_paths: tuple[ClaimPath, ...] = ()
    before_at: bool = False
    integer_subject: bool = False
    email_when_verified: bool = True


PRESETS: Final[Mapping[Preset, PresetRules]] = {
    Preset.KEYCLOAK: PresetRules(roles_paths=(("realm_access", "roles"),)),
    # `sub` is another one for each application, `oid` is the person's within the tenant; nobody verifies `email`.
    Preset.ENTRA_ID: PresetRules(
        subject_claims=("tid", "oid"), roles_paths=(("roles",),), before_at=True, email_when_verified=False
    ),
    Preset.OKTA: PresetRules(before_at=True),
    Preset.GENERIC: PresetRules(integer_subject=True),
}
