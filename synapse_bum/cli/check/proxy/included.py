"""nginx's configuration with the files that it includes, from the disk or out of what `nginx -T` prints.

`include` takes a pattern of glob(3), relative to the folder of nginx.conf (`ngx_conf_include` and `ngx_conf_full_name`
of nginx 1.22); a pattern without a match is nothing, a name without a file keeps nginx from starting.
"""

import glob
import re
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path, PurePath
from typing import Final, Protocol

import attr

from synapse_bum.cli.check.catalogue import Check
from synapse_bum.cli.check.configuration import ConfigurationError
from synapse_bum.cli.check.given import read_given
from synapse_bum.cli.check.proxy.blocks import Directive, NotNginxError, read_blocks
from synapse_bum.cli.check.remark import Remark, error, warning

_PREFIX: Final = Path("/etc/nginx")
_MAIN: Final = "nginx.conf"
_MAX_FILES: Final = 1_000
_HARMLESS: Final = "mime.types"  # a table, which decides nothing here
_OF_DUMP: Final = re.compile(r"^# configuration file (/.*):\r?\n", re.MULTILINE)


class Files(Protocol):
    """Where included files are looked for."""

    def matching(self, pattern: str, given: str) -> Sequence[str]:
        """The paths of files for a pattern, sorted.

        Args:
            pattern: as it stands behind `include`.
            given: path of the file that the check was told, to which it is relative.
        """
        ...

    def text(self, path: str) -> str:
        """The content of one of them.

        Raises:
            ConfigurationError: it can't be read.
        """
        ...


class FilesOnDisk:
    """Those of this machine."""

    def matching(self, pattern: str, given: str) -> Sequence[str]:
        """As nginx finds them from its own folder: that of nginx.conf, which may be above that of a site's file."""
        own = Path(given).absolute().parent
        with_main = [folder for folder in own.parents if folder.joinpath(_MAIN).is_file()]
        for folder in (own, *with_main, _PREFIX):
            found = [path for path in glob.glob(str(folder / pattern)) if Path(path).is_file()]  # noqa: PTH207 - absolute
            if found:
                return sorted(found)
        return ()

    def text(self, path: str) -> str:
        """The content of one of them."""
        return read_given(Path(path))


@attr.s(auto_attribs=True, frozen=True, slots=True)
class DumpedFiles:
    """Those in what `nginx -T` has printed.

    Attributes:
        texts: by their paths.
    """

    texts: Mapping[str, str]

    def matching(self, pattern: str, given: str) -> Sequence[str]:
        """As nginx has found them."""
        whole = str(PurePath(given).parent / pattern)
        depth = whole.count("/")
        return sorted(path for path in self.texts if path.count("/") == depth and fnmatchcase(path, whole))

    def text(self, path: str) -> str:
        """The content of one of them."""
        return self.texts[path]


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Whole:
    """A configuration with all that it includes.

    Attributes:
        blocks: its directives; None when a file that was given is none of nginx.
        remarks: what there is to say of its files.
    """

    blocks: tuple[Directive, ...] | None
    remarks: tuple[Remark, ...]


def read_whole(texts: Mapping[str, str], files: Files) -> Whole:
    """Put a configuration together.

    Args:
        texts: of the files that were given, by their paths.
        files: where to look for others.
    """
    blocks: list[Directive] = []
    remarks: list[Remark] = []
    for given, text in texts.items():
        reading = _dumped(given, text, files)
        try:
            own = read_blocks(reading.text)
        except NotNginxError as failure:
            return Whole(None, (*remarks, error(Check.PROXY_FILE, str(failure), given)))
        blocks += reading.with_included(own, (reading.path,))
        remarks += reading.remarks
    return Whole(tuple(blocks), tuple(remarks))


def _dumped(given: str, text: str, files: Files) -> "_Reading":
    marks = list(_OF_DUMP.finditer(text))
    if not marks:
        return _Reading(given, given, text, files)
    ends = [*(mark.start() for mark in marks[1:]), len(text)]
    texts = {mark[1]: text[mark.end() : end] for mark, end in zip(marks, ends, strict=True)}
    first = marks[0][1]
    return _Reading(given, first, texts[first], DumpedFiles(texts))


class _Reading:
    """One given file, while what it includes is put in its places.

    Attributes:
        path: of the file in which it begins.
        text: of that.
        remarks: so far.
    """

    def __init__(self, given: str, path: str, text: str, files: Files) -> None:
        self.path = path
        self.text = text
        self.remarks: list[Remark] = []
        self._given = given
        self._files = files
        self._left = _MAX_FILES

    def with_included(self, blocks: Sequence[Directive], chain: tuple[str, ...]) -> tuple[Directive, ...]:
        """Directives with those of other files in the place of each `include`.

        Args:
            blocks: of one file, or of one block in it.
            chain: the files that lead here, the last one is theirs.
        """
        found: list[Directive] = []
        file = chain[-1] if len(chain) > 1 else ""
        for one in blocks:
            if one.name == "include" and one.block is None and len(one.args) == 1:
                found += self._included(attr.evolve(one, file=file), chain)
            else:
                block = None if one.block is None else self.with_included(one.block, chain)
                found.append(attr.evolve(one, block=block, file=file))
        return tuple(found)

    def _included(self, one: Directive, chain: tuple[str, ...]) -> list[Directive]:
        (pattern,) = one.args
        paths = self._files.matching(pattern, self.path)
        if not paths and not glob.has_magic(pattern) and PurePath(pattern).name != _HARMLESS:
            self._say(one, f"{pattern} is not there, and not looked at")
        found: list[Directive] = []
        for path in paths:
            if path in chain:
                self._say(one, f"{path} includes itself: nginx never ends reading it")
                continue
            if not self._left:
                self._say(one, f"{path} is not looked at: {_MAX_FILES} files were")
                break
            self._left -= 1
            try:
                own = read_blocks(self._files.text(path))
            except ConfigurationError as failure:
                self._say(one, f"{failure}; it is not looked at")
            except NotNginxError as failure:
                self._say(one, f"{path} is not looked at: {failure}")
            else:
                found += self.with_included(own, (*chain, path))
        return found

    def _say(self, one: Directive, says: str) -> None:
        self.remarks.append(warning(Check.PROXY_FILE, f"{one.place}: {says}", self._given))
