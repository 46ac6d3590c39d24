"""Objects that all modules of one homeserver share.

A process may run several homeservers (tests do), so nothing of ours is global. Each shared object lives and ends with
its homeserver.

Run on Synapse 1.133.0, 1.143.0 and 1.163.2.
"""

from collections.abc import Callable
from typing import Any, Final, TypeVar

from synapse.module_api import ModuleApi

T = TypeVar("T")

_ATTRIBUTE: Final = "_synapse_bum_shared_objects"


def shared_object(api: ModuleApi, kind: type[T], make: Callable[[], T]) -> T:
    """Returns this homeserver's only object of a class.

    Args:
        api: of the homeserver.
        kind: the class.
        make: makes the object when it is asked for first.
    """
    objects: dict[type, Any] = api._hs.__dict__.setdefault(_ATTRIBUTE, {})
    if kind not in objects:
        objects[kind] = make()
    found: T = objects[kind]
    return found
