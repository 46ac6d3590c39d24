"""Write `dist/synapse_bum-<version>.zip`: the modules and their commands for containers without pip, on PYTHONPATH.

A ConfigMap takes 1 MiB, so what only readers need is left out of the Python files: comments, docstrings, the
annotations of functions, and spaces. Lines keep their numbers, so that a traceback points to the right line of this
tree. Left out too are `testing/` and the commands of an operator's host
(`synapse_bum/cli/host_commands.py`).

`clamd`, the independent client with which `synapse-bum check` asks a scanner, comes along as it is installed beside the
running interpreter. The same tree, interpreter and `clamd` make the same bytes each time.
"""

import argparse
import ast
import io
import itertools
import re
import sys
import tokenize
from collections.abc import Iterator, Mapping
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path
from typing import Final, TypeAlias
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

REPOSITORY: Final = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(REPOSITORY))

from synapse_bum import __version__  # noqa: E402 - of this tree, whatever is installed
from synapse_bum.cli.host_commands import HOST_COMMANDS  # noqa: E402

MOST_BYTES: Final = 1_000_000  # a ConfigMap takes 1,048,576
LEFT_OUT: Final = ("synapse_bum/testing/", *(f"synapse_bum/cli/{name}/" for name in HOST_COMMANDS))
TAKEN: Final = frozenset((".py", ".css", ".html", ".svg", ".txt", ".yaml"))
"""What the package is made of. An editor's copy, a key or a dump that lies in its folders stays out."""
CLAMD_FILES: Final = ("__init__.py", "METADATA")  # the second names authors and licence
INDENTATION: Final = 4

_NOT_WRITTEN: Final = frozenset(
    (tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER)
)
_OPENING: Final = frozenset("([{")
_CLOSING: Final = frozenset(")]}")
_IN_WORDS: Final = re.compile(r"""[\w"'.][\w"'.]""")  # the ends of two tokens that a space keeps apart

_UNREAD: Final = {ast.arg: "annotation", ast.FunctionDef: "returns", ast.AsyncFunctionDef: "returns"}

Cut: TypeAlias = tuple[int, int, bytes]
"""From offset to offset in bytes, and what stands there instead."""


class BundleError(Exception):
    """There is no bundle; the sentence says why."""


def contents(root: Path) -> Mapping[str, bytes]:
    """Return the files of the bundle, by name.

    Args:
        root: of the tree with the package.

    Raises:
        BundleError: `clamd` is not installed, or a file can't be made smaller.
    """
    found = dict(_clamd())
    for path in (root / "synapse_bum").rglob("*"):
        name = path.relative_to(root).as_posix()
        if path.suffix not in TAKEN or path.name.startswith(".") or name.startswith(LEFT_OUT):
            continue
        if path.is_symlink() or not path.is_file():
            # What it leads to may be anything on this machine.
            raise BundleError(f"{name}: is no file of its own")
        content = path.read_bytes()
        try:
            found[name] = slim(content.decode()).encode() if path.suffix == ".py" else content
        except BundleError as error:
            raise BundleError(f"{name}: {error}") from error
    return found


def write(found: Mapping[str, bytes], path: Path) -> None:
    """Write the zip; every entry has the same time, so that equal contents are equal bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with ZipFile(path, "w") as bundle:
        for name, content in sorted(found.items()):
            entry = ZipInfo(name)  # of 1980
            entry.create_system = 3  # Unix
            entry.external_attr = 0o644 << 16
            bundle.writestr(entry, content, ZIP_DEFLATED, compresslevel=9)


def slim(source: str) -> str:
    """Take out of a Python file what only its readers need; every statement stays in its line.

    Raises:
        BundleError: what came out would not do the same.
    """
    tree = ast.parse(source)
    content = source.encode()
    offsets = [0, *itertools.accumulate(len(line) for line in content.splitlines(keepends=True))]
    for begin, end, instead in sorted(_needless(tree, content, offsets), reverse=True):
        # The lines behind keep their numbers.
        content = content[:begin] + instead + b"\n" * content.count(b"\n", begin, end) + content[end:]
    slimmed = _dense(content.decode())
    if not _is_same(ast.parse(slimmed), tree):
        raise BundleError("it would not do the same without comments, docstrings and annotations")
    return slimmed


def _needless(tree: ast.AST, content: bytes, offsets: list[int]) -> Iterator[Cut]:
    def span(node: ast.stmt | ast.expr | ast.arg) -> tuple[int, int]:
        last, end = node.end_lineno or 0, node.end_col_offset or 0  # None only where nothing was parsed
        return offsets[node.lineno - 1] + node.col_offset, offsets[last - 1] + end

    for node in ast.walk(tree):
        for statement in _body(node):
            if _is_text(statement):
                yield *span(statement), b"" if len(_body(node)) > 1 else b"pass"
        if isinstance(node, ast.arg) and node.annotation is not None:
            begin, end = span(node)
            yield begin + len(node.arg.encode()), end, b""
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.returns is not None:
            begin, end = span(node.returns)
            arrow = content.rfind(b"->", 0, begin)
            if content[arrow:end].count(b"\n") == 0:  # no bracket around it would hold the lines together
                yield arrow, end, b""


def _dense(source: str) -> str:
    """Leave out comments and the spaces that Python does not need; every token stays in its line."""
    lines = source.splitlines(keepends=True)
    written = io.StringIO()
    row, column, depth, line_ends = 1, 0, 0, True
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type in _NOT_WRITTEN:
            line_ends = line_ends or token.type in {tokenize.NL, tokenize.NEWLINE}
            continue
        (first, begin), (last, end) = token.start, token.end
        between = _slice(lines, (row, column), (first, begin))
        if first > row:
            # Where no token ends the line, a backslash does.
            written.write(("\n" if line_ends else "\\\n") * (first - row))
            written.write("" if depth else " " * (begin // INDENTATION))
        elif between.strip():
            written.write(between)  # braces of a text with expressions, which newer tokenizers pass over
        elif between and _IN_WORDS.fullmatch(lines[row - 1][column - 1] + lines[first - 1][begin]):
            written.write(" ")
        written.write(_slice(lines, token.start, token.end))
        depth += (token.string in _OPENING) - (token.string in _CLOSING) if token.type == tokenize.OP else 0
        row, column, line_ends = last, end, False
    return written.getvalue() + "\n"


def _slice(lines: list[str], begin: tuple[int, int], end: tuple[int, int]) -> str:
    """What stands between two places, as tokens name them."""
    if begin[0] == end[0]:
        return lines[begin[0] - 1][begin[1] : end[1]]
    return "".join([lines[begin[0] - 1][begin[1] :], *lines[begin[0] : end[0] - 1], lines[end[0] - 1][: end[1]]])


def _is_same(one: object, other: object) -> bool:
    """Whether two trees do the same in the same lines; docstrings and annotations of functions do nothing."""
    if type(one) is not type(other):
        return False
    if isinstance(one, list) and isinstance(other, list):
        ones, others = ([item for item in items if not _does_nothing(item)] for items in (one, other))
        return len(ones) == len(others) and all(map(_is_same, ones, others))
    if not isinstance(one, ast.AST):
        return one == other
    if getattr(one, "lineno", None) != getattr(other, "lineno", None):
        return False
    unread = _UNREAD.get(type(one))
    return all(_is_same(getattr(one, name), getattr(other, name)) for name in one._fields if name != unread)


def _body(node: ast.AST) -> list[ast.stmt]:
    body = getattr(node, "body", None)
    return body if isinstance(body, list) else []


def _does_nothing(item: object) -> bool:
    return isinstance(item, ast.Pass) or _is_text(item)


def _is_text(statement: object) -> bool:
    return (
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Constant)
        and isinstance(statement.value.value, str)
    )


def _clamd() -> Mapping[str, bytes]:
    try:
        installed = files("clamd") or []
    except PackageNotFoundError:
        raise BundleError("the package `clamd` is not installed here: `make bundle` installs it first") from None
    return {file.as_posix(): file.read_binary() for file in installed if file.name in CLAMD_FILES}


def main() -> int:
    """Write the bundle.

    Returns:
        the exit status: 1 when there is none.
    """
    parser = argparse.ArgumentParser(description="Write the modules as one zip for PYTHONPATH.")
    parser.add_argument("--folder", type=Path, default=REPOSITORY / "dist", help="where to (default: dist)")
    path: Path = parser.parse_args().folder / f"synapse_bum-{__version__}.zip"
    try:
        write(contents(REPOSITORY), path)
    except BundleError as error:
        print(f"make_bundle: {error}", file=sys.stderr)
        return 1
    size = path.stat().st_size
    print(f"{path}: {size:,} bytes")
    if size > MOST_BYTES:
        print(f"make_bundle: that is above {MOST_BYTES:,}; a ConfigMap takes 1,048,576", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
