"""`synapse-bum provision`: everything that a new homeserver needs, in a new folder; and its first administrator.

| module | what it holds |
|---|---|
| `command` | the command: options, what is printed, how it ends |
| `order` | what was ordered, checked |
| `filling` | the sample files with the order's names and paths |
| `samples/` | links to `config-samples/` |
| `processes` | which processes there are, and their ports |
| `homeserver_yaml` | homeserver.yaml |
| `worker_files` | workers, logs |
| `units` | units of systemd: processes, backup, probe |
| `secret_files` | keys and secrets |
| `proxy` | nginx |
| `delegation` | DNS records and `/.well-known/matrix/` |
| `letter`, `uebergabe.txt` | the handover mail |
| `everything` | all files together |
| `next_steps` | what is to be done with them |
| `new_folder` | writing them: whole or not at all, never over others |
| `first_admin` | the first administrator |
| `attempts` | what the audit knows of attempts to make one |
| `registering` | making an account through Synapse's admin API |
"""

from synapse_bum.cli.provision.command import PROVISION

__all__ = ["PROVISION"]
