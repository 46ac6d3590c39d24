"""A clear end of a start in which both Synapse's OpenID Connect and the Matrix Authentication Service are configured.

Synapse refuses the two together as well, but only after it has read everything, and without saying what becomes of the
mapping.
"""

from collections.abc import Mapping
from typing import Any, Final

from synapse.module_api.errors import ConfigError

from synapse_bum.homeserver.config_being_read import config_being_read

STABLE_KEY: Final = "matrix_authentication_service.enabled"
EXPERIMENTAL_KEY: Final = "experimental_features.msc3861.enabled"


def mas_key(homeserver: Mapping[str, Any]) -> str | None:
    """Say by which key a configuration hands logins to the Matrix Authentication Service. Pure.

    Args:
        homeserver: homeserver.yaml.

    Returns:
        The dotted key; None when Synapse does logins itself. Whatever is no mapping is Synapse's to complain about.
    """
    if _section(homeserver, "matrix_authentication_service").get("enabled") is True:
        return STABLE_KEY
    if _section(_section(homeserver, "experimental_features"), "msc3861").get("enabled") is True:
        return EXPERIMENTAL_KEY
    return None


def refuse_beside_mas() -> None:
    """End the start when the configuration that is being read hands logins to the Matrix Authentication Service.

    To be called in the mapping provider's `parse_config`.

    Raises:
        ConfigError: both are configured; the text names both keys and the way out.
    """
    homeserver = config_being_read()
    key = None if homeserver is None else mas_key(homeserver)
    if key is not None:
        raise ConfigError(
            f"`oidc_providers` and `{key}: true` exclude each other: the Matrix Authentication Service does all logins"
            " and asks the identity providers itself. Take `oidc_providers` out of homeserver.yaml, and let"
            " `synapse-bum mas-config -c homeserver.yaml`, run while it is still there, print the same mapping as"
            " `upstream_oauth2` for the configuration of the Matrix Authentication Service"
        )


def _section(configuration: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = configuration.get(name)
    return found if isinstance(found, Mapping) else {}
