"""What holds for the whole test run: Synapse's own tests package, tools that may be missing, working folders.

Tests that need a server or a tool say so, and are skipped with a sentence where it is missing::

    @pytest.mark.requires("clamd", "postgresql")

The run ends with the list of these sentences. Where `CI` or `BUM_REQUIRE_ALL` is set, a missing tool is a failure.
"""

import functools
import importlib
import importlib.util
import os
import shutil
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable, Mapping
from importlib.metadata import version
from pathlib import Path

import hypothesis
import pytest
from twisted.trial.unittest import SynchronousTestCase

REPOSITORY = Path(__file__).resolve().parent.parent
SYNAPSE_VERSION = version("matrix-synapse")
SYNAPSE_TESTS = REPOSITORY / ".cache" / "synapse-tests" / SYNAPSE_VERSION
IN_PROCESS = REPOSITORY / "tests" / "homeserver"
REQUIRE_ALL = any(os.environ.get(name, "") not in ("", "0", "false") for name in ("CI", "BUM_REQUIRE_ALL"))

# Debian keeps these programs off the PATH of ordinary users; the launchers in synapse_bum.testing look on PATH only.
_SERVER_FOLDERS = ["/usr/local/sbin", "/usr/sbin", *map(str, sorted(Path("/usr/lib/postgresql").glob("*/bin")))]
os.environ["PATH"] = os.pathsep.join([os.environ.get("PATH", os.defpath), *_SERVER_FOLDERS])

# Shared machines stall at times, so no example has a deadline; CI tries the same examples in every run.
hypothesis.settings.register_profile("house", deadline=None, derandomize=REQUIRE_ALL)
hypothesis.settings.load_profile("house")


def _let_synapse_have_the_name_tests() -> None:
    """Make `import tests.unittest` find Synapse's package.

    pytest has just entered this folder in `sys.modules` as the namespace `tests`, which would hide Synapse's package of
    that name. With Synapse's in its place our modules still load (as `tests.unit.test_...`): pytest finds them by path.
    Synapse's package must also come before Synapse itself: it patches `inlineCallbacks` to check log contexts.
    """
    sys.path.insert(0, str(SYNAPSE_TESTS))
    sys.modules.pop("tests", None)
    importlib.import_module("tests")


if SYNAPSE_TESTS.is_dir():
    _let_synapse_have_the_name_tests()


def _installed(*programs: str) -> Callable[[], bool]:
    return lambda: all(shutil.which(program) for program in programs)


def _c_icap_is_complete() -> bool:
    return shutil.which("c-icap") is not None and any(Path("/usr/lib").glob("**/c_icap/virus_scan.so"))


def _redis_is_complete() -> bool:
    return shutil.which("redis-server") is not None and importlib.util.find_spec("txredisapi") is not None


def _is_made_by(script: str, *arguments: str) -> Callable[[], bool]:
    """Whether a script has what it is asked for; it fetches what is missing, which takes up to half a minute."""

    @functools.cache
    def is_made() -> bool:
        command = [str(REPOSITORY / "scripts" / script), *arguments]
        return subprocess.run(command, stdout=subprocess.DEVNULL, check=False).returncode == 0

    return is_made


@functools.cache
def _xrechnung_can_be_judged() -> bool:
    """Fetches the rules for it when they are missing; within a second otherwise."""
    if importlib.util.find_spec("saxonche") is None:
        return False
    script = REPOSITORY / "scripts" / "fetch_xrechnung_rules.py"
    return subprocess.run([sys.executable, script], stdout=subprocess.DEVNULL, check=False).returncode == 0


TOOLS: Mapping[str, tuple[Callable[[], bool], str]] = {
    "clamd": (_installed("clamd"), "clamd is not installed (Debian: clamav-daemon)"),
    "clamdscan": (_installed("clamdscan"), "clamdscan is not installed (Debian: clamdscan)"),
    "curl": (_installed("curl"), "curl is not installed (Debian: curl)"),
    "c-icap": (_c_icap_is_complete, "c-icap is not installed (Debian: c-icap, libc-icap-mod-virus-scan)"),
    "postgresql": (_installed("initdb", "pg_ctl"), "PostgreSQL is not installed (Debian: postgresql)"),
    "redis": (
        _redis_is_complete,
        "Redis or its client is not installed (Debian: redis-server; PyPI: matrix-synapse[redis])",
    ),
    "restic": (_installed("restic"), "restic is not installed (Debian: restic)"),
    "7z": (_installed("7z"), "7z is not installed (Debian: p7zip-full)"),
    "nginx": (_installed("nginx"), "nginx is not installed (Debian: nginx-light)"),
    "systemd-analyze": (_installed("systemd-analyze"), "systemd-analyze is not installed (Debian: systemd)"),
    "matrix-nio": (_is_made_by("setup-nio"), "matrix-nio is not installed and could not be (scripts/setup-nio)"),
    "keycloak": (
        _is_made_by("setup-identity", "keycloak"),
        "Keycloak is not there and could not be had: it needs Java and Maven (scripts/setup-identity)",
    ),
    "oidc-provider": (
        _is_made_by("setup-identity", "oidc-provider"),
        "oidc-provider is not there and could not be had: it needs npm (scripts/setup-identity)",
    ),
    "browser": (
        lambda: shutil.which("chromium") is not None and _is_made_by("setup-browser")(),
        "no browser can be driven: Chromium (Debian: chromium), or Playwright and axe-core (scripts/setup-browser)",
    ),
    "firefox": (_installed("firefox-esr"), "Firefox is not installed (Debian: firefox-esr)"),
    "scim2-tester": (
        _is_made_by("setup-scim-tester"),
        "scim2-tester is not installed and could not be: it needs Python 3.11 (scripts/setup-scim-tester)",
    ),
    "xrechnung-rules": (
        _xrechnung_can_be_judged,
        "the rules for an XRechnung are not there: they need Maven (scripts/fetch_xrechnung_rules.py) and saxonche",
    ),
    "root": (lambda: os.geteuid() == 0, "only root can do this"),
    "synapse-tests": (
        SYNAPSE_TESTS.is_dir,
        "Synapse's own tests are not there (python scripts/fetch_synapse_tests.py)",
    ),
}
"""Each tool: is it here, and the sentence for when it is not."""


def _stop_without(*tools: str) -> None:
    """Skip the current test or module, or fail it where everything is required, when one of `tools` is missing."""
    missing = "; ".join(sentence for is_here, sentence in map(TOOLS.__getitem__, tools) if not is_here())
    if not missing:
        return
    if REQUIRE_ALL:
        pytest.fail(missing, pytrace=False)
    pytest.skip(missing, allow_module_level=True)


def pytest_report_header() -> str:
    """Say in the first lines on which Synapse this run is."""
    return f"synapse: {SYNAPSE_VERSION}"


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Honour `@pytest.mark.requires(...)` before any fixture starts something."""
    _stop_without(*(tool for marker in item.iter_markers("requires") for tool in marker.args))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out and order.

    - `@pytest.mark.only_if(condition)`: what is about something that only other versions of Synapse have.
    - `@pytest.mark.long` begins first: begun last, it would keep one core busy when the others have nothing left to do.
    """
    left_out = [item for item in items if not all(marker.args[0] for marker in item.iter_markers("only_if"))]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]
    items.sort(key=lambda item: item.get_closest_marker("long") is None)


class _InProcessTests(pytest.Module):
    """A module that imports Synapse's own tests: without these it is skipped as a whole, with the sentence."""

    def collect(self) -> list[pytest.Item | pytest.Collector]:
        _stop_without("synapse-tests")
        return list(super().collect())


def pytest_pycollect_makemodule(module_path: Path, parent: pytest.Collector) -> pytest.Module | None:
    """Look whether Synapse's tests are there before a module below tests/homeserver is imported."""
    if not module_path.is_relative_to(IN_PROCESS):
        return None
    return _InProcessTests.from_parent(parent, path=module_path)


@pytest.fixture(autouse=True)
def _own_working_folder(request: pytest.FixtureRequest) -> None:
    """Run trial test cases in a folder of their own, as trial does: Synapse writes its media store there."""
    if isinstance(request.cls, type) and issubclass(request.cls, SynchronousTestCase):
        folder = request.getfixturevalue("tmp_path")
        request.getfixturevalue("monkeypatch").chdir(folder)
        if request.path.is_relative_to(IN_PROCESS):
            request.getfixturevalue("_quick_homeservers")


@pytest.fixture(scope="session")
def _quick_homeservers() -> None:
    """Imported here, because it needs Synapse's tests."""
    from synapse_bum.testing.quick_homeservers import share_what_is_alike  # noqa: PLC0415 - the docstring says why

    share_what_is_alike()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """End the run with the list of what was skipped and why, a line for each reason."""
    files: dict[str, list[str]] = defaultdict(list)
    for report in terminalreporter.stats.get("skipped", []):
        _path, _line, reason = report.longrepr
        files[reason.removeprefix("Skipped: ")].append(report.nodeid.partition("::")[0])
    if files:
        terminalreporter.section("skipped")
    for reason, where in sorted(files.items()):
        terminalreporter.line(f"{len(where)} x {reason}: {', '.join(sorted(set(where)))}")
