"""A process as in a container of the BundesMessenger's chart: read-only root, nobody's user, a small /tmp, no pip.

The root is a new one, in a mount namespace of its own: programs, the interpreter and its packages, and what is mounted,
all for reading unless a mount says otherwise. This tree is not in it. Needs root, and `unshare` and `setpriv` of
util-linux. The network is that of the machine.
"""

import os
import shlex
import subprocess
import sys
import sysconfig
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import attr

USER: Final = 2666
"""User and group of the chart's containers."""

TMP_BYTES: Final = 10 * 1024 * 1024
"""What an ordinary process of the chart has in /tmp."""

_SYSTEM: Final = ("/usr", "/bin", "/sbin", "/lib", "/lib64", "/etc")
_DEVICES: Final = ("null", "zero", "random", "urandom")
_HIDDEN: Final = ("pip", "clamd")  # what a container has not, or what has to come out of the bundle
_SCRIPT: Final = """
set -eu
root=$1
mount -t tmpfs -o mode=755 none "$root"
mkdir -p "$root/dev" "$root/proc" "$root/tmp"
# Before the volumes: the interpreter may be one below /tmp.
mount -t tmpfs -o mode=1777,size={tmp_bytes} none "$root/tmp"
{mounts}
mount --rbind /proc "$root/proc"
mount -o remount,ro "$root"
exec chroot "$root" setpriv --reuid={user} --regid={user} --clear-groups --no-new-privs --bounding-set=-all {command}
"""


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Mount:
    """A folder of this machine in a container.

    Attributes:
        source: the folder here.
        target: where it is in the container.
        writable: whether the container may write into it; the folder's owner is not changed.
    """

    source: Path
    target: str
    writable: bool = False


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Container:
    """How a process is started.

    Attributes:
        root: an empty folder, where the container's root is made.
        mounts: volumes.
        environment: all variables that the process gets.
    """

    root: Path
    mounts: Sequence[Mount]
    environment: Mapping[str, str]

    def command(self, command: Sequence[str]) -> list[str]:
        """Return the command line that runs `command` in the container; the number of the process stays the same."""
        words = shlex.join(["env", "-i", *(f"{name}={value}" for name, value in self.environment.items()), *command])
        script = _SCRIPT.format(mounts="\n".join(self._binds()), tmp_bytes=TMP_BYTES, user=USER, command=words)
        return ["unshare", "--mount", "/bin/sh", "-c", script, "sh", str(self.root)]

    def run(self, command: Sequence[str], timeout: float = 120.0) -> subprocess.CompletedProcess[str]:
        """Run a command to its end, with what it prints."""
        return subprocess.run(self.command(command), capture_output=True, check=False, text=True, timeout=timeout)

    def _binds(self) -> list[str]:
        lines = []
        for path in map(Path, _SYSTEM):
            if path.is_symlink():
                lines.append(f'ln -s {shlex.quote(str(path.readlink()))} "$root{path}"')
            elif path.is_dir():
                lines += _bound(Mount(path, str(path)))
        for prefix in dict.fromkeys(map(os.path.realpath, (sys.base_prefix, sys.prefix))):
            if not prefix.startswith(_SYSTEM):
                lines += _bound(Mount(Path(prefix), prefix))
        packages = Path(sysconfig.get_path("purelib"))
        for hidden in (packages / name for name in _HIDDEN):
            if hidden.is_dir():
                lines.append(f'mount -t tmpfs -o ro none "$root"{shlex.quote(os.path.realpath(hidden))}')
        for name in _DEVICES:
            lines += [f'touch "$root/dev/{name}"', f'mount --bind /dev/{name} "$root/dev/{name}"']
        for mount in self.mounts:
            lines += _bound(mount)
        return lines


def process_root(pid: int) -> Path:
    """The root of a running container, as root of this machine sees it."""
    return Path(f"/proc/{pid}/root")


def as_config_map(folder: Path, files: Mapping[str, Path]) -> None:
    """Lay out files as Kubernetes mounts a ConfigMap: links to a folder that is replaced as a whole.

    Args:
        folder: an empty one.
        files: by key.
    """
    version = folder / "..2026_01_01_00_00_00.1234567890"
    version.mkdir()
    (folder / "..data").symlink_to(version.name)
    for key, path in files.items():
        (version / key).write_bytes(path.read_bytes())
        (folder / key).symlink_to(f"..data/{key}")


def _bound(mount: Mount) -> list[str]:
    source, target = shlex.quote(str(mount.source)), f'"$root"{shlex.quote(mount.target)}'
    lines = [f"mkdir -p {target}", f"mount --bind {source} {target}"]
    return lines if mount.writable else [*lines, f"mount -o remount,ro,bind {target}"]
