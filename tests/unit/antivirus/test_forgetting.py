"""What is forgotten of files that are gone, and what never: no refusal, nothing about what is here, nothing on hold."""

import re

import attr
import pytest
from hypothesis import given
from hypothesis import strategies as st

from synapse_bum.antivirus.forgetting.purposes import (
    EVIDENCE_MS,
    SETTLED_MS,
    LinkFacts,
    link_serves,
    names_serve,
    state_serves,
)
from synapse_bum.antivirus.forgetting.walks import WALKS

pytestmark = pytest.mark.any_synapse

FLAGS = {"is_stored": st.booleans(), "is_on_hold": st.booleans()}
TIMES = st.integers(min_value=0, max_value=4 * EVIDENCE_MS)
LINKS = st.builds(
    LinkFacts,
    is_stored=st.booleans(),
    has_event=st.booleans(),
    is_blocked=st.booleans(),
    is_list_full=st.booleans(),
    is_on_hold=st.booleans(),
)


@given(LINKS)
def test_a_link_stays_while_event_and_file_are_here_or_marked_or_on_hold(link: LinkFacts) -> None:
    if link.is_on_hold or (link.has_event and (link.is_stored or link.is_blocked)):
        assert link_serves(link)


@given(LINKS)
def test_a_link_goes_once_neither_the_file_nor_its_mark_is_left(link: LinkFacts) -> None:
    gone = attr.evolve(link, is_stored=False, is_on_hold=False)
    assert not link_serves(attr.evolve(gone, is_blocked=False))
    assert not link_serves(attr.evolve(gone, has_event=False))


@given(LINKS)
def test_a_full_list_of_a_file_that_is_here_stays_whole(link: LinkFacts) -> None:
    purged = attr.evolve(link, is_stored=True, has_event=False, is_on_hold=False)
    assert link_serves(purged) is link.is_list_full


@given(LINKS)
def test_more_reasons_never_make_a_link_go(link: LinkFacts) -> None:
    for name in attr.fields_dict(LinkFacts):
        assert link_serves(attr.evolve(link, **{name: True})) >= link_serves(attr.evolve(link, **{name: False}))


@given(TIMES | st.none(), TIMES)
def test_a_state_goes_with_its_file_once_it_is_settled(written_ts: int | None, now_ms: int) -> None:
    assert state_serves(is_stored=True, written_ts=written_ts, now_ms=now_ms)
    is_young = written_ts is not None and now_ms < written_ts + SETTLED_MS
    assert state_serves(is_stored=False, written_ts=written_ts, now_ms=now_ms) is is_young


@given(TIMES, TIMES, st.fixed_dictionaries(FLAGS))
def test_names_stay_a_year_and_as_long_as_the_file_and_holds(
    written_ts: int, now_ms: int, flags: dict[str, bool]
) -> None:
    serves = names_serve(written_ts=written_ts, now_ms=now_ms, **flags)
    assert serves is (any(flags.values()) or now_ms < written_ts + EVIDENCE_MS)


def test_what_refuses_or_releases_bytes_is_never_removed() -> None:
    """Of findings and releases, only who has to do with them."""
    changed = {walk.name: walk.forget for walk in WALKS}
    names = {"findings": {"uploader", "reporter"}, "releases": {"released_by", "reason"}}
    for name, columns in names.items():
        setting = changed[name].partition(" SET ")[2].partition(" WHERE ")[0]
        assert changed[name].startswith("UPDATE ")
        assert set(re.findall(r"(\w+) =", setting)) == columns
    tables = {name: re.findall(r"synapse_bum_\w+", sql) for name, sql in changed.items() if name not in names}
    assert tables == {
        "verdicts": ["synapse_bum_antivirus_verdicts"],
        "key_verdicts": ["synapse_bum_antivirus_key_verdicts"],
        "held": ["synapse_bum_antivirus_held"],
        "links": ["synapse_bum_antivirus_links"],
    }


def test_who_changes_findings_waits_for_his_turn_and_who_names_people_asks_for_holds() -> None:
    assert {walk.name for walk in WALKS if walk.changes_findings} == {"findings", "releases"}
    assert {walk.name for walk in WALKS if walk.names_people} == {"findings", "releases", "links"}
