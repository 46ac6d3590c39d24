"""Stored files are scanned again: for new signatures, when an operator asks, and never against a faulty signature."""

from collections.abc import Mapping
from http import HTTPStatus
from itertools import pairwise
from typing import Any, ClassVar
from unittest.mock import patch

from synapse.module_api import LoggingTransaction
from tests.server import FakeChannel
from twisted.internet.defer import CancelledError

from synapse_bum.antivirus import metrics
from synapse_bum.antivirus.engines.engine import Clean, Infected, ScanResult
from synapse_bum.antivirus.scanning.probes import EICAR
from synapse_bum.antivirus.stored.rescan import SETTLE_MS
from synapse_bum.testing.antivirus_case import BASE, AntivirusTestCase
from synapse_bum.testing.engines import finds_eicar

LETTER = b"Sehr geehrte Damen und Herren, anbei die Unterlagen %d."
SIGNATURE = "Doc.Mishap-1"


class RescanTestCase(AntivirusTestCase):
    """Letters that count as infected once `infected` names them."""

    def setUp(self) -> None:
        super().setUp()
        self.infected: set[bytes] = set()
        self.engine.answer = self.answer

    def answer(self, content: bytes) -> ScanResult:
        return Infected(SIGNATURE) if content in self.infected else finds_eicar(content)

    def letters(self, number: int) -> list[str]:
        mxcs = [self.upload(LETTER % n) for n in range(number)]
        self.settle()
        return mxcs

    def hit(self, number: int) -> None:
        self.infected = {LETTER % n for n in range(number)}

    def post(self, path: str, body: dict[str, Any] | None = None) -> FakeChannel:
        return self.make_request("POST", f"{BASE}/{path}", body or {}, access_token=self.admin_token)

    def start(self) -> str:
        answer = self.post("antivirus/rescan")
        assert answer.code == HTTPStatus.ACCEPTED
        return str(answer.json_body["run_id"])

    def run_of(self, run_id: str) -> dict[str, Any]:
        return self.ask(f"antivirus/rescan/{run_id}")

    def rescan(self) -> dict[str, Any]:
        run_id = self.start()
        self.settle()
        return self.run_of(run_id)

    def blocked(self, mxcs: list[str]) -> int:
        return [self.download(mxc).code for mxc in mxcs].count(HTTPStatus.NOT_FOUND)

    def execute(self, sql: str) -> list[tuple[Any, ...]]:
        def run(txn: LoggingTransaction) -> list[tuple[Any, ...]]:
            txn.execute(sql)
            return txn.fetchall() if sql.startswith("SELECT") else []

        rows: list[tuple[Any, ...]] = self.get_success(self.module.backlog._database.run("test", run))
        return rows

    def runs(self) -> list[tuple[Any, ...]]:
        return self.execute(
            "SELECT state, signature_version, scanned, infected FROM synapse_bum_antivirus_rescans ORDER BY created_ts"
        )

    def new_signatures(self, version: str) -> None:
        """The scanner loads them, and everything that was begun with the old ones ends."""
        self.engine.signature_version = version
        self.engine.incarnation += 1
        for _ in range(3):
            self.settle()
        self.reactor.advance(SETTLE_MS / 1000)
        self.settle()


class OperatorsRunTests(RescanTestCase):
    def test_it_looks_at_every_clean_file_and_blocks_what_is_infected_now(self) -> None:
        mxcs = self.letters(5)
        self.hit(2)
        run = self.rescan()
        assert (run["state"], run["scanned"], run["total"], run["infected"]) == ("done", 5, 5, 2)
        assert run["started_by"] == self.admin
        assert self.blocked(mxcs) == 2
        assert {finding["source"] for finding in self.findings()} == {"rescan"}
        assert {finding["state"] for finding in self.findings()} == {"blocked"}

    def test_nothing_is_left_out_where_pages_end(self) -> None:
        self.letters(7)
        with patch("synapse_bum.antivirus.stored.rescan.PAGE", 3):
            run = self.rescan()
        assert (run["state"], run["scanned"], run["total"]) == ("done", 7, 7)

    def test_encrypted_files_are_left_to_the_next_request_with_their_key(self) -> None:
        self.letters(1)
        self.execute("UPDATE synapse_bum_antivirus_verdicts SET state = 'encrypted'")
        run = self.rescan()
        assert (run["state"], run["total"]) == ("done", 0)

    def test_without_a_scanner_it_waits_and_then_goes_on(self) -> None:
        self.letters(3)
        self.engine.reachable = False
        run = self.rescan()
        assert (run["state"], run["scanned"]) == ("running", 0)
        self.engine.reachable = True
        for _ in range(4):
            self.settle()
        assert self.run_of(run["run_id"])["state"] == "done"

    def test_after_a_crash_it_goes_on_where_it_was(self) -> None:
        self.letters(6)
        run_id = self.start()
        scans = len(self.engine.scanned)
        with (
            patch("synapse_bum.antivirus.stored.rescan.PAGE", 2),
            patch(
                "synapse_bum.antivirus.stored.rescan_runs.next_files", side_effect=[*self.pages(run_id), RuntimeError]
            ),
        ):
            self.settle()
        assert self.run_of(run_id)["scanned"] == 2
        self.settle()
        assert self.run_of(run_id)["state"] == "done"
        assert len(self.engine.scanned) - scans <= 7, "it began anew"

    def pages(self, run_id: str) -> list[list[tuple[str, str]]]:
        rows = self.execute(
            "SELECT server_name, media_id FROM synapse_bum_antivirus_verdicts ORDER BY media_id LIMIT 2"
        )
        assert run_id
        return [[(server_name, media_id) for server_name, media_id in rows]]

    def test_a_file_that_can_not_be_read_stops_no_other(self) -> None:
        mxcs = self.letters(3)
        self.stored_files()[0].unlink()
        self.hit(3)
        run = self.rescan()
        assert (run["state"], run["scanned"], run["infected"]) == ("done", 3, 2)
        assert self.blocked(mxcs) == 3

    def test_a_file_whose_scan_is_cut_off_with_the_lease_is_scanned_after_all(self) -> None:
        mxcs = self.letters(3)
        self.hit(3)
        scan = self.module.rescan._scans.scan
        cut_off: list[object] = []

        async def once_cut_off(*args: Any) -> Any:  # noqa: ANN401 - passed on
            if not cut_off:
                cut_off.append(args)
                raise CancelledError
            return await scan(*args)

        with patch.object(self.module.rescan._scans, "scan", once_cut_off):
            run = self.rescan()
        assert (run["state"], run["scanned"], run["infected"]) == ("done", 3, 3)
        assert self.blocked(mxcs) == 3

    def test_a_second_wish_while_one_is_queued_is_the_same_run(self) -> None:
        self.letters(1)
        assert self.start() == self.start()

    def test_it_can_be_cancelled_once(self) -> None:
        self.letters(2)
        run_id = self.start()
        path = f"{BASE}/antivirus/rescan/{run_id}"
        first = self.make_request("DELETE", path, access_token=self.admin_token)
        assert (first.code, first.json_body) == (HTTPStatus.OK, {})
        self.settle()
        run = self.run_of(run_id)
        assert (run["state"], run["scanned"]) == ("cancelled", 0)
        assert self.make_request("DELETE", path, access_token=self.admin_token).code == HTTPStatus.CONFLICT

    def test_unknown_runs_are_404_and_users_start_none(self) -> None:
        path = f"{BASE}/antivirus/rescan"
        for method, end in (("GET", "/x"), ("DELETE", "/x"), ("POST", "/x/confirm")):
            content: dict[str, Any] | str = {} if method == "POST" else ""
            answer = self.make_request(method, path + end, content, access_token=self.admin_token)
            assert answer.code == HTTPStatus.NOT_FOUND
        assert self.make_request("POST", path, {}, access_token=self.user_token).code == HTTPStatus.FORBIDDEN

    def test_each_step_of_a_run_leaves_an_audit_row(self) -> None:
        self.letters(1)
        run = self.rescan()
        rows = [row for row in self.ask("audit")["audit"] if row["target"] == run["run_id"]]
        assert [(row["action"], row["actor"]) for row in reversed(rows)] == [
            ("antivirus.rescan.queued", self.admin),
            ("antivirus.rescan.running", "antivirus.rescan"),
            ("antivirus.rescan.done", "antivirus.rescan"),
        ]

    def test_a_scan_that_takes_long_is_followed_by_four_times_the_pause(self) -> None:
        self.letters(3)
        times: list[float] = []

        def slow(_content: bytes) -> ScanResult:
            times.append(self.reactor.seconds())
            self.reactor.rightNow += 1.0
            return Clean()

        self.engine.answer = slow
        run_id = self.start()
        for _ in range(10):
            self.reactor.advance(2)
        assert self.run_of(run_id)["scanned"] == 3
        assert [later - earlier >= 5 for earlier, later in pairwise(times)] == [True, True]


class NewSignaturesTests(RescanTestCase):
    def test_they_have_everything_scanned_again_that_older_ones_found_clean(self) -> None:
        mxcs = self.letters(3)
        self.hit(1)
        self.new_signatures("27801")
        assert self.runs() == [("done", "27801", 3, 1)]
        assert self.blocked(mxcs) == 1

    def test_each_version_has_one_run(self) -> None:
        self.letters(2)
        for version in ("27801", "27801", "27802", "27801"):
            self.new_signatures(version)
        assert self.runs() == [("done", "27801", 2, 0), ("done", "27802", 2, 0)]

    def test_scans_that_were_begun_with_the_old_ones_are_waited_for(self) -> None:
        self.letters(1)
        self.engine.signature_version = "27801"
        self.settle()
        assert self.module.pool.version is not None
        assert self.module.pool.version.signature_version == "27801"
        assert self.runs() == []
        self.reactor.advance(SETTLE_MS / 1000)
        self.settle()
        assert self.runs() == [("done", "27801", 1, 0)]

    def test_the_same_signatures_cause_none(self) -> None:
        self.letters(2)
        self.new_signatures("27800")
        assert self.runs() == []

    def test_a_scanner_that_does_not_say_its_version_causes_none(self) -> None:
        self.letters(2)
        self.engine.signature_version = None
        self.engine.incarnation += 1
        self.reactor.advance(SETTLE_MS / 1000)
        self.settle()
        assert self.runs() == []


class SwitchedOffTests(RescanTestCase):
    antivirus: ClassVar[Mapping[str, Any]] = {"rescan_on_signature_update": False}

    def test_new_signatures_cause_no_run_but_an_operator_may(self) -> None:
        self.letters(2)
        self.new_signatures("27801")
        assert self.runs() == []
        assert self.rescan()["state"] == "done"


class MishapTests(RescanTestCase):
    """A signature that hits suspiciously many files."""

    def paused(self) -> tuple[list[str], dict[str, Any]]:
        mxcs = self.letters(25)
        self.hit(25)
        with self.assertLogs("synapse_bum.antivirus.stored.rescan", "ERROR") as logs:
            run = self.rescan()
        assert f"the signature {SIGNATURE} hit 21 of 25 files" in "".join(logs.output)
        return mxcs, run

    def test_twenty_files_are_blocked_and_no_more(self) -> None:
        mxcs, run = self.paused()
        assert (run["state"], run["infected"], run["paused_by"]) == ("needs_confirmation", 20, SIGNATURE)
        assert metrics.RESCAN_PAUSED._value.get() == 1
        for _ in range(3):
            self.settle()
        assert self.blocked(mxcs) == 20

    def test_no_other_run_begins_before_a_decision(self) -> None:
        _mxcs, run = self.paused()
        answer = self.post("antivirus/rescan")
        assert answer.code == HTTPStatus.CONFLICT
        assert run["run_id"] in answer.json_body["error"]
        self.new_signatures("27801")
        assert next(state for state, *_ in self.runs()) == "needs_confirmation"
        assert all(scanned == 0 for state, _version, scanned, _infected in self.runs() if state == "queued")

    def test_confirmed_it_goes_on_and_blocks_the_rest(self) -> None:
        mxcs, run = self.paused()
        answer = self.post(f"antivirus/rescan/{run['run_id']}/confirm")
        assert (answer.code, answer.json_body["state"]) == (HTTPStatus.OK, "running")
        self.settle()
        after = self.run_of(run["run_id"])
        assert (after["state"], after["infected"], after["scanned"], after["paused_by"]) == ("done", 25, 25, None)
        assert self.blocked(mxcs) == 25
        assert metrics.RESCAN_PAUSED._value.get() == 0
        assert self.post(f"antivirus/rescan/{run['run_id']}/confirm").code == HTTPStatus.CONFLICT

    def test_released_it_goes_on_and_leaves_the_rest_alone(self) -> None:
        mxcs, run = self.paused()
        answer = self.post(f"antivirus/signatures/{SIGNATURE}/release", {"reason": "faulty"})
        assert answer.json_body == {"released": 20}
        for _ in range(2):
            self.settle()
        after = self.run_of(run["run_id"])
        assert (after["state"], after["infected"], after["scanned"]) == ("done", 20, 25)
        assert self.blocked(mxcs) == 0

    def test_cancelled_it_leaves_blocked_what_it_has_blocked(self) -> None:
        mxcs, run = self.paused()
        path = f"{BASE}/antivirus/rescan/{run['run_id']}"
        assert self.make_request("DELETE", path, access_token=self.admin_token).code == HTTPStatus.OK
        self.settle()
        assert self.blocked(mxcs) == 20

    def test_different_signatures_are_counted_apart(self) -> None:
        mxcs = self.letters(25)
        self.engine.answer = lambda content: (
            Infected(f"Doc.{content[-4:].decode()}") if b"Unterlagen" in content else finds_eicar(content)
        )
        run = self.rescan()
        assert (run["state"], run["infected"]) == ("done", 25)
        assert self.blocked(mxcs) == 25


class EncryptedTests(AntivirusTestCase):
    """What the backlog finds: noise is noted as encrypted, and counts as scanned."""

    antivirus: ClassVar[Mapping[str, Any]] = {"when_scanner_fails": "accept"}

    def test_ciphertext_is_told_from_what_the_scanner_can_look_into(self) -> None:
        self.engine.reachable = False
        noise = bytes((n * 197 + n * n * 31 + 7) % 256 for n in range(5_000))
        mxcs = {"encrypted": self.upload(noise), "clean": self.upload(LETTER)}
        assert self.upload(EICAR)
        self.engine.reachable = True
        self.settle()

        def states(txn: LoggingTransaction) -> dict[str, str]:
            txn.execute("SELECT state, media_id FROM synapse_bum_antivirus_verdicts")
            return {state: f"mxc://test/{media_id}" for state, media_id in txn.fetchall()}

        assert self.get_success(self.module.backlog._database.run("test", states)) == mxcs
        totals = self.ask("antivirus/status")["totals"]
        assert (totals["clean"], totals["infected"], totals["unscanned"]) == (2, 1, 0)
