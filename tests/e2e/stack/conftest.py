"""What the tests of the whole service share."""

import subprocess
from pathlib import Path

import pytest

SETUP = Path(__file__).resolve().parents[3] / "scripts" / "setup-identity"


@pytest.fixture(scope="session")
def oidc_provider_folder() -> Path:
    """For sign-in; tests that use it are marked `requires("oidc-provider")`."""
    done = subprocess.run([SETUP, "oidc-provider"], stdout=subprocess.PIPE, text=True, check=True)
    return Path(done.stdout.strip())
