"""What holds for the pure tests."""

import logging
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def _warnings_are_logged() -> Iterator[None]:
    """As in a process of its own: Synapse's tests, which may have run before in this one, let only errors through."""
    level = logging.root.level
    logging.root.setLevel(logging.WARNING)
    yield
    logging.root.setLevel(level)
