"""Many people at once, and one login whose steps reach different processes: everybody gets his own account, once."""

import statistics
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import attr
import pytest

from synapse_bum.testing.certificates import CertificateFolder
from synapse_bum.testing.http_client import MatrixClient
from synapse_bum.testing.local_server import LOOPBACK, free_port
from synapse_bum.testing.nginx import RealNginx
from synapse_bum.testing.oidc_provider import KEYCLOAK, PASSWORD, RealOidcProvider, keycloak_person
from synapse_bum.testing.signed_in import SignedInSynapse, display_name, is_server_admin
from synapse_bum.testing.sso_browser import CLIENT, SsoBrowser
from synapse_bum.testing.workers import SynapseStack

pytestmark = [pytest.mark.requires("oidc-provider"), pytest.mark.long, pytest.mark.any_synapse]

MAPPING = {"preset": "keycloak", "admin_roles": ["messenger-admin"]}
MODULE = {"module": "synapse_bum.oidc.OidcModule", "config": {}}
STORM = 200
AT_ONCE = 12
ALIKE = 12


def test_two_hundred_people_at_once_get_an_account_each(
    oidc_provider_folder: Path, certificates: CertificateFolder
) -> None:
    synapse = SignedInSynapse(certificates, modules=[MODULE])
    with RealOidcProvider(oidc_provider_folder, certificates, [synapse.base_url]) as providers:
        # Each name twice, and half of these administrators.
        people = {
            f"account-{number}": keycloak_person(
                f"account-{number}",
                f"user{number // 2}" if number % 2 else f"USER{number // 2}",
                f"User {number}",
                ["messenger-admin"] if number % 4 == 0 else ["messenger"],
            )
            for number in range(STORM)
        }
        providers.know_all(KEYCLOAK, people)
        synapse.config["oidc_providers"] = [providers.relation(KEYCLOAK).entry("keycloak", MAPPING)]
        seconds: list[float] = []

        def log_in(account: str) -> MatrixClient:
            began = time.monotonic()
            client = synapse.browser().log_in("keycloak", account, PASSWORD)
            seconds.append(time.monotonic() - began)
            return client

        with synapse, ThreadPoolExecutor(AT_ONCE) as threads:
            began = time.monotonic()
            clients = dict(zip(people, threads.map(log_in, people), strict=True))
            elapsed = time.monotonic() - began
            assert len({client.user_id for client in clients.values()}) == STORM
            for account, client in list(clients.items())[:8]:
                assert display_name(client) == people[account].claims["name"]
                assert is_server_admin(client) is ("messenger-admin" in people[account].claims["realm_access"]["roles"])
            again = dict(zip(people, threads.map(log_in, list(people)[:20]), strict=False))
            assert {account: client.user_id for account, client in again.items()} == {
                account: clients[account].user_id for account in again
            }
    median = statistics.median(seconds)
    print(f"{STORM} logins, {AT_ONCE} at a time: {elapsed:.1f} s, median of one {median:.2f} s")  # noqa: T201


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Workers:
    """A homeserver of several processes behind a proxy that gives each request to another one."""

    stack: SynapseStack
    providers: RealOidcProvider
    url: str


@pytest.fixture(scope="module")
def workers(
    oidc_provider_folder: Path, certificates: CertificateFolder, monkeypatch_module: pytest.MonkeyPatch
) -> Iterator[Workers]:
    for name, value in certificates.trusting.items():
        monkeypatch_module.setenv(name, value)
    port = free_port()
    url = f"http://{LOOPBACK}:{port}"
    with RealOidcProvider(oidc_provider_folder, certificates, [url]) as providers:
        config = {
            "public_baseurl": f"{url}/",
            "sso": {"client_whitelist": [CLIENT]},
            "oidc_providers": [providers.relation(KEYCLOAK).entry("keycloak", MAPPING)],
        }
        with SynapseStack(modules=[MODULE], config=config, more=("generic1", "generic2")) as stack:
            upstreams = "".join(
                f"server {stack.workers[name].base_url.removeprefix('http://')};" for name in ("generic1", "generic2")
            )
            site = f"""
                upstream workers {{ {upstreams} }}
                server {{
                    listen {LOOPBACK}:{port};
                    location / {{ proxy_pass http://workers; proxy_set_header Host $http_host; }}
                }}
            """
            with RealNginx(site, port):
                yield Workers(stack, providers, url)


@pytest.fixture(scope="module")
def monkeypatch_module() -> Iterator[pytest.MonkeyPatch]:
    with pytest.MonkeyPatch.context() as patch:
        yield patch


@pytest.mark.requires("postgresql", "redis", "nginx")
def test_the_steps_of_a_login_may_reach_different_workers(workers: Workers, certificates: CertificateFolder) -> None:
    workers.stack.main.register("boss", admin=True)

    def log_in(roles: list[str], second_step: str) -> MatrixClient:
        workers.providers.know(KEYCLOAK, "erika", keycloak_person("erika", "erika", "Erika", roles))
        browser = SsoBrowser(certificates.context(), workers.url)
        return browser.log_in("keycloak", "erika", PASSWORD, second_step=second_step)

    one, two = (workers.stack.workers[name].base_url for name in ("generic1", "generic2"))
    client = log_in(["messenger"], one)
    assert not is_server_admin(MatrixClient(two, client.user_id, client.token or ""))
    admin = log_in(["messenger-admin"], two)
    assert admin.user_id == client.user_id
    for url in (one, two, workers.stack.main.base_url):
        assert is_server_admin(MatrixClient(url, admin.user_id, admin.token or ""))
    log_in(["messenger"], one)
    for url in (one, two, workers.stack.main.base_url):
        assert not is_server_admin(MatrixClient(url, admin.user_id, admin.token or ""))


@pytest.mark.requires("postgresql", "redis", "nginx")
def test_people_whose_names_are_alike_get_accounts_of_their_own_on_two_workers_at_once(
    workers: Workers, certificates: CertificateFolder
) -> None:
    people = {f"alike-{number}": keycloak_person(f"alike-{number}", "Zoë.Groß", "Zoë") for number in range(ALIKE)}
    workers.providers.know_all(KEYCLOAK, people)

    browsers = {account: SsoBrowser(certificates.context(), workers.url) for account in people}
    callbacks = {account: browsers[account].callback_url("keycloak", account, PASSWORD) for account in people}

    def log_in(account: str) -> str:
        browser = browsers[account]
        return browser.spend(browser.login_token(callbacks[account])).user_id

    with ThreadPoolExecutor(ALIKE) as threads:
        user_ids = list(threads.map(log_in, people))
    assert len(set(user_ids)) == ALIKE
    assert "@zoe.gross:messenger.example" in user_ids
    again = SsoBrowser(certificates.context(), workers.url).log_in("keycloak", "alike-3", PASSWORD)
    assert again.user_id == user_ids[3]
