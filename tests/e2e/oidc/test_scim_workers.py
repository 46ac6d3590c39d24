"""SCIM at a worker: whoever is ended there is out everywhere, though only the main process can end sessions."""

from collections.abc import Iterator
from http import HTTPStatus

import pytest

from synapse_bum.testing.http_client import HttpClient, MatrixClient
from synapse_bum.testing.scim_bodies import LEAVES, RETURNS, scim_user
from synapse_bum.testing.scim_homeserver import AUTH_PROVIDER, ScimClient, ScimToken, oidc_providers
from synapse_bum.testing.workers import SynapseStack

pytestmark = [pytest.mark.requires("postgresql", "redis"), pytest.mark.long, pytest.mark.any_synapse]

WORKER = "generic1"


@pytest.fixture(scope="module")
def token(tmp_path_factory: pytest.TempPathFactory) -> ScimToken:
    return ScimToken(tmp_path_factory.mktemp("scim"))


@pytest.fixture(scope="module")
def stack(token: ScimToken) -> Iterator[SynapseStack]:
    config = {"oidc_providers": oidc_providers()}
    with SynapseStack(modules=[token.module()], config=config, more=(WORKER,)) as started:
        yield started


@pytest.fixture(scope="module")
def boss(stack: SynapseStack) -> MatrixClient:
    return stack.main.register("boss", admin=True)


def devices_of(boss: MatrixClient, user_id: str) -> int:
    total: int = boss.get(f"/_synapse/admin/v2/users/{user_id}/devices").json["total"]
    return total


def test_ended_at_a_worker_is_ended_everywhere(stack: SynapseStack, token: ScimToken, boss: MatrixClient) -> None:
    anna = stack.main.register("anna")
    link = {"external_ids": [{"auth_provider": AUTH_PROVIDER, "external_id": "00u1"}]}
    assert boss.request("PUT", f"/_synapse/admin/v2/users/{anna.user_id}", json_body=link).status == HTTPStatus.OK
    urls = [url for url, _process in stack.processes.values()]
    for url in urls:
        assert HttpClient(url, anna.token).get("/_matrix/client/v3/account/whoami").status == HTTPStatus.OK
    worker = ScimClient(stack.workers[WORKER].base_url, token)
    found = worker.request("GET", "/Users").json["Resources"]
    assert [one["userName"] for one in found] == ["anna"]
    path = f"/Users/{found[0]['id']}"

    ended = worker.request("PATCH", path, LEAVES)
    assert (ended.status, ended.json["active"]) == (HTTPStatus.OK, False)
    for url in urls:
        refused = HttpClient(url, anna.token).get("/_matrix/client/v3/account/whoami")
        assert refused.status == HTTPStatus.UNAUTHORIZED
    assert devices_of(boss, anna.user_id) == 0

    returned = ScimClient(stack.main.base_url, token).request("PATCH", path, RETURNS)
    assert (returned.status, returned.json["active"]) == (HTTPStatus.OK, True)
    shown = boss.get(f"/_synapse/admin/v2/users/{anna.user_id}").json
    assert (shown["locked"], shown["deactivated"]) == (False, False)
    assert worker.request("DELETE", path).status == HTTPStatus.NO_CONTENT
    assert worker.request("GET", path).status == HTTPStatus.NOT_FOUND
    assert boss.get(f"/_synapse/admin/v2/users/{anna.user_id}").json["locked"] is True


def test_created_at_a_worker_is_linked_to_one_account(
    stack: SynapseStack, token: ScimToken, boss: MatrixClient
) -> None:
    worker = ScimClient(stack.workers[WORKER].base_url, token)
    body = scim_user("Bert.Berg@example.org", "00u2", displayName="Bert Berg")
    made = worker.request("POST", "/Users", body)
    assert made.status == HTTPStatus.CREATED, made.body
    assert worker.request("POST", "/Users", body).status == HTTPStatus.CONFLICT
    shown = boss.get("/_synapse/admin/v2/users/@bert.berg:messenger.example").json
    assert shown["displayname"] == "Bert Berg"
    assert shown["external_ids"] == [{"auth_provider": AUTH_PROVIDER, "external_id": "00u2"}]
