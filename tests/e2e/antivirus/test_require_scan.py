"""`require_scan: true` on a real homeserver: what can't be looked into is held until its key comes."""

from collections.abc import Iterator
from http import HTTPStatus

import pytest

from synapse_bum.testing import malware
from synapse_bum.testing.clamd import RealClamd
from synapse_bum.testing.encrypted_files import Attachment, encrypted
from synapse_bum.testing.http_client import MatrixClient, mxc_path
from synapse_bum.testing.synapse import RealSynapse

pytestmark = pytest.mark.requires("clamd")

API = "/_synapse/client/bum/v1"
SCANNER = "/_matrix/media_proxy/unstable"


@pytest.fixture(scope="module")
def synapse() -> Iterator[RealSynapse]:
    with RealClamd() as clamd:
        module = {
            "module": "synapse_bum.antivirus.AntivirusModule",
            "config": {"scanner": {"address": clamd.address_unix}, "require_scan": True},
        }
        with RealSynapse(modules=[module]) as server:
            yield server


def is_clean(account: MatrixClient, attachment: Attachment, mxc: str) -> bool:
    answer = account.post(f"{SCANNER}/scan_encrypted", {"file": attachment.file(mxc)})
    assert answer.status == HTTPStatus.OK, answer.body
    clean: bool = answer.json["clean"]
    return clean


def states(account: MatrixClient) -> dict[str, str]:
    return {media["mxc"]: media["scan_state"] for media in account.get(f"{API}/media").json["media"]}


def test_held_across_a_restart_until_its_key_finds_it_clean(synapse: RealSynapse) -> None:
    alice = synapse.register("alice")
    moderator = synapse.register("moderator", admin=True)
    picture, virus, moderated = encrypted(malware.png(300, 200)), encrypted(malware.EICAR), encrypted(malware.png(9, 9))
    mxcs = [alice.upload(one.ciphertext).json["content_uri"] for one in (picture, virus, moderated)]
    plain = alice.upload(malware.png(50, 50)).json["content_uri"]
    quarantined = moderator.post(f"/_synapse/admin/v1/media/quarantine/{mxc_path(mxcs[2])}", {})
    assert quarantined.status == HTTPStatus.OK
    for _ in range(2):
        assert [alice.download(mxc).status for mxc in mxcs] == [HTTPStatus.NOT_FOUND] * 3
        assert alice.download(plain).status == HTTPStatus.OK
        assert states(alice)[mxcs[0]] == "encrypted"
        assert states(alice)[plain] == "clean"
        synapse.restart()
    assert is_clean(alice, picture.with_wrong_key(), mxcs[0]), "noise is clean, for whoever has only that"
    assert alice.download(mxcs[0]).status == HTTPStatus.NOT_FOUND
    assert is_clean(alice, picture, mxcs[0])
    assert alice.download(mxcs[0]).body == picture.ciphertext
    assert states(alice)[mxcs[0]] == "clean"
    assert not is_clean(alice, virus, mxcs[1])
    assert alice.download(mxcs[1]).status == HTTPStatus.NOT_FOUND
    assert states(alice)[mxcs[1]] == "blocked"


def test_what_a_moderator_has_quarantined_stays_so(synapse: RealSynapse) -> None:
    alice = synapse.register("alice2")
    moderator = synapse.register("moderator2", admin=True)
    attachment = encrypted(malware.png(30, 30))
    mxc = alice.upload(attachment.ciphertext).json["content_uri"]
    assert moderator.post(f"/_synapse/admin/v1/media/quarantine/{mxc_path(mxc)}", {}).status == HTTPStatus.OK
    answer = alice.post(f"{SCANNER}/scan_encrypted", {"file": attachment.file(mxc)})
    assert alice.download(mxc).status == HTTPStatus.NOT_FOUND, answer.body
