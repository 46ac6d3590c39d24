"""How a step of the demo insists on what is promised."""

import time
from collections.abc import Callable
from typing import Final

_POLL_SECONDS: Final = 0.1


class BrokenPromiseError(Exception):
    """Something was not as promised; the text is a sentence that says what happened instead."""


def require(kept: bool, instead: str) -> None:  # noqa: FBT001 - reads as an assertion does
    """Insist on a promise.

    Args:
        kept: whether it was kept.
        instead: the sentence that says what happened when it was not.

    Raises:
        BrokenPromiseError: it was not.
    """
    if not kept:
        raise BrokenPromiseError(instead)


def wait_until(happened: Callable[[], bool], seconds: float, instead: str) -> float:
    """Wait for something that a server does on its own.

    Args:
        happened: asked several times a second.
        seconds: how long to wait.
        instead: the sentence for when it did not happen, without its full stop.

    Returns:
        The seconds that it took.

    Raises:
        BrokenPromiseError: it did not happen in time.
    """
    started = time.monotonic()
    while not happened():
        require(time.monotonic() - started < seconds, f"{instead} within {seconds:g} s.")
        time.sleep(_POLL_SECONDS)
    return time.monotonic() - started
