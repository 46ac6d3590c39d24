"""The portal on several processes: whichever of them a request comes to, it is the same portal."""

import secrets
import time
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import quote

import pytest
from cryptography.fernet import Fernet

from synapse_bum.portal.addresses import PORTAL
from synapse_bum.testing.http_client import HttpClient, Response
from synapse_bum.testing.local_server import LOOPBACK, free_port
from synapse_bum.testing.nginx import RealNginx
from synapse_bum.testing.portal_window import PortalWindow, form_token
from synapse_bum.testing.workers import MEDIA, SynapseStack

pytestmark = [pytest.mark.requires("postgresql", "redis", "nginx"), pytest.mark.any_synapse, pytest.mark.long]

HOST: Final = "admin.example"
PATIENCE_SECONDS: Final = 60.0
PASSWORD: Final = "correct horse battery staple"

MODULES: Final = (
    "availability.AvailabilityModule",
    "federation.FederationModule",
    "oidc.OidcModule",
    "retention.RetentionModule",
    "storage.StorageModule",
)
"""The others that need no further server: they start in processes without the media repository too."""

SITE: Final = """
server {{
    listen {here}:{port};
    server_name _;
    proxy_http_version 1.1;
    proxy_set_header Host $host;
    location / {{ proxy_pass {main}; }}
    location /_matrix/client/v1/media/ {{ proxy_pass {media}; }}
}}
"""
"""Where the portal reaches the homeserver's APIs: Synapse's admin API is on the main process alone."""


class Window:
    """A browser whose requests come to the process that is named."""

    def __init__(self, stack: SynapseStack) -> None:
        self._stack = stack
        self.browser = PortalWindow(HOST)

    def ask(self, process: str, path: str, fields: dict[str, str] | None = None) -> Response:
        return self.browser.ask(self._stack.processes[process][0], path, fields)

    def log_in(self, process: str) -> None:
        self.browser.log_in(self._stack.processes[process][0], "boss", PASSWORD)


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SynapseStack]:
    """Two processes that serve the portal with one key."""
    key = tmp_path_factory.mktemp("key") / "session.key"
    key.write_bytes(Fernet.generate_key())
    port = free_port()
    portal: dict[str, Any] = {
        "hosts": [HOST],
        "admin_api_url": f"http://{LOOPBACK}:{port}",
        "session_key_path": str(key),
    }
    modules = [
        {"module": "synapse_bum.portal.PortalModule", "config": portal},
        *({"module": f"synapse_bum.{name}", "config": {}} for name in MODULES),
    ]
    with SynapseStack(modules=modules, config={"federation_domain_whitelist": []}, more=()) as started:
        main, media = started.main.base_url, started.workers[MEDIA].base_url
        with RealNginx(SITE.format(here=LOOPBACK, port=port, main=main, media=media), port):
            started.main.register("boss", admin=True, password=PASSWORD)
            yield started


@pytest.mark.parametrize(("one", "other"), [("main", MEDIA), (MEDIA, "main")])
def test_who_logged_in_at_one_process_is_logged_in_at_the_other(stack: SynapseStack, one: str, other: str) -> None:
    window = Window(stack)
    window.log_in(one)
    page = window.ask(other, "users")
    assert page.status == HTTPStatus.OK, page.body
    assert "@boss:messenger.example" in page.body.decode()


def test_a_form_of_one_process_is_carried_out_once_by_the_other(stack: SynapseStack) -> None:
    window = Window(stack)
    window.log_in("main")
    form = form_token(window.ask("main", "users/new"))
    name = f"erika-{secrets.token_hex(4)}"
    fields = {"_form": form, "name": name, "display_name": "Erika", "address": ""}
    made = window.ask(MEDIA, "users/new", fields)
    assert made.status == HTTPStatus.OK, made.body
    again = window.ask("main", "users/new", fields)
    assert again.status == HTTPStatus.SEE_OTHER, "a double click, the second of which came to another process"
    user_id = quote(f"@{name}:messenger.example", safe="")
    assert window.ask("main", f"users/{user_id}").status == HTTPStatus.OK
    question = form_token(window.ask(MEDIA, f"users/{user_id}/lock"))
    answer = window.ask("main", f"users/{user_id}/lock", {"_form": question})
    assert answer.status == HTTPStatus.SEE_OTHER
    # The notice about it is made by one process and read by the other.
    assert "ist gesperrt" in window.ask(MEDIA, answer.headers["location"]).body.decode()


def test_a_logout_at_one_process_ends_the_session_at_the_other(stack: SynapseStack) -> None:
    window = Window(stack)
    window.log_in(MEDIA)
    form = form_token(window.ask("main", "users"))
    before = dict(window.browser.cookies)
    assert window.ask("main", "logout", {"_form": form}).status == HTTPStatus.SEE_OTHER
    window.browser.cookies = before
    for process in (MEDIA, "main"):
        assert window.ask(process, "users").status == HTTPStatus.UNAUTHORIZED, "the cookie was kept by somebody"


def test_what_is_stored_is_counted_by_a_process_without_the_media_repository(stack: SynapseStack) -> None:
    window = Window(stack)
    window.log_in("main")
    deadline = time.monotonic() + PATIENCE_SECONDS
    while "Es wurde noch nicht gezählt" in (page := window.ask(MEDIA, "storage").body.decode()):
        assert time.monotonic() < deadline, stack.main.log_path.read_text()[-3_000:]
        time.sleep(0.5)
    assert "Stand" in page


def test_another_host_finds_nothing_at_either(stack: SynapseStack) -> None:
    for url, _server in stack.processes.values():
        answer = HttpClient(url).request("GET", f"{PORTAL}/", headers={"Host": "messenger.example"})
        assert answer.status == HTTPStatus.NOT_FOUND
