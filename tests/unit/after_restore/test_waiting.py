"""A process that does not see the log starts when somebody else has read it, and never before."""

from pathlib import Path

import pytest

from synapse_bum.after_restore import position
from synapse_bum.after_restore.reading import Part, UnusableLogError, Whence, read_part
from synapse_bum.after_restore.waiting import wait_for_writer
from synapse_bum.config import SetupError
from synapse_bum.testing.toy_server import ToyServer

PATH = Path("/nowhere/recovery.log")


def test_it_waits_until_log_and_database_agree() -> None:
    ends = iter([5, 5, 5, 9])
    slept: list[float] = []
    wait_for_writer(PATH, lambda: next(ends), sleep=slept.append)
    assert len(slept) == 3


def test_a_count_that_a_backup_brought_back_stops_the_start() -> None:
    with pytest.raises(UnusableLogError, match="the folder /nowhere is not there, and no other process"):
        wait_for_writer(PATH, lambda: 10**15, sleep=lambda _: None)


def test_a_server_without_the_folder_asks_the_database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server = ToyServer(tmp_path)
    server.log_path = tmp_path / "elsewhere" / "recovery.log"
    server.runs_background_tasks = False
    looks = 0

    def sleep(_seconds: float) -> None:
        nonlocal looks
        looks += 1

    monkeypatch.setattr("synapse_bum.after_restore.waiting.time.sleep", sleep)
    monkeypatch.setattr("synapse_bum.after_restore.log.wait_for_writer", _with(sleep))
    with pytest.raises(SetupError, match="start it first"):
        server.start()
    assert looks == 4


def test_the_process_that_writes_does_not_wait(tmp_path: Path) -> None:
    server = ToyServer(tmp_path)
    server.log_path = tmp_path / "elsewhere" / "recovery.log"
    with pytest.raises(SetupError, match="is not there; it is not made"):
        server.start()


class Story:
    """A process that writes, and one on another machine, which has no folder."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.writer = ToyServer(folder)
        self.writer.start()
        for key in ("a", "b"):
            self.writer.put(key, "open")
        self.writer.turn()
        self.backup = self.writer.backup()
        self.writer.put("a", "closed")
        self.writer.turn()
        self.elsewhere = ToyServer(folder)
        self.elsewhere.log_path = folder / "elsewhere" / "recovery.log"
        self.elsewhere.runs_background_tasks = False
        self._patch = monkeypatch

    def start_elsewhere(self, meanwhile: list[object]) -> None:
        """Starts the other process; while it waits one thing after the other happens."""
        steps = iter(meanwhile)

        def sleep(_seconds: float) -> None:
            step = next(steps, None)
            if callable(step):
                step()

        self._patch.setattr("synapse_bum.after_restore.log.wait_for_writer", _with(sleep))
        self.elsewhere.start()


@pytest.fixture
def story(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Story:
    return Story(tmp_path, monkeypatch)


def test_it_starts_once_the_writer_was_started_and_has_replayed(story: Story) -> None:
    story.writer.restore(story.backup)
    story.start_elsewhere([None, story.writer.start, story.writer.turn])
    assert story.elsewhere.things == {"a": "closed", "b": "open"}


def test_a_start_of_the_writer_alone_is_not_enough(story: Story) -> None:
    with pytest.raises(SetupError, match="start it first"):
        story.start_elsewhere([story.writer.start])


def test_a_writer_whose_database_was_restored_under_it_says_nothing(story: Story) -> None:
    """It renews its lease at each turn, and refuses to go on."""

    def turn() -> None:
        with pytest.raises(Exception, match="that this database has never written"):
            story.writer.turn()

    story.writer.restore(story.backup)
    with pytest.raises(SetupError, match="start it first"):
        story.start_elsewhere([turn, turn, turn])
    assert story.elsewhere.things == {"a": "open", "b": "open"}


def test_a_turn_that_has_seen_another_database_says_nothing(story: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    """It has read both, and the database is restored before it says so."""

    def restored(path: Path, whence: Whence, *, may_be_empty: bool) -> Part:
        part = read_part(path, whence, may_be_empty=may_be_empty)
        story.writer.restore(story.backup)
        return part

    monkeypatch.setattr("synapse_bum.after_restore.writer.read_part", restored)

    def turn() -> None:
        with pytest.raises(position.OvertakenError):
            story.writer.turn()

    with pytest.raises(SetupError, match="start it first"):
        story.start_elsewhere([turn])


def test_a_process_with_the_folder_that_starts_first_replays_itself(story: Story) -> None:
    story.writer.restore(story.backup)
    worker = ToyServer(story.writer.log_path.parent)
    worker.runs_background_tasks = False
    worker.start()
    assert worker.things == {"a": "closed", "b": "open"}
    story.writer.start()
    story.writer.turn()
    assert len(story.writer.rows("SELECT * FROM synapse_bum_audit")) == 1


def _with(sleep: object) -> object:
    def wait(path: Path, look: object) -> None:
        wait_for_writer(path, look, sleep=sleep, wait_s=2)  # type: ignore[arg-type]

    return wait
