"""The launchers start real servers that do what tests need of them, and none outlives its test."""

import concurrent.futures
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http import HTTPStatus
from pathlib import Path
from string import Template

import pytest

from synapse_bum.testing import malware
from synapse_bum.testing.clamd import EICAR_SIGNATURE, RealClamd
from synapse_bum.testing.federation import CertificateAuthority, FederatingSynapse
from synapse_bum.testing.files_below import files_below
from synapse_bum.testing.http_client import HttpClient
from synapse_bum.testing.local_server import LocalServer, ServerError
from synapse_bum.testing.malware import EICAR
from synapse_bum.testing.postgres import RealPostgres
from synapse_bum.testing.raw_clamd import exchange, memory_file, scan_descriptor, scan_stream
from synapse_bum.testing.synapse import RealSynapse

NEEDS_CLAMD = pytest.mark.requires("clamd")

INFECTED = {
    "plain": EICAR,
    "zip": malware.zipped(EICAR),
    "nested zip": malware.nested_zip(5),
    "last of many files in a zip": malware.zip_of_many_files(500),
    "gzip": malware.gzipped(EICAR),
    "tar": malware.tarred(EICAR),
    "tar.gz": malware.gzipped(malware.tarred(EICAR)),
    "attachment of a PDF": malware.pdf_with_attachment(EICAR),
    "start of a big file": malware.eicar_at_start(50_000_000),
    "end of a big file": malware.eicar_at_end(50_000_000),
}
CLEAN = {
    "empty": b"",
    "text": b"hello",
    "filler": malware.filler(1_000_000),
    "picture": malware.png(),
    "clean PDF": malware.pdf_with_attachment(b"hello"),
    "clean zip": malware.zip_of_many_files(10, last=b"hello"),
    "encrypted zip": malware.encrypted_zip(EICAR),
}


def is_gone(pid: int) -> bool:
    """Whether no process has this number, or only one that has ended and waits for its parent."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def wait_until(condition: Callable[[], bool], seconds: float = 60.0) -> bool:
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.02)
    return condition()


class Sleeper(LocalServer):
    """A server that needs nothing: a shell with a child."""

    def __init__(self, script: str = "sleep 600 & : > ready; wait", timeout: float = 60.0) -> None:
        super().__init__("sleeper", timeout)
        self._script = script

    def _prepare(self) -> list[str]:
        return ["/bin/sh", "-c", self._script]

    def _is_ready(self) -> bool:
        return (self.directory / "ready").exists()

    def children(self) -> list[int]:
        text = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text()
        return [int(pid) for pid in text.split()]


@pytest.mark.any_synapse
class TestAnyServer:
    """`LocalServer`, whatever runs in it."""

    @pytest.mark.parametrize("end", [LocalServer.stop, LocalServer.kill, LocalServer.close])
    def test_ends_with_its_children(self, end: Callable[[LocalServer], None]) -> None:
        with Sleeper() as server:
            pids = [server.pid, *server.children()]
            assert len(pids) == 2
            end(server)
            assert not server.running
            assert wait_until(lambda: all(map(is_gone, pids)))

    def test_its_directory_goes_with_it(self) -> None:
        with Sleeper() as server:
            assert server.directory.is_dir()
        assert not server.directory.exists()

    def test_one_that_ignores_the_request_to_end_is_killed(self) -> None:
        with Sleeper("trap '' TERM; : > ready; while true; do sleep 0.1; done") as server:
            pid = server.pid
            server.stop(timeout=0.2)
            assert is_gone(pid)

    def test_one_that_ends_at_once_is_reported_with_its_last_words(self) -> None:
        with (
            pytest.raises(ServerError, match=r"(?s)sleeper ended with status 3 .*no such thing"),
            Sleeper("echo no such thing; exit 3"),
        ):
            pass

    def test_one_that_never_gets_ready_is_reported_and_ended(self) -> None:
        server = Sleeper("sleep 600", timeout=0.2)
        with pytest.raises(ServerError, match=r"was not ready after 0.2 s"):
            server.start()
        assert not server.running
        with pytest.raises(ServerError, match="is not running"):
            _ = server.pid
        server.close()

    def test_it_survives_the_thread_that_started_it(self) -> None:
        server = Sleeper()
        starter = threading.Thread(target=server.start)
        starter.start()
        starter.join()
        time.sleep(0.2)
        assert server.running
        server.close()

    def test_it_does_not_survive_its_parent_and_neither_does_its_directory(self) -> None:
        program = (
            "import time; from synapse_bum.testing.local_server import LocalServer\n"
            "class Sleeper(LocalServer):\n"
            "    def _prepare(self): return ['/bin/sh', '-c', 'sleep 600 & echo $!; wait']\n"
            "    def _is_ready(self): return self.log_text().endswith('\\n')\n"
            "server = Sleeper('sleeper', 60); server.start()\n"
            "print(server.directory, server.pid, server.log_text(), flush=True); time.sleep(600)\n"
        )
        with subprocess.Popen(
            [sys.executable, "-c", program],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        ) as parent:
            assert parent.stdout is not None
            directory, *numbers = parent.stdout.readline().split()
            pids = [int(number) for number in numbers]
            assert len(pids) == 2
            assert not any(map(is_gone, pids))
            parent.kill()
        assert wait_until(lambda: all(map(is_gone, pids)) and not Path(directory).exists())


@NEEDS_CLAMD
@pytest.mark.any_synapse
class TestRealClamd:
    """`RealClamd` with the signature of this package."""

    @pytest.fixture(scope="class")
    def clamd(self) -> Iterator[RealClamd]:
        with RealClamd(tcp=True) as server:
            yield server

    @pytest.mark.parametrize("name", INFECTED)
    def test_finds_eicar_however_it_is_wrapped(self, clamd: RealClamd, name: str) -> None:
        found = f"{EICAR_SIGNATURE} FOUND\0".encode()
        with memory_file(INFECTED[name]) as descriptor:
            assert scan_descriptor(clamd.address_unix, descriptor).endswith(found)
        assert scan_stream(clamd.address_tcp, INFECTED[name]) == b"stream: " + found

    @pytest.mark.parametrize("name", CLEAN)
    def test_lets_pass_what_is_clean_or_cannot_be_opened(self, clamd: RealClamd, name: str) -> None:
        with memory_file(CLEAN[name]) as descriptor:
            assert scan_descriptor(clamd.address_unix, descriptor).endswith(b": OK\0")
        assert scan_stream(clamd.address_tcp, CLEAN[name]) == b"stream: OK\0"

    def test_options_reach_clamd(self) -> None:
        with RealClamd(MaxFileSize="1M", AlertExceedsMax=True, AlertEncrypted=True) as clamd:
            answers = [
                scan_stream(clamd.address_unix, content) for content in (bytes(2_000_000), CLEAN["encrypted zip"])
            ]
        assert answers == [
            b"stream: Heuristics.Limits.Exceeded.MaxFileSize FOUND\0",
            b"stream: Heuristics.Encrypted.Zip FOUND\0",
        ]

    def test_a_wrong_option_is_reported_in_clamds_words(self) -> None:
        with pytest.raises(ServerError, match="Unknown option MaxFileSizes"), RealClamd(MaxFileSizes="1M"):
            pass

    def test_new_signatures_count_at_once(self) -> None:
        content = malware.unique_bytes(100)
        with RealClamd() as clamd:
            assert scan_stream(clamd.address_unix, content) == b"stream: OK\0"
            clamd.reload_with([malware.signature_for("New.Malware", content)])
            assert scan_stream(clamd.address_unix, content) == b"stream: New.Malware.UNOFFICIAL FOUND\0"
            assert EICAR_SIGNATURE.encode() in scan_stream(clamd.address_unix, EICAR)

    def test_new_signatures_count_also_when_clamd_is_reloading_already(self) -> None:
        content = malware.unique_bytes(100)
        with RealClamd() as clamd:
            # So many that the first reload has read the folder's names, and loads, when the new signature is written.
            clamd.reload_with(malware.signature_for("Old.Malware", malware.unique_bytes(100)) for _ in range(20_000))
            reloads = clamd.log_text().count("Reading databases")
            clamd.command("RELOAD")
            assert wait_until(lambda: clamd.log_text().count("Reading databases") > reloads)
            clamd.reload_with([malware.signature_for("New.Malware", content)])
            assert scan_stream(clamd.address_unix, content) == b"stream: New.Malware.UNOFFICIAL FOUND\0"

    def test_signatures_that_clamd_rejects_are_reported_and_dropped(self) -> None:
        with RealClamd() as clamd:
            with pytest.raises(ServerError, match="Malformed database"):
                clamd.reload_with(["nonsense"])
            clamd.restart()
            assert EICAR_SIGNATURE.encode() in scan_stream(clamd.address_unix, EICAR)

    def test_comes_back_after_a_crash_at_the_same_addresses(self) -> None:
        with RealClamd(tcp=True) as clamd:
            clamd.kill()
            for address in (clamd.address_unix, clamd.address_tcp):
                with pytest.raises(ConnectionRefusedError):
                    exchange(address, b"zPING\0")
            clamd.start()
            for address in (clamd.address_unix, clamd.address_tcp):
                assert exchange(address, b"zPING\0") == b"PONG\0"

    def test_a_crash_that_nobody_ordered_is_noticed(self) -> None:
        with RealClamd() as clamd:
            os.kill(clamd.pid, signal.SIGKILL)
            assert wait_until(lambda: not clamd.running)
            clamd.start()
            assert clamd.command("PING") == "PONG"

    def test_tells_what_is_missing(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        assert RealClamd.missing() is None
        monkeypatch.setenv("PATH", str(tmp_path))
        with pytest.raises(ServerError, match="apt-get install clamav-daemon"), RealClamd():
            pass


MODULE = Template(
    """
import logging

logger = logging.getLogger("$logger")

class Module:
    def __init__(self, config, api):
        logger.info("loaded with %s", config)

    @staticmethod
    def parse_config(config):
        if "bad" in config:
            raise ValueError("this is bad")
        return config
"""
)


class TestRealSynapse:
    """`RealSynapse` with the Synapse of this environment."""

    @pytest.fixture(scope="class")
    def modules(self, tmp_path_factory: pytest.TempPathFactory) -> Path:
        folder = tmp_path_factory.mktemp("modules")
        (folder / "example_module.py").write_text(MODULE.substitute(logger="synapse_bum.example"))
        return folder

    @pytest.fixture(scope="class")
    def synapse(self, modules: Path) -> Iterator[RealSynapse]:
        with RealSynapse(
            modules=[{"module": "example_module.Module", "config": {"answer": 42}}],
            python_path=[modules],
            listeners=[("client",), ("metrics",)],
        ) as server:
            yield server

    def test_loads_modules_and_keeps_their_log_lines(self, synapse: RealSynapse) -> None:
        assert re.search(r"INFO synapse_bum\.example \S+ loaded with {'answer': 42}\n", synapse.log_text())

    def test_registers_users_and_administrators(self, synapse: RealSynapse) -> None:
        user, administrator = synapse.register("user"), synapse.register("administrator", admin=True)
        assert (user.user_id, administrator.user_id) == ("@user:messenger.example", "@administrator:messenger.example")
        assert user.get("/_synapse/admin/v2/users").status == HTTPStatus.FORBIDDEN
        assert administrator.get("/_synapse/admin/v2/users", limit=1).json["total"] >= 2
        with pytest.raises(ServerError, match="User ID already taken"):
            synapse.register("user")

    def test_stores_and_delivers_files(self, synapse: RealSynapse) -> None:
        alice, bob = synapse.register("alice"), synapse.register("bob")
        content = malware.unique_bytes(100_000)
        mxc = alice.upload(content, "application/pdf", "Größe.pdf").json["content_uri"]
        later = alice.create_upload().json["content_uri"]
        assert alice.upload_to(later, b"later", "text/plain").status == HTTPStatus.OK
        delivered = bob.download(mxc)
        assert (delivered.status, delivered.body) == (HTTPStatus.OK, content)
        assert delivered.headers["content-type"] == "application/pdf"
        assert bob.download(later).body == b"later"
        assert HttpClient(synapse.base_url).get(f"/_matrix/media/v3/download/{mxc[6:]}").status == HTTPStatus.NOT_FOUND
        assert any(path.stat().st_size == len(content) for path in files_below(synapse.media_directory))

    def test_makes_thumbnails(self, synapse: RealSynapse) -> None:
        painter = synapse.register("painter")
        mxc = painter.upload(malware.png(), "image/png").json["content_uri"]
        assert painter.thumbnail(mxc).headers["content-type"] == "image/png"

    def test_carries_events(self, synapse: RealSynapse) -> None:
        writer = synapse.register("writer")
        room_id = writer.create_room(preset="private_chat").json["room_id"]
        sent = writer.send(room_id, "m.room.message", {"msgtype": "m.text", "body": "hello"}, "1")
        assert sent.json["event_id"].startswith("$")

    def test_sets_no_limit_to_the_rate_of_requests(self, synapse: RealSynapse) -> None:
        alice = synapse.register("hasty")
        with concurrent.futures.ThreadPoolExecutor(16) as pool:
            uploads = pool.map(lambda _: alice.upload(malware.unique_bytes(100)).status, range(200))
            reservations = pool.map(lambda _: alice.create_upload().status, range(200))
        assert {*uploads, *reservations} == {HTTPStatus.OK}

    def test_each_listener_serves_what_it_was_asked_to(self, synapse: RealSynapse) -> None:
        client, metrics = map(HttpClient, synapse.base_urls)
        assert metrics.get("/_synapse/metrics").body.startswith(b"# HELP")
        assert client.get("/_synapse/metrics").status == HTTPStatus.NOT_FOUND

    def test_keeps_its_data_over_a_restart_and_reads_its_configuration_again(self) -> None:
        with RealSynapse(server_name="other.example") as synapse:
            alice = synapse.register("alice")
            mxc = alice.upload(b"kept").json["content_uri"]
            synapse.kill()
            synapse.config["max_upload_size"] = "1K"
            synapse.start()
            assert alice.download(mxc).body == b"kept"
            assert mxc.startswith("mxc://other.example/")
            assert alice.upload(bytes(2000)).status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE

    def test_tells_why_it_does_not_start(self, modules: Path) -> None:
        bad = {"module": "example_module.Module", "config": {"bad": True}}
        with pytest.raises(ServerError, match="this is bad"), RealSynapse(modules=[bad], python_path=[modules]):
            pass

    @pytest.mark.requires("postgresql")
    def test_runs_on_postgresql(self) -> None:
        with RealPostgres() as postgres, RealSynapse(postgres_dsn=postgres.dsn()) as synapse:
            alice = synapse.register("alice")
            assert alice.upload(b"hello").status == HTTPStatus.OK
            assert not (synapse.directory / "homeserver.db").exists()


class TestFederatingSynapse:
    """`FederatingSynapse`: two servers that trust the same authority."""

    @pytest.fixture(scope="class")
    def servers(self) -> Iterator[tuple[FederatingSynapse, FederatingSynapse]]:
        authority = CertificateAuthority()
        with FederatingSynapse(authority) as here, FederatingSynapse(authority) as there:
            yield here, there

    def test_join_a_room_and_see_its_files(self, servers: tuple[FederatingSynapse, FederatingSynapse]) -> None:
        here, there = servers
        alice, bob = here.register("alice"), there.register("bob")
        room_id = alice.create_room(preset="public_chat", room_alias_name="lobby").json["room_id"]
        joined = bob.post(f"/_matrix/client/v3/join/%23lobby:{here.server_name}", {})
        assert (joined.status, joined.json.get("room_id")) == (HTTPStatus.OK, room_id)
        content = malware.unique_bytes(100_000)
        mxc = alice.upload(content).json["content_uri"]
        assert mxc.startswith(f"mxc://{here.server_name}/")
        assert bob.download(mxc).body == content
        assert any((there.media_directory / "remote_content").rglob("*"))

    def test_a_peer_that_was_away_is_asked_again_soon(
        self, servers: tuple[FederatingSynapse, FederatingSynapse]
    ) -> None:
        here, there = servers
        carol, dave = here.register("carol"), there.register("dave")
        mxc = carol.upload(b"back again").json["content_uri"]
        here.kill()
        assert dave.download(mxc).status != HTTPStatus.OK
        here.start()
        assert wait_until(lambda: dave.download(mxc).body == b"back again")

    def test_only_certificates_of_the_authority_are_trusted(
        self, servers: tuple[FederatingSynapse, FederatingSynapse]
    ) -> None:
        here, _ = servers
        erin = here.register("erin")
        with FederatingSynapse(CertificateAuthority()) as stranger:
            mxc = stranger.register("frank").upload(b"strange").json["content_uri"]
            assert erin.download(mxc).status != HTTPStatus.OK
