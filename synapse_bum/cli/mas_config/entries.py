"""The entries of `oidc_providers` in homeserver.yaml that have our mapping."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

import attr
from synapse.module_api.errors import ConfigError

from synapse_bum.cli.check.configuration import ConfigurationError
from synapse_bum.oidc.mapping.config import MappingConfig, parse_mapping

MAPPING_PROVIDER: Final = "synapse_bum.oidc.OidcMappingProvider"
"""The name that stands in homeserver.yaml."""


@attr.s(auto_attribs=True, frozen=True, slots=True)
class ProviderEntry:
    """One identity provider.

    Attributes:
        options: the entry of `oidc_providers`.
        mapping: its configuration of our mapping.
    """

    options: Mapping[str, Any]
    mapping: MappingConfig


def provider_entries(homeserver: Mapping[str, Any]) -> tuple[ProviderEntry, ...]:
    """Find the identity providers whose people we map.

    Args:
        homeserver: homeserver.yaml.

    Raises:
        ConfigurationError: there is none, or one is wrong; the text names the key.
    """
    found = tuple(_entries(homeserver))
    if not found:
        raise ConfigurationError(f"no entry of `oidc_providers` has the mapping provider {MAPPING_PROVIDER}")
    return found


def _entries(homeserver: Mapping[str, Any]) -> Iterator[ProviderEntry]:
    providers = homeserver.get("oidc_providers") or []
    if not isinstance(providers, list):
        raise ConfigurationError("`oidc_providers` must be a list")
    for number, options in enumerate(providers):
        mapper = options.get("user_mapping_provider") if isinstance(options, dict) else None
        if not isinstance(mapper, dict) or mapper.get("module") != MAPPING_PROVIDER:
            continue
        where = f"oidc_providers.<item {number}>"
        try:
            mapping = parse_mapping(mapper.get("config"))
        except ConfigError as error:
            raise ConfigurationError(f"`{where}.user_mapping_provider`: {error.msg}") from None
        missing = [key for key in ("issuer", "client_id") if not isinstance(options.get(key), str)]
        if missing:
            raise ConfigurationError(f"`{where}.{missing[0]}` is missing")
        if options.get("idp_id", "oidc") != mapping.idp_id:
            raise ConfigurationError(f"`{where}`: its `idp_id` and that of its mapping provider are not the same")
        yield ProviderEntry(options, mapping)
