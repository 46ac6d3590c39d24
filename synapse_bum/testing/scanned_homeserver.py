"""A real homeserver with the antivirus module and a real clamd, ready to be asked by clients of the content scanner."""

import json
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from types import TracebackType
from typing import Any, Final

from typing_extensions import Self

from synapse_bum.rest import BASE
from synapse_bum.testing import outside_view
from synapse_bum.testing.clamd import RealClamd
from synapse_bum.testing.content_scanner_client import ContentScannerClient
from synapse_bum.testing.local_server import ServerError
from synapse_bum.testing.synapse import Config, RealSynapse

_READY_SECONDS: Final = 120.0
_POLL_SECONDS: Final = 0.1
_TIMEOUT_SECONDS: Final = 120.0


def clamd_for_large_files() -> RealClamd:
    """A clamd whose limits are above the largest file that the module scans by default."""
    return RealClamd(MaxFileSize="200M", MaxScanSize="400M", StreamMaxLength="200M", MaxThreads=8, AlertExceedsMax=True)


def wait_until(what: Callable[[], object], seconds: float = 60.0, poll_seconds: float = _POLL_SECONDS) -> None:
    """Ask again and again.

    Args:
        what: becomes true.
        seconds: to wait at most.
        poll_seconds: between two questions.

    Raises:
        TimeoutError: it did not become true in time.
    """
    deadline = time.monotonic() + seconds
    while not what():
        if time.monotonic() > deadline:
            raise TimeoutError("it did not happen in time")
        time.sleep(poll_seconds)


class ScannedHomeserver:
    """Synapse on SQLite beside a clamd of its own. A context manager; ready when the scanner has been proved.

    Attributes:
        clamd: the scanner.
        synapse: the homeserver; its second listener has the metrics.
        admin: a server administrator.
    """

    admin: ContentScannerClient

    def __init__(self, *, config: Config | None = None, log_level: str = "INFO", **keys: object) -> None:
        """Nothing is started yet.

        Args:
            config: further sections of homeserver.yaml.
            log_level: of the module's own loggers.
            **keys: of the module's configuration.
        """
        self.clamd = clamd_for_large_files()
        scanner = {"address": self.clamd.address_unix, "timeout": "60s"}
        module = {"module": "synapse_bum.antivirus.AntivirusModule", "config": {"scanner": scanner, **keys}}
        self.synapse = RealSynapse(
            modules=[module],
            config={"max_upload_size": "100M", **(config or {})},
            listeners=[["client", "media"], ["metrics"]],
        )
        path = self.synapse.directory / "log.yaml"
        logging = json.loads(path.read_text())
        path.write_text(json.dumps({**logging, "loggers": {"synapse_bum": {"level": log_level}}}))
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        with self._stack:
            self._stack.enter_context(self.clamd)
            self._stack.enter_context(self.synapse)
            registered = self.synapse.register("admin", admin=True)
            self.admin = ContentScannerClient.of(registered, _TIMEOUT_SECONDS)
            self.await_scanner()
            self._stack = self._stack.pop_all()
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stack.close()

    def await_scanner(self) -> None:
        """Wait until the scanner is proved, as after a start.

        Raises:
            TimeoutError: it does not get there.
        """
        wait_until(lambda: self._status()["scanner_ok"], _READY_SECONDS)

    def await_self_test(self) -> None:
        """Wait until the self-test is over, which keeps the scanner busy for some seconds.

        Raises:
            TimeoutError: it does not end.
        """
        wait_until(lambda: None not in self._status()["self_test"].values(), _READY_SECONDS)

    def _status(self) -> Mapping[str, Any]:
        status: Mapping[str, Any] = self.admin.get(f"{BASE}/antivirus/status").json
        return status

    def user(self, name: str) -> ContentScannerClient:
        """Register a user."""
        return ContentScannerClient.of(self.synapse.register(name), _TIMEOUT_SECONDS)

    def findings(self) -> list[Mapping[str, Any]]:
        """All findings, newest first.

        Raises:
            ServerError: there are more than a page holds.
        """
        page = self.admin.get(f"{BASE}/antivirus/findings", limit=1000).json
        if page["total"] != len(page["findings"]):
            raise ServerError(f"{page['total']} findings are more than a page holds")
        return list(page["findings"])

    def metric(self, sample: str, **labels: str) -> float:
        """See `outside_view.metric`."""
        return outside_view.metric(self.synapse.base_urls[1], sample, **labels)

    def rows(self, query: str, *parameters: str) -> list[tuple[Any, ...]]:
        """See `outside_view.rows`."""
        return outside_view.rows(self.synapse.directory / "homeserver.db", query, *parameters)
