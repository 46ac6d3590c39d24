"""What a step of the demo is."""

from collections.abc import Callable, Iterator

import attr

from synapse_bum.cli.demo.stage import Stage


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Step:
    """One promise and the proof of it.

    Steps do not build on each other: each one makes what it looks at, so that one that fails takes no other with it.

    Attributes:
        title: what is promised, in a few words.
        proves: what the operator has of it: the words behind "Proves that", without a full stop.
        play: does it; yields a sentence for each thing that happened. Raises `BrokenPromiseError`, or whatever the
            servers make it raise, when it was not as promised.
    """

    title: str
    proves: str
    play: Callable[[Stage], Iterator[str]]
