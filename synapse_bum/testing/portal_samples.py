"""A portal with something on each of its pages: people, rooms, files, a virus, partners, outages, reported faults.

All names are invented. `PortalSamples.addresses` says for every page of the table where to find it.
"""

import datetime as dt
import io
import os
import time
from collections.abc import Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Final
from urllib.parse import quote

from PIL import Image
from typing_extensions import Self

from synapse_bum.portal.accounts.begun_deletions import Stage
from synapse_bum.portal.statistics.calendar_days import begin_ms
from synapse_bum.rest import BASE
from synapse_bum.retention.classes import LARGE_CLASS
from synapse_bum.testing.http_client import Json, MatrixClient, mxc_path
from synapse_bum.testing.list_signer import ListSigner
from synapse_bum.testing.malware import EICAR
from synapse_bum.testing.portal_server import ServedPortal
from synapse_bum.testing.retention_data import DAY_MS, backdate_file
from synapse_bum.testing.scanned_homeserver import wait_until
from synapse_bum.testing.server_database import ServerDatabase

_MINUTE_MS: Final = 60_000
_HOUR_MS: Final = 60 * _MINUTE_MS
_PEOPLE: Final = {
    "anna.berg": "Anna Berg",
    "cem.aydin": "Cem Aydin",
    "doris.kuehn": "Doris Kühn",
    "emil.sander": "Emil Sander",
    "frieda.lorenz": "Frieda Lorenz",
    "georg.pohl": "Georg Pohl",
    "hanna.vogt": "Hanna Vogt",
    "inge.roth": "Inge Roth",
}
_DAYS: Final = 120
_OPEN: Final = frozenset({"queued", "running"})
_STORED_BYTES: Final = 900_000_000
_AGENCIES: Final = tuple(f"messenger.amt-{letter}.example" for letter in "abcdef")
_ENCRYPTED: Final = {"type": "m.room.encryption", "state_key": "", "content": {"algorithm": "m.megolm.v1.aes-sha2"}}


def write_history(
    database: ServerDatabase, today: dt.date, *, users: int = 920, used_bytes: int = 490_000_000_000
) -> None:
    """Writes counts of the last days, as the portal and the storage module keep them; those of two days are missing.

    Args:
        database: of a homeserver that has both modules.
        today: of which there is none yet.
        users: how many there are in the end; there were half as many.
        used_bytes: how much is stored in the end; it was nothing.
    """
    for number in range(_DAYS, 0, -1):
        if number in {12, 13}:
            continue
        day = today - dt.timedelta(days=number)
        ts, grown = begin_ms(day), _DAYS - number
        known = users - users * number // (2 * _DAYS)
        database.execute(
            "INSERT INTO synapse_bum_portal_statistics (day, ts, counted_ts, rooms, messages, sent_messages,"
            " registered_users) VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (day) DO NOTHING",
            *(day.isoformat(), ts, ts, 90 + grown // 2),
            *(2_000 + 90 * (grown % 7) + 3 * grown, 1_500 + 60 * (grown % 7), known),
        )
        database.execute(
            "INSERT INTO synapse_bum_storage_snapshots (day, ts, users, locked_users, local_files, local_bytes,"
            " local_thumbnail_bytes, remote_files, remote_bytes, remote_thumbnail_bytes, used_bytes, included_bytes,"
            " gigabyte) VALUES (?, ?, ?, 0, 0, 0, 0, 0, 0, 0, ?, ?, 1000000000) ON CONFLICT (day) DO NOTHING",
            *(day.isoformat(), ts, known, used_bytes * grown // _DAYS, known * 1_000_000_000),
        )


class PortalSamples:
    """A portal whose pages all have something to show; a context manager.

    Example::

        with PortalSamples(folder) as samples:
            samples.addresses["users/{user_id}"]  # "users/%40anna.berg%3Amessenger.example"

    Attributes:
        server: the portal.
        addresses: of each page, below the portal, by its path in the table.
        month: one that has an invoice, as `2026-01`.
    """

    def __init__(self, folder: Path) -> None:
        """Prepares; entering the context starts the homeserver and fills it.

        Args:
            folder: for files; it exists.
        """
        self._folder = folder
        self._signer = ListSigner()
        signed_list = {"source": str(folder / "partners.jws"), "keys_path": str(folder / "keys.json")}
        self.server = ServedPortal(
            folder,
            administrator="petra.falk",
            portal={"show_activity": True, "file_previews": True},
            more={"federation.FederationModule": {"signed_list": signed_list}},
        )
        self.addresses: dict[str, str] = {}
        self.month = dt.datetime.now(dt.timezone.utc).date().isoformat()[:7]

    def __enter__(self) -> Self:
        (self._folder / "keys.json").write_bytes(self._signer.key_set())
        (self._folder / "partners.jws").write_bytes(self._signer.list(*_AGENCIES))
        self.server.__enter__()
        try:
            with ServerDatabase(self.server.synapse) as database:
                self._fill(database)
        except BaseException:
            self.server.__exit__(None, None, None)
            raise
        return self

    def __exit__(self, *exception: object) -> None:
        self.server.__exit__(None, None, None)

    def _fill(self, database: ServerDatabase) -> None:
        today = dt.datetime.now(dt.timezone.utc).date()
        write_history(database, today, users=len(_PEOPLE) + 1, used_bytes=_STORED_BYTES)
        people = self._people()
        rooms = self._rooms(people)
        self._files(people, database)
        self._partners()
        self._measure(database)
        self._availability()
        self._support()
        user, room = {"user_id": self._id("anna.berg")}, {"room_id": rooms["Lagezentrum"]}
        for path in ("", "/edit", "/delete", "/files", "/lock", "/log-out", "/password"):
            self._place(f"users/{{user_id}}{path}", user)
        self._place("users/{user_id}/unlock", {"user_id": self._id("georg.pohl")})
        self._place("users/{user_id}/deleting", {"user_id": self._begin_deletion("inge.roth", database)})
        self._place("administrators/{user_id}/appoint", user)
        self._place("administrators/{user_id}/remove", {"user_id": self._id("hanna.vogt")})
        for path in ("", "/files", "/delete"):
            self._place(f"rooms/{{room_id}}{path}", room)
        self._place("rooms/{room_id}/deletion", {"room_id": rooms["Sommerfest"]})

    def _place(self, path: str, values: Mapping[str, str]) -> None:
        self.addresses[path] = path.format(**{name: quote(value, safe="") for name, value in values.items()})

    def _id(self, name: str) -> str:
        return f"@{name}:{self.server.synapse.server_name}"

    def _ask(self, method: str, path: str, body: Json = None) -> Json:
        """Asks an API as the administrator.

        Raises:
            ValueError: it refuses.
        """
        answer = self.server.boss.request(method, path, json_body=body)
        if answer.status not in {HTTPStatus.OK, HTTPStatus.CREATED, HTTPStatus.ACCEPTED}:
            raise ValueError(f"{method} {path}: {answer.status} {answer.body[:500]!r}")
        return answer.json

    def _people(self) -> Mapping[str, MatrixClient]:
        accounts = "/_synapse/admin/v2/users/"
        active = {name: self.server.synapse.register(name) for name in ("anna.berg", "cem.aydin")}
        for name, shown in _PEOPLE.items():
            addresses = [{"medium": "email", "address": f"{name}@behoerde.example"}]
            self._ask("PUT", accounts + self._id(name), {"displayname": shown, "threepids": addresses})
        self._ask("PUT", accounts + self.server.boss.user_id, {"displayname": "Petra Falk"})
        self._ask("PUT", accounts + self._id("georg.pohl"), {"locked": True})
        self._ask("PUT", accounts + self._id("hanna.vogt"), {"admin": True})
        held = self._id("emil.sander")
        until = int(time.time() * 1000) + 400 * DAY_MS
        self._ask("PUT", f"{BASE}/retention/holds/{held}", {"reason": "Verfahren 12/26", "until_ts": until})
        for path in ("edit", "lift"):
            self._place(f"holds/{{room_or_user_id}}/{path}", {"room_or_user_id": held})
        return active

    def _rooms(self, people: Mapping[str, MatrixClient]) -> Mapping[str, str]:
        anna = people["anna.berg"]
        invited = [self._id("cem.aydin")]
        rooms = {
            "Lagezentrum": anna.create_room(name="Lagezentrum", topic="Täglich um 9 Uhr", invite=invited),
            "Personalrat": anna.create_room(name="Personalrat", initial_state=[_ENCRYPTED]),
            "Sommerfest": anna.create_room(name="Sommerfest"),
        }
        found: dict[str, str] = {name: answer.json["room_id"] for name, answer in rooms.items()}
        people["cem.aydin"].post(f"/_matrix/client/v3/join/{quote(found['Lagezentrum'])}", {})
        for number in range(5):
            body = {"msgtype": "m.text", "body": f"Meldung {number}"}
            anna.send(found["Lagezentrum"], "m.room.message", body, str(number))
        self._ask("DELETE", f"/_synapse/admin/v2/rooms/{quote(found['Sommerfest'])}", {"purge": True})
        return found

    def _begin_deletion(self, name: str, database: ServerDatabase) -> str:
        """Lets the deletion of an account be under way for the next hour; returns whose."""
        user_id, now_ms = self._id(name), int(time.time() * 1000)
        self._ask("PUT", f"/_synapse/admin/v2/users/{user_id}", {"locked": True})
        database.execute(
            "INSERT INTO synapse_bum_portal_begun_deletions"
            " (user_id, begun_by, begun_ts, stage, session_id, busy_until_ts) VALUES (?, ?, ?, ?, ?, ?)",
            *(user_id, self.server.boss.user_id, now_ms, Stage.SHUT_OUT.value, "", now_ms + _HOUR_MS),
        )
        return user_id

    def _shorten_lifetime(self, database: ServerDatabase) -> None:
        """Lets a class wait for a confirmation: it has many files, and they were to be kept longer before."""
        owner, now_ms = self._id("frieda.lorenz"), int(time.time() * 1000)
        size = _STORED_BYTES // LARGE_CLASS
        columns = ("media_id", "media_type", "media_length", "created_ts", "user_id")
        rows = [(f"minutes{number}", "application/pdf", size, now_ms, owner) for number in range(LARGE_CLASS)]
        database.insert("local_media_repository", columns, rows)
        before = "UPDATE synapse_bum_retention_classes SET lifetime_ms = ? WHERE class = 'local_media'"
        database.execute(before, 200 * DAY_MS)
        run = {"dry_run": False, "classes": ["local_media"]}
        self._runs("/retention/runs", run, "", ())

    def _files(self, people: Mapping[str, MatrixClient], database: ServerDatabase) -> None:
        anna, boss = people["anna.berg"], self.server.boss
        # The first run by schedule shall not take away what is said to be old.
        _succeeded(boss, "/retention/status", "local_media")
        old = anna.upload(b"x" * 20_000, "application/pdf", "Haushaltsplan 2025.pdf").json["content_uri"]
        backdate_file(database, old, int(time.time() * 1000) - 100 * DAY_MS)
        kept = anna.upload(b"y" * 120_000, "text/plain", "Lagebericht.txt").json["content_uri"]
        for path in ("", "/delete"):
            self._place_file(f"files/{{server_name}}/{{media_id}}{path}", kept)
        wait_until(lambda: boss.get(f"{BASE}/antivirus/status").json["scanner_ok"])
        picture = anna.upload(_picture(), "image/png", "Lageplan.png").json["content_uri"]
        for path in ("/preview", "/preview/picture"):
            self._place_file(f"files/{{server_name}}/{{media_id}}{path}", picture)
        orphan = self.server.synapse.media_directory / "local_content" / "aa" / "bb" / "orphanorphanorphan"
        orphan.parent.mkdir(parents=True, exist_ok=True)
        orphan.write_bytes(b"z" * 5_000)
        os.utime(orphan, (0, time.time() - 30 * DAY_MS / 1000))
        infected = [anna.upload(EICAR, "text/plain", "Rechnung.txt").json["content_uri"] for _ in range(2)]
        for path in ("", "/delete", "/release"):
            self._place_file(f"findings/{{server_name}}/{{media_id}}{path}", infected[0])
        self._place_file("held/{server_name}/{media_id}/release", kept)
        self._place("signatures/{signature}/release", {"signature": "Win.Test.EICAR_HDB-1"})
        self._runs("/antivirus/rescan", None, "rescans/{run_id}", ("", "/confirm", "/cancel"))
        self._runs("/storage/orphans", {"dry_run": True}, "orphans/{run_id}", ("", "/remove", "/cancel"))
        dry = {"dry_run": True, "classes": ["local_media"]}
        self._runs("/retention/runs", dry, "retention/runs/{run_id}", ("", "/carry-out", "/cancel"))
        self._shorten_lifetime(database)
        self._runs("/storage/recount", None, "storage/recount/{run_id}", ("",))

    def _place_file(self, path: str, mxc: str) -> None:
        server_name, _, media_id = mxc_path(mxc).partition("/")
        self._place(path, {"server_name": server_name, "media_id": media_id})

    def _runs(self, route: str, body: Json, page: str, below: tuple[str, ...]) -> None:
        """Begins a run and waits for its end."""
        run_id = self._ask("POST", BASE + route, body)["run_id"]
        wait_until(lambda: self._ask("GET", f"{BASE}{route}/{run_id}")["state"] not in _OPEN)
        for path in below:
            self._place(page + path, {"run_id": run_id})

    def _partners(self) -> None:
        partner = "messenger.stadtwerke.example"
        body = {"reason": "Vereinbarung vom 1.10.", "organisation": "Stadtwerke", "ticket": "V-77"}
        self._ask("PUT", f"{BASE}/federation/partners/{partner}", body)
        for path in ("", "/edit", "/remove"):
            self._place(f"partners/{{partner_name}}{path}", {"partner_name": partner})
        # Names most of them no more: that waits for a decision.
        (self._folder / "partners.jws").write_bytes(self._signer.list(*_AGENCIES[:2], version=2))
        self._ask("POST", f"{BASE}/federation/signed_list/refresh")

    def _measure(self, database: ServerDatabase) -> None:
        """Lets a probe have had an answer in every minute of the last weeks, which cover the last month."""
        end = int(time.time() * 1000) // _MINUTE_MS * _MINUTE_MS
        columns = ("probe_id", "ts", "state", "direct_ms", "group_ms", "clock_offset_ms", "received_ts")
        minutes = range(end - 63 * DAY_MS, end, _MINUTE_MS)
        rows = ((f"probe-{ts}", ts, "ok", 80 + ts // _MINUTE_MS % 40, 95, 3, ts + 200) for ts in minutes)
        database.insert("synapse_bum_availability_probes", columns, rows)

    def _availability(self) -> None:
        now_ms = int(time.time() * 1000)
        outages = f"{BASE}/availability/outages"
        known = [
            (40 * DAY_MS, 12 * _MINUTE_MS, "INC-4711", None, "Netzteil ausgefallen"),
            (33 * DAY_MS, 45 * _MINUTE_MS, "CHG-0815", "maintenance", "Aktualisierung des Messengers"),
            (2 * DAY_MS, 7 * _MINUTE_MS, None, None, "Ursache wird gesucht"),
        ]
        for ago_ms, lasted_ms, ticket, excuse, reason in known:
            begin = now_ms - ago_ms
            body = {"from_ts": begin, "to_ts": begin + lasted_ms, "ticket": ticket, "excuse": excuse, "reason": reason}
            outage_id = self._ask("POST", outages, body)["id"]
            for path in ("", "/edit", "/remove"):
                self._place(f"outages/{{outage_id}}{path}", {"outage_id": outage_id})
        begin = now_ms + 7 * DAY_MS
        announced = {"from_ts": begin, "to_ts": begin + 2 * _HOUR_MS, "text": "Der Messenger wird aktualisiert."}
        maintenance_id = self._ask("POST", f"{BASE}/maintenance", announced)["id"]
        for path in ("edit", "withdraw"):
            self._place(f"maintenance/{{maintenance_id}}/{path}", {"maintenance_id": maintenance_id})

    def _support(self) -> None:
        report = {"category": 2, "text": "Seit 9 Uhr kommen keine Dateien an.", "contact": "Doris Kühn, 030 123456"}
        tickets = [self._ask("POST", f"{BASE}/portal/tickets", report)["id"] for _ in range(2)]
        self._place("tickets/{ticket_id}/confirm", {"ticket_id": tickets[0]})
        self._ask("POST", f"{BASE}/portal/tickets/{tickets[1]}/confirm", {"category": 2})
        for path in ("", "/answer"):
            self._place(f"tickets/{{ticket_id}}{path}", {"ticket_id": tickets[1]})


def _picture() -> bytes:
    """A PNG file."""
    content = io.BytesIO()
    Image.new("RGB", (64, 48), "steelblue").save(content, "PNG")
    return content.getvalue()


def _succeeded(boss: MatrixClient, route: str, kind: str) -> None:
    """Waits until the first run by schedule is over."""
    wait_until(lambda: boss.get(BASE + route).json[kind]["last_success_ts"], seconds=90)
