"""Two users with real end-to-end encryption exchange real files, on one homeserver and over federation."""

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import attr
import pytest

from synapse_bum.testing import malware
from synapse_bum.testing.encrypted_client import EncryptedClient, EncryptedClientError, FileMessage
from synapse_bum.testing.federation import CertificateAuthority, FederatingSynapse
from synapse_bum.testing.http_client import MatrixClient

pytestmark = [pytest.mark.requires("matrix-nio"), pytest.mark.long, pytest.mark.any_synapse]


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Pair:
    """Two users in an encrypted room."""

    alice: EncryptedClient
    bob: EncryptedClient
    room_id: str


@pytest.fixture(scope="module")
def servers() -> Iterator[tuple[FederatingSynapse, FederatingSynapse]]:
    authority = CertificateAuthority()
    with FederatingSynapse(authority) as here, FederatingSynapse(authority) as there:
        yield here, there


@pytest.fixture(scope="module", params=["one server", "two servers"])
def pair(
    request: pytest.FixtureRequest, servers: tuple[FederatingSynapse, FederatingSynapse], nio_python: str
) -> Iterator[Pair]:
    here, there = servers
    place = request.param.partition(" ")[0]
    alice = here.register(f"alice-{place}")
    bob = (here if place == "one" else there).register(f"bob-{place}")
    with EncryptedClient(alice, nio_python) as sender, EncryptedClient(bob, nio_python) as reader:
        room_id = sender.create_encrypted_room(invite=[bob.user_id])
        reader.join(room_id)
        yield Pair(sender, reader, room_id)


@pytest.mark.parametrize("content", [b"hello", malware.EICAR, malware.unique_bytes(3_000_001)], ids=len)
def test_a_file_arrives_byte_for_byte_and_the_servers_see_ciphertext(pair: Pair, content: bytes) -> None:
    sent = pair.alice.send_file(pair.room_id, content, "Größe.txt", "text/plain")
    received = pair.bob.wait_for_file(pair.room_id)
    assert received == sent
    assert received.sender == pair.alice.account.user_id
    assert received.content["info"] == {"size": len(content), "mimetype": "text/plain"}
    assert received.content["body"] == "Größe.txt"
    assert pair.bob.download_and_decrypt(received.file) == content
    for reader in (pair.alice.account, pair.bob.account):
        stored = reader.download(sent.file["url"])
        assert (stored.status, len(stored.body)) == (200, len(content))
        assert stored.body != content


def test_the_room_shows_neither_name_nor_key(pair: Pair) -> None:
    sent = pair.alice.send_file(pair.room_id, b"secret", "secret-name.txt")
    pair.bob.wait_for_file(pair.room_id)
    event = pair.bob.account.get(f"/_matrix/client/v3/rooms/{pair.room_id}/event/{sent.event_id}")
    assert event.json["type"] == "m.room.encrypted"
    assert b"secret-name" not in event.body
    assert sent.file["key"]["k"].encode() not in event.body


def test_files_go_both_ways_and_are_seen_once_in_order(pair: Pair) -> None:
    sent = [pair.bob.send_file(pair.room_id, b"content", f"{number}.txt") for number in range(3)]
    assert [pair.alice.wait_for_file(pair.room_id) for _ in sent] == sent
    for reader in (pair.alice, pair.bob):
        with pytest.raises(EncryptedClientError, match=r"wait_for_file: not done after 0\.5 s"):
            reader.wait_for_file(pair.room_id, seconds=0.5)


def test_a_file_that_was_swapped_on_the_server_is_not_decrypted(pair: Pair) -> None:
    first, second = (pair.alice.send_file(pair.room_id, name.encode(), name) for name in ("first", "second"))
    for _ in (first, second):
        pair.bob.wait_for_file(pair.room_id)
    with pytest.raises(EncryptedClientError, match="Mismatched SHA-256 digest"):
        pair.bob.download_and_decrypt({**first.file, "url": second.file["url"]})


def test_a_file_that_is_not_there_is_an_error(pair: Pair) -> None:
    sent = pair.alice.send_file(pair.room_id, b"hello", "hello.txt")
    pair.bob.wait_for_file(pair.room_id)
    with pytest.raises(EncryptedClientError, match="M_NOT_FOUND"):
        pair.bob.download_and_decrypt({**sent.file, "url": f"{sent.file['url']}x"})


def content_of(reader: MatrixClient, room_id: str, message: FileMessage) -> object:
    return reader.get(f"/_matrix/client/v3/rooms/{room_id}/event/{message.event_id}").json["content"]


def test_a_redaction_empties_the_event_for_both(pair: Pair) -> None:
    sent = pair.alice.send_file(pair.room_id, b"hello", "hello.txt")
    pair.bob.wait_for_file(pair.room_id)
    assert content_of(pair.bob.account, pair.room_id, sent)
    pair.alice.redact(pair.room_id, sent.event_id)
    deadline = time.monotonic() + 60
    while content_of(pair.bob.account, pair.room_id, sent) and time.monotonic() < deadline:
        time.sleep(0.05)
    for reader in (pair.alice.account, pair.bob.account):
        assert content_of(reader, pair.room_id, sent) == {}


class TestEnd:
    """No client outlives its test, and each leaves nothing behind."""

    def test_a_python_without_matrix_nio_is_reported(
        self, servers: tuple[FederatingSynapse, FederatingSynapse]
    ) -> None:
        account = servers[0].register("without-nio")
        with pytest.raises(EncryptedClientError, match="No module named 'nio'"):
            EncryptedClient(account, sys.executable)

    def test_a_wrong_token_is_reported(
        self, servers: tuple[FederatingSynapse, FederatingSynapse], nio_python: str
    ) -> None:
        account = MatrixClient(servers[0].base_url, "@nobody:nowhere", "wrong")
        with pytest.raises(EncryptedClientError, match="M_UNKNOWN_TOKEN"):
            EncryptedClient(account, nio_python)

    @pytest.mark.parametrize("busy", [False, True])
    def test_it_ends_with_its_parent(
        self, servers: tuple[FederatingSynapse, FederatingSynapse], nio_python: str, *, busy: bool
    ) -> None:
        account = servers[0].register(f"orphan-{busy}".lower())
        login = (account.base_url, account.user_id, account.token)
        program = (
            f"import sys, time; sys.path[:0] = {sys.path!r}\n"
            "from synapse_bum.testing.encrypted_client import EncryptedClient\n"
            "from synapse_bum.testing.http_client import MatrixClient\n"
            f"client = EncryptedClient(MatrixClient(*{login!r}), {nio_python!r})\n"
            "room_id = client.create_encrypted_room([])\n"
            "print(client._process.pid, client._folder.name, flush=True)\n"
            f"client.wait_for_file(room_id, seconds=2) if {busy} else time.sleep(600)\n"
        )
        with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as parent:
            assert parent.stdout is not None
            pid, folder = parent.stdout.readline().split()
            assert Path(folder).is_dir()
            time.sleep(0.5)  # until it waits
            parent.kill()
        deadline = time.monotonic() + 60
        while (Path("/proc", pid).exists() or Path(folder).exists()) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert not Path("/proc", pid).exists()
        assert not Path(folder).exists()
