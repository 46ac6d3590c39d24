"""The rules of the house that no linter knows; `import-linter` guards the layers, ruff the style (pyproject.toml)."""

import ast
import configparser
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = pytest.mark.any_synapse

REPOSITORY = Path(__file__).resolve().parent.parent.parent
PACKAGE = REPOSITORY / "synapse_bum"
SOURCES = sorted(PACKAGE.rglob("*.py"))

PUBLIC_API = {"synapse.module_api", "synapse.module_api.errors"}
"""What Synapse promises to modules; everything else of Synapse is private to us."""

DOORS = (PACKAGE / "homeserver", PACKAGE / "testing")
"""The one door to Synapse's private API, and the launchers and fakes that start real homeservers for tests."""

IMPORTED_AS = {"attrs": "attr", "matrix-synapse": "synapse", "pyyaml": "yaml", "zope.interface": "zope"}
"""The distributions whose module has another name than they have."""

BROUGHT_ALONG = {"joserfc"}
"""What newer releases of a declared distribution bring in place of a part of their own; imported where that is gone."""

TOOLS_OF_TESTING = {
    "OpenSSL",  # what Twisted, and so Synapse, brings
    "PIL",
    "clamd",
    "hypothesis",
    "jsonschema",
    "lxml",
    "nio",
    "playwright",
    "psycopg2",
    "pytest",
    "saxonche",
    "signedjson",
    "tests",
}
"""What `synapse_bum.testing` may import beyond the declared dependencies: the tests' extra, Synapse and its tests."""

LONGEST_FILE = 400
VAGUE_NAMES = {"base", "common", "helper", "helpers", "lib", "manager", "misc", "tools", "util", "utils"}


def imported_modules(tree: ast.AST) -> Iterator[str]:
    """Yield every absolute module name that is imported anywhere in a tree, `from a import b` as `a`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield node.module
            # `from synapse import handlers` imports a module too.
            if node.module == "synapse":
                yield from (f"synapse.{alias.name}" for alias in node.names)


def private_synapse(tree: ast.AST) -> list[str]:
    """Name what a tree uses of Synapse beyond the module API: imports, and private attributes of a `ModuleApi`."""
    found = [name for name in imported_modules(tree) if name.partition(".")[0] == "synapse" and name not in PUBLIC_API]
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            owner, attribute = node.value, node.attr
        elif (
            isinstance(node, ast.Call)
            and ast.unparse(node.func) == "getattr"
            and isinstance(node.args[1], ast.Constant)
        ):
            owner, attribute = node.args[0], str(node.args[1].value)
        else:
            continue
        is_private = attribute.startswith("_") and not attribute.startswith("__")
        owner_is_api = re.fullmatch(r"(.*\.)?_?(module_)?api", ast.unparse(owner)) is not None
        if attribute == "_hs" or (is_private and owner_is_api):
            found.append(f"{ast.unparse(owner)}.{attribute}")
    return found


def raw_exceptions_logged(tree: ast.Module) -> list[str]:
    """Name log calls that format an exception itself: its text may quote rows, and so messages and names.

    `first_line(error)`, `type(error).__name__` and the like are fine, and so are exceptions of our own, whose sentences
    are ours. `logger.exception` and `exc_info` print all that an exception and its causes say; `traced` is for what
    nobody has foreseen.
    """
    ours = {alias.asname or alias.name for alias in _imported_from_us(tree)}
    ours |= {node.name for node in ast.walk(tree) if isinstance(node, ast.ClassDef)}
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    found = [f"{call.lineno}: a traceback" for call in calls if _prints_a_traceback(call)]
    for node in ast.walk(tree):
        if isinstance(node, ast.ExceptHandler) and node.name and node.type is not None:
            caught = node.type.elts if isinstance(node.type, ast.Tuple) else [node.type]
            if all(ast.unparse(one).partition(".")[0] in ours for one in caught):
                continue
            names = {node.name}
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            every = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
            names = {one.arg for one in every if one.annotation and ast.unparse(one.annotation) in _ANY_EXCEPTION}
        else:
            continue
        for call in ast.walk(node):
            if isinstance(call, ast.Call) and ast.unparse(call.func).startswith("logger."):
                found += [f"{call.lineno}: {one}" for arg in call.args for one in _formatted(arg) if one in names]
    return found


def _prints_a_traceback(call: ast.Call) -> bool:
    """Whether it is `logger.exception(...)`, a call with `exc_info`, or one of `traceback` that quotes it."""
    name = ast.unparse(call.func)
    return (
        (isinstance(call.func, ast.Attribute) and call.func.attr == "exception" and "logger" in name)
        or any(keyword.arg in {"exc_info", "failure"} and "log" in name for keyword in call.keywords)
        or name.rpartition(".")[2] in {"format_exc", "format_exception", "format_exception_only", "print_exc"}
    )


_ANY_EXCEPTION = {"Exception", "BaseException", "Failure", "Exception | None", "BaseException | None"}


def _imported_from_us(tree: ast.Module) -> Iterator[ast.alias]:
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("synapse_bum"):
            yield from node.names


def _formatted(argument: ast.expr) -> Iterator[str]:
    """Yield the names whose text an argument of a log call becomes: as it is, in `str()`, `repr()` or an f-string."""
    if isinstance(argument, ast.Name):
        yield argument.id
    elif isinstance(argument, ast.Call) and ast.unparse(argument.func) in {"str", "repr"}:
        yield from (name for part in argument.args for name in _formatted(part))
    elif isinstance(argument, ast.JoinedStr):
        yield from (
            name for part in argument.values if isinstance(part, ast.FormattedValue) for name in _formatted(part.value)
        )


def declared_imports() -> set[str]:
    """Return the top-level modules of the distributions in `install_requires` of setup.cfg."""
    setup = configparser.ConfigParser()
    setup.read(REPOSITORY / "setup.cfg", encoding="utf-8")
    lines = setup["options"]["install_requires"].split("\n")
    names = {re.split(r"[^\w.-]", line.strip())[0] for line in lines if line.strip()}
    return {IMPORTED_AS.get(name, name) for name in names}


@pytest.mark.parametrize(
    "source",
    [
        "import synapse",
        "import synapse.storage.databases.main as main",
        "from synapse import handlers",
        "from synapse.types import UserID",
        "def late():\n    from synapse.http.server import DirectServeJsonResource",
        "api._hs",
        "self._api._store",
        "self._module_api._hs.get_datastores()",
        "getattr(api, '_hs')",
        "homeserver_of_somebody._hs",
    ],
)
def test_private_synapse_is_recognised(source: str) -> None:
    assert private_synapse(ast.parse(source))


@pytest.mark.parametrize(
    "source",
    [
        "from synapse.module_api import DirectServeJsonResource, ModuleApi",
        "from synapse.module_api.errors import ConfigError",
        "import synapse_bum.config",
        "self._api.register_spam_checker_callbacks()",
        "self._pool._connections",
        "api.__class__",
    ],
)
def test_public_synapse_is_allowed(source: str) -> None:
    assert not private_synapse(ast.parse(source))


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(REPOSITORY)))
def test_only_the_door_touches_synapses_private_api(path: Path) -> None:
    if not any(path.is_relative_to(door) for door in DOORS):
        assert private_synapse(ast.parse(path.read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize(
    "source",
    [
        "try: pass\nexcept Exception as e: logger.warning('%s', e)",
        "try: pass\nexcept (OSError, ValueError) as e: logger.error('%s', str(e))",
        "try: pass\nexcept OSError as e: logger.info(f'{e}')",
        "def note(error: Exception): logger.warning('%s', error)",
        "try: pass\nexcept Exception: logger.exception('Failed')",
        "from synapse_bum.rest import ApiError\ntry: pass\nexcept ApiError: logger.exception('Failed')",
        "try: pass\nexcept Exception: logger.critical('Failed', exc_info=True)",
        "def note(failure: Failure): self._logger.error('Failed', exc_info=(1, 2, 3))",
        "logger.error('%s', traceback.format_exc())",
    ],
)
def test_an_exception_that_is_logged_itself_is_recognised(source: str) -> None:
    assert raw_exceptions_logged(ast.parse(source))


@pytest.mark.parametrize(
    "source",
    [
        "try: pass\nexcept Exception as e: logger.warning('%s', first_line(e))",
        "try: pass\nexcept Exception as e: logger.warning('%s', type(e).__name__)",
        "try: pass\nexcept Exception as e: logger.error('%s', traced(e))",
        "from synapse_bum.rest import ApiError\ntry: pass\nexcept ApiError as e: logger.warning('%s', e)",
        "class OwnError(Exception): pass\ntry: pass\nexcept OwnError as e: logger.warning('%s', e)",
    ],
)
def test_what_of_an_exception_may_be_logged_is_allowed(source: str) -> None:
    assert not raw_exceptions_logged(ast.parse(source))


def test_no_log_line_quotes_what_an_exception_may_carry() -> None:
    sources = [path for path in SOURCES if not path.is_relative_to(PACKAGE / "testing")]
    found = {
        str(path.relative_to(REPOSITORY)): raw
        for path in sources
        if (raw := raw_exceptions_logged(ast.parse(path.read_text(encoding="utf-8"))))
    }
    assert found == {}


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(REPOSITORY)))
def test_every_import_is_declared_in_setup_cfg(path: Path) -> None:
    """The container of the operator has no pip: an import that nothing declares fails there, and only there."""
    allowed = declared_imports() | BROUGHT_ALONG | {"synapse_bum"} | set(sys.stdlib_module_names)
    if path.is_relative_to(PACKAGE / "testing"):
        allowed |= TOOLS_OF_TESTING
    assert {name.partition(".")[0] for name in imported_modules(ast.parse(path.read_text(encoding="utf-8")))} <= allowed


def test_files_are_short_and_named_by_what_is_inside() -> None:
    sources = [*SOURCES, *(REPOSITORY / "tests").rglob("*.py"), *(REPOSITORY / "scripts").rglob("*.py")]
    assert {path.name: n for path in sources if (n := len(path.read_bytes().splitlines())) > LONGEST_FILE} == {}
    assert [path for path in sources if path.stem in VAGUE_NAMES or path.parent.name in VAGUE_NAMES] == []


def test_no_package_of_ours_hides_synapses_tests() -> None:
    assert list((REPOSITORY / "tests").rglob("__init__.py")) == []
