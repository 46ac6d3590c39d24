"""Whose files were and who might do what with them: noted with a backup, and given back by a restore.

restic knows numbers, which on another machine are other people's: names count. Only root may give files away; for
everybody else, and where a name is not known, a script says what is left to do.
"""

import contextlib
import grp
import os
import pwd
import shlex
import stat
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

import attr

SCRIPT: Final = "set-owners.sh"
"""Its name in the folder of a restore."""


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Owned:
    """A file or a folder.

    Attributes:
        path: relative to the folder of a restore.
        mode: its permissions.
        uid: of its owner.
        gid: of its group.
        user: the name of its owner; the number where it has none.
        group: the same for its group.
    """

    path: str
    mode: int
    uid: int
    gid: int
    user: str
    group: str

    @property
    def owner(self) -> str:
        """As chown takes it."""
        return f"{self.user}:{self.group}"


def owned(original: Path, path: str) -> Owned:
    """Note whose a file or a folder is.

    Args:
        original: where it is.
        path: where a restore writes it.

    Raises:
        OSError: it is not there.
    """
    found = original.stat()
    return Owned(
        path, stat.S_IMODE(found.st_mode), found.st_uid, found.st_gid, _user(found.st_uid), _group(found.st_gid)
    )


def with_folders_above(original: Path, below: str) -> Iterator[Owned]:
    """Note the same of a file and of all folders that it lies in.

    Args:
        original: absolute.
        below: the folder of a restore in which it gets its whole path.

    Raises:
        OSError: it is not there.
    """
    for one in (original, *original.parents):
        yield owned(one, str(Path(below, *one.parts[1:])))


def give_back(folder: Path, shown: Path, noted: Sequence[Owned], trees: Sequence[str]) -> list[str]:
    """Set owners and permissions as they were.

    Args:
        folder: of a restore.
        shown: the name that it gets.
        noted: what was noted with the backup.
        trees: those of the noted folders in which everything has an owner of its own.

    Returns:
        What is left to do, in lines to print; nothing when all is as it was.

    Raises:
        OSError: a file can't be changed.
    """
    users, groups = _numbers(noted)
    here = [one for one in noted if (folder / one.path).exists()]
    left = []
    # The deepest first: a folder may then be closed for who restores.
    for one in sorted(here, key=lambda one: one.path, reverse=True):
        path = folder / one.path
        if one.path in trees and _may_give_away():
            _translate(path, users, groups)
        if not _give(path, users.get(one.uid), groups.get(one.gid)):
            left.append(one)
        path.chmod(one.mode)
    # Who had the files may reach them.
    first = next((one for one in here if one.path in trees), None)
    if first is not None:
        _give(folder, users.get(first.uid), groups.get(first.gid))
    if not left:
        return []
    script = folder / SCRIPT
    script.write_text("\n".join(_commands(left, trees, first)) + "\n", encoding="utf-8")
    unknown = sorted({one.user for one in left if one.uid not in users})
    because = f"the users {', '.join(unknown)} are not known here: make them first" if unknown else "that takes root"
    return [
        f"WARNING not every file could be given back to its owner, {because}. Then as root:",
        f"        cd {shlex.quote(str(shown))} && sh {SCRIPT}",
    ]


def _may_give_away() -> bool:
    return os.geteuid() == 0


def _give(path: Path, uid: int | None, gid: int | None) -> bool:
    """Whether it is theirs now; it may have been before."""
    if uid is None or gid is None:
        return False
    found = path.lstat()
    if (found.st_uid, found.st_gid) != (uid, gid):
        if not _may_give_away():
            return False
        os.chown(path, uid, gid, follow_symlinks=False)
    return True


def _translate(tree: Path, users: Mapping[int, int], groups: Mapping[int, int]) -> None:
    """Gives everything below a folder to the same names: restic has given it to the same numbers."""
    for above, folders, files in os.walk(tree):
        for name in (*folders, *files):
            path = Path(above, name)
            found = path.lstat()
            uid, gid = users.get(found.st_uid, found.st_uid), groups.get(found.st_gid, found.st_gid)
            if (uid, gid) != (found.st_uid, found.st_gid):
                os.chown(path, uid, gid, follow_symlinks=False)


def _commands(left: Sequence[Owned], trees: Sequence[str], first: Owned | None) -> Iterator[str]:
    if first is not None:
        yield f"chown {shlex.quote(first.owner)} ."
    for one in left:
        whole = "-hR " if one.path in trees else ""
        yield f"chown {whole}{shlex.quote(one.owner)} {shlex.quote(one.path)}"
        yield f"chmod {one.mode:o} {shlex.quote(one.path)}"


def _numbers(noted: Sequence[Owned]) -> tuple[dict[int, int], dict[int, int]]:
    """The numbers on this machine of users and groups, by those that they had."""
    users, groups = {}, {}
    for one in noted:
        with contextlib.suppress(KeyError):
            users[one.uid] = int(one.user) if one.user.isdigit() else pwd.getpwnam(one.user).pw_uid
        with contextlib.suppress(KeyError):
            groups[one.gid] = int(one.group) if one.group.isdigit() else grp.getgrnam(one.group).gr_gid
    return users, groups


def _user(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _group(gid: int) -> str:
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return str(gid)
