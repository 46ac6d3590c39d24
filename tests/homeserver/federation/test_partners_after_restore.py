"""Partners that a backup has brought back, and the list that it had: those of last count, before anybody comes in."""

from pathlib import Path
from typing import Any

from synapse.api.constants import EventTypes, Membership
from synapse.module_api import LoggingTransaction
from tests.test_utils import event_injection

from synapse_bum.after_restore import Logged, Source
from synapse_bum.federation import list_state, partners
from synapse_bum.federation import partner as federation_partner
from synapse_bum.federation.partners_after_restore import SOURCES
from synapse_bum.federation.removal import TICK_MS
from synapse_bum.homeserver.database_pool import run_transaction
from synapse_bum.testing.federation_case import PARTNER, FederationTestCase
from synapse_bum.testing.list_signer import ListSigner

FRIEND = f"@friend:{PARTNER}"
SIGNER = ListSigner()
TEN = [f"s{number}.example" for number in range(10)]
MANAGED, LISTED, VERSION = SOURCES
LISTED_SOURCE = federation_partner.Source.SIGNED_LIST


class RestoredTestCase(FederationTestCase):
    """A homeserver of which the log knows more than its tables."""

    def told(self, source: Source) -> list[Logged]:
        """What the log would say now of all things of a source."""

        def read(txn: LoggingTransaction) -> list[tuple[str, str]]:
            txn.execute(source.live)
            return txn.fetchall()

        rows = self.get_success(run_transaction(self.hs.get_module_api(), "test", read))
        return [Logged(key, source.state_of(state), 1) for key, state in rows]

    def replay(self, source: Source, logged: list[Logged]) -> list[str]:
        done = self.get_success(
            run_transaction(self.hs.get_module_api(), "test", lambda txn: source.close_again(txn, logged))
        )
        self.get_success(self.module.live.refresh())
        return [one.action for one in done]


class RemovedTestCase(RestoredTestCase):
    """A partner that was removed after the backup."""

    def test_his_users_leave_our_rooms_again_and_nothing_comes_or_goes_meanwhile(self) -> None:
        self.add()
        room: str = self.helper.create_room_as(self.alice, tok=self.alice_token, room_version="10")
        self.get_success(event_injection.inject_member_event(self.hs, room, FRIEND, Membership.JOIN))
        assert self.replay(MANAGED, [Logged(PARTNER, None, 1)]) == ["recovery.partner_removed"]
        assert not self.is_allowed(PARTNER)
        allowlist = self.module.live.current.allowlist
        assert allowlist is not None
        assert not allowlist.lets_out(PARTNER, self.hs.get_clock().time_msec())
        for _ in range(4):
            self.reactor.advance(TICK_MS / 1000)
            self.pump()
        states = self.hs.get_storage_controllers().state
        event = self.get_success(states.get_current_state_event(room, EventTypes.Member, FRIEND))
        assert event is not None
        assert event.membership == Membership.LEAVE
        assert self.told(MANAGED) == []
        assert [(row["actor"], row["action"]) for row in self.audit()][:1] == [("system:recovery", "federation.closed")]


class ListTestCase(RestoredTestCase):
    """A signed list that was replaced after the backup."""

    def default_config(self) -> dict[str, Any]:
        folder = Path(self.mktemp()).absolute()  # type: ignore[no-untyped-call]
        folder.mkdir()
        self.place = folder / "list.jws"
        (folder / "keys.json").write_bytes(SIGNER.key_set())
        self.place.write_bytes(SIGNER.list(*TEN, version=7))
        config = super().default_config()
        signed_list = {"source": str(self.place), "keys_path": str(folder / "keys.json")}
        config["modules"][0]["config"] = {"signed_list": signed_list}
        return config

    def prepare(self, *reactor_clock_and_homeserver: Any) -> None:  # noqa: ANN401 - Synapse's signature
        super().prepare(*reactor_clock_and_homeserver)
        for _ in range(4):
            self.reactor.advance(11)
            self.pump()

    def look(self, *names: str, version: int) -> dict[str, Any]:
        self.place.write_bytes(SIGNER.list(*names, version=version))
        return self.answer("POST", "federation/signed_list/refresh")

    def test_who_was_dropped_stays_out_and_no_older_list_is_taken_over(self) -> None:
        self.look(*TEN[1:], version=8)
        told = {source.name: self.told(source) for source in SOURCES}
        told[LISTED.name].append(Logged("s0.example", None, 1))

        def set_back(txn: LoggingTransaction) -> None:
            partners.begin_change(txn, 1)
            partners.put(txn, federation_partner.Partner("s0.example", None, LISTED_SOURCE, created_ts=1))
            state = list_state.read(txn)
            list_state.write(txn, list_state.ListState(7, state.expires_ts, state.verified_ts, state.checked_ts))

        self.get_success(run_transaction(self.hs.get_module_api(), "test", set_back))
        self.get_success(self.module.live.refresh())
        assert self.is_allowed("s0.example")
        done = [action for source in SOURCES for action in self.replay(source, told[source.name])]
        assert done == ["recovery.partner_removed", "recovery.list_version"]
        assert not self.is_allowed("s0.example")
        assert self.is_allowed("s1.example")
        assert self.look(*TEN, version=7)["error"]
        assert not self.is_allowed("s0.example")
        # What is in force is read anew, and is no other list with the same version.
        state = self.look(*TEN[1:], version=8)
        assert (state["version"], state["error"]) == (8, None)
        assert not self.is_allowed("s0.example")

    def test_the_list_of_last_is_looked_for_at_once(self) -> None:
        told = [Logged("version", {"version": 9, "expires_ts": 9 * 10**12}, 1)]
        assert self.replay(VERSION, told) == ["recovery.list_version"]
        found = self.get_success(run_transaction(self.hs.get_module_api(), "test", list_state.read))
        assert (found.version, found.checked_ts) == (8, None)
        # A list that the database knows already changes nothing.
        assert self.replay(VERSION, told[:0]) == self.replay(VERSION, [Logged("version", {"version": 8}, 1)]) == []
