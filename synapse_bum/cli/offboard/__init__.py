"""`synapse-bum offboard`: the end of a contract in two steps: everything closed, and later everything erased.

| module | what it holds |
|---|---|
| `command` | the command: options, how it ends |
| `stages` | closing, opening again, erasing: what is asked before, what is printed |
| `journal` | what was ordered and how far it is, in a file outside of everything that is erased |
| `rules` | who may order what, and when (pure) |
| `closing` | every way in closed, and opened again, in one transaction |
| `planning` | what there is to erase, looked at before anything is |
| `small_files` | keys, secrets, configuration and logs: which of them go |
| `belonging` | whose the files of a media store are, or copies of them |
| `mounts` | where file systems are mounted |
| `work_folder` | what a killed backup has left, and whose it is |
| `surroundings` | what nobody erases: around it on the machine, and where nobody can look |
| `folders` | media folders: what is in them, and emptying them |
| `buckets` | copies in S3 buckets: whose they are, and deleting them |
| `erasing` | one step after the other, each with a look whether anything is left |
| `report` | the signed report, and checking one |
| `failure` | what ends the command |
"""

from synapse_bum.cli.offboard.command import OFFBOARD

__all__ = ["OFFBOARD"]
