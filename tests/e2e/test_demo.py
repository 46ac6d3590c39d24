"""`synapse-bum demo` as people run it: what it prints, how it ends, and that it leaves nothing behind."""

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path

import attr
import pytest

from synapse_bum.cli.demo.story import STORY
from synapse_bum.testing.http_client import HttpClient

# The demo shows how many seconds things take, and has limits for them.
pytestmark = [pytest.mark.requires("clamd"), pytest.mark.alone]

DEMO = [sys.executable, "-m", "synapse_bum", "demo"]
TITLES = ["clamd starts", "Synapse starts with the modules", *(step.title for step in STORY)]


@attr.s(auto_attribs=True, frozen=True)
class Ended:
    """A demo that has ended."""

    status: int
    text: str
    errors: str
    seconds: float
    left: list[str]

    def marks(self) -> dict[str, str]:
        """The mark in front of each step's title."""
        steps = re.findall(r"^ (\S) +(\d+)  (.+?)  +[\d.]+ m?s$", self.text, re.MULTILINE)
        assert [int(number) for _, number, _ in steps] == list(range(1, len(steps) + 1))
        return {title: mark for mark, _, title in steps}


class Demo:
    """A demo that runs, with a folder of its own for temporary files."""

    def __init__(self, folder: Path, **environment: str) -> None:
        self.folder = folder
        self._started = time.monotonic()
        self.process = subprocess.Popen(
            DEMO,
            cwd=folder,
            env={**os.environ, "KEEP": "", "TMPDIR": str(folder), "PYTHONIOENCODING": "utf-8", **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._read: list[str] = []

    def read_until(self, words: str) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._read.append(line)
            if words in line:
                return
        raise AssertionError(f"the demo ended without saying {words!r}")

    def shown(self, name: str) -> str:
        """The value of `NAME=value` among the lines that were read."""
        (value,) = [line.strip().removeprefix(f"{name}=") for line in self._read if line.startswith(f"  {name}=")]
        return value

    def end(self, number: signal.Signals | None = None) -> Ended:
        """Wait for the end, after sending a signal if one is given."""
        if number is not None:
            self.process.send_signal(number)
        rest, errors = self.process.communicate(timeout=300)
        seconds = time.monotonic() - self._started
        return Ended(self.process.returncode, "".join(self._read) + rest, errors, seconds, self.left())

    def left(self) -> list[str]:
        """Files in the folder, and processes that were started with a path in it."""
        processes = []
        for process in Path("/proc").glob("[0-9]*"):
            try:
                command = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode()
                where = str((process / "cwd").readlink())
            except OSError:
                continue  # it has just ended, or is somebody else's
            if str(self.folder) in command or where.startswith(f"{self.folder}/"):
                processes.append(command)
        return [*map(str, self.folder.iterdir()), *processes]

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()


@pytest.fixture(scope="module", autouse=True)
def _interrupts_are_heeded() -> Iterator[None]:
    """Have no child inherit that SIGINT is ignored, as it is in the background of a shell."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(scope="module")
def folders() -> Iterator[list[Path]]:
    made: list[Path] = []
    yield made
    for folder in made:
        shutil.rmtree(folder)


def a_folder(folders: list[Path]) -> Path:
    """Short, unlike pytest's own folders: a socket's path has at most 107 bytes."""
    folders.append(Path(tempfile.mkdtemp(prefix="bum-demo-")))
    return folders[-1]


@pytest.fixture
def starting(folders: list[Path]) -> Iterator[Demo]:
    """A demo whose clamd runs and whose Synapse is about to start."""
    demo = Demo(a_folder(folders))
    try:
        demo.read_until("clamd starts")
        yield demo
    finally:
        demo.close()


class TestTheDemo:
    @pytest.fixture(scope="class")
    def ended(self, folders: list[Path]) -> Iterator[Ended]:
        demo = Demo(a_folder(folders))
        try:
            yield demo.end()
        finally:
            demo.close()

    def test_every_step_is_as_promised(self, ended: Ended) -> None:
        assert ended.marks() == dict.fromkeys(TITLES, "✓"), ended.text
        assert f"\n{len(TITLES)} of {len(TITLES)} steps as promised, in " in ended.text
        assert (ended.status, ended.errors) == (0, "")

    @pytest.mark.parametrize(
        "pattern",
        [
            r"ClamAV \d+\.\S+ answers on a unix socket",
            r"(no|loaded this machine's) official signature base",
            r"Synapse \d+\.\d+\S* on SQLite, with synapse_bum \S+ loaded, serves http://127\.0\.0\.1:\d+",
            r"The administrator downloads the same bytes",
            r'Alice uploads the EICAR test file: HTTP 400, "Bad content"\.',
            r"uploads EICAR to it later: HTTP 400",
            r"a ZIP file with EICAR 3 levels deep inside it: HTTP 400",
            r"A file of 26 MiB begins with EICAR\. Asked directly, clamd says `OK`: .* Alice uploads it: HTTP 400",
            r"The ledger says [\d,]+ bytes of files .* A walk over the media folder says [\d,]+ bytes: the same",
            r"uploads 500,000 bytes more\. The ledger has grown by just that, and equals the disk again",
            r"@alice:\S+ has [\d,]+ bytes\. The 2 registered users bring 2,000,000,000 bytes to the pool",
            r"--users 960 --storage-gb 1000`: 1920\.00 \+ 16\.00 \+ 960\.00 = 2896\.00 EUR",
            r"preliminary: 2 users, 50 billed as the price list has it, 127\.00 EUR net",
            r"finds EICAR in files of up to 25 MiB\. It says OK, .* encrypted archives",
            r"one finding more: \S*(?i:eicar)\S*, uploaded by @alice:\S+, rejected\.",
            r'synapse_bum_antivirus_scans_total\{result="infected",source="upload"\} \d+',
            r"INFO synapse_bum\.\S+ .*mxc://",
            r"A dry run would delete 1 file, 100,000 bytes, and names it: mxc://\S+ Nothing is deleted",
            r"deletes all that is expired by now: \d file\(s\) and 1 message\(s\)",
            r"off the disk \d\.\d s later; the younger one is served\. The old message is gone",
            r"nothing is overdue in any class",
            r"A run leaves it alone\. Alice can't delete it herself either: HTTP 409",
            r"The hold is lifted, and the next run deletes the file",
            r"It is no partner: its signed request is answered with HTTP 403, and Alice's look-up .* with HTTP 403\.",
            r"One request makes it a partner\. Alice invites Bob to a room; he joins and reads her message\.",
            r"One request removes it\. Bob is out of the room, and its signed request is answered with HTTP 403",
            r"It is connected over OpenID Connect with an identity provider, http://127\.0\.0\.1:\d+\.",
            r"`jürgen\.groß` signs in: he is @juergen\.gross:localhost:\d+, and is called Jürgen Groß\.",
            r"Somebody else is `juergen\.gross` there\. He is @juergen\.gross-\w+:localhost:\d+, at his next login too",
            r"does not get Alice's account, which was here before: she is @alice-\w+:localhost:\d+\.",
            r"Erika gets the role `messenger-admin`\. At her next login she is an administrator\.",
            r"As `erika\.neu` she is @erika\.muster:localhost:\d+ as before, an ordinary user\.",
            r"The audit names `idp:keycloak` as who gave and took the right\.",
            r"Somebody without the role who was appointed by hand stays an administrator, at his next login too\.",
            r"session at the identity provider is ended there\. Her device is out at once: HTTP 401\.",
            r"SCIM's `active: false`, and her device is out at once: HTTP 401\. .* the homeserver does not: HTTP 400\.",
            r"The audit names `scim:keycloak`\. With `active: true` she is back, with the account that she had\.",
            r"Four outages of \d{4}-\d\d are entered: .* counts 40 outage minutes, 30 excused ones, .* all 75",
            r"\(\d\d,\d{3} - 40\) / \d\d,\d{3} = 99\.\d{6}%, as anybody can calculate again\.",
            r'On `messenger\.example` there is no portal: HTTP 404\. .* there is one, in German: "Anmelden"\.',
            r'Norbert, an ordinary user with the right password, reads "Kein Zugang"\.',
            r'Ada, an administrator, logs in and sees "Nutzer" with all accounts, Alice among them\.',
            r"She logs out\. Whoever had copied her cookie before gets HTTP 401\.",
            r"clamd is killed, as in a crash\. Alice uploads a clean file: HTTP 400",
            r"clamd is started again .* EICAR is refused as before: HTTP 400",
            r"Homeserver http://127\.0\.0\.1:\d+ Admin API http://\S+/_synapse/client/bum/v1 ",
            r" Metrics http://127\.0\.0\.1:\d+/_synapse/metrics Identity provider http://127\.0\.0\.1:\d+ ",
        ],
    )
    def test_it_says_what_happened(self, ended: Ended, pattern: str) -> None:
        assert re.search(pattern, " ".join(ended.text.split())), ended.text

    def test_its_output_suits_a_file(self, ended: Ended) -> None:
        assert max(map(len, ended.text.splitlines())) <= 100
        assert "\x1b" not in ended.text
        assert "\r" not in ended.text

    def test_it_takes_minutes_at_most(self, ended: Ended) -> None:
        if "loaded this machine's official" in ended.text:
            pytest.skip("clamd loads the official signatures twice, which takes as long as it takes")
        took = re.search(r"Synapse starts with the modules +([\d.]+) s$", ended.text, re.MULTILINE)
        assert took is not None
        # Most of it is work for the processor: the quickest machine starts Synapse, which is done twice, in 3 s.
        assert ended.seconds < max(60, 30 * float(took[1]))

    def test_it_leaves_nothing_behind(self, ended: Ended) -> None:
        assert ended.left == []


class TestADemoThatFails:
    """On a machine whose clamd looks no deeper than two levels into archives, and says OK to what is below."""

    BROKEN = "Archives are unpacked"

    @pytest.fixture(scope="class")
    def folder(self, folders: list[Path]) -> Path:
        folder = a_folder(folders)
        clamd = folder / "clamd"
        clamd.write_text(f'#!/bin/sh\necho MaxRecursion 2 >>"$2"\nexec {shutil.which("clamd")} "$@"\n')
        clamd.chmod(0o755)
        return folder

    @pytest.fixture(scope="class")
    def kept(self, folder: Path, folders: list[Path]) -> Iterator[Demo]:
        demo = Demo(a_folder(folders), KEEP="1", PATH=os.pathsep.join([str(folder), os.environ["PATH"]]))
        try:
            demo.read_until("Running until Ctrl-C")
            yield demo
        finally:
            demo.close()

    def test_it_keeps_running_when_asked_to(self, kept: Demo) -> None:
        api = HttpClient(kept.shown("API"), kept.shown("TOKEN"))
        assert api.get("/_synapse/client/bum/v1/antivirus/status").status == HTTPStatus.OK

    def test_ctrl_c_ends_it_and_the_status_tells_of_the_failure(self, kept: Demo) -> None:
        ended = kept.end(signal.SIGINT)
        marks = ended.marks()
        assert marks == {**dict.fromkeys(TITLES, "✓"), self.BROKEN: "✗"}, ended.text
        assert "The upload was answered with HTTP 200, not with 400." in ended.text
        number = TITLES.index(self.BROKEN) + 1
        assert f"{len(TITLES) - 1} of {len(TITLES)} steps as promised" in ended.text
        assert f"Not as promised: {number} ({self.BROKEN})." in ended.text
        assert (ended.status, ended.errors) == (1, "")
        assert ended.left == []


def test_ctrl_c_in_the_middle_stops_everything_without_a_traceback(starting: Demo) -> None:
    time.sleep(0.5)
    ended = starting.end(signal.SIGINT)
    assert (ended.status, ended.errors) == (130, "\nsynapse-bum: interrupted\n")
    assert ended.left == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_nothing_outlives_a_demo_that_is_killed(starting: Demo, number: signal.Signals) -> None:
    time.sleep(0.5)
    assert starting.left()
    starting.end(number)
    deadline = time.monotonic() + 60
    while starting.left() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert starting.left() == []
