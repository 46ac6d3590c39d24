"""People of a real Keycloak at a real homeserver: who they are, what their roles make of them, and how they leave."""

from collections.abc import Iterator
from pathlib import Path

import attr
import pytest

from synapse_bum.testing.certificates import CertificateFolder
from synapse_bum.testing.http_client import MatrixClient
from synapse_bum.testing.keycloak import RealKeycloak
from synapse_bum.testing.keycloak_realm import CLIENT_ID, OTHER_CLIENT_ID, PASSWORD, Account, realm
from synapse_bum.testing.signed_in import (
    SignedInSynapse,
    display_name,
    display_name_becomes,
    is_logged_in,
    is_server_admin,
)
from synapse_bum.testing.sso_browser import LoginRefusedError

# Synapse sees no difference to the provider of test_entra_id.py and test_okta.py, which run on every Synapse.
pytestmark = [pytest.mark.requires("keycloak"), pytest.mark.any_synapse, pytest.mark.long]

# Keycloak leaves a list out that would be empty, and a list that is missing says nothing of administrators. So
# everybody has a role and a group.
ROLES = ["messenger"]
GROUPS = ["/amt/alle"]

ERIKA = Account("erika", "Erika", "Muster", ROLES, groups=GROUPS)
JUERGEN = Account("jürgen.groß", "Jürgen", "Groß", ROLES, groups=GROUPS)
JUERGEN_IN_ASCII = Account("juergen.gross", "Juergen", "Gross", ROLES, groups=GROUPS)
BY_CLIENT_ROLE = Account("clara", "Clara", "Client", ROLES, client_roles={CLIENT_ID: ["owner"]}, groups=GROUPS)
BY_GROUP = Account("gerda", "Gerda", "Gruppe", ROLES, groups=["/amt/it"])
IN_ANOTHER_CLIENT = Account("walter", "Walter", "Wiki", ROLES, client_roles={OTHER_CLIENT_ID: ["owner"]}, groups=GROUPS)
IN_ANOTHER_GROUP = Account("frieda", "Frieda", "Fremd", ROLES, groups=["/fremd/it"])
OUTSIDER = Account("otto", "Otto", "Ohne", groups=GROUPS)
LEAVER = Account("lena", "Lena", "Leaver", ROLES, groups=GROUPS)
EVERYBODY = (
    *(ERIKA, JUERGEN, JUERGEN_IN_ASCII, BY_CLIENT_ROLE, BY_GROUP, IN_ANOTHER_CLIENT, IN_ANOTHER_GROUP),
    *(OUTSIDER, LEAVER),
)

MAPPING = {
    "preset": "keycloak",
    "client_id": CLIENT_ID,
    "groups_path": "groups",
    "admin_roles": ["messenger-admin", "owner", "/amt/it"],
    "required_roles": ["messenger"],
}


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Place:
    """A homeserver and its identity provider."""

    synapse: SignedInSynapse
    keycloak: RealKeycloak
    boss: MatrixClient

    def log_in(self, account: Account, name: str | None = None) -> MatrixClient:
        return self.synapse.browser().log_in("keycloak", name or account.user_name, PASSWORD)


@pytest.fixture(scope="module")
def place(keycloak_folder: Path, certificates: CertificateFolder) -> Iterator[Place]:
    synapse = SignedInSynapse(certificates, modules=[{"module": "synapse_bum.oidc.OidcModule", "config": {}}])
    described = realm(
        EVERYBODY,
        realm_roles=["messenger", "messenger-admin"],
        client_roles=["owner"],
        group_paths=["/amt/alle", "/amt/it", "/fremd/it"],
    )
    with RealKeycloak(keycloak_folder, certificates, described) as keycloak:
        synapse.config["oidc_providers"] = [keycloak.relation.entry("keycloak", MAPPING)]
        with synapse:
            keycloak.send_logouts_to(synapse.base_url)
            yield Place(synapse, keycloak, synapse.register("boss", admin=True))


def test_a_person_stays_the_same_while_roles_and_names_come_and_go(place: Place) -> None:
    client = place.log_in(ERIKA)
    assert client.user_id == "@erika:messenger.example"
    assert display_name(client) == "Erika Muster"
    assert not is_server_admin(client)

    place.keycloak.give_realm_role(ERIKA.user_id, "messenger-admin")
    assert is_server_admin(place.log_in(ERIKA))

    place.keycloak.take_realm_role(ERIKA.user_id, "messenger-admin")
    place.keycloak.change(ERIKA.user_id, username="erika.neu", lastName="Neu")
    renamed = place.log_in(ERIKA, "erika.neu")
    assert renamed.user_id == "@erika:messenger.example"
    assert display_name_becomes(renamed, "Erika Neu")
    assert not is_server_admin(renamed)
    assert not is_server_admin(client)


def test_a_verified_address_is_bound(place: Place) -> None:
    client = place.log_in(BY_GROUP)
    found = place.boss.get(f"/_synapse/admin/v2/users/{client.user_id}").json["threepids"]
    assert [(one["medium"], one["address"]) for one in found] == [("email", "gerda@amt.example")]


def test_umlauts_make_no_two_people_one(place: Place) -> None:
    first, second = place.log_in(JUERGEN), place.log_in(JUERGEN_IN_ASCII)
    assert first.user_id == "@juergen.gross:messenger.example"
    assert second.user_id.startswith("@juergen.gross-")
    assert place.log_in(JUERGEN_IN_ASCII).user_id == second.user_id
    assert display_name(first) == "Jürgen Groß"


@pytest.mark.parametrize(
    ("account", "expected"),
    [(BY_CLIENT_ROLE, True), (BY_GROUP, True), (IN_ANOTHER_CLIENT, False), (IN_ANOTHER_GROUP, False)],
    ids=lambda value: value.user_name if isinstance(value, Account) else str(value),
)
def test_only_roles_of_the_own_client_and_whole_paths_of_groups_count(
    place: Place, account: Account, *, expected: bool
) -> None:
    assert is_server_admin(place.log_in(account)) is expected


def test_who_lacks_the_required_role_stays_out(place: Place) -> None:
    with pytest.raises(LoginRefusedError) as refused:
        place.log_in(OUTSIDER)
    assert refused.value.page.status == 400
    assert "required_roles" in refused.value.page.text
    assert place.boss.get("/_synapse/admin/v2/users/@otto:messenger.example").status == 404


def test_who_leaves_is_logged_out_at_once_and_comes_in_no_more(place: Place) -> None:
    phone, laptop = place.log_in(LEAVER), place.log_in(LEAVER)
    other = place.log_in(BY_GROUP)
    assert is_logged_in(phone)

    place.keycloak.change(LEAVER.user_id, enabled=False)
    place.keycloak.log_out(LEAVER.user_id)

    assert not is_logged_in(phone)
    assert not is_logged_in(laptop)
    assert is_logged_in(other)
    with pytest.raises(LoginRefusedError, match="the identity provider answered"):
        place.log_in(LEAVER)
