"""`synapse-bum check`: whether homeserver.yaml and all around it fit together, and what they leave open.

What was read is judged by pure functions; it is read in `checks` or by a function beside the judgement.

| module | what it holds |
|---|---|
| `command` | the command: options, what is printed, how it ends |
| `checks` | all checks, in order |
| `catalogue` | every check by its name, with what to change |
| `remark` | what a check says |
| `configuration` | reading homeserver.yaml as Synapse does |
| `processes` | main and workers, and what a later file takes away from an earlier one |
| `written_files` | files that modules append to |
| `shapes` | sections that may hold anything |
| `modules` | the configuration of the modules themselves |
| `listeners` | who can reach the administrators' API, and whether the content scanner is served |
| `antivirus`, `federation`, `oidc`, `portal` | what each module leaves open |
| `directory` | whether rooms can be published and found, and by whom |
| `retention`, `recovery`, `storage`, `availability` | the same |
| `scanner` | whether the running clamd finds EICAR, and what passes it |
| `scanner_files`, `directives` | clamd.conf and c-icap.conf |
| `given` | reading files of other programs |
| `machine` | swap, core dumps, file systems |
| `secret_files` | Synapse's own secrets, and the folder of the media |
| `log` | whether the modules' log lines reach anybody |
| `database` | the database's clock, and the request secret of the other processes |
| `proxy/` | what nginx lets through |
| `online/` | whether the homeserver is found and trusted where its names say |
"""

from synapse_bum.cli.check.command import CHECK

__all__ = ["CHECK"]
