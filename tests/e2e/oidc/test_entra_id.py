"""People with tokens as Entra ID issues them, at a real homeserver; leavers come over SCIM as Entra ID sends them."""

import secrets
from collections.abc import Iterator
from pathlib import Path

import attr
import pytest

from synapse_bum.testing.certificates import CertificateFolder
from synapse_bum.testing.http_client import HttpClient, Json, MatrixClient
from synapse_bum.testing.oidc_provider import ENTRA_ID, PASSWORD, TENANT, Person, RealOidcProvider, entra_id_person
from synapse_bum.testing.signed_in import (
    SignedInSynapse,
    display_name,
    display_name_becomes,
    is_logged_in,
    is_server_admin,
)
from synapse_bum.testing.sso_browser import LoginRefusedError

pytestmark = pytest.mark.requires("oidc-provider")

SCIM = "/_synapse/client/bum/scim/v2"
PATCH = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
USER, ADMIN = "Messenger.User", "Messenger.Admin"
MAPPING = {"preset": "entra_id", "tenant": TENANT, "admin_roles": [ADMIN], "required_roles": [USER]}


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Place:
    """A homeserver and its identity provider, which also provisions."""

    synapse: SignedInSynapse
    providers: RealOidcProvider
    scim: HttpClient

    def know(self, person: Person) -> str:
        """Let somebody be in the tenant; returns the name of his account there."""
        account = str(person.claims["oid"])
        self.providers.know(ENTRA_ID, account, person)
        return account

    def log_in(self, person: Person) -> MatrixClient:
        return self.synapse.browser().log_in("entra", self.know(person), PASSWORD)


@pytest.fixture(scope="module")
def place(
    oidc_provider_folder: Path, certificates: CertificateFolder, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Place]:
    token = secrets.token_urlsafe(32)
    token_path = tmp_path_factory.mktemp("scim") / "token"
    token_path.write_text(token)
    scim = {"enabled": True, "idp_id": "entra", "token_path": str(token_path)}
    module = {"module": "synapse_bum.oidc.OidcModule", "config": {"scim": scim}}
    synapse = SignedInSynapse(certificates, modules=[module])
    with RealOidcProvider(oidc_provider_folder, certificates, [synapse.base_url]) as providers:
        synapse.config["oidc_providers"] = [providers.relation(ENTRA_ID).entry("entra", MAPPING)]
        with synapse:
            synapse.register("boss", admin=True)
            yield Place(synapse, providers, HttpClient(synapse.base_url, token))


def oid(number: int) -> str:
    return f"00000000-0000-4000-8000-{number:012d}"


def with_claims(person: Person, **claims: Json) -> Person:
    return attr.evolve(person, claims={**person.claims, **claims})


def test_a_person_stays_the_same_while_roles_and_names_come_and_go(place: Place) -> None:
    client = place.log_in(entra_id_person(oid(1), "Erika.Müster@amt.example", "Erika Müster", [USER]))
    assert client.user_id == "@erika.muester:messenger.example"
    assert display_name(client) == "Erika Müster"
    assert not is_server_admin(client)

    assert is_server_admin(place.log_in(entra_id_person(oid(1), "Erika.Müster@amt.example", "E. M.", [USER, ADMIN])))

    renamed = place.log_in(entra_id_person(oid(1), "erika.neu@amt.example", "Erika Neu", [USER]))
    assert renamed.user_id == client.user_id
    assert display_name_becomes(renamed, "Erika Neu")
    assert not is_server_admin(renamed)


def test_the_same_name_in_two_domains_is_two_people(place: Place) -> None:
    first = place.log_in(entra_id_person(oid(2), "kim@amt.example", "Kim A", [USER]))
    second = place.log_in(entra_id_person(oid(3), "kim@tochter.example", "Kim T", [USER]))
    assert first.user_id == "@kim:messenger.example"
    assert second.user_id.startswith("@kim-")


def test_somebody_who_inherits_a_login_name_gets_an_account_of_his_own(place: Place) -> None:
    before = place.log_in(entra_id_person(oid(4), "pat@amt.example", "Pat Früher", [USER]))
    after = place.log_in(entra_id_person(oid(5), "pat@amt.example", "Pat Später", [USER]))
    assert after.user_id != before.user_id
    assert display_name(before) == "Pat Früher"


@pytest.mark.parametrize(
    ("person", "sentence"),
    [
        (entra_id_person(oid(10), "gast@amt.example", "Gast", [USER], acct=1), "guest"),
        (entra_id_person(oid(11), "gast_firma.example#EXT#@amt.example", "Gast", [USER]), "guest"),
        (entra_id_person(oid(12), "fremd@amt.example", "Fremd", [USER], tid="another tenant"), "tid"),
        (entra_id_person(oid(13), "ohne@amt.example", "Ohne", ["Other.Role"]), "required_roles"),
        (with_claims(entra_id_person(oid(14), "text@amt.example", "Text"), roles=USER), "required_roles"),
    ],
    ids=["acct", "EXT", "tid", "role", "roles_as_text"],
)
def test_who_does_not_belong_here_stays_out(place: Place, person: Person, sentence: str) -> None:
    with pytest.raises(LoginRefusedError) as refused:
        place.log_in(person)
    assert refused.value.page.status == 400
    assert sentence in refused.value.page.text


def test_an_overflowing_list_of_groups_changes_nothing(place: Place) -> None:
    place.log_in(entra_id_person(oid(20), "viola@amt.example", "Viola", [USER, ADMIN]))
    overflowing = {
        "_claim_names": {"roles": "src1"},
        "_claim_sources": {"src1": {"endpoint": "https://graph.example/"}},
    }
    again = place.log_in(entra_id_person(oid(20), "viola@amt.example", "Viola", [USER], **overflowing))
    assert is_server_admin(again)


def test_who_leaves_is_locked_out_at_once_and_comes_back_to_the_same_account(place: Place) -> None:
    person = entra_id_person(oid(30), "lena@amt.example", "Lena Leaver", [USER])
    client = place.log_in(person)
    found = place.scim.get(f"{SCIM}/Users", filter=f'externalId eq "{oid(30)}"').json["Resources"]
    assert [user["userName"] for user in found] == ["lena@amt.example"]
    path = f"{SCIM}/Users/{found[0]['id']}"

    def patch(active: str) -> int:
        operation = {"op": "Replace", "path": "active", "value": active}  # a text, as Entra ID sends it
        return place.scim.request("PATCH", path, json_body={"schemas": [PATCH], "Operations": [operation]}).status

    assert patch("False") == 200
    assert not is_logged_in(client)
    with pytest.raises(LoginRefusedError, match="the homeserver answered"):
        place.log_in(person)

    assert patch("True") == 200
    assert not is_logged_in(client)
    assert place.log_in(person).user_id == client.user_id

    place.providers.disable(ENTRA_ID, oid(30))
    with pytest.raises(LoginRefusedError, match="the identity provider answered"):
        place.synapse.browser().log_in("entra", oid(30), PASSWORD)
