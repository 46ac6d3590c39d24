"""What holds for the pure tests."""

import logging
from collections.abc import Iterator

import pytest

from synapse_bum.cli.check.machine import Machine

QUIET = Machine(swaps="Filename Type Size Used Priority\n", core_pattern="core", core_limit=0, mounts={"/": "tmpfs"})
"""A machine without swap, core dumps and disks."""


@pytest.fixture(autouse=True)
def _warnings_are_logged() -> Iterator[None]:
    """As in a process of its own: Synapse's tests, which may have run before in this one, let only errors through."""
    level = logging.root.level
    logging.root.setLevel(logging.WARNING)
    yield
    logging.root.setLevel(level)


@pytest.fixture(autouse=True)
def _the_machine_is_quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    """What `synapse-bum check` says is that of the files, on every machine."""
    monkeypatch.setattr("synapse_bum.cli.check.machine.read_machine", lambda: QUIET)
