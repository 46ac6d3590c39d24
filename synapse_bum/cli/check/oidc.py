"""Whether the identity providers, the mapping of claims and the identity module go together."""

from collections.abc import Iterator, Mapping
from typing import Any

from synapse.module_api.errors import ConfigError

from synapse_bum.cli.check.catalogue import Check
from synapse_bum.cli.check.remark import Remark, error, warning
from synapse_bum.cli.identity_providers import MAPPING_PROVIDER, IdentityProvider, WrongEntry, identity_providers
from synapse_bum.oidc.config import OidcConfig
from synapse_bum.oidc.mapping import MappingConfig, Preset
from synapse_bum.oidc.mas.conflict import mas_key
from synapse_bum.oidc.scim.token import read_token


def identity_remarks(module: OidcConfig | None, homeserver: Mapping[str, Any]) -> Iterator[Remark]:
    """Compare the identity providers with each other and with the module.

    Args:
        module: configuration of the identity module; None when it is not loaded.
        homeserver: homeserver.yaml.

    Yields:
        What there is to say.
    """
    found = list(identity_providers(homeserver))
    for provider in found:
        if isinstance(provider, WrongEntry):
            yield error(Check.IDENTITY_ENTRY, provider.says, provider.place)
        else:
            yield from _provider_remarks(provider)
    providers = {one.mapping.idp_id: one.mapping for one in found if isinstance(one, IdentityProvider)}
    service = mas_key(homeserver)
    if service is not None and (found or homeserver.get("oidc_providers")):
        text = f"`oidc_providers` and `{service}: true` exclude each other; `synapse-bum mas-config` helps to move"
        yield error(Check.MAS, text)
    if providers and module is None:
        text = "synapse_bum.oidc.OidcModule is not loaded: names, addresses and roles are not followed"
        yield warning(Check.IDENTITY_MODULE, text)
    if module is not None:
        if not found and service is None:
            text = f"no entry of `oidc_providers` uses {MAPPING_PROVIDER}: the module has nothing to do"
            yield warning(Check.IDENTITY_MODULE, text)
        yield from _scim_remarks(module, providers, behind_mas=service is not None)


def _provider_remarks(provider: IdentityProvider) -> Iterator[Remark]:
    for text in provider.contradictions:
        yield error(Check.IDENTITY_ENTRY, text, f"`{provider.place}`")
    for text in provider.doubts:
        yield warning(Check.IDENTITY_DOUBT, text, f"`{provider.place}`")
    if provider.mapping.preset is Preset.KEYCLOAK and not provider.options.get("backchannel_logout_enabled"):
        text = "`backchannel_logout_enabled` is not true: who is logged out by Keycloak stays logged in here"
        yield warning(Check.BACKCHANNEL, text, f"`{provider.place}`")


def _scim_remarks(module: OidcConfig, providers: Mapping[str, MappingConfig], *, behind_mas: bool) -> Iterator[Remark]:
    scim = module.scim
    if not scim.enabled or scim.token_path is None:
        return
    if behind_mas:
        text = "SCIM answers 501 beside the Matrix Authentication Service, which alone can end somebody's access"
        yield error(Check.SCIM, text)
    elif scim.idp_id not in providers:
        known = ", ".join(f"`{name}`" for name in providers) or "none"
        text = f"`scim.idp_id` is `{scim.idp_id}`, which no such entry of `oidc_providers` has; known: {known}"
        yield error(Check.SCIM, text)
    try:
        read_token(scim.token_path)
    except ConfigError as failure:
        yield error(Check.SCIM, failure.msg)
