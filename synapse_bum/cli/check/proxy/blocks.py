"""Reading nginx's configuration: directives and blocks. Pure.

Grammar: words apart by white space, `;` ends a directive, `{` begins a block, `#` a comment; quotes and backslashes
as in `ngx_conf_read_token` of nginx 1.22.
"""

from typing import Final

import attr


class NotNginxError(Exception):
    """The text is no configuration of nginx; says where."""


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Directive:
    """One directive.

    Attributes:
        name: its first word.
        args: the words behind it.
        block: what stands between its braces; None for one that ends with a semicolon.
        line: where it begins, from 1.
        file: in which; empty for the one that was given.
    """

    name: str
    args: tuple[str, ...]
    block: "tuple[Directive, ...] | None"
    line: int
    file: str = ""

    @property
    def place(self) -> str:
        """Where it begins, for a person."""
        return f"{self.file} line {self.line}".lstrip()

    def all(self, name: str) -> "list[Directive]":
        """The directives of a name in its block."""
        return [one for one in self.block or () if one.name == name]


_MAX_DEPTH: Final = 30


def read_blocks(text: str) -> tuple[Directive, ...]:
    """Read a configuration.

    Raises:
        NotNginxError: a quote or a brace has no other one, or a directive no end.
    """
    words = _Words(text)
    found = _block(words, 0)
    if words.ended_by == "}":
        raise NotNginxError(f"line {words.line}: unexpected `}}`")
    return found


def _block(words: "_Words", depth: int) -> tuple[Directive, ...]:
    if depth > _MAX_DEPTH:
        raise NotNginxError(f"line {words.line}: blocks in blocks without an end")
    found: list[Directive] = []
    while True:
        line, statement = words.statement()
        if words.ended_by in {"}", ""}:
            if statement:
                raise NotNginxError(f"line {words.line}: `{statement[0]}` has no end")
            if words.ended_by == "" and depth:
                raise NotNginxError(f"line {words.line}: a block has no end")
            return tuple(found)
        inner = None
        if words.ended_by == "{":
            inner = _block(words, depth + 1)
        if statement:
            found.append(Directive(statement[0], tuple(statement[1:]), inner, line))
        words.ended_by = ";"


class _Words:
    """Takes words off the text."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self.line = 1
        self.ended_by = ";"

    def statement(self) -> tuple[int, list[str]]:
        """The words up to the next `;`, `{`, `}` or the end; `ended_by` says which, "" for the end."""
        found: list[str] = []
        begin = self.line
        while self._at < len(self._text):
            letter = self._text[self._at]
            if letter in " \t\r\n":
                self._step()
            elif letter == "#":
                end = self._text.find("\n", self._at)
                self._at = len(self._text) if end < 0 else end
            elif letter in ";{}":
                self._at += 1
                self.ended_by = letter
                return begin, found
            else:
                if not found:
                    begin = self.line
                found.append(self._quoted(letter) if letter in "\"'" else self._plain())
        self.ended_by = ""
        return begin, found

    def _plain(self) -> str:
        letters: list[str] = []
        while self._at < len(self._text):
            letter = self._text[self._at]
            if letter in " \t\r\n;" or (letter == "{" and (not letters or letters[-1] != "$")):
                break
            if letter == "\\" and self._at + 1 < len(self._text):
                letters.append(self._escaped())
                continue
            letters.append(letter)
            self._step()
        return "".join(letters)

    def _quoted(self, quote: str) -> str:
        begin = self.line
        self._step()
        letters: list[str] = []
        while self._at < len(self._text):
            letter = self._text[self._at]
            if letter == quote:
                self._step()
                return "".join(letters)
            if letter == "\\" and self._at + 1 < len(self._text):
                letters.append(self._escaped())
                continue
            letters.append(letter)
            self._step()
        raise NotNginxError(f"line {begin}: a quote has no end")

    def _escaped(self) -> str:
        """A backslash with the letter behind it: it goes before quotes, and stays where a pattern needs it."""
        letter = self._text[self._at + 1]
        self._step()
        self._step()
        return {'"': '"', "'": "'", "\\": "\\", "t": "\t", "r": "\r", "n": "\n"}.get(letter, f"\\{letter}")

    def _step(self) -> None:
        if self._text[self._at] == "\n":
            self.line += 1
        self._at += 1
