"""What the figures of retention mean: classes, runs, and who has to decide about something. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from synapse_bum.portal.language.saying import Saying

CLASSES: Final = ("messages", "local_media", "remote_media")
"""What is deleted by age, as the API names it."""

STATES: Final = ("queued", "running", "needs_confirmation", "done", "failed", "cancelled")
UNDER_WAY: Final = frozenset({"queued", "running"})

_LATE_MS: Final = 2 * 3_600_000
"""Runs begin every hour by default; what waits for longer than two was left by one."""

_OVER: Final = frozenset({"needs_confirmation", "done", "failed"})
_POLICIES: Final = frozenset(
    {
        "retention:messages",
        "retention:local_media",
        "retention:remote_media",
        "antivirus:sender",
        "antivirus:room_admin",
        "antivirus:redaction",
        "antivirus:finding",
    }
)
_REFUSALS: Final = (
    ("The configuration says `dry_run: true`", "only_dry"),
    ("No class has a lifetime", "no_lifetime"),
    ("`classes`", "no_lifetime"),
)
_WAITING: Final = " runs are waiting already"


def class_saying(measured: Mapping[str, Any]) -> Saying:
    """Says in one sentence whether anything of a class should be gone.

    Args:
        measured: of one class, as `GET retention/status` shows it.
    """
    lifetime_ms, backlog, oldest_ms = (measured[name] for name in ("lifetime_ms", "backlog_items", "oldest_age_ms"))
    if lifetime_ms is None:
        return Saying("retention.saying.no_lifetime", kind="info")
    if backlog is None or oldest_ms is None:
        return Saying("retention.saying.unknown")
    if backlog == 0:
        return Saying("retention.saying.nothing_due", kind="success")
    if oldest_ms - lifetime_ms <= _LATE_MS:
        return Saying("retention.saying.due", {"count": backlog}, kind="info")
    return Saying("retention.saying.late", {"count": backlog})


def overdue_ms(measured: Mapping[str, Any]) -> int | None:
    """How long ago the oldest thing of a class should have been gone; None when nothing is, or nobody knows."""
    if not measured["backlog_items"] or measured["lifetime_ms"] is None:
        return None
    return max(0, int(measured["oldest_age_ms"]) - int(measured["lifetime_ms"]))


def run_saying(run: Mapping[str, Any]) -> Saying:
    """Says in one sentence how a run is.

    Args:
        run: as the API shows it.
    """
    state = run["state"]
    kind = {"done": "success", "failed": "error", "needs_confirmation": "warning"}.get(state, "info")
    form = "dry" if run["dry_run"] else "real"
    return Saying(f"retention_runs.now_{form}_{state}", kind=kind)


def waiting_classes(runs: Iterable[Mapping[str, Any]]) -> tuple[str, ...]:
    """Returns the classes that wait for a confirmation.

    Args:
        runs: newest first. Of each class the newest one counts that was to delete, went through it and is over.
    """
    waits: dict[str, bool] = {}
    for run in runs:
        if run["dry_run"] or run["state"] not in _OVER:
            continue
        for name in run["classes"]:
            waits.setdefault(name, name in run["needs_confirmation"])
    return tuple(name for name in CLASSES if waits.get(name))


def latest_dry_run(runs: Iterable[Mapping[str, Any]], classes: Sequence[str]) -> Mapping[str, Any] | None:
    """Returns the newest dry run that came to its end and went through all of these classes; None for none.

    Args:
        runs: newest first.
        classes: that matter.
    """
    return next(
        (run for run in runs if run["dry_run"] and run["state"] == "done" and set(classes) <= set(run["classes"])), None
    )


def counts(run: Mapping[str, Any], classes: Iterable[str]) -> list[Saying]:
    """Says of each class how much a run has deleted, or would delete."""
    return [Saying(f"retention_runs.count.{name}", {"count": run["deleted"][name]}, kind="info") for name in classes]


def refusal(sentence: str) -> Saying | None:
    """Says why the API does not take a new run; None for a reason that is not known here.

    Args:
        sentence: of an answer with 400 or 409.
    """
    for beginning, key in _REFUSALS:
        if sentence.startswith(beginning):
            return Saying(f"retention_runs.refused.{key}")
    return Saying("retention_runs.refused.too_many") if sentence.endswith(_WAITING) else None


def policy_text(policy: str) -> str | None:
    """Key of the name of a rule by which something was deleted; None for one that is not known here."""
    return f"deletions.policy.{policy.replace(':', '_')}" if policy in _POLICIES else None
