"""Everything that is promised, played once through nginx: five processes, two organisations, real clients."""

import json
import re
import time
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from html import unescape
from http import HTTPStatus
from pathlib import Path
from urllib.parse import quote

import pytest

from synapse_bum.federation.live import POLL_MS
from synapse_bum.rest import BASE
from synapse_bum.testing import malware
from synapse_bum.testing.content_scanner_client import CLEAN, ContentScannerClient
from synapse_bum.testing.encrypted_client import EncryptedClient
from synapse_bum.testing.files_below import files_below
from synapse_bum.testing.http_client import HttpClient, mxc_path
from synapse_bum.testing.oidc_provider import KEYCLOAK, keycloak_person
from synapse_bum.testing.oidc_provider import PASSWORD as PROVIDERS_PASSWORD
from synapse_bum.testing.portal_window import PortalWindow
from synapse_bum.testing.retention_data import DAY_MS, backdate_file
from synapse_bum.testing.room_talk import CLIENT, bodies, events, join, new_room, ok, room_path, say
from synapse_bum.testing.sent_files import SENT_FILES, SentFile
from synapse_bum.testing.server_database import ServerDatabase
from synapse_bum.testing.service_stack import ADMIN_ROLE, PASSWORD, ServiceStack
from synapse_bum.testing.stack_people import StackPeople, denied
from synapse_bum.testing.stack_site import ADMIN_HOST
from synapse_bum.testing.stack_truth import accounts, add_up, audit_rows, eventually, recount, run_retention
from synapse_bum.testing.workers import MEDIA

pytestmark = [
    pytest.mark.requires("clamd", "matrix-nio", "nginx", "oidc-provider", "postgresql", "redis"),
    pytest.mark.any_synapse,
    pytest.mark.long,
]

NOBODY = "localhost:1"
"""Another server, which is not there: who is to look for its key fails at once."""

SHOWN_AS_BLOCKED = {"org.synapse_bum.scan_state": "blocked"}
NOTICED_S = 3.0
"""One is promised, which a busy machine can't prove. A process that is told nothing may look later than that."""

POLL = "org.matrix.msc3381.poll"


@pytest.fixture(scope="module")
def service(oidc_provider_folder: Path) -> Iterator[StackPeople]:
    with ServiceStack(identity=oidc_provider_folder) as stack:
        print(f"the stack was ready after {stack.start_seconds:.1f} s")  # noqa: T201 - a figure
        boss, alice, bob = stack.register("boss", admin=True), stack.register("alice"), stack.register("bob")
        carla = stack.there.register("carla", password=PASSWORD)
        yield StackPeople(stack, boss, alice.client, bob.client, carla)


def is_locked_out(user: HttpClient) -> bool:
    return user.get(f"{CLIENT}/account/whoami").status == HTTPStatus.UNAUTHORIZED


def test_two_organisations_become_partners_by_one_call(service: StackPeople) -> None:
    there = service.stack.there.server_name
    lobby = {"server": there}
    assert denied(service.alice.request("GET", f"{CLIENT}/publicRooms", query=lobby))
    for name in service.stack.processes:
        assert not service.lets_in(name, there), name
    ok(service.boss.admin.put(service.partner, {"organisation": "Amt B", "reason": "Vertrag 4711"}))
    # The other side does not list its rooms to others, which is its own answer.
    eventually(lambda: not denied(service.alice.request("GET", f"{CLIENT}/publicRooms", query=lobby)))
    assert service.admin(f"federation/check/{there}")["allowed"] is True

    service.wait_until_let_in(there)
    room_id = new_room(service.alice, service.carla.user_id)
    eventually(lambda: join(service.carla, room_id, service.stack.server_name))
    say(service.alice, room_id, body="Guten Morgen")
    say(service.carla, room_id, body="Guten Tag")
    eventually(lambda: {"Guten Morgen", "Guten Tag"} <= bodies(service.carla, room_id))
    eventually(lambda: {"Guten Morgen", "Guten Tag"} <= bodies(service.alice, room_id))


def test_encrypted_files_go_both_ways_and_infected_ones_do_not(service: StackPeople, nio_python: str) -> None:
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


@pytest.mark.parametrize("sent", SENT_FILES, ids=lambda sent: sent.name)
def test_what_is_sent_arrives(service: StackPeople, sent: SentFile) -> None:
    room_id = new_room(service.alice, service.bob.user_id)
    assert join(service.bob, room_id, service.stack.server_name)
    mxc = ok(service.alice.upload(sent.content, sent.content_type, "Anlage")).json["content_uri"]
    info = {"mimetype": sent.content_type, "size": len(sent.content)}
    event_id = say(service.alice, room_id, msgtype=sent.msgtype, body="Anlage", url=mxc, info=info, **sent.more)
    arrived = events(service.bob, room_id)[event_id]["content"]
    assert (arrived["msgtype"], arrived["url"], arrived["info"]) == (sent.msgtype, mxc, info)
    assert ok(service.bob.download(mxc)).body == sent.content
    assert ok(ContentScannerClient.of(service.bob).scan(mxc)).json == CLEAN
    if sent.content_type == "image/png":
        assert ok(service.bob.thumbnail(mxc)).headers["content-type"].startswith("image/")


def test_direct_and_group_chats_with_all_that_belongs_to_them(service: StackPeople) -> None:
    alice, bob = service.alice, service.bob
    direct = new_room(alice, bob.user_id, is_direct=True, preset="trusted_private_chat")
    ok(alice.put(f"{CLIENT}/user/{alice.user_id}/account_data/m.direct", {bob.user_id: [direct]}))
    invited = ok(bob.get(f"{CLIENT}/sync", timeout=0)).json["rooms"]["invite"][direct]["invite_state"]["events"]
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


def test_a_finding_holds_on_every_process(service: StackPeople) -> None:
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


def test_messages_go_by_age_for_everybody_and_stay_while_they_are_held(service: StackPeople) -> None:
    alice, bob, admin = service.alice, service.bob, service.boss.admin
    # Nobody of theirs is in it: their server would send again what is signed as being of today.
    room_id = new_room(alice, bob.user_id)
    assert join(bob, room_id, service.stack.server_name)
    old = say(alice, room_id, body="Vermerk Zebra")
    held = say(bob, room_id, body="Vermerk Okapi")
    say(alice, room_id, body="Vermerk Quagga")
    words = {"Vermerk Zebra", "Vermerk Okapi", "Vermerk Quagga"}

    def all_see(*expected: object) -> bool:
        return set(seen().values()) == {expected}

    seen = partial(service.seen_by_bob, room_id, words, old, held)
    # Whatever processes remember of messages, they do from now on.
    assert all_see(frozenset(words), 200, 200), seen()
    a_year_ago = int(time.time() * 1_000) - 400 * DAY_MS
    with ServerDatabase(service.stack.main) as database:
        query = "UPDATE events SET received_ts = ?, origin_server_ts = ? WHERE event_id IN (?, ?)"
        assert database.execute(query, a_year_ago, a_year_ago, old, held) == 2
    hold = f"{BASE}/retention/holds/{quote(bob.user_id, safe='')}"
    ok(admin.put(hold, {"reason": "Verfahren 12/26", "until_ts": int(time.time() * 1_000) + DAY_MS}))
    run = run_retention(admin)
    assert (run["state"], run["deleted"]["messages"]) == ("done", 1), run
    eventually(lambda: all_see(frozenset(words - {"Vermerk Zebra"}), 404, 200), seen)
    search = {"search_categories": {"room_events": {"search_term": "Vermerk"}}}
    found = ok(alice.post(f"{CLIENT}/search", search)).json["search_categories"]["room_events"]
    assert found["count"] == 2
    # Without a filter of its own it might get what Synapse remembers of an earlier sync for two minutes.
    only = json.dumps({"room": {"rooms": [room_id]}})
    joined = ok(alice.get(f"{CLIENT}/sync", timeout=0, filter=only)).json["rooms"]["join"][room_id]
    shown = {event["content"].get("body") for event in joined["timeline"]["events"]}
    assert shown & words == words - {"Vermerk Zebra"}
    ok(admin.delete(hold))
    assert run_retention(admin)["deleted"]["messages"] == 1
    eventually(lambda: all_see(frozenset({"Vermerk Quagga"}), 404, 404), seen)


def test_retention_deletes_where_the_volume_is_and_the_pool_adds_up(service: StackPeople) -> None:
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
    eventually(lambda: not [path for path in files_below(service.stack.media_volume) if media_id[4:] in str(path)])
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


def test_the_portal_shows_one_page_of_each_kind(service: StackPeople) -> None:
    window, url = PortalWindow(ADMIN_HOST), service.stack.admin_url
    window.log_in(url, "boss", PASSWORD)
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
        assert words in ok(window.ask(url, place)).body.decode(), place
    assert window.ask(service.stack.client_url, "").status == HTTPStatus.NOT_FOUND


def test_what_the_portal_changes_is_so_everywhere(service: StackPeople) -> None:
    window, url = PortalWindow(ADMIN_HOST), service.stack.admin_url
    window.log_in(url, "boss", PASSWORD)
    user_id = f"@erna:{service.stack.server_name}"
    page = window.send(url, "users/new", name="erna", display_name="Erna Muster", address="")
    (password,) = re.findall('<code class="secret">([^<]+)</code>', page)
    user = {"type": "m.id.user", "user": "erna"}
    entered = {"type": "m.login.password", "identifier": user, "password": unescape(password)}
    erna = ok(HttpClient(service.stack.client_url).post(f"{CLIENT}/login", entered)).json
    assert erna["user_id"] == user_id
    for name in service.stack.processes:
        ok(service.stack.at(name, HttpClient("", erna["access_token"])).get(f"{CLIENT}/account/whoami"))
    window.send(url, f"users/{quote(user_id, safe='')}/lock")
    for name in service.stack.processes:
        at_process = service.stack.at(name, HttpClient("", erna["access_token"]))
        eventually(partial(is_locked_out, at_process))
    window.send(url, "partners/new", server_name=NOBODY, organisation="Amt C", reason="Antrag 12")
    service.wait_until_let_in(NOBODY)
    window.send(url, f"partners/{quote(NOBODY, safe='')}/remove", typed=NOBODY, reason="Antrag 13")
    service.wait_until_kept_out(NOBODY)
    boss = service.boss.client.user_id
    rows = [(row.action, row.target, row.reason) for row in audit_rows(service.stack) if row.actor == boss]
    about_partner = [(action, reason) for action, target, reason in rows if target == NOBODY]
    assert about_partner[:2] == [("federation.added", "Antrag 12"), ("federation.removed", "Antrag 13")]
    about_erna = {action for action, target, _reason in rows if target == user_id}
    assert about_erna >= {"portal.user.create", "portal.user.lock"}


def test_people_sign_in_with_the_identity_provider(service: StackPeople) -> None:
    assert service.stack.providers is not None
    service.stack.providers.know(KEYCLOAK, "erika", keycloak_person("u-1", "Erika.Groß", "Erika Groß", [ADMIN_ROLE]))
    erika = service.stack.browser().log_in("keycloak", "erika", PROVIDERS_PASSWORD)
    assert erika.user_id == f"@erika.gross:{service.stack.server_name}"
    ok(HttpClient(service.stack.admin_url, erika.token).get(f"{BASE}/audit"))
    for name in service.stack.processes:
        ok(service.stack.at(name, erika).get(f"{CLIENT}/account/whoami"))
    linked = ok(service.boss.admin.get(f"{BASE}/oidc/links", user_id=erika.user_id)).json["links"]
    assert [one["subject"] for one in linked] == ["u-1"]


def test_no_process_waits_for_its_next_look_to_hear_of_a_removal(service: StackPeople) -> None:
    # A process that hears of nothing looks every five seconds, from its start on. So for one of three removals that
    # are a third of that apart it needs at least two thirds, which is more than is allowed here.
    names = [f"localhost:{number}" for number in (2, 3, 4)]
    for partner in names:
        ok(service.boss.admin.put(f"{BASE}/federation/partners/{partner}", {"reason": "für kurze Zeit"}))
        service.wait_until_let_in(partner)
    began, seconds = time.monotonic(), []
    for number, partner in enumerate(names):
        due = began + number * POLL_MS / 3_000
        # Later is as good when it is the same part of the five seconds.
        time.sleep((due - time.monotonic()) % (POLL_MS / 1_000))
        seconds.append(service.remove_partner(partner))
    assert max(max(one.values()) for one in seconds) < NOTICED_S, seconds


def test_a_partner_that_is_removed_is_out_everywhere_at_once(service: StackPeople) -> None:
    there = service.stack.there.server_name
    room_id = new_room(service.alice, service.carla.user_id)
    eventually(lambda: join(service.carla, room_id, service.stack.server_name))
    theirs = ok(service.carla.upload(malware.png(seed=21), "image/png")).json["content_uri"]
    eventually(lambda: service.alice.download(theirs).status == HTTPStatus.OK)
    seconds = service.remove_partner(there)
    print({name: f"{one:.2f} s" for name, one in seconds.items()})  # noqa: T201 - a figure
    assert max(seconds.values()) < NOTICED_S, seconds
    for name in service.stack.processes:
        client = service.stack.at(name, service.alice)
        assert denied(client.get(f"{CLIENT}/publicRooms", server=there)), name
    assert service.alice.download(theirs).status == HTTPStatus.FORBIDDEN
    members = ok(service.alice.get(room_path(room_id, "joined_members"))).json["joined"]
    assert set(members) == {service.alice.user_id}
    service.carla.send(room_id, "m.room.message", {"msgtype": "m.text", "body": "Noch jemand da?"}, "late")
    say(service.alice, room_id, body="nur für uns")
    time.sleep(1)
    assert "Noch jemand da?" not in bodies(service.alice, room_id)
    assert "nur für uns" not in bodies(service.carla, room_id)


def test_a_removal_that_nobody_is_told_of_is_seen_within_five_seconds(service: StackPeople) -> None:
    ok(service.boss.admin.put(f"{BASE}/federation/partners/{NOBODY}", {"reason": "für kurze Zeit"}))
    service.wait_until_let_in(NOBODY)
    service.stack.redis.kill()
    try:
        seconds = service.remove_partner(NOBODY)
    finally:
        service.stack.redis.start()
    print({name: f"{one:.2f} s" for name, one in seconds.items()})  # noqa: T201 - a figure
    assert max(seconds.values()) < POLL_MS / 1_000 + NOTICED_S, seconds


def test_every_change_stands_in_the_audit_log(service: StackPeople) -> None:
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
