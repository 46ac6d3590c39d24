"""A homeserver on PostgreSQL with the retention module, as the benchmarks of retention use it."""

import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

import benchmarks
from benchmarks.synthetic_rows import LargePostgres
from synapse_bum.rest import BASE
from synapse_bum.testing.server_database import ServerDatabase
from synapse_bum.testing.synapse import RealSynapse

MODULE: Final = "synapse_bum.retention.RetentionModule"
LIFETIMES: Final[Mapping[str, Any]] = {
    "messages": {"lifetime": "1y"},
    "local_media": {"lifetime": "90d"},
    "remote_media": {"lifetime": "14d"},
}
"""The contract's."""

_POLL_SECONDS: Final = 0.02
_WAIT_SECONDS: Final = 1_200.0


class RunError(Exception):
    """A run, or a deletion by Synapse itself, did not end as it should."""


class RetentionServer:
    """A homeserver that is measured.

    Attributes:
        synapse: its process.
        database: of it, for filling and looking.
        admin: an administrator.
    """

    def __init__(self, everything: ExitStack, module: str = MODULE, interval: str = "1h") -> None:
        """Start it, and wait until its first scheduled run is over.

        Args:
            everything: stops it when it is closed.
            module: dotted name of the class, which may belong to this package of benchmarks.
            interval: of scheduled runs.
        """
        postgres = everything.enter_context(LargePostgres())
        self.synapse = everything.enter_context(
            RealSynapse(
                modules=[{"module": module, "config": {**LIFETIMES, "schedule": {"interval": interval}}}],
                # Updates of the schema would go on for a minute, beside everything that is measured.
                config={"background_updates": {"sleep_enabled": False}},
                postgres_dsn=postgres.dsn(),
                python_path=[Path(benchmarks.__file__).parent.parent],
            )
        )
        self.database = everything.enter_context(ServerDatabase(self.synapse))
        self.admin = self.synapse.register("administrator", admin=True)
        wait_until(lambda: self.database.rows("SELECT count(*) FROM background_updates") == [(0,)])
        wait_until(self.scheduled_runs)

    def run(self, *classes: str) -> dict[str, Any]:
        """Have an operator's run carried out, which is a thorough one.

        Args:
            *classes: which; all without any.

        Returns:
            The run, when it is over.

        Raises:
            RunError: it did not do everything.
        """
        body = {"confirm": True, **({"classes": list(classes)} if classes else {})}
        answer = self.admin.post(f"{BASE}/retention/runs", body)
        if answer.status != HTTPStatus.ACCEPTED:
            raise RunError(f"HTTP {answer.status}: {answer.body!r}")
        run: dict[str, Any] = {}

        def is_over() -> bool:
            run.update(self.admin.get(f"{BASE}/retention/runs/{answer.json['run_id']}").json)
            return run["finished_ts"] is not None

        wait_until(is_over)
        if run["state"] != "done":
            raise RunError(f"the run is {run['state']}: {run['error']}")
        return run

    def scheduled_runs(self) -> list[dict[str, Any]]:
        """Scheduled runs that are over, the newest first."""
        runs = self.admin.get(f"{BASE}/retention/runs", limit=1_000).json["runs"]
        return [run for run in runs if run["started_by"] is None and run["finished_ts"] is not None]

    def scheduled_runs_from(self, begin_ms: float) -> list[dict[str, Any]]:
        """Scheduled runs that began at a time or later and are over, the newest first.

        Args:
            begin_ms: since the epoch.

        Raises:
            RunError: one failed.
        """
        runs = [run for run in self.scheduled_runs() if run["started_ts"] >= begin_ms]
        for run in runs:
            if run["error"] is not None:
                raise RunError(f"the run is {run['state']}: {run['error']}")
        return runs


def wait_until(what: Callable[[], object], seconds: float = _WAIT_SECONDS) -> float:
    """Wait until something is so; returns that time, in seconds since the epoch.

    Raises:
        TimeoutError: it is not so in time.
    """
    deadline = time.monotonic() + seconds
    while not what():
        if time.monotonic() > deadline:
            raise TimeoutError("what was waited for did not happen")
        time.sleep(_POLL_SECONDS)
    return time.time()


def run_seconds(run: Mapping[str, Any]) -> float:
    """How long a run took, from its start to its end."""
    return float(run["finished_ts"] - run["started_ts"]) / 1_000
