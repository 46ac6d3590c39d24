"""What a machine writes of its memory, and what stays in it."""

import attr
import pytest

from synapse_bum.cli.check.machine import Machine, core_dump_reason, is_in_memory, machine_remarks, mounts_in
from synapse_bum.cli.check.remark import Level

SWAPS = "Filename\t\t\tType\t\tSize\t\tUsed\t\tPriority\n"
GOOD = Machine(SWAPS, "core\n", 0, {"/": "ext4"})
MOUNTS = """\
/dev/sda1 / ext4 rw,relatime 0 0
tmpfs /run tmpfs rw,nosuid 0 0
/dev/sdb1 /run/media ext4 rw 0 0
tmpfs /srv/with\\040blank tmpfs rw 0 0
overlay /tmp overlay rw 0 0
tmpfs /tmp tmpfs rw 0 0
broken
"""


def found(machine: Machine) -> list[tuple[str, Level]]:
    return [(remark.check.value, remark.level) for remark in machine_remarks(machine)]


def test_a_good_machine_is_silent() -> None:
    assert found(GOOD) == []


@pytest.mark.parametrize(
    ("line", "is_bad"),
    [
        ("/dev/sda2 partition 1000 0 -2", True),
        ("/swapfile file 1000 0 -2", True),
        ("/dev/dm-1 partition 1000 0 -2", True),
        ("/dev/zram0 partition 1000 0 100", False),
    ],
)
def test_swap(line: str, is_bad: bool) -> None:  # noqa: FBT001 - of a table
    said = found(attr.evolve(GOOD, swaps=f"{SWAPS}{line}\n"))
    assert said == ([("machine.swap", Level.WARNING)] if is_bad else [])


@pytest.mark.parametrize(
    ("pattern", "limit", "is_on"),
    [
        ("core", 0, False),
        ("", -1, False),
        ("core", -1, True),
        ("/var/crash/%e.%p", 1024, True),
        ("|/usr/local/bin/collect %p", 0, True),
        ("|/usr/lib/systemd/systemd-coredump %P %u", 0, False),
        ("|/usr/lib/systemd/systemd-coredump %P %u", -1, True),
        ("|/usr/share/apport/apport -p%p", 0, False),
        ("|/bin/false", -1, False),
        ("|", 0, True),
    ],
)
def test_core_dumps(pattern: str, limit: int, is_on: bool) -> None:  # noqa: FBT001 - of a table
    assert (core_dump_reason(pattern, limit) is not None) is is_on
    said = found(attr.evolve(GOOD, core_pattern=f"{pattern}\n", core_limit=limit))
    assert said == ([("machine.core-dumps", Level.WARNING)] if is_on else [])


@pytest.mark.parametrize(
    ("folder", "expected"),
    [
        ("/run/clamav/tmp", True),
        ("/run", True),
        ("/runs", False),
        ("/run/media/a", False),
        ("/srv/with blank/a", True),
        ("/tmp", True),  # noqa: S108 - of a table
        ("/var/tmp", False),  # noqa: S108 - of a table
        ("relative", False),
        ("", False),
    ],
)
def test_folders_in_memory(folder: str, expected: bool) -> None:  # noqa: FBT001 - of a table
    assert is_in_memory(folder, mounts_in(MOUNTS)) is expected
