"""Other people's names in data about a person."""

from synapse_bum.cli.export_user.other_people import ANOTHER_PERSON, concealed, names

ALICE = "@alice:messenger.example"


def test_only_the_person_keeps_the_name() -> None:
    row = {
        "actor": "@bob:messenger.example",
        "reason": f"{ALICE} asked @carol:matrix.example.org:8448, and so did {ALICE}.",
        "new": {"@bob:messenger.example": [ALICE, 1, None]},
    }
    assert concealed(row, ALICE) == {
        "actor": ANOTHER_PERSON,
        "reason": f"{ALICE} asked {ANOTHER_PERSON}, and so did {ALICE}.",
        "new": {ANOTHER_PERSON: [ALICE, 1, None]},
    }


def test_somebody_with_a_longer_name_is_another_person() -> None:
    assert concealed("@alice:messenger.example.org", ALICE) == ANOTHER_PERSON
    assert concealed("@alice2:messenger.example", ALICE) == ANOTHER_PERSON
    assert names(f"see {ALICE}.", ALICE)
    assert names(ALICE, ALICE)
    assert not names(f"{ALICE}.org", ALICE)
    assert not names(f"{ALICE}:8448", ALICE)


def test_names_of_old_accounts_are_concealed_whatever_they_hold() -> None:
    for name in ("@Jörg:a.example", "@x!y:a.example", "@a@b:a.example", "@bob:[2001:db8::1]:8448", "@(x):a.example"):
        assert concealed(f"see {name}, please", ALICE) == f"see {ANOTHER_PERSON}, please"


def test_nothing_is_lost_where_two_names_become_one() -> None:
    row = {"@bob:a.example": 1, "@carol:a.example": 2, ALICE: 3, "@dan:a.example": 4}
    assert concealed(row, ALICE) == {ANOTHER_PERSON: 1, f"{ANOTHER_PERSON} 2": 2, ALICE: 3, f"{ANOTHER_PERSON} 3": 4}


def test_names_of_jobs_and_addresses_stay() -> None:
    for text in ("antivirus.rescan", "cli:export-user", "mxc://messenger.example/abc", "write to a@b.example"):
        assert concealed(text, ALICE) == text
