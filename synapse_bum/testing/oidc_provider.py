"""Identity providers whose tokens look like those of Entra ID, Okta and Keycloak, in one process of Node.js.

The protocol is the certified npm package `oidc-provider`; only what the tokens say of a person is ours, after what the
vendors document. `scripts/setup-identity oidc-provider` fetches the package and the Node.js for it. Run with
oidc-provider 9.13.3 on Node.js 22: ready in 0.5 s.
"""

import json
import os
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

import attr
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from synapse_bum.testing.certificates import CertificateFolder
from synapse_bum.testing.http_client import Json
from synapse_bum.testing.local_server import LOOPBACK, LocalServer, ServerError, free_port
from synapse_bum.testing.signed_in import Relation
from synapse_bum.testing.sso_browser import SsoBrowser

PASSWORD: Final = "a password that everybody here has"  # noqa: S105 - it protects nothing
TENANT: Final = "8c1b5f0e-5a2c-4f0e-9b1d-0a2f6c7d8e9f"

_CLIENT_ID: Final = "synapse"
_CLIENT_SECRET: Final = "the secret of the client"  # noqa: S105 - it protects nothing
_START_SECONDS: Final = 60.0


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Issuer:
    """One of the providers.

    Attributes:
        name: of it, in the file with the people.
        path: of its URL.
        thin: whether its ID tokens say nothing but who it is, and the rest is at the userinfo endpoint.
    """

    name: str
    path: str
    thin: bool = False


ENTRA_ID: Final = Issuer("entra_id", f"/{TENANT}/v2.0")
OKTA: Final = Issuer("okta", "/oauth2/default", thin=True)
KEYCLOAK: Final = Issuer("keycloak", "/realms/bum")
ISSUERS: Final = (ENTRA_ID, OKTA, KEYCLOAK)


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Person:
    """Somebody with an account at one of the providers.

    Attributes:
        claims: what the provider says of him. Without `sub` that is the account's name.
        pairwise: whether `sub` is another one for each application, whatever `claims` say.
        disabled: whether he can't sign in.
        defect: what is wrong with his ID tokens: they are `expired`, or that of the last login `replayed`.
    """

    claims: Mapping[str, Json]
    pairwise: bool = False
    disabled: bool = False
    defect: str | None = None


def entra_id_person(oid: str, user_principal_name: str, name: str, roles: Sequence[str] = (), **more: Json) -> Person:
    """Somebody as Entra ID's v2.0 tokens have him; `roles` is absent when he has none, and no e-mail is verified."""
    claims = {"tid": TENANT, "oid": oid, "preferred_username": user_principal_name, "name": name, **more}
    return Person({**claims, "roles": list(roles)} if roles else claims, pairwise=True)


def okta_person(user_id: str, login: str, name: str, groups: Sequence[str] = (), **more: Json) -> Person:
    """Somebody as Okta's userinfo endpoint has him, with a groups claim."""
    email = {"email": login, "email_verified": True}
    return Person({"sub": user_id, "preferred_username": login, "name": name, "groups": list(groups), **email, **more})


def keycloak_person(user_id: str, user_name: str, name: str, roles: Sequence[str] = (), **more: Json) -> Person:
    """Somebody as Keycloak's tokens have him, with its mapper for roles of the realm."""
    claims = {"sub": user_id, "preferred_username": user_name, "name": name, "realm_access": {"roles": list(roles)}}
    return Person({**claims, **more})


class RealOidcProvider(LocalServer):
    """The process with all the providers.

    Example::

        synapse = SignedInSynapse(certificates)
        with RealOidcProvider(folder, certificates, [synapse.base_url]) as providers:
            providers.know(OKTA, "erika", okta_person("00u1", "erika@amt.example", "Erika Muster"))
            synapse.config["oidc_providers"] = [providers.relation(OKTA).entry("okta", {"preset": "okta"})]
            with synapse:
                erika = synapse.browser().log_in("okta", "erika", PASSWORD)
    """

    def __init__(self, folder: Path, certificates: CertificateFolder, homeserver_urls: Sequence[str]) -> None:
        """Prepare the providers; `start()` or entering the context starts them.

        Args:
            folder: what `scripts/setup-identity oidc-provider` prints.
            certificates: one of them is theirs.
            homeserver_urls: base URLs of their client, which is one for all; the first hears of logouts.
        """
        super().__init__("oidc-provider", _START_SECONDS)
        self._folder = folder
        self._certificates = certificates
        self._homeserver_urls = homeserver_urls
        self._port = free_port()
        self._origin = f"https://{LOOPBACK}:{self._port}"
        # Not made by Node.js: a process of version 20 hung for ever between making a key and exporting it.
        self._signing_key = _rsa_key()
        self._people: dict[str, dict[str, Json]] = {}
        self._write_people()

    def relation(self, issuer: Issuer) -> Relation:
        """What a homeserver needs to know of one of the providers."""
        return Relation(f"{self._origin}{issuer.path}", _CLIENT_ID, _CLIENT_SECRET)

    def know(self, issuer: Issuer, account: str, person: Person) -> None:
        """Let one of the providers have an account, or know it otherwise than before; at once.

        Args:
            issuer: which one.
            account: the name that its form takes, with `PASSWORD`; it never changes.
            person: what is known.
        """
        self.know_all(issuer, {account: person})

    def know_all(self, issuer: Issuer, accounts: Mapping[str, Person]) -> None:
        """The same for many accounts."""
        self._people.setdefault(issuer.name, {}).update(
            {account: attr.asdict(person) for account, person in accounts.items()}
        )
        self._write_people()

    def know_only(self, issuer: Issuer, accounts: Mapping[str, Person]) -> None:
        """The same, and the provider forgets all others."""
        self._people.pop(issuer.name, None)
        self.know_all(issuer, accounts)

    def disable(self, issuer: Issuer, account: str) -> None:
        """Let an account sign in no more."""
        self._people[issuer.name][account]["disabled"] = True
        self._write_people()

    def log_out(self, issuer: Issuer, account: str) -> None:
        """End an account's last session and tell the homeserver (OpenID Connect Back-Channel Logout 1.0).

        Raises:
            ServerError: the homeserver did not take it.
        """
        browser = SsoBrowser(self._certificates.context(), self._homeserver_urls[0])
        page = browser.open(f"{self._origin}/control/logout", {"issuer": issuer.name, "account": account})
        if page.status != HTTPStatus.OK:
            raise ServerError(f"the logout of {account} was answered with {page.status}: {page.text}")

    def _write_people(self) -> None:
        # Renamed, so that the process never reads one that is half written.
        path = self.directory / "people.json"
        path.with_suffix(".new").write_text(json.dumps(self._people))
        path.with_suffix(".new").replace(path)

    def _prepare(self) -> Sequence[str]:
        client: dict[str, Any] = {
            "client_id": _CLIENT_ID,
            "client_secret": _CLIENT_SECRET,
            "redirect_uris": [f"{url}/_synapse/client/oidc/callback" for url in self._homeserver_urls],
            "backchannel_logout_uri": f"{self._homeserver_urls[0]}/_synapse/client/oidc/backchannel_logout",
            "backchannel_logout_session_required": True,
        }
        settings = {
            "modules": str(self._folder / "node_modules"),
            "origin": self._origin,
            "port": self._port,
            "certificate": str(self._certificates.certificate),
            "key": str(self._certificates.key),
            "signing_key": self._signing_key,
            "people": str(self.directory / "people.json"),
            "password": PASSWORD,
            "client": client,
            "issuers": [attr.asdict(issuer) for issuer in ISSUERS],
        }
        path = self.directory / "settings.json"
        path.write_text(json.dumps(settings))
        return [str(self._folder / "node"), str(Path(__file__).with_suffix(".mjs")), str(path)]

    def _environment(self) -> Mapping[str, str]:
        return {**os.environ, **self._certificates.trusting}

    def _is_ready(self) -> bool:
        browser = SsoBrowser(self._certificates.context(), self._homeserver_urls[0])
        url = f"{self.relation(ISSUERS[0]).issuer}/.well-known/openid-configuration"
        return browser.open(url).status == HTTPStatus.OK


def _rsa_key() -> str:
    """A new private key as PEM, for RS256."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
