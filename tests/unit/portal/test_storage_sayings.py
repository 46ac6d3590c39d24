"""What the figures of the pool, of recounts, orphans and invoices mean for a reader."""

from datetime import date
from typing import Any

import pytest

from synapse_bum.portal.language.formats import Formats
from synapse_bum.portal.language.texts import load
from synapse_bum.portal.presentation.storage_sayings import (
    invoice_refusal,
    is_month,
    months_of,
    orphans_saying,
    pool_saying,
    pool_share,
    recount_saying,
)
from synapse_bum.storage.month import Month, MonthError, check_has_data
from synapse_bum.storage.orphans.run import RunState
from synapse_bum.storage.recounts import RecountState

TEXTS = load("de")
GERMAN = Formats("de")
GB = 1_000_000_000


def usage(used: int | None, included: int = 10 * GB, extension: int = 0) -> dict[str, Any]:
    as_of = None if used is None else 1
    return {"used_bytes": used, "included_bytes": included, "extension_gb": extension, "as_of_ts": as_of}


class TestPool:
    @pytest.mark.parametrize(
        ("figures", "key"),
        [
            (usage(None), "not_counted"),
            (usage(0), "enough"),
            (usage(8 * GB - 1), "enough"),
            (usage(8 * GB), "nearly_full"),
            (usage(10 * GB), "nearly_full"),
            (usage(10 * GB + 1, extension=1), "beyond"),
            (usage(0, included=0), "enough"),
        ],
    )
    def test_how_full_it_is(self, figures: dict[str, Any], key: str) -> None:
        assert pool_saying(figures).key == f"storage.saying.{key}"
        assert pool_saying(figures).key in TEXTS

    def test_the_share_is_not_known_before_the_first_count_or_without_a_pool(self) -> None:
        assert pool_share(usage(5 * GB)) == 0.5
        assert pool_share(usage(None)) is None
        assert pool_share(usage(1, included=0)) is None


class TestRuns:
    def test_every_state_of_the_api_has_its_words(self) -> None:
        for state in RecountState:
            assert recount_saying({"state": state.value, "drift_bytes": None}).key in TEXTS
            assert f"storage.recount.state_{state.value}" in TEXTS
        for orphans_state in RunState:
            run = {"state": orphans_state.value, "report": None, "dry_run": True}
            assert orphans_saying(run).key in TEXTS
            assert f"orphans.state_{orphans_state.value}" in TEXTS

    def test_a_recount_says_whether_it_corrected_anything(self) -> None:
        right = {"local": 0, "remote": 0, "thumbnails": 0}
        assert recount_saying({"state": "done", "drift_bytes": right}).key == "storage.recount.now_right"
        wrong = {**right, "remote": -1}
        assert recount_saying({"state": "done", "drift_bytes": wrong}).key == "storage.recount.now_corrected"

    def test_no_orphans_is_said_only_of_a_complete_look(self) -> None:
        def said(*, complete: bool = True, files: int = 0, rows: int = 0, dry_run: bool = True) -> str:
            report = {
                "complete": complete,
                "files_without_rows": {"files": files},
                "rows_without_files": {"rows": rows},
            }
            run = {"state": "done", "dry_run": dry_run, "report": report, "removed": {"files": files, "bytes": 1}}
            assert orphans_saying(run).key in TEXTS
            return orphans_saying(run).key.removeprefix("orphans.now_")

        assert said() == "none"
        assert said(complete=False) == "incomplete"
        assert said(files=1) == "found"
        assert said(rows=1) == "found"
        assert said(files=1, dry_run=False) == "removed"


class TestInvoice:
    def test_months_with_data_the_latest_first_in_germanys_calendar(self) -> None:
        days = [{"ts": 1_798_758_000_000 - 1}, {"ts": 1_798_758_000_000}, {"ts": 1_798_758_000_000 - 2}]
        assert months_of(days) == ["2027-01", "2026-12"]
        assert all(is_month(month) for month in months_of(days))
        assert not any(map(is_month, ["", "2026-13", "2026-1", "2026-11\n", "<script>"]))

    @pytest.mark.parametrize(
        ("sentence", "key"),
        [
            ("an XRechnung needs more configuration; these keys are missing: invoice.contract", "missing_keys"),
            (
                "2026-11 had not ended on 2026-11-23: an XRechnung is written for a full month, from 2026-12-01 on",
                "not_ended",
            ),
            (
                "the invoice of 2026-11 is preliminary until users are counted after its end: an XRechnung is written",
                "preliminary",
            ),
            ("the customer can't have 20 users in all when this server has 30", "fewer_customers"),
            ("there is no price list for 2020-01: the first one holds from 2024-01-01", "no_prices"),
            ("`month`: there is no data for 2020-01: counts are kept since 2026-11-23", "no_data"),
        ],
    )
    def test_refusals_name_what_is_missing(self, sentence: str, key: str) -> None:
        said = invoice_refusal(sentence, GERMAN)
        assert said is not None
        assert said.key == f"invoice.refused.{key}"
        assert said.key in TEXTS
        written = " ".join(map(str, said.values.values()))
        assert written == {
            "missing_keys": "invoice.contract",
            "not_ended": "01.12.2026",
            "fewer_customers": "20 30",
        }.get(key, "")
        assert invoice_refusal("something new", GERMAN) is None

    @pytest.mark.parametrize("first_day", [None, date(2026, 11, 3)])
    @pytest.mark.parametrize("month", ["2026-10", "2026-11", "2027-01"])
    def test_every_reason_why_a_month_has_no_invoice_is_known(self, month: str, first_day: date | None) -> None:
        with pytest.raises(MonthError) as caught:
            check_has_data(Month.parse(month), [], first_day, date(2026, 11, 23))
        assert invoice_refusal(f"`month`: {caught.value}", GERMAN) is not None
