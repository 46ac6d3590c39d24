"""`synapse-bum backup`: a homeserver saved, proved and brought back, with restic and PostgreSQL's own programs.

| module | what it holds |
|---|---|
| `command` | the command: options, how it ends |
| `actions` | a backup, a verification, a restore: what is printed, and what Prometheus is told |
| `sources` | what of a homeserver belongs into a backup |
| `saving` | one backup, step by step, and the deletion of old ones |
| `stored_files` | whether the files are there that the database has rows for |
| `logs` | the logs of what was deleted and closed |
| `dumping` | the database: dumped, and brought back |
| `runs` | backups in a repository: whose, whole or not, too old (pure) |
| `written_here` | which runs were written from here |
| `restic` | a repository of restic |
| `manifest` | what a backup says of itself |
| `restoring` | a backup into a new folder and an empty database |
| `verifying` | the proof: restored, started, asked |
| `scratch_server` | the Synapse of the proof, which nobody reaches and which reaches nobody |
| `steps` | what is to be done after a restore |
| `workroom` | the folder where all this happens, alone |
| `programs` | programs of Debian packages, never left behind |
| `metrics_file` | what happened, for Prometheus |
| `failure` | what ends a backup |
"""

from synapse_bum.cli.backup.command import BACKUP

__all__ = ["BACKUP"]
