"""`synapse-bum provision --first-admin`: what is said when there is no homeserver that could make the account."""

import contextlib
import http.server
import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import attr
import pytest
import yaml

from synapse_bum.cli import main
from synapse_bum.cli.check.configuration import ConfigurationError
from synapse_bum.cli.provision import attempts, first_admin
from synapse_bum.cli.provision.attempts import Attempt, refusal
from synapse_bum.cli.provision.first_admin import FirstAdminError, NewAdmin, Wish, make_first_admin
from synapse_bum.cli.provision.registering import LostAnswerError, RegistrationError, register_admin
from synapse_bum.testing.local_server import LOOPBACK, free_port


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ({}, "has no `registration_shared_secret_path`"),
        ({"registration_shared_secret_path": "/nowhere"}, "/nowhere"),
        ({"registration_shared_secret": "x"}, "names no database"),
        ({"registration_shared_secret": "x", "server_name": None}, "has no `server_name`"),
        ({"registration_shared_secret": "x", "listeners": []}, "name --url"),
        (
            {"registration_shared_secret": "x", "database": {"name": "sqlite3", "args": {"database": "/nowhere.db"}}},
            "Synapse makes its tables at its first start",
        ),
    ],
)
def test_a_first_administrator_needs_a_homeserver(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: dict[str, Any], sentence: str
) -> None:
    path = tmp_path / "homeserver.yaml"
    listener = {"port": 8008, "resources": [{"names": ["client"]}]}
    path.write_text(yaml.safe_dump({"server_name": "amt.example", "listeners": [listener], **content}))
    assert main(["provision", "--first-admin", "leitung", "-c", str(path)]) == 1
    said = capsys.readouterr()
    assert sentence in said.err
    assert said.out == ""


@pytest.mark.parametrize(
    ("email", "config", "sentence"),
    [
        ("leitung", {}, "--email must be one mail address"),
        ("leitung@amt.example", {}, "Synapse sends no mail"),
        (
            "leitung@amt.example",
            {"email": {"notif_from": "a@b.example"}, "password_config": {"enabled": False}},
            "nobody has a password on this server",
        ),
    ],
)
def test_a_password_by_mail_needs_mail(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], email: str, config: dict[str, Any], sentence: str
) -> None:
    path = tmp_path / "homeserver.yaml"
    path.write_text(yaml.safe_dump({"registration_shared_secret": "x", **config}))
    assert main(["provision", "--first-admin", "leitung", "--email", email, "-c", str(path)]) == 1
    assert sentence in capsys.readouterr().err


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("http://matrix.amt.example", "would cross the network in the clear"),
        ("HTTP://matrix.amt.example", "would cross the network in the clear"),
        ("http://127.0.0.1.amt.example", "would cross the network in the clear"),
        ("http://192.0.2.1:8008", "would cross the network in the clear"),
        ("ftp://matrix.amt.example", "must be an address such as `https://"),
        ("htps://matrix.amt.example", "must be an address such as `https://"),
        ("//matrix.amt.example", "must be an address such as `https://"),
        ("matrix.amt.example", "must be an address such as `https://"),
        ("https://[::1", "must be an address such as `https://"),
        ("https://", "must be an address such as `https://"),
        ("https://a.example:99999", "must be an address such as `https://"),
        ("https://a:b@a.example", "must be an address such as `https://"),
        ("https://a.example/there", "must be an address such as `https://"),
    ],
)
def test_a_password_goes_over_https_or_stays_on_this_machine(
    capsys: pytest.CaptureFixture[str], url: str, sentence: str
) -> None:
    options = ["--first-admin", "leitung", "-c", "homeserver.yaml", "--url", url]
    assert main(["provision", *options]) == 1
    said = capsys.readouterr()
    assert sentence in said.err
    assert said.out == ""


@pytest.mark.parametrize("url", ["ftp://127.0.0.1:1", "//127.0.0.1:1"])
def test_no_other_scheme_is_taken_for_plain_http(url: str) -> None:
    with pytest.raises(KeyError):
        register_admin(url, "secret", "leitung", "password")


def test_a_listener_of_another_machine_is_not_spoken_to_in_the_clear() -> None:
    listener = {"port": 8008, "bind_addresses": ["192.0.2.1"], "resources": [{"names": ["client"]}]}
    with pytest.raises(ConfigurationError, match=r"at 192\.0\.2\.1, which is not this machine"):
        first_admin._own_address({"listeners": [listener]})


class Answers(http.server.BaseHTTPRequestHandler):
    """Has nonces, and hangs up when an account is to be made."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b'{"nonce": "1"}')

    def do_POST(self) -> None:
        self.close_connection = True

    def log_message(self, *_: object) -> None:
        pass


def test_an_answer_that_is_lost_leaves_it_open() -> None:
    with http.server.HTTPServer((LOOPBACK, 0), Answers) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        with pytest.raises(LostAnswerError, match="Whether the account was made is not known"):
            register_admin(f"http://{LOOPBACK}:{server.server_address[1]}", "secret", "leitung", "password")
        server.shutdown()
        thread.join()


def test_nobody_answers() -> None:
    with pytest.raises(RegistrationError, match=r"start it, and run this again$"):
        register_admin(f"http://{LOOPBACK}:{free_port()}", "secret", "leitung", "password")


@pytest.mark.parametrize(
    ("listener", "expected"),
    [
        ({"port": 8008, "bind_addresses": ["0.0.0.0"]}, "http://127.0.0.1:8008"),  # noqa: S104 - binds nothing
        ({"port": 8008, "bind_addresses": ["::"]}, "http://[::1]:8008"),
        ({"port": 8008}, "http://127.0.0.1:8008"),
    ],
)
def test_the_homeservers_own_listener_is_found(listener: dict[str, Any], expected: str) -> None:
    others = [
        {"port": 1, "tls": True, "resources": [{"names": ["client"]}]},
        {"port": 2, "resources": []},
        {"path": "/a"},
    ]
    listeners = [*others, {**listener, "resources": [{"names": ["client", "federation"]}]}]
    assert first_admin._own_address({"listeners": listeners}) == expected


@attr.s(auto_attribs=True, frozen=True, slots=True)
class SmallHomeserver:
    """A database with accounts, homeserver.yaml, and somebody who answers as Synapse.

    Attributes:
        database: SQLite.
        config: homeserver.yaml.
        url: where the answers come from.
    """

    database: Path
    config: Path
    url: str

    def rows(self) -> list[tuple[str, str, str | None]]:
        """Action, target and what is new, of all audit rows."""
        with contextlib.closing(sqlite3.connect(self.database)) as connection:
            found: list[tuple[str, str, str | None]] = connection.execute(
                "SELECT action, target, new FROM synapse_bum_audit ORDER BY id"
            ).fetchall()
        return found

    def make(self, localpart: str, show: Callable[[NewAdmin], None] = lambda _account: None) -> list[str]:
        """Ask for an administrator."""
        return make_first_admin([self.config], Wish(localpart, None, self.url), show)


@contextlib.contextmanager
def a_homeserver(folder: Path, handler: type[http.server.BaseHTTPRequestHandler]) -> Iterator[SmallHomeserver]:
    database = folder / "homeserver.db"
    with contextlib.closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("CREATE TABLE users (name TEXT, admin INTEGER, deactivated INTEGER)")
        connection.execute("INSERT INTO users VALUES ('@former:amt.example', 1, 1), ('@user:amt.example', 0, 0)")
    config = {
        "server_name": "amt.example",
        "registration_shared_secret": "x",
        "email": {"notif_from": "a@b.example"},
        "database": {"name": "sqlite3", "args": {"database": str(database)}},
    }
    path = folder / "homeserver.yaml"
    path.write_text(yaml.safe_dump(config))
    with http.server.ThreadingHTTPServer((LOOPBACK, 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        yield SmallHomeserver(database, path, f"http://{LOOPBACK}:{server.server_address[1]}")
        server.shutdown()
        thread.join()


class Makes(Answers):
    """Makes the account."""

    status = 200

    def do_POST(self) -> None:
        made = {"user_id": "@leitung:amt.example", "access_token": "a-token"}
        self._answer(self.status, made if self.path.endswith("/register") else {})

    def do_PUT(self) -> None:
        self._answer(500, {"error": "Failed to add threepids"})

    def _answer(self, status: int, content: object) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(status)
        self.end_headers()
        self.wfile.write(json.dumps(content).encode())


def test_an_account_whose_address_was_refused_has_a_password_that_is_shown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with a_homeserver(tmp_path, Makes) as homeserver:
        options = ["-c", str(homeserver.config), "--url", homeserver.url]
        status = main(["provision", "--first-admin", "leitung", "--email", "anna@amt.example", *options])
        said = capsys.readouterr()
        rows = homeserver.rows()
    assert status == 1
    assert "Password, shown only now: " in said.out
    assert "the mail address was not written down (Failed to add threepids): the password above" in said.err
    assert [(action, target) for action, target, _new in rows] == [
        ("provision.first_admin_planned", "@leitung:amt.example"),
        ("provision.first_admin", "@leitung:amt.example"),
    ]
    assert "made by the command and shown once" in str(rows[1][2])


def make_admin(database: Path) -> None:
    with contextlib.closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("INSERT INTO users VALUES ('@leitung:amt.example', 1, 0)")


def test_whoever_is_killed_before_the_password_was_shown_leaves_a_trace_and_a_way_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pids: list[int] = []

    class Kills(Makes):
        def do_POST(self) -> None:
            make_admin(tmp_path / "homeserver.db")
            os.kill(pids[0], signal.SIGKILL)

    with a_homeserver(tmp_path, Kills) as homeserver:
        options = ["provision", "--first-admin", "leitung", "-c", str(homeserver.config), "--url", homeserver.url]
        # It begins when it is told to: its id has to be known to whoever kills it.
        waits = "import sys; sys.stdin.read(); from synapse_bum.cli import main; sys.exit(main(sys.argv[1:]))"
        with subprocess.Popen([sys.executable, "-c", waits, *options], stdin=subprocess.PIPE) as process:
            pids.append(process.pid)
        assert process.returncode == -signal.SIGKILL
        assert [row[:2] for row in homeserver.rows()] == [("provision.first_admin_planned", "@leitung:amt.example")]
        assert main(options) == 1
        assert len(homeserver.rows()) == 1
    sentence = capsys.readouterr().err
    assert "@leitung:amt.example is an administrator already, made by a run of this command at 2" in sentence
    assert "register_new_matrix_user --admin" in sentence


def test_a_password_that_could_not_be_shown_is_no_success(tmp_path: Path) -> None:
    def show(_account: NewAdmin) -> None:
        make_admin(tmp_path / "homeserver.db")
        raise BrokenPipeError

    with a_homeserver(tmp_path, Makes) as homeserver:
        with pytest.raises(FirstAdminError, match="its password could not be shown"):
            homeserver.make("leitung", show)
        assert [row[0] for row in homeserver.rows()] == ["provision.first_admin_planned"]
        with pytest.raises(FirstAdminError, match="perhaps nobody knows its password"):
            homeserver.make("zweite")


def test_of_two_at_once_only_one_makes_somebody(tmp_path: Path) -> None:
    refused: list[str] = []
    asked: list[str] = []

    class MakesTwo(Makes):
        def do_POST(self) -> None:
            asked.append(self.path)
            if len(asked) == 1:
                try:
                    homeserver.make("zweite")
                except FirstAdminError as error:
                    refused.append(str(error))
            super().do_POST()

    with a_homeserver(tmp_path, MakesTwo) as homeserver:
        assert homeserver.make("leitung") == []
        rows = homeserver.rows()
    assert [sentence.partition(",")[0] for sentence in refused] == [
        "another run of this command makes @leitung:amt.example"
    ]
    assert [row[0] for row in rows] == ["provision.first_admin_planned", "provision.first_admin"]


@pytest.mark.parametrize(("status", "account"), [(400, "not made"), (500, "not known"), (504, "not known")])
def test_who_was_refused_can_try_again_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, status: int, account: str
) -> None:
    monkeypatch.setattr(Makes, "status", status)
    with a_homeserver(tmp_path, Makes) as homeserver:
        with pytest.raises(FirstAdminError):
            homeserver.make("leitung")
        assert [json.loads(new or "{}") for *_row, new in homeserver.rows()] == [{}, {"account": account}]
        monkeypatch.setattr(Makes, "status", 200)
        assert homeserver.make("leitung") == []


def test_nobody_is_made_without_an_audit_row(tmp_path: Path) -> None:
    with a_homeserver(tmp_path, Makes) as homeserver:
        with contextlib.closing(sqlite3.connect(homeserver.database)) as connection, connection:
            connection.execute("CREATE TABLE synapse_bum_schema (component TEXT PRIMARY KEY, version BIGINT)")
            connection.execute("INSERT INTO synapse_bum_schema VALUES ('audit', 99)")
        shown: list[NewAdmin] = []
        with pytest.raises(FirstAdminError, match="install the newer synapse_bum"):
            homeserver.make("leitung", shown.append)
    assert shown == []


LEITUNG = "@leitung:amt.example"
NOW = 1_800_000_000_000


@pytest.mark.parametrize(
    ("administrators", "last", "expected"),
    [
        ([], None, None),
        ([], Attempt(LEITUNG, NOW, has_ended=True, is_unclear=True), None),
        ([], Attempt(LEITUNG, NOW - attempts.LONGEST_MS, has_ended=False, is_unclear=True), None),
        ([], Attempt(LEITUNG, NOW + attempts.LONGEST_MS, has_ended=False, is_unclear=True), None),
        ([], Attempt(LEITUNG, NOW - attempts.LONGEST_MS + 1, has_ended=False, is_unclear=True), "wait for its end"),
        (["@a:b"], None, "@a:b is an administrator already; whoever"),
        (
            ["@a:b"],
            Attempt(LEITUNG, NOW, has_ended=False, is_unclear=True),
            "@a:b is an administrator already; whoever",
        ),
        (
            [LEITUNG],
            Attempt(LEITUNG, NOW, has_ended=True, is_unclear=False),
            f"{LEITUNG} is an administrator already; ",
        ),
        (
            ["@a:b", LEITUNG],
            Attempt(LEITUNG, NOW, has_ended=True, is_unclear=True),
            "perhaps nobody knows its password",
        ),
    ],
)
def test_what_is_against_a_first_administrator(
    administrators: list[str], last: Attempt | None, expected: str | None
) -> None:
    said = refusal(administrators, last, NOW)
    assert said is None if expected is None else expected in (said or "")
