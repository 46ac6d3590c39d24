"""What a database says of its errors, as far as a command may show it: no row and no password. Pure.

psycopg2 2.9 and libpq 15: what follows the first line of an error quotes rows (`DETAIL: Key (user_id)=(…) already
exists.`, `LINE 1: …`); what libpq can't read of a connection string it quotes, and so may quote the password.
"""

from collections.abc import Mapping
from typing import Any, Final

# Names hosts and ports, which libpq has understood by then, and the user.
_REACHED: Final = "connection to server "


def why_refused(error: Exception) -> str:
    """Say why a statement or a commit failed: the first line of the error.

    Args:
        error: of psycopg2 or sqlite3.
    """
    return str(error).partition("\n")[0]


def why_not_opened(error: Exception, arguments: Mapping[str, Any]) -> str:
    """Say why a database could not be opened, in one line.

    Args:
        error: of psycopg2 or sqlite3.
        arguments: of the connection.
    """
    if "dsn" not in arguments or str(error).startswith(_REACHED):
        return " ".join(str(error).split())
    return f"{type(error).__name__} (what it says is not shown, as it may quote the password): is `dsn` right?"
