"""`synapse-bum verify-audit`: whether the audit in the database is as it was written.

| module | what it holds |
|---|---|
| `command` | the command: options, what is printed, how it ends |
| `known_hashes` | which hashes the log on another machine has, and what a row must be by them |
"""

from synapse_bum.cli.verify_audit.command import VERIFY_AUDIT

__all__ = ["VERIFY_AUDIT"]
