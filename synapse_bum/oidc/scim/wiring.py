"""SCIM of one homeserver: configuration in, parts built, resource registered."""

from collections.abc import Mapping

from synapse.module_api import ModuleApi

from synapse_bum.config import SetupError
from synapse_bum.database import Database, Leases
from synapse_bum.homeserver.account_access import has_accounts_elsewhere
from synapse_bum.oidc.config import OidcConfig
from synapse_bum.oidc.mapping.config import MappingConfig
from synapse_bum.oidc.scim.left_behind import warn_of_left_behind
from synapse_bum.oidc.scim.person import can_provision
from synapse_bum.oidc.scim.token import read_token


def add_scim(
    api: ModuleApi,
    database: Database,
    leases: Leases,
    config: OidcConfig,
    providers: Mapping[str, MappingConfig],
) -> None:
    """Offers SCIM, if it is enabled; to be called in the module's `__init__`, in every process.

    Args:
        api: of the homeserver.
        database: with the identity tables and the audit's.
        leases: of this process.
        config: of the module.
        providers: identity providers with our mapping, by `idp_id`.

    Raises:
        ConfigError: the token can't be read, or is too short.
        SetupError: `scim.idp_id` names no identity provider whose people can be provisioned.
    """
    scim = config.scim
    if api.should_run_background_tasks() and not has_accounts_elsewhere(api):
        idp_id = scim.idp_id if scim.enabled else None
        api.delayed_background_call(0, warn_of_left_behind, database, idp_id, desc="synapse_bum_oidc_scim_left")
    if not scim.enabled or scim.token_path is None or scim.idp_id is None:
        return
    from synapse_bum.oidc.scim.resource import PATH, ScimResource  # half of the identity module
    from synapse_bum.oidc.scim.service import ScimService

    token = read_token(scim.token_path)
    service = None
    if not has_accounts_elsewhere(api):
        mapping = _mapping_of(scim.idp_id, providers)
        service = ScimService(api, database, leases, mapping, scim.max_deactivations_per_hour)
        service.start()
    api.register_web_resource(PATH, ScimResource(api, service, token, config.admin_hosts))


def _mapping_of(idp_id: str, providers: Mapping[str, MappingConfig]) -> MappingConfig:
    mapping = providers.get(idp_id)
    if mapping is None:
        known = ", ".join(f"`{name}`" for name in providers) or "none"
        raise SetupError(
            f"`config.scim.idp_id`: no entry of `oidc_providers` with this `idp_id` uses"
            f" synapse_bum.oidc.OidcMappingProvider; those that do: {known}"
        )
    if not can_provision(mapping):
        raise SetupError(
            "`config.scim.idp_id`: `externalId` can't be the subject of these people, because `subject_claims` of their"
            " mapping are others than the preset's; remove `subject_claims` or set `scim.enabled: false`"
        )
    return mapping
