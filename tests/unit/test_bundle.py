"""The zip of `make bundle` for containers without pip: it fits, it is whole, and the modules work in it alone."""

import importlib.util
import json
import os
import re
import subprocess
import sys
import traceback
from pathlib import Path
from types import ModuleType
from zipfile import ZipFile

import pytest

from synapse_bum.cli import COMMANDS
from synapse_bum.cli.host_commands import HOST_COMMANDS, host_command

pytestmark = pytest.mark.any_synapse

REPOSITORY = Path(__file__).resolve().parents[2]
SCRIPT = REPOSITORY / "scripts" / "make_bundle.py"
MOST_BYTES = 1_000_000  # README says so; a ConfigMap takes 1,048,576
NOT_FOR_CONTAINERS = ("synapse_bum/testing/", *(f"synapse_bum/cli/{name}/" for name in HOST_COMMANDS))

# Nothing of this tree may help out: an editable installation has a finder of its own.
ALONE = "import sys\nsys.meta_path = [one for one in sys.meta_path if 'editable' not in repr(one)]\n"

USE = (
    ALONE
    + """
import importlib, json
for name in json.load(sys.stdin):
    assert ".zip/" in importlib.import_module(name).__file__, name
from synapse_bum.portal.page_table import PageTable
from synapse_bum.portal.static_files import StaticFiles
from synapse_bum.portal.language.texts import load
from jinja2 import PackageLoader
assert PageTable.of_all().menu() and StaticFiles().address("portal.css") and load("de") and load("en")
loader = PackageLoader("synapse_bum.portal")
assert all(loader.get_source(None, name)[0] for name in loader.list_templates())
print(json.dumps(loader.list_templates()))
"""
)

COMMAND_LINE = (
    ALONE
    + """
import contextlib, io, json
from synapse_bum.cli import COMMANDS, main
said = {}
for command in COMMANDS:
    output = io.StringIO()
    with contextlib.redirect_stdout(output), contextlib.redirect_stderr(output):
        try:
            status = main([command.name, "--help"])
        except SystemExit as end:
            status = end.code
    said[command.name] = [status, output.getvalue()]
print(json.dumps(said))
"""
)

FAILURE = (
    ALONE
    + """
import traceback
from synapse_bum.quantities import parse_duration
try:
    parse_duration("soon")
except ValueError:
    traceback.print_exc(file=sys.stdout)
"""
)

TRICKY = '''\
"""Docstring."""  # and a comment

import attr


class Alone(Exception):
    """Only
    a docstring."""


@attr.s(auto_attribs=True)
class Kept:
    """Some
       lines."""

    number: int = 1
    """What it is."""

    def method(self, first: "dict[str, int]", /, *rest: int, third: (int) = 3, **more: int) -> tuple[int, ...]:
        """Says."""
        text = """  # no comment
        stays\x20\x20
    """  # a comment
        # a comment
        braces = f"{{ {len(rest)} }} {1 if third else 2}" 'and' " more"
        both = third \\
            and text
        return len(text), first["#"], sum(rest), third, len(f"# {more!r:>20}"), braces, both, 1 .real, (
            1  # one
            + 2
        )

    async def later(
        self,
        one: dict[
            str,
            int,
        ],
    ) -> dict[
        str,
        int,
    ]:
        "Also a docstring."
        return one


def ends():
    try:
        raise Alone("a # in a text")
    except Alone:  # why
        raise KeyError from None  # line 47


def only() -> None:
    """Nothing."""


result = Kept().method({"#": 1}, 2, a=3)
'''


def make(folder: Path, seed: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-W", "ignore", str(SCRIPT), "--folder", str(folder)]
    return subprocess.Popen(command, env={**os.environ, "PYTHONHASHSEED": seed}, stdout=subprocess.DEVNULL)


@pytest.fixture(scope="module")
def twice(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folders = [tmp_path_factory.mktemp("dist"), tmp_path_factory.mktemp("again")]
    makers = [make(folder, seed) for folder, seed in zip(folders, "12", strict=True)]
    assert [maker.wait(timeout=300) for maker in makers] == [0, 0]
    return [next(folder.iterdir()) for folder in folders]


@pytest.fixture(scope="module")
def bundle(twice: list[Path]) -> Path:
    return twice[0]


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_bundle", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def run(program: str, bundle: Path, folder: Path, told: str = "") -> str:
    command = [sys.executable, "-B", "-W", "ignore", "-c", program]
    environment = {**os.environ, "PYTHONPATH": str(bundle)}
    ran = subprocess.run(
        command, cwd=folder, env=environment, input=told, capture_output=True, check=False, text=True, timeout=300
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def test_it_fits_into_a_config_map(bundle: Path) -> None:
    assert re.fullmatch(r"synapse_bum-[\d.]+\.zip", bundle.name)
    assert bundle.stat().st_size < MOST_BYTES


def test_the_same_tree_makes_the_same_bytes(twice: list[Path]) -> None:
    one, other = (path.read_bytes() for path in twice)
    assert one == other


def test_it_holds_the_package_and_the_independent_client_and_nothing_of_this_machine(bundle: Path) -> None:
    with ZipFile(bundle) as archive:
        names = archive.namelist()
        content = b"".join(map(archive.read, names))
    ours = {
        path.relative_to(REPOSITORY).as_posix()
        for path in (REPOSITORY / "synapse_bum").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and path.name != "py.typed"
    }
    assert {name for name in names if name.startswith("synapse_bum/")} == {
        name for name in ours if not name.startswith(NOT_FOR_CONTAINERS)
    }
    others = {name for name in names if not name.startswith("synapse_bum/")}
    assert {re.sub(r"-[\d.]+\.dist", ".dist", name) for name in others} == {
        "clamd/__init__.py",
        "clamd.dist-info/METADATA",
    }
    assert not [path for path in (REPOSITORY, Path.home(), Path(sys.prefix)) if os.fsencode(path) in content]


def test_what_lies_about_in_the_folders_of_the_package_stays_out(tmp_path: Path, script: ModuleType) -> None:
    package = tmp_path / "synapse_bum"
    package.mkdir()
    (package / "module.py").write_text("x = 1\n")
    (package / "de.yaml").write_text("x: 1\n")
    for name in ("module.py~", ".module.py.swp", ".hidden.py", "signing.key", "dump.sql", "tls.pem", "py.typed"):
        (package / name).write_text("secret")
    ours = {name for name in script.contents(tmp_path) if name.startswith("synapse_bum/")}
    assert ours == {"synapse_bum/module.py", "synapse_bum/de.yaml"}
    (package / "linked.yaml").symlink_to("/etc/hostname")
    with pytest.raises(script.BundleError, match=r"synapse_bum/linked\.yaml: is no file of its own"):
        script.contents(tmp_path)


def test_everything_in_it_works_without_this_tree(bundle: Path, tmp_path: Path) -> None:
    with ZipFile(bundle) as archive:
        names = archive.namelist()
    modules = [
        name.removesuffix(".py").removesuffix("/__init__").replace("/", ".") for name in names if name.endswith(".py")
    ]
    shown = json.loads(run(USE, bundle, tmp_path, json.dumps(modules)))
    assert {f"synapse_bum/portal/templates/{name}" for name in shown} == {
        name for name in names if name.startswith("synapse_bum/portal/templates/")
    }


def test_each_command_explains_itself_or_where_it_is(bundle: Path, tmp_path: Path) -> None:
    said = json.loads(run(COMMAND_LINE, bundle, tmp_path))
    assert set(said) == {command.name for command in COMMANDS}
    for command in COMMANDS:
        status, text = said[command.name]
        if command.name in HOST_COMMANDS:
            assert status == 1
            assert f"`synapse-bum {command.name}` is for the host, with the installed package" in text
        else:
            assert status == 0
            assert command.description.split()[0] in text


def test_options_of_a_command_that_is_not_there_lead_to_the_same_sentence(bundle: Path, tmp_path: Path) -> None:
    program = (
        "from synapse_bum.cli import main\nsys.stderr = sys.stdout\nprint(main(['backup', '-c', 'x', '--keep=7']))"
    )
    sentence, status = run(ALONE + program, bundle, tmp_path).splitlines()
    assert "`synapse-bum backup` is for the host" in sentence
    assert status == "1"


def test_a_command_whose_own_import_fails_is_not_taken_for_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_name: str) -> ModuleType:
        raise ModuleNotFoundError("No module named 'yaml'", name="yaml")

    monkeypatch.setattr("synapse_bum.cli.host_commands.importlib.import_module", broken)
    with pytest.raises(ModuleNotFoundError, match="yaml"):
        host_command("backup")


def test_a_traceback_points_to_the_line_of_this_tree(bundle: Path, tmp_path: Path) -> None:
    shown = run(FAILURE, bundle, tmp_path)
    (place,) = re.findall(r'synapse_bum/quantities\.py", line (\d+), in parse_duration\n +(.*)', shown)[-1:]
    source = (REPOSITORY / "synapse_bum" / "quantities.py").read_text(encoding="utf-8").splitlines()
    assert re.sub(" ", "", source[int(place[0]) - 1]) == re.sub(" ", "", place[1])


def test_what_is_taken_out_changes_nothing(script: ModuleType) -> None:
    slimmed = script.slim(TRICKY)
    assert "comment" not in slimmed.replace("# no comment", "")
    assert "ocstring" not in slimmed
    assert "third=3" in slimmed
    results = []
    for source in (TRICKY, slimmed):
        namespace: dict[str, object] = {}
        exec(source, namespace)  # noqa: S102 - the example above
        with pytest.raises(KeyError) as error:
            namespace["ends"]()  # type: ignore[operator]
        results.append((namespace["result"], traceback.extract_tb(error.value.__traceback__)[-1].lineno))
    assert results[0] == results[1]
    assert slimmed.count("\n") == TRICKY.count("\n")


def test_a_file_that_would_do_something_else_ends_it(script: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(script, "_dense", lambda source: source.replace("raise", "print"))
    with pytest.raises(script.BundleError):
        script.slim("raise(ValueError)\n")
