"""An administrator logs in where a Matrix Authentication Service has the accounts.

The homeserver asks it about each token; a real browser is led there and back.
"""

import time
from collections.abc import Callable, Iterator

import attr
import pytest
from cryptography.fernet import Fernet

from synapse_bum.testing.browser import RealBrowser
from synapse_bum.testing.fake_mas import CLIENT_ID, SECRET, FakeMas
from synapse_bum.testing.federation import CertificateAuthority
from synapse_bum.testing.local_server import free_port
from synapse_bum.testing.mas_server import SERVER_SECRET, MasServer
from synapse_bum.testing.nginx import RealNginx
from synapse_bum.testing.synapse import RealSynapse

HOST = "admin.example"
PORTAL_URL = f"https://{HOST}/_synapse/client/bum/portal/"
SITE = """
server {{
    listen 127.0.0.1:{port} ssl;
    server_name {host};
    ssl_certificate {folder}/certificate.pem;
    ssl_certificate_key {folder}/key.pem;
    location / {{
        proxy_pass {target};
        proxy_set_header Host $host;
    }}
}}
"""

pytestmark = [
    pytest.mark.requires("browser", "nginx"),
    pytest.mark.any_synapse,  # `matrix_authentication_service` came with 1.136, the names of its scopes with 1.138
]


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Stack:
    """What runs."""

    mas: MasServer
    port: int


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp("tls")
    certificate, key = CertificateAuthority().issue()
    (folder / "certificate.pem").write_bytes(certificate)
    (folder / "key.pem").write_bytes(key)
    (folder / "secret").write_text(SECRET, encoding="utf-8")
    (folder / "keys").write_bytes(Fernet.generate_key())
    fake = FakeMas([f"mat_{number}" for number in range(20)], lambda: int(time.time() * 1000), lifetime_s=10)
    mas = MasServer(fake)
    service = {"enabled": True, "endpoint": mas.base_url, "secret": SERVER_SECRET}
    synapse = RealSynapse(
        config={"matrix_authentication_service": service, "password_config": {"enabled": False}},
    )
    client = {"client_id": CLIENT_ID, "client_secret_path": str(folder / "secret")}
    keys = str(folder / "keys")
    portal = {"hosts": [HOST], "admin_api_url": synapse.base_url, "mas": client, "session_key_path": keys}
    synapse.config["modules"] = [{"module": "synapse_bum.portal.PortalModule", "config": portal}]
    port = free_port()
    site = "".join(
        SITE.format(port=port, host=host, folder=folder, target=target)
        for host, target in ((HOST, synapse.base_url), ("mas.example", mas.base_url))
    )
    with mas, synapse, RealNginx(site, port):
        mas.serve(synapse.base_url)
        yield Stack(mas, port)


def test_there_and_back_renewed_and_out(
    stack: Stack, browser_python: str, look: Callable[[RealBrowser, str], None]
) -> None:
    with RealBrowser(browser_python, {HOST: stack.port, "mas.example": stack.port}) as window:
        window.open(f"{PORTAL_URL}users")
        look(window, "login-mas")
        window.click("Weiter zum Anmeldedienst", role="link")
        window.click("Zustimmen", role="link")
        assert "@boss:messenger.example" in window.text()
        assert stack.mas.fake.asked == ["authorization_code"]
        time.sleep(9)
        window.open(f"{PORTAL_URL}users/new")
        assert "Matrix Authentication Service" in window.text()
        assert stack.mas.fake.asked == ["authorization_code", "refresh_token"]
        window.open(f"{PORTAL_URL}audit")
        assert "Protokoll" in window.text()
        window.click("Abmelden")
        assert "Sie sind abgemeldet." in window.text()
        assert len(stack.mas.fake.revoked) == 1
        window.open(f"{PORTAL_URL}users")
        assert "@boss:messenger.example" not in window.text()
