"""Files that got in without a verdict are scanned as soon as that is possible, and blocked when infected."""

import hashlib
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from http import HTTPStatus
from typing import Any, ClassVar
from unittest.mock import patch

from synapse.module_api import LoggingTransaction, ModuleApi

from synapse_bum.antivirus import metrics
from synapse_bum.antivirus.engines.engine import Clean, Failed, FailureReason, Infected, ScanResult
from synapse_bum.antivirus.scanning.probes import EICAR
from synapse_bum.antivirus.stored.backlog import YOUNG_MS
from synapse_bum.antivirus.stored.verdicts import LAST_RETRY_MS, write_unscanned
from synapse_bum.homeserver import media
from synapse_bum.testing import malware
from synapse_bum.testing.antivirus_case import AntivirusTestCase
from synapse_bum.testing.engines import finds_eicar, limits

SHA256 = hashlib.sha256(EICAR).hexdigest()
CLEAN = b"Guten Tag"


class AcceptTests(AntivirusTestCase):
    antivirus: ClassVar[Mapping[str, Any]] = {"when_scanner_fails": "accept"}

    def test_a_file_is_stored_unscanned_and_scanned_when_the_scanner_is_back(self) -> None:
        self.engine.reachable = False
        mxc = self.upload(CLEAN)
        self.settle()
        assert self.ask("antivirus/status")["totals"]["unscanned"] == 1
        assert self.download(mxc).code == HTTPStatus.OK
        self.engine.reachable = True
        self.settle()
        totals = self.ask("antivirus/status")["totals"]
        assert (totals["unscanned"], totals["clean"]) == (0, 1)

    def test_an_infected_file_that_came_while_the_scanner_was_away_is_blocked_when_it_is_back(self) -> None:
        self.engine.reachable = False
        mxc = self.upload(EICAR)
        self.engine.reachable = True
        self.settle()
        assert self.download(mxc).code == HTTPStatus.NOT_FOUND
        (finding,) = self.findings()
        assert (finding["mxc"], finding["state"], finding["source"]) == (mxc, "blocked", "rescan")
        assert finding["uploader"] == self.user

    def test_what_no_later_scan_could_judge_is_refused_even_now(self) -> None:
        self.engine.answer = lambda _: limits()
        self.upload(CLEAN, expect=HTTPStatus.BAD_REQUEST)
        self.upload(bytes(3 * 1024 * 1024), expect=HTTPStatus.BAD_REQUEST)

    def test_a_file_that_takes_down_the_scanner_twice_is_refused_for_good(self) -> None:
        killer = b"kills the scanner"

        def answer(content: bytes) -> ScanResult:
            if content == killer:
                return Failed(FailureReason.LOST, "gone")
            return Infected("Eicar-Test-Signature") if EICAR in content else Clean()

        self.engine.answer = answer
        self.upload(killer, expect=HTTPStatus.BAD_REQUEST)
        assert self.engine.scanned.count(killer) == 2
        self.upload(killer, expect=HTTPStatus.BAD_REQUEST)
        assert self.engine.scanned.count(killer) == 2, "not even asked"
        self.upload(b"same length here!")

    def test_a_file_that_was_only_there_when_the_scanner_died_is_acquitted(self) -> None:
        innocent = b"innocent"
        died: list[bool] = []

        def answer(content: bytes) -> ScanResult:
            if content == innocent and not died:
                died.append(True)
                return Failed(FailureReason.LOST, "gone")
            return Infected("Eicar-Test-Signature") if EICAR in content else Clean()

        self.engine.answer = answer
        mxc = self.upload(innocent)
        assert self.download(mxc).code == HTTPStatus.OK
        self.settle()
        assert self.ask("antivirus/status")["totals"]["unscanned"] == 0


class StoredBeforeTests(AntivirusTestCase):
    """Files that Synapse had before the module was loaded."""

    def stored_before(self, *contents: bytes) -> list[str]:
        """Uploads past the gate, then puts everything as it is when the module starts for the first time."""
        self.engine.reachable = False
        spam_checker = self.hs.get_module_api_callbacks().spam_checker
        with patch.object(spam_checker, "_check_media_file_for_spam_callbacks", []):
            mxcs = [self.upload(content) for content in contents]

        self.reactor.advance(YOUNG_MS / 1000 + 1)

        def forget_walks(txn: LoggingTransaction) -> None:
            txn.execute("DELETE FROM synapse_bum_antivirus_walks")

        self.get_success(self.hs.get_module_api().run_db_interaction("test", forget_walks))
        return mxcs

    def unscanned(self) -> int:
        return int(self.ask("antivirus/status")["totals"]["unscanned"])

    def test_they_are_queued_scanned_and_blocked_when_infected(self) -> None:
        old = self.stored_before(EICAR, CLEAN, malware.png())
        self.settle()
        assert self.unscanned() == 3
        assert self.download(old[0]).code == HTTPStatus.OK
        self.engine.reachable = True
        self.settle()
        assert [self.download(mxc).code for mxc in old] == [HTTPStatus.NOT_FOUND, HTTPStatus.OK, HTTPStatus.OK]
        assert self.unscanned() == 0
        (finding,) = self.findings()
        assert (finding["mxc"], finding["state"]) == (old[0], "blocked")

    def test_a_file_whose_row_is_protected_shows_as_block_failed(self) -> None:
        (mxc,) = self.stored_before(EICAR)
        store = self.hs.get_datastores().main
        self.get_success(store.mark_local_media_as_safe(mxc.rsplit("/", 1)[1]))
        self.engine.reachable = True
        self.settle()
        (finding,) = self.findings()
        assert finding["state"] == "block_failed"
        self.settle()
        assert metrics.STILL_SERVED._value.get() == 1
        path = f"/_synapse/client/bum/v1/antivirus/findings/{mxc.removeprefix('mxc://')}"
        assert self.make_request("DELETE", path, access_token=self.admin_token).code == HTTPStatus.OK
        self.settle()
        assert metrics.STILL_SERVED._value.get() == 0

    def test_a_file_that_is_gone_from_disk_does_not_stop_the_others(self) -> None:
        self.stored_before(b"lost")
        (path,) = self.stored_files()
        path.unlink()
        others = self.stored_before(*(b"other %d" % number for number in range(30)))
        self.engine.reachable = True
        for _ in range(3):
            self.settle()
        assert self.unscanned() == 1
        for mxc in others:
            assert self.download(mxc).code == HTTPStatus.OK
        assert self.download(others[0]).code == HTTPStatus.OK

    def test_an_outage_of_the_media_volume_ends_and_the_file_is_scanned_after_all(self) -> None:
        (mxc,) = self.stored_before(EICAR)
        (path,) = self.stored_files()
        away = path.with_suffix(".away")
        path.rename(away)
        self.engine.reachable = True
        for _ in range(10):
            self.settle()
        assert self.unscanned() == 1
        away.rename(path)
        self.reactor.advance(LAST_RETRY_MS / 1000)
        self.settle()
        assert self.unscanned() == 0
        assert self.download(mxc).code == HTTPStatus.NOT_FOUND

    def test_an_exception_of_a_storage_provider_stops_no_other_file(self) -> None:
        bad, *others = self.stored_before(b"bad", b"good", b"better")
        stored_file = media.stored_file

        def breaks(api: ModuleApi, stored: media.StoredMedia) -> AbstractAsyncContextManager[str]:
            if bad.endswith(stored.media_id):
                raise RuntimeError("S3 says no")
            return stored_file(api, stored)

        self.engine.reachable = True
        with patch.object(media, "stored_file", breaks):
            self.settle()
        assert self.unscanned() == 1
        assert self.download(others[0]).code == HTTPStatus.OK

    def test_a_file_that_has_no_row_yet_keeps_its_place_in_the_queue(self) -> None:
        database = self.module.backlog._database
        now_ms = self.hs.get_clock().time_msec()
        self.get_success(database.run("test", write_unscanned, "test", "slowly-stored", now_ms))
        self.settle()
        assert self.unscanned() == 1
        self.reactor.advance(2 * 3_600)
        self.settle()
        assert self.unscanned() == 0

    def test_what_was_stored_while_the_module_was_not_loaded_is_found_at_its_next_start(self) -> None:
        self.settle()
        self.engine.reachable = False
        spam_checker = self.hs.get_module_api_callbacks().spam_checker
        with patch.object(spam_checker, "_check_media_file_for_spam_callbacks", []):
            mxc = self.upload(EICAR)
        self.reactor.advance(YOUNG_MS / 1000 + 1)
        self.settle()
        assert self.unscanned() == 0
        self.module.backlog._walked = False  # as in a process that has just started
        self.engine.reachable = True
        self.settle()
        assert self.download(mxc).code == HTTPStatus.NOT_FOUND

    def test_more_files_than_one_page_are_all_found(self) -> None:
        with patch("synapse_bum.antivirus.stored.backlog.WALK_PAGE", 3):
            self.stored_before(*(b"file %d" % number for number in range(10)))
            self.settle()
            assert self.unscanned() == 10

    def test_a_stored_file_that_takes_down_scanners_is_blocked(self) -> None:
        (mxc,) = self.stored_before(b"killer")
        self.engine.answer = lambda content: (
            Failed(FailureReason.LOST, "gone") if content == b"killer" else finds_eicar(content)
        )
        self.engine.reachable = True
        self.settle()
        (finding,) = self.findings()
        assert (finding["signature"], finding["state"]) == ("synapse_bum.Unscannable", "blocked")
        assert self.download(mxc).code == HTTPStatus.NOT_FOUND
