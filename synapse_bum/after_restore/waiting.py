"""A process that does not see the log's folder, on another machine for example: it waits for one that does.

Whoever writes the log compares it with the database every two seconds, and counts in the database how often the two
agreed. A count that grows after this process has begun to look says that they do. The writer's lease would not: it is
renewed, too, while the database was restored under a writer that can only refuse to go on.
"""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from synapse_bum.after_restore.reading import UnusableLogError

_WAIT_S: Final = 120.0
_LOOK_EVERY_S: Final = 0.5


def wait_for_writer(
    path: Path, look: Callable[[], int], *, sleep: Callable[[float], None] = time.sleep, wait_s: float = _WAIT_S
) -> None:
    """Return once somebody has seen that log and database agree.

    Args:
        path: of the log, for the sentence.
        look: asks the database for `position.agreed_count`.
        sleep: blocks this process, which serves nothing yet.
        wait_s: how long at most.

    Raises:
        UnusableLogError: nobody has.
    """
    at_first = look()
    for _ in range(int(wait_s / _LOOK_EVERY_S)):
        sleep(_LOOK_EVERY_S)
        if look() > at_first:
            return
    raise UnusableLogError(
        f"`config.log_path`: the folder {path.parent} is not there, and no other process has brought the database up to"
        f" date within {wait_s:g} s. The process that runs Synapse's background tasks has to see it: start it first"
    )
