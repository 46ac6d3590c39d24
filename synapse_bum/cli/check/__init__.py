"""`synapse-bum check`: whether homeserver.yaml and the modules in it fit together, and what it leaves open.

| module | what it holds |
|---|---|
| `command` | the command: options, what is printed, how it ends |
| `configuration` | reading homeserver.yaml as Synapse does |
| `remark` | what a check says |
| `modules` | the configuration of the modules themselves |
| `federation` | whether Synapse denies what the federation module does not allow |
| `antivirus` | what the antivirus module leaves open, and whether its scanner finds EICAR |
| `availability` | what the availability module leaves open |
| `recovery` | what the recovery module leaves open |
| `retention` | what the retention module leaves open, and what in homeserver.yaml acts against it |
| `storage` | what the storage module leaves open, and what of it does not fit homeserver.yaml or the calendar |
| `checks` | all checks, in order |
| `online/` | whether the homeserver is found and trusted where its names say |
| `log` | whether the modules' log lines reach anybody |
| `listeners` | who can reach the administrators' API |
"""

from synapse_bum.cli.check.command import CHECK

__all__ = ["CHECK"]
