"""The identity providers in homeserver.yaml, for whoever reads the file without starting Synapse.

Run on Synapse 1.133.0 and 1.163.2: `synapse/config/oidc.py` (`_parse_oidc_provider_configs`), whose schema judges an
entry. The single `oidc_config` of old is read by both, beside `oidc_providers`.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import attr
from synapse.config._util import validate_config
from synapse.config.oidc import OIDC_PROVIDER_CONFIG_SCHEMA
from synapse.module_api.errors import ConfigError

from synapse_bum.homeserver.oidc_settings import ProviderSettings


@attr.s(auto_attribs=True, frozen=True, slots=True)
class RawEntry:
    """One entry, as it is written.

    Attributes:
        place: where it stands, such as `oidc_providers.<item 0>`.
        options: whatever YAML can hold.
    """

    place: str
    options: object


def raw_entries(homeserver: Mapping[str, Any]) -> Iterator[RawEntry]:
    """Finds the entries that Synapse would read.

    Args:
        homeserver: homeserver.yaml.

    Raises:
        ConfigError: `oidc_providers` or `oidc_config` is of the wrong type.
    """
    providers = homeserver.get("oidc_providers")
    if not isinstance(providers, (list, type(None))):
        raise ConfigError("must be a list", ("oidc_providers",))
    for number, options in enumerate(providers or []):
        yield RawEntry(f"oidc_providers.<item {number}>", options)
    single = homeserver.get("oidc_config")
    if not isinstance(single, (dict, type(None))):
        raise ConfigError("must be a mapping of options", ("oidc_config",))
    if single and single.get("enabled", False):
        yield RawEntry("oidc_config", single)


def judge(entry: RawEntry) -> Mapping[str, Any]:
    """Checks an entry as Synapse does at its start; files are not read.

    Returns:
        its options.

    Raises:
        ConfigError: with the path of the key that is wrong, and what is wrong.
    """
    if not isinstance(entry.options, dict):
        raise ConfigError("must be a mapping of options", (entry.place,))
    validate_config(OIDC_PROVIDER_CONFIG_SCHEMA, entry.options, (entry.place,))
    for key in ("additional_authorization_parameters", "passthrough_authorization_parameters"):
        expected = dict if key.startswith("additional") else list
        if not isinstance(entry.options.get(key, expected()), expected):
            raise ConfigError(f"must be a {'mapping' if expected is dict else 'list'}", (entry.place, key))
    return entry.options


def settings_in(options: Mapping[str, Any], mapping_config: object) -> ProviderSettings:
    """What an entry says, with Synapse's defaults.

    Args:
        options: of the entry, as `judge` returns them.
        mapping_config: of its mapping provider.
    """
    idp_id: str = options.get("idp_id", "oidc")
    return ProviderSettings(
        auth_provider=idp_id if idp_id == "oidc" else f"oidc-{idp_id}",
        issuer=options["issuer"],
        scopes=tuple(options.get("scopes", ["openid"])),
        allow_existing_users=options.get("allow_existing_users", False),
        reads_userinfo_endpoint=options.get("user_profile_method") == "userinfo_endpoint",
        mapping_config=mapping_config,
    )
