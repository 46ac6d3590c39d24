"""Whether `oidc_providers`, the mapping of claims and the identity module go together."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

import attr
from synapse.module_api.errors import ConfigError

from synapse_bum.cli.check.remark import Level, Remark
from synapse_bum.homeserver.oidc_settings import ProviderSettings
from synapse_bum.oidc.config import OidcConfig
from synapse_bum.oidc.mapping import MappingConfig, Preset, parse_mapping
from synapse_bum.oidc.mas.conflict import mas_key
from synapse_bum.oidc.scim.token import read_token
from synapse_bum.oidc.start_checks import contradictions, doubts

MAPPING_PROVIDER: Final = "synapse_bum.oidc.OidcMappingProvider"

_DEFAULT_SCOPES: Final = ["openid"]


@attr.s(auto_attribs=True, frozen=True, slots=True)
class _Provider:
    config: MappingConfig
    settings: ProviderSettings
    hears_logouts: bool


def identity_remarks(module: OidcConfig | None, homeserver: Mapping[str, Any]) -> Iterator[Remark]:
    """Compare the identity providers with each other and with the module.

    Args:
        module: configuration of the identity module; None when it is not loaded.
        homeserver: homeserver.yaml.

    Yields:
        What there is to say.
    """
    providers: dict[str, MappingConfig] = {}
    for number, entry in enumerate(homeserver.get("oidc_providers") or []):
        place = f"`oidc_providers.<item {number}>`"
        try:
            provider = _read(entry)
        except ConfigError as error:
            yield Remark(Level.ERROR, f"{place}: {error.msg}")
            continue
        if provider is not None:
            providers[provider.config.idp_id] = provider.config
            yield from _provider_remarks(place, provider)
    service = mas_key(homeserver)
    if service is not None and providers:
        text = f"`oidc_providers` and `{service}: true` exclude each other; `synapse-bum mas-config` helps to move"
        yield Remark(Level.ERROR, text)
    if providers and module is None:
        text = "oidc: synapse_bum.oidc.OidcModule is not loaded: names, addresses and roles are not followed"
        yield Remark(Level.WARNING, text)
    if module is not None:
        yield from _module_remarks(module, providers, behind_mas=service is not None)


def _read(entry: object) -> _Provider | None:
    """Read an entry as Synapse would (`synapse/config/oidc.py`); None for one with another mapping.

    Raises:
        ConfigError: its mapping is wrong.
    """
    if not isinstance(entry, dict):
        return None
    mapping = entry.get("user_mapping_provider") or {}
    if not isinstance(mapping, dict) or mapping.get("module") != MAPPING_PROVIDER:
        return None
    config = parse_mapping(mapping.get("config") or {})
    idp_id = str(entry.get("idp_id", "oidc"))
    settings = ProviderSettings(
        auth_provider=idp_id if idp_id == "oidc" else f"oidc-{idp_id}",
        issuer=str(entry.get("issuer", "")),
        scopes=tuple(map(str, entry.get("scopes", _DEFAULT_SCOPES))),
        allow_existing_users=bool(entry.get("allow_existing_users", False)),
        reads_userinfo_endpoint=entry.get("user_profile_method") == "userinfo_endpoint",
        mapping_config=config,
    )
    return _Provider(config, settings, bool(entry.get("backchannel_logout_enabled", False)))


def _provider_remarks(place: str, provider: _Provider) -> Iterator[Remark]:
    for text in contradictions(provider.config, provider.settings):
        yield Remark(Level.ERROR, f"{place}: {text}")
    for text in doubts(provider.config, provider.settings):
        yield Remark(Level.WARNING, f"{place}: {text}")
    if provider.config.preset is Preset.KEYCLOAK and not provider.hears_logouts:
        text = "`backchannel_logout_enabled` is not true: who is logged out by Keycloak stays logged in here"
        yield Remark(Level.WARNING, f"{place}: {text}")


def _module_remarks(
    module: OidcConfig, providers: Mapping[str, MappingConfig], *, behind_mas: bool
) -> Iterator[Remark]:
    scim = module.scim
    if not providers and not behind_mas:
        text = f"oidc: no entry of `oidc_providers` uses {MAPPING_PROVIDER}: the module has nothing to do"
        yield Remark(Level.WARNING, text)
    if not scim.enabled or scim.token_path is None:
        return
    if behind_mas:
        text = "oidc: SCIM answers 501 beside the Matrix Authentication Service, which alone can end somebody's access"
        yield Remark(Level.ERROR, text)
    elif scim.idp_id not in providers:
        known = ", ".join(f"`{name}`" for name in providers) or "none"
        text = (
            f"oidc: `scim.idp_id` is `{scim.idp_id}`, which no such entry of `oidc_providers` has; known: {known}"
        )
        yield Remark(Level.ERROR, text)
    try:
        read_token(scim.token_path)
    except ConfigError as error:
        yield Remark(Level.ERROR, f"oidc: {error.msg}")
