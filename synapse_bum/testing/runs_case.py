"""A homeserver whose classes of retention are in memory, and whose clocks the test moves."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, ClassVar
from unittest.mock import patch

from twisted.internet.defer import ensureDeferred
from twisted.python.failure import Failure

from synapse_bum.audit_routes import add_audit_routes
from synapse_bum.config import parse
from synapse_bum.database import Database, Leases
from synapse_bum.deletion import DELETION
from synapse_bum.rest import BASE, api_routes
from synapse_bum.retention.api import RetentionApi
from synapse_bum.retention.classes import RetentionClass
from synapse_bum.retention.clock_record import ClockRecord
from synapse_bum.retention.config import RetentionConfig
from synapse_bum.retention.messages.purges import PURGES
from synapse_bum.retention.runs.runner import Runner
from synapse_bum.retention.tables import RETENTION
from synapse_bum.testing.rest_case import ApiTestCase
from synapse_bum.testing.scripted_purger import ScriptedPurger

RUNS = f"{BASE}/retention/runs"
DAY_MS = 86_400_000
YEAR_MS = 365 * DAY_MS
START_MS = 1_795_000_000_000


class RunTestCase(ApiTestCase):
    """A homeserver whose classes are in memory, and whose clocks the test moves.

    Attributes:
        lifetimes: configuration of the classes.
        more: further configuration.
    """

    lifetimes: ClassVar[Mapping[str, str]] = {"messages": "1y", "local_media": "90d", "remote_media": "14d"}
    more: ClassVar[Mapping[str, Any]] = {}

    def make_module(self) -> None:
        """Begins with empty classes."""
        self.offset_ms = START_MS
        self.died: list[BaseException] = []
        self.api = self.hs.get_module_api()
        self.configure(self.lifetimes)

    def configure(self, lifetimes: Mapping[str, str], **more: object) -> None:
        """Begin as after a restart with these lifetimes."""
        sections = {name: {"lifetime": lifetime} for name, lifetime in lifetimes.items()}
        config = parse(RetentionConfig, {**sections, **self.more, **more})
        database = Database(self.api, RETENTION, DELETION, PURGES)
        known: Mapping[RetentionClass, ScriptedPurger] = getattr(self, "purgers", {})
        self.purgers = {kind: known.get(kind) or ScriptedPurger(database, kind) for kind in config.lifetimes}
        routes = api_routes(self.api, config)
        add_audit_routes(routes, database)
        self.routes = RetentionApi(self.api, database, self.purgers, config)
        self.routes.add_to(routes)
        clock = ClockRecord(database, self.wall_ms, lambda: self.reactor.seconds() * 1000)
        self.runner = Runner(self.api, database, Leases(self.api, database), self.purgers, clock, config)

    def wall_ms(self) -> int:
        """What the system clock says."""
        return round(self.reactor.seconds() * 1000) + self.offset_ms

    def turn(self, hours: float = 0) -> None:
        """Let time pass, and the runner look once."""
        self.reactor.advance(hours * 3600)
        self.wait_for(self.runner)

    def wait_for(self, runner: Runner) -> None:
        """Have a runner look once, and wait until its turn is over."""
        with patch.object(self.api, "get_current_time_msec", self.wall_ms):
            turn = ensureDeferred(runner.tick())
            for _ in range(1000):
                if turn.called:
                    break
                self.reactor.advance(0.01)
            turn.addErrback(self.remember)
            self.successResultOf(turn)

    def remember(self, failure: Failure) -> None:
        """Note of what a turn died."""
        self.died.append(failure.value or RuntimeError(failure.type))

    def messages(self, *ages_days: float) -> ScriptedPurger:
        """Have messages of these ages."""
        return self.fill(RetentionClass.MESSAGES, *ages_days)

    def fill(self, kind: RetentionClass, *ages_days: float) -> ScriptedPurger:
        """Have items of these ages."""
        purger = self.purgers[kind]
        purger.items = [round(self.wall_ms() - age * DAY_MS) for age in ages_days]
        return purger

    def asked(self, **body: object) -> str:
        """Ask for a run, and return its id."""
        with patch.object(self.api, "get_current_time_msec", self.wall_ms):
            channel = self.ask("POST", RUNS, self.boss, content=body)
        assert channel.code == HTTPStatus.ACCEPTED, channel.json_body
        run_id: str = channel.json_body["run_id"]
        return run_id

    def seen(self, run_id: str | None = None) -> dict[str, Any]:
        """A run, or the newest."""
        if run_id is None:
            runs: list[dict[str, Any]] = self.ask("GET", RUNS, self.boss).json_body["runs"]
            return runs[0]
        answer: dict[str, Any] = self.ask("GET", f"{RUNS}/{run_id}", self.boss).json_body
        return answer

    def status(self) -> dict[str, Any]:
        """`GET retention/status`."""
        with patch.object(self.api, "get_current_time_msec", self.wall_ms):
            answer: dict[str, Any] = self.ask("GET", f"{BASE}/retention/status", self.boss).json_body
        return answer

    def audited(self) -> list[str]:
        """The actions of the audit, oldest first."""
        rows = self.ask("GET", f"{BASE}/audit", self.boss).json_body["audit"]
        return [row["action"] for row in reversed(rows)]
