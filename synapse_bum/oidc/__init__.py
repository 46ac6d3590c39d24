"""Accounts from Entra ID, Okta and Keycloak: mapping, roles, leavers."""

from synapse_bum.oidc.mapping_provider import OidcMappingProvider
from synapse_bum.oidc.module import OidcModule

__all__ = ["OidcMappingProvider", "OidcModule"]
