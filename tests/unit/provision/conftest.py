"""`synapse-bum provision` as the tests run it."""

from collections.abc import Callable
from pathlib import Path

import pytest

from synapse_bum.cli import main

Run = Callable[..., tuple[int, str, str]]
"""Takes options; returns the status, and what was printed on stdout and stderr."""


@pytest.fixture
def run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """Provision into `new` below the test's folder; later options win."""

    def provision(*options: str) -> tuple[int, str, str]:
        names = [
            "--server-name",
            "messenger.amt.example",
            "--out",
            str(tmp_path / "new"),
            "--support-email",
            "hilfe@betrieb.example",
        ]
        status = main(["provision", *names, *options])
        said = capsys.readouterr()
        return status, said.out, said.err

    return provision
