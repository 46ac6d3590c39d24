"""Loading the module: what it refuses, what it says, and what it does where there is no media repository."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, ClassVar
from unittest.mock import patch

import pytest
from synapse.module_api import LoggingTransaction
from synapse.rest import admin
from synapse.rest.client import login

from synapse_bum.antivirus import AntivirusModule
from synapse_bum.antivirus.engines.engine import Clean, ScanResult
from synapse_bum.antivirus.scanning.monitor import STALE_AFTER_MS
from synapse_bum.antivirus.scanning.probes import EICAR
from synapse_bum.config import SetupError
from synapse_bum.homeserver import requirements
from synapse_bum.homeserver.requirements import Requirement, UnsupportedSynapseError
from synapse_bum.testing.antivirus_case import BASE, AntivirusTestCase
from synapse_bum.testing.engines import finds_eicar, up_to

MIB = 1 << 20


class LoadingTests(AntivirusTestCase):
    def test_twice_is_an_error_that_says_so(self) -> None:
        with pytest.raises(SetupError, match="loaded twice"):
            AntivirusModule(AntivirusModule.parse_config({}), self.hs.get_module_api())

    def test_a_synapse_that_lacks_something_is_refused_with_a_sentence(self) -> None:
        missing = (Requirement("synapse.media.media_repository", "MediaRepository.no_such", "testing"),)
        with pytest.raises(UnsupportedSynapseError, match=r"MediaRepository\.no_such.*testing.*1\.133\.0"):
            requirements.check(missing)
        with pytest.raises(UnsupportedSynapseError, match="no_such_module"):
            requirements.check((Requirement("synapse.no_such_module", "x", "testing"),))

    def test_everything_that_is_needed_is_here(self) -> None:
        requirements.check(requirements.DATABASE, requirements.LOG_CONTEXTS, requirements.MEDIA)


class StatusTests(AntivirusTestCase):
    def test_the_status_says_who_scans_and_what_was_proven(self) -> None:
        status = self.ask("antivirus/status")
        assert status == {
            "engine": "clamd",
            "engine_version": "FakeAV 1.0",
            "signature_version": "27800",
            "signature_ts": 1_000_000,
            "scanner_ok": True,
            "effective_max_scan_bytes": 2 * MIB,
            "self_test": {
                "eicar": "found",
                "oversize": "found",
                "encrypted_archive": "passed",
                "nested_archive": "passed",
                "many_files": "passed",
                "inflated_archive": "passed",
            },
            "totals": {"scanned": 0, "clean": 0, "infected": 0, "failed": 0, "unscanned": 0},
        }

    def test_a_scanner_that_goes_away_shows_and_is_found_again(self) -> None:
        self.engine.reachable = False
        self.settle()
        assert self.ask("antivirus/status")["scanner_ok"] is False
        self.engine.reachable = True
        self.settle()
        assert self.ask("antivirus/status")["scanner_ok"] is True

    def test_a_scanner_that_lost_its_signatures_is_noticed_by_the_next_self_test(self) -> None:
        self.engine.answer = lambda _: Clean()
        with self.assertLogs("synapse_bum", "WARNING") as logs:
            self.reactor.advance(3_600)
            self.settle()
        status = self.ask("antivirus/status")
        assert (status["scanner_ok"], status["effective_max_scan_bytes"]) == (False, 0)
        assert any("EICAR" in line for line in logs.output)
        self.upload(b"clean", expect=HTTPStatus.BAD_REQUEST)

    def test_a_limit_that_shrinks_shrinks_what_is_accepted(self) -> None:
        self.upload(bytes(MIB + MIB // 2))
        self.engine.answer = up_to(MIB)
        self.reactor.advance(3_600)
        self.settle()
        assert self.ask("antivirus/status")["effective_max_scan_bytes"] == MIB
        self.upload(EICAR + bytes(MIB + MIB // 2), expect=HTTPStatus.BAD_REQUEST)
        self.upload(bytes(MIB))

    def test_each_weakness_is_said_once_and_not_with_every_self_test(self) -> None:
        with self.assertLogs("synapse_bum.antivirus.scanning.monitor", "WARNING") as logs:
            self.engine.answer = up_to(MIB)
            for _ in range(3):
                self.reactor.advance(3_600)
                self.settle()
        assert len([line for line in logs.output if "at most" in line]) == 1

    def test_new_signatures_show_without_a_self_test(self) -> None:
        self.engine.signature_version = "27801"
        self.settle()
        assert self.ask("antivirus/status")["signature_version"] == "27801"

    def test_a_status_that_nobody_refreshes_is_no_scanner(self) -> None:
        with patch.object(self.module.monitor, "_publish", side_effect=RuntimeError("stopped")):
            self.reactor.advance(STALE_AFTER_MS / 1000 + 1)
            self.settle()
            assert self.ask("antivirus/status")["scanner_ok"] is False

    def test_verdicts_carry_the_signatures_with_which_the_scan_began(self) -> None:
        assert self.engine.signature_version == "27800"

        def updates_meanwhile(content: bytes) -> ScanResult:
            self.engine.signature_version = "27801"
            return finds_eicar(content)

        self.engine.answer = updates_meanwhile
        mxc = self.upload(b"clean")
        self.settle()

        def version_of(txn: LoggingTransaction) -> tuple[Any, ...] | None:
            txn.execute(
                "SELECT signature_version FROM synapse_bum_antivirus_verdicts WHERE media_id = ?",
                (mxc.rsplit("/", 1)[1],),
            )
            return txn.fetchone()

        assert self.get_success(self.hs.get_module_api().run_db_interaction("test", version_of)) == ("27800",)


class WithoutMediaRepositoryTests(AntivirusTestCase):
    server: ClassVar[Mapping[str, Any]] = {"enable_media_repo": False}

    servlets: ClassVar[list[Any]] = [admin.register_servlets, login.register_servlets]

    def test_the_module_loads_asks_no_scanner_and_answers_from_tables(self) -> None:
        assert self.engine.versions == 0
        assert self.ask("antivirus/status")["scanner_ok"] is False
        assert self.ask("antivirus/findings") == {"findings": [], "total": 0}
        channel = self.make_request("GET", f"{BASE}/audit", access_token=self.admin_token)
        assert channel.code == HTTPStatus.OK
