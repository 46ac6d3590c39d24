"""Whose word counts, which files an event names, and what follows: the pure decisions about events and files."""

import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synapse_bum.antivirus.config import DeleteOnRedaction
from synapse_bum.antivirus.events.event_annotations import Blocked, carries_blocked
from synapse_bum.antivirus.events.event_files import file_of_uri, files_in_clear, replaced_event
from synapse_bum.antivirus.events.file_usage import keeps_using
from synapse_bum.antivirus.events.links import MAX_LINKS, VouchedBy, is_full, voucher_of
from synapse_bum.antivirus.events.redaction_queue import LAST_RETRY_MS, retry_after_ms
from synapse_bum.antivirus.events.redactions import Redactor, deletes
from synapse_bum.antivirus.findings.finding import FindingState
from synapse_bum.antivirus.own_media import scan_state, shows_file
from synapse_bum.antivirus.quarantine.holding import MARKER as HELD
from synapse_bum.antivirus.stored import verdicts
from synapse_bum.homeserver.events import EventFacts
from synapse_bum.homeserver.media import StoredMedia

ALICE, BOB, CAROL = "@alice:test", "@bob:test", "@carol:remote.example"
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.just("mxc://test/file"),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["url", "file", "info", "m.new_content"]), inner),
)


def an_event(content: object = None, **facts: Any) -> EventFacts:  # noqa: ANN401 - the attributes of `EventFacts`
    known: dict[str, Any] = {
        "event_id": "$event",
        "room_id": "!room:test",
        "sender": ALICE,
        "type": "m.room.message",
        "content": content or {},
        "is_redacted": False,
        "origin_server_ts": 0,
    }
    return EventFacts(**{**known, **facts})


class TestVoucher:
    @pytest.mark.parametrize(
        ("sender", "requester", "uploader", "server_name", "expected"),
        [
            (ALICE, ALICE, ALICE, "test", VouchedBy.UPLOADER),
            (ALICE, BOB, ALICE, "test", VouchedBy.READER),
            (BOB, ALICE, ALICE, "test", None),
            (BOB, BOB, ALICE, "test", None),
            (CAROL, BOB, None, "remote.example", VouchedBy.ORIGIN),
            (BOB, BOB, None, "remote.example", None),
            ("@carol:remote.example:8448", BOB, None, "remote.example", None),
        ],
    )
    def test_the_sender_has_to_be_the_uploader_or_of_his_server(
        self, sender: str, requester: str, uploader: str | None, server_name: str, expected: VouchedBy | None
    ) -> None:
        assert voucher_of(sender, requester, uploader, server_name) is expected

    def test_links_are_full_when_one_kind_of_voucher_is(self) -> None:
        readers = [(f"${n}", VouchedBy.READER) for n in range(MAX_LINKS)]
        assert is_full(readers)
        assert not is_full([*readers[1:], ("$own", VouchedBy.UPLOADER)])


class TestFilesOfEvents:
    def test_all_places_of_files_and_thumbnails(self) -> None:
        def uri(n: int) -> str:
            return f"mxc://test/file{n}"

        content = {
            "url": uri(1),
            "file": {"url": uri(2)},
            "info": {"thumbnail_url": uri(3), "thumbnail_file": {"url": uri(4)}},
            "m.new_content": {"url": uri(5)},
            "body": uri(6),
        }
        assert files_in_clear(content) == {("test", f"file{n}") for n in range(1, 6)}

    @given(JSON)
    def test_nothing_that_is_sent_breaks_it(self, content: object) -> None:
        assert files_in_clear(content) <= {("test", "file")}
        replaced_event({"m.relates_to": content})

    @pytest.mark.parametrize(
        "uri",
        [None, 1, "", "mxc://", "mxc://test", "mxc://test/", "mxc:///a", "https://test/a", "mxc://test/a/b", "mxc://test/..",
         "mxc://test/a?b", "mxc://te st/a", "MXC://test/a"],
    )  # fmt: skip
    def test_what_is_no_uri(self, uri: object) -> None:
        assert file_of_uri(uri) is None

    def test_an_edit_names_the_event_it_replaces(self) -> None:
        assert replaced_event({"m.relates_to": {"rel_type": "m.replace", "event_id": "$a"}}) == "$a"
        assert replaced_event({"m.relates_to": {"rel_type": "m.thread", "event_id": "$a"}}) is None


class TestRedactions:
    OWN = Redactor(ALICE, is_sender=True, is_room_admin=False)
    ADMIN = Redactor(BOB, is_sender=False, is_room_admin=True)
    OTHER = Redactor(BOB, is_sender=False, is_room_admin=False)

    @pytest.mark.parametrize(
        ("mode", "redactor", "blocked", "expected"),
        [
            (DeleteOnRedaction.OWN, OWN, False, True),
            (DeleteOnRedaction.OWN, OWN, True, True),
            (DeleteOnRedaction.OWN, ADMIN, False, False),
            (DeleteOnRedaction.OWN, ADMIN, True, True),
            (DeleteOnRedaction.OWN, OTHER, True, False),
            (DeleteOnRedaction.BLOCKED, OWN, False, False),
            (DeleteOnRedaction.BLOCKED, OWN, True, True),
            (DeleteOnRedaction.BLOCKED, ADMIN, True, True),
            (DeleteOnRedaction.BLOCKED, ADMIN, False, False),
            (DeleteOnRedaction.BLOCKED, OTHER, True, False),
            (DeleteOnRedaction.ALL, OTHER, False, True),
        ],
    )
    def test_whose_redaction_deletes(
        self, mode: DeleteOnRedaction, redactor: Redactor, *, blocked: bool, expected: bool
    ) -> None:
        assert deletes(mode, redactor, VouchedBy.UPLOADER, blocked=blocked) is expected

    def test_none_never(self) -> None:
        for redactor, word, blocked in itertools.product((self.OWN, self.ADMIN, self.OTHER), VouchedBy, (True, False)):
            assert not deletes(DeleteOnRedaction.NONE, redactor, word, blocked=blocked)

    def test_only_the_uploaders_own_word_authorises_anybody_else(self) -> None:
        for mode, redactor, blocked in itertools.product(DeleteOnRedaction, (self.ADMIN, self.OTHER), (True, False)):
            assert not deletes(mode, redactor, VouchedBy.READER, blocked=blocked)
        assert deletes(DeleteOnRedaction.OWN, self.OWN, VouchedBy.READER, blocked=False)

    def test_a_failure_is_tried_again_later_and_later(self) -> None:
        waits = [retry_after_ms(attempts) for attempts in range(30)]
        assert waits == sorted(waits)
        assert waits[-1] == LAST_RETRY_MS


class TestUsage:
    def keeps(self, event: EventFacts | None, *, is_current_state: bool = False) -> bool:
        return keeps_using(event, redacted_event="$redacted", is_current_state=is_current_state)

    def test_an_event_that_is_still_shown_keeps_the_file(self) -> None:
        assert self.keeps(an_event())
        assert self.keeps(an_event(state_key=""), is_current_state=True)

    def test_what_nobody_is_shown_any_more_does_not(self) -> None:
        edit = {"m.relates_to": {"rel_type": "m.replace", "event_id": "$redacted"}}
        for event in (
            None,
            an_event(is_redacted=True),
            an_event(event_id="$redacted"),
            an_event(edit),
            an_event(state_key=""),
        ):
            assert not self.keeps(event)


class TestEvidence:
    LOCAL = StoredMedia("test", "file", "file", local=True, uploader=ALICE)
    REMOTE = StoredMedia("remote.example", "file", "abc", local=False)

    def test_in_clear_only_the_uploader_or_his_server_can_say_so(self) -> None:
        assert shows_file(an_event({"url": "mxc://test/file"}), self.LOCAL, None)
        assert not shows_file(an_event({"url": "mxc://test/file"}, sender=BOB), self.LOCAL, None)
        assert shows_file(an_event({"url": "mxc://remote.example/file"}, sender=CAROL), self.REMOTE, None)
        assert not shows_file(an_event({"url": "mxc://remote.example/file"}, sender=BOB), self.REMOTE, None)

    def test_of_links_only_the_word_of_who_can_not_lie_against_himself(self) -> None:
        believed = {
            (stored.local, word)
            for stored, word in itertools.product((self.LOCAL, self.REMOTE), (*VouchedBy, None))
            if shows_file(an_event(type="m.room.encrypted"), stored, word)
        }
        assert believed == {(True, VouchedBy.UPLOADER), (False, VouchedBy.ORIGIN)}


class TestScanState:
    @pytest.mark.parametrize(
        ("quarantined_by", "finding", "held", "verdict", "expected"),
        [
            (None, None, False, None, "unscanned"),
            (None, None, False, verdicts.UNSCANNED, "unscanned"),
            (None, None, False, verdicts.CLEAN, "clean"),
            (None, None, False, verdicts.ENCRYPTED, "encrypted"),
            (HELD, None, True, verdicts.ENCRYPTED, "encrypted"),
            ("system", None, True, None, "encrypted"),
            ("system", None, False, None, "blocked"),
            ("@mod:test", None, True, verdicts.CLEAN, "blocked"),
            ("synapse_bum:infected", FindingState.BLOCKED, False, None, "blocked"),
            (None, FindingState.BLOCK_FAILED, False, verdicts.CLEAN, "blocked"),
            (None, FindingState.RELEASED, False, verdicts.CLEAN, "clean"),
            (None, FindingState.REJECTED, False, verdicts.ENCRYPTED, "encrypted"),
        ],
    )
    def test_what_the_uploader_is_told(
        self,
        quarantined_by: str | None,
        finding: FindingState | None,
        *,
        held: bool,
        verdict: str | None,
        expected: str,
    ) -> None:
        told = scan_state(quarantined_by=quarantined_by, finding=finding, held=held, verdict=verdict)
        assert told == expected


def test_an_event_is_marked_by_its_id_or_by_what_it_names() -> None:
    blocked = Blocked(1, frozenset({("test", "file")}), frozenset({"$linked"}))
    assert carries_blocked("$linked", {}, blocked)
    assert carries_blocked("$other", {"url": "mxc://test/file"}, blocked)
    assert not carries_blocked("$other", {"url": "mxc://test/another"}, blocked)
