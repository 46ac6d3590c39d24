"""The signed list in a homeserver: taken over, confirmed, kept, refused, and waiting for an operator."""

import logging
from pathlib import Path
from typing import Any
from unittest.mock import patch

import attr
from synapse.http.client import SimpleHttpClient
from synapse.module_api import LoggingTransaction
from synapse.module_api.errors import SynapseError
from synapse.server import HomeServer
from twisted.internet.defer import Deferred

from synapse_bum.federation import list_state
from synapse_bum.federation.list_keeper import ListKeeper
from synapse_bum.federation.live import POLL_MS
from synapse_bum.federation.signed_list import MAX_BYTES
from synapse_bum.homeserver.federation_queues import servers_with_queues
from synapse_bum.testing.federation_case import PARTNER, FederationTestCase
from synapse_bum.testing.list_signer import ListSigner

SIGNER = ListSigner()
TEN = [f"s{number}.example" for number in range(10)]
HOUR_S, DAY_S = 3_600, 86_400


class SignedListTestCase(FederationTestCase):
    """A list in a file that names ten servers.

    Attributes:
        place: the file.
    """

    def default_config(self) -> dict[str, Any]:
        folder = Path(self.mktemp())  # type: ignore[no-untyped-call]
        folder.mkdir()
        self.place = folder.resolve() / "list.jws"
        self.keys = folder.resolve() / "keys.json"
        self.keys.write_bytes(SIGNER.key_set())
        self.publish(*TEN)
        config = super().default_config()
        signed_list = {"source": self.source(), "keys_path": str(self.keys)}
        config["modules"][0]["config"] = {"signed_list": signed_list}
        return config

    def source(self) -> str:
        return str(self.place)

    def publish(self, *names: str, version: int = 1, **fields: int) -> None:
        self.place.write_bytes(SIGNER.list(*names, version=version, **fields))

    def prepare(self, *reactor_clock_and_homeserver: Any) -> None:  # noqa: ANN401 - Synapse's signature
        super().prepare(*reactor_clock_and_homeserver)
        self.settle()

    def settle(self) -> None:
        for _ in range(4):
            self.reactor.advance(11)
            self.pump()

    def look(self) -> dict[str, Any]:
        return self.answer("POST", "federation/signed_list/refresh")

    def names(self) -> list[str]:
        return [one["server_name"] for one in self.answer("GET", "federation/partners")["partners"]]


class ListInAFileTestCase(SignedListTestCase):
    def test_it_is_taken_over_at_the_start(self) -> None:
        assert self.names() == TEN
        assert self.is_allowed("s0.example")
        state = self.answer("GET", "federation/signed_list")
        assert (state["version"], state["partners"], state["error"], state["pending"]) == (1, 10, None, None)
        row = self.audit()[0]
        assert (row["action"], row["new"]["added"]) == ("federation.list_taken", TEN)

    def test_a_newer_one_takes_its_place_within_the_interval(self) -> None:
        self.publish(*TEN[1:], "new.example", version=2)
        self.reactor.advance(HOUR_S)
        self.settle()
        assert self.names() == sorted([*TEN[1:], "new.example"])
        assert not self.is_allowed("s0.example")

    def test_what_is_no_good_list_changes_nothing_and_is_told(self) -> None:
        for content, word in [
            (ListSigner("2026").list("evil.example", version=2), "signature"),
            (SIGNER.list("evil.example", version=2, expires_ts=1), "over"),
            (SIGNER.list(*TEN, "evil.example", version=1), "with other partners"),
            (SIGNER.sign({"version": 2, "expires_ts": 9 * 10**12, "partners": []}), "empty"),
            (SIGNER.list(*TEN, version=2)[:-9], "signature"),
            (b"\0" * (50 << 20), "bytes"),
        ]:
            self.place.write_bytes(content)
            assert word in self.look()["error"]
            assert self.names() == TEN
            assert self.audit()[0]["action"] == "federation.list_refused"
        self.place.unlink()
        assert "can't read" in self.look()["error"]
        self.publish(*TEN)
        assert self.look()["error"] is None

    def test_an_older_one_is_not_played_again(self) -> None:
        self.publish(*TEN, "new.example", version=2)
        assert self.look()["version"] == 2
        self.publish(*TEN, version=1)
        assert "older than version 2" in self.look()["error"]
        assert self.is_allowed("new.example")

    def test_one_that_drops_many_waits_for_an_operator(self) -> None:
        self.publish(*TEN[3:], version=2)
        waiting = self.look()
        assert waiting["pending"]["dropped"] == TEN[:3]
        assert "`confirm`" in waiting["error"]
        assert self.names() == TEN
        self.look()
        actions = [row["action"] for row in self.audit()]
        assert actions.count("federation.list_waits") == 1
        assert self.ask("POST", "federation/signed_list/confirm", {}).code == 400
        confirmed = self.answer("POST", "federation/signed_list/confirm", {"reason": "they merged"})
        assert (confirmed["version"], confirmed["pending"], confirmed["error"]) == (2, None, None)
        assert self.names() == TEN[3:]
        row = self.audit()[0]
        assert (row["action"], row["actor"], row["reason"]) == (
            "federation.list_confirmed",
            self.boss,
            "they merged",
        )
        assert self.ask("POST", "federation/signed_list/confirm", {"reason": "x"}).code == 409

    def test_it_is_believed_only_as_long_as_somebody_confirms_it(self) -> None:
        self.place.unlink()
        self.reactor.advance(7 * DAY_S - 2 * HOUR_S)
        assert self.is_allowed("s0.example")
        self.reactor.advance(3 * HOUR_S)
        assert self.answer("GET", "federation/check/s0.example")["because"] == "list_is_stale"
        self.publish(*TEN)
        self.look()
        assert self.is_allowed("s0.example")

    def change_state(self, **fields: Any) -> None:  # noqa: ANN401 - of `ListState`
        def change(txn: LoggingTransaction) -> None:
            list_state.write(txn, attr.evolve(list_state.read(txn), **fields))

        self.get_success(self.hs.get_module_api().run_db_interaction("test", change))

    def test_after_a_look_with_a_clock_that_was_ahead_it_is_looked_for_at_once(self) -> None:
        self.change_state(checked_ts=self.now_ms() + 365 * DAY_S * 1000)
        self.publish(*TEN, "new.example", version=2)
        self.settle()
        assert "new.example" in self.names()

    def test_a_clock_that_was_ahead_has_it_believed_no_longer(self) -> None:
        ahead = self.now_ms() + 365 * DAY_S * 1000
        self.change_state(verified_ts=ahead, checked_ts=ahead)
        self.place.unlink()
        self.settle()
        assert self.answer("GET", "federation/signed_list")["verified_ts"] <= self.now_ms()
        self.reactor.advance(7 * DAY_S + HOUR_S)
        assert self.answer("GET", "federation/check/s0.example")["because"] == "list_is_stale"

    def test_nobody_reads_a_confirmation_of_the_future_as_longer(self) -> None:
        self.change_state(verified_ts=self.now_ms() + 365 * DAY_S * 1000)
        self.reactor.advance(POLL_MS / 1000)
        self.pump()
        with patch.object(ListKeeper, "tick"):
            self.place.unlink()
            self.reactor.advance(7 * DAY_S + HOUR_S)
            whitelist: Any = self.hs.config.federation.federation_domain_whitelist
            assert "s0.example" not in whitelist

    def test_an_error_that_nobody_expects_is_told_too(self) -> None:
        with patch("synapse_bum.federation.list_keeper.read_list", side_effect=AttributeError("verify")):
            assert "AttributeError" in self.look()["error"]
        assert self.names() == TEN
        assert self.audit()[0]["action"] == "federation.list_refused"
        assert self.look()["error"] is None

    def test_a_list_that_is_only_confirmed_is_no_change_of_the_partners(self) -> None:
        changed_ts, verified_ts = self.module.live.changed_ts, self.look()["verified_ts"]
        self.reactor.advance(HOUR_S)
        self.settle()
        assert self.answer("GET", "federation/signed_list")["verified_ts"] > verified_ts
        self.publish(*TEN[5:], version=2)
        assert self.look()["pending"] is not None
        assert self.module.live.changed_ts == changed_ts
        with self.assertNoLogs("synapse_bum.federation.live", logging.INFO):
            self.publish(*TEN)
            assert self.look()["error"] is None

    def test_what_waits_for_a_server_that_the_list_brings_is_dropped(self) -> None:
        for server in ("new.example", "s1.example", "stranger.example"):
            body = {"messages": {f"@bob:{server}": {"DEVICE": {"said": "while closed"}}}}
            path = f"/_matrix/client/v3/sendToDevice/m.test/{server}"
            assert self.make_request("PUT", path, body, access_token=self.alice_token).code == 200
        self.publish(*TEN, "new.example", version=2)
        assert self.look()["version"] == 2
        waiting = self.get_success(self.hs.get_module_api().run_db_interaction("test", servers_with_queues))
        assert sorted(waiting) == ["s1.example", "stranger.example"]

    def test_operators_do_not_change_what_the_list_says(self) -> None:
        for method in ("PUT", "DELETE"):
            channel = self.ask(method, "federation/partners/s0.example", {"reason": "x"})
            assert channel.code == 409
            assert "signed list" in channel.json_body["error"]
        self.add(PARTNER)
        assert self.is_allowed()


class ListAtAnAddressTestCase(SignedListTestCase):
    def source(self) -> str:
        return "https://list.example/partners.jws"

    def make_homeserver(self, *reactor_and_clock: object) -> HomeServer:
        self.served: Any = None

        async def get_file(_client: object, url: str, output: Any, max_size: int | None = None) -> None:  # noqa: ANN401
            assert (url, max_size) == (self.source(), MAX_BYTES)
            if self.served is None:
                await Deferred()
            if isinstance(self.served, Exception):
                raise self.served
            output.write(self.served)

        patched = patch.object(SimpleHttpClient, "get_file", get_file)
        patched.start()
        self.addCleanup(patched.stop)
        return super().make_homeserver(*reactor_and_clock)

    def test_a_silent_server_is_not_waited_for_longer_than_a_minute(self) -> None:
        assert self.answer("GET", "federation/signed_list")["checked_ts"] is None
        self.reactor.advance(61)
        self.settle()
        assert "did not answer within 60 s" in self.answer("GET", "federation/signed_list")["error"]

    def test_what_it_answers_counts_when_it_is_signed(self) -> None:
        self.reactor.advance(61)
        self.pump()
        self.served = SIGNER.list(*TEN)
        assert self.look()["partners"] == 10
        for served, word in [
            (SynapseError(502, "Got error 302"), "302"),
            (SynapseError(502, "Requested file is too large"), "too large"),
            (ConnectionResetError(), "ConnectionResetError"),
            (b"<html>", "signature"),
        ]:
            self.served = served
            assert word in self.look()["error"]
            assert self.names() == TEN
