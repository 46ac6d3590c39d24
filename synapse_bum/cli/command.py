"""What a command of `synapse-bum` is."""

import argparse
from collections.abc import Callable

import attr


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Command:
    """One command.

    Attributes:
        name: the word behind `synapse-bum`.
        summary: a few words for the list of commands.
        description: what `--help` says first.
        add_options: adds its options to its own parser.
        run: does it; returns the exit status. Expected failures are sentences on stderr, not exceptions.
    """

    name: str
    summary: str
    description: str
    add_options: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace], int]
