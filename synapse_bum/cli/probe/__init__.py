"""`synapse-bum probe`: uses the chat from outside as people do, once a minute, and reports how it went.

It runs on another machine than the homeserver, which can't notice its own absence, and needs no Synapse there: of other
distributions only attrs, and PyYAML for the commands beside it.

| module | what it holds |
|---|---|
| `command` | the command: options, what is printed, how it ends |
| `settings` | what the options mean |
| `matrix` | the few requests of a client |
| `accounts` | the two accounts, with tokens or passwords |
| `rooms` | the two rooms, made once |
| `round` | one try: a message in each room, sent and received |
| `result` | how a try went, and what that means |
| `clock` | how far this clock is from the server's |
| `journal` | results that have not been delivered yet |
| `delivery` | handing them over |
| `files` | small files that are there whole or not at all |
"""

from synapse_bum.cli.probe.command import PROBE

__all__ = ["PROBE"]
