"""A real Keycloak with one realm, on the loopback interface, over TLS, with its database in memory.

`scripts/setup-identity keycloak` fetches and builds it. Run with Keycloak 26.7.3 on Java 17: ready in 15 s, with 20 s
of processor time.
"""

import json
import os
import secrets
import shutil
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from http.client import HTTPSConnection
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode

from synapse_bum.testing.certificates import CertificateFolder
from synapse_bum.testing.http_client import Json
from synapse_bum.testing.keycloak_realm import CLIENT_ID, CLIENT_SECRET, CLIENT_UUID, REALM
from synapse_bum.testing.local_server import LOOPBACK, LocalServer, ServerError, free_port
from synapse_bum.testing.signed_in import Relation

_START_SECONDS: Final = 240.0  # much more than it takes: machines that run tests are busy
_REQUEST_SECONDS: Final = 60.0
_ADMINISTRATOR: Final = "administrator"
_JAVA: Final = {
    "JAVA_OPTS_KC_HEAP": "-Xms64m -Xmx768m",
    # It runs for a minute: what the better compiler would cost, no test gets back.
    "JAVA_OPTS_APPEND": "-XX:TieredStopAtLevel=1",
}


class RealKeycloak(LocalServer):
    """Keycloak with a realm that a test describes, and an administrator who changes it.

    Example::

        with RealKeycloak(folder, certificates, realm([Account("erika", "Erika", "Muster")], ...)) as keycloak:
            entry = keycloak.relation.entry("keycloak", {"preset": "keycloak", "client_id": CLIENT_ID})
            ...
            keycloak.take_realm_role(erika.user_id, "it-admin")

    Attributes:
        relation: what a homeserver needs to know of it.
    """

    def __init__(self, distribution: Path, certificates: CertificateFolder, realm: Mapping[str, Any]) -> None:
        """Prepare a Keycloak; `start()` or entering the context starts it.

        Args:
            distribution: what `scripts/setup-identity keycloak` prints.
            certificates: one of them is its own; it trusts their authority.
            realm: from `keycloak_realm.realm`.
        """
        super().__init__("keycloak", _START_SECONDS)
        self._distribution = distribution
        self._certificates = certificates
        self._realm = realm
        self._port = free_port()
        self._password = secrets.token_urlsafe()
        self._home = self.directory / "home"
        self.relation = Relation(
            f"https://{LOOPBACK}:{self._port}/realms/{REALM}", client_id=CLIENT_ID, client_secret=CLIENT_SECRET
        )

    def send_logouts_to(self, homeserver_url: str) -> None:
        """Have sessions that end told to a homeserver (OpenID Connect Back-Channel Logout 1.0)."""
        client = self._ask("GET", f"/clients/{CLIENT_UUID}")
        client["attributes"] |= {
            "backchannel.logout.url": f"{homeserver_url}/_synapse/client/oidc/backchannel_logout",
            "backchannel.logout.session.required": "true",
        }
        self._ask("PUT", f"/clients/{CLIENT_UUID}", client)

    def give_realm_role(self, user_id: str, role: str) -> None:
        """Give somebody a role of the realm; his next login shows it."""
        self._ask("POST", f"/users/{user_id}/role-mappings/realm", [self._ask("GET", f"/roles/{role}")])

    def take_realm_role(self, user_id: str, role: str) -> None:
        """Take a role of the realm from somebody; his next login shows it."""
        self._ask("DELETE", f"/users/{user_id}/role-mappings/realm", [self._ask("GET", f"/roles/{role}")])

    def change(self, user_id: str, **fields: Json) -> None:
        """Change fields of an account, as `username`, `lastName` or `enabled`."""
        self._ask("PUT", f"/users/{user_id}", {**self._ask("GET", f"/users/{user_id}"), **fields})

    def log_out(self, user_id: str) -> None:
        """End all sessions of somebody."""
        self._ask("POST", f"/users/{user_id}/logout", {})

    def _ask(self, method: str, path: str, body: Json = None) -> Json:
        """Ask the administration API for something in the realm.

        Raises:
            ServerError: it refused.
        """
        form = {"grant_type": "password", "client_id": "admin-cli", "username": _ADMINISTRATOR}
        answer = self._request(
            "POST",
            "/realms/master/protocol/openid-connect/token",
            urlencode({**form, "password": self._password}),
            {"Content-Type": "application/x-www-form-urlencoded"},
        )
        headers = {"Authorization": f"Bearer {answer['access_token']}", "Content-Type": "application/json"}
        return self._request(method, f"/admin/realms/{REALM}{path}", json.dumps(body), headers)

    def _request(self, method: str, path: str, body: str, headers: Mapping[str, str]) -> Json:
        connection = self._connection(_REQUEST_SECONDS)
        try:
            connection.request(method, path, body, dict(headers))
            answer = connection.getresponse()
            content = answer.read()
        finally:
            connection.close()
        if answer.status >= HTTPStatus.BAD_REQUEST:
            raise ServerError(f"Keycloak answered {answer.status} to {method} {path}: {content[:500]!r}")
        return json.loads(content) if content else None

    def _connection(self, timeout: float) -> HTTPSConnection:
        return HTTPSConnection(LOOPBACK, self._port, timeout=timeout, context=self._certificates.context())

    def _prepare(self) -> Sequence[str]:
        # Keycloak writes below the folder that its script is in. So the script is copied and what is only read linked.
        shutil.rmtree(self._home, ignore_errors=True)
        script = self._home / "bin" / "kc.sh"
        script.parent.mkdir(parents=True)
        shutil.copy2(self._distribution / "bin" / "kc.sh", script)
        for name in ("lib", "conf", "providers", "themes"):
            (self._home / name).symlink_to(self._distribution / name)
        imported = self._home / "data" / "import" / f"{REALM}-realm.json"
        imported.parent.mkdir(parents=True)
        imported.write_text(json.dumps(self._realm))
        return [
            str(script),
            "start",
            "--optimized",
            "--import-realm",
            "--cache=local",
            "--http-enabled=false",
            f"--http-host={LOOPBACK}",
            f"--hostname={LOOPBACK}",
            f"--https-port={self._port}",
            f"--https-certificate-file={self._certificates.certificate}",
            f"--https-certificate-key-file={self._certificates.key}",
            f"--truststore-paths={self._certificates.authority}",
        ]

    def _environment(self) -> Mapping[str, str]:
        bootstrap = {"KC_BOOTSTRAP_ADMIN_USERNAME": _ADMINISTRATOR, "KC_BOOTSTRAP_ADMIN_PASSWORD": self._password}
        return {**os.environ, **_JAVA, **bootstrap}

    def _is_ready(self) -> bool:
        connection = self._connection(2)
        try:
            connection.request("GET", f"/realms/{REALM}/.well-known/openid-configuration")
            return connection.getresponse().status == HTTPStatus.OK
        finally:
            connection.close()
