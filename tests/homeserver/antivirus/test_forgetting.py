"""What is known of files is forgotten when they are gone, and nothing that was refused is to be had by that."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, ClassVar
from unittest.mock import patch

import pytest
from synapse.module_api import LoggingTransaction

from synapse_bum.antivirus.forgetting import duty, walks
from synapse_bum.antivirus.forgetting.purposes import EVIDENCE_MS, SETTLED_MS
from synapse_bum.antivirus.scanning.probes import EICAR
from synapse_bum.homeserver.media_deletion import TOMBSTONE_MARKER
from synapse_bum.testing.antivirus_case import BASE
from synapse_bum.testing.encrypted_files import encrypted
from synapse_bum.testing.remote_media import elsewhere
from synapse_bum.testing.room_case import CLEAN, REMOTE, RoomTestCase

HOUR_S = 3_600
AGED = {
    "verdicts": f"noted_ts = noted_ts - {SETTLED_MS}, scanned_ts = scanned_ts - {SETTLED_MS}",
    "held": f"since_ts = since_ts - {SETTLED_MS}",
    "findings": f"found_ts = found_ts - {EVIDENCE_MS}",
    "exemptions": f"released_ts = released_ts - {EVIDENCE_MS}",
}
"""What makes rows of a table old enough to be forgotten."""


def media_id_of(mxc: str) -> str:
    return mxc.rpartition("/")[2]


class ForgettingTestCase(RoomTestCase):
    def rows(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        """Run one statement; what it reads."""

        def run(txn: LoggingTransaction) -> list[tuple[Any, ...]]:
            txn.execute(sql, values)
            return list(txn.fetchall()) if sql.startswith("SELECT") else []

        found: list[tuple[Any, ...]] = self.get_success(self.hs.get_module_api().run_db_interaction("test", run))
        return found

    def known(self, table: str) -> set[str]:
        """Media ids of a table's rows."""
        return {media_id for (media_id,) in self.rows(f"SELECT media_id FROM synapse_bum_antivirus_{table}")}  # noqa: S608 - a fixed name

    def age(self) -> None:
        """Make every row of today one of long ago."""
        for table, change in AGED.items():
            self.rows(f"UPDATE synapse_bum_antivirus_{table} SET {change}")  # noqa: S608 - our own text

    def drop(self, mxc: str) -> None:
        """Have Synapse itself delete a file of ours."""
        path = f"/_synapse/admin/v1/media/{mxc.removeprefix('mxc://')}"
        assert self.make_request("DELETE", path, access_token=self.admin_token).code == HTTPStatus.OK

    def an_hour_passes(self) -> None:
        self.reactor.advance(HOUR_S)
        self.settle()


class LocalFileTests(ForgettingTestCase):
    def test_all_rows_go_with_the_file_and_those_of_others_stay(self) -> None:
        (gone, _), (stays, _) = self.sent_encrypted(CLEAN), self.sent_encrypted(CLEAN)
        self.settle()
        for mxc in (gone, stays):
            self.rows("INSERT INTO synapse_bum_antivirus_held VALUES ('test', ?, 'x', 1, 1)", media_id_of(mxc))
            deferred = (media_id_of(mxc), "$event", self.room, self.user, self.user, 0, "uploader", 10**15)
            self.rows(
                "INSERT INTO synapse_bum_antivirus_redactions_deferred VALUES (?, ?, ?, ?, ?, ?, ?, ?)", *deferred
            )
        tables = ("verdicts", "key_verdicts", "held", "links", "redactions_deferred")
        self.age()
        self.an_hour_passes()
        for table in tables:
            assert self.known(table) == {media_id_of(gone), media_id_of(stays)}, table
        self.drop(gone)
        with self.assertLogs(duty.logger, "INFO") as logged:
            self.an_hour_passes()
        for table in tables:
            assert self.known(table) == {media_id_of(stays)}, table
        assert "1 verdicts, 1 key_verdicts, 1 held, 1 links, 1 redactions" in logged.output[0]
        assert self.download(gone).code == HTTPStatus.NOT_FOUND

    def test_a_link_goes_with_its_room_though_the_file_is_here(self) -> None:
        mxc, _ = self.sent_encrypted(CLEAN)
        self.get_success(self.hs.get_storage_controllers().purge_events.purge_room(self.room))
        self.an_hour_passes()
        assert self.known("links") == set()
        assert self.download(mxc).code == HTTPStatus.OK

    def test_a_verdict_of_a_file_that_is_just_being_stored_stays(self) -> None:
        now_ms = self.hs.get_clock().time_msec()
        self.rows(
            "INSERT INTO synapse_bum_antivirus_verdicts (server_name, media_id, state, scanned_ts, noted_ts)"
            " VALUES ('remote.example', 'fetched-again', 'encrypted', ?, ?)",
            now_ms,
            now_ms - 2 * SETTLED_MS,
        )
        self.an_hour_passes()
        assert self.known("verdicts") == {"fetched-again"}

    def test_a_turn_is_bounded_and_the_next_one_goes_on(self) -> None:
        files = [self.upload(CLEAN + bytes([number])) for number in range(5)]
        self.settle()
        self.age()
        for mxc in files:
            self.drop(mxc)
        with patch.object(walks, "PAGE", 1), patch.object(duty, "PAGES", 2):
            left = []
            for _ in range(3):
                self.an_hour_passes()
                left.append(len(self.known("verdicts")))
        assert left == [3, 1, 0]

    def test_a_turn_that_breaks_off_is_made_good_by_the_next(self) -> None:
        mxc, _ = self.sent_encrypted(CLEAN)
        self.drop(mxc)
        with (
            patch.object(walks, "write_position", side_effect=RuntimeError("the process dies")),
            self.assertLogs(duty.logger, "WARNING"),
        ):
            self.an_hour_passes()
        assert self.known("links") == {media_id_of(mxc)}
        self.an_hour_passes()
        assert self.known("links") == set()


class NameTests(ForgettingTestCase):
    antivirus: ClassVar[Mapping[str, Any]] = {"on_infected_upload": "block"}

    def uploaders(self) -> dict[str, str | None]:
        return {finding["mxc"]: finding["uploader"] for finding in self.findings()}

    def test_a_year_after_the_finding_nobody_is_named_and_the_bytes_stay_refused(self) -> None:
        attachment = encrypted(EICAR)
        gone, here = self.upload(attachment.ciphertext), self.upload(EICAR)
        self.scan(attachment, gone, self.send_encrypted(), token=self.bob_token)
        self.settle()
        self.drop(gone)
        self.settle()
        self.an_hour_passes()
        assert self.uploaders() == {gone: self.user, here: self.user}
        self.age()
        self.an_hour_passes()
        assert self.uploaders() == {gone: None, here: self.user}
        (finding,) = (finding for finding in self.findings() if finding["mxc"] == gone)
        assert (finding["state"], finding["reporter"]) == ("deleted", None)
        (row,) = self.ask("audit?action=antivirus.forgotten")["audit"]
        assert (row["actor"], row["target"], row["new"]) == ("antivirus", "findings", {"names_removed_from": 1})
        # The scanner sees nothing in ciphertext: that these bytes are infected, only the finding knows.
        assert self.download(self.upload(attachment.ciphertext)).code == HTTPStatus.NOT_FOUND

    def test_what_is_on_hold_stays_until_the_hold_ends(self) -> None:
        mxc, _ = self.sent_encrypted(EICAR)
        self.settle()
        self.drop(mxc)
        self.settle()
        self.age()
        self.hold(self.room)
        self.an_hour_passes()
        assert self.known("links") == {media_id_of(mxc)}
        assert self.uploaders() == {mxc: self.user}
        self.rows("DELETE FROM synapse_bum_holds")
        self.an_hour_passes()
        assert self.known("links") == set()
        assert self.uploaders() == {mxc: None}

    def test_a_release_holds_without_the_name_of_who_gave_it(self) -> None:
        mxc = self.upload(EICAR)
        self.settle()
        path = f"{BASE}/antivirus/findings/{mxc.removeprefix('mxc://')}/release"
        self.make_request("POST", path, {"reason": "ours"}, access_token=self.admin_token)
        self.settle()
        released = "SELECT released_by, reason FROM synapse_bum_antivirus_exemptions"
        self.age()
        self.an_hour_passes()
        assert self.rows(released) == [(self.admin, "ours")]
        self.drop(mxc)
        self.an_hour_passes()
        assert self.rows(released) == [("", "")]
        assert self.download(self.upload(EICAR)).code == HTTPStatus.OK


class RemoteFileTests(ForgettingTestCase):
    """Files of other servers may be asked for again."""

    @pytest.fixture(autouse=True)
    def _fetched(self) -> None:
        self.fetched: list[str] = []

    def a_blocked_file(self) -> str:
        mxc, attachment = f"mxc://{REMOTE}/remote1", encrypted(EICAR)
        event_id = self.inject(f"@carol:{REMOTE}", {"algorithm": "m.megolm.v1.aes-sha2"}, "m.room.encrypted")
        with elsewhere(self.hs, attachment.ciphertext, self.fetched):
            self.scan(attachment, mxc, event_id, token=self.bob_token)
        self.settle()
        return mxc

    def test_a_blocked_one_stays_refused_and_marked_when_its_copy_is_gone(self) -> None:
        mxc = self.a_blocked_file()
        for change in (
            f"UPDATE remote_media_cache SET quarantined_by = '{TOMBSTONE_MARKER}'",  # noqa: S608 - as it goes by age
            "DELETE FROM remote_media_cache",
        ):
            self.rows(change)
            self.age()
            self.an_hour_passes()
            assert self.known("links") == {"remote1"}
            (finding,) = self.findings()
            assert (finding["mxc"], finding["state"], finding["reporter"]) == (mxc, "blocked", None)
            with elsewhere(self.hs, CLEAN, self.fetched):
                assert self.download(mxc).code == HTTPStatus.NOT_FOUND
        assert self.fetched == ["remote1"]

    def test_a_clean_one_is_scanned_anew_when_it_is_fetched_anew(self) -> None:
        mxc = f"mxc://{REMOTE}/remote2"
        with elsewhere(self.hs, CLEAN, self.fetched):
            assert self.download(mxc).code == HTTPStatus.OK
            self.settle()
            self.rows("DELETE FROM remote_media_cache")
            self.age()
            self.an_hour_passes()
            assert self.known("verdicts") == set()
        with elsewhere(self.hs, EICAR, self.fetched):
            assert self.download(mxc).code == HTTPStatus.NOT_FOUND
        assert [finding["state"] for finding in self.findings()] == ["rejected"]
