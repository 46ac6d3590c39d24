"""What homeserver.yaml says of the identity providers in `oidc_providers`.

Run on Synapse 1.133.0 and 1.163.2: `synapse/config/oidc.py`.
"""

import attr
from synapse.module_api import ModuleApi


@attr.s(auto_attribs=True, frozen=True, slots=True)
class ProviderSettings:
    """One entry of `oidc_providers`.

    Attributes:
        auth_provider: as in Synapse's table of external ids: `oidc-` and the entry's `idp_id`, or `oidc`.
        issuer: as written.
        scopes: that are asked for.
        allow_existing_users: whether Synapse gives people existing accounts by their name.
        reads_userinfo_endpoint: whether the claims come from there, instead of from the ID token.
        mapping_config: what the `parse_config` of the entry's mapping provider has returned.
    """

    auth_provider: str
    issuer: str
    scopes: tuple[str, ...]
    allow_existing_users: bool
    reads_userinfo_endpoint: bool
    mapping_config: object = attr.ib(repr=False)


def provider_settings(api: ModuleApi) -> tuple[ProviderSettings, ...]:
    """All entries, in their order."""
    return tuple(
        ProviderSettings(
            provider.idp_id,
            provider.issuer,
            tuple(provider.scopes),
            provider.allow_existing_users,
            provider.user_profile_method == "userinfo_endpoint",
            provider.user_mapping_provider_config,
        )
        for provider in api._hs.config.oidc.oidc_providers
    )
