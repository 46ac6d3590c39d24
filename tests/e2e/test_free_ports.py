"""Test runs beside each other never ask for the same port."""

import os
import subprocess
import sys

import pytest

from synapse_bum.testing import local_server

pytestmark = pytest.mark.any_synapse


def test_a_port_is_nobody_elses_until_the_process_that_asked_for_it_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    def choice(port: int) -> range:
        return range(port, port + 1)

    monkeypatch.setattr(local_server, "_PORTS", choice(local_server.free_port()))
    asks_here = f"from synapse_bum.testing import local_server as l; l._PORTS = {local_server._PORTS}; l.free_port()"
    asks = "from synapse_bum.testing import local_server as l; print(l.free_port())"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    refused, given = (
        subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
        for code in (asks_here, asks)
    )
    assert "ServerError: no port" in refused.stderr
    monkeypatch.setattr(local_server, "_PORTS", choice(int(given.stdout)))
    assert local_server.free_port() == int(given.stdout)
