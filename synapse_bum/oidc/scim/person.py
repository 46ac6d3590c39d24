"""Who a SCIM user is to the mapping: subject, localpart and names by the same rules as at a login. Pure.

The `id` of a resource is its subject in base64url: it stays, and needs no table.
"""

import base64
import binascii
import re
from typing import Final

import attr

from synapse_bum.oidc.mapping.claims import ClaimError
from synapse_bum.oidc.mapping.config import MappingConfig
from synapse_bum.oidc.mapping.decision import Decision, decide
from synapse_bum.oidc.mapping.subject import subject_of
from synapse_bum.oidc.scim.errors import InvalidValueError
from synapse_bum.oidc.scim.resources import ScimUser

ENTRA_SUBJECT: Final = ("tid", "oid")
_GUID: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII | re.IGNORECASE)
_MAX_ID: Final = 2_048


def can_provision(config: MappingConfig) -> bool:
    """Whether `externalId` can be what this mapping takes for the subject."""
    if config.tenant is not None:
        return config.subject_claims == ENTRA_SUBJECT
    return len(config.subject_claims) == 1


def subject_for(config: MappingConfig, external_id: str | None) -> str:
    """The subject that a person will have at the first login.

    Args:
        config: of the mapping.
        external_id: what the identity provider calls the person.

    Raises:
        InvalidValueError: it is missing, or can't be a subject.
    """
    if external_id is None:
        raise InvalidValueError("externalId is required: it says whose account this is.")
    if config.tenant is not None and _GUID.fullmatch(external_id) is None:
        raise InvalidValueError("externalId must be the object id of the person; map objectId to externalId.")
    try:
        return subject_of(config, _subject_claims(config, external_id))
    except ClaimError:
        raise InvalidValueError("externalId can't be the subject of a person.") from None


def external_id_of(config: MappingConfig, subject: str) -> str:
    """What the identity provider calls a person of whom only the subject is known."""
    return subject if config.tenant is None else subject.partition(":")[2]


def decision_for(config: MappingConfig, user: ScimUser) -> Decision:
    """What a login of this person would mean, apart from roles: SCIM knows none.

    Raises:
        InvalidValueError: the person could not log in: a guest, or no usable login name.
    """
    subject_for(config, user.external_id)
    said = {config.email_claim: _preferred_address(user), config.display_name_claim: user.shown_name}
    claims: dict[str, object] = {
        **{claim: value for claim, value in said.items() if value is not None},
        config.localpart_claim: user.user_name,
        **_subject_claims(config, user.external_id or ""),
    }
    without_roles = attr.evolve(config, required_roles=frozenset(), admin_roles=frozenset())
    decision = decide(without_roles, claims)
    if not decision.allowed:
        raise InvalidValueError(f"userName can't be used for an account: {'; '.join(decision.reasons)}.")
    return decision


def resource_id(subject: str) -> str:
    """SCIM's `id` of a person."""
    return base64.urlsafe_b64encode(subject.encode()).rstrip(b"=").decode("ascii")


def subject_of_id(text: str) -> str | None:
    """Whose `id` this is; None when it can be nobody's."""
    if len(text) > _MAX_ID:
        return None
    try:
        subject = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True).decode()
    except (binascii.Error, ValueError):
        return None
    # Other texts decode to the same bytes; a resource has one id.
    return subject if resource_id(subject) == text and "\0" not in subject else None


def _subject_claims(config: MappingConfig, external_id: str) -> dict[str, object]:
    if config.tenant is not None:
        return {"tid": config.tenant, "oid": external_id}
    return {config.subject_claims[0]: external_id}


def _preferred_address(user: ScimUser) -> str | None:
    """The primary address, else the one of work, else the first."""
    ranked = sorted(user.emails, key=lambda email: (not email.primary, (email.type or "").lower() != "work"))
    return ranked[0].value if ranked else None
