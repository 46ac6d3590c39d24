"""What a log shows of an error that nobody has foreseen: where it came from, and no row of the database."""

import pytest

from synapse_bum.database.error_text import first_line, traced

SAID = "duplicate key value\nDETAIL:  Key (user_id)=(@erika:messenger.example) already exists."


def refused_by_the_database() -> None:
    raise ValueError(SAID)


def not_done() -> None:
    try:
        refused_by_the_database()
    except ValueError as error:
        raise RuntimeError(f"not done\n{error}") from error


def raised() -> BaseException:
    with pytest.raises(RuntimeError) as caught:
        not_done()
    return caught.value


def test_its_causes_are_told_without_what_a_database_quotes() -> None:
    told = traced(raised())
    assert told.startswith("RuntimeError: not done\n")
    assert "\nafter ValueError: duplicate key value\n" in told
    assert "in refused_by_the_database" in told
    assert "in not_done" in told
    assert "erika" not in told


def test_its_words_can_be_left_out() -> None:
    told = traced(raised(), is_quoted=False)
    assert told.startswith("RuntimeError\n")
    assert "\nafter ValueError\n" in told
    assert "in refused_by_the_database" in told
    assert "duplicate" not in told


def test_a_cause_that_was_left_out_on_purpose_stays_out() -> None:
    error = KeyError("x")
    error.__context__, error.__suppress_context__ = ValueError("a"), True
    assert traced(error) == "KeyError: 'x'"


def test_an_error_that_is_its_own_cause_ends() -> None:
    one, other = ValueError("a"), ValueError("b")
    one.__context__, other.__context__ = other, one
    assert traced(one) == "ValueError: a\nafter ValueError: b"


def test_the_first_line_names_the_kind() -> None:
    assert first_line(ValueError("a\nb")) == "ValueError: a"
    assert first_line(ValueError("")) == "ValueError: "


@pytest.mark.parametrize("end", ["\r", "\r\n", "\x0b", "\x0c", "\x85", "\u2028"])
def test_what_a_stranger_says_forges_no_line(end: str) -> None:
    told = first_line(RuntimeError(f"502: gone{end}2026-11-23 - synapse_bum.audit - INFO - all is well"))
    assert told == "RuntimeError: 502: gone"


def test_what_a_stranger_says_steers_no_terminal() -> None:
    told = first_line(RuntimeError("502: \x1b[2Jgone \u202e für immer \ud800"))
    assert told == r"RuntimeError: 502: \x1b[2Jgone \u202e für immer \ud800"
    assert told.encode()
