"""Who becomes whom when the subject claim changes: nobody gets another one's account, and nothing is guessed."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synapse_bum.cli.check.configuration import ConfigurationError
from synapse_bum.cli.oidc_migrate.renamings import from_claims, from_list, write_list
from synapse_bum.cli.oidc_migrate.report import lines
from synapse_bum.homeserver.offline_database import OfflineDatabase, OfflineDatabaseError, StoredLink, database_settings
from synapse_bum.oidc.mapping import parse_mapping
from synapse_bum.oidc.migration import Migration, Move, Renaming, plan_migration
from synapse_bum.testing.identity_tokens import ENTRA_OID, OTHER_TENANT, TENANT, entra_config, keycloak_config

ENTRA = parse_mapping(entra_config())
KEYCLOAK = parse_mapping(keycloak_config())


def a_plan(pairs: list[tuple[str, str]], links: dict[str, str], provisioned: dict[str, str] | None = None) -> Migration:
    """The plan for renamings (old, new) with links (subject, account)."""
    renamings = [Renaming(old, new, f"line {number}") for number, (old, new) in enumerate(pairs, 1)]
    return plan_migration(renamings, [StoredLink(*link) for link in links.items()], provisioned or {})


def test_each_account_keeps_its_person() -> None:
    plan = a_plan([("s1", "o1"), ("s2", "o2")], {"s1": "@anna:x", "s2": "@bert:x"})
    assert plan.moves == (Move("@anna:x", "s1", "o1"), Move("@bert:x", "s2", "o2"))
    assert plan.problems == ()


def test_who_is_not_in_the_list_is_left_behind_and_named() -> None:
    plan = a_plan([("s1", "o1")], {"s1": "@anna:x", "s2": "@bert:x"})
    assert plan.left_behind == (StoredLink("s2", "@bert:x"),)


def test_who_has_no_account_needs_no_change() -> None:
    plan = a_plan([("s1", "o1")], {})
    assert [one.old for one in plan.unlinked] == ["s1"]
    assert (plan.moves, plan.problems) == ((), ())


def test_what_was_done_before_stays_done() -> None:
    plan = a_plan([("s1", "o1"), ("same", "same")], {"o1": "@anna:x", "same": "@bert:x"})
    assert plan.done == (StoredLink("o1", "@anna:x"), StoredLink("same", "@bert:x"))
    assert (plan.moves, plan.problems, plan.left_behind) == ((), (), ())


def test_the_same_line_twice_is_once() -> None:
    assert len(a_plan([("s1", "o1"), ("s1", "o1")], {"s1": "@anna:x"}).moves) == 1


@pytest.mark.parametrize(
    ("pairs", "links", "sentence"),
    [
        ([("s1", "o"), ("s2", "o")], {"s1": "@anna:x"}, "line 1, line 2: s1, s2 would all become o"),
        ([("s", "o1"), ("s", "o2")], {"s": "@anna:x"}, "line 1, line 2: s would become o1, o2"),
        ([("s", "o")], {"s": "@anna:x", "o": "@bert:x"}, "line 1: o is linked to @bert:x already, s to @anna:x"),
        ([("s", "o")], {"s": "@anna:x", "t": "@anna:x"}, "@anna:x has 2 links with this identity provider: s, t"),
        ([("s", "o")], {"s": "@anna:x", "o": "@anna:x"}, "@anna:x has 2 links with this identity provider: s, o"),
        ([("a", "b"), ("b", "c")], {"a": "@anna:x"}, "line 2, line 1: b is one person's old and another one's new"),
        ([("a", "b"), ("b", "a")], {}, "a is one person's old and another one's new"),
        ([("a", "b"), ("b", "b")], {"a": "@anna:x"}, "line 1, line 2: a, b would all become b"),
    ],
)
def test_what_could_join_or_tear_people_is_a_problem(
    pairs: list[tuple[str, str]], links: dict[str, str], sentence: str
) -> None:
    assert any(sentence in problem for problem in a_plan(pairs, links).problems), a_plan(pairs, links).problems


def test_a_new_subject_that_scim_has_provisioned_for_another_account_is_a_problem() -> None:
    plan = a_plan([("s", "o")], {"s": "@anna:x"}, {"o": "@bert:x"})
    assert "o was provisioned by SCIM as @bert:x" in plan.problems[0]


def test_whose_id_for_scim_changes_is_counted() -> None:
    plan = a_plan([("s", "o"), ("t", "p")], {"s": "@anna:x", "t": "@bert:x"}, {"s": "@anna:x"})
    assert plan.problems == ()
    assert plan.provisioned == 1
    assert "1 of them were provisioned by SCIM" in list(lines(plan, applied=True))[-1]


SUBJECTS = st.sampled_from("abcdef")


@given(
    st.lists(st.tuples(SUBJECTS, SUBJECTS), max_size=6),
    st.dictionaries(SUBJECTS, st.sampled_from(["@1:x", "@2:x", "@3:x", "@4:x"]), max_size=6),
)
def test_without_problems_nobody_gets_another_account_and_a_second_time_changes_nothing(
    pairs: list[tuple[str, str]], links: dict[str, str]
) -> None:
    plan = a_plan(pairs, links)
    if plan.problems:
        return
    after = dict(links)
    for move in plan.moves:
        assert after.pop(move.old) == move.user_id
        assert move.new not in after
        after[move.new] = move.user_id
    assert sorted(after.values()) == sorted(links.values())
    renamed = dict(pairs)
    # Whoever logs in with the new subject reaches the account that the old one had.
    assert all(after[renamed.get(subject, subject)] == user_id for subject, user_id in links.items())
    again = a_plan(pairs, after)
    assert again.moves == ()
    assert again.problems == ()


class TestFiles:
    def test_claims(self, tmp_path: Path) -> None:
        path = tmp_path / "people.jsonl"
        path.write_text(
            f'\ufeff{{"sub": "s1", "tid": "{TENANT.upper()}", "oid": "{ENTRA_OID}"}}\n\n'
            f'{{"sub": "s2", "tid": "{TENANT}"}}\n[1]\n' + "[" * 100_000
        )
        wanted = from_claims(path, ENTRA, ["sub"])
        assert wanted.renamings == (Renaming("s1", f"{TENANT}:{ENTRA_OID}", "line 1"),)
        assert [problem.partition(":")[0] for problem in wanted.problems] == ["line 3", "line 4", "line 5"]
        assert "`oid`" in wanted.problems[0]

    def test_a_list_is_read_as_it_was_written(self, tmp_path: Path) -> None:
        path = tmp_path / "list.csv"
        renamings = [Renaming('a"b,c', "d é", "line 2"), Renaming("e", "f", "line 3")]
        write_list(path, renamings)
        assert from_list(path, KEYCLOAK).renamings == tuple(renamings)

    def test_a_list_without_its_first_line(self, tmp_path: Path) -> None:
        path = tmp_path / "list.csv"
        path.write_text("s1,o1\r\ns2,o2\r\n")
        assert [one.new for one in from_list(path, KEYCLOAK).renamings] == ["o1", "o2"]

    def test_a_list_of_a_spreadsheet_that_counts_with_commas(self, tmp_path: Path) -> None:
        path = tmp_path / "list.csv"
        path.write_text("\ufeffold;new\r\ns1;o1\r\ns,2;o2\r\n")
        assert [(one.old, one.new) for one in from_list(path, KEYCLOAK).renamings] == [("s1", "o1"), ("s,2", "o2")]

    def test_people_of_another_tenant_are_a_problem(self, tmp_path: Path) -> None:
        path = tmp_path / "people"
        path.write_text(json.dumps({"sub": "s1", "tid": OTHER_TENANT, "oid": ENTRA_OID}))
        by_claims = from_claims(path, ENTRA, ["sub"])
        path.write_text(f"s1,{OTHER_TENANT}:{ENTRA_OID}\n")
        for wanted in (by_claims, from_list(path, ENTRA)):
            assert wanted.renamings == ()
            assert wanted.problems == ("line 1: The claim `tid` is not the `tenant` of the configuration",)

    @pytest.mark.parametrize("line", ["s1", "s1,o1,x", ",o1", "s1,", "s1,o\x07", f"s1,{'o' * 256}"])
    def test_what_no_subject_can_be_is_a_problem(self, line: str, tmp_path: Path) -> None:
        path = tmp_path / "list.csv"
        path.write_text(f"{line}\n")
        wanted = from_list(path, KEYCLOAK)
        assert wanted.renamings == ()
        assert wanted.problems[0].startswith("line 1: ")

    @pytest.mark.parametrize("new", [f"{TENANT}:{ENTRA_OID.upper()}", ENTRA_OID, f"{TENANT}:{ENTRA_OID}:x"])
    def test_a_subject_that_the_mapping_would_write_otherwise_is_a_problem(self, new: str, tmp_path: Path) -> None:
        path = tmp_path / "list.csv"
        path.write_text(f"s1,{TENANT}:{ENTRA_OID}\ns2,{new}\n")
        wanted = from_list(path, ENTRA)
        assert [one.old for one in wanted.renamings] == ["s1"]
        assert len(wanted.problems) == 1

    def test_a_file_that_is_not_there(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigurationError, match="No such file"):
            from_list(tmp_path / "list.csv", KEYCLOAK)


def test_what_stands_in_a_subject_steers_no_terminal() -> None:
    plan = a_plan([], {"\x1b[2Js\u202e": "@anna:x"})
    assert next(iter(lines(plan, applied=False))) == "left behind  @anna:x: ?[2Js?"


class TestDatabaseSettings:
    def test_the_main_one_of_several(self) -> None:
        main = {"name": "psycopg2", "args": {}, "data_stores": ["main"]}
        state = {"name": "psycopg2", "args": {}, "data_stores": ["state"]}
        assert database_settings({"databases": {"state": state, "master": main}}) is main

    def test_the_short_form(self) -> None:
        found = database_settings({"database_path": "/data/homeserver.db"})
        assert found == {"name": "sqlite3", "args": {"database": "/data/homeserver.db"}}

    @pytest.mark.parametrize("homeserver", [{}, {"database": "sqlite"}, {"databases": {}}])
    def test_none(self, homeserver: dict[str, object]) -> None:
        with pytest.raises(OfflineDatabaseError):
            database_settings(homeserver)

    def test_what_is_not_kept_is_taken_back(self, tmp_path: Path) -> None:
        path = tmp_path / "homeserver.db"
        path.touch()
        database = OfflineDatabase({"name": "sqlite3", "args": {"database": str(path), "cp_max": 1}})
        after_commit: list[str] = []
        with database.transaction() as txn:
            txn.execute("CREATE TABLE links (user_id TEXT)")
            txn.keep()
        for user_id, is_kept in (("@anna:x", False), ("@bert:x", True)):
            with database.transaction() as txn:
                txn.execute("INSERT INTO links VALUES (?)", (user_id,))
                txn.call_after(after_commit.append, user_id)
                if is_kept:
                    txn.keep()

        def fail_after_a_change() -> None:
            with database.transaction() as txn:
                txn.execute("INSERT INTO links VALUES ('@carl:x')")
                txn.keep()
                txn.execute("SELECT 1 FROM others")

        with pytest.raises(OfflineDatabaseError, match="no such table"):
            fail_after_a_change()
        with database.transaction() as txn:
            txn.execute("SELECT user_id FROM links")
            assert txn.fetchall() == [("@bert:x",)]
        assert after_commit == ["@bert:x"]

    def test_no_database_is_made(self, tmp_path: Path) -> None:
        path = tmp_path / "homeserver.db"
        with pytest.raises(OfflineDatabaseError, match="there is no database"):
            OfflineDatabase({"name": "sqlite3", "args": {"database": str(path)}})
        assert not path.exists()
