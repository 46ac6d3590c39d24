"""The `config:` of `synapse_bum.oidc.OidcMappingProvider`, under `user_mapping_provider`. README.md explains each key.

What is written and what holds are two classes: `MappingOptions` has gaps, `MappingConfig` has the preset in them.
"""

import re
from typing import Final

import attr
from synapse.module_api.errors import ConfigError

from synapse_bum.config import Path, boolean, fail, list_of, matching, one_of, option, parse, text
from synapse_bum.oidc.mapping.preset import PRESETS, ClaimPath, Preset

_PREFIX: Final = "oidc-"
_IDP_ID: Final = re.compile(r"[A-Za-z0-9._~-]{1,250}", re.ASCII)
_GUID: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII)

_MUTABLE: Final = frozenset(
    (
        "preferred_username", "username", "upn", "unique_name", "name", "nickname", "given_name", "family_name",
        "middle_name", "email", "mail", "phone_number",
    )
)  # fmt: skip
"""Claims that change, or that somebody else gets when a person leaves (OpenID Connect Core 1.0 section 5.7)."""

_idp_text: Final = matching(
    lambda value: _IDP_ID.fullmatch(value) is not None, "the `idp_id` of the entry of `oidc_providers`"
)
_segments: Final = list_of(text, minimum=1)


def idp_id(value: object, path: Path) -> str:
    """Reads an `idp_id` as it stands in `oidc_providers`, without the prefix that Synapse puts before it."""
    written = _idp_text(value, path)
    if written.startswith(_PREFIX):
        fail(path, f"write it as in `oidc_providers`; Synapse itself puts `{_PREFIX}` before it")
    return written


def tenant(value: object, path: Path) -> str:
    """Reads the id of a tenant, and returns it in lower case."""
    written = text(value, path).lower()
    if _GUID.fullmatch(written) is None:
        fail(path, "must be the id of the tenant, a GUID such as `01234567-89ab-cdef-0123-456789abcdef`, not a domain")
    return written


def claim_path(value: object, path: Path) -> ClaimPath:
    """Reads where something is in the claims: names with dots between them, or a list when a name has dots itself."""
    if not isinstance(value, str):
        return _repeating(value, path)
    segments = tuple(text(value, path).split("."))
    if not all(segments):
        fail(path, "must be names of claims with a dot between them, or a list of names")
    return segments


def _repeating(value: object, path: Path) -> ClaimPath:
    """Reads a list in which a name may stand twice: `[roles, roles]`."""
    if not isinstance(value, (list, tuple)) or not value:
        fail(path, "must be names of claims with a dot between them, or a list of names")
    return tuple(text(segment, (*path, f"<item {position}>")) for position, segment in enumerate(value))


@attr.s(auto_attribs=True, frozen=True, slots=True)
class MappingOptions:
    """What an operator writes. None and missing mean: as the preset has it.

    Attributes:
        idp_id: as in `oidc_providers`.
        preset: which identity provider it is.
        client_id: with Keycloak the client whose roles count.
        tenant: with Entra ID whose people may come; lower case.
        localpart_claim: see `PresetRules`, as the next three.
        subject_claims: see there; none of them may be one that changes.
        display_name_claim: see there.
        email_claim: see there.
        roles_path: where roles are listed, instead of the preset's places.
        groups_path: where groups are listed that count as roles; None: none do.
        admin_roles: who has one of these is an administrator of the homeserver.
        required_roles: when not empty, only who has one of these may log in.
        deny_guests: whether guests of an Entra ID tenant are refused.
        trust_email: whether addresses count always or never; None: the preset's rule.
    """

    idp_id: str = option(idp_id)
    preset: Preset = option(one_of(Preset))
    client_id: str | None = option(text, default=None)
    tenant: str | None = option(tenant, default=None)
    localpart_claim: str | None = option(text, default=None)
    subject_claims: tuple[str, ...] | None = option(_segments, default=None)
    display_name_claim: str | None = option(text, default=None)
    email_claim: str | None = option(text, default=None)
    roles_path: ClaimPath | None = option(claim_path, default=None)
    groups_path: ClaimPath | None = option(claim_path, default=None)
    admin_roles: tuple[str, ...] = option(list_of(text), default=[])
    required_roles: tuple[str, ...] = option(list_of(text), default=[])
    deny_guests: bool = option(boolean, default=True)
    trust_email: bool | None = option(boolean, default=None)

    def __attrs_post_init__(self) -> None:
        self._check_tenant()
        self._check_client()
        self._check_subject()
        self._check_roles_path()
        for key, roles in (("admin_roles", self.admin_roles), ("required_roles", self.required_roles)):
            self._check_roles(key, roles)

    def _check_tenant(self) -> None:
        if self.preset is not Preset.ENTRA_ID:
            if self.tenant is not None:
                raise ConfigError("is for `preset: entra_id` only; remove it", ("tenant",))
        elif self.tenant is None:
            raise ConfigError(
                "is needed with `preset: entra_id`: the id of the tenant whose people may come", ("tenant",)
            )

    def _check_client(self) -> None:
        if self.client_id is None:
            return
        if self.preset is not Preset.KEYCLOAK:
            raise ConfigError("is for `preset: keycloak` only; remove it", ("client_id",))
        if self.roles_path is not None:
            raise ConfigError("is not read when `roles_path` is set; remove one of them", ("client_id",))

    def _check_subject(self) -> None:
        for claim in self.subject_claims or ():
            if claim.lower() in _MUTABLE:
                raise ConfigError(
                    f"`{claim}` can change, or be given to somebody else, who would get the account then; take a claim"
                    " that names a person for ever, such as `sub`",
                    ("subject_claims",),
                )

    def _check_roles_path(self) -> None:
        if self.roles_path is None:
            return
        if self.roles_path == self.groups_path:
            raise ConfigError("is the `groups_path`, too: groups are no roles; remove `roles_path`", ("roles_path",))
        if self.preset is Preset.KEYCLOAK and self.roles_path[-1] == "groups":
            raise ConfigError(
                "leads to groups, and anybody may have a group of any name somewhere in the tree; use `groups_path`,"
                " with full paths",
                ("roles_path",),
            )

    def _check_roles(self, key: str, roles: tuple[str, ...]) -> None:
        if self.groups_path is not None:
            return
        if any(role.startswith("/") for role in roles):
            raise ConfigError("begins with `/`, so it is a group; groups count with `groups_path` only", (key,))
        if roles and self.roles_path is None and not PRESETS[self.preset].roles_paths:
            raise ConfigError(
                f"nothing says which claim holds roles with `preset: {self.preset.value}`; set `roles_path` or"
                " `groups_path`",
                (key,),
            )


@attr.s(auto_attribs=True, frozen=True, slots=True)
class MappingConfig:
    """What holds for one identity provider: the options, with the preset's values where none are written.

    Attributes:
        idp_id: as in `oidc_providers`.
        preset: which identity provider it is.
        client_id: with Keycloak the client whose roles count.
        tenant: with Entra ID whose people may come, a GUID in lower case; otherwise None.
        localpart_claim: the login name.
        subject_claims: claims that name a person for ever; several are joined with `:`. With `preset: generic` a whole
            number counts as its digits, as with Synapse: 1 and "1" are the same person.
        display_name_claim: the name for people.
        email_claim: the e-mail address.
        roles_paths: where roles are listed, Keycloak's client roles included.
        groups_path: where groups are listed that count as roles; None: none do.
        admin_roles: who has one of these is an administrator; empty: nothing is said of administrators.
        required_roles: when not empty, only who has one of these may log in.
        deny_guests: whether guests of an Entra ID tenant are refused.
        trust_email: whether addresses count always or never; None: the preset's rule.
    """

    idp_id: str
    preset: Preset
    client_id: str | None
    tenant: str | None
    localpart_claim: str
    subject_claims: tuple[str, ...]
    display_name_claim: str
    email_claim: str
    roles_paths: tuple[ClaimPath, ...]
    groups_path: ClaimPath | None
    admin_roles: frozenset[str]
    required_roles: frozenset[str]
    deny_guests: bool
    trust_email: bool | None

    @property
    def auth_provider(self) -> str:
        """The name in `user_external_ids.auth_provider` (`synapse/config/oidc.py`, `_parse_oidc_config_dict`)."""
        return "oidc" if self.idp_id == "oidc" else f"{_PREFIX}{self.idp_id}"


def parse_mapping(raw: object) -> MappingConfig:
    """Reads the configuration of a mapping provider.

    Args:
        raw: what stands under `user_mapping_provider: config:`.

    Raises:
        ConfigError: for an unknown key, a missing key, a wrong type or value, a contradiction; `path` leads to it.
    """
    options = parse(MappingOptions, raw)
    rules = PRESETS[options.preset]
    return MappingConfig(
        idp_id=options.idp_id,
        preset=options.preset,
        client_id=options.client_id,
        tenant=options.tenant,
        localpart_claim=options.localpart_claim or rules.localpart_claim,
        subject_claims=options.subject_claims or rules.subject_claims,
        display_name_claim=options.display_name_claim or rules.display_name_claim,
        email_claim=options.email_claim or rules.email_claim,
        roles_paths=_roles_paths(options),
        groups_path=options.groups_path,
        admin_roles=frozenset(options.admin_roles),
        required_roles=frozenset(options.required_roles),
        deny_guests=options.deny_guests,
        trust_email=options.trust_email,
    )


def _roles_paths(options: MappingOptions) -> tuple[ClaimPath, ...]:
    if options.roles_path is not None:
        return (options.roles_path,)
    preset = PRESETS[options.preset].roles_paths
    return preset if options.client_id is None else (*preset, ("resource_access", options.client_id, "roles"))
