"""References to files of other servers that a test names, in the place of what rooms show."""

from collections.abc import Sequence

from synapse.module_api import LoggingTransaction

from synapse_bum.database import Lease
from synapse_bum.homeserver.remote_media_listing import Key


class KnownReferences:
    """The `References` of a purger that are always known.

    Attributes:
        files: what is an avatar now; tests may change it.
        caught_up: how often the purger has asked for what is new.
    """

    def __init__(self, files: set[Key]) -> None:
        self.files = files
        self.caught_up = 0

    async def prepare(self, lease: Lease, *, thorough: bool) -> None:
        """They are known already."""

    async def catch_up(self, lease: Lease) -> None:  # noqa: ARG002 - of `References`
        """Counts."""
        self.caught_up += 1

    def follow(self, txn: LoggingTransaction) -> None:
        """They are known already."""

    def referenced_remote(self, txn: LoggingTransaction, keys: Sequence[Key]) -> set[Key]:  # noqa: ARG002 - of `References`
        """Those of some files that were named."""
        return self.files & set(keys)
