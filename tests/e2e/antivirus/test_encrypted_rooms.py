"""Encrypted files between real clients: found by the reader's scan, blocked for everybody, deleted by who may.

matrix-nio encrypts and decrypts; clamd scans; two homeservers federate over TLS.
"""

import time
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any, TypeAlias

import attr
import pytest

from synapse_bum.testing import malware
from synapse_bum.testing.clamd import RealClamd
from synapse_bum.testing.encrypted_client import EncryptedClient, FileMessage
from synapse_bum.testing.federation import CertificateAuthority, FederatingSynapse
from synapse_bum.testing.files_below import files_below
from synapse_bum.testing.http_client import MatrixClient, Response, mxc_path

pytestmark = [pytest.mark.requires("matrix-nio"), pytest.mark.requires("clamd")]

Json: TypeAlias = Any

API = "/_synapse/client/bum/v1"
SCANNER = "/_matrix/media_proxy/unstable"
FILES_GO_WITHIN_S = 60.0


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Room:
    """An encrypted room; its creator is its administrator.

    Attributes:
        homes: both homeservers, that of the reader first.
        sender: sends files; no administrator of the room.
        reader: created the room.
        room_id: of the room.
        server_admin: of the reader's homeserver.
    """

    homes: tuple[FederatingSynapse, FederatingSynapse]
    sender: EncryptedClient
    reader: EncryptedClient
    room_id: str
    server_admin: MatrixClient

    def send(self, content: bytes, name: str = "Anlage.pdf") -> FileMessage:
        self.sender.send_file(self.room_id, content, name)
        return self.reader.wait_for_file(self.room_id)

    def finding(self, mxc: str) -> Json:
        return self.server_admin.get(f"{API}/antivirus/findings/{mxc_path(mxc)}").json


@pytest.fixture(scope="module")
def homes() -> Iterator[tuple[FederatingSynapse, FederatingSynapse]]:
    authority = CertificateAuthority()
    with RealClamd() as clamd:
        module = {
            "module": "synapse_bum.antivirus.AntivirusModule",
            "config": {"scanner": {"address": clamd.address_unix}},
        }
        with (
            FederatingSynapse(authority, modules=[module]) as here,
            FederatingSynapse(authority, modules=[module]) as there,
        ):
            yield here, there


@pytest.fixture(scope="module", params=["one server", "two servers"])
def room(
    request: pytest.FixtureRequest, homes: tuple[FederatingSynapse, FederatingSynapse], nio_python: str
) -> Iterator[Room]:
    here, there = homes
    place = request.param.partition(" ")[0]
    bob = here.register(f"bob-{place}")
    alice = (here if place == "one" else there).register(f"alice-{place}")
    admin = here.register(f"admin-{place}", admin=True)
    with EncryptedClient(alice, nio_python) as sender, EncryptedClient(bob, nio_python) as reader:
        room_id = reader.create_encrypted_room(invite=[alice.user_id])
        sender.join(room_id)
        yield Room(homes, sender, reader, room_id, admin)


def scan(reader: MatrixClient, file: Json, **event: str) -> Json:
    answer = reader.post(f"{SCANNER}/scan_encrypted", {"file": file, **event})
    assert answer.status == HTTPStatus.OK, answer.body
    return answer.json


def doors(reader: MatrixClient, mxc: str) -> dict[str, int]:
    path = mxc_path(mxc)
    size = "width=32&height=32&method=scale"
    urls = {
        "download": f"/_matrix/client/v1/media/download/{path}",
        "thumbnail": f"/_matrix/client/v1/media/thumbnail/{path}?{size}",
        "legacy download": f"/_matrix/media/v3/download/{path}",
        "legacy thumbnail": f"/_matrix/media/v3/thumbnail/{path}?{size}",
    }
    return {name: reader.get(url).status for name, url in urls.items()}


def assert_gone_for_everybody(room: Room, mxc: str) -> None:
    """At once: each door is tried a single time."""
    for reader in (room.reader.account, room.server_admin):
        assert set(doors(reader, mxc).values()) == {HTTPStatus.NOT_FOUND}


def delete(account: MatrixClient, mxc: str, query: str = "") -> Response:
    return account.delete(f"{API}/media/{mxc_path(mxc)}{query}")


def media_files(home: FederatingSynapse, mxc: str) -> list[str]:
    """Local files of a homeserver that belong to a file of its own: their paths hold the media id in pieces."""
    media_id = mxc.rpartition("/")[2]
    return [str(path) for path in files_below(home.media_directory) if media_id[4:] in path.name]


def assert_leaves_the_disk(home: FederatingSynapse, mxc: str) -> None:
    deadline = time.monotonic() + FILES_GO_WITHIN_S
    while media_files(home, mxc) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert media_files(home, mxc) == []


def test_a_clean_file_is_clean_and_decrypts_byte_for_byte(room: Room) -> None:
    content = malware.png(200, 100)
    message = room.send(content)
    assert scan(room.reader.account, message.file)["clean"] is True
    ciphertext = room.reader.account.post(f"{SCANNER}/download_encrypted", {"file": message.file})
    assert ciphertext.status == HTTPStatus.OK
    assert ciphertext.body == room.reader.account.download(message.file["url"]).body
    assert room.reader.download_and_decrypt(message.file) == content


def test_an_infected_file_is_found_blocked_and_deleted_by_its_sender(room: Room) -> None:
    message = room.send(malware.EICAR)
    mxc = message.file["url"]
    assert room.reader.account.download(mxc).status == HTTPStatus.OK
    assert scan(room.reader.account, message.file)["clean"] is False
    assert_gone_for_everybody(room, mxc)
    finding = room.finding(mxc)
    assert (finding["state"], finding["source"]) == ("blocked", "content_scanner")
    assert finding["reporter"] == room.reader.account.user_id
    sender_home = room.homes[0] if room.sender.account.base_url == room.homes[0].base_url else room.homes[1]
    assert media_files(sender_home, mxc)
    assert delete(room.reader.account, mxc).status == HTTPStatus.FORBIDDEN
    assert delete(room.sender.account, mxc).status == HTTPStatus.OK
    assert set(doors(room.sender.account, mxc).values()) == {HTTPStatus.NOT_FOUND}
    assert_leaves_the_disk(sender_home, mxc)
    assert_gone_for_everybody(room, mxc)


def test_a_room_administrator_deletes_what_is_blocked_in_his_room(room: Room) -> None:
    message = room.send(malware.EICAR + b"\n")
    mxc = message.file["url"]
    event = {"room_id": room.room_id, "event_id": message.event_id}
    if room.sender.account.base_url == room.homes[0].base_url:
        # The sender's client has its own file scanned too, and so vouches for the link. A sender elsewhere does that on
        # his own homeserver, which then gives the file to nobody; here his server's word is enough for our copy.
        assert scan(room.sender.account, message.file, **event)["clean"] is False
    assert scan(room.reader.account, message.file, **event)["clean"] is False
    query = f"?room_id={room.room_id}&event_id={message.event_id}"
    outsider = room.homes[0].register(f"outsider-{time.monotonic_ns()}")
    assert delete(outsider, mxc, query).status == HTTPStatus.FORBIDDEN
    assert delete(room.reader.account, mxc, query).status == HTTPStatus.OK
    assert room.finding(mxc)["state"] == "deleted"
    assert_gone_for_everybody(room, mxc)
    # It is not fetched again either.
    assert scan(room.reader.account, message.file)["clean"] is False


def test_a_room_administrator_who_names_a_strangers_file_is_refused(room: Room) -> None:
    message = room.send(b"an innocent event of the same sender, with a file that is no virus at all")
    stranger = room.homes[0].register(f"stranger-{time.monotonic_ns()}")
    uploaded = stranger.upload(malware.unique_bytes(1000)).json["content_uri"]
    scan(room.reader.account, {**message.file}, room_id=room.room_id, event_id=message.event_id)
    query = f"?room_id={room.room_id}&event_id={message.event_id}"
    assert delete(room.reader.account, uploaded, query).status == HTTPStatus.FORBIDDEN
    assert stranger.download(uploaded).status == HTTPStatus.OK


def test_a_redaction_by_the_sender_deletes_his_file(room: Room) -> None:
    if room.sender.account.base_url != room.homes[0].base_url:
        # On a remote file a redaction does nothing here; his own homeserver deletes its original.
        return
    message = room.send(malware.png(64, 64))
    mxc = message.file["url"]
    scan(room.sender.account, message.file, room_id=room.room_id, event_id=message.event_id)
    room.sender.redact(room.room_id, message.event_id)
    deadline = time.monotonic() + FILES_GO_WITHIN_S
    while room.reader.account.download(mxc).status == HTTPStatus.OK and time.monotonic() < deadline:
        time.sleep(0.1)
    assert_gone_for_everybody(room, mxc)
    assert_leaves_the_disk(room.homes[0], mxc)
