"""What the figures of retention mean for a reader."""

from collections.abc import Mapping
from typing import Any

import pytest

from synapse_bum.portal.language.texts import load
from synapse_bum.portal.presentation.retention_sayings import (
    STATES,
    class_saying,
    counts,
    latest_dry_run,
    overdue_ms,
    policy_text,
    refusal,
    run_saying,
    waiting_classes,
)
from synapse_bum.retention.classes import RetentionClass
from synapse_bum.retention.runs.run import RunState

TEXTS = load("de")
DAY_MS, HOUR_MS = 86_400_000, 3_600_000


def measured(lifetime: int | None, oldest: int | None, items: int | None) -> dict[str, Any]:
    return {"lifetime_ms": lifetime, "oldest_age_ms": oldest, "backlog_items": items, "backlog_bytes": 1}


def run(**given: Any) -> dict[str, Any]:  # noqa: ANN401 - of the API
    return {
        "state": "done",
        "dry_run": False,
        "classes": ["messages", "local_media"],
        "needs_confirmation": [],
        "deleted": {"messages": 1, "local_media": 2, "remote_media": 3, "bytes": 4},
        **given,
    }


class TestClasses:
    @pytest.mark.parametrize(
        ("figures", "key", "kind"),
        [
            (measured(None, 0, 0), "no_lifetime", "info"),
            (measured(90 * DAY_MS, None, None), "unknown", "warning"),
            (measured(90 * DAY_MS, 0, 0), "nothing_due", "success"),
            (measured(90 * DAY_MS, 90 * DAY_MS + HOUR_MS, 3), "due", "info"),
            (measured(90 * DAY_MS, 90 * DAY_MS + 3 * HOUR_MS, 3), "late", "warning"),
        ],
    )
    def test_what_is_not_known_is_never_nothing(self, figures: Mapping[str, Any], key: str, kind: str) -> None:
        said = class_saying(figures)
        assert (said.key, said.kind) == (f"retention.saying.{key}", kind)
        assert said.key in TEXTS

    def test_how_long_the_oldest_is_overdue(self) -> None:
        assert overdue_ms(measured(90 * DAY_MS, 91 * DAY_MS, 1)) == DAY_MS
        assert overdue_ms(measured(90 * DAY_MS, 0, 0)) is None
        assert overdue_ms(measured(90 * DAY_MS, None, None)) is None


class TestRuns:
    def test_every_state_of_the_api_has_its_words(self) -> None:
        assert set(STATES) == {state.value for state in RunState}
        for state in STATES:
            assert f"retention_runs.state_{state}" in TEXTS
            for dry_run in (True, False):
                assert run_saying(run(state=state, dry_run=dry_run)).key in TEXTS
        assert {said.key for said in counts(run(), [kind.value for kind in RetentionClass])} <= set(TEXTS)

    def test_a_class_waits_until_a_newer_run_that_deletes_went_through_it(self) -> None:
        waits = run(state="needs_confirmation", needs_confirmation=["local_media"])
        assert waiting_classes([waits]) == ("local_media",)
        assert waiting_classes([run(state="running"), run(dry_run=True), run(state="cancelled"), waits]) == (
            "local_media",
        )
        assert waiting_classes([run(classes=["messages"]), waits]) == ("local_media",)
        assert waiting_classes([run(confirm=True), waits]) == ()
        assert waiting_classes([]) == ()

    def test_the_latest_dry_run_that_counted_all_of_it(self) -> None:
        whole, part = run(dry_run=True, run_id="whole"), run(dry_run=True, classes=["messages"], run_id="part")
        failed = run(dry_run=True, state="failed")
        assert latest_dry_run([run(), failed, part, whole], ["local_media"]) is whole
        assert latest_dry_run([run(), failed, part], ["local_media"]) is None

    @pytest.mark.parametrize(
        ("sentence", "key"),
        [
            ("The configuration says `dry_run: true`: nothing is deleted before that is changed", "only_dry"),
            ("No class has a lifetime in the configuration", "no_lifetime"),
            ("`classes`: `messages` has no lifetime in the configuration", "no_lifetime"),
            ("20 runs are waiting already", "too_many"),
        ],
    )
    def test_refusals(self, sentence: str, key: str) -> None:
        said = refusal(sentence)
        assert said is not None
        assert said.key == f"retention_runs.refused.{key}"
        assert said.key in TEXTS
        assert refusal("something new") is None


def test_rules_have_names_and_a_new_one_is_shown_as_it_is() -> None:
    for kind in RetentionClass:
        assert policy_text(kind.policy) in TEXTS
    for policy in ("antivirus:sender", "antivirus:room_admin", "antivirus:redaction", "antivirus:finding"):
        assert policy_text(policy) in TEXTS
    assert policy_text("example:rule") is None
