"""The archives that README has people make for containers without pip: they fit, and the modules work in them."""

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

import pytest

from synapse_bum.cli.check.modules import MODULES

REPOSITORY = Path(__file__).resolve().parents[2]
README = (REPOSITORY / "README.md").read_text(encoding="utf-8")
MOST_BYTES = 1000 * 1024

USE = """
import importlib, json, sys
modules = [importlib.import_module(name.rpartition(".")[0]) for name in json.loads(sys.argv[1])]
import synapse_bum.__main__
from synapse_bum.portal.page_table import PageTable
from synapse_bum.portal.static_files import StaticFiles
from synapse_bum.portal.language.texts import load
from jinja2 import PackageLoader
assert PageTable.of_all().menu() and StaticFiles().address("portal.css") and load("de")
assert "layout.html" in PackageLoader("synapse_bum.portal").list_templates()
print(json.dumps(sorted({module.__file__.partition(".zip")[0] for module in modules})))
"""


def archives(folder: Path) -> list[Path]:
    """Does what README's `git archive` commands do, with the files as they are now."""
    made = []
    for line in re.findall(r"^    git archive .*--format=zip .*$", README, re.MULTILINE):
        words = shlex.split(line)
        name, paths = words[words.index("-o") + 1], words[words.index("HEAD") + 1 :]
        left_out = tuple(f"{path.removeprefix(':!')}/" for path in paths if path.startswith(":!"))
        with ZipFile(folder / name, "w", ZIP_DEFLATED, compresslevel=9) as archive:
            archive.writestr(ZipInfo("synapse_bum/"), b"")
            for root in (path for path in paths if not path.startswith(":!")):
                for file in sorted((REPOSITORY / root).rglob("*")):
                    shown = file.relative_to(REPOSITORY).as_posix()
                    if file.is_file() and "__pycache__" not in shown and not shown.startswith(left_out):
                        archive.write(file, shown)
        made.append(folder / name)
    return made


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return archives(tmp_path_factory.mktemp("archives"))


def test_each_fits_into_a_config_map(made: list[Path]) -> None:
    assert len(made) == 2
    assert {path.name: path.stat().st_size for path in made if path.stat().st_size > MOST_BYTES} == {}


def test_modules_are_found_in_them_and_nowhere_else(made: list[Path], tmp_path: Path) -> None:
    (value,) = set(re.findall(r"name: PYTHONPATH, value: ([^}]+)\}", README))
    path = os.pathsep.join(str(made[0].parent / Path(entry).name) for entry in value.split(":"))
    command = [sys.executable, "-B", "-W", "ignore", "-c", USE, json.dumps(list(MODULES))]
    used = subprocess.run(
        command, cwd=tmp_path, env={**os.environ, "PYTHONPATH": path}, capture_output=True, check=False, text=True
    )
    assert used.returncode == 0, used.stderr
    assert json.loads(used.stdout) == sorted(str(one.with_suffix("")) for one in made)
