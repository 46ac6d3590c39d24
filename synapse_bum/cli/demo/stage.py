"""What the steps of the demo play on: the running servers, their users, and short ways to ask them."""

import ssl
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

import attr

from synapse_bum.cli.demo.promise import require
from synapse_bum.testing.clamd import RealClamd
from synapse_bum.testing.federation import CertificateAuthority, FederatingSynapse
from synapse_bum.testing.files_below import files_below
from synapse_bum.testing.http_client import HttpClient, MatrixClient
from synapse_bum.testing.small_identity_provider import SmallIdentityProvider
from synapse_bum.testing.sso_browser import SsoBrowser

API: Final = "/_synapse/client/bum/v1"
"""Where the modules' own endpoints are."""

IDP_ID: Final = "keycloak"
"""What the homeserver calls the identity provider."""

ADMIN_ROLE: Final = "messenger-admin"
"""Who has it at the identity provider administers the homeserver."""

METRICS: Final = "/_synapse/metrics"

PORTAL_HOST: Final = "admin.messenger.example"
"""On this host name, and on no other one, the homeserver shows the portal."""


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Stage:
    """Running servers with two users.

    Attributes:
        clamd: the scanner.
        synapse: the homeserver; its first listener serves clients, its second one metrics.
        admin: an administrator of the homeserver.
        alice: an ordinary user.
        authority: signs the certificates of homeservers that are to federate.
        identity_provider: where people sign in who have no password here.
        scim: its client that provisions accounts.
    """

    clamd: RealClamd
    synapse: FederatingSynapse
    admin: MatrixClient
    alice: MatrixClient
    authority: CertificateAuthority
    identity_provider: SmallIdentityProvider
    scim: HttpClient

    @property
    def metrics_url(self) -> str:
        """Where Prometheus would look."""
        return self.synapse.base_urls[1] + METRICS

    def browser(self) -> SsoBrowser:
        """A fresh browser, for one person."""
        return SsoBrowser(ssl.create_default_context(), self.synapse.base_url)

    def antivirus_status(self) -> dict[str, Any]:
        """What the administrator reads in `GET B/antivirus/status`."""
        return self.read("antivirus/status")

    def antivirus_findings(self) -> dict[str, Any]:
        """What the administrator reads in `GET B/antivirus/findings`: `findings`, newest first, and `total`."""
        return self.read("antivirus/findings")

    def metrics(self, name: str) -> list[str]:
        """The lines about one metric, comments left out, in Prometheus' text format."""
        text = HttpClient(self.synapse.base_urls[1]).get(METRICS).body.decode()
        return [line for line in text.splitlines() if line.startswith(name)]

    def stored_files(self) -> frozenset[Path]:
        """Every file in the media store."""
        return frozenset(files_below(self.synapse.media_directory))

    def read(self, path: str) -> dict[str, Any]:
        """What the administrator reads below B; insists on HTTP 200."""
        answer = self.admin.get(f"{API}/{path}")
        require(answer.status == HTTPStatus.OK, f"GET {API}/{path} was answered with HTTP {answer.status}.")
        decoded: dict[str, Any] = answer.json
        return decoded
