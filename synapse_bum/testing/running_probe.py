"""`RunningProbe`: `synapse-bum probe --every` as a process of its own, beside a real homeserver."""

import subprocess
import sys
from collections.abc import Sequence
from typing import Final

from synapse_bum.testing.http_client import MatrixClient
from synapse_bum.testing.local_server import LocalServer
from synapse_bum.testing.synapse import RealSynapse

_START_SECONDS: Final = 60.0


class RunningProbe(LocalServer):
    """A probe that asks often.

    Attributes:
        state: its folder.
    """

    def __init__(
        self,
        synapse: RealSynapse,
        accounts: tuple[MatrixClient, MatrixClient],
        report_token: str,
        *,
        url: str | None = None,
        every: str = "4s",
        timeout: str = "3s",
    ) -> None:
        """Prepares.

        Args:
            synapse: that is tried.
            accounts: who writes to whom.
            report_token: the secret of the probe.
            url: what is tried: one of the homeserver's processes, and the main one when None.
            every: how often it tries.
            timeout: of one try, shorter.
        """
        super().__init__("probe", _START_SECONDS)
        self._synapse = synapse
        self._url = url or synapse.base_url
        self._times = (every, timeout)
        self.state = self.directory / "state"
        secrets = {"first": accounts[0].token, "second": accounts[1].token, "report": report_token}
        for name, secret in secrets.items():
            (self.directory / name).write_text(f"{secret}\n")

    def _prepare(self) -> Sequence[str]:
        every, timeout = self._times
        # Once with more time: that makes the rooms.
        command = [*self._once(), "--timeout", "60s"]
        subprocess.run(command, cwd=self.directory, env=self._environment(), check=True, stdout=subprocess.DEVNULL)
        return [*self._once(), "--every", every, "--timeout", timeout]

    def _once(self) -> Sequence[str]:
        return [
            *(sys.executable, "-m", "synapse_bum", "probe", "--url", self._url),
            *("--token-file", str(self.directory / "first"), "--token-file", str(self.directory / "second")),
            *("--report-token-file", str(self.directory / "report"), "--state", str(self.state)),
        ]

    def _environment(self) -> dict[str, str]:
        return {**self._synapse.environment(), "PYTHONUNBUFFERED": "1"}

    def _is_ready(self) -> bool:
        """Whether a try has succeeded."""
        return " ok, direct " in self.log_text()
