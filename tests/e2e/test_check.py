"""`synapse-bum check` beside a real scanner."""

from pathlib import Path

import pytest
import yaml

from synapse_bum.cli import main
from synapse_bum.testing.clamd import RealClamd


@pytest.mark.requires("clamd")
def test_a_real_scanner_finds_eicar(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with RealClamd() as clamd:
        module = {
            "module": "synapse_bum.antivirus.AntivirusModule",
            "config": {"scanner": {"address": clamd.address_unix}},
        }
        path = tmp_path / "homeserver.yaml"
        path.write_text(yaml.safe_dump({"modules": [module]}))
        assert main(["check", "-c", str(path)]) == 0
    assert f"OK      antivirus: {clamd.address_unix} (ClamAV " in capsys.readouterr().out
