"""The `config:` of `synapse_bum.oidc.OidcModule`. Each key is explained in README.md.

The mapping of claims is configured beside each provider, under `user_mapping_provider`: see `mapping/config.py`.
"""

import attr
from synapse.module_api.errors import ConfigError

from synapse_bum.config import (
    SharedConfig,
    absolute_path,
    boolean,
    duration_ms,
    integer,
    option,
    section,
    text,
)


@attr.s(auto_attribs=True, frozen=True, slots=True)
class ScimConfig:
    """Section `scim`.

    Attributes:
        enabled: whether accounts can be provisioned over SCIM 2.0.
        idp_id: whose people; as in `oidc_providers`.
        token_path: file with the bearer token that the identity provider sends.
        max_deactivations_per_hour: more people than that lose access in no hour by SCIM.
    """

    enabled: bool = option(boolean, default=False)
    idp_id: str | None = option(text, default=None)
    token_path: str | None = option(absolute_path, default=None)
    max_deactivations_per_hour: int = option(integer(1, 1_000_000), default=50)

    def __attrs_post_init__(self) -> None:
        if not self.enabled:
            return
        if self.idp_id is None:
            raise ConfigError(
                "is needed with `enabled: true`: the `idp_id` of an entry of `oidc_providers`", ("idp_id",)
            )
        if self.token_path is None:
            raise ConfigError("is needed with `enabled: true`: a file with the bearer token", ("token_path",))


@attr.s(auto_attribs=True, frozen=True, slots=True)
class OidcConfig(SharedConfig):
    """The whole configuration of the module.

    Attributes:
        admin_sync: whether administrators are appointed and removed by their roles at the identity provider.
        admin_ttl_ms: how long a role counts after the login that showed it.
        scim: provisioning.
    """

    admin_sync: bool = option(boolean, default=True)
    admin_ttl_ms: int = option(duration_ms, default="24h", key="admin_ttl")
    scim: ScimConfig = option(section(ScimConfig), default={})
