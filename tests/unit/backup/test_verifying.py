"""The proof: what is served must be what was saved, by a server that does nothing else."""

import json
from pathlib import Path

import attr
import pytest

from synapse_bum.cli.backup import verifying
from synapse_bum.cli.backup.failure import BackupError
from synapse_bum.cli.backup.scratch_server import ScratchServer, scratch_config
from synapse_bum.homeserver.dump_contents import FileSample, MessageSample, fingerprint_of

CONTENT = {"msgtype": "m.text", "body": "Guten Morgen"}
MESSAGE = MessageSample("$e", "!r", "@a:m.example", fingerprint_of(CONTENT))
FILE = FileSample("f", "@a:m.example", "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824")  # hello
LIVELY = {
    "server_name": "m.example",
    "public_baseurl": "https://m.example/",
    "modules": [{"module": "synapse_bum.retention.RetentionModule", "config": {}}],
    "listeners": [{"port": 8008, "type": "http", "resources": [{"names": ["client", "federation"]}]}],
    "instance_map": {"main": {"host": "localhost", "port": 9093}},
    "redis": {"enabled": True},
    "email": {"smtp_host": "mail.example"},
    "app_service_config_files": ["/bridge.yaml"],
    "oidc_providers": [{"issuer": "https://idp.example/"}],
    "matrix_authentication_service": {"enabled": True},
    "media_storage_providers": [{"module": "s3"}],
    "media_retention": {"local_media_lifetime": "1d"},
    "retention": {"enabled": True},
    "sentry": {"dsn": "https://sentry.example/"},
    "auto_join_rooms": ["#a:m.example"],
}


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Answering(ScratchServer):
    """One that answers everything the same."""

    answer: tuple[int, bytes]

    def get(self, path: str, token: str) -> tuple[int, bytes]:  # noqa: ARG002 - as it is
        return self.answer


def answering(status: int, body: bytes) -> Answering:
    return Answering(Path("/nowhere"), (status, body))


def test_what_is_served_as_it_was_is_proved() -> None:
    verifying._expect_message(answering(200, json.dumps({"content": CONTENT}).encode()), MESSAGE, "t")
    verifying._expect_file(answering(200, b"hello"), "m.example", FILE, "t")


@pytest.mark.parametrize(
    ("status", "body", "sentence"),
    [
        (404, b"{}", "answers 404 for the message"),
        (200, b'{"content": {"body": "x"}}', "the message .* is not what it was"),
        (200, b"{}", "the message .* is not what it was"),
    ],
)
def test_another_message_is_no_proof(status: int, body: bytes, sentence: str) -> None:
    with pytest.raises(BackupError, match=sentence):
        verifying._expect_message(answering(status, body), MESSAGE, "t")


@pytest.mark.parametrize(
    ("status", "body", "sentence"),
    [(404, b"{}", "answers 404 for the file"), (200, b"hellp", "the file f is not what it was")],
)
def test_another_file_is_no_proof(status: int, body: bytes, sentence: str) -> None:
    with pytest.raises(BackupError, match=sentence):
        verifying._expect_file(answering(status, body), "m.example", FILE, "t")


def test_the_server_of_the_proof_reaches_nobody_and_nobody_reaches_it(tmp_path: Path) -> None:
    database = {"name": "sqlite3", "args": {"database": "/scratch.db"}}
    config = scratch_config(
        LIVELY,
        folder=tmp_path,
        media=tmp_path / "m",
        providers=[tmp_path / "p"],
        database=database,
        signing_key=tmp_path,
    )
    shared = {name for name in LIVELY if config.get(name) == LIVELY[name]}
    assert shared == {"server_name"}
    assert [set(one) for one in config["listeners"]] == [{"path", "type", "resources"}]
    assert config["modules"] == []
    assert [one["config"] for one in config["media_storage_providers"]] == [{"directory": str(tmp_path / "p")}]
    assert config["federation_domain_whitelist"] == []
    assert config["start_pushers"] is False
    assert config["send_federation"] is False
    assert not {"redis", "email", "instance_map", "app_service_config_files", "oidc_providers"} & set(config)
