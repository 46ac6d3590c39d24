"""What a step of the demo is, and how it says that something was not as promised."""

import time
from collections.abc import Callable, Iterator

import attr

from synapse_bum.cli.demo.stage import Stage

_POLL_SECONDS = 0.1


class BrokenPromiseError(Exception):
    """Something was not as promised; the text is a sentence that says what was there instead."""


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Step:
    """One promise and the proof of it.

    Steps do not build on each other: each one makes what it looks at, and leaves the servers as it found them unless
    its title says otherwise. So one that fails takes no other with it.

    Attributes:
        title: what is promised, in a few words.
        proves: why that matters, behind "Proves:".
        play: does it; yields a sentence for each thing that happened. Raises `BrokenPromiseError`, or whatever the
            servers make it raise, when it was not as promised.
    """

    title: str
    proves: str
    play: Callable[[Stage], Iterator[str]]


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
        instead: the sentence for when it did not happen.

    Returns:
        The seconds that it took.

    Raises:
        BrokenPromiseError: it did not happen in time.
    """
    started = time.monotonic()
    while not happened():
        require(time.monotonic() - started < seconds, f"{instead} (waited {seconds:g} s)")
        time.sleep(_POLL_SECONDS)
    return time.monotonic() - started
