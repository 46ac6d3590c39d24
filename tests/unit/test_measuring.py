"""The statistics that the benchmarks report."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.measuring import Batch, Goal, GoalResult, Spread, Turns, fastest, interval, ratio, spread, take_turns
from benchmarks.report import Section, as_json, cell, markdown, rounds_in_words

positive = st.floats(min_value=1e-6, max_value=1e6)


def test_a_spread_tells_median_and_range() -> None:
    assert spread([3.0, 1.0, 2.0]) == Spread(2.0, 1.0, 3.0, 3)


@given(st.lists(positive, min_size=1))
def test_a_contender_takes_as_long_as_itself(values: list[float]) -> None:
    assert ratio(values, values) == Spread(1.0, 1.0, 1.0, len(values))


@given(st.lists(st.tuples(positive, positive), min_size=1))
def test_a_machine_that_is_slower_for_a_round_does_not_change_the_ratio(rounds: list[tuple[float, float]]) -> None:
    ours = [seconds * slowness * 1.5 for seconds, slowness in rounds]
    theirs = [seconds * slowness for seconds, slowness in rounds]
    assert ratio(ours, theirs).median == pytest.approx(1.5)


def test_rounds_that_do_not_belong_together_are_not_compared() -> None:
    with pytest.raises(ValueError, match="zip"):
        ratio([1.0, 2.0], [1.0])


def test_the_fastest_is_the_one_with_the_lowest_median() -> None:
    assert fastest({"steady": [2.0, 2.0, 2.0], "lucky once": [1.0, 3.0, 3.0]}) == "steady"


def test_a_batch_knows_latency_and_throughput() -> None:
    batch = Batch([1.0, 2.0, 6.0], elapsed_s=4.5, cpu_s=0.3)
    assert (batch.latency_s, batch.seconds_per_file) == (2.0, 1.5)
    assert batch.cpu_per_file_s == pytest.approx(0.1)


def test_contenders_take_turns_and_each_begins_as_often() -> None:
    calls: list[str] = []
    contenders = {name: lambda name=name: calls.append(name) for name in "abc"}
    take_turns(contenders, Turns(warm_up=0, least=3, most=3, seconds=0.0), clock=lambda: 0.0)
    assert calls == ["a", "b", "c", "b", "c", "a", "c", "a", "b"]


def test_warm_up_rounds_do_not_count() -> None:
    number = iter(range(100))
    outcomes = take_turns({"a": lambda: next(number)}, Turns(2, 1, 3, 1.0), clock=lambda: 0.0)
    assert outcomes == {"a": [2, 3, 4]}


def test_time_ends_the_turns_but_not_before_the_least_rounds() -> None:
    now = iter(float(second) for second in range(100))
    outcomes = take_turns({"a": lambda: "done"}, Turns(0, 2, 50, 4.5), clock=lambda: next(now))
    assert 2 <= len(outcomes["a"]) < 50
    assert len(take_turns({"a": lambda: "done"}, Turns(0, 2, 50, -1.0), clock=lambda: 0.0)["a"]) == 2


@pytest.mark.parametrize(
    ("measured", "at_least", "without_us", "result"),
    [
        (15.0, False, None, GoalResult.MET),
        (15.1, False, None, GoalResult.MISSED),
        (15.1, False, 14.0, GoalResult.MISSED),
        (15.1, False, 25.0, GoalResult.UNDECIDED),
        (14.0, False, 25.0, GoalResult.MET),
        (15.0, True, None, GoalResult.MET),
        (14.9, True, None, GoalResult.MISSED),
        (float("nan"), False, None, GoalResult.MISSED),
        (float("nan"), True, None, GoalResult.MISSED),
    ],
)
def test_a_goal_is_met_or_missed_unless_the_machine_alone_misses_it(
    *,
    measured: float,
    at_least: bool,
    without_us: float | None,
    result: GoalResult,
) -> None:
    assert Goal("a promise", measured, 15.0, "ms", at_least, without_us).result is result


@pytest.mark.parametrize(
    ("between", "result"),
    [
        ((1.00, 1.019), GoalResult.MET),
        ((1.00, 1.021), GoalResult.UNDECIDED),
        ((0.90, 1.90), GoalResult.UNDECIDED),
        ((1.021, 1.2), GoalResult.MISSED),
    ],
)
def test_a_limit_within_the_interval_is_undecided(between: tuple[float, float], result: GoalResult) -> None:
    measured = sum(between) / 2
    assert Goal("a promise", measured, 1.02, "x", between=between).result is result


@given(st.lists(positive, min_size=1, max_size=20))
def test_an_interval_lies_among_the_values_and_around_their_median(values: list[float]) -> None:
    low, high = interval(values)
    assert min(values) <= low <= spread(values).median <= high <= max(values)


def test_more_rounds_make_a_smaller_interval() -> None:
    values = [float(number % 10) for number in range(400)]
    (few_low, few_high), (low, high) = interval(values[:10]), interval(values)
    assert high - low < few_high - few_low


def test_a_section_is_a_table_with_its_goals_below() -> None:
    section = Section(
        title="Scans",
        columns=("", "ms"),
        rows=[("our gate", spread([0.5, 0.25, 1.0])), ("nothing", None)],
        goals=[Goal("latency", 1.5, 1.3, "x")],
        remarks=["A remark."],
    )
    assert markdown(section) == (
        "## Scans\n\n"
        "|          | ms             |\n"
        "|----------|----------------|\n"
        "| our gate | 0.5 (0.25 - 1) |\n"
        "| nothing  |                |\n\n"
        "- **missed**: latency: 1.5 x, goal at most 1.3 x\n"
        "- A remark.\n"
    )
    json = as_json(section)
    assert isinstance(json, dict)
    assert json["rows"][0] == {"": "our gate", "ms": {"median": 0.5, "lowest": 0.25, "highest": 1.0, "runs": 3}}
    assert json["goals"][0]["result"] == "missed"


def test_numbers_are_short() -> None:
    assert [cell(value) for value in (0.01234, 1.0, 99.94, 123.4, 1234.5, "words", None)] == [
        "0.0123",
        "1",
        "99.9",
        "123",
        "1,234",
        "words",
        "",
    ]


def test_a_single_round_is_said_to_prove_little() -> None:
    assert "nothing is known about its noise" in rounds_in_words({"a": [1]}, 8)
    assert "2 rounds" in rounds_in_words({"a": [1, 2]}, 8)
