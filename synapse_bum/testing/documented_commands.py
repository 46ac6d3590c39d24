"""The commands that a page in Markdown shows, in its code blocks and in the middle of its sentences."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

_ASSIGNMENT: Final = re.compile(r'(\w+)=("?)([^"]*)\2$')
_AS_MODULE: Final = re.compile(r"^python3? -m synapse_bum\b")
"""Where there is no console script."""

_FENCE: Final = "```"
_BLOCK_INDENT: Final = 4
_PROMPT: Final = "$ "


def code_lines(page: str) -> Iterator[str]:
    """Every line of the page's code blocks, indented or fenced, without indentation and prompt; parts of one joined."""
    fenced, begun = False, ""
    for line in page.splitlines():
        text = line.strip()
        if text.startswith(_FENCE):
            fenced = not fenced
            continue
        if not text or not (fenced or line.startswith(" " * _BLOCK_INDENT)):
            begun = ""
            continue
        begun += text.removeprefix(_PROMPT)
        if begun.endswith("\\"):
            begun = begun.removesuffix("\\")
            continue
        yield _AS_MODULE.sub("synapse-bum", begun)
        begun = ""


def block_commands(page: str, programs: Sequence[str]) -> Iterator[str]:
    """The commands of some programs in the page's code blocks, with the page's own variables put in.

    Args:
        page: the whole text.
        programs: first words, such as `curl`; a variable that stands for one counts too. Exported variables stay: they
            are the reader's.
    """
    variables: dict[str, str] = {}
    for line in code_lines(page):
        assigned = _ASSIGNMENT.fullmatch(line)
        if assigned:
            variables[assigned[1]] = assigned[3]
            continue
        text = expanded(line, variables).partition(" # ")[0].rstrip()
        if text.split(" ")[0] in programs:
            yield text


def expanded(text: str, variables: Mapping[str, str]) -> str:
    """A line with variables replaced by their values; those that are not known stay."""
    return re.sub(r"\$(\w+)", lambda found: variables.get(found[1], found[0]), text)


def inline_commands(page: str, programs: Sequence[str]) -> Iterator[str]:
    """The commands of some programs within sentences and tables, between backticks."""
    sentences = re.sub(rf"^ *{_FENCE}.*?^ *{_FENCE}$", "", page, flags=re.MULTILINE | re.DOTALL)
    text = "\n".join(line for line in sentences.splitlines() if not line.startswith(" " * _BLOCK_INDENT))
    for span in re.findall(r"`([^`]+)`", text):
        words = _AS_MODULE.sub("synapse-bum", " ".join(span.split()))
        if words.split(" ")[0] in programs:
            yield words
