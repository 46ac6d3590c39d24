"""What our modules keep about people, read from tables as our migrations make them."""

from pathlib import Path
from typing import Any

import pytest

from synapse_bum.antivirus.tables import ANTIVIRUS
from synapse_bum.cli.export_user.our_data import OUR_SOURCES
from synapse_bum.database import Component, Dialect
from synapse_bum.database.schema import migrate
from synapse_bum.deletion import DELETION
from synapse_bum.homeserver.database_snapshot import ReadableDatabase
from synapse_bum.homeserver.offline_database import OfflineDatabase
from synapse_bum.homeserver.personal_source import read_source
from synapse_bum.oidc.tables import OIDC
from synapse_bum.portal.accounts.begun_deletions import BEGUN_DELETIONS
from synapse_bum.portal.support.tickets import SUPPORT
from synapse_bum.testing.small_homeserver import ALICE, BOB, SmallHomeserver


@pytest.fixture
def homeserver(tmp_path: Path) -> SmallHomeserver:
    server = SmallHomeserver(tmp_path)
    server.execute("CREATE TABLE user_external_ids (auth_provider TEXT, external_id TEXT, user_id TEXT)", [()])
    components: list[Component] = [OIDC, ANTIVIRUS, SUPPORT, DELETION, BEGUN_DELETIONS]
    with OfflineDatabase(server.settings).transaction() as txn:
        migrate(txn, Dialect.SQLITE, components)
        txn.keep()
    return server


def rows(homeserver: SmallHomeserver, name: str, user_id: str = ALICE) -> list[dict[str, Any]]:
    (source,) = (each for each in OUR_SOURCES if each.name == name)
    with ReadableDatabase(homeserver.settings).snapshot() as snapshot:
        return list(read_source(snapshot, source, user_id))


def a_person(homeserver: SmallHomeserver, idp_id: str, subject: str) -> None:
    homeserver.execute(
        "INSERT INTO synapse_bum_oidc_people (idp_id, subject, admin, pending, login_ts) VALUES (?, ?, 'no', 0, 1)",
        [(idp_id, subject)],
    )


def test_a_person_is_found_by_the_link_of_the_same_provider(homeserver: SmallHomeserver) -> None:
    homeserver.execute(
        "INSERT INTO user_external_ids VALUES (?, ?, ?)",
        [("oidc-keycloak", "a", ALICE), ("oidc", "b", ALICE), ("oidc-keycloak", "c", BOB)],
    )
    for idp_id, subject in (("keycloak", "a"), ("oidc", "b"), ("keycloak", "c"), ("other", "a"), ("keycloak", "b")):
        a_person(homeserver, idp_id, subject)
    found = {(row["idp_id"], row["subject"]) for row in rows(homeserver, "identity_provider_data")}
    assert found == {("keycloak", "a"), ("oidc", "b")}


def test_a_person_whose_link_went_with_the_account_is_found_by_the_name(homeserver: SmallHomeserver) -> None:
    a_person(homeserver, "keycloak", "a")
    homeserver.execute(
        "INSERT INTO synapse_bum_oidc_localparts VALUES (?, 'keycloak', ?, 1)", [("alice", "a"), ("bob", "b")]
    )
    assert [row["subject"] for row in rows(homeserver, "identity_provider_data")] == ["a"]
    assert [row["subject"] for row in rows(homeserver, "reserved_name")] == ["a"]
    assert rows(homeserver, "identity_provider_data", BOB) == []


def test_verdicts_are_those_of_own_files_and_findings_do_not_name_who_reported(homeserver: SmallHomeserver) -> None:
    homeserver.a_file("aaaaplain", None)
    homeserver.execute(
        "INSERT INTO synapse_bum_antivirus_verdicts (server_name, media_id, state, noted_ts) VALUES (?, ?, 'clean', 1)",
        [("messenger.example", "aaaaplain"), ("partner.example", "aaaaplain"), ("messenger.example", "bbbbplain")],
    )
    homeserver.execute(
        "INSERT INTO synapse_bum_antivirus_findings VALUES (?, ?, 'x', 'Eicar', 'blocked', 'upload', ?, ?, 1)",
        [("messenger.example", "aaaaplain", ALICE, BOB), ("messenger.example", "bbbbplain", BOB, ALICE)],
    )
    assert [row["server_name"] for row in rows(homeserver, "virus_verdicts")] == ["messenger.example"]
    (finding,) = rows(homeserver, "virus_findings")
    assert (finding["media_id"], finding["uploader"]) == ("aaaaplain", ALICE)
    assert BOB not in finding.values()
    (reported,) = rows(homeserver, "virus_findings_reported")
    assert reported["media_id"] == "bbbbplain"
    assert BOB not in reported.values()


def test_requests_to_the_support_are_those_of_the_person(homeserver: SmallHomeserver) -> None:
    homeserver.execute(
        "INSERT INTO synapse_bum_portal_tickets (ticket_id, category, text, contact, reported_by, reported_ts)"
        " VALUES (?, 1, 'help', 'c', ?, 1)",
        [("T1", ALICE), ("T2", BOB)],
    )
    assert [row["ticket_id"] for row in rows(homeserver, "tickets")] == ["T1"]


def test_a_deletion_that_was_begun_names_nobody_else(homeserver: SmallHomeserver) -> None:
    homeserver.execute(
        "INSERT INTO synapse_bum_portal_begun_deletions (user_id, begun_by, begun_ts, stage, session_id, busy_until_ts)"
        " VALUES (?, ?, ?, 'begun', 's', 0)",
        [(ALICE, BOB, 1), (BOB, ALICE, 2)],
    )
    (of_her,), (by_her,) = rows(homeserver, "account_deletion"), rows(homeserver, "account_deletions_begun")
    assert (of_her["user_id"], of_her["begun_ts"], by_her["begun_ts"]) == (ALICE, 1, 2)
    assert BOB not in {*of_her.values(), *by_her.values()}


def test_files_that_a_hold_keeps_are_those_of_the_person(homeserver: SmallHomeserver) -> None:
    homeserver.a_file("aaaaheld", None)
    homeserver.execute(
        "INSERT INTO synapse_bum_deletion_held VALUES (?, ?, 'local_media', 1, 'a policy', 'actor', NULL, 'none')",
        [("messenger.example", "aaaaheld"), ("messenger.example", "bbbbheld"), ("partner.example", "aaaaheld")],
    )
    (held,) = rows(homeserver, "deletions_held")
    assert (held["server_name"], held["media_id"]) == ("messenger.example", "aaaaheld")
