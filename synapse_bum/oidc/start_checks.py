"""Whether an entry of `oidc_providers` and the configuration of its mapping go together. Pure.

A mapping provider learns from Synapse only what stands under its own `config:`.
"""

import re
from collections.abc import Iterator
from typing import Final

from synapse_bum.homeserver.oidc_settings import ProviderSettings
from synapse_bum.oidc.mapping import MappingConfig, Preset

_MANY_TENANTS: Final = frozenset({"common", "organizations", "consumers"})


def contradictions(config: MappingConfig, settings: ProviderSettings) -> Iterator[str]:
    """Sentences about what must not stay so, with the remedy; the server does not start with them.

    Args:
        config: of the mapping.
        settings: of the entry that the mapping belongs to.
    """
    if settings.auth_provider != config.auth_provider:
        idp_id = settings.auth_provider.removeprefix("oidc-")
        yield (
            f"`user_mapping_provider.config.idp_id` is `{config.idp_id}`, but `idp_id` of this entry is `{idp_id}`;"
            " write the same in both places"
        )
    if settings.allow_existing_users:
        yield (
            "`allow_existing_users: true` gives whoever has a name at the identity provider the account with that name"
            " here, also an administrator's; set it to false"
        )
    if "openid" not in settings.scopes:
        yield "`scopes` lacks `openid`: without it nobody signs who logs in; add it"
    if config.preset is Preset.ENTRA_ID:
        yield from _contrary_issuer(config, settings)


def doubts(config: MappingConfig, settings: ProviderSettings) -> Iterator[str]:
    """Sentences about what will probably not do what was wanted, with the remedy."""
    reads_roles = bool(config.admin_roles or config.required_roles)
    if config.preset is Preset.OKTA and reads_roles and not settings.reads_userinfo_endpoint:
        yield (
            "Okta leaves groups out of most ID tokens, so nobody would have a role;"
            " set `user_profile_method: userinfo_endpoint`"
        )


def _contrary_issuer(config: MappingConfig, settings: ProviderSettings) -> Iterator[str]:
    segments = re.split("[/?#]", settings.issuer.lower())
    if not _MANY_TENANTS.isdisjoint(segments):
        yield (
            f"`issuer` is {settings.issuer}, which stands for people of all organisations;"
            f" it must be that of the tenant `{config.tenant}`"
        )
    elif (config.tenant or "").lower() not in segments:
        yield f"`issuer` is {settings.issuer}, but `user_mapping_provider.config.tenant` is `{config.tenant}`"
