"""Who becomes whom: from claims as a directory exports them, or from a list of old and new subjects."""

import csv
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

import attr

from synapse_bum.cli.check.configuration import ConfigurationError
from synapse_bum.oidc.mapping.claims import ClaimError
from synapse_bum.oidc.mapping.config import MappingConfig
from synapse_bum.oidc.mapping.subject import subject_of
from synapse_bum.oidc.migration import Renaming

HEADER: Final = ("old", "new")
"""The first line of a list; it may be missing."""


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Wanted:
    """What a file holds.

    Attributes:
        renamings: in the order of its lines.
        problems: sentences about lines that can't be read; with one of them nothing may be changed.
    """

    renamings: tuple[Renaming, ...]
    problems: tuple[str, ...]


def from_claims(path: Path, mapping: MappingConfig, old_claims: Sequence[str]) -> Wanted:
    """Read claims of people, an object of JSON in each line.

    Args:
        path: of the file.
        mapping: as it is now: it makes the new subjects.
        old_claims: claims that made the old subjects.

    Raises:
        ConfigurationError: the file can't be read.
    """
    before = attr.evolve(mapping, subject_claims=tuple(old_claims))

    def read(line: str, source: str) -> Renaming:
        try:
            claims = json.loads(line)
        except (ValueError, RecursionError):
            claims = None
        if not isinstance(claims, dict):
            raise ClaimError("Is no object of JSON")
        _must_be_of_the_tenant(mapping, claims)
        return Renaming(subject_of(before, claims), subject_of(mapping, claims), source)

    return _collect(enumerate(_text(path).split("\n"), 1), read)


def from_list(path: Path, mapping: MappingConfig) -> Wanted:
    """Read a list in CSV: old and new subject in each line.

    Args:
        path: of the file.
        mapping: as it is now: it must be able to make the new subjects.

    Raises:
        ConfigurationError: the file can't be read.
    """
    text = _text(path)
    # Spreadsheets that count with commas separate with semicolons.
    first = text.partition("\n")[0]
    rows = csv.reader(text.splitlines(), delimiter=";" if ";" in first and "," not in first else ",")

    def read(row: Sequence[str], source: str) -> Renaming:
        if len(row) != len(HEADER) or not row[0]:
            raise ClaimError(
                "Must hold two texts with a comma or a semicolon between them, the old and the new subject"
            )
        _must_be_made_by(mapping, row[1])
        return Renaming(row[0], row[1], source)

    try:
        lines = [(rows.line_num, row) for row in rows]
    except csv.Error as error:
        raise ConfigurationError(f"{path}: is no CSV ({error})") from None
    if lines and tuple(lines[0][1]) == HEADER:
        del lines[0]
    return _collect(lines, read)


def write_list(path: Path, renamings: Iterable[Renaming]) -> None:
    """Write a list that `from_list` reads.

    Raises:
        ConfigurationError: the file can't be written.
    """
    try:
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(HEADER)
            writer.writerows((one.old, one.new) for one in renamings)
    except OSError as error:
        raise ConfigurationError(f"{path}: {error.strerror}") from None


def _must_be_made_by(mapping: MappingConfig, subject: str) -> None:
    """A subject that the mapping writes in another way would be nobody's at the next login."""
    names = mapping.subject_claims
    parts = subject.split(":", len(names) - 1)
    if len(parts) != len(names):
        raise ClaimError(f"The new subject must have {len(names)} parts with a colon between them")
    claims = dict(zip(names, parts, strict=True))
    if subject_of(mapping, claims) != subject:
        raise ClaimError("The new subject is not written as the mapping writes it")
    _must_be_of_the_tenant(mapping, claims)


def _must_be_of_the_tenant(mapping: MappingConfig, claims: Mapping[str, object]) -> None:
    """Nobody of another tenant can ever log in."""
    tenant = claims.get("tid")
    if mapping.tenant is not None and "tid" in claims and str(tenant).lower() != mapping.tenant:
        raise ClaimError("The claim `tid` is not the `tenant` of the configuration")


def _collect(lines: Iterable[tuple[int, str] | tuple[int, list[str]]], read: Callable[..., Renaming]) -> Wanted:
    renamings: list[Renaming] = []
    problems: list[str] = []
    for number, line in _filled(lines):
        source = f"line {number}"
        try:
            renamings.append(read(line, source))
        except ClaimError as error:
            problems.append(f"{source}: {error}")
    return Wanted(tuple(renamings), tuple(problems))


def _filled(lines: Iterable[tuple[int, str] | tuple[int, list[str]]]) -> Iterator[tuple[int, str | list[str]]]:
    for number, line in lines:
        if line.strip() if isinstance(line, str) else line:
            yield number, line


def _text(path: Path) -> str:
    try:
        # Exports of Windows begin with a byte order mark.
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise ConfigurationError(f"{path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigurationError(f"{path}: is no UTF-8 text") from None
