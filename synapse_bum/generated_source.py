"""What attrs keeps of the methods that it writes, and nobody reads.

For debuggers, attrs leaves the source of `__init__`, `__repr__`, `__eq__` and `__hash__` of every class in `linecache`,
as long as the process lives. With all modules these are some hundred classes and nearly 3 MB of each process.
Tracebacks keep file, class, line number and function of such a method; the text of its line is missing.

Run with attrs 26.1.0.
"""

import linecache
from typing import Final

_OF_ATTRS: Final = "<attrs generated "
_OF_OURS: Final = " synapse_bum."


def forget_generated_source() -> None:
    """Drop the source that attrs has generated for classes of this package; that of other packages stays.

    To be called after each part of the package that was imported, so that what is imported next gets the memory.
    """
    for name in list(linecache.cache):
        if name.startswith(_OF_ATTRS) and _OF_OURS in name:
            linecache.cache.pop(name, None)
