"""Uploads into a homeserver with a hard limit: by the doors that clients use, and through whatever goes wrong."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, ClassVar
from unittest.mock import patch

from prometheus_client import REGISTRY
from synapse.module_api import NOT_SPAM, LoggingTransaction
from synapse.module_api.errors import Codes, SynapseError
from synapse.rest import admin
from synapse.rest.client import login, media
from synapse.server import HomeServer
from synapse.types import UserID
from tests.server import FakeChannel
from tests.unittest import HomeserverTestCase
from twisted.internet.defer import Deferred
from twisted.web.resource import Resource

from synapse_bum.database import Database
from synapse_bum.deletion import DELETION
from synapse_bum.storage import ledger
from synapse_bum.storage.limit import Limits, UploadLimit, settle
from synapse_bum.storage.limit.decision import FRESH_MS, Used
from synapse_bum.storage.limit.ledger_counts import ledger_counts
from synapse_bum.storage.usage import CountConfig
from synapse_bum.testing.listeners import listener

GB = 1_000_000_000
POOL, SHARE = 1000, 600
UPLOAD = "/_matrix/media/v3/upload"


class LimitTestCase(HomeserverTestCase):
    """1000 bytes for all, 600 for one; alice, bob, and an administrator.

    The ledger is what `update` found last: the sums of Synapse's table.

    Attributes:
        server: further sections of homeserver.yaml; set by subclasses.
        verdict: what a scanner says of the next uploads; a Deferred makes them wait.
    """

    server: ClassVar[Mapping[str, Any]] = {}
    servlets: ClassVar[list[Any]] = [admin.register_servlets, login.register_servlets, media.register_servlets]

    def default_config(self) -> dict[str, Any]:
        config: dict[str, Any] = super().default_config()
        config["listeners"] = [listener("client", "media")]
        config["media_store_path"] = self.mktemp()  # type: ignore[no-untyped-call]
        return {**config, **self.server}

    def make_homeserver(self, _reactor: object, _clock: object) -> HomeServer:
        homeserver = self.setup_test_homeserver()
        self.verdict: Any = NOT_SPAM
        api = homeserver.get_module_api()
        api.register_spam_checker_callbacks(check_media_file_for_spam=self.scan)
        self.database = Database(api)
        self.ledger: dict[str, int] | None = {}
        self.start_limit(homeserver)
        return homeserver

    def start_limit(self, homeserver: HomeServer) -> None:
        """What the module does when it is loaded."""
        limit = UploadLimit(homeserver.get_module_api(), self.database, Limits(POOL, SHARE, GB), self.counted)
        limit.start()

    def create_resource_dict(self) -> dict[str, Resource]:
        resources: dict[str, Resource] = super().create_resource_dict()
        if self.hs.config.media.can_load_media_repo:
            resources["/_matrix/media"] = self.hs.get_media_repository_resource()
        return resources

    def prepare(self, _reactor: object, _clock: object, _homeserver: HomeServer) -> None:
        self.alice, self.alice_token = self.a_user("alice")
        self.bob, self.bob_token = self.a_user("bob")

    def a_user(self, name: str, *, is_admin: bool = False) -> tuple[str, str]:
        return self.register_user(name, "pass", admin=is_admin), self.login(name, "pass")

    async def scan(self, *_file: object) -> Any:  # noqa: ANN401 - as the callback
        return await self.verdict if isinstance(self.verdict, Deferred) else self.verdict

    def counted(self, _txn: LoggingTransaction, user_id: str, _now_ms: int) -> Used | None:
        return None if self.ledger is None else Used(sum(self.ledger.values()), self.ledger.get(user_id, 0))

    def update(self) -> None:
        """What the accounting does every minute."""

        def count(txn: LoggingTransaction) -> dict[str, int]:
            txn.execute(
                "SELECT user_id, SUM(media_length) FROM local_media_repository WHERE media_length > 0 GROUP BY user_id"
            )
            found = {user_id: int(size_bytes) for user_id, size_bytes in txn.fetchall()}
            settle(txn, self.clock.time_msec())
            return found

        self.ledger = self.get_success(self.database.run_on_snapshot("test", count))

    def upload(self, size_bytes: int, token: str | None = None, *, wait: bool = True) -> FakeChannel:
        """Upload a file as alice, unless another token is given."""
        return self.make_request(
            "POST",
            UPLOAD,
            b"x" * size_bytes,
            access_token=token or self.alice_token,
            shorthand=False,
            content_type=b"application/octet-stream",
            await_result=wait,
        )

    def stores(self, size_bytes: int, token: str | None = None) -> None:
        channel = self.upload(size_bytes, token)
        assert channel.code == HTTPStatus.OK, channel.json_body

    def refuses(self, size_bytes: int, token: str | None = None) -> str:
        """Asserts that a file is too large, and returns the sentence."""
        return self.too_large(self.upload(size_bytes, token))

    def too_large(self, channel: FakeChannel) -> str:
        assert channel.code == HTTPStatus.REQUEST_ENTITY_TOO_LARGE, channel.json_body
        assert channel.json_body["errcode"] == "M_TOO_LARGE"
        error: str = channel.json_body["error"]
        return error

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        def read(txn: LoggingTransaction) -> list[tuple[Any, ...]]:
            txn.execute(sql)
            return [tuple(row) for row in txn.fetchall()]

        return self.get_success(self.database.run("test", read))

    def notes(self) -> list[tuple[Any, ...]]:
        return self.rows("SELECT user_id, size_bytes, finished FROM synapse_bum_storage_uploads ORDER BY size_bytes")


class UploadTests(LimitTestCase):
    """One process."""

    def test_the_last_byte_is_taken_and_one_more_is_refused_with_a_sentence_for_the_client(self) -> None:
        self.stores(600)
        sentence = self.refuses(401, self.bob_token)
        assert "The storage of this server is full" in sentence
        self.stores(400, self.bob_token)
        self.refuses(1, self.bob_token)
        assert len(self.rows("SELECT 1 FROM local_media_repository")) == 2

    def test_one_user_cannot_fill_it_for_all(self) -> None:
        self.stores(600)
        assert "Delete files" in self.refuses(1)
        self.stores(1, self.bob_token)

    def test_an_administrator_has_the_same_share(self) -> None:
        _boss, token = self.a_user("boss", is_admin=True)
        assert "your share" in self.refuses(601, token)
        self.stores(600, token)

    def test_a_refused_file_leaves_nothing_and_is_counted(self) -> None:
        before = self.refused("pool")
        self.ledger = {"@carol:test": 1000}
        self.refuses(1)
        assert self.refused("pool") == before + 1
        assert self.rows("SELECT 1 FROM local_media_repository") == []
        assert self.notes() == []

    def refused(self, reason: str) -> float:
        value = REGISTRY.get_sample_value("synapse_bum_storage_refused_uploads_total", {"reason": reason})
        assert value is not None
        return value

    def test_without_any_update_the_limit_holds_all_the_same(self) -> None:
        self.stores(300)
        self.stores(300)
        self.refuses(1)
        assert self.notes() == [(self.alice, 300, 1), (self.alice, 300, 1)]

    def test_after_an_update_the_ledger_alone_counts(self) -> None:
        self.stores(600)
        self.update()
        assert self.notes() == []
        assert self.ledger == {self.alice: 600}
        self.refuses(401, self.bob_token)
        self.stores(400, self.bob_token)

    def test_what_was_deleted_makes_room_with_the_next_update(self) -> None:
        self.stores(600)
        self.get_success(self.database.run("test", lambda txn: txn.execute("DELETE FROM local_media_repository")))
        self.refuses(1)
        self.update()
        self.stores(600)

    def test_an_id_that_was_reserved_long_ago_counts_when_its_content_comes(self) -> None:
        created = self.make_request("POST", "/_matrix/media/v1/create", {}, self.alice_token, shorthand=False)
        name = created.json_body["content_uri"].removeprefix("mxc://")
        self.reactor.advance(3600)
        self.update()
        self.too_large(self.put(name, 601))
        assert self.put(name, 600).code == HTTPStatus.OK
        self.refuses(1)
        self.update()
        self.refuses(1)
        assert self.ledger == {self.alice: 600}

    def put(self, name: str, size_bytes: int) -> FakeChannel:
        return self.make_request(
            "PUT",
            f"{UPLOAD}/{name}",
            b"x" * size_bytes,
            access_token=self.alice_token,
            shorthand=False,
            content_type=b"application/octet-stream",
        )

    def test_what_synapse_allows_at_most_stays_as_it_is_announced(self) -> None:
        channel = self.make_request("GET", "/_matrix/client/v1/media/config", access_token=self.alice_token)
        assert channel.json_body == {"m.upload.size": self.hs.config.media.max_upload_size}


class InFlightTests(LimitTestCase):
    """Several uploads at once, of which some never end well."""

    def test_of_two_files_at_once_the_one_that_does_not_fit_is_refused(self) -> None:
        self.verdict = Deferred()
        first = self.upload(600, wait=False)
        self.pump()
        assert self.notes() == [(self.alice, 600, 0)]
        self.refuses(1)
        self.refuses(401, self.bob_token)
        self.verdict.callback(NOT_SPAM)
        self.pump()
        assert first.code == HTTPStatus.OK
        assert self.notes() == [(self.alice, 600, 1)]

    def test_an_update_meanwhile_does_not_forget_what_is_on_its_way(self) -> None:
        self.verdict = Deferred()
        first = self.upload(600, wait=False)
        self.pump()
        self.update()
        self.refuses(1)
        self.verdict.callback(NOT_SPAM)
        self.pump()
        assert first.code == HTTPStatus.OK
        self.refuses(1)
        self.update()
        self.refuses(1)

    def test_a_file_that_a_scanner_refuses_makes_room_at_once(self) -> None:
        self.verdict = Codes.FORBIDDEN
        assert self.upload(600).code == HTTPStatus.BAD_REQUEST
        assert self.notes() == []
        self.verdict = NOT_SPAM
        self.stores(600)

    def test_an_upload_that_fails_in_an_unknown_way_makes_room_with_the_next_update(self) -> None:
        with patch.object(self.hs.get_datastores().main, "store_local_media", side_effect=OSError("no space left")):
            assert self.upload(600).code == HTTPStatus.INTERNAL_SERVER_ERROR
        self.refuses(1)
        self.update()
        self.stores(600)

    def test_an_upload_whose_process_dies_ends_with_its_next_start(self) -> None:
        self.verdict = Deferred()
        self.upload(600, wait=False)
        self.pump()
        self.update()
        self.refuses(1)
        self.forget_wrappers()
        self.start_limit(self.hs)
        self.pump()
        self.update()
        assert self.notes() == []
        self.verdict = NOT_SPAM
        self.stores(600)

    def forget_wrappers(self) -> None:
        """What the end of a process does."""
        repository = vars(self.hs.get_media_repository())
        for name in ("create_or_update_content", "create_content", "update_content"):
            repository.pop(name, None)

    def test_avatars_that_a_login_brings_count_too(self) -> None:
        repository = self.hs.get_media_repository()
        store: Any = getattr(repository, "create_or_update_content", None) or getattr(
            repository, "create_content", None
        )
        failure = self.get_failure(
            store(
                media_type="image/png",
                upload_name="avatar",
                content=None,
                content_length=601,
                auth_user=UserID.from_string(self.alice),
            ),
            SynapseError,
        )
        assert failure.value.code == HTTPStatus.REQUEST_ENTITY_TOO_LARGE


class UnknownTests(LimitTestCase):
    """Where nobody can tell what is stored, nothing is let in."""

    def unknown(self) -> None:
        channel = self.upload(1)
        assert channel.code == HTTPStatus.SERVICE_UNAVAILABLE, channel.json_body
        assert channel.json_body["errcode"] == "M_UNKNOWN"
        assert "try again later" in channel.json_body["error"]
        assert self.rows("SELECT 1 FROM local_media_repository") == []

    def test_before_the_first_count_an_upload_has_to_wait(self) -> None:
        self.ledger = None
        self.unknown()
        self.update()
        self.stores(1)

    def test_a_database_that_fails_lets_nothing_in(self) -> None:
        quoting = OSError("the connection is closed\nDETAIL: alice has a secret")
        with (
            patch.object(self.database, "run", side_effect=quoting),
            self.assertLogs("synapse_bum.storage.limit", "WARNING") as logged,
        ):
            channel = self.upload(1)
        assert [record.getMessage() for record in logged.records] == [
            "Could not ask whether an upload fits: OSError: the connection is closed"
        ]
        assert channel.code == HTTPStatus.SERVICE_UNAVAILABLE
        assert "connection" not in channel.json_body["error"]
        self.stores(1)

    def test_an_end_that_cannot_be_noted_fails_no_upload(self) -> None:
        run = self.database.run

        def failing(desc: str, *arguments: Any) -> Any:  # noqa: ANN401 - as the method
            if desc == "synapse_bum_storage_uploaded":
                raise OSError("the connection is closed\nDETAIL: alice has a secret")
            return run(desc, *arguments)

        with (
            patch.object(self.database, "run", failing),
            self.assertLogs("synapse_bum.storage.limit", "WARNING") as logged,
        ):
            self.stores(600)
        assert logged.records[0].getMessage().endswith("up to an hour: OSError: the connection is closed")
        assert self.notes() == [(self.alice, 600, 0)]
        self.update()
        self.reactor.advance(3601)
        self.update()
        assert self.notes() == []
        self.refuses(1)


class LedgerTests(LimitTestCase):
    """The ledger itself is asked."""

    def start_limit(self, homeserver: HomeServer) -> None:
        self.database.add(DELETION)
        self.database.add(ledger.LEDGER)
        counted = ledger_counts(CountConfig())
        UploadLimit(homeserver.get_module_api(), self.database, Limits(POOL, SHARE, GB), counted).start()

    def update(self) -> None:
        def count(txn: LoggingTransaction) -> None:
            ledger.advance(self.hs.get_module_api(), txn, self.clock.time_msec())
            settle(txn, self.clock.time_msec())

        self.get_success(self.database.run_on_snapshot("test", count))

    def test_what_it_has_counted_and_what_came_since_are_compared_with_both_limits(self) -> None:
        assert self.upload(1).code == HTTPStatus.SERVICE_UNAVAILABLE
        self.update()
        self.stores(500)
        self.update()
        assert self.notes() == []
        self.stores(100)
        assert "your share" in self.refuses(1)
        assert "is full" in self.refuses(401, self.bob_token)
        self.stores(400, self.bob_token)
        self.update()
        assert "is full" in self.refuses(1, self.bob_token)

    def test_nobody_knows_what_fits_when_the_accounting_has_stopped(self) -> None:
        self.update()
        self.reactor.advance(FRESH_MS / 1000 - 1)
        self.stores(1)
        self.reactor.advance(2)
        assert self.upload(1).code == HTTPStatus.SERVICE_UNAVAILABLE
        self.update()
        self.stores(1)


class WithoutMediaTests(LimitTestCase):
    """A process without the media repository."""

    server: ClassVar[Mapping[str, Any]] = {"enable_media_repo": False}
    servlets: ClassVar[list[Any]] = [admin.register_servlets, login.register_servlets]

    def test_nothing_is_guarded(self) -> None:
        with patch("synapse_bum.homeserver.upload_turnstile.guard_uploads") as guard:
            self.start_limit(self.hs)
        guard.assert_not_called()
