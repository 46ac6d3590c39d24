"""When a look through the media store is believed, and what it collects."""

from unittest.mock import patch

from hypothesis import given
from hypothesis import strategies as st

from synapse_bum.deletion.survey import ENOUGH_TO_JUDGE, SAMPLE, Survey, YoungSample
from synapse_bum.deletion.walk import Found
from synapse_bum.homeserver.media_layout import Owner, Shelf


def a_file(name: str = "rest") -> Found:
    return Found(f"remote_content/a/ab/cd/{name}", Owner(Shelf.REMOTE_CONTENT, "a", (name,)), 0, 1)


def survey_of(with_row: int, without_row: int) -> Survey:
    survey = Survey()
    for number in range(with_row + without_row):
        survey.count(a_file(), has_row=number < with_row, is_old=True)
    return survey


def test_a_fifth_without_rows_is_believed_and_more_is_not() -> None:
    assert survey_of(80, 20).is_believable
    assert not survey_of(79, 21).is_believable
    assert not survey_of(0, ENOUGH_TO_JUDGE).is_believable
    assert survey_of(0, ENOUGH_TO_JUDGE - 1).is_believable, "too few to say anything"


def test_young_files_without_rows_count_and_stay() -> None:
    survey = Survey()
    for _ in range(ENOUGH_TO_JUDGE):
        survey.count(a_file(), has_row=False, is_old=False)
    assert not survey.is_believable
    assert survey.strays == []


@given(st.integers(0, 10_000), st.integers(0, SAMPLE), st.data())
def test_a_sample_stands_for_all(files: int, sample: int, data: st.DataObject) -> None:
    without_row = data.draw(st.integers(0, sample))
    survey = Survey()
    survey.count_share(files, sample, without_row)
    assert survey.looked_at == files
    assert 0 <= survey.without_row <= files + 1e-6


def test_a_sample_of_few_files_is_all_of_them() -> None:
    sample = YoungSample()
    for number in range(SAMPLE):
        sample.add(a_file(f"name{number}"))
    assert sorted(sample.file_ids) == sorted(f"name{number}" for number in range(SAMPLE))


def test_a_sample_of_many_files_is_fair() -> None:
    sample = YoungSample()
    for number in range(20 * SAMPLE):
        sample.add(a_file(f"{'odd' if number % 2 else 'even'}{number}"))
    assert sample.files == 20 * SAMPLE
    assert len(sample.file_ids) == SAMPLE
    odd = sum(name.startswith("odd") for name in sample.file_ids)
    assert 0.4 * SAMPLE < odd < 0.6 * SAMPLE


def test_what_is_too_much_for_once_waits() -> None:
    with patch("synapse_bum.deletion.survey.MAX_STRAYS", 3):
        survey = survey_of(100, 4)
    assert len(survey.strays) == 3
    assert survey.overflowed
