"""`synapse-bum mas-config`: the mapping of claims as configuration of the Matrix Authentication Service.

| module | what it holds |
|---|---|
| `command` | the command: options, what is printed, how it ends |
| `entries` | the entries of `oidc_providers` that have our mapping, from homeserver.yaml |
"""

from synapse_bum.cli.mas_config.command import MAS_CONFIG

__all__ = ["MAS_CONFIG"]
