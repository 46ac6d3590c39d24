"""Sections of measurements, as Markdown for people and as JSON for comparisons over time."""

from collections.abc import Mapping, Sequence
from typing import TypeAlias

import attr

from benchmarks.measuring import Goal, GoalResult, Spread

Json: TypeAlias = "str | int | float | bool | Mapping[str, Json] | Sequence[Json] | None"

Row: TypeAlias = Sequence["str | int | float | Spread | None"]
"""Cells of a table; None where nothing is to be said."""

_THOUSAND = 1000
_HUNDRED = 100


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Section:
    """One table with its goals.

    Attributes:
        title: a heading.
        columns: headings of the columns.
        rows: the cells; a `Spread` is printed with its range.
        goals: what was promised about this table.
        remarks: sentences below it, for example which peer is missing.
    """

    title: str
    columns: Sequence[str]
    rows: Sequence[Row]
    goals: Sequence[Goal] = ()
    remarks: Sequence[str] = ()


def figure(value: float) -> str:
    """Write a number with about three digits that count."""
    if abs(value) >= _THOUSAND:
        return f"{value:,.0f}"
    return f"{value:.3g}" if abs(value) < _HUNDRED else f"{value:.0f}"


def cell(value: "str | float | Spread | None") -> str:
    """Write one cell."""
    if value is None:
        return ""
    if isinstance(value, Spread):
        range_ = "" if value.runs == 1 else f" ({figure(value.lowest)} - {figure(value.highest)})"
        return figure(value.median) + range_
    return value if isinstance(value, str) else figure(value)


def rounds_in_words(rounds: Mapping[str, Sequence[object]], files: int) -> str:
    """Say what medians and ranges are made of.

    Args:
        rounds: of each contender; all have as many.
        files: of each contender in each round.
    """
    count = len(next(iter(rounds.values())))
    if count == 1:
        return f"a single round, so nothing is known about its noise; files in it: {files}."
    return f"medians of {count} rounds, in brackets the lowest and the highest round; files in a round: {files}."


def verdict(goal: Goal) -> str:
    """Say in a line whether a goal was met."""
    bound = "at least" if goal.at_least else "at most"
    measured, limit = f"{figure(goal.measured)} {goal.unit}", f"{figure(goal.limit)} {goal.unit}"
    alone = "" if goal.without_us is None else f"; the machine alone: {figure(goal.without_us)} {goal.unit}"
    between = "" if goal.between is None else " ({} - {})".format(*map(figure, goal.between))
    result = goal.result.value if goal.result is GoalResult.MET else f"**{goal.result.value}**"
    return f"- {result}: {goal.promise}: {measured}{between}, goal {bound} {limit}{alone}"


def markdown(section: Section) -> str:
    """Write a section as Markdown."""
    table = [list(section.columns), *([cell(value) for value in row] for row in section.rows)]
    widths = [max(len(line[column]) for line in table) for column in range(len(section.columns))]
    lines = [
        "| " + " | ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)) + " |" for line in table
    ]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    parts = [f"## {section.title}", "\n".join(lines)]
    if section.goals or section.remarks:
        parts.append("\n".join([*map(verdict, section.goals), *(f"- {remark}" for remark in section.remarks)]))
    return "\n\n".join(parts) + "\n"


def as_json(section: Section) -> Json:
    """Turn a section into what `json.dumps` takes; times in the units of the columns."""
    return {
        "title": section.title,
        "rows": [
            {column: _json_cell(value) for column, value in zip(section.columns, row, strict=True)}
            for row in section.rows
        ],
        "goals": [
            {
                "promise": goal.promise,
                "measured": goal.measured,
                "limit": goal.limit,
                "unit": goal.unit,
                "at_least": goal.at_least,
                "without_us": goal.without_us,
                "between": None if goal.between is None else list(goal.between),
                "result": goal.result.value,
            }
            for goal in section.goals
        ],
        "remarks": list(section.remarks),
    }


def _json_cell(value: "str | float | Spread | None") -> Json:
    if isinstance(value, Spread):
        return {"median": value.median, "lowest": value.lowest, "highest": value.highest, "runs": value.runs}
    return value
