"""The identity providers of this homeserver whose claims are mapped by `OidcMappingProvider`."""

from collections.abc import Mapping
from types import MappingProxyType

from synapse.module_api import ModuleApi

from synapse_bum.homeserver.oidc_settings import ProviderSettings, provider_settings
from synapse_bum.oidc.mapping import MappingConfig


def providers(api: ModuleApi) -> Mapping[str, MappingConfig]:
    """The configurations of the mapping by `idp_id`, in the order of `oidc_providers`."""
    configs = (settings.mapping_config for settings in provider_settings(api))
    return MappingProxyType({config.idp_id: config for config in configs if isinstance(config, MappingConfig)})


def settings_of(api: ModuleApi, config: MappingConfig) -> ProviderSettings | None:
    """The entry of `oidc_providers` that a mapping belongs to.

    Args:
        api: of the homeserver.
        config: the object that Synapse got from `parse_config`; an equal one may belong to another entry.

    Returns:
        None when Synapse has no such entry.
    """
    return next((settings for settings in provider_settings(api) if settings.mapping_config is config), None)
