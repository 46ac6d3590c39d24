"""The console script: what it answers without starting a server, and how the demo plays, counts and prints."""

import io
import itertools
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from synapse_bum import __version__
from synapse_bum.cli import COMMANDS, main
from synapse_bum.cli.command import Command
from synapse_bum.cli.demo import playing, scanner
from synapse_bum.cli.demo.performance import Performance
from synapse_bum.cli.demo.playing import perform
from synapse_bum.cli.demo.promise import BrokenPromiseError, require, wait_until
from synapse_bum.cli.demo.records import silent_passes
from synapse_bum.cli.demo.report import WIDTH, Report, duration
from synapse_bum.cli.demo.scanner import ChosenClamd, choose_clamd
from synapse_bum.cli.demo.story import STORY
from synapse_bum.cli.demo.uploads import refusal
from synapse_bum.testing import clamd as clamd_launcher
from synapse_bum.testing.clamd import RealClamd
from synapse_bum.testing.http_client import Response
from synapse_bum.testing.local_server import ServerError


@pytest.fixture(autouse=True)
def path_stays_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """The demo extends PATH for its process, which is the one of all tests here."""
    monkeypatch.setenv("PATH", "/usr/bin:/bin")


def a_command(run: Callable[[], int], name: str = "example") -> Command:
    return Command(name, "an example", "An example.", lambda _parser: None, lambda _options: run())


class TestMain:
    def test_help_lists_every_command(self, capsys: pytest.CaptureFixture[str]) -> None:
        with pytest.raises(SystemExit) as end:
            main(["--help"])
        assert end.value.code == 0
        words = " ".join(capsys.readouterr().out.split())
        assert words.startswith("usage: synapse-bum")
        assert all(f"{command.name} {command.summary}" in words for command in COMMANDS)

    @pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)
    def test_each_command_explains_itself(self, command: Command, capsys: pytest.CaptureFixture[str]) -> None:
        with pytest.raises(SystemExit) as end:
            main([command.name, "--help"])
        assert end.value.code == 0
        assert command.description.split()[0] in capsys.readouterr().out

    def test_version(self, capsys: pytest.CaptureFixture[str]) -> None:
        with pytest.raises(SystemExit) as end:
            main(["--version"])
        assert end.value.code == 0
        assert capsys.readouterr().out == f"synapse-bum {__version__}\n"

    @pytest.mark.parametrize(
        ("word", "sentence"),
        [
            ("dmeo", "there is no command `dmeo`; did you mean `demo`?"),
            ("zzz", "the commands are: backup, check, demo, export-user, invoice"),
        ],
    )
    def test_an_unknown_command_ends_with_2_and_a_hint(
        self, word: str, sentence: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        with pytest.raises(SystemExit) as end:
            main([word])
        assert end.value.code == 2
        assert sentence in capsys.readouterr().err

    def test_an_unknown_option_ends_with_2(self, capsys: pytest.CaptureFixture[str]) -> None:
        with pytest.raises(SystemExit) as end:
            main(["demo", "--kep"])
        assert end.value.code == 2
        assert "--kep" in capsys.readouterr().err

    def test_without_a_command_it_shows_its_help_and_ends_with_2(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert main([]) == 2
        assert "demo" in capsys.readouterr().err

    def test_the_command_decides_about_the_exit_status(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("synapse_bum.cli.COMMANDS", (a_command(lambda: 1),))
        assert main(["example"]) == 1

    def test_ctrl_c_is_a_sentence_and_130(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        def interrupted() -> int:
            raise KeyboardInterrupt

        monkeypatch.setattr("synapse_bum.cli.COMMANDS", (a_command(interrupted),))
        assert main(["example"]) == 130
        assert capsys.readouterr().err == "\nsynapse-bum: interrupted\n"

    def test_python_m_is_the_same(self) -> None:
        command = [sys.executable, "-m", "synapse_bum"]
        version = subprocess.run([*command, "--version"], capture_output=True, text=True, check=True)
        assert version.stdout == f"synapse-bum {__version__}\n"
        unknown = subprocess.run([*command, "nonsense"], capture_output=True, text=True, check=False)
        assert unknown.returncode == 2
        names = ", ".join(command.name for command in COMMANDS)
        sentence = f"synapse-bum: error: there is no command `nonsense`; the commands are: {names}\n"
        assert unknown.stderr.endswith(sentence)

    def test_it_does_not_wait_for_synapse_before_it_knows_the_command(self) -> None:
        program = "import sys, synapse_bum.cli; sys.exit('synapse' in sys.modules)"
        assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0

    def test_a_reader_that_goes_away_is_no_traceback(self) -> None:
        program = (
            "import sys, synapse_bum.cli as cli\n"
            "from synapse_bum.cli.command import Command\n"
            "cli.COMMANDS = [Command('talk', '', '', lambda _: None, lambda _: print('x' * 10**6) or 0)]\n"
            "sys.exit(cli.main(['talk']))"
        )
        with subprocess.Popen(
            [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE
        ) as talking:
            assert talking.stdout is not None
            assert talking.stderr is not None
            talking.stdout.close()
            assert talking.stderr.read() == b""
        assert talking.returncode == 1


class TestDemoCommand:
    def test_a_missing_clamd_is_one_line_that_says_what_to_install(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setenv("PATH", str(tmp_path))
        monkeypatch.setattr(playing, "_SERVER_FOLDERS", ())
        assert main(["demo"]) == 1
        told = capsys.readouterr()
        assert told.out == ""
        assert len(told.err.splitlines()) == 1
        assert "apt-get install clamav-daemon" in told.err

    @pytest.mark.parametrize(
        ("arguments", "variable", "keep"),
        [
            ([], None, False),
            ([], "", False),
            ([], "0", False),
            ([], "1", True),
            (["--keep"], None, True),
            (["--keep"], "0", True),
        ],
    )
    @pytest.mark.parametrize("as_promised", [True, False])
    def test_option_and_environment_ask_to_keep_and_the_exit_status_tells(
        self,
        arguments: list[str],
        variable: str | None,
        *,
        keep: bool,
        as_promised: bool,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        asked: list[bool] = []

        def performed(_report: Report, *, keep: bool) -> bool:
            asked.append(keep)
            return as_promised

        monkeypatch.setattr(playing, "perform", performed)
        monkeypatch.setattr(RealClamd, "missing", staticmethod(lambda: None))
        monkeypatch.delenv("KEEP", raising=False)
        if variable is not None:
            monkeypatch.setenv("KEEP", variable)
        assert main(["demo", *arguments]) == (0 if as_promised else 1)
        assert asked == [keep]

    def test_a_clamd_that_does_not_start_fails_the_demo_and_leaves_nothing(self) -> None:
        made: list[RealClamd] = []

        class NoClamd(RealClamd):
            def start(self) -> None:
                raise ServerError("clamd ended with status 1 instead of serving; its last log lines:\n  ERROR: no luck")

        def choose() -> ChosenClamd:
            made.append(NoClamd())
            return ChosenClamd(made[0], "")

        printed = io.StringIO()
        assert perform(Report(printed), choose=choose) is False
        text = " ".join(printed.getvalue().split())
        assert "ERROR: no luck" in text
        assert f"0 of {2 + len(STORY)} steps as promised" in text
        assert "Not as promised: 1 (clamd starts). Not played, because they need the servers: " in text
        assert "Homeserver" not in text
        assert not made[0].directory.exists()


class TestChoiceOfClamd:
    @pytest.fixture
    def machine(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
        """Stands for the folder in which distributions keep the official signatures."""
        monkeypatch.setattr(clamd_launcher, "_SYSTEM_BASE", tmp_path)
        return tmp_path

    def sentence(self, *, real_base: bool) -> str:
        chosen = choose_clamd()
        try:
            loaded = {path.name for path in (chosen.clamd.directory / "signatures").iterdir()}
            assert loaded == ({"eicar.ndb", "daily.cvd", "main.cld"} if real_base else {"eicar.ndb"})
            return chosen.signatures
        finally:
            chosen.clamd.close()

    def test_a_machine_without_signatures_is_said_plainly(self, machine: Path) -> None:
        assert list(machine.iterdir()) == []
        assert self.sentence(real_base=False).startswith("This machine has no official signature base. Only the EICAR")

    def test_official_signatures_are_used_where_they_are(self, machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(scanner, "available_bytes", lambda: 2 << 30)
        for name in ("daily.cvd", "main.cld", "freshclam.dat"):
            (machine / name).touch()
        assert "official signature base: daily.cvd, main.cld." in self.sentence(real_base=True)

    def test_official_signatures_are_left_out_where_memory_is_short(
        self, machine: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(scanner, "available_bytes", lambda: (2 << 30) - 1)
        (machine / "daily.cvd").touch()
        assert "is left out, because less than 2 GiB" in self.sentence(real_base=False)

    def test_the_memory_of_this_machine_is_known(self) -> None:
        assert 1 << 20 < scanner.available_bytes() < 1 << 50


def played(*actions: Callable[[], Iterator[str]], clock: Callable[[], float] = lambda: 0.0) -> tuple[Performance, str]:
    printed = io.StringIO()
    performance = Performance(Report(printed), clock)
    for number, action in enumerate(actions, start=1):
        performance.play(f"Step {number}", "it works", action)
    return performance, printed.getvalue()


def fine() -> Iterator[str]:
    yield "Something happened."


def broken() -> Iterator[str]:
    yield "It began well."
    raise BrokenPromiseError("The upload was answered with HTTP 200, not with 400.")


def crashed() -> Iterator[str]:
    yield "It began well."
    raise ConnectionRefusedError(111, "Connection refused")


class TestPerformance:
    def test_a_step_as_promised(self) -> None:
        performance, text = played(fine, clock=itertools.count(step=0.031).__next__)
        assert performance.summary(1, 1.0) == "1 of 1 steps as promised, in 1.0 s."
        title, happened, proof, end, _ = text.split("\n")
        assert title == " ✓  1  Step 1" + "31 ms".rjust(WIDTH - 13)
        assert happened == "       Something happened."
        assert proof == "       Proves that it works."
        assert end == ""

    @pytest.mark.parametrize(
        ("action", "sentence"),
        [
            (broken, "The upload was answered with HTTP 200, not with 400."),
            (crashed, "ConnectionRefusedError: [Errno 111] Connection refused"),
        ],
    )
    def test_a_step_that_fails_is_told_and_the_next_ones_are_played(
        self, action: Callable[[], Iterator[str]], sentence: str
    ) -> None:
        performance, text = played(fine, action, fine)
        assert performance.summary(3, 1.0) == "2 of 3 steps as promised, in 1.0 s. Not as promised: 2 (Step 2)."
        assert [line[1] for line in text.splitlines() if " Step " in line] == ["✓", "✗", "✓"]
        assert f"       It began well.\n       {sentence}\n       Not proven: that it works.\n" in text
        assert "Traceback" not in text

    def test_steps_that_were_not_played_count(self) -> None:
        performance, _ = played(broken)
        assert performance.summary(13, 1.0) == (
            "0 of 13 steps as promised, in 1.0 s. Not as promised: 1 (Step 1)."
            " Not played, because they need the servers: 12."
        )

    def test_ctrl_c_is_no_failed_step(self) -> None:
        def interrupted() -> Iterator[str]:
            yield "It began."
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            played(interrupted)


class Terminal(io.StringIO):
    """A terminal."""

    def isatty(self) -> bool:
        return True


class AsciiFile(io.TextIOWrapper):
    """A stream that shows no more than ASCII, and complains."""

    def __init__(self) -> None:
        super().__init__(io.BytesIO(), encoding="ascii", errors="strict")

    def text(self) -> str:
        self.flush()
        assert isinstance(self.buffer, io.BytesIO)
        return self.buffer.getvalue().decode("ascii")


def report_everything(report: Report, text: str = "Everything.") -> None:
    report.paragraph(text, bold=True)
    report.step_begins(1, "A promise")
    report.step_ended(kept=True, happened=[text], proves="it works", seconds=0.5)
    report.step_begins(2, "Another")
    report.step_ended(kept=False, happened=[text], proves="it works", seconds=61)


class TestReport:
    def test_a_file_gets_no_escape_sequences(self) -> None:
        printed = io.StringIO()
        report_everything(Report(printed, {}))
        assert "\x1b" not in printed.getvalue()
        assert "\r" not in printed.getvalue()

    @pytest.mark.parametrize(
        ("environment", "coloured"),
        [({}, True), ({"NO_COLOR": ""}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)],
    )
    def test_a_terminal_gets_colours_unless_it_says_no(self, environment: dict[str, str], *, coloured: bool) -> None:
        printed = Terminal()
        report_everything(Report(printed, environment))
        assert ("\x1b[32m" in printed.getvalue()) is coloured
        assert ("\x1b[31m" in printed.getvalue()) is coloured

    def test_a_terminal_sees_what_is_being_done(self) -> None:
        printed = Terminal()
        Report(printed, {}).step_begins(3, "A promise")
        assert printed.getvalue() == "    3  A promise ..."

    def test_a_stream_without_check_marks_gets_plain_ones(self) -> None:
        stream = AsciiFile()
        report_everything(Report(stream, {}), "Café")
        text = stream.text()
        assert [line[:4] for line in text.splitlines() if line.startswith((" +", " x"))] == [" +  ", " x  "]
        assert "Caf?" in text

    @given(st.text())
    @example("https://messenger.example/" + "a" * 200)
    def test_no_line_is_wider_than_promised(self, text: str) -> None:
        printed = io.StringIO()
        report_everything(Report(printed, {}), text)
        assert max(map(len, printed.getvalue().split("\n"))) <= WIDTH <= 100

    @pytest.mark.parametrize(
        ("seconds", "text"), [(0.0004, "0 ms"), (0.031, "31 ms"), (1, "1.0 s"), (6.24, "6.2 s"), (61, "61.0 s")]
    )
    def test_durations(self, seconds: float, text: str) -> None:
        assert duration(seconds) == text


class TestPromises:
    def test_a_broken_promise_says_what_happened_instead(self) -> None:
        require(True, "unused")  # noqa: FBT003 - the condition of an assertion
        with pytest.raises(BrokenPromiseError, match=r"^The file is gone\.$"):
            require(False, "The file is gone.")  # noqa: FBT003 - the same

    def test_what_never_happens_ends_in_time(self) -> None:
        with pytest.raises(BrokenPromiseError, match=r"^The server did not answer within 0\.05 s\.$"):
            wait_until(lambda: False, 0.05, "The server did not answer")

    def test_what_happens_later_is_waited_for(self) -> None:
        answers = iter([False, False, True])
        assert 0.1 < wait_until(lambda: next(answers), 10, "unused") < 5

    @pytest.mark.parametrize("status", [200, 403, 413, 500, 502])
    def test_only_http_400_is_a_refusal(self, status: int) -> None:
        assert refusal(Response(400, {}, b'{"error": "Bad content"}')) == 'HTTP 400, "Bad content"'
        with pytest.raises(BrokenPromiseError, match=f"HTTP {status}, not with 400"):
            refusal(Response(status, {}, b"{}"))

    def test_silent_passes_are_said_in_words(self) -> None:
        self_test = {"eicar": "found", "encrypted_archive": "passed", "many_files": "refused", "new_probe": "passed"}
        assert silent_passes(self_test) == ["encrypted archives", "new probe"]

    def test_every_step_promises_something_else(self) -> None:
        assert len({step.title for step in STORY}) == len({step.proves for step in STORY}) == len(STORY)
        assert all(not (step.title + step.proves).endswith(".") for step in STORY)
