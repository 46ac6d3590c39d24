"""The storage module in a homeserver: its routes over real uploads, thumbnails, deletions and downloads."""

import io
import time
from http import HTTPStatus
from zoneinfo import ZoneInfo

from PIL import Image
from prometheus_client import REGISTRY
from synapse.module_api import LoggingTransaction

from synapse_bum.storage import snapshots
from synapse_bum.storage.month import day_of
from synapse_bum.storage.snapshots import Snapshot
from synapse_bum.storage.usage import NOTHING
from synapse_bum.testing.storage_case import StorageTestCase

GB = 1_000_000_000
DAY_S = 86_400


def _picture(width: int, height: int, colour: str) -> bytes:
    written = io.BytesIO()
    Image.new("RGB", (width, height), colour).save(written, "PNG")
    return written.getvalue()


class TestUsage(StorageTestCase):
    """`GET storage/usage` and the duty behind it."""

    def test_before_the_first_count_nothing_is_said(self) -> None:
        usage = self.answer("usage")
        assert usage["as_of_ts"] is None
        assert usage["used_bytes"] is None

    def test_mixed_run_equals_an_independent_sum_and_a_walk(self) -> None:
        self.advance(10)
        kept = self.upload(_picture(640, 480, "red"))
        gone, removed = self.upload(b"x" * 5_000, "text/plain"), self.upload(_picture(300, 300, "blue"))
        self.fetch("far", _picture(500, 400, "green"))
        self.pump()
        server_name, media_id = kept.removeprefix("mxc://").split("/")
        thumbnail = f"/_matrix/client/v1/media/thumbnail/{server_name}/{media_id}?width=32&height=32&method=scale"
        assert self.get(thumbnail).code == HTTPStatus.OK
        self.advance(3_700)
        self._check()
        self.delete(gone)
        self.advance(3_700)
        self._check()
        path = f"/_synapse/admin/v1/media/{removed.removeprefix('mxc://')}"
        assert self.make_request("DELETE", path, access_token=self.admin_token).code == HTTPStatus.OK
        self.upload(b"y" * 700, "text/plain", token=self.bob_token)
        self.advance(3_700)
        self._check()
        assert self.recount()["drift_bytes"] == {"local": 0, "remote": 0, "thumbnails": 0}
        self._check()

    def _check(self) -> None:
        usage, summed = self.answer("usage"), self.summed()
        assert {name: usage[name] for name in summed} == summed
        assert usage["used_bytes"] == sum(summed.values()) == self.on_disk()
        assert usage["users"] == 3
        assert usage["included_bytes"] == 3 * GB
        assert usage["free_bytes"] == 3 * GB - usage["used_bytes"]

    def test_users_are_listed_as_asked_for(self) -> None:
        self.upload(b"a" * 300, "text/plain")
        self.upload(b"a" * 300, "text/plain")
        self.upload(b"b" * 1_000, "text/plain", token=self.bob_token)
        assert self.recount()["state"] == "done"
        assert self.answer("users") == {
            "users": [
                {"user_id": self.alice, "used_bytes": 600, "files": 2},
                {"user_id": self.bob, "used_bytes": 1_000, "files": 1},
            ],
            "total": 2,
        }
        first = self.answer("users?order_by=used_bytes&dir=b&limit=1")
        assert [user["user_id"] for user in first["users"]] == [self.bob]
        assert first["next_token"] == "1"
        assert self.ask("users?order_by=size").code == HTTPStatus.BAD_REQUEST

    def test_history_has_a_day_for_each(self) -> None:
        for size in (100, 200, 400):
            self.upload(b"c" * size, "text/plain")
            self.advance(DAY_S, step=7_200)
        history = self.answer("history")["history"]
        assert [day["used_bytes"] for day in history] == [100, 300, 700, 700]
        assert sorted(day["ts"] for day in history) == [day["ts"] for day in history]
        last = history[-1]["ts"]
        assert self.answer(f"history?from_ts={last}")["total"] == 1
        assert self.ask(f"history?from_ts={last}&to_ts={last - 1}").code == HTTPStatus.BAD_REQUEST

    def test_recounts_are_for_operators_and_have_to_exist(self) -> None:
        assert self.ask("usage", token=self.alice_token).code == HTTPStatus.FORBIDDEN
        assert self.ask("recount", "POST", token=self.alice_token).code == HTTPStatus.FORBIDDEN
        assert self.ask("recount/0123456789abcdef").code == HTTPStatus.NOT_FOUND

    def test_a_recount_corrects_and_tells_the_drift(self) -> None:
        self.upload(b"d" * 500, "text/plain")
        self.advance(7_400)
        db_pool = self.hs.get_datastores().main.db_pool
        self.get_success(
            db_pool.simple_update("local_media_repository", {"user_id": self.alice}, {"media_length": 900}, "test")
        )
        assert self.recount()["drift_bytes"] == {"local": 400, "remote": 0, "thumbnails": 0}
        assert self.answer("usage")["local_bytes"] == 900
        assert REGISTRY.get_sample_value("synapse_bum_storage_drift_bytes", {"kind": "local"}) == 400


class TestInvoice(StorageTestCase):
    """`GET storage/invoice`, in 2026: in 1970, where clocks of tests begin, there were no price lists."""

    begin_s = 1_781_000_000

    def _make(self, users: int, gigabytes: int) -> None:
        """Registers users until there are so many, and has so much stored, without the bytes."""
        store = self.hs.get_datastores().main
        rows = [(f"@u{number}:{self.hs.hostname}", 1, 0, 0) for number in range(users - 3)]
        files = [(f"file{number}", GB, 1, self.alice) for number in range(gigabytes)]

        def write(txn: LoggingTransaction) -> None:
            txn.execute_batch("INSERT INTO users (name, creation_ts, is_guest, deactivated) VALUES (?, ?, ?, ?)", rows)
            txn.execute_batch(
                "INSERT INTO local_media_repository (media_id, media_length, created_ts, user_id) VALUES (?, ?, ?, ?)",
                files,
            )

        self.get_success(store.db_pool.runInteraction("make", write))

    @property
    def _month(self) -> str:
        return time.strftime("%Y-%m", time.gmtime(self.clock.time()))

    def test_the_published_example_comes_out(self) -> None:
        self._make(960, 1_000)
        assert self.recount()["state"] == "done"
        invoice = self.answer(f"invoice?month={self._month}")
        assert (invoice["users"], invoice["billed_users"], invoice["total"]) == (960, 960, "2896.00")
        assert invoice["storage"] == {"used_gb": 1000, "included_gb": 960, "extension_gb": 40}
        lines = [(line["position"], line["quantity"], line["unit_price"], line["amount"]) for line in invoice["lines"]]
        assert lines == [
            ("ML.1b", 960, "2.00", "1920.00"),
            ("ML.2", 40, "0.40", "16.00"),
            ("ML.3", 960, "1.00", "960.00"),
        ]
        assert (invoice["currency"], invoice["net"], invoice["preliminary"]) == ("EUR", True, True)

    def test_files_are_files(self) -> None:
        self.recount()
        csv = self.ask(f"invoice?month={self._month}&format=csv")
        assert csv.headers.getRawHeaders("Content-Type") == ["text/csv; charset=utf-8; header=present"]
        saved_as = f'attachment; filename="invoice-{self._month}.csv"'
        assert csv.headers.getRawHeaders("Content-Disposition") == [saved_as]
        assert "125.00" in csv.text_body
        text = self.ask(f"invoice?month={self._month}&format=text")
        assert "VORLÄUFIG" in text.result["body"].decode()

    def test_wrong_months_are_refused_with_a_reason(self) -> None:
        self.recount()
        for month, said in (
            ("2026-13", "is no month"),
            ("2026", "is no month"),
            ("2099-01", "has not begun yet"),
            ("2020-01", "counts are kept since 2026-"),
        ):
            channel = self.ask(f"invoice?month={month}")
            assert (channel.code, channel.json_body["errcode"]) == (HTTPStatus.BAD_REQUEST, "M_INVALID_PARAM"), month
            assert said in channel.json_body["error"]
        assert self.ask("invoice").json_body["errcode"] == "M_MISSING_PARAM"
        assert self.ask(f"invoice?month={self._month}&format=pdf").code == HTTPStatus.BAD_REQUEST

    def test_days_that_are_yet_to_come_count_nowhere(self) -> None:
        """A clock that was ahead for a while has left them."""
        self.recount()
        before = self.answer("usage"), self.answer(f"invoice?month={self._month}")
        tomorrow_ms = self.clock.time_msec() + DAY_S * 1_000
        tomorrow = Snapshot(
            day_of(tomorrow_ms, ZoneInfo("Europe/Berlin")), tomorrow_ms, 5_000, 0, NOTHING, 9_000 * GB, 5_000 * GB, GB
        )
        pool = self.hs.get_datastores().main.db_pool
        self.get_success(pool.runInteraction("test", snapshots.write, tomorrow))
        assert (self.answer("usage"), self.answer(f"invoice?month={self._month}")) == before

    def test_items_are_billed_besides(self) -> None:
        self.recount()
        invoice = self.answer(f"invoice?month={self._month}&items=ELO.1=1,AL.3=7.5")
        assert [(line["position"], line["amount"]) for line in invoice["lines"]][3:] == [
            ("ELO.1", "250.00"),
            ("AL.3", "1096.00"),
        ]
        for wrong in ("XY.1=1", "ELO.1=1.5", "ELO.1=1,ELO.1=1", "AL.3"):
            refused = self.ask(f"invoice?month={self._month}&items={wrong}")
            assert (refused.code, refused.json_body["errcode"]) == (HTTPStatus.BAD_REQUEST, "M_INVALID_PARAM"), wrong
