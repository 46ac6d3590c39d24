"""The names of actions and jobs, and what was changed, as a person reads it."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synapse_bum.portal.language.formats import Formats
from synapse_bum.portal.language.texts import load
from synapse_bum.portal.presentation.audit_rows import ACTIONS, GROUPS, JOBS, Line, action_text, actor_text, changes

API = Path(__file__).resolve().parents[3] / "docs" / "api.md"
FORMATS = Formats("de")
STATES = ("queued", "running", "needs_confirmation", "done", "cancelled")

json_values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text()),
    lambda inner: st.one_of(st.lists(inner), st.dictionaries(st.text(), inner)),
)


def documented() -> set[str]:
    """The actions that docs/api.md names, as it writes them: a beginning with a dot, and what may stand behind it."""
    line = next(line for line in API.read_text(encoding="utf-8").splitlines() if line.startswith("| `action` | only"))
    found: set[str] = set()
    for part in line.partition("with this action: ")[2].split(";"):
        beginning = ""
        for word in re.findall(r"`([^`]+)`", part):
            if word.endswith("."):
                beginning = word
            else:
                found.add(word if "." in word and not beginning else beginning + word.removeprefix(beginning))
        if "a state of a run" in part:
            found |= {beginning + state for state in STATES}
    return found


def test_every_action_of_the_documentation_has_a_name() -> None:
    assert documented() - ACTIONS == set()
    assert len(documented()) > 30


@pytest.mark.parametrize("language", ["de", "en"])
def test_every_name_is_in_the_catalogue(language: str) -> None:
    texts = load(language)
    assert [action for action in ACTIONS if action_text(action) not in texts] == []
    assert [job for job in JOBS if actor_text(job) not in texts] == []
    assert [group for group in GROUPS if f"audit.group_{group}" not in texts] == []


def test_no_two_actions_are_called_alike() -> None:
    texts = load("de")
    names = [texts[f"audit.action.{action}"] for action in ACTIONS]
    assert len(set(names)) == len(names)


def test_persons_and_strangers_have_no_name_of_ours() -> None:
    assert actor_text("@boss:test") is None
    assert action_text("antivirus.new") is None


def test_words_objects_and_what_has_not_changed() -> None:
    assert changes(None, None, FORMATS) == []
    assert changes("blocked", "released", FORMATS) == [Line("", "blocked", "released")]
    assert changes({"a": 1, "b": None}, {"a": 2, "size_bytes": 5_000_000}, FORMATS) == [
        Line("a", "1", "2"),
        Line("size_bytes", "", "5,0\N{NO-BREAK SPACE}MB"),
    ]
    assert changes("idp", {"a": True}, FORMATS) == [Line("", "idp", ""), Line("a", "", "true")]
    assert changes(None, {"found_ts": 1_795_362_228_165}, FORMATS)[0].new == "22.11.2026, 16:43 Uhr"


@given(json_values, json_values)
def test_whatever_stands_there_can_be_read_and_is_short(old: object, new: object) -> None:
    lines = changes(old, new, FORMATS)
    assert len(lines) <= 25
    for line in lines:
        assert len(line.old) <= 400
        assert len(line.new) <= 400
