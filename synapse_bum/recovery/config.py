"""What stands under `config:` of the recovery module."""

import attr

from synapse_bum.config import SharedConfig, absolute_path, integer, option


@attr.s(auto_attribs=True, frozen=True, slots=True)
class RecoveryConfig(SharedConfig):
    """The whole configuration of the module.

    Attributes:
        log_path: file outside the database that everything closed is appended to; None for none.
        log_begins_at: number of the log's first line, once an operator knows that those before are lost for good.
    """

    log_path: str | None = option(absolute_path, default=None)
    log_begins_at: int | None = option(integer(1, 2**53 - 1), default=None)
