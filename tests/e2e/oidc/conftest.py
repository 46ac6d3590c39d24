"""What tests with real identity providers share."""

import subprocess
from pathlib import Path

import pytest

from synapse_bum.testing.certificates import CertificateFolder

SETUP = Path(__file__).resolve().parent.parent.parent.parent / "scripts" / "setup-identity"


def folder_of(name: str) -> Path:
    done = subprocess.run([SETUP, name], stdout=subprocess.PIPE, text=True, check=True)
    return Path(done.stdout.strip())


@pytest.fixture(scope="session")
def keycloak_folder() -> Path:
    """For `RealKeycloak`; tests that use it are marked `requires("keycloak")`."""
    return folder_of("keycloak")


@pytest.fixture(scope="session")
def oidc_provider_folder() -> Path:
    """For `RealOidcProvider`; tests that use it are marked `requires("oidc-provider")`."""
    return folder_of("oidc-provider")


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> CertificateFolder:
    return CertificateFolder(tmp_path_factory.mktemp("tls"))
