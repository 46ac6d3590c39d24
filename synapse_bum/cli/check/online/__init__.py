"""`synapse-bum check --online`: whether the homeserver is found and trusted where its names say.

| module | what it holds |
|---|---|
| `network` | connections, DNS questions, certificates: what the check sees of the internet |
| `certificate` | how long the certificates of a connection are valid |
| `discovery` | where other servers look for the homeserver |
| `signing_keys` | the public keys of the homeserver, from its file |
| `remarks` | what is asked, and what there is to say |
"""
