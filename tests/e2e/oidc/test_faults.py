"""What goes wrong between a homeserver and its identity provider: nobody gets in by it, and the server goes on."""

from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path

import attr
import pytest

from synapse_bum.testing.certificates import CertificateFolder
from synapse_bum.testing.http_client import Json, MatrixClient
from synapse_bum.testing.local_server import ServerError
from synapse_bum.testing.oidc_provider import KEYCLOAK, PASSWORD, Person, RealOidcProvider, keycloak_person
from synapse_bum.testing.signed_in import SignedInSynapse, display_name, is_logged_in, is_server_admin
from synapse_bum.testing.sso_browser import LoginRefusedError

pytestmark = pytest.mark.requires("oidc-provider")

MAPPING = {"preset": "keycloak", "admin_roles": ["messenger-admin"]}
STARTS_WITHOUT_PROVIDER = tuple(int(part) for part in version("matrix-synapse").split(".")[:2]) >= (1, 142)


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Place:
    """A homeserver and its identity provider."""

    synapse: SignedInSynapse
    providers: RealOidcProvider

    def log_in(self, account: str) -> MatrixClient:
        return self.synapse.browser().log_in("keycloak", account, PASSWORD)

    def is_well(self) -> bool:
        """Whether everybody else still gets in."""
        self.providers.know(KEYCLOAK, "well", keycloak_person("well", "well", "Well"))
        return is_logged_in(self.log_in("well"))


@pytest.fixture(scope="module")
def place(oidc_provider_folder: Path, certificates: CertificateFolder) -> Iterator[Place]:
    synapse = SignedInSynapse(certificates, modules=[{"module": "synapse_bum.oidc.OidcModule", "config": {}}])
    with RealOidcProvider(oidc_provider_folder, certificates, [synapse.base_url]) as providers:
        synapse.config["oidc_providers"] = [providers.relation(KEYCLOAK).entry("keycloak", MAPPING)]
        with synapse:
            synapse.register("boss", admin=True)
            yield Place(synapse, providers)


def test_a_code_is_good_once_and_only_where_its_login_began(place: Place) -> None:
    place.providers.know(KEYCLOAK, "erika", keycloak_person("erika", "erika", "Erika"))
    browser = place.synapse.browser()
    callback = browser.callback_url("keycloak", "erika", PASSWORD)
    with pytest.raises(LoginRefusedError, match="No session cookie found"):
        place.synapse.browser().login_token(callback)
    token = browser.login_token(callback)
    assert browser.spend(token).user_id == "@erika:messenger.example"

    with pytest.raises(LoginRefusedError):
        browser.spend(token)
    with pytest.raises(LoginRefusedError):
        browser.login_token(callback)


def test_a_replayed_code_in_the_browser_that_has_the_cookie_is_refused_by_the_provider(place: Place) -> None:
    place.providers.know(KEYCLOAK, "paul", keycloak_person("paul", "paul", "Paul"))
    browser = place.synapse.browser()
    callback = browser.callback_url("keycloak", "paul", PASSWORD)
    thief = browser.copy()
    browser.login_token(callback)
    with pytest.raises(LoginRefusedError, match="invalid_grant"):
        thief.login_token(callback)


def test_the_state_of_another_login_is_refused(place: Place) -> None:
    place.providers.know(KEYCLOAK, "mia", keycloak_person("mia", "mia", "Mia"))
    first, second = place.synapse.browser(), place.synapse.browser()
    callback = first.callback_url("keycloak", "mia", PASSWORD)
    second.callback_url("keycloak", "mia", PASSWORD)
    with pytest.raises(LoginRefusedError, match="mismatching_session"):
        second.login_token(callback)


def test_a_logout_told_by_the_provider_ends_that_session_and_no_other(place: Place) -> None:
    place.providers.know(KEYCLOAK, "lars", keycloak_person("lars", "lars", "Lars"))
    first, last = place.log_in("lars"), place.log_in("lars")
    place.providers.log_out(KEYCLOAK, "lars")
    assert not is_logged_in(last)
    assert is_logged_in(first)
    # Synapse tries at its start whether a mapping knows people by `sub`, which is what such a logout names.
    assert "does not use the `sub` claim as subject" not in place.synapse.log_text()


@pytest.mark.parametrize("defect", ["expired", "replayed"])
def test_an_expired_or_replayed_token_lets_nobody_in(place: Place, defect: str) -> None:
    person = keycloak_person("otto", "otto", "Otto")
    place.providers.know(KEYCLOAK, "otto", person)
    client = place.log_in("otto")
    place.providers.know(KEYCLOAK, "otto", attr.evolve(person, defect=defect))
    with pytest.raises(LoginRefusedError, match="invalid_token"):
        place.log_in("otto")
    assert is_logged_in(client)
    assert place.is_well()


@pytest.mark.parametrize(
    "claims",
    [
        {"preferred_username": None},
        {"preferred_username": 7},
        {"preferred_username": ["bad"]},
        {"preferred_username": ""},
        {"preferred_username": "a\0b"},
        {"preferred_username": "a\nb"},
        {"preferred_username": "a\u202eb"},
        {"sub": "s" * 256},
    ],
    ids=["missing", "number", "list", "empty", "NUL", "newline", "RTL", "long_subject"],
)
def test_a_login_name_that_is_none_ends_on_a_page(place: Place, claims: dict[str, Json]) -> None:
    person = keycloak_person("bad", "bad", "Bad")
    place.providers.know(KEYCLOAK, "bad", Person({**person.claims, **claims}))
    with pytest.raises(LoginRefusedError) as refused:
        place.log_in("bad")
    assert refused.value.page.status == 400
    assert place.is_well()


@pytest.mark.parametrize(
    ("claims", "expected"),
    [
        ({"name": "Ada \U0001f469\u200d\U0001f4bb"}, "Ada \U0001f469\u200d\U0001f4bb"),
        ({"name": "A\0da\n\u202eL."}, "Ada L."),
        ({"realm_access": {"roles": "messenger-admin"}}, "Ada"),
        ({"realm_access": ["messenger-admin"]}, "Ada"),
        ({"realm_access": {"roles": [1, "messenger-admin"]}}, "Ada"),
        ({"email": "a@b@c\n", "email_verified": True}, "Ada"),
    ],
    ids=["emoji", "controls", "roles_as_text", "roles_too_high", "mixed_roles", "address"],
)
def test_other_claims_of_the_wrong_kind_give_nothing(place: Place, claims: dict[str, Json], expected: str) -> None:
    account = f"ada-{abs(hash(repr(claims)))}"
    place.providers.know(KEYCLOAK, account, Person({**keycloak_person(account, account, "Ada").claims, **claims}))
    client = place.log_in(account)
    assert display_name(client) == expected
    assert not is_server_admin(client)


def outcome(action: Callable[[], object]) -> int:
    """The status of the page on which a login ends."""
    with pytest.raises(LoginRefusedError) as refused:
        action()
    return refused.value.page.status


def test_without_the_provider_logins_end_on_a_page_and_the_rest_goes_on(place: Place) -> None:
    place.providers.know(KEYCLOAK, "ruth", keycloak_person("ruth", "ruth", "Ruth"))
    client = place.log_in("ruth")
    browser = place.synapse.browser()
    callback = browser.callback_url("keycloak", "ruth", PASSWORD)
    place.providers.kill()
    try:
        assert outcome(lambda: browser.login_token(callback)) == 500
        assert is_logged_in(client)
        assert place.synapse.running
    finally:
        place.providers.start()
    assert place.log_in("ruth").user_id == client.user_id


def test_whether_the_homeserver_starts_without_the_provider(place: Place) -> None:
    place.synapse.stop()
    place.providers.kill()
    try:
        if STARTS_WITHOUT_PROVIDER:
            place.synapse.start()
            assert outcome(lambda: place.log_in("ruth")) >= 400
        else:
            # Synapse's own, before any module is asked: an unreachable provider stops the start.
            with pytest.raises(ServerError, match="ended with status 1"):
                place.synapse.start()
    finally:
        place.providers.start()
        if not place.synapse.running:
            place.synapse.start()
    assert place.is_well()
