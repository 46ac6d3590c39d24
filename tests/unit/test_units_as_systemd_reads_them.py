"""systemd has nothing to say against any unit of ours: the samples, and those that `synapse-bum provision` writes."""

import argparse
import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from synapse_bum.cli.provision import PROVISION
from synapse_bum.cli.provision.command import _order
from synapse_bum.cli.provision.processes import processes
from synapse_bum.cli.provision.units import unit_files

pytestmark = [pytest.mark.any_synapse, pytest.mark.requires("systemd-analyze")]

SAMPLES = Path(__file__).resolve().parents[2] / "config-samples"
KINDS = (".service", ".timer", ".target")
BACKUP = "synapse-bum-backup.service"
ORDERS = {
    "alone": (),
    "workers": ("--database", "postgresql://synapse@db.amt.example/messenger", "--workers", "2"),
}
# The program of a unit is not installed here; systemd looks for it.
PROGRAM = re.compile(r"^(Exec\w+=)/\S+", re.MULTILINE)
NONE = shutil.which("true") or "/bin/true"


def samples() -> dict[str, str]:
    return {path.name: path.read_text(encoding="utf-8") for path in SAMPLES.iterdir() if path.suffix in KINDS}


def provisioned(*options: str) -> dict[str, dict[str, str]]:
    """The units of an order by the folder in which they lie: those of another machine lie in another one."""
    parser = argparse.ArgumentParser()
    PROVISION.add_options(parser)
    names = ["--server-name", "messenger.amt.example", "--support-email", "hilfe@betrieb.example"]
    order = _order(parser.parse_args([*names, "--out", "/srv/messenger", *options]))
    found: dict[str, dict[str, str]] = {}
    for path, text in unit_files(order, processes(order)).items():
        folder, _, name = path.rpartition("/")
        if name.endswith(KINDS):
            found.setdefault(folder, {})[name] = text
    return found


def complaints(units: Mapping[str, str], folder: Path) -> list[str]:
    """What systemd says of units that lie in one folder."""
    for name, text in units.items():
        (folder / name).write_text(PROGRAM.sub(rf"\1{NONE}", text), encoding="utf-8")
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", *(folder / name for name in units)],  # noqa: S607 - wherever it is
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    # Of other units on this machine it may say something too.
    said = [line for line in done.stderr.splitlines() if any(name in line for name in (*units, str(folder)))]
    return said or ([done.stderr] if done.returncode else [])


def test_the_samples(tmp_path: Path) -> None:
    assert len(samples()) == len([*SAMPLES.glob("*.service"), *SAMPLES.glob("*.timer")]) > 0
    assert complaints(samples(), tmp_path) == []


@pytest.mark.parametrize("options", ORDERS.values(), ids=ORDERS)
def test_those_of_a_new_homeserver(options: tuple[str, ...], tmp_path: Path) -> None:
    folders = provisioned(*options)
    assert len(folders) == 2
    for number, units in enumerate(folders.values()):
        folder = tmp_path / str(number)
        folder.mkdir()
        assert complaints(units, folder) == []


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("ProtectSystem=", "ProtectSytsem="),
        ("ProtectSystem=strict", "ProtectSystem=very"),
        ("TimeoutStartSec=12h", "TimeoutStartSec=12 hurs"),
        ("Type=oneshot", "Type=once"),
    ],
)
def test_a_slip_of_the_pen_is_noticed(right: str, wrong: str, tmp_path: Path) -> None:
    text = samples()[BACKUP]
    assert right in text
    assert complaints({BACKUP: text.replace(right, wrong)}, tmp_path) != []
