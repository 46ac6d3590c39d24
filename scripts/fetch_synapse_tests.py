"""Fetch the `tests` package of Synapse, which only its source distribution carries, for the in-process tests.

`HomeserverTestCase` and its fakes live in Synapse's own `tests` package. This script lets pip download the source
distribution of the version that is installed beside the running interpreter, and unpacks that one package to
`.cache/synapse-tests/<version>/tests`, where `tests/conftest.py` finds it. It does nothing when it is there already.

pip wants the metadata of what it downloads and would need Synapse's build tools (Poetry or maturin, and Rust) for it.
A stand-in for both, written to a temporary folder, answers with the metadata that the distribution carries anyway.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path, PurePosixPath

CACHE = Path(__file__).resolve().parent.parent / ".cache" / "synapse-tests"

STAND_IN_BACKEND = '''
"""The two hooks of a PEP 517 build backend that pip calls to learn name and version."""

import email
import pathlib


def get_requires_for_build_wheel(config_settings=None):
    return []


def prepare_metadata_for_build_wheel(metadata_directory, config_settings=None):
    info = email.message_from_string(pathlib.Path("PKG-INFO").read_text(encoding="utf-8"))
    folder = pathlib.Path(metadata_directory, f"matrix_synapse-{info['Version']}.dist-info")
    folder.mkdir()
    metadata = f"Metadata-Version: 2.1\\nName: {info['Name']}\\nVersion: {info['Version']}\\n"
    folder.joinpath("METADATA").write_text(metadata, encoding="utf-8")
    wheel = "Wheel-Version: 1.0\\nGenerator: stand-in\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n"
    folder.joinpath("WHEEL").write_text(wheel, encoding="utf-8")
    return folder.name
'''
BACKEND_MODULES = ("poetry/core/masonry/api.py", "maturin.py")
"""What Synapse's pyproject.toml names as its build backend: the first in 1.133 and 1.143, the second in 1.163."""


def write_stand_in(folder: Path) -> None:
    """Write the stand-in backend below `folder`, importable under both of its names."""
    for module in BACKEND_MODULES:
        path = folder / module
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(STAND_IN_BACKEND, encoding="utf-8")


def download(synapse_version: str, folder: Path) -> Path:
    """Download the source distribution of one Synapse version with pip.

    Args:
        synapse_version: for example `1.133.0`.
        folder: an empty folder for the archive and the stand-in.

    Returns:
        The path of the archive.

    Raises:
        subprocess.CalledProcessError: pip failed; it has printed why.
    """
    stand_in, archives = folder / "stand-in", folder / "archives"
    write_stand_in(stand_in)
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    command += ["--no-binary", ":all:", "--no-build-isolation", "--dest", str(archives)]
    command.append(f"matrix-synapse=={synapse_version}")
    subprocess.run(command, check=True, env={**os.environ, "PYTHONPATH": str(stand_in)})
    (archive,) = archives.glob("*.tar.gz")
    return archive


def unpack_tests(archive: Path, target: Path) -> None:
    """Unpack the folder `tests` of a source distribution to `target`; nothing else of the archive is written."""
    with tarfile.open(archive) as tar:
        for member in tar:
            # <name>-<version>/tests/...; links and parents (..) have no business there.
            parts = PurePosixPath(member.name).parts[1:]
            if parts[:1] != ("tests",) or ".." in parts or not member.isfile():
                continue
            source = tar.extractfile(member)
            if source is None:
                continue
            path = target.joinpath(*parts[1:])
            path.parent.mkdir(parents=True, exist_ok=True)
            with source, path.open("wb") as sink:
                shutil.copyfileobj(source, sink)


def fetch(synapse_version: str) -> Path:
    """Have Synapse's tests of one version in the cache.

    Returns:
        The folder that holds the package `tests`: what belongs on `sys.path`.
    """
    folder = CACHE / synapse_version
    if not folder.is_dir():
        CACHE.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=CACHE) as scratch:
            archive = download(synapse_version, Path(scratch))
            unpacked = Path(scratch, "unpacked")
            unpack_tests(archive, unpacked / "tests")
            # The rename is the last step: an interrupted run leaves no half-filled folder that looks whole.
            try:
                unpacked.rename(folder)
            except OSError:
                if not folder.is_dir():  # otherwise another run, at the same time, was faster
                    raise
    return folder


def main() -> int:
    """Fetch, print the folder, and return the exit status."""
    parser = argparse.ArgumentParser(description="Fetch Synapse's own tests package for the in-process tests.")
    parser.add_argument("--version", help="the Synapse version (default: the one installed here)")
    wanted = parser.parse_args().version
    try:
        print(fetch(wanted or version("matrix-synapse")))
    except PackageNotFoundError:
        print("fetch_synapse_tests: Synapse is not installed beside this Python", file=sys.stderr)
        return 1
    except subprocess.CalledProcessError:
        print("fetch_synapse_tests: the download failed, in-process tests can't run", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
