"""Units of systemd and the steps that are printed: what they name is there, reached, and that of one homeserver."""

import argparse
import configparser
import re
import shlex
from collections.abc import Callable
from pathlib import Path

import attr
import pytest

from synapse_bum.cli.backup import BACKUP
from synapse_bum.cli.probe import PROBE
from synapse_bum.cli.provision import PROVISION
from synapse_bum.cli.provision.command import _order
from synapse_bum.cli.provision.next_steps import next_steps
from synapse_bum.cli.provision.order import Order
from synapse_bum.cli.provision.processes import processes
from synapse_bum.cli.provision.units import unit_files

pytestmark = pytest.mark.any_synapse

SERVER = "messenger.amt.example"
DOCS = Path(__file__).resolve().parents[3] / "docs" / "bereitstellung.md"
TEMPORARY = "/tmp"  # noqa: S108 - what `PrivateTmp` hides; nothing is written there
POSTGRES = "postgresql://synapse@db.amt.example/messenger"
_CONTINUED = r"\\\n\s*"
"""A line of a unit that goes on in the next one."""

Run = Callable[..., tuple[int, str, str]]


def ordered(*options: str) -> Order:
    """What these options order; nothing is written."""
    parser = argparse.ArgumentParser()
    PROVISION.add_options(parser)
    names = ["--server-name", SERVER, "--support-email", "hilfe@betrieb.example", "--out", "/srv/messenger"]
    return _order(parser.parse_args([*names, "--python", "/usr/bin/python3", *options]))


def units(order: Order) -> dict[str, str]:
    return unit_files(order, processes(order))


def services(order: Order, folder: str = "systemd") -> dict[str, configparser.ConfigParser]:
    """Those that need the folder of the homeserver, or what measures it."""
    return {path: unit for path, unit in all_services(order, folder).items() if "-failed@" not in path}


def all_services(order: Order, folder: str = "systemd") -> dict[str, configparser.ConfigParser]:
    found = {}
    for path, text in units(order).items():
        if path.startswith(folder) and path.endswith(".service"):
            unit = configparser.ConfigParser(interpolation=None, strict=False)
            unit.optionxform = str  # type: ignore[assignment,method-assign] # as its documentation has it
            unit.read_string(re.sub(_CONTINUED, "", text))
            found[path] = unit
    return found


def command(unit: configparser.ConfigParser) -> list[str]:
    return shlex.split(unit["Service"]["ExecStart"])


WITH_WORKERS = ("--database", POSTGRES, "--workers", "2")


@pytest.mark.parametrize(
    ("options", "key"),
    [
        (["--out", "/home/op/messenger"], "ProtectHome"),
        (["--python", "/home/op/venv/bin/python"], "ProtectHome"),
        (["--python-path", "/root/synapse_bum-1.0.zip"], "ProtectHome"),
        (["--database", f"{POSTGRES}?sslrootcert=/root/ca.pem"], "ProtectHome"),
        (["--scanner", "unix:/run/user/1000/clamd.ctl"], "ProtectHome"),
        (["--out", f"{TEMPORARY}/messenger"], "PrivateTmp"),
        (["--python", f"/var{TEMPORARY}/venv/bin/python"], "PrivateTmp"),
        (["--python-path", f"{TEMPORARY}/synapse_bum-1.0.zip"], "PrivateTmp"),
        (["--database", f"postgresql:///messenger?host={TEMPORARY}"], "PrivateTmp"),
        (["--scanner", f"unix:{TEMPORARY}/clamd.ctl"], "PrivateTmp"),
    ],
    ids=" ".join,
)
def test_what_a_process_needs_is_not_hidden_from_it(options: list[str], key: str) -> None:
    for name, unit in services(ordered(*options)).items():
        others = {"ProtectHome", "PrivateTmp"} - {key}
        assert unit["Service"][key] == "no", name
        assert [unit["Service"][other] for other in others] == ["yes"], name


def test_what_links_lead_to_is_not_hidden(tmp_path: Path) -> None:
    link = tmp_path / "python"
    link.symlink_to("/root/.pyenv/bin/python3")
    for unit in services(ordered("--python", str(link))).values():
        assert unit["Service"]["ProtectHome"] == "no"


def test_everything_else_is_hidden() -> None:
    for unit in services(ordered(*WITH_WORKERS)).values():
        assert (unit["Service"]["ProtectHome"], unit["Service"]["PrivateTmp"]) == ("yes", "yes")


def test_a_start_may_take_as_long_as_a_restore_needs() -> None:
    found = services(ordered(*WITH_WORKERS))
    notified = [unit for unit in found.values() if unit["Service"]["Type"] == "notify"]
    assert [unit["Service"]["TimeoutStartSec"] for unit in notified] == ["infinity", "infinity"]


def test_a_bundle_is_named_in_the_units() -> None:
    found = services(ordered(*WITH_WORKERS, "--python-path", "/opt/synapse_bum-1.0.zip"))
    assert len(found) == 4
    for unit in found.values():
        assert unit["Service"]["Environment"] == "PYTHONPATH=/opt/synapse_bum-1.0.zip"


def test_units_of_another_homeserver_are_never_replaced() -> None:
    one = ordered(*WITH_WORKERS)
    other = attr.evolve(one, hosts=attr.evolve(one.hosts, server="messenger.land.example"))
    assert len(units(one)) == 10
    assert not set(units(one)) & set(units(other))
    for path, text in units(one).items():
        assert SERVER in path
        # What they name on the machine is their own, too.
        for shared in ("/etc/synapse-bum-", "/var/lib/synapse-bum-", "StateDirectory=", "synapse-bum-backup-"):
            for line in (line for line in text.splitlines() if shared in line):
                assert SERVER in line, line
    target = units(one)[f"systemd/synapse-bum-{SERVER}.target"]
    for name in re.findall(r"^Wants=(.*)$", target, re.MULTILINE)[0].split():
        assert f"systemd/{re.sub('@.*[.]', '@.', name)}" in units(one)


def test_what_fails_is_mailed_to_who_helps() -> None:
    found = all_services(ordered(*WITH_WORKERS))
    mail = found.pop(f"systemd/synapse-bum-{SERVER}-failed@.service")
    assert len(found) == 4
    assert {unit["Unit"]["OnFailure"] for unit in found.values()} == {f"synapse-bum-{SERVER}-failed@%n.service"}
    assert mail["Service"]["Environment"] == "OPERATORS=hilfe@betrieb.example"


def test_the_backups_options_are_known_and_lead_into_the_folder(run: Run, tmp_path: Path) -> None:
    assert run()[0] == 0
    parser = argparse.ArgumentParser()
    BACKUP.add_options(parser)
    found = [
        path
        for path in (tmp_path / "new" / "systemd").iterdir()
        if path.name.endswith(("backup.service", "verify.service"))
    ]
    assert len(found) == 2
    for path in found:
        text = re.sub(_CONTINUED, "", path.read_text())
        (line,) = re.findall(r"^ExecStart=(.*)$", text, re.MULTILINE)
        _python, *words = shlex.split(line.replace("%%", "%"))
        assert words[:3] == ["-m", "synapse_bum", "backup"]
        options = parser.parse_args(words[3:])
        assert options.config_path == [tmp_path / "new" / "homeserver.yaml"]
        assert options.verify or options.include
        assert [named for named in options.include if not named.is_dir()] == []
        assert path.with_suffix(".timer").is_file()


def test_the_probe_asks_under_the_name_for_clients() -> None:
    ((_path, unit),) = services(ordered(), "probe").items()
    _python, _probe, *words = command(unit)
    parser = argparse.ArgumentParser()
    PROBE.add_options(parser)
    assert parser.parse_args(words).url == f"https://matrix.{SERVER}"
    assert ".example" not in units(ordered())[_path].replace(SERVER, "")


def test_the_handbook_has_the_steps_that_are_printed() -> None:
    section = DOCS.read_text(encoding="utf-8").partition("## In Betrieb nehmen")[2].partition("\n## ")[0]
    written = re.findall(r"^[0-9]+\. (.*(?:\n   .*)*)", section, re.MULTILINE)
    printed = list(next_steps(ordered()))
    assert len(written) == len(printed)
    for text, step in zip(written, printed, strict=True):
        snippets = [" ".join(one.split()) for one in re.findall(r"`([^`]+)`", text)]
        assert snippets, text
        assert [one for one in snippets if one not in step] == [], step


def test_what_the_handover_mail_promises_is_among_the_steps(run: Run) -> None:
    _status, said, _errors = run()
    for part in (f"synapse-bum-{SERVER}-backup.timer", "on another machine", "/clamav/clamd.conf", "uebergabe.txt"):
        assert part in said
    assert " 10. " in said
