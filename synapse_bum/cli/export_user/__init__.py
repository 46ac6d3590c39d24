"""`synapse-bum export-user`: what the server keeps about one person, files included, for an answer to that person.

| module | what it holds |
|---|---|
| `command` | the command: options, what is printed, how it ends |
| `exporting` | one export from the first look to the finished folder |
| `destination` | the folder: new, private, and there as a whole or not at all |
| `json_array` | lists of any length in a JSON file |
| `our_data` | where our modules keep data about people |
| `audit_entries` | what the audit says by and about the person |
| `other_people` | their names, replaced |
| `rooms` | messages, room by room |
| `file_names` | names for copies of files |
| `file_copies` | the bytes of files, from the media store or a copy of it |
| `files` | the person's files: copied, or named with the reason why not |
| `pages` | the readable form, in German |
| `texts` | the words in it |
"""

from synapse_bum.cli.export_user.command import EXPORT_USER

__all__ = ["EXPORT_USER"]
