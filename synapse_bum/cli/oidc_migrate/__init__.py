"""`synapse-bum oidc-migrate`: accounts keep their people when the claim changes that names people.

| module | what it holds |
|---|---|
| `command` | the command: options, what is printed, how it ends |
| `renamings` | who becomes whom, from claims or from a list |
| `carrying_out` | the look into the database, and the change |
| `report` | what is printed of a migration |
"""

from synapse_bum.cli.oidc_migrate.command import OIDC_MIGRATE

__all__ = ["OIDC_MIGRATE"]
