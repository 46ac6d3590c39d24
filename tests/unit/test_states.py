"""A state machine lets pass what its table allows, and nothing else."""

from enum import Enum

import pytest

from synapse_bum.states import IllegalTransitionError, StateMachine


class Run(Enum):
    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"


RUNS = StateMachine(
    "run",
    {
        Run.QUEUED: frozenset({Run.RUNNING}),
        Run.RUNNING: frozenset({Run.RUNNING, Run.DONE}),
        Run.DONE: frozenset(),
    },
)


def test_allowed_steps_pass() -> None:
    RUNS.check(Run.QUEUED, Run.RUNNING)
    RUNS.check(Run.RUNNING, Run.RUNNING)
    RUNS.check(Run.RUNNING, Run.DONE)


@pytest.mark.parametrize(
    ("old", "new"), [(Run.QUEUED, Run.DONE), (Run.QUEUED, Run.QUEUED), (Run.DONE, Run.RUNNING), (Run.DONE, Run.DONE)]
)
def test_other_steps_are_refused_with_both_names(old: Run, new: Run) -> None:
    with pytest.raises(IllegalTransitionError, match=f"a run can't go from {old.value} to {new.value}"):
        RUNS.check(old, new)


def test_what_is_final_and_what_comes_before() -> None:
    assert [state for state in Run if RUNS.is_final(state)] == [Run.DONE]
    assert RUNS.before(Run.RUNNING) == {Run.QUEUED, Run.RUNNING}
    assert RUNS.before(Run.QUEUED) == frozenset()


def test_a_table_with_a_hole_is_refused() -> None:
    with pytest.raises(ValueError, match="DONE"):
        StateMachine("run", {Run.RUNNING: frozenset({Run.DONE})})
