"""A real homeserver whose users come from identity providers over OpenID Connect.

Run on Synapse 1.133.0 and 1.163.2.
"""

import time
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

import attr

from synapse_bum.testing.certificates import CertificateFolder
from synapse_bum.testing.http_client import HttpClient, MatrixClient
from synapse_bum.testing.sso_browser import CLIENT, SsoBrowser
from synapse_bum.testing.synapse import Config, RealSynapse

OUR_MAPPER: Final = "synapse_bum.oidc.OidcMappingProvider"
SYNAPSES_MAPPER: Final = "synapse.handlers.oidc.JinjaOidcMappingProvider"

# Written out: what defines it takes Synapse along, and the command line imports this file.
_AUDIT: Final = "/_synapse/client/bum/v1/audit"
_PATIENCE_S: Final = 30.0


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Relation:
    """What an identity provider and a homeserver have agreed on.

    Attributes:
        issuer: URL of the provider.
        client_id: of the homeserver there.
        client_secret: of the homeserver there.
    """

    issuer: str
    client_id: str
    client_secret: str

    def entry(self, idp_id: str, mapping: Config, *, module: str = OUR_MAPPER, **more: object) -> Config:
        """Write an entry of `oidc_providers`.

        Args:
            idp_id: short name; our mapper is told it as well.
            mapping: of the mapper.
            module: dotted name of the mapper.
            **more: further keys, or other values of those here.
        """
        ours = {"idp_id": idp_id} if module == OUR_MAPPER else {}
        return {
            "idp_id": idp_id,
            "idp_name": idp_id,
            "issuer": self.issuer,
            "client_id": self.client_id,
            "client_secret": self.client_secret,
            "scopes": ["openid", "profile", "email"],
            "user_mapping_provider": {"module": module, "config": {**ours, **mapping}},
            "backchannel_logout_enabled": True,
            **more,
        }


class SignedInSynapse(RealSynapse):
    """A homeserver without logins of its own, apart from what registers with the shared secret.

    The providers are started after it was made, because they have to know its address, and before it is started. So
    `config["oidc_providers"]` is filled between the two.
    """

    def __init__(self, certificates: CertificateFolder, **options: Any) -> None:  # noqa: ANN401 - those of RealSynapse
        """Prepare a homeserver; `start()` or entering the context starts it.

        Args:
            certificates: which it trusts, and no others.
            **options: as for `RealSynapse`.
        """
        super().__init__(**options)
        self._certificates = certificates
        self.config["sso"] = {"client_whitelist": [CLIENT]}
        self.config.setdefault("oidc_providers", [])

    def environment(self) -> Mapping[str, str]:
        """The variables of its processes: where modules are, and whom to trust."""
        return {**super().environment(), **self._certificates.trusting}

    def browser(self) -> SsoBrowser:
        """A fresh browser, for one person."""
        return SsoBrowser(self._certificates.context(), self.base_url)


def display_name(client: MatrixClient) -> str | None:
    """Of the person who is logged in; None without one."""
    name: str | None = client.get(f"/_matrix/client/v3/profile/{client.user_id}/displayname").json.get("displayname")
    return name


def display_name_becomes(client: MatrixClient, name: str) -> bool:
    """Whether the person has this display name within a moment: after a login it is set in the background."""
    deadline = time.monotonic() + _PATIENCE_S
    while display_name(client) != name:
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def is_server_admin(client: MatrixClient) -> bool:
    """Whether the person administers the server, as the process says that the client asks. Needs a module of ours."""
    status = client.get(_AUDIT, limit=1).status
    assert status in {HTTPStatus.OK, HTTPStatus.FORBIDDEN}, status
    return status == HTTPStatus.OK


def is_logged_in(client: HttpClient) -> bool:
    """Whether the access token is still good."""
    return client.get("/_matrix/client/v3/account/whoami").status == HTTPStatus.OK
