"""What the pages say of a room's members and of a file's scan."""

from typing import Any

import pytest

from synapse_bum.antivirus.findings.finding import FindingState
from synapse_bum.antivirus.quarantine import arrivals, blocking, holding
from synapse_bum.homeserver.media_deletion import HIDDEN_MARKER
from synapse_bum.portal.files import stored_files
from synapse_bum.portal.presentation import rooms

CREATE = {"type": "m.room.create", "sender": "@c:here", "content": {"additional_creators": ["@d:there", 7]}}


def levels(**content: Any) -> dict[str, Any]:  # noqa: ANN401 - whatever stands in an event
    return {"type": "m.room.power_levels", "sender": "@c:here", "content": content}


class TestMembers:
    def test_the_most_powerful_first_then_ours_then_by_name(self) -> None:
        state = [CREATE, levels(users={"@m:there": 50, "@a:here": 100}, users_default=5)]
        joined = ["@z:here", "@b:there", "@m:there", "@a:here", "@y:here"]
        found = rooms.members(joined, state, version="10", server="here")
        assert [(m.user_id, m.power) for m in found] == [
            ("@a:here", 100),
            ("@m:there", 50),
            ("@y:here", 5),
            ("@z:here", 5),
            ("@b:there", 5),
        ]

    def test_from_version_12_on_creators_are_above_all(self) -> None:
        state = [CREATE, levels(users={"@a:here": 100})]
        joined = ["@a:here", "@c:here", "@d:there"]
        assert [m.power for m in rooms.members(joined, state, version="12", server="here")] == [None, None, 100]
        assert [m.power for m in rooms.members(joined, state, version="11", server="here")] == [100, 0, 0]

    def test_without_levels_the_creator_has_them(self) -> None:
        found = rooms.members(["@c:here", "@x:here"], [CREATE], version="1", server="here")
        assert [m.power for m in found] == [100, 0]

    @pytest.mark.parametrize("nonsense", ["x", None, [], {}, True, "9" * 5000, 1.5])
    def test_nonsense_is_no_power(self, nonsense: object) -> None:
        state = [levels(users={"@x:here": nonsense})]
        assert rooms.members(["@x:here"], state, version="1", server="here")[0].power == 0
        assert rooms.members(["@x:here"], [levels(users=nonsense)], version="1", server="here")[0].power == 0

    def test_old_rooms_have_levels_that_are_texts(self) -> None:
        assert rooms.members(["@x:here"], [levels(users={"@x:here": "50"})], version="1", server="here")[0].power == 50


@pytest.mark.parametrize(
    ("typed", "asked"), [("", None), ("Lage", "Lage"), ("#lage:a.example", "lage"), ("#lage", "lage"), ("#", None)]
)
def test_what_is_searched_for(typed: str, asked: str | None) -> None:
    assert rooms.search_term(typed) == asked


class TestAddress:
    def test_the_parts(self) -> None:
        found = stored_files.address("mxc://a.example:8448/x-Y_1")
        assert found == stored_files.Address("a.example:8448", "x-Y_1")
        assert str(found) == "mxc://a.example:8448/x-Y_1"

    @pytest.mark.parametrize("text", ["", "mxc://", "mxc://a/", "mxc://a/b/c", "mxc://a/..", "http://a/b", 'mxc://a/"'])
    def test_nothing_else(self, text: str) -> None:
        assert stored_files.address(text) is None


class TestScanState:
    def test_nothing_is_called_clean_of_which_nothing_is_known(self) -> None:
        assert stored_files.scan_state(None, None, has_scanner=True).key == "nothing_known"
        assert stored_files.scan_state(None, None, has_scanner=False).key == "no_scanner"

    @pytest.mark.parametrize("state", ["clean", "unscanned", "encrypted"])
    def test_what_the_scanner_says_counts_for_what_is_not_blocked(self, state: str) -> None:
        assert stored_files.scan_state(None, None, state, has_scanner=True).key == state
        assert stored_files.scan_state("@m:a", None, state, has_scanner=True).key == "quarantined"
        assert stored_files.scan_state(None, {"state": "blocked", "signature": "x"}, state, has_scanner=True).key == (
            "blocked"
        )

    @pytest.mark.parametrize("state", FindingState)
    def test_a_finding_decides(self, state: FindingState) -> None:
        finding = {"state": state.value, "signature": "Eicar"}
        assert stored_files.scan_state(None, finding, has_scanner=True).key == state.value

    def test_what_was_released_and_is_quarantined_by_somebody_else_is_blocked(self) -> None:
        found = stored_files.scan_state("@m:a", {"state": "released", "signature": "x"}, has_scanner=True)
        assert (found.key, found.values) == ("quarantined", {"who": "@m:a"})

    def test_the_marks_are_those_of_the_antivirus_module(self) -> None:
        assert {holding.MARKER, arrivals.MARKER} == stored_files.HELD
        assert blocking.MARKER == stored_files.INFECTED
        assert stored_files.lock_key(holding.MARKER) == "files.lock.held"
        assert stored_files.lock_key(blocking.MARKER) == "files.lock.blocked"
        assert stored_files.lock_key(None) == "files.lock.none"
        assert stored_files.lock_key(HIDDEN_MARKER) == "files.lock.deleted"

    @pytest.mark.parametrize("state", FindingState)
    def test_what_is_blocked_is_deleted_by_its_finding(self, state: FindingState) -> None:
        found = stored_files.is_for_operators(None, {"state": state.value})
        assert found == (state in {FindingState.BLOCKED, FindingState.BLOCK_FAILED})
        assert not stored_files.is_for_operators(None, None)
