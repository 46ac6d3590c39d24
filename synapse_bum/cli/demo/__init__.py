"""`synapse-bum demo`: the main jobs of the modules, played on a real homeserver and a real scanner.

| module | what it holds |
|---|---|
| `command` | the command: its options |
| `playing` | what it does, and how it ends |
| `story` | the list of all steps, in order |
| `step`, `stage` | what a step is, and what it plays on: the running servers and their users |
| `opening` | the first two steps: they start the servers |
| `uploads`, `encrypted`, `records`, `outage` | the steps of the antivirus module |
| `retention` | those of the retention module |
| `storage` | those of the storage module |
| `federation` | that of the federation module, with a second homeserver |
| `identity` | those of the identity module, with a small identity provider |
| `availability` | that of the availability module |
| `portal` | that of the portal module |
| `performance` | plays steps, measures them, counts |
| `report` | what people see |

A further part of the story is a file with `STEPS` and a line in `story`; a further module on the homeserver is a line
in `opening`.
"""

from synapse_bum.cli.demo.command import DEMO

__all__ = ["DEMO"]
