"""Everything that is promised, played once through nginx: five processes, two organisations, real clients."""

import re
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import attr
import pytest

from synapse_bum.rest import BASE
from synapse_bum.testing import malware
from synapse_bum.testing.content_scanner_client import CLEAN, ContentScannerClient
from synapse_bum.testing.encrypted_client import EncryptedClient
from synapse_bum.testing.http_client import HttpClient, MatrixClient, Response, mxc_path
from synapse_bum.testing.oidc_provider import KEYCLOAK, keycloak_person
from synapse_bum.testing.oidc_provider import PASSWORD as PROVIDERS_PASSWORD
from synapse_bum.testing.retention_data import DAY_MS, backdate_file
from synapse_bum.testing.room_talk import CLIENT, bodies, events, join, new_room, ok, room_path, say
from synapse_bum.testing.server_database import ServerDatabase
from synapse_bum.testing.service_stack import ADMIN_ROLE, PASSWORD, Account, ServiceStack
from synapse_bum.testing.stack_site import ADMIN_HOST
from synapse_bum.testing.stack_truth import accounts, add_up, audit_rows, eventually, recount, run_retention
from synapse_bum.testing.workers import MEDIA

pytestmark = [
    pytest.mark.requires("clamd", "matrix-nio", "nginx", "oidc-provider", "postgresql", "redis"),
    pytest.mark.any_synapse,
    pytest.mark.long,
]

PORTAL = "/_synapse/client/bum/portal"
SHOWN_AS_BLOCKED = {"org.synapse_bum.scan_state": "blocked"}
NOTICED_S = 3.0
"""One is promised, which a busy machine can't prove. One of four that wait for their next look takes longer."""

POLL = "org.matrix.msc3381.poll"
PDF = b"%PDF-1.7\n1 0 obj << /Type /Catalog >> endobj\ntrailer << /Root 1 0 R >>\n%%EOF\n"
GIF = (
    b"GIF89a\x01\x00\x01\x00\x80\x00\x00\x00\x00\x00\xff\xff\xff!\xf9\x04\x01\x00\x00\x00\x00"
    b",\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02D\x01\x00;"
)
VIDEO = b"\x00\x00\x00\x18ftypmp42\x00\x00\x00\x00mp42isom" + b"\x00\x00\x00\x08free" * 40
VOICE = b"OggS\x00\x02" + bytes(20) + b"\x01\x13OpusHead\x01\x01" + bytes(100)
VCARD = b"BEGIN:VCARD\r\nVERSION:4.0\r\nFN:Erika Muster\r\nTEL:+49 30 123456\r\nEND:VCARD\r\n"


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Service:
    """The stack and the people: carla is of the other organisation, all others of ours."""

    stack: ServiceStack
    boss: Account
    alice: MatrixClient
    bob: MatrixClient
    carla: MatrixClient

    @property
    def partner(self) -> str:
        return f"{BASE}/federation/partners/{self.stack.there.server_name}"

    def admin(self, path: str) -> Any:  # noqa: ANN401 - JSON
        return ok(self.boss.admin.get(f"{BASE}/{path}")).json

    def everywhere(self, client: HttpClient, path: str) -> Mapping[str, Response]:
        """What each of our processes answers."""
        return {name: self.stack.at(name, client).get(path) for name in self.stack.processes}


@pytest.fixture(scope="module")
def service(oidc_provider_folder: Path) -> Iterator[Service]:
    with ServiceStack(identity=oidc_provider_folder) as stack:
        print(f"the stack was ready after {stack.start_seconds:.1f} s")  # noqa: T201 - a figure
        boss, alice, bob = stack.register("boss", admin=True), stack.register("alice"), stack.register("bob")
        carla = stack.there.register("carla", password=PASSWORD)
        yield Service(stack, boss, alice.client, bob.client, carla)


def synced(user: MatrixClient) -> Any:  # noqa: ANN401 - JSON
    return ok(user.get(f"{CLIENT}/sync", timeout=0)).json


def denied(answer: Response) -> bool:
    return answer.status == HTTPStatus.FORBIDDEN and b"Federation denied" in answer.body


def asked_as(process: HttpClient, name: str) -> Response:
    """A request of another server, which is refused by its name before anybody looks at the signature."""
    signed = {"Authorization": f'X-Matrix origin="{name}",key="ed25519:a",sig="AAAA"'}
    return process.request("GET", "/_matrix/federation/v1/publicRooms", headers=signed)


def test_two_organisations_become_partners_by_one_call(service: Service) -> None:
    there = service.stack.there.server_name
    lobby = {"server": there}
    assert denied(service.alice.request("GET", f"{CLIENT}/publicRooms", query=lobby))
    for name in service.stack.processes:
        assert denied(asked_as(service.stack.at(name, service.alice), there)), name
    ok(service.boss.admin.put(service.partner, {"organisation": "Amt B", "reason": "Vertrag 4711"}))
    # The other side does not list its rooms to others, which is its own answer.
    eventually(lambda: not denied(service.alice.request("GET", f"{CLIENT}/publicRooms", query=lobby)))
    assert service.admin(f"federation/check/{there}")["allowed"] is True

    def is_let_in(name: str) -> bool:
        return not denied(asked_as(service.stack.at(name, service.alice), there))

    for name in service.stack.processes:
        eventually(partial(is_let_in, name))
    room_id = new_room(service.alice, service.carla.user_id)
    eventually(lambda: join(service.carla, room_id, service.stack.server_name))
    say(service.alice, room_id, body="Guten Morgen")
    say(service.carla, room_id, body="Guten Tag")
    eventually(lambda: {"Guten Morgen", "Guten Tag"} <= bodies(service.carla, room_id))
    eventually(lambda: {"Guten Morgen", "Guten Tag"} <= bodies(service.alice, room_id))


def test_encrypted_files_go_both_ways_and_infected_ones_do_not(service: Service, nio_python: str) -> None:
    with ExitStack() as stack:
        alice = stack.enter_context(EncryptedClient(service.alice, nio_python))
        carla = stack.enter_context(EncryptedClient(service.carla, nio_python))
        room_id = alice.create_encrypted_room(invite=[service.carla.user_id])
        carla.join(room_id)
        for sender, reader in ((alice, carla), (carla, alice)):
            at_sender, at_reader = (ContentScannerClient.of(one.account) for one in (sender, reader))
            letter = malware.zipped(b"Ein Brief an das andere Amt", "brief.txt")
            sender.send_file(room_id, letter, "brief.zip", "application/zip")
            file = reader.wait_for_file(room_id).file
            # A file of ours is held until somebody with the key, here its sender, has had it scanned.
            assert ok(at_sender.scan_encrypted(file)).json == CLEAN
            eventually(partial(lambda one, it: one.scan_encrypted(it).json == CLEAN, at_reader, file))
            assert reader.download_and_decrypt(file) == letter
            sender.send_file(room_id, malware.zipped(malware.EICAR), "rechnung.zip", "application/zip")
            infected = reader.wait_for_file(room_id).file
            # The reader asks first. Theirs can't get from ours what is held, ours finds what theirs hands out.
            said = [one.scan_encrypted(infected) for one in (at_reader, at_sender)]
            assert not any(answer.json.get("clean") for answer in said)
            ours = said[0] if reader is alice else said[1]
            assert ok(ours).json["clean"] is False
            for scanner in (at_sender, at_reader):
                assert scanner.download_encrypted(infected).status != HTTPStatus.OK
            for user in (sender, reader):
                assert user.account.download(infected["url"]).status == HTTPStatus.NOT_FOUND


@pytest.mark.parametrize(
    ("msgtype", "content_type", "content", "more"),
    [
        ("m.file", "application/pdf", PDF, {}),
        ("m.image", "image/gif", GIF, {}),
        ("m.image", "image/png", malware.png(), {}),
        ("m.video", "video/mp4", VIDEO, {}),
        (
            "m.audio",
            "audio/ogg",
            VOICE,
            {"org.matrix.msc3245.voice": {}, "org.matrix.msc1767.audio": {"duration": 900}},
        ),
        ("m.file", "text/vcard", VCARD, {}),
    ],
    ids=["document", "GIF", "picture", "video", "voice message", "contact"],
)
def test_what_is_sent_arrives(
    service: Service, msgtype: str, content_type: str, content: bytes, more: Mapping[str, Any]
) -> None:
    room_id = new_room(service.alice, service.bob.user_id)
    assert join(service.bob, room_id, service.stack.server_name)
    mxc = ok(service.alice.upload(content, content_type, "Anlage")).json["content_uri"]
    info = {"mimetype": content_type, "size": len(content)}
    event_id = say(service.alice, room_id, msgtype=msgtype, body="Anlage", url=mxc, info=info, **more)
    arrived = events(service.bob, room_id)[event_id]["content"]
    assert (arrived["msgtype"], arrived["url"], arrived["info"]) == (msgtype, mxc, info)
    assert ok(service.bob.download(mxc)).body == content
    assert ok(ContentScannerClient.of(service.bob).scan(mxc)).json == CLEAN
    if content_type == "image/png":
        assert ok(service.bob.thumbnail(mxc)).headers["content-type"].startswith("image/")


def test_direct_and_group_chats_with_all_that_belongs_to_them(service: Service) -> None:
    alice, bob = service.alice, service.bob
    direct = new_room(alice, bob.user_id, is_direct=True, preset="trusted_private_chat")
    ok(alice.put(f"{CLIENT}/user/{alice.user_id}/account_data/m.direct", {bob.user_id: [direct]}))
    invited = synced(bob)["rooms"]["invite"][direct]["invite_state"]["events"]
    assert any(event["content"].get("is_direct") for event in invited)
    group = new_room(alice, bob.user_id, name="Lagezentrum", topic="Hochwasser", visibility="public")
    for room_id in (direct, group):
        assert join(bob, room_id, service.stack.server_name)
    greeting = say(alice, direct, body="Hallo 👋🏽 schöne Grüße")
    assert events(bob, direct)[greeting]["content"]["body"] == "Hallo 👋🏽 schöne Grüße"
    thumb = {"rel_type": "m.annotation", "event_id": greeting, "key": "👍"}
    say(bob, direct, "m.reaction", **{"m.relates_to": thumb})
    assert any(event["type"] == "m.reaction" for event in events(alice, direct).values())
    place = say(alice, group, msgtype="m.location", body="Amt", geo_uri="geo:52.5163,13.3777")
    assert events(bob, group)[place]["content"]["geo_uri"] == "geo:52.5163,13.3777"
    answers = [{"id": name, "org.matrix.msc1767.text": name} for name in ("ja", "nein")]
    question = {"question": {"org.matrix.msc1767.text": "Sitzung?"}, "kind": f"{POLL}.disclosed", "answers": answers}
    poll = say(alice, group, f"{POLL}.start", **{f"{POLL}.start": {**question, "max_selections": 1}})
    about = {"m.relates_to": {"rel_type": "m.reference", "event_id": poll}}
    say(bob, group, f"{POLL}.response", **{**about, f"{POLL}.response": {"answers": ["ja"]}})
    say(alice, group, f"{POLL}.end", **{**about, f"{POLL}.end": {}})
    related = ok(bob.get(f"/_matrix/client/v1/rooms/{quote(group)}/relations/{quote(poll)}/m.reference")).json["chunk"]
    assert {event["type"] for event in related} == {f"{POLL}.response", f"{POLL}.end"}
    ok(bob.put(f"{CLIENT}/pushrules/global/room/{quote(group)}", {"actions": []}))
    assert any(rule["rule_id"] == group for rule in ok(bob.get(f"{CLIENT}/pushrules/")).json["global"]["room"])
    say(alice, group, body="Hochwasserscheitel um 18 Uhr")
    search = {"search_categories": {"room_events": {"search_term": "Hochwasserscheitel"}}}
    found = ok(bob.post(f"{CLIENT}/search", search)).json["search_categories"]["room_events"]
    assert found["count"] == 1
    by_name = {"filter": {"generic_search_term": "lagezentrum"}}
    assert [one["room_id"] for one in ok(bob.post(f"{CLIENT}/publicRooms", by_name)).json["chunk"]] == [group]
    asked = {"search_term": "bob"}
    eventually(
        lambda: any(
            one["user_id"] == bob.user_id
            for one in ok(alice.post(f"{CLIENT}/user_directory/search", asked)).json["results"]
        )
    )
    ok(bob.post(room_path(group, "leave"), {}))
    assert group not in ok(bob.get(f"{CLIENT}/joined_rooms")).json["joined_rooms"]
    assert alice.user_id in ok(alice.get(room_path(group, "joined_members"))).json["joined"]


def test_a_finding_holds_on_every_process(service: Service) -> None:
    assert service.alice.upload(malware.EICAR).status == HTTPStatus.BAD_REQUEST
    room_id = new_room(service.alice, service.bob.user_id)
    assert join(service.bob, room_id, service.stack.server_name)
    content = malware.unique_bytes(40).hex().encode()
    mxc = ok(service.alice.upload(content, "text/plain")).json["content_uri"]
    event_id = say(service.alice, room_id, msgtype="m.file", body="bericht.txt", url=mxc)
    assert ok(service.bob.download(mxc)).body == content
    service.stack.clamd.reload_with([malware.signature_for("Known-Since-Today", content)])
    run = service.boss.admin.post(f"{BASE}/antivirus/rescan", {})
    assert run.status == HTTPStatus.ACCEPTED, run.body
    finding = f"{BASE}/antivirus/findings/{mxc_path(mxc)}"
    eventually(lambda: service.boss.admin.get(finding).status == HTTPStatus.OK)
    eventually(lambda: service.bob.download(mxc).status == HTTPStatus.NOT_FOUND)
    for path in (f"/_matrix/client/v1/media/download/{mxc_path(mxc)}", f"/_matrix/media/v3/download/{mxc_path(mxc)}"):
        statuses = {name: answer.status for name, answer in service.everywhere(service.bob, path).items()}
        assert set(statuses.values()) == {HTTPStatus.NOT_FOUND}, statuses
    for user in (service.bob, service.boss.client):
        assert user.thumbnail(mxc).status == HTTPStatus.NOT_FOUND
    shown = room_path(room_id, "event", event_id)

    def is_shown_as_blocked(name: str) -> bool:
        unsigned = ok(service.stack.at(name, service.bob).get(shown)).json["unsigned"]
        return bool(SHOWN_AS_BLOCKED.items() <= unsigned.items())

    for name in service.stack.processes:
        eventually(partial(is_shown_as_blocked, name))
        asked = HttpClient(service.stack.urls[name], service.boss.admin.token)
        found = ok(asked.request("GET", finding, headers={"Host": ADMIN_HOST})).json
        assert (found["state"], found["uploader"]) == ("blocked", service.alice.user_id), name
        # Nobody learns of findings elsewhere than at the administrators' host.
        assert asked.get(finding).status == HTTPStatus.NOT_FOUND
    assert service.bob.upload(content, "text/plain").status == HTTPStatus.BAD_REQUEST


def test_retention_deletes_where_the_volume_is_and_the_pool_adds_up(service: Service) -> None:
    admin = service.boss.admin
    old, young = (
        ok(service.alice.upload(malware.png(seed=seed), "image/png")).json["content_uri"] for seed in (11, 12)
    )
    for mxc in (old, young):
        ok(service.alice.thumbnail(mxc, 96, 96, "crop"))
    with ServerDatabase(service.stack.main) as database:
        backdate_file(database, old, int(time.time() * 1_000) - 100 * DAY_MS)
    # A time that was changed behind its back is found by the account of what is stored when it counts anew.
    recount(admin)
    run = run_retention(admin)
    assert (run["state"], run["deleted"]["local_media"]) == ("done", 1), run
    eventually(lambda: service.alice.download(old).status == HTTPStatus.NOT_FOUND)
    media_id = old.rpartition("/")[2]
    eventually(lambda: not list(service.stack.media_volume.rglob(f"*{media_id[4:]}*")))
    assert ok(service.alice.download(young)).body == malware.png(seed=12)
    removed = re.compile(r"INFO synapse_bum\.deletion\S* .*Removed ")
    eventually(lambda: removed.search(service.stack.workers[MEDIA].log_text()))
    others = {name for name, one in service.stack.processes.items() if removed.search(one.log_text())}
    assert others == {MEDIA}
    log = service.stack.places.deletion_log
    eventually(lambda: log.exists() and media_id in log.read_text())
    eventually(lambda: add_up(accounts(service.stack, admin)), lambda: accounts(service.stack, admin))
    assert recount(admin)["drift_bytes"] == {"local": 0, "remote": 0, "thumbnails": 0}
    eventually(lambda: add_up(accounts(service.stack, admin)), lambda: accounts(service.stack, admin))
    assert service.admin("storage/usage")["users"] == 3


def test_the_portal_shows_one_page_of_each_kind(service: Service) -> None:
    entered = {"name": "boss", "password": PASSWORD}
    form = {"Origin": f"https://{ADMIN_HOST}", "Content-Type": "application/x-www-form-urlencoded"}
    client = HttpClient(service.stack.admin_url)
    answer = client.request("POST", f"{PORTAL}/login", body=urlencode(entered).encode(), headers=form)
    assert answer.status == HTTPStatus.SEE_OTHER, answer.body
    cookies = "; ".join(line.partition(";")[0] for line in re.split(r", (?=__)", answer.headers["set-cookie"]))
    expected = {
        "": "Übersicht",
        "users": service.alice.user_id,
        f"users/{quote(service.alice.user_id, safe='')}": service.alice.user_id,
        "rooms": "Lagezentrum",
        "findings": "Known-Since-Today",
        "partners": service.stack.there.server_name,
        "storage": "Stand",
        "invoice": "ML.1",
        "retention": "90",
        "availability": "99,9",
        "audit": "federation.added",
        "administrators": service.boss.client.user_id,
    }
    for place, words in expected.items():
        page = client.request("GET", f"{PORTAL}/{place}", headers={"Cookie": cookies})
        assert words in ok(page).body.decode(), place
    elsewhere = HttpClient(service.stack.client_url).request("GET", f"{PORTAL}/", headers={"Cookie": cookies})
    assert elsewhere.status == HTTPStatus.NOT_FOUND


def test_people_sign_in_with_the_identity_provider(service: Service) -> None:
    assert service.stack.providers is not None
    service.stack.providers.know(KEYCLOAK, "erika", keycloak_person("u-1", "Erika.Groß", "Erika Groß", [ADMIN_ROLE]))
    erika = service.stack.browser().log_in("keycloak", "erika", PROVIDERS_PASSWORD)
    assert erika.user_id == f"@erika.gross:{service.stack.server_name}"
    ok(HttpClient(service.stack.admin_url, erika.token).get(f"{BASE}/audit"))
    for name in service.stack.processes:
        ok(service.stack.at(name, erika).get(f"{CLIENT}/account/whoami"))
    linked = ok(service.boss.admin.get(f"{BASE}/oidc/links", user_id=erika.user_id)).json["links"]
    assert [one["subject"] for one in linked] == ["u-1"]


def test_a_partner_that_is_removed_is_out_everywhere_at_once(service: Service) -> None:
    there = service.stack.there.server_name
    room_id = new_room(service.alice, service.carla.user_id)
    eventually(lambda: join(service.carla, room_id, service.stack.server_name))
    theirs = ok(service.carla.upload(malware.png(seed=21), "image/png")).json["content_uri"]
    eventually(lambda: service.alice.download(theirs).status == HTTPStatus.OK)
    clients = {name: service.stack.at(name, service.alice) for name in service.stack.processes}

    def seconds_until_denied(name: str) -> float:
        eventually(lambda: denied(asked_as(clients[name], there)))
        return time.monotonic() - began

    began = time.monotonic()
    with ThreadPoolExecutor(8) as threads:
        removing = threads.submit(
            service.boss.admin.request, "DELETE", service.partner, json_body={"reason": "Vertrag ist zu Ende"}
        )
        seconds = dict(zip(clients, threads.map(seconds_until_denied, clients), strict=True))
        ok(removing.result())
    print({name: f"{one:.2f} s" for name, one in seconds.items()})  # noqa: T201 - a figure
    assert max(seconds.values()) < NOTICED_S, seconds
    for name, client in clients.items():
        assert denied(client.get(f"{CLIENT}/publicRooms", server=there)), name
    assert service.alice.download(theirs).status == HTTPStatus.FORBIDDEN
    members = ok(service.alice.get(room_path(room_id, "joined_members"))).json["joined"]
    assert set(members) == {service.alice.user_id}
    service.carla.send(room_id, "m.room.message", {"msgtype": "m.text", "body": "Noch jemand da?"}, "late")
    say(service.alice, room_id, body="nur für uns")
    time.sleep(1)
    assert "Noch jemand da?" not in bodies(service.alice, room_id)
    assert "nur für uns" not in bodies(service.carla, room_id)


def test_every_change_stands_in_the_audit_log(service: Service) -> None:
    rows = audit_rows(service.stack)
    there, boss = service.stack.there.server_name, service.boss.client.user_id
    about_partner = [(row.action, row.actor, row.reason) for row in rows if row.target == there]
    assert about_partner[0] == ("federation.added", boss, "Vertrag 4711")
    assert ("federation.removed", boss, "Vertrag ist zu Ende") in about_partner
    actions = {row.action.partition(".")[0] for row in rows}
    assert {"antivirus", "federation", "oidc", "retention", "storage"} <= actions, sorted({row.action for row in rows})
    shown = service.admin("audit?limit=1000")["audit"]
    assert [row["hash"] for row in reversed(shown)] == [row.hash for row in rows][-len(shown) :]
    texts = str(rows)
    assert not any(word in texts for word in (PASSWORD, "Guten Morgen", service.alice.token or "no token"))
