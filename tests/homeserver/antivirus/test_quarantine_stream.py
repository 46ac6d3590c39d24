"""Synapse's own stream of quarantined media learns of what we block and release, whoever may write it."""

from collections.abc import Mapping
from typing import Any, ClassVar
from unittest.mock import patch

import pytest
from synapse.module_api import LoggingTransaction

from synapse_bum.antivirus.quarantine.quarantine_stream import QuarantineStream, note_change
from synapse_bum.antivirus.scanning.probes import EICAR
from synapse_bum.homeserver import quarantine_stream as stream
from synapse_bum.testing.antivirus_case import BASE, AntivirusTestCase


class StreamTestCase(AntivirusTestCase):
    antivirus: ClassVar[Mapping[str, Any]] = {"on_infected_upload": "block"}

    def select(self, sql: str) -> list[tuple[Any, ...]]:
        def run(txn: LoggingTransaction) -> list[tuple[Any, ...]]:
            txn.execute(sql)
            return txn.fetchall()

        rows: list[tuple[Any, ...]] = self.get_success(self.module.backlog._database.run("test", run))
        return rows

    def waiting(self) -> list[tuple[Any, ...]]:
        return self.select(
            "SELECT server_name, media_id, quarantined FROM synapse_bum_antivirus_quarantine_changes ORDER BY since_ts"
        )

    def note(self, server_name: str, media_id: str, *, quarantined: bool) -> None:
        now_ms = self.hs.get_clock().time_msec()
        database = self.module.backlog._database
        self.get_success(
            database.run("test", note_change, server_name, media_id, quarantined=quarantined, now_ms=now_ms)
        )

    def duty(self) -> QuarantineStream:
        return QuarantineStream(self.hs.get_module_api(), self.module.backlog._database)

    def release(self, mxc: str) -> None:
        path = f"{BASE}/antivirus/findings/{mxc.removeprefix('mxc://')}/release"
        self.make_request("POST", path, {"reason": "harmless"}, access_token=self.admin_token)


@pytest.mark.only_if(stream.EXISTS)
class StreamTests(StreamTestCase):
    def told(self) -> list[tuple[Any, ...]]:
        """What the stream holds since the start."""
        return self.select("SELECT origin, media_id, quarantined FROM quarantined_media_changes ORDER BY stream_id")

    def token(self) -> int:
        token: int = self.hs.get_datastores().main.get_current_quarantined_media_stream_id()
        return token

    def test_it_learns_of_a_block_and_of_its_release(self) -> None:
        before = self.token()
        mxc = self.upload(EICAR)
        self.settle()
        media_id = mxc.rsplit("/", 1)[1]
        assert (None, media_id, True) in self.told()
        assert self.token() > before, "nobody is told of the new position"
        self.release(mxc)
        self.settle()
        assert self.told()[-1] == (None, media_id, False)
        assert self.waiting() == []

    def test_remote_files_are_named_with_their_server(self) -> None:
        self.note("remote.example", "abc", quarantined=True)
        self.settle()
        assert ("remote.example", "abc", True) in self.told()

    def test_a_crash_in_between_loses_nothing_and_tells_nothing_twice(self) -> None:
        self.note("test", "abc", quarantined=True)
        real = stream.write

        def then_crash(*args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - passed on
            real(*args, **kwargs)
            raise RuntimeError("the process is gone")

        with patch.object(stream, "write", then_crash):
            self.get_success(self.duty().tick())
        assert len(self.waiting()) == 1
        assert self.told() == []
        self.get_success(self.duty().tick())
        assert self.waiting() == []
        assert self.told() == [(None, "abc", True)]

    def test_only_the_last_word_about_a_file_is_told(self) -> None:
        self.note("test", "abc", quarantined=True)
        self.note("test", "abc", quarantined=False)
        self.get_success(self.duty().tick())
        assert self.told() == [(None, "abc", False)]

    def test_more_than_a_page_is_told_in_one_turn(self) -> None:
        for number in range(5):
            self.note("test", f"media{number}", quarantined=bool(number % 2))
        with patch("synapse_bum.antivirus.quarantine.quarantine_stream.PAGE", 2):
            self.get_success(self.duty().tick())
        assert self.waiting() == []
        assert len(self.told()) == 5

    def test_a_process_that_may_not_write_leaves_it_to_others(self) -> None:
        store = self.hs.get_datastores().main
        with patch.object(store, "_can_write_quarantined_media_changes", new=False):
            assert not stream.may_write(self.hs.get_module_api())
            self.upload(EICAR)
            self.settle()
            assert len(self.waiting()) == 1, "the block depends on who writes the stream"
        self.settle()
        assert self.waiting() == []


class WithoutStreamTests(StreamTestCase):
    def test_nothing_is_kept_for_a_synapse_without_the_stream(self) -> None:
        with patch.object(stream, "EXISTS", new=False):
            assert not stream.may_write(self.hs.get_module_api())
            self.upload(EICAR)
            self.settle()
        assert self.waiting() == []
