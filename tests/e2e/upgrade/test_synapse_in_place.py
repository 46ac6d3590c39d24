"""Synapse goes forward and back on one set of data, and once our tables are newer than we: what was decided holds."""

import hashlib
import ssl
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import attr
import pytest

from synapse_bum.rest import BASE
from synapse_bum.testing import malware
from synapse_bum.testing.all_modules import ModulePlaces, all_modules, write_secrets
from synapse_bum.testing.clamd import RealClamd
from synapse_bum.testing.content_scanner_client import ContentScannerClient, StoredAttachment
from synapse_bum.testing.encrypted_files import encrypted
from synapse_bum.testing.http_client import Json, MatrixClient, Response, mxc_path
from synapse_bum.testing.local_server import LOOPBACK, ServerError
from synapse_bum.testing.oidc_provider import keycloak_person
from synapse_bum.testing.postgres import RealPostgres
from synapse_bum.testing.server_database import ServerDatabase
from synapse_bum.testing.small_identity_provider import SmallIdentityProvider
from synapse_bum.testing.sso_browser import CLIENT, SsoBrowser
from synapse_bum.testing.synapse import RealSynapse


def _environment(version: str) -> Path:
    """The interpreter beside a Synapse, in an environment that `make test` makes."""
    return Path(__file__).resolve().parents[3] / f".venv-synapse-{version}" / "bin" / "python"


OLDEST, BETWEEN, THIS = _environment("1.133.0"), _environment("1.143.0"), Path(sys.executable)

pytestmark = [
    pytest.mark.requires("clamd", "postgresql"),
    pytest.mark.any_synapse,
    pytest.mark.long,
    pytest.mark.skipif(
        not (OLDEST.exists() and BETWEEN.exists()),
        reason="no environments with Synapse 1.133.0 and 1.143.0 (make test)",
    ),
]

STEPS: Final = {"postgres": (BETWEEN, THIS, BETWEEN), "sqlite": (THIS,)}
"""Where it goes from the oldest: forward, and one back."""

PARTNER: Final = "messenger.amt-a.example"
IDP_ID: Final = "keycloak"
SUBJECT: Final = "f1c2a7de-0000-4000-8000-000000000001"
REFUSED: Final = (
    r"the database has version \d+ of the synapse_bum tables for portal, this package knows version \d+: install"
)
PATIENCE_S: Final = 120.0
"""What a machine that does ten other things may take for what takes a second otherwise."""


def eventually(what: Callable[[], object], instead: Callable[[], object] = lambda: None) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not what():
        assert time.monotonic() < deadline, f"it did not happen in time; instead: {instead()}"
        time.sleep(0.05)


def ok(answer: Response) -> Json:
    assert answer.status == HTTPStatus.OK, answer.body
    return answer.json


@attr.s(auto_attribs=True, frozen=True)
class Files:
    """What lies there: open to all, hidden because of what is in it, and hidden until its key comes."""

    clean: str
    opened: StoredAttachment
    blocked: StoredAttachment
    held: StoredAttachment

    def all(self) -> Mapping[str, str]:
        attachments = {"opened": self.opened, "blocked": self.blocked, "held": self.held}
        return {"clean": self.clean, **{name: one.mxc for name, one in attachments.items()}}


@attr.s(auto_attribs=True, frozen=True)
class World:
    """A homeserver with all modules, whose data are those of the oldest Synapse; alice sends files, bob reads them."""

    synapse: RealSynapse
    provider: SmallIdentityProvider
    boss: MatrixClient
    alice: ContentScannerClient
    bob: ContentScannerClient
    month: str = attr.ib(factory=lambda: time.strftime("%Y-%m", time.gmtime()))

    @property
    def is_on_postgres(self) -> bool:
        return bool(self.synapse.config["database"]["name"] == "psycopg2")

    def admin(self, path: str) -> Json:
        return ok(self.boss.get(f"{BASE}/{path}"))

    def signed_in(self) -> str:
        """Who it is whom the identity provider sends."""
        browser = SsoBrowser(ssl.create_default_context(), self.synapse.base_url)
        return browser.log_in(IDP_ID, "erika", self.provider.password).user_id


@pytest.fixture(params=["postgres", "sqlite"])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    with ExitStack() as stack:
        clamd = stack.enter_context(RealClamd())
        dsn = stack.enter_context(RealPostgres()).dsn() if request.param == "postgres" else None
        config = {
            "background_updates": {"sleep_enabled": False},
            "federation_domain_whitelist": [],
            "sso": {"client_whitelist": [CLIENT]},
        }
        synapse = RealSynapse(config=config, postgres_dsn=dsn, python=OLDEST)
        stack.callback(synapse.close)
        provider = stack.enter_context(SmallIdentityProvider(synapse.base_url))
        provider.know(keycloak_person(SUBJECT, "erika", "Erika Muster").claims)
        entry = provider.relation.entry(IDP_ID, {"preset": "keycloak"}, skip_verification=True)
        synapse.config["oidc_providers"] = [entry]
        places = ModulePlaces(tmp_path, clamd.address_unix, LOOPBACK, synapse.base_url)
        write_secrets(places)
        synapse.config["modules"] = all_modules(places, {"storage.StorageModule": {"update_interval": "2s"}})
        synapse.start()
        boss = synapse.register("boss", admin=True)
        alice, bob = (ContentScannerClient.of(synapse.register(name)) for name in ("alice", "bob"))
        yield World(synapse, provider, boss, alice, bob)


def scanned(reader: ContentScannerClient, file: StoredAttachment) -> bool:
    clean: bool = ok(reader.scan_encrypted(file.file))["clean"]
    return clean


def stored_files(world: World) -> Files:
    alice = world.alice
    files = Files(
        ok(alice.upload(malware.png(20, 20), "image/png"))["content_uri"],
        alice.store(encrypted(malware.png(30, 30))),
        alice.store(encrypted(malware.unique_bytes(16) + malware.EICAR)),
        alice.store(encrypted(malware.png(40, 40))),
    )
    assert scanned(world.bob, files.opened)
    assert not scanned(world.bob, files.blocked)
    return files


def decided(world: World) -> None:
    """A room must stay, and another server becomes a partner."""
    room_id: str = ok(world.alice.create_room(name="Verfahren"))["room_id"]
    until_ts = int((time.time() + 86_400) * 1_000)
    body = {"reason": "Verfahren 12/26", "until_ts": until_ts}
    ok(world.boss.put(f"{BASE}/retention/holds/{quote(room_id, safe='')}", body))
    ok(world.boss.put(f"{BASE}/federation/partners/{PARTNER}", {"organisation": "Amt A", "reason": "Vertrag 4711"}))


def who_gets_what(world: World, files: Files) -> dict[str, Any]:
    """Status and bytes of each file at each door, for its owner, a reader and an administrator."""
    people = {"alice": world.alice, "bob": world.bob, "boss": ContentScannerClient.of(world.boss)}
    found: dict[str, Any] = {}
    for name, mxc in files.all().items():
        for who, person in people.items():
            answer = person.download(mxc)
            body = hashlib.sha256(answer.body).hexdigest() if answer.status == HTTPStatus.OK else None
            found[f"{name} for {who}"] = (answer.status, body, person.scan(mxc).status)
    for who, person in people.items():
        refused = person.download_encrypted(files.blocked.file)
        found[f"blocked with its key for {who}"] = (refused.status, refused.json.get("reason"))
    return found


def meaning(world: World, files: Files) -> dict[str, Any]:
    """Everything that must be so after each step as it was before the first."""
    states = {one["mxc"]: one["scan_state"] for one in ok(world.alice.get(f"{BASE}/media"))["media"]}
    return {
        "files": who_gets_what(world, files),
        "states": {mxc: state for mxc, state in states.items() if mxc in files.all().values()},
        "finding": world.admin(f"antivirus/findings/{mxc_path(files.blocked.mxc)}"),
        "held": world.admin("antivirus/held"),
        "holds": world.admin("retention/holds"),
        "what holds": world.admin(f"retention/holding/{quote(world.alice.user_id, safe='')}"),
        "partners": world.admin("federation/partners"),
        "allowed": world.admin(f"federation/check/{PARTNER}")["allowed"],
        "stranger": world.admin("federation/check/messenger.amt-b.example")["allowed"],
        "links": world.admin("oidc/links"),
        "person": world.signed_in(),
        "lines": world.admin(f"storage/invoice?month={world.month}")["lines"],
    }


def stored_bytes(world: World) -> dict[str, int]:
    usage = world.admin("storage/usage")
    return {name: usage[name] for name in ("users", "local_bytes", "remote_bytes", "used_bytes")}


def true_bytes(world: World) -> dict[str, int]:
    """What the account of what is stored must say, from Synapse's rows."""
    with ServerDatabase(world.synapse) as database:
        ((local,),) = database.rows("SELECT COALESCE(SUM(media_length), 0) FROM local_media_repository")
        ((users,),) = database.rows("SELECT COUNT(*) FROM users")
        ((thumbnails,),) = database.rows(
            "SELECT COALESCE(SUM(thumbnail_length), 0) FROM local_media_repository_thumbnails"
        )
    return {
        "users": int(users),
        "local_bytes": int(local),
        "remote_bytes": 0,
        "used_bytes": int(local) + int(thumbnails),
    }


def account_is_right(world: World) -> None:
    eventually(lambda: stored_bytes(world) == true_bytes(world), lambda: (stored_bytes(world), true_bytes(world)))


def audit(world: World) -> list[tuple[Any, ...]]:
    with ServerDatabase(world.synapse) as database:
        return database.rows("SELECT id, action, target, hash FROM synapse_bum_audit ORDER BY id")


def start_with(world: World, python: Path) -> None:
    world.synapse.stop()
    world.synapse.python = str(python)
    world.synapse.start()


def goes_on(world: World) -> str:
    """New files are scanned and counted; returns one that was let in."""
    mxc: str = ok(world.alice.upload(malware.png(10, 10, time.monotonic_ns()), "image/png"))["content_uri"]
    assert world.bob.download(mxc).status == HTTPStatus.OK
    assert world.alice.upload(malware.unique_bytes(16) + malware.EICAR).status == HTTPStatus.BAD_REQUEST
    account_is_right(world)
    return mxc


def test_what_was_decided_holds_on_each_synapse(world: World) -> None:
    files, new = stored_files(world), [goes_on(world)]
    decided(world)
    assert world.signed_in() == "@erika:messenger.example"
    account_is_right(world)
    before, written = meaning(world, files), audit(world)
    assert before["files"]["clean for bob"][0] == HTTPStatus.OK
    assert {before["files"][f"blocked for {who}"][0] for who in ("alice", "bob", "boss")} == {HTTPStatus.NOT_FOUND}
    refused = (HTTPStatus.FORBIDDEN, "MCS_MEDIA_NOT_CLEAN")
    assert {before["files"][f"blocked with its key for {who}"] for who in ("alice", "bob", "boss")} == {refused}
    assert (before["allowed"], before["stranger"]) == (True, False)
    assert (before["holds"]["total"], before["held"]["total"]) == (1, 1)
    for python in STEPS["postgres" if world.is_on_postgres else "sqlite"]:
        start_with(world, python)
        now = meaning(world, files)
        assert {name: now[name] for name in before if now[name] != before[name]} == {}, python
        assert audit(world)[: len(written)] == written
        assert [world.bob.download(mxc).status for mxc in new] == [HTTPStatus.OK] * len(new)
        new.append(goes_on(world))
    # As docs/aktualisierung.md has operators look.
    assert ok(world.boss.get("/_synapse/admin/v1/background_updates/status"))["enabled"]
    # What had to wait for its key has it now.
    assert scanned(world.bob, files.held)
    assert world.bob.download(files.held.mxc).status == HTTPStatus.OK
    if world.is_on_postgres:
        assert_newer_data_are_refused(world)


def assert_newer_data_are_refused(world: World) -> None:
    """Neither a module of ours nor Synapse starts with data of a later version, and neither changes them."""
    world.synapse.stop()
    with ServerDatabase(world.synapse) as database:

        def versions() -> list[tuple[Any, ...]]:
            ours = database.rows("SELECT component, version FROM synapse_bum_schema ORDER BY component")
            return ours + database.rows("SELECT version, compat_version FROM schema_version, schema_compat_version")

        database.execute("UPDATE synapse_bum_schema SET version = version + 1 WHERE component = 'portal'")
        later = versions()
        with pytest.raises(ServerError, match=REFUSED) as refused:
            world.synapse.start()
        assert "restore the database of before its upgrade" in str(refused.value)
        assert versions() == later
        database.execute("UPDATE schema_compat_version SET compat_version = compat_version + 1000")
        later = versions()
        with pytest.raises(ServerError, match="too new for the server to understand"):
            world.synapse.start()
        assert versions() == later
