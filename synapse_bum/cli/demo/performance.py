"""Plays steps one after another, measures them, and keeps count. One that fails does not stop the next."""

import time
from collections.abc import Callable, Iterator

from synapse_bum.cli.demo.promise import BrokenPromiseError
from synapse_bum.cli.demo.report import Report
from synapse_bum.testing.local_server import ServerError


class Performance:
    """One run of the demo.

    Attributes:
        played: how many steps were played.
        broken: the titles, with their numbers, of those that were not as promised.
    """

    def __init__(self, report: Report, clock: Callable[[], float] = time.perf_counter) -> None:
        """Nothing is played yet.

        Args:
            report: is told about every step.
            clock: seconds.
        """
        self.played = 0
        self.broken: list[str] = []
        self._report = report
        self._clock = clock

    def play(self, title: str, proves: str, action: Callable[[], Iterator[str]]) -> bool:
        """Play one step and report it.

        Args:
            title: what is promised.
            proves: what the operator has of it, as in `Step`.
            action: yields a sentence for each thing that happened; raises when something was not as promised.

        Returns:
            Whether it was as promised.
        """
        self.played += 1
        self._report.step_begins(self.played, title)
        started = self._clock()
        happened: list[str] = []
        kept = False
        try:
            happened.extend(action())
            kept = True
        except (BrokenPromiseError, ServerError) as error:
            happened.extend(str(error).splitlines())
        except Exception as error:  # noqa: BLE001 - whatever broke this step, the others must still be seen
            happened.append(f"{type(error).__name__}: {error}")
        if not kept:
            self.broken.append(f"{self.played} ({title})")
        self._report.step_ended(kept=kept, happened=happened, proves=proves, seconds=self._clock() - started)
        return kept

    def summary(self, steps: int, seconds: float) -> str:
        """Sum up in a few sentences.

        Args:
            steps: how many were to be played.
            seconds: how long it all took.
        """
        kept = self.played - len(self.broken)
        sentences = [f"{kept} of {steps} steps as promised, in {seconds:.1f} s."]
        if self.broken:
            sentences.append(f"Not as promised: {', '.join(self.broken)}.")
        if self.played < steps:
            sentences.append(f"Not played, because they need the servers: {steps - self.played}.")
        return " ".join(sentences)
