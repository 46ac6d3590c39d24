"""After a block every way to the file is asked, and what is still served is said."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, ClassVar
from unittest.mock import AsyncMock, patch

from synapse.module_api import LoggingTransaction

from synapse_bum.antivirus import metrics
from synapse_bum.antivirus.scanning.probes import EICAR
from synapse_bum.homeserver import media_doors
from synapse_bum.homeserver.media import StoredMedia
from synapse_bum.testing import malware
from synapse_bum.testing.antivirus_case import AntivirusTestCase

LOCAL_DOORS = {
    "client download",
    "client thumbnail",
    "legacy download",
    "legacy thumbnail",
    "federation download",
    "federation thumbnail",
}
REMOTE_DOORS = LOCAL_DOORS - {"federation download", "federation thumbnail"}


class DoorsTestCase(AntivirusTestCase):
    def open_doors(self, stored: StoredMedia) -> set[str]:
        return set(self.get_success(media_doors.open_doors(self.hs.get_module_api(), stored)))

    def run_sql(self, sql: str, *values: object) -> None:
        def run(txn: LoggingTransaction) -> None:
            txn.execute(sql, values)

        self.get_success(self.hs.get_module_api().run_db_interaction("test", run))

    def uploaded(self) -> StoredMedia:
        media_id = self.upload(malware.png(900, 700), content_type="image/png").rsplit("/", 1)[1]
        return StoredMedia("test", media_id, media_id, local=True)

    def quarantine(self, stored: StoredMedia) -> None:
        table = "local_media_repository" if stored.local else "remote_media_cache"
        self.run_sql(f"UPDATE {table} SET quarantined_by = 'somebody' WHERE media_id = ?", stored.media_id)  # noqa: S608 - two fixed names


class LocalTests(DoorsTestCase):
    server: ClassVar[Mapping[str, Any]] = {"enable_authenticated_media": False}

    def test_all_doors_of_a_served_file_are_open(self) -> None:
        assert self.open_doors(self.uploaded()) == LOCAL_DOORS

    def test_all_doors_of_a_quarantined_file_are_closed(self) -> None:
        stored = self.uploaded()
        self.quarantine(stored)
        assert self.open_doors(stored) == set()

    def test_asking_reads_no_file_and_makes_no_thumbnail(self) -> None:
        stored = self.uploaded()
        repository = self.hs.get_media_repository()
        with (
            patch.object(repository.media_storage, "fetch_media") as fetched,
            patch.object(repository, "generate_local_exact_thumbnail") as generated,
        ):
            assert self.open_doors(stored) == LOCAL_DOORS
        assert not fetched.called
        assert not generated.called

    def test_a_door_that_can_not_be_asked_counts_as_open(self) -> None:
        stored = self.uploaded()
        self.quarantine(stored)
        repository = self.hs.get_media_repository()
        with patch.object(repository, "get_local_media", side_effect=RuntimeError("no database")):
            assert self.open_doors(stored) == {"client download", "legacy download", "federation download"}

    def test_one_door_that_does_not_know_of_the_quarantine_is_named(self) -> None:
        stored = self.uploaded()
        self.quarantine(stored)
        repository = self.hs.get_media_repository()
        served = AsyncMock(return_value=None)
        with patch.object(repository, "get_local_media", served):
            assert self.open_doors(stored) == {"client download", "legacy download", "federation download"}


class AuthenticatedTests(DoorsTestCase):
    server: ClassVar[Mapping[str, Any]] = {"enable_authenticated_media": True}

    def test_the_legacy_doors_are_closed_anyway(self) -> None:
        assert self.open_doors(self.uploaded()) == {door for door in LOCAL_DOORS if not door.startswith("legacy")}


class DynamicThumbnailTests(DoorsTestCase):
    server: ClassVar[Mapping[str, Any]] = {"dynamic_thumbnails": True, "enable_authenticated_media": False}

    def test_thumbnails_made_on_demand_are_asked_for_too(self) -> None:
        stored = self.uploaded()
        assert self.open_doors(stored) == LOCAL_DOORS
        self.quarantine(stored)
        assert self.open_doors(stored) == set()


class RemoteTests(DoorsTestCase):
    server: ClassVar[Mapping[str, Any]] = {"enable_authenticated_media": False}

    def fetched(self) -> StoredMedia:
        self.run_sql(
            "INSERT INTO remote_media_cache (media_origin, media_id, media_type, created_ts, upload_name, media_length,"
            " filesystem_id, last_access_ts, authenticated) VALUES ('remote.example', 'remote1', 'text/plain', 1, 'x',"
            " 5, 'abcdefgh', 1, FALSE)"
        )
        return StoredMedia("remote.example", "remote1", "abcdefgh", local=False)

    def test_no_other_server_is_ever_asked(self) -> None:
        stored = self.fetched()
        missing = StoredMedia("remote.example", "remote2", "ijklmnop", local=False)
        client = self.hs.get_federation_client()
        with (
            patch.object(client, "federation_download_media", side_effect=AssertionError) as asked,
            patch.object(client, "download_media", side_effect=AssertionError) as asked_legacy,
        ):
            assert self.open_doors(stored) == REMOTE_DOORS
            self.quarantine(stored)
            assert self.open_doors(stored) == set()
            assert self.open_doors(missing) == set()
        assert not asked.called
        assert not asked_legacy.called

    def test_a_server_outside_of_the_whitelist_is_no_open_door(self) -> None:
        stored = self.fetched()
        self.quarantine(stored)
        with patch.object(self.hs.get_media_repository(), "federation_domain_whitelist", {}):
            assert self.open_doors(stored) == set()


class BlockTests(DoorsTestCase):
    antivirus: ClassVar[Mapping[str, Any]] = {"on_infected_upload": "block"}

    def test_a_blocked_upload_is_asked_for_at_every_door(self) -> None:
        with patch("synapse_bum.antivirus.findings.enforcement.open_doors", AsyncMock(return_value=())) as asked:
            mxc = self.upload(EICAR)
            self.settle()
        (call,) = asked.call_args_list
        assert call.args[1].media_id == mxc.rsplit("/", 1)[1]
        (finding,) = self.findings()
        assert finding["state"] == "blocked"

    def test_a_door_that_stays_open_is_block_failed_with_audit_log_and_metric(self) -> None:
        failed = metrics.FINDINGS.labels("block_failed", "upload")
        before = failed._value.get()
        self.upload(EICAR)
        with (
            patch(
                "synapse_bum.antivirus.findings.enforcement.open_doors", AsyncMock(return_value=("client thumbnail",))
            ),
            self.assertLogs("synapse_bum.antivirus.findings.records", "ERROR") as logs,
        ):
            self.settle()
        (finding,) = self.findings()
        assert finding["state"] == "block_failed"
        (row,) = self.ask("audit?action=antivirus.block_failed")["audit"]
        assert (row["target"], row["old"]) == (finding["mxc"], "blocked")
        assert "open: client thumbnail" in "".join(logs.output)
        assert failed._value.get() == before + 1

    def test_a_file_that_is_released_in_that_moment_is_no_failure(self) -> None:
        self.upload(EICAR)

        async def released_meanwhile(*_: object) -> tuple[str, ...]:
            database = self.module.backlog._database

            def release(txn: LoggingTransaction) -> None:
                txn.execute("UPDATE synapse_bum_antivirus_findings SET state = 'released'")

            await database.run("test", release)
            return ("client download",)

        with patch("synapse_bum.antivirus.findings.enforcement.open_doors", released_meanwhile):
            self.settle()
        (finding,) = self.findings()
        assert finding["state"] == "released"


class NotQuarantinedTests(DoorsTestCase):
    """Nothing but the doors notices a quarantine that Synapse does not honour."""

    antivirus: ClassVar[Mapping[str, Any]] = {"on_infected_upload": "block"}
    server: ClassVar[Mapping[str, Any]] = {"enable_authenticated_media": False}

    def test_a_synapse_that_serves_quarantined_files_is_found_out(self) -> None:
        mxc = self.upload(EICAR)
        store = self.hs.get_datastores().main
        real = store.get_local_media

        async def without_quarantine(media_id: str) -> object:
            media = await real(media_id)
            if media is not None:
                object.__setattr__(media, "quarantined_by", None)
            return media

        with patch.object(store, "get_local_media", without_quarantine):
            self.settle()
            assert self.download(mxc).code == HTTPStatus.OK
        (finding,) = self.findings()
        assert finding["state"] == "block_failed"
