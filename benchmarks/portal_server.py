"""A homeserver on PostgreSQL with the portal and all other modules, and clients that measure what it answers."""

import http.client
import re
import time
from collections.abc import Sequence
from contextlib import ExitStack
from http import HTTPStatus
from pathlib import Path
from typing import Final
from urllib.parse import urlencode, urlsplit

import attr

import benchmarks
from benchmarks import portal_rows, storage_probe
from benchmarks.retention_server import LIFETIMES, RunError, wait_until
from benchmarks.synthetic_rows import LargePostgres
from synapse_bum.portal.addresses import PORTAL
from synapse_bum.testing.fake_clamd import FakeClamd
from synapse_bum.testing.server_database import ServerDatabase, stopped
from synapse_bum.testing.synapse import RealSynapse

HOST: Final = "admin.example"

_PASSWORD: Final = "correct horse battery staple"  # noqa: S105 - of a homeserver that lives for some minutes
_REQUEST_OF_THE_LOG: Final = re.compile(r'"(GET|POST|PUT|DELETE) (/_synapse/\S+) HTTP')
_TIMEOUT_SECONDS: Final = 60.0
_MS: Final = 1_000


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Answer:
    """What came back.

    Attributes:
        status: of HTTP.
        seconds: from the first byte of the request to the last of the answer.
        body: of the answer.
        headers: of the answer.
    """

    status: int
    seconds: float
    body: bytes = attr.ib(repr=False)
    headers: http.client.HTTPMessage = attr.ib(repr=False)


class KeptConnection:
    """One connection that stays open, with the same headers on every request."""

    def __init__(self, base_url: str, headers: dict[str, str]) -> None:
        """Connects with the first request."""
        self._connection = http.client.HTTPConnection(urlsplit(base_url).netloc, timeout=_TIMEOUT_SECONDS)
        self._headers = headers

    def ask(self, path: str, form: dict[str, str] | None = None) -> Answer:
        """GET, or POST of a form; redirects are not followed."""
        headers, body = self._headers, None
        if form is not None:
            headers = {**headers, "Content-Type": "application/x-www-form-urlencoded"}
            body = urlencode(form).encode()
        began = time.perf_counter()
        self._connection.request("GET" if form is None else "POST", path, body, headers)
        answer = self._connection.getresponse()
        content = answer.read()
        return Answer(answer.status, time.perf_counter() - began, content, answer.headers)

    def close(self) -> None:
        """Ends the connection."""
        self._connection.close()


class PortalServer:
    """A homeserver that is measured.

    Attributes:
        synapse: its process.
        admin: an administrator.
        room_id: a room with many members and files.
    """

    def __init__(self, everything: ExitStack) -> None:
        """Start it, fill it, and log in to the portal.

        Args:
            everything: stops it when it is closed.
        """
        postgres = everything.enter_context(LargePostgres())
        clamd = everything.enter_context(FakeClamd())
        self.synapse = RealSynapse(
            # The modules' jobs would disturb, and look for files that are rows only; large servers have a worker for
            # them anyway.
            config={
                "federation_domain_whitelist": [],
                "background_updates": {"sleep_enabled": False},
                "run_background_tasks_on": "nobody",
            },
            postgres_dsn=postgres.dsn(),
            python_path=[Path(benchmarks.__file__).parent.parent],
        )
        portal = {"hosts": [HOST], "admin_api_url": self.synapse.base_url, "show_activity": True}
        scanner = {"scanner": {"address": clamd.address}, "on_infected_upload": "block"}
        self.synapse.config["modules"] = [
            {"module": "synapse_bum.portal.PortalModule", "config": portal},
            {"module": "synapse_bum.antivirus.AntivirusModule", "config": scanner},
            {"module": "synapse_bum.retention.RetentionModule", "config": LIFETIMES},
            {"module": storage_probe.MODULE, "config": {}},
            {"module": "synapse_bum.federation.FederationModule", "config": {}},
            {"module": "synapse_bum.oidc.OidcModule", "config": {}},
            {"module": "synapse_bum.availability.AvailabilityModule", "config": {}},
        ]
        everything.enter_context(self.synapse)
        self.admin = self.synapse.register("administrator", admin=True, password=_PASSWORD)
        self.room_id = self._filled()
        storage_probe.CountProbe(self.synapse.base_url).count(int(time.time() * _MS), full=True)
        self._browser = self._logged_in()
        everything.callback(self._browser.close)
        self._direct = KeptConnection(self.synapse.base_url, {"Authorization": f"Bearer {self.admin.token}"})
        everything.callback(self._direct.close)

    def page(self, path: str) -> Answer:
        """Opens a page of the portal.

        Raises:
            RunError: it is none.
        """
        return _is_there(self._browser.ask(f"{PORTAL}/{path}"), path)

    def calls_of(self, path: str) -> Sequence[str]:
        """The addresses of the APIs that a page asks for, as the homeserver's log has them."""
        log = self.synapse.log_path
        before = log.stat().st_size
        self.page(path)
        with log.open("rb") as written:
            written.seek(before)
            found = _REQUEST_OF_THE_LOG.findall(written.read().decode())
        if any(method != "GET" for method, _ in found):
            raise RunError(f"{path} changes something: {found}")
        return [address for _, address in found if not address.startswith(PORTAL)]

    def calls(self, addresses: Sequence[str]) -> float:
        """Asks the APIs, one after the other, without the portal; returns the seconds of all."""
        # Some answer 404: that a file is no finding, for example.
        return sum(self._direct.ask(address).seconds for address in addresses)

    def _filled(self) -> str:
        with ServerDatabase(self.synapse) as database:
            wait_until(lambda: database.rows("SELECT count(*) FROM background_updates") == [(0,)])
        room_id: str = self.admin.create_room(preset="private_chat", name="Haus 3").json["room_id"]
        with stopped(self.synapse) as database:
            portal_rows.fill(database, self.synapse.server_name, room_id)
        return room_id

    def _logged_in(self) -> KeptConnection:
        headers = {"Host": HOST, "Origin": f"https://{HOST}", "Sec-Fetch-Site": "same-origin"}
        form = {"name": "administrator", "password": _PASSWORD}
        entrance = KeptConnection(self.synapse.base_url, headers)
        answer = entrance.ask(f"{PORTAL}/login", form)
        entrance.close()
        if answer.status != HTTPStatus.SEE_OTHER:
            raise RunError(f"the portal lets nobody in: HTTP {answer.status}: {answer.body[-500:]!r}")
        cookies = [line.partition(";")[0] for line in answer.headers.get_all("Set-Cookie", [])]
        return KeptConnection(self.synapse.base_url, {"Host": HOST, "Cookie": "; ".join(cookies)})


def _is_there(answer: Answer, path: str) -> Answer:
    if answer.status != HTTPStatus.OK:
        raise RunError(f"{path}: HTTP {answer.status}: {answer.body[-500:]!r}")
    return answer
