"""docs/protokoll.md shows and explains every event that our code logs at INFO and above, in the words of the code."""

import ast
import logging
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import attr
import pytest

pytestmark = pytest.mark.any_synapse

REPOSITORY = Path(__file__).resolve().parent.parent.parent.parent
PACKAGE = REPOSITORY / "synapse_bum"
PAGE = (REPOSITORY / "docs" / "protokoll.md").read_text(encoding="utf-8")

LEVELS: Mapping[str, frozenset[str]] = {
    "info": frozenset({"INFO"}),
    "warning": frozenset({"WARNING"}),
    "error": frozenset({"ERROR"}),
    "exception": frozenset({"ERROR"}),
    "critical": frozenset({"CRITICAL"}),
    "log": frozenset({"INFO", "WARNING"}),
}
"""What each method of a logger writes; the level of `log` is chosen while it runs."""

ANYTHING = "(?s:.+)"


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Event:
    """One place that logs.

    Attributes:
        where: file and line.
        logger: its name.
        levels: that it may have.
        form: what its text looks like, as a regular expression.
    """

    where: str
    logger: str
    levels: frozenset[str]
    form: str

    def is_shown_by(self, example: "Example") -> bool:
        """Whether a line of the page is one of this event."""
        same_place = example.logger == self.logger and example.level in self.levels
        return same_place and re.fullmatch(self.form, example.text) is not None


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Example:
    """One line of the page, with what is said below it."""

    level: str
    logger: str
    text: str
    meaning: str


def form_of(message: str) -> str:
    """The regular expression of a format string, with numbers where it says so."""
    parts = re.split(r"%(%|r|s|d|\.\d+f)", message)
    kinds = {"%": "%", "r": ANYTHING, "s": "(?s:.*)", "d": r"-?\d+"}
    return "".join(kinds.get(part, r"-?[\d.]+") if place % 2 else re.escape(part) for place, part in enumerate(parts))


def message_form(message: ast.expr, constants: Mapping[str, str]) -> str:
    """The form of a message as it stands in the code; of one that comes from elsewhere nothing is known."""
    if isinstance(message, ast.Constant):
        return form_of(str(message.value))
    if isinstance(message, ast.Name) and message.id in constants:
        return form_of(constants[message.id])
    return ANYTHING


def constants_of(tree: ast.Module) -> dict[str, str]:
    """Texts that a file has names for."""
    found = {}
    for node in tree.body:
        target = node.targets[0] if isinstance(node, ast.Assign) else getattr(node, "target", None)
        value = getattr(node, "value", None)
        if isinstance(target, ast.Name) and isinstance(value, ast.Constant) and isinstance(value.value, str):
            found[target.id] = value.value
    return found


def logger_name(tree: ast.Module, module: str) -> str | None:
    """The name of a file's logger; None when it has none."""
    for node in tree.body:
        if (
            isinstance(node, ast.Assign)
            and ast.unparse(node.targets[0]) == "logger"
            and isinstance(node.value, ast.Call)
        ):
            (name,) = node.value.args
            return str(name.value) if isinstance(name, ast.Constant) else module
    return None


def events() -> Iterator[Event]:
    """Every call of a logger, also where it is handed over to be called after a commit."""
    for path in sorted(PACKAGE.rglob("*.py")):
        if path.is_relative_to(PACKAGE / "testing"):
            continue
        tree = ast.parse(path.read_text(encoding="utf-8"))
        name = logger_name(tree, ".".join(path.relative_to(REPOSITORY).with_suffix("").parts))
        if name is None:
            continue
        constants = constants_of(tree)
        for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
            for place, part in enumerate([call.func, *call.args]):
                method = ast.unparse(part).removeprefix("logger.")
                if ast.unparse(part) == f"logger.{method}" and method in LEVELS:
                    arguments = call.args[place + (method == "log") :]
                    where = f"{path.relative_to(REPOSITORY)}:{call.lineno}"
                    yield Event(where, name, LEVELS[method], message_form(arguments[0], constants))


def examples() -> Iterator[Example]:
    """Every line of the page that looks like one of the log, with the sentence that follows."""
    for level, logger, text, meaning in re.findall(
        r"^    ([A-Z]+) (synapse_bum[\w.]*) (.+(?:\n    .*)*)\n\n(\S.+)$", PAGE, re.MULTILINE
    ):
        yield Example(level, logger, text.replace("\n    ", "\n"), meaning)


EVENTS = list(events())
EXAMPLES = list(examples())


def test_every_event_is_shown() -> None:
    assert len(EVENTS) > 150
    shown = {event for event in EVENTS for example in EXAMPLES if event.is_shown_by(example)}
    assert sorted(f"{event.where} {event.form}" for event in set(EVENTS) - shown) == []


def test_every_example_is_a_line_that_is_written() -> None:
    assert [one for one in EXAMPLES if not any(event.is_shown_by(one) for event in EVENTS)] == []


def test_every_example_is_explained_and_none_is_overlooked() -> None:
    assert len(EXAMPLES) == len(re.findall(r"^    [A-Z]+ synapse_bum", PAGE, re.MULTILINE))
    assert [one for one in EXAMPLES if len(one.meaning) < 12] == []


@pytest.mark.parametrize(
    ("message", "arguments", "other"),
    [
        ("Removed %s, %d bytes (%s)", ("mxc://a/b", 3, "own"), "Removed mxc://a/b, many bytes (own)"),
        ("more than %d %%: %.1f s", (50, 1.25), "more than 50 : 1.2 s"),
        ("without a code: %r", ("x",), "without code: 'x'"),
        ("%s.*", ("a",), "abc"),
    ],
)
def test_a_form_fits_what_the_logger_writes_and_nothing_else(
    message: str, arguments: tuple[object, ...], other: str
) -> None:
    written = logging.LogRecord("a", logging.INFO, "", 1, message, arguments, None).getMessage()
    assert re.fullmatch(form_of(message), written)
    assert not re.fullmatch(form_of(message), other)
