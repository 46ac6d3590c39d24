"""People of Okta at a real homeserver: ID tokens are thin, groups stand at the userinfo endpoint; leavers by SCIM."""

import secrets
from collections.abc import Iterator
from pathlib import Path

import attr
import pytest

from synapse_bum.testing.certificates import CertificateFolder
from synapse_bum.testing.http_client import HttpClient, Json, MatrixClient
from synapse_bum.testing.oidc_provider import OKTA, PASSWORD, Person, RealOidcProvider, okta_person
from synapse_bum.testing.signed_in import (
    SignedInSynapse,
    display_name,
    display_name_becomes,
    is_logged_in,
    is_server_admin,
)
from synapse_bum.testing.sso_browser import LoginRefusedError

pytestmark = [pytest.mark.requires("oidc-provider"), pytest.mark.any_synapse]

SCIM = "/_synapse/client/bum/scim/v2"
USER_SCHEMA = "urn:ietf:params:scim:schemas:core:2.0:User"
MAPPING = {"preset": "okta", "groups_path": "groups", "admin_roles": ["messenger-admin"]}


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Place:
    """A homeserver and its identity provider, which also provisions."""

    synapse: SignedInSynapse
    providers: RealOidcProvider
    scim: HttpClient
    boss: MatrixClient

    def log_in(self, person: Person) -> MatrixClient:
        account = str(person.claims["sub"])
        self.providers.know(OKTA, account, person)
        return self.synapse.browser().log_in("okta", account, PASSWORD)

    def addresses(self, client: MatrixClient) -> list[str]:
        """E-mail addresses of an account."""
        found = self.boss.get(f"/_synapse/admin/v2/users/{client.user_id}").json["threepids"]
        return [one["address"] for one in found]


@pytest.fixture(scope="module")
def place(
    oidc_provider_folder: Path, certificates: CertificateFolder, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Place]:
    token = secrets.token_urlsafe(32)
    token_path = tmp_path_factory.mktemp("scim") / "token"
    token_path.write_text(token)
    scim = {"enabled": True, "idp_id": "okta", "token_path": str(token_path)}
    module = {"module": "synapse_bum.oidc.OidcModule", "config": {"scim": scim}}
    synapse = SignedInSynapse(certificates, modules=[module])
    with RealOidcProvider(oidc_provider_folder, certificates, [synapse.base_url]) as providers:
        entry = providers.relation(OKTA).entry("okta", MAPPING, user_profile_method="userinfo_endpoint")
        synapse.config["oidc_providers"] = [entry]
        with synapse:
            boss = synapse.register("boss", admin=True)
            yield Place(synapse, providers, HttpClient(synapse.base_url, token), boss)


def test_a_person_stays_the_same_while_groups_and_names_come_and_go(place: Place) -> None:
    client = place.log_in(okta_person("00u1", "erika@amt.example", "Erika Muster", ["Everyone"]))
    assert client.user_id == "@erika:messenger.example"
    assert display_name(client) == "Erika Muster"
    assert place.addresses(client) == ["erika@amt.example"]
    assert not is_server_admin(client)

    admin = ["Everyone", "messenger-admin"]
    assert is_server_admin(place.log_in(okta_person("00u1", "erika@amt.example", "Erika Muster", admin)))

    renamed = place.log_in(okta_person("00u1", "erika.neu@amt.example", "Erika Neu", ["Everyone"]))
    assert renamed.user_id == client.user_id
    assert display_name_becomes(renamed, "Erika Neu")
    assert place.addresses(renamed) == ["erika.neu@amt.example"]
    assert not is_server_admin(renamed)


def test_nobody_gets_the_address_of_somebody_else(place: Place) -> None:
    owner = place.log_in(okta_person("00u2", "kim@amt.example", "Kim"))
    thief = place.log_in(okta_person("00u3", "other@amt.example", "Other", email="kim@amt.example"))
    unverified = place.log_in(okta_person("00u4", "third@amt.example", "Third", email_verified=False))
    assert place.addresses(owner) == ["kim@amt.example"]
    assert place.addresses(thief) == []
    assert place.addresses(unverified) == []


def test_a_name_of_a_megabyte_is_cut(place: Place) -> None:
    person = okta_person("00u5", "lang@amt.example", "Lang")
    client = place.log_in(attr.evolve(person, claims={**person.claims, "name": "x" * 1_000_000}))
    assert display_name(client) == "x" * 256
    assert display_name_becomes(place.log_in(person), "Lang")


def test_an_account_is_provisioned_before_the_first_login_and_ended_for_good(place: Place) -> None:
    user: dict[str, Json] = {
        "schemas": [USER_SCHEMA],
        "userName": "lena@amt.example",
        "externalId": "00u9",
        "name": {"givenName": "Lena", "familyName": "Leaver"},
        "displayName": "Lena Leaver",
        "emails": [{"primary": True, "value": "lena@amt.example", "type": "work"}],
        "active": True,
    }
    created = place.scim.post(f"{SCIM}/Users", user)
    assert created.status == 201
    path = f"{SCIM}/Users/{created.json['id']}"
    person = okta_person("00u9", "lena@amt.example", "Lena Leaver", ["Everyone"])
    client = place.log_in(person)
    assert client.user_id == "@lena:messenger.example"

    # Okta replaces the whole resource, or patches it without a path.
    assert place.scim.put(path, {**user, "active": False}).status == 200
    assert not is_logged_in(client)
    with pytest.raises(LoginRefusedError, match="the homeserver answered"):
        place.log_in(person)
    assert place.scim.put(path, user).status == 200
    assert place.log_in(person).user_id == client.user_id

    assert place.scim.delete(path).status == 204
    assert place.scim.get(path).status == 404
    with pytest.raises(LoginRefusedError, match="the homeserver answered"):
        place.log_in(person)
