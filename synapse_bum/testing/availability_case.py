"""A homeserver in the test's own process with the availability module."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, ClassVar

from synapse.rest import admin
from synapse.rest.client import login
from tests.server import FakeChannel
from tests.unittest import HomeserverTestCase
from twisted.web.resource import Resource

from synapse_bum.availability.watch import TICK_MS
from synapse_bum.rest import BASE
from synapse_bum.testing.berlin import berlin_ms
from synapse_bum.testing.listeners import listener

MODULE = "synapse_bum.availability.AvailabilityModule"
MINUTE_MS = 60_000


class AvailabilityTestCase(HomeserverTestCase):
    """A homeserver `test` with the module, at noon of 2026-06-15; `boss` administers it, `alice` uses it.

    Attributes:
        availability: the module's configuration; set by subclasses.
    """

    availability: ClassVar[Mapping[str, Any]] = {}
    servlets: ClassVar[list[Any]] = [admin.register_servlets, login.register_servlets]

    def default_config(self) -> dict[str, Any]:
        """Adds the module."""
        config: dict[str, Any] = super().default_config()
        config["listeners"] = [listener("client")]
        config["modules"] = [{"module": MODULE, "config": dict(self.availability)}]
        return config

    def create_resource_dict(self) -> dict[str, Resource]:
        """Adds the module's own resources."""
        resources: dict[str, Resource] = super().create_resource_dict()
        resources.update(self.hs._module_web_resources)  # noqa: SLF001 - as Synapse's listeners do
        return resources

    def prepare(self, *reactor_clock_and_homeserver: Any) -> None:  # noqa: ANN401 - Synapse's signature
        """Sets the clock, and registers the two accounts."""
        self.reactor.advance(berlin_ms("2026-06-15 12:00") / 1_000 - self.reactor.seconds())
        super().prepare(*reactor_clock_and_homeserver)
        self._probe_token = ""
        self.boss = self.register_user("boss", "pass", admin=True)
        self.boss_token = self.login("boss", "pass")
        self.alice = self.register_user("alice", "pass")
        self.alice_token = self.login("alice", "pass")
        self.pump(0.1)

    @property
    def now_ms(self) -> int:
        """The present of the homeserver."""
        return int(self.clock.time_msec())

    def let_pass(self, minutes: float) -> None:
        """Lets time pass in steps that the duty follows."""
        end = self.reactor.seconds() + minutes * 60
        while self.reactor.seconds() < end:
            self.reactor.advance(min(TICK_MS / 1_000, end - self.reactor.seconds()))
            self.pump()

    def ask(
        self, method: str, path: str, body: Mapping[str, Any] | None = None, *, token: str | None = None
    ) -> FakeChannel:
        """Sends a request below our base, as the administrator unless another token is given."""
        content = b"" if body is None else dict(body)
        return self.make_request(method, f"{BASE}/{path}", content, access_token=token or self.boss_token)

    def answer(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """As `ask`; asserts that it is answered with 200 and returns the object."""
        channel = self.ask(method, path, body)
        assert channel.code == HTTPStatus.OK, channel.json_body
        found: dict[str, Any] = channel.json_body
        return found

    def refusal(
        self, method: str, path: str, body: Mapping[str, Any] | None = None, *, token: str | None = None
    ) -> tuple[int, str, str]:
        """As `ask`; returns status, `errcode` and the sentence."""
        channel = self.ask(method, path, body, token=token)
        return channel.code, channel.json_body["errcode"], channel.json_body["error"]

    def outage(self, from_ts: int, to_ts: int | None, **fields: object) -> dict[str, Any]:
        """Enters an outage."""
        body = {"from_ts": from_ts, "to_ts": to_ts, "ticket": "T-1", "reason": "it was out", **fields}
        return self.answer("POST", "availability/outages", body)

    def report(self, month: str) -> dict[str, Any]:
        """The report of a month."""
        return self.answer("GET", f"availability?month={month}")

    def outages(self) -> list[dict[str, Any]]:
        """All outages, the latest first."""
        found: list[dict[str, Any]] = self.answer("GET", "availability/outages?limit=1000")["outages"]
        return found

    def probe_token(self) -> str:
        """The secret of the probe that was made by the module; asked for once."""
        if not self._probe_token:
            self._probe_token = str(self.answer("POST", "availability/probe_token", {})["token"])
        return self._probe_token

    def deliver(self, results: Mapping[int, str], *, ahead_ms: int = 0, **fields: object) -> dict[str, Any]:
        """Delivers results as the probe does.

        Args:
            results: the state of each by its time, ms since the epoch; the same time is the same result.
            ahead_ms: how far the probe's clock is ahead.
            **fields: of each result.
        """
        entries = [{"probe_id": f"p{ts}", "ts": ts, "state": state, **fields} for ts, state in results.items()]
        body = {"sent_ts": self.now_ms + ahead_ms, "results": entries}
        channel = self.ask("POST", "availability/probes", body, token=self.probe_token())
        assert channel.code == HTTPStatus.OK, channel.json_body
        found: dict[str, Any] = channel.json_body
        return found

    def actions(self) -> list[str]:
        """What the audit says, newest first."""
        return [row["action"] for row in self.answer("GET", "audit?limit=1000")["audit"]]
