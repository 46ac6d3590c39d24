"""What tests with real servers share."""

import subprocess
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).resolve().parent.parent.parent / "scripts"


@pytest.fixture(scope="session")
def nio_python() -> str:
    """A Python that has matrix-nio, for `EncryptedClient`; tests that use it are marked `requires("matrix-nio")`."""
    done = subprocess.run([SCRIPTS / "setup-nio"], stdout=subprocess.PIPE, text=True, check=True)
    return done.stdout.strip()


@pytest.fixture(scope="session")
def browser_python() -> str:
    """A Python that has Playwright, for `RealBrowser`; tests that use it are marked `requires("browser")`."""
    done = subprocess.run([SCRIPTS / "setup-browser"], stdout=subprocess.PIPE, text=True, check=True)
    return done.stdout.strip()
