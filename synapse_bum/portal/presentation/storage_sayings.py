"""What the figures of the storage pool, of recounts, orphans and invoices mean. Pure."""

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from synapse_bum.portal.language.formats import Formats, day_begin_ms, moment
from synapse_bum.portal.language.saying import Saying

_NEARLY_FULL: Final = 0.8
_MAX_QUOTED: Final = 2_000
"""Characters: more than all keys that there are, so that none is cut in two."""

_MISSING_KEYS: Final = re.compile(r"an XRechnung needs more configuration; these keys are missing: (.+)", re.DOTALL)
_NOT_ENDED: Final = re.compile(r"\S+ had not ended on \S+: an XRechnung .*, from (\d{4}-\d{2}-\d{2}) on", re.DOTALL)
_FEWER_CUSTOMERS: Final = re.compile(r"the customer can't have (\d+) users in all when this server has (\d+)")
_MONTH_REFUSALS: Final = (
    ("has not been counted yet", "not_counted_yet"),
    ("nothing has been counted yet", "not_counted_yet"),
    ("there is no data for", "no_data"),
    ("no day of", "no_data"),
    ("has not begun yet", "not_begun"),
)


def pool_saying(usage: Mapping[str, Any]) -> Saying:
    """Says in one sentence how full the pool is.

    Args:
        usage: as `GET storage/usage` shows it.
    """
    if usage["as_of_ts"] is None:
        return Saying("storage.saying.not_counted", kind="info")
    if usage["extension_gb"]:
        return Saying("storage.saying.beyond", {"count": usage["extension_gb"]})
    share = pool_share(usage)
    if share is not None and share >= _NEARLY_FULL:
        return Saying("storage.saying.nearly_full")
    return Saying("storage.saying.enough", kind="success")


def pool_share(usage: Mapping[str, Any]) -> float | None:
    """Returns how much of the pool is used, 1 for all of it; None before the first count and where there is no pool."""
    if usage["used_bytes"] is None or not usage["included_bytes"]:
        return None
    return float(usage["used_bytes"]) / float(usage["included_bytes"])


def recount_saying(recount: Mapping[str, Any]) -> Saying:
    """Says in one sentence how a recount is, or what came of it.

    Args:
        recount: as the API shows it.
    """
    state, drift = recount["state"], recount["drift_bytes"]
    if state == "failed":
        return Saying("storage.recount.now_failed", kind="error")
    if state != "done":
        return Saying(f"storage.recount.now_{state}", kind="info")
    if drift is None:
        return Saying("storage.recount.now_first", kind="success")
    return Saying(
        "storage.recount.now_corrected" if any(drift.values()) else "storage.recount.now_right", kind="success"
    )


def orphans_saying(run: Mapping[str, Any]) -> Saying:
    """Says in one sentence how a look for orphans is, or what came of it.

    Args:
        run: as the API shows it.
    """
    state, report = run["state"], run["report"]
    if state in {"queued", "running", "cancelled"}:
        return Saying(f"orphans.now_{state}", kind="info")
    if state == "failed":
        return Saying("orphans.now_failed", kind="error")
    if report is None or not report["complete"]:
        return Saying("orphans.now_incomplete")
    if not run["dry_run"]:
        return Saying("orphans.now_removed", {"count": run["removed"]["files"]}, kind="success")
    if report["files_without_rows"]["files"] or report["rows_without_files"]["rows"]:
        return Saying("orphans.now_found", kind="info")
    return Saying("orphans.now_none", kind="success")


def months_of(history: Iterable[Mapping[str, Any]]) -> list[str]:
    """Returns the months that have data, `YYYY-MM`, the latest first.

    Args:
        history: days as `GET storage/history` shows them.
    """
    return sorted({moment(day["ts"]).strftime("%Y-%m") for day in history}, reverse=True)


def is_month(text: str) -> bool:
    """Whether this is `YYYY-MM`."""
    return re.fullmatch(r"\d{4}-(0[1-9]|1[0-2])", text, re.ASCII) is not None


def invoice_refusal(sentence: str, formats: Formats) -> Saying | None:
    """Says why there is no invoice; None for a reason that is not known here.

    Args:
        sentence: of an answer with 400 or 409.
        formats: writes days.
    """
    missing = _MISSING_KEYS.fullmatch(sentence)
    if missing is not None:
        return Saying("invoice.refused.missing_keys", {"keys": missing[1][:_MAX_QUOTED]})
    not_ended = _NOT_ENDED.fullmatch(sentence)
    if not_ended is not None:
        return Saying("invoice.refused.not_ended", {"day": formats.date(day_begin_ms(not_ended[1]))})
    if "is preliminary until users are counted" in sentence:
        return Saying("invoice.refused.preliminary")
    fewer = _FEWER_CUSTOMERS.fullmatch(sentence)
    if fewer is not None:
        return Saying("invoice.refused.fewer_customers", {"all": int(fewer[1]), "here": int(fewer[2])})
    if sentence.startswith("there is no price list for"):
        return Saying("invoice.refused.no_prices")
    if sentence.startswith("`month`: "):
        key = next((key for words, key in _MONTH_REFUSALS if words in sentence), None)
        return None if key is None else Saying(f"invoice.refused.{key}", kind="info")
    return None
