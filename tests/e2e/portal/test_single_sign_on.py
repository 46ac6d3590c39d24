"""An administrator comes in by single sign-on: a real browser, Synapse, and a real OpenID provider."""

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlencode, urlsplit

import attr
import pytest

from synapse_bum.testing.browser import RealBrowser
from synapse_bum.testing.certificates import CertificateFolder
from synapse_bum.testing.oidc_provider import OKTA, RealOidcProvider, okta_person
from synapse_bum.testing.oidc_provider import PASSWORD as PROVIDER_PASSWORD
from synapse_bum.testing.portal_server import HOST, PORTAL_URL, ServedPortal
from synapse_bum.testing.scanned_homeserver import wait_until
from synapse_bum.testing.signed_in import SignedInSynapse
from synapse_bum.testing.sso_browser import CLIENT

pytestmark = [pytest.mark.requires("browser", "nginx", "oidc-provider"), pytest.mark.any_synapse]

Look = Callable[[RealBrowser, str], None]
SETUP = Path(__file__).resolve().parent.parent.parent.parent / "scripts" / "setup-identity"
MAPPING = {"preset": "okta", "groups_path": "groups", "admin_roles": ["messenger-admin"]}


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Place:
    """A portal whose homeserver knows an identity provider, and who drives the browsers."""

    portal: ServedPortal
    provider_port: int
    python: str

    def browser(self) -> RealBrowser:
        """A fresh one."""
        return RealBrowser(self.python, {HOST: self.portal.port, "127.0.0.1": self.provider_port})


@pytest.fixture(scope="module")
def place(browser_python: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = subprocess.run([SETUP, "oidc-provider"], stdout=subprocess.PIPE, text=True, check=True).stdout.strip()
    certificates = CertificateFolder(tmp_path_factory.mktemp("certificates"))
    synapse = SignedInSynapse(certificates, config={"public_baseurl": f"https://{HOST}/"})
    # As the documentation says: without this, Synapse asks the person on a page of its own.
    synapse.config["sso"] = {"client_whitelist": [PORTAL_URL, CLIENT]}
    portal = ServedPortal(tmp_path_factory.mktemp("tls"), synapse=synapse, modules={"oidc.OidcModule": {}})
    with RealOidcProvider(Path(folder), certificates, [f"https://{HOST}"]) as providers:
        relation = providers.relation(OKTA)
        entry = relation.entry("okta", MAPPING, user_profile_method="userinfo_endpoint", idp_name="Anmeldedienst")
        synapse.config["oidc_providers"] = [entry]
        providers.know(OKTA, "vera", okta_person("00u1", "vera@amt.example", "Vera Admin", ["messenger-admin"]))
        providers.know(OKTA, "nina", okta_person("00u2", "nina@amt.example", "Nina Nutzer"))
        with portal:
            yield Place(portal, urlsplit(relation.issuer).port or 0, browser_python)


def at_provider(window: RealBrowser, name: str) -> None:
    """Fills the provider's form in and sends it; what it leads to may be the client's, which is not there."""
    window.run("page.locator('input[name=username]').fill(name)", name=name)
    window.run("page.locator('input[name=password]').fill(password)", password=PROVIDER_PASSWORD)
    window.run("page.get_by_role('button', name='Sign in').click()")


def sign_in(window: RealBrowser, name: str) -> None:
    """From the login page to where the provider sends the browser back."""
    window.click("Weiter mit Anmeldedienst", role="link")
    at_provider(window, name)
    window.run("page.wait_for_url(beginning)", beginning=f"{PORTAL_URL}**")


def sent_to(url: str) -> dict[str, str]:
    """The parameters of an address."""
    return {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}


def login_token(window: RealBrowser) -> str:
    """One for an administrator, from a way that ends at another application than the portal: nobody is there."""
    window.run("setattr(page, 'lost', []) or page.on('requestfailed', lambda request: page.lost.append(request.url))")
    window.open(f"https://{HOST}/_matrix/client/v3/login/sso/redirect/oidc-okta?{urlencode({'redirectUrl': CLIENT})}")
    at_provider(window, "vera")
    wait_until(lambda: window.run("page.wait_for_timeout(100) or page.lost"))
    return sent_to(window.run("page.lost")[0])["loginToken"]


def test_an_administrator_gets_where_they_wanted_to_and_out_again(place: Place, look: Look) -> None:
    with place.browser() as window:
        window.open(f"{PORTAL_URL}users")
        look(window, "login-sso")
        sign_in(window, "vera")
        assert window.run("page.url") == f"{PORTAL_URL}users"
        assert "@boss:messenger.example" in window.text()
        # Beside the way in: no other module is loaded here.
        window.open(f"{PORTAL_URL}availability")
        assert "nicht eingerichtet" in window.text()
        look(window, "availability-none")
        window.click("Abmelden")
        assert "Sie sind abgemeldet." in window.text()
        window.open(f"{PORTAL_URL}users")
        assert "@boss:messenger.example" not in window.text()


def test_others_are_told_why_they_cannot_come_in(place: Place, look: Look) -> None:
    with place.browser() as window:
        window.open(PORTAL_URL)
        sign_in(window, "nina")
        assert "Kein Zugang" in window.text()
        look(window, "no-administrator")
        window.open(f"{PORTAL_URL}users")
        assert "@boss:messenger.example" not in window.text()


def test_a_login_token_is_worth_nothing_in_a_browser_that_did_not_ask_for_it(place: Place) -> None:
    back = f"{PORTAL_URL}sso/return"
    with place.browser() as attacker:
        token = login_token(attacker)
    with place.browser() as window:
        window.open(f"{back}?{urlencode({'state': 'any', 'loginToken': token})}")
        assert "ist nicht gelungen" in window.text()
        window.run("setattr(page, 'asked', []) or page.on('request', lambda request: page.asked.append(request.url))")
        window.click("Weiter mit Anmeldedienst", role="link")
        window.open(f"{back}?{urlencode({'state': 'any', 'loginToken': token})}")
        assert "ist nicht gelungen" in window.text()
        # The token itself is good: with the state that this browser has a cookie for, it opens the portal.
        (asked,) = (url for url in window.run("page.asked") if "/login/sso/redirect/" in url)
        state = sent_to(sent_to(asked)["redirectUrl"])["state"]
        window.open(f"{back}?{urlencode({'state': state, 'loginToken': token})}")
        assert "Angemeldet als @vera:messenger.example" in window.text()
