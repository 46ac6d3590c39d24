"""The whole retention module in a homeserver, by its schedule and by its routes."""

import json
import logging
from http import HTTPStatus
from pathlib import Path
from typing import Any, ClassVar

import pytest
from synapse.module_api.errors import ConfigError
from tests.unittest import HomeserverTestCase

from synapse_bum.rest import BASE
from synapse_bum.retention import RetentionModule
from synapse_bum.testing.deletion_case import SERVER, DeletionTestCase

DAY_S = 86_400
DELETING = {"module": "synapse_bum.testing.deleting_module.DeletingModule", "config": {}}
PROMISED = {
    "messages": {"lifetime": "1y"},
    "local_media": {"lifetime": "90d"},
    "remote_media": {"lifetime": "14d"},
}


def retention(**config: Any) -> dict[str, Any]:  # noqa: ANN401 - as in YAML
    """The module's entry in homeserver.yaml."""
    return {"module": "synapse_bum.retention.RetentionModule", "config": config}


class ModuleTestCase(DeletionTestCase):
    """A homeserver with the promised lifetimes."""

    server: ClassVar[dict[str, Any]] = {"modules": [DELETING, retention(**PROMISED)]}

    def ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """Ask as the administrator, and get what is no error."""
        channel = self.make_request(method, f"{BASE}/{path}", body or {}, access_token=self.admin_token)
        assert channel.code in {HTTPStatus.OK, HTTPStatus.ACCEPTED}, channel.json_body
        answer: dict[str, Any] = channel.json_body
        return answer

    def let_pass(self, days: float) -> None:
        """Let days pass, with a look at what is due in the end."""
        self.reactor.advance(days * DAY_S)
        for _ in range(200):
            self.reactor.advance(0.5)

    def bodies(self, room_id: str) -> list[str]:
        """The texts that can be read in a room."""
        channel = self.make_request(
            "GET", f"/_matrix/client/v3/rooms/{room_id}/messages?dir=b&limit=100", access_token=self.alice_token
        )
        return [event["content"]["body"] for event in channel.json_body["chunk"] if "body" in event["content"]]


class PromiseTestCase(ModuleTestCase):
    def test_each_class_goes_when_its_time_is_over_and_not_before(self) -> None:
        room_id = self.helper.create_room_as(self.alice, tok=self.alice_token)
        self.helper.send(room_id, "the first", tok=self.alice_token)
        local, media_id = self.upload(b"local bytes"), "afar1"
        assert self.fetch(media_id).code == HTTPStatus.OK

        self.let_pass(13.9)
        assert self.fetch(media_id).code == HTTPStatus.OK
        self.let_pass(0.2)
        assert self.fetch(media_id).code == HTTPStatus.NOT_FOUND
        assert self.fetched == [media_id]

        self.let_pass(75.5)
        assert self.download(local).code == HTTPStatus.OK
        self.let_pass(0.6)
        assert self.download(local).code == HTTPStatus.NOT_FOUND
        assert not [path for path in self.store.rglob("*") if path.is_file()]

        self.helper.send(room_id, "the second", tok=self.alice_token)
        self.let_pass(274.5)
        assert self.bodies(room_id) == ["the second", "the first"]
        self.let_pass(1.1)
        assert self.bodies(room_id) == ["the second"]
        self.helper.send(room_id, "the third", tok=self.alice_token)

        deleted = self.ask("GET", "retention/deletions")
        assert [entry["kind"] for entry in deleted["deletions"]] == ["messages", "local_media", "remote_media"]
        assert {entry["policy"] for entry in deleted["deletions"]} == {
            "retention:messages",
            "retention:local_media",
            "retention:remote_media",
        }
        assert all(entry["done_ts"] for entry in deleted["deletions"])
        status = self.ask("GET", "retention/status")
        assert {name: measured["backlog_items"] for name, measured in status.items()} == dict.fromkeys(PROMISED, 0)

    def test_the_backlog_is_known_before_anything_ran(self) -> None:
        self.upload(b"local bytes")
        self.let_pass(0)
        self.execute_sql("UPDATE local_media_repository SET created_ts = ?", self.clock.time_msec() - 91 * DAY_S * 1000)
        status = self.ask("GET", "retention/status")["local_media"]
        assert (status["backlog_items"], status["backlog_bytes"]) == (1, len(b"local bytes"))
        assert status["oldest_age_ms"] >= 91 * DAY_S * 1000

    def execute_sql(self, sql: str, *parameters: object) -> None:
        self.get_success(self.hs.get_module_api().run_db_interaction("test", lambda txn: txn.execute(sql, parameters)))


class LogTestCase(ModuleTestCase):
    """With a deletion log."""

    def default_config(self) -> dict[str, Any]:
        folder = Path(self.mktemp())  # type: ignore[no-untyped-call]
        folder.mkdir(parents=True)
        self.log = folder.absolute() / "deletions.jsonl"
        config = super().default_config()
        config["modules"] = [DELETING, retention(**PROMISED, deletion_log_path=str(self.log))]
        return config

    def test_what_is_deleted_is_written_down_outside_of_the_database(self) -> None:
        room_id = self.helper.create_room_as(self.alice, tok=self.alice_token)
        self.helper.send(room_id, "a secret", tok=self.alice_token)
        local = self.upload(b"local bytes")
        self.let_pass(367)
        lines = [json.loads(line) for line in self.log.read_text().splitlines()]
        assert {(line["kind"], line["target"]) for line in lines} == {("local_media", local), ("messages", room_id)}
        assert "secret" not in self.log.read_text()


class OnlyMessagesTestCase(ModuleTestCase):
    server: ClassVar[dict[str, Any]] = {"modules": [DELETING, retention(messages={"lifetime": "1d"})]}

    def test_a_class_without_a_lifetime_is_left_alone(self) -> None:
        local = self.upload(b"local bytes")
        self.let_pass(1000)
        assert self.download(local).code == HTTPStatus.OK
        assert self.ask("GET", "retention/status")["local_media"]["lifetime_ms"] is None
        assert self.ask("GET", "retention/runs")["runs"][0]["classes"] == ["messages"]


class OnlyRemoteTestCase(ModuleTestCase):
    server: ClassVar[dict[str, Any]] = {"modules": [DELETING, retention(remote_media={"lifetime": "14d"})]}

    def test_it_knows_avatars_without_the_other_classes(self) -> None:
        assert self.fetch("afar1").code == HTTPStatus.OK
        self.let_pass(15)
        assert self.fetch("afar1").code == HTTPStatus.NOT_FOUND
        assert self.fetched == ["afar1"]
        assert SERVER in self.ask("GET", "retention/deletions")["deletions"][0]["target"]


class ContraryTestCase(ModuleTestCase):
    server: ClassVar[dict[str, Any]] = {
        "modules": [DELETING, retention(**PROMISED)],
        "media_retention": {"local_media_lifetime": "90d", "remote_media_lifetime": "14d"},
        "retention": {"enabled": True},
    }

    def make_homeserver(self, *reactor_and_clock: object) -> Any:  # noqa: ANN401 - Synapse's type
        with self.assertLogs("synapse_bum.retention", logging.WARNING) as logs:
            made = super().make_homeserver(*reactor_and_clock)
        self.said = "\n".join(logs.output)
        return made

    def test_settings_of_synapse_that_act_against_it_are_named(self) -> None:
        for key in (
            "retention.enabled",
            "media_retention.local_media_lifetime",
            "media_retention.remote_media_lifetime",
        ):
            assert f"`{key}" in self.said


class WithoutMediaRepositoryTestCase(HomeserverTestCase):
    """A process beside one that has the media repository: Synapse reads none of its settings there."""

    def default_config(self) -> dict[str, Any]:
        config: dict[str, Any] = super().default_config()
        return {**config, "enable_media_repo": False, "modules": [retention(**PROMISED)]}

    def test_the_module_starts(self) -> None:
        assert not self.hs.config.media.can_load_media_repo
        assert f"{BASE}" in self.hs._module_web_resources


class EmptyTestCase(ModuleTestCase):
    server: ClassVar[dict[str, Any]] = {"modules": [DELETING, retention()]}

    def test_without_any_lifetime_nothing_is_deleted_and_no_run_begins(self) -> None:
        local = self.upload(b"local bytes")
        self.let_pass(1000)
        assert self.download(local).code == HTTPStatus.OK
        assert self.ask("GET", "retention/runs")["total"] == 0
        channel = self.make_request("POST", f"{BASE}/retention/runs", {}, access_token=self.admin_token)
        assert channel.code == HTTPStatus.CONFLICT


def test_a_mistyped_key_stops_the_start() -> None:
    with pytest.raises(ConfigError, match="local_media"):
        RetentionModule.parse_config({"local_medai": {"lifetime": "90d"}})
