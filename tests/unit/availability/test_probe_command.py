"""`synapse-bum probe` against a homeserver that misbehaves: what it says, what it keeps, what it delivers."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synapse_bum.cli import main
from synapse_bum.cli.probe import command as probe_command
from synapse_bum.cli.probe.clock import offset_ms
from synapse_bum.cli.probe.delivery import BATCH
from synapse_bum.cli.probe.journal import Journal
from synapse_bum.cli.probe.matrix import server_of
from synapse_bum.cli.probe.result import Result, State
from synapse_bum.testing.fake_chat import FakeChat
from synapse_bum.testing.local_server import free_port


@pytest.fixture
def chat() -> Iterator[FakeChat]:
    with FakeChat() as server:
        yield server


class Probe:
    """The command with its files in a folder."""

    def __init__(self, folder: Path, url: str) -> None:
        for name, secret in (("a", "a"), ("b", "b"), ("report", "report-secret")):
            (folder / name).write_text(f"{secret}\n")
        self.folder = folder
        self.state = folder / "state"
        self.arguments = ["probe", "--url", url, "--state", str(self.state), "--timeout", "1s"]
        self.arguments += ["--token-file", str(folder / "a"), "--token-file", str(folder / "b")]
        self.reporting = ["--report-token-file", str(folder / "report")]

    def run(self, *more: str) -> int:
        return main([*self.arguments, *self.reporting, *more])

    def kept(self) -> list[Result]:
        return Journal(self.state / "journal.jsonl").read()


@pytest.fixture
def probe(chat: FakeChat, tmp_path: Path) -> Probe:
    return Probe(tmp_path, chat.base_url)


def test_a_good_try_is_delivered_at_once(probe: Probe, chat: FakeChat, capsys: pytest.CaptureFixture[str]) -> None:
    assert probe.run() == 0
    assert " ok, direct " in capsys.readouterr().out
    ((delivered,),) = [body["results"] for body in chat.delivered]
    assert (delivered["state"], delivered["step"]) == ("ok", None)
    assert delivered["direct_ms"] is not None
    assert delivered["group_ms"] is not None
    assert abs(delivered["clock_offset_ms"]) < 2_000
    assert probe.kept() == []
    assert probe.run() == 0
    assert sum("createRoom" in path for path in chat.paths) == 2


@pytest.mark.parametrize(
    ("path", "status", "expected"),
    [
        ("/whoami", 502, "failed at login: HTTP 502 M_FAKE"),
        ("/whoami", 401, "unknown at login: HTTP 401 M_FAKE"),
        ("/send/", 500, "failed at direct_send: HTTP 500 M_FAKE"),
        ("/send/", 429, "unknown at direct_send: HTTP 429 M_FAKE"),
        ("/sync", 504, "failed at direct_receive: HTTP 504 M_FAKE"),
        ("/createRoom", 500, "unknown at rooms: HTTP 500 M_FAKE"),
    ],
)
def test_what_fails_is_named(
    probe: Probe, chat: FakeChat, capsys: pytest.CaptureFixture[str], path: str, status: int, expected: str
) -> None:
    if path != "/createRoom":
        assert probe.run() == 0
    chat.statuses[path] = status
    # What is the probe's own fault has a status of its own: a unit takes the other for a result.
    assert probe.run() == (3 if expected.startswith("unknown") else 1)
    assert expected in capsys.readouterr().out
    assert chat.delivered[-1]["results"][-1]["state"] == expected.split(maxsplit=1)[0]


def test_a_message_that_does_not_come_is_a_failure(
    probe: Probe, chat: FakeChat, capsys: pytest.CaptureFixture[str]
) -> None:
    chat.loses_messages = True
    assert probe.run() == 1
    assert "failed at direct_receive: " in capsys.readouterr().out


def test_results_are_kept_while_the_server_is_away_and_delivered_when_it_is_back(
    probe: Probe, chat: FakeChat, capsys: pytest.CaptureFixture[str]
) -> None:
    url, probe.arguments[2] = probe.arguments[2], f"http://127.0.0.1:{free_port()}"
    for _ in range(3):
        assert probe.run() == 1
    assert "failed at login: Connection refused" in capsys.readouterr().out
    assert [(result.state, result.clock_offset_ms) for result in probe.kept()] == [(State.FAILED, None)] * 3
    probe.arguments[2] = url
    chat.statuses["availability/probes"] = 503
    assert probe.run() == 0
    # Now a server has told the time: whether the clock was right is known of all.
    assert all(result.clock_offset_ms is not None for result in probe.kept())
    assert len(probe.kept()) == 4
    del chat.statuses["availability/probes"]
    assert probe.run() == 0
    (body,) = chat.delivered
    assert [result["state"] for result in body["results"]] == ["failed"] * 3 + ["ok"] * 2
    assert len({result["probe_id"] for result in body["results"]}) == 5
    assert probe.kept() == []


def test_many_results_go_in_batches(probe: Probe, chat: FakeChat) -> None:
    probe.state.mkdir()
    journal = Journal(probe.state / "journal.jsonl")
    for number in range(BATCH + 5):
        journal.append(Result(f"p{number}", number, State.FAILED, clock_offset_ms=0))
    assert probe.run() == 0
    assert [len(body["results"]) for body in chat.delivered] == [BATCH, 6]


def test_a_wrong_clock_is_told(probe: Probe, chat: FakeChat, capsys: pytest.CaptureFixture[str]) -> None:
    chat.ahead_s = -45
    assert probe.run() == 0
    assert "clock of this machine is wrong by 4" in capsys.readouterr().err
    assert chat.delivered[0]["results"][0]["clock_offset_ms"] > 30_000


def test_where_nobody_is_reached_the_fault_is_here(
    probe: Probe, chat: FakeChat, capsys: pytest.CaptureFixture[str]
) -> None:
    probe.arguments[2] = f"http://127.0.0.1:{free_port()}"
    assert probe.run("--reference-url", f"http://127.0.0.1:{free_port()}") == 3
    assert "unknown at login: Connection refused; the reference is not reached either" in capsys.readouterr().out
    chat.statuses["/"] = 404
    assert probe.run("--reference-url", chat.base_url) == 1
    assert "failed at login: Connection refused\n" in capsys.readouterr().out


def test_passwords_are_used_once(probe: Probe, chat: FakeChat) -> None:
    probe.arguments = probe.arguments[:7]
    passwords = [part for name in "ab" for part in ("--password-file", f"@{name}:fake={probe.folder / name}")]
    for _ in range(2):
        assert probe.run(*passwords) == 0
    assert sum("/login" in path for path in chat.paths) == 2
    token = probe.state / "token-1.json"
    assert token.stat().st_mode & 0o777 == 0o600
    token.write_text(json.dumps({"user_id": "@a:fake", "token": "expired"}))
    assert probe.run(*passwords) == 0
    assert sum("/login" in path for path in chat.paths) == 3


@pytest.mark.parametrize(
    ("status", "said"),
    [(401, "does not know the token"), (404, "has no synapse_bum.availability"), (400, "does not take the results")],
)
def test_a_server_that_does_not_take_results_is_named(
    probe: Probe, chat: FakeChat, capsys: pytest.CaptureFixture[str], status: int, said: str
) -> None:
    chat.statuses["availability/probes"] = status
    assert probe.run() == 0
    printed = capsys.readouterr()
    assert said in printed.err
    assert "report-secret" not in printed.err + printed.out
    assert len(probe.kept()) == 1


def test_without_a_secret_results_are_kept(probe: Probe, chat: FakeChat) -> None:
    probe.reporting = []
    assert probe.run() == 0
    assert len(probe.kept()) == 1
    assert chat.delivered == []


def test_two_probes_do_not_share_a_folder(probe: Probe, capsys: pytest.CaptureFixture[str]) -> None:
    with probe_command._alone(probe.state):
        assert probe.run() == 2
    assert "another probe uses" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--token-file", "/nowhere"], "two accounts are needed, not 3"),
        (["--report-token-file", "/nowhere"], "/nowhere: No such file or directory"),
        (["--every", "1s"], "--timeout must be shorter than --every"),
        (["--url", "http://matrix.messenger.example"], "use https"),
        (["--url", "matrix.messenger.example"], "no address of a server"),
        (["--url", "https://user:pass@matrix.messenger.example"], "no password"),
        (["--url", "https://matrix.messenger.example/_matrix"], "no address of a server"),
        (["--password-file", "probe-a=/x"], "must be a user id and a file"),
        (["--state", "/dev/null/x"], "--state /dev/null/x: "),
    ],
)
def test_wrong_options_are_named(
    probe: Probe, capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    assert probe.run(*arguments) == 2
    assert said in capsys.readouterr().err


def test_a_missing_token_is_the_probes_own_fault(probe: Probe, capsys: pytest.CaptureFixture[str]) -> None:
    (probe.folder / "b").unlink()
    assert probe.run() == 3
    assert "unknown at login: " in capsys.readouterr().out


class TestJournal:
    def test_a_line_that_a_crash_cut_off_spoils_nothing(self, tmp_path: Path) -> None:
        path = tmp_path / "journal.jsonl"
        journal, whole = Journal(path), Result("a", 1, State.OK)
        journal.append(whole)
        path.write_bytes(path.read_bytes() + b'{"probe_id": "b", "ts"')
        assert journal.read() == [whole]
        journal.append(Result("c", 3, State.OK))
        assert [result.probe_id for result in journal.read()] == ["a", "c"]
        journal.remove({"a"})
        assert [result.probe_id for result in journal.read()] == ["c"]

    @given(st.binary(max_size=200))
    def test_whatever_stands_in_the_file_is_read_without_an_error(self, content: bytes) -> None:
        assert all(isinstance(result, Result) for result in _read(content))

    def test_a_clock_that_is_known_stays(self, tmp_path: Path) -> None:
        journal = Journal(tmp_path / "journal.jsonl")
        journal.append(Result("a", 1, State.OK, clock_offset_ms=40_000))
        journal.append(Result("b", 2, State.FAILED))
        journal.settle_clock(5)
        assert [result.clock_offset_ms for result in journal.read()] == [40_000, 5]


def _read(content: bytes) -> list[Result]:
    class Content:
        def read_bytes(self) -> bytes:
            return content

    journal = Journal(Path("/nowhere"))
    journal._path = Content()  # type: ignore[assignment] # what `read` needs of a path
    return journal.read()


def test_the_clock_is_compared_with_the_middle_of_the_request() -> None:
    date = "Mon, 15 Jun 2026 10:00:00 GMT"
    theirs = 1_781_517_600_000
    assert offset_ms(date, theirs + 400, theirs + 600) == 0
    assert offset_ms(date, theirs + 40_400, theirs + 40_600) == 40_000
    assert offset_ms(None, 0, 0) is None
    assert offset_ms("yesterday", 0, 0) is None


@pytest.mark.parametrize("url", ["https://a.example", "https://a.example:8448/", "http://[::1]:8008"])
def test_addresses_of_servers(url: str) -> None:
    assert server_of(url).hostname


def test_the_command_runs_where_no_synapse_is_installed() -> None:
    """It lives on another machine than the homeserver."""
    program = (
        "import sys; sys.modules.update(dict.fromkeys("
        "('synapse', 'twisted', 'cryptography', 'immutabledict', 'jinja2', 'prometheus_client', 'typing_extensions')));"
        " from synapse_bum.cli import main; sys.exit(main(['probe', '--help']))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
