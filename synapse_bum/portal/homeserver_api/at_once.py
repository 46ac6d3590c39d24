"""Several questions to the homeserver at once, where one after the other would keep a reader waiting."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Final, TypeVar

from synapse.module_api import make_deferred_yieldable, run_in_background
from twisted.internet.defer import FirstError, gatherResults

T = TypeVar("T")
R = TypeVar("R")

_MOST: Final = 5
"""Under way at a time: a page must not take all connections of the homeserver's database."""


async def at_once(ask: Callable[[T], Awaitable[R]], about: Sequence[T]) -> list[R]:
    """Asks about each of these things.

    Args:
        ask: asks about one.
        about: what to ask about.

    Returns:
        The answers, in the order of the questions.

    Raises:
        Exception: of the first question that failed; no further one is asked then.
    """
    answers: dict[int, R] = {}
    waiting = list(enumerate(about))[::-1]

    async def work() -> None:
        while waiting:
            place, thing = waiting.pop()
            try:
                answers[place] = await ask(thing)
            except BaseException:
                waiting.clear()
                raise

    workers = [run_in_background(work) for _ in range(min(_MOST, len(about)))]
    try:
        await make_deferred_yieldable(gatherResults(workers, consumeErrors=True))
    except FirstError as error:
        error.subFailure.raiseException()
    return [answers[place] for place in range(len(about))]
