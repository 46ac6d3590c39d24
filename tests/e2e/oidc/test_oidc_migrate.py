"""`synapse-bum oidc-migrate` on the database of a real server, SQLite and PostgreSQL."""

import argparse
import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

import attr
import pytest
import yaml

from synapse_bum.audit import AUDIT, verify
from synapse_bum.cli.oidc_migrate import OIDC_MIGRATE
from synapse_bum.database import Dialect
from synapse_bum.database.leases import LEASES
from synapse_bum.database.schema import migrate
from synapse_bum.homeserver.offline_database import OfflineDatabase, database_settings
from synapse_bum.oidc.tables import OIDC
from synapse_bum.testing.postgres import RealPostgres
from synapse_bum.testing.server_database import ServerDatabase
from synapse_bum.testing.synapse import RealSynapse

pytestmark = pytest.mark.any_synapse

LINK: Final = "INSERT INTO user_external_ids (auth_provider, external_id, user_id) VALUES (?, ?, ?)"
TENANT: Final = "0f2d2f9e-6a0c-4d57-9a8c-3c1d7a5e8b21"
PROVIDER: Final[dict[str, Any]] = {
    "idp_id": "entra",
    "idp_name": "Entra ID",
    "issuer": f"https://login.example/{TENANT}/v2.0",
    "client_id": "synapse",
    "client_secret": "of the test",
    "user_mapping_provider": {
        "module": "synapse_bum.oidc.OidcMappingProvider",
        "config": {"idp_id": "entra", "preset": "entra_id", "tenant": TENANT},
    },
}


def oid(number: int) -> str:
    return f"00000000-0000-0000-0000-{number:012}"


def new(number: int) -> str:
    return f"{TENANT}:{oid(number)}"


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Server:
    """A stopped server, and the command on it."""

    synapse: RealSynapse
    folder: Path

    def offline(self) -> OfflineDatabase:
        return OfflineDatabase(database_settings(self.synapse.config))

    def run(self, *arguments: str) -> int:
        config = self.folder / "homeserver.yaml"
        config.write_text(yaml.safe_dump({**self.synapse.config, "oidc_providers": [PROVIDER]}))
        parser = argparse.ArgumentParser()
        OIDC_MIGRATE.add_options(parser)
        return OIDC_MIGRATE.run(parser.parse_args(["-c", str(config), "--idp", "entra", *arguments]))

    def claims(self, *people: object) -> tuple[str, ...]:
        path = self.folder / "people.jsonl"
        path.write_text("".join(f"{json.dumps(person)}\n" for person in people))
        return ("--claims", str(path), "--from", "sub")

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        with ServerDatabase(self.synapse) as database:
            return database.rows(query)

    def links(self) -> dict[str, str]:
        return dict(self.rows("SELECT user_id, external_id FROM user_external_ids WHERE auth_provider = 'oidc-entra'"))


@pytest.fixture(scope="module", params=["sqlite", pytest.param("postgres", marks=pytest.mark.requires("postgresql"))])
def synapse(request: pytest.FixtureRequest) -> Iterator[RealSynapse]:
    """With four people, stopped."""
    with ExitStack() as stack:
        dsn = stack.enter_context(RealPostgres()).dsn() if request.param == "postgres" else None
        synapse = stack.enter_context(RealSynapse(postgres_dsn=dsn))
        for name in ("anna", "bert", "carl", "dora"):
            synapse.register(name)
        synapse.stop()
        yield synapse


@pytest.fixture
def server(synapse: RealSynapse, tmp_path: Path) -> Server:
    """All four are linked with Entra ID, one is provisioned by SCIM, one is linked with another provider as well."""
    server = Server(synapse, tmp_path)
    database = server.offline()
    with database.transaction() as txn:
        migrate(txn, Dialect.POSTGRES if database.is_postgres else Dialect.SQLITE, (LEASES, AUDIT, OIDC))
        for table in (
            "user_external_ids",
            "synapse_bum_oidc_people",
            "synapse_bum_oidc_scim_users",
            "synapse_bum_oidc_scim_endings",
            "synapse_bum_oidc_localparts",
            "synapse_bum_leases",
        ):
            txn.execute(f"DELETE FROM {table}")  # noqa: S608 - our own text
        for name, subject in (("anna", "s1"), ("bert", "s2"), ("carl", "s3"), ("dora", "s4")):
            txn.execute(LINK, ("oidc-entra", subject, f"@{name}:messenger.example"))
        txn.execute(LINK, ("oidc-other", "s1", "@dora:messenger.example"))
        for subject, email in (("s1", "anna@bund.example"), (new(1), None)):
            txn.execute(
                "INSERT INTO synapse_bum_oidc_people (idp_id, subject, admin, pending, login_ts, bound_email)"
                " VALUES ('entra', ?, 'no', 0, 1, ?)",
                (subject, email),
            )
        txn.execute(
            "INSERT INTO synapse_bum_oidc_scim_users (idp_id, subject, user_id, emails, active, log_out,"
            " created_ts, modified_ts) VALUES ('entra', 's1', '@anna:messenger.example', '[]', 0, 0, 1, 1)"
        )
        for idp_id, subject in (("entra", "s1"), ("other", "s1")):
            txn.execute("INSERT INTO synapse_bum_oidc_scim_endings VALUES (1, ?, ?)", (idp_id, subject))
        for localpart, subject in (("anna", "s1"), ("anna-x", new(1)), ("carl", "s3")):
            txn.execute("INSERT INTO synapse_bum_oidc_localparts VALUES (?, 'entra', ?, 1)", (localpart, subject))
        txn.keep()
    return server


def person(number: int) -> dict[str, str]:
    return {"sub": f"s{number}", "tid": TENANT, "oid": oid(number), "name": "Nobody"}


BEFORE: Final = {f"@{name}:messenger.example": f"s{n}" for n, name in enumerate(("anna", "bert", "carl", "dora"), 1)}
AFTER: Final = {**BEFORE, "@anna:messenger.example": new(1), "@bert:messenger.example": new(2)}
APPLY: Final = ("--apply", "--synapse-is-stopped")


def test_people_keep_their_accounts(server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    people = server.claims(person(1), person(2), person(9))

    assert server.run(*people, "--list-out", str(server.folder / "list.csv")) == 0
    said = capsys.readouterr().out.splitlines()
    assert f"change       @anna:messenger.example: s1 -> {new(1)}" in said
    assert f"no account   line 3: s9 -> {new(9)}" in said
    assert "left behind  @carl:messenger.example: s3" in said
    assert "1 of them were provisioned by SCIM" in said[-1]
    assert server.links() == BEFORE, "a dry run changes nothing"

    audited = len(server.rows("SELECT id FROM synapse_bum_audit"))
    # The list of the dry run is what is applied, so that nothing else happens than what was read.
    by_list = ("--list", str(server.folder / "list.csv"))
    assert server.run(*by_list, *APPLY) == 0
    assert server.links() == AFTER
    assert server.rows("SELECT external_id FROM user_external_ids WHERE auth_provider = 'oidc-other'") == [("s1",)]
    people_rows = server.rows("SELECT subject, bound_email FROM synapse_bum_oidc_people")
    assert people_rows == [(new(1), "anna@bund.example")]
    assert server.rows("SELECT subject, active FROM synapse_bum_oidc_scim_users") == [(new(1), 0)]
    endings = server.rows("SELECT idp_id, subject FROM synapse_bum_oidc_scim_endings ORDER BY idp_id")
    assert endings == [("entra", new(1)), ("other", "s1")], "whose access ended is counted once, under either subject"
    assert server.rows("SELECT localpart FROM synapse_bum_oidc_localparts") == [("carl",)]
    written = server.rows("SELECT actor, action, target, old, new FROM synapse_bum_audit ORDER BY id")[audited:]
    assert [row[:3] for row in written] == [
        ("cli:oidc-migrate", "oidc.subject.migrated", f"@{name}:messenger.example") for name in ("anna", "bert")
    ]
    assert json.loads(written[0][3]) == {"idp_id": "entra", "subject": "s1"}
    assert json.loads(written[0][4]) == {"idp_id": "entra", "subject": new(1)}
    with server.offline().transaction() as txn:
        assert verify(txn) is None

    capsys.readouterr()
    assert server.run(*by_list, *APPLY) == 0, "a second time there is nothing left to do"
    assert "0 were changed, 2 are done already" in capsys.readouterr().out
    assert server.links() == AFTER
    assert len(server.rows("SELECT id FROM synapse_bum_audit")) == audited + 2


def test_ambiguity_changes_nobody(server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    """Not even those who are not concerned, and the list is complete."""
    audited = server.rows("SELECT id FROM synapse_bum_audit")
    people = server.claims(person(1), person(2), {**person(3), "oid": oid(2)}, {**person(4), "oid": None}, "nobody")
    assert server.run(*people, *APPLY) == 1
    said = capsys.readouterr()
    assert f"line 2, line 3: s2, s3 would all become {new(2)}" in said.err
    assert "line 4: The claim `oid`" in said.err
    assert "line 5: Is no object of JSON" in said.err
    assert "were changed" not in said.out
    assert server.links() == BEFORE
    assert server.rows("SELECT id FROM synapse_bum_audit") == audited


def test_somebody_who_came_with_the_new_subject_already_is_a_problem(
    server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    with ServerDatabase(server.synapse) as database:
        database.execute(
            "UPDATE user_external_ids SET external_id = ? WHERE user_id = '@bert:messenger.example'", new(1)
        )
    before = server.links()
    assert server.run(*server.claims(person(1), person(3)), *APPLY) == 1
    said = capsys.readouterr()
    assert f"{new(1)} is linked to @bert:messenger.example already" in said.err
    assert "were changed" not in said.out
    assert server.links() == before, "not even of those who are not concerned"


def test_a_list_that_can_not_be_written_changes_nothing(server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    people = server.claims(person(1))
    for place, sentence in ((server.folder / "missing" / "list.csv", "No such file"), (Path(people[1]), "overwrite")):
        assert server.run(*people, *APPLY, "--list-out", str(place)) == 1
        assert sentence in capsys.readouterr().err
        assert server.links() == BEFORE


def test_nothing_is_changed_under_a_running_synapse(server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    people = server.claims(person(1))
    server.synapse.start()
    assert server.run(*people) == 0, "a dry run disturbs nobody"
    assert server.run(*people, *APPLY) == 1
    assert "others are at the database" in capsys.readouterr().err
    server.synapse.stop()
    assert server.links() == BEFORE


def test_a_held_duty_is_a_running_synapse(server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    """Also where its processes can't be seen, in another container."""
    with ServerDatabase(server.synapse) as database:
        database.execute("INSERT INTO synapse_bum_leases VALUES ('storage.ledger', 'somebody', ?)", 2**52)
    assert server.run(*server.claims(person(1)), *APPLY) == 1
    assert "duties of the modules are held" in capsys.readouterr().err
    assert server.links() == BEFORE


def test_the_word_of_the_operator_is_needed(server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    people = server.claims(person(1))
    assert server.run(*people, "--apply") == 1
    assert "--synapse-is-stopped belong together" in capsys.readouterr().err
    assert server.links() == BEFORE
