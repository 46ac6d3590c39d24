"""What Synapse takes for its `federation_domain_whitelist`: a dict that asks the live allowlist.

Synapse asks with `in`, and only the endpoint that shows the list to clients reads more. No check waits or reads the
database. Whatever is not a name is denied: a request without a signature comes with None.
"""

from collections.abc import Callable, Iterator
from typing import Final

from synapse_bum.federation.allowlist import Allowlist
from synapse_bum.federation.denials import Denials, Direction

_MAX_LENGTH: Final = 255
"""Of any name in Matrix. Longer ones come from strangers and would fill what is kept of names."""


class Current:
    """The allowlist of this moment.

    Attributes:
        allowlist: None until it was loaded, and again when this process can't be trusted with one: all is denied.
        once_partners: every name that was in the allowlist since the start of the process.
    """

    __slots__ = ("allowlist", "once_partners")

    def __init__(self) -> None:
        self.allowlist: Allowlist | None = None
        self.once_partners: set[str] = set()


class Whitelist(dict[str, bool]):
    """One direction of the allowlist, in the form that Synapse reads."""

    def __init__(self, current: Current, direction: Direction, denials: Denials, now_ms: Callable[[], int]) -> None:
        """Prepares.

        Args:
            current: what is asked.
            direction: which of its answers counts.
            denials: where denials are noted.
            now_ms: the homeserver's clock, ms since the epoch.
        """
        super().__init__()
        self._current = current
        self._direction = direction
        self._lets = Allowlist.lets_in if direction is Direction.IN else Allowlist.lets_out
        self._denials = denials
        self._now_ms = now_ms

    def __contains__(self, name: object) -> bool:
        """Whether this server is allowed now."""
        allowlist, now_ms = self._current.allowlist, self._now_ms()
        if not isinstance(name, str) or len(name) > _MAX_LENGTH:
            name = None
        elif allowlist is not None and self._lets(allowlist, name, now_ms):
            return True
        self._denials.note(name, self._direction, once_partners=self._current.once_partners, now_ms=now_ms)
        return False

    def __iter__(self) -> Iterator[str]:
        allowlist = self._current.allowlist
        return iter(()) if allowlist is None else allowlist.valid_names(self._now_ms())

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __bool__(self) -> bool:
        return True

    def __deepcopy__(self, _memo: object) -> "Whitelist":
        """A copy of Synapse's configuration asks the same allowlist."""
        return self
