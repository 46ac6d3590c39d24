"""The identity provider of the demo insists on the protocol, so that a homeserver which gets in has kept it."""

import base64
import hashlib
import json
import socket
import ssl
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicNumbers
from cryptography.hazmat.primitives.hashes import SHA256

from synapse_bum.testing.http_client import HttpClient
from synapse_bum.testing.local_server import ServerError
from synapse_bum.testing.oidc_provider import keycloak_person
from synapse_bum.testing.openid_exchange import CODE_SECONDS, TOKEN_SECONDS, Client, OpenIdExchange, Reply
from synapse_bum.testing.small_identity_provider import SmallIdentityProvider
from synapse_bum.testing.sso_browser import SsoBrowser

ISSUER: Final = "https://sso.example"
CLIENT: Final = Client("synapse", "secret", "https://messenger.example/callback")
VERIFIER: Final = "the verifier that only the client knows until it asks for the tokens"
CHALLENGE: Final = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()
QUERY: Final = {
    "response_type": "code",
    "client_id": CLIENT.client_id,
    "redirect_uri": CLIENT.redirect_uri,
    "scope": "openid profile",
    "state": "the state & more",
    "nonce": "the nonce",
    "code_challenge": CHALLENGE,
    "code_challenge_method": "S256",
}
NOW: Final = 1_800_000_000
ERIKA: Final = keycloak_person("f1c2", "erika", "Erika Muster", ["messenger"]).claims


class Clock:
    """Stands still until it is set."""

    now: float = NOW

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(scope="module")
def made() -> OpenIdExchange:
    """One for all: making a key takes a while."""
    return OpenIdExchange(ISSUER, CLIENT)


@pytest.fixture
def exchange(made: OpenIdExchange, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> OpenIdExchange:
    monkeypatch.setattr(made, "_clock", clock)
    made.end_sessions("f1c2")
    made.know(ERIKA)
    return made


def signed_in(exchange: OpenIdExchange, name: str = "erika") -> Reply:
    return exchange.authorize(QUERY, {"username": name, "password": exchange.password})


def back(reply: Reply) -> dict[str, str]:
    """What the client reads in the address that the browser comes with."""
    assert reply.status == HTTPStatus.SEE_OTHER
    assert reply.location is not None
    address, _, query = reply.location.partition("?")
    assert address == CLIENT.redirect_uri
    return dict(parse_qsl(query))


def code(exchange: OpenIdExchange) -> str:
    return back(signed_in(exchange))["code"]


def asked(exchange: OpenIdExchange, authorization: str | None = CLIENT.authorization, **form: str) -> Reply:
    fields = {"grant_type": "authorization_code", "redirect_uri": CLIENT.redirect_uri, "code_verifier": VERIFIER}
    return exchange.token(authorization, {**fields, **form})


def read(exchange: OpenIdExchange, token: str) -> dict[str, Any]:
    """The claims of a token whose signature is that of the published key."""
    header, payload, signature = (base64.urlsafe_b64decode(part + "==") for part in token.split("."))
    (key,) = json.loads(exchange.key_set().text)["keys"]
    assert json.loads(header)["kid"] == key["kid"]
    n, e = (int.from_bytes(base64.urlsafe_b64decode(key[name] + "=="), "big") for name in ("n", "e"))
    signed = token.rpartition(".")[0].encode()
    RSAPublicNumbers(e, n).public_key().verify(signature, signed, PKCS1v15(), SHA256())
    claims: dict[str, Any] = json.loads(payload)
    return claims


def error(reply: Reply, status: HTTPStatus = HTTPStatus.BAD_REQUEST) -> str:
    assert reply.status == status
    name: str = json.loads(reply.text)["error"]
    return name


def test_the_client_learns_who_has_signed_in(exchange: OpenIdExchange) -> None:
    form = exchange.authorize(QUERY, None)
    assert (form.status, form.location) == (HTTPStatus.OK, None)
    returned = back(signed_in(exchange))
    assert returned["state"] == QUERY["state"]
    tokens = json.loads(asked(exchange, code=returned["code"]).text)
    claims = read(exchange, tokens["id_token"])
    dated = {"iss": ISSUER, "aud": "synapse", "iat": NOW, "exp": NOW + TOKEN_SECONDS, "nonce": "the nonce"}
    assert claims.items() >= {**ERIKA, **dated}.items()
    assert claims["sid"]
    assert json.loads(exchange.userinfo(f"Bearer {tokens['access_token']}").text) == ERIKA


def test_a_changed_token_is_not_signed(exchange: OpenIdExchange) -> None:
    token = json.loads(asked(exchange, code=code(exchange)).text)["id_token"]
    header, payload, signature = token.split(".")
    changed = base64.urlsafe_b64decode(payload + "==").replace(b"erika", b"boss!")
    with pytest.raises(InvalidSignature):
        read(exchange, f"{header}.{base64.urlsafe_b64encode(changed).rstrip(b'=').decode()}.{signature}")


def test_a_code_is_good_for_one_question(exchange: OpenIdExchange) -> None:
    given = code(exchange)
    assert asked(exchange, code=given).status == HTTPStatus.OK
    assert error(asked(exchange, code=given)) == "invalid_grant"


@pytest.mark.parametrize(
    "form",
    [{"code_verifier": "somebody else's"}, {"code_verifier": ""}, {"redirect_uri": "https://elsewhere.example/"}],
)
def test_a_code_is_of_no_use_to_others_and_spent_by_them(exchange: OpenIdExchange, form: dict[str, str]) -> None:
    given = code(exchange)
    assert error(asked(exchange, code=given, **form)) == "invalid_grant"
    assert error(asked(exchange, code=given)) == "invalid_grant"


def test_a_code_gets_old(exchange: OpenIdExchange, clock: Clock) -> None:
    given = code(exchange)
    clock.now += CODE_SECONDS + 1
    assert error(asked(exchange, code=given)) == "invalid_grant"


@pytest.mark.parametrize("authorization", [None, "Basic c3luYXBzZTp3cm9uZw==", "Bearer secret", "Basic ä"])
def test_only_the_client_may_ask(exchange: OpenIdExchange, authorization: str | None) -> None:
    given = code(exchange)
    assert error(asked(exchange, authorization, code=given), HTTPStatus.UNAUTHORIZED) == "invalid_client"
    assert asked(exchange, code=given).status == HTTPStatus.OK


def test_other_grants_are_not_made(exchange: OpenIdExchange) -> None:
    assert error(asked(exchange, grant_type="password")) == "unsupported_grant_type"


@pytest.mark.parametrize("authorization", [None, "", "Bearer", "Bearer nobody's"])
def test_nothing_is_said_of_anybody_without_a_token(exchange: OpenIdExchange, authorization: str | None) -> None:
    assert error(exchange.userinfo(authorization), HTTPStatus.UNAUTHORIZED) == "invalid_token"


@pytest.mark.parametrize("name", ["client_id", "redirect_uri"])
def test_nobody_is_sent_to_an_address_that_is_not_known(exchange: OpenIdExchange, name: str) -> None:
    reply = exchange.authorize({**QUERY, name: "https://elsewhere.example/"}, None)
    assert (reply.status, reply.location) == (HTTPStatus.BAD_REQUEST, None)


@pytest.mark.parametrize(
    ("name", "value"),
    [("response_type", "token"), ("scope", "profile"), ("code_challenge_method", "plain"), ("code_challenge", None)],
)
def test_a_client_that_asks_wrongly_is_told_so(exchange: OpenIdExchange, name: str, value: str | None) -> None:
    query = {key: kept for key, kept in {**QUERY, name: value}.items() if kept is not None}
    told = back(exchange.authorize(query, {"username": "erika", "password": exchange.password}))
    assert (told["error"], told["state"], told.get("code")) == ("invalid_request", QUERY["state"], None)


@pytest.mark.parametrize("form", [{"username": "nobody"}, {"password": "a guess"}, {"password": "ä"}])
def test_a_stranger_does_not_get_in(exchange: OpenIdExchange, form: dict[str, str]) -> None:
    reply = exchange.authorize(QUERY, {"username": "erika", "password": exchange.password, **form})
    assert (reply.status, reply.location) == (HTTPStatus.FORBIDDEN, None)


def test_a_new_name_takes_the_place_of_the_old_one(exchange: OpenIdExchange) -> None:
    exchange.know(keycloak_person("f1c2", "erika.neu", "Erika Neu").claims)
    assert signed_in(exchange).status == HTTPStatus.FORBIDDEN
    given = back(signed_in(exchange, "erika.neu"))["code"]
    assert read(exchange, json.loads(asked(exchange, code=given).text)["id_token"])["sub"] == "f1c2"


def test_every_session_is_ended_once(exchange: OpenIdExchange) -> None:
    codes = [code(exchange), code(exchange)]
    sessions = {read(exchange, json.loads(asked(exchange, code=one).text)["id_token"])["sid"] for one in codes}
    said = [read(exchange, token) for token in exchange.end_sessions("f1c2")]
    assert {claims["sid"] for claims in said} == sessions
    for claims in said:
        assert (claims["iss"], claims["aud"], claims["sub"]) == (ISSUER, "synapse", "f1c2")
        assert claims["events"] == {"http://schemas.openid.net/event/backchannel-logout": {}}
        assert "nonce" not in claims, "with one it could be taken for an ID token"
    assert exchange.end_sessions("f1c2") == []


class TestOverHttp:
    HOMESERVER = "http://127.0.0.1:1"
    """Nobody is there."""

    @pytest.fixture
    def provider(self) -> Iterator[SmallIdentityProvider]:
        with SmallIdentityProvider(self.HOMESERVER) as provider:
            yield provider

    def test_all_addresses_that_it_publishes_answer(self, provider: SmallIdentityProvider) -> None:
        provider.know(ERIKA)
        http = HttpClient(provider.issuer)
        said = http.get("/.well-known/openid-configuration").json
        assert said["issuer"] == provider.relation.issuer
        query = {**QUERY, "redirect_uri": f"{self.HOMESERVER}/_synapse/client/oidc/callback"}
        browser = SsoBrowser(ssl.create_default_context(), self.HOMESERVER)
        address = f"{said['authorization_endpoint']}?{urlencode(query)}"
        assert 'type="password"' in browser.open(address).text
        location = browser.open(address, {"username": "erika", "password": provider.password}).location
        assert location is not None
        form = {
            "grant_type": "authorization_code",
            "code": parse_qs(urlsplit(location).query)["code"][0],
            "redirect_uri": query["redirect_uri"],
            "code_verifier": VERIFIER,
        }
        relation = provider.relation
        authorization = Client(relation.client_id, relation.client_secret, "").authorization
        path = urlsplit(said["token_endpoint"]).path
        headers = {"Authorization": authorization, "Content-Type": "application/x-www-form-urlencoded"}
        tokens = http.request("POST", path, body=urlencode(form).encode(), headers=headers)
        assert (tokens.status, tokens.headers["cache-control"]) == (HTTPStatus.OK, "no-store")
        person = HttpClient(provider.issuer, tokens.json["access_token"])
        assert person.get(urlsplit(said["userinfo_endpoint"]).path).json == ERIKA
        (key,) = http.get(urlsplit(said["jwks_uri"]).path).json["keys"]
        assert (key["kty"], key["alg"]) == ("RSA", "RS256")

    def test_there_is_nothing_else(self, provider: SmallIdentityProvider) -> None:
        http = HttpClient(provider.issuer)
        assert http.get("/").status == HTTPStatus.NOT_FOUND
        assert http.get("/token").status == HTTPStatus.NOT_FOUND

    def test_a_logout_that_the_homeserver_does_not_take_is_an_error(self) -> None:
        with SmallIdentityProvider(self.HOMESERVER) as other, SmallIdentityProvider(other.issuer) as provider:
            provider.know(ERIKA)
            query = {**QUERY, "redirect_uri": f"{other.issuer}/_synapse/client/oidc/callback"}
            browser = SsoBrowser(ssl.create_default_context(), other.issuer)
            browser.open(
                f"{provider.issuer}/authorize?{urlencode(query)}",
                {"username": "erika", "password": provider.password},
            )
            with pytest.raises(ServerError, match="HTTP 404"):
                provider.log_out("f1c2")
            assert provider.log_out("f1c2") == 0

    def test_its_port_is_free_afterwards(self) -> None:
        provider = SmallIdentityProvider(self.HOMESERVER)
        port = urlsplit(provider.issuer).port
        provider.start()
        provider.close()
        with socket.socket() as probe:
            assert probe.connect_ex(("127.0.0.1", port)) != 0

    def test_one_that_was_never_started_can_be_closed(self) -> None:
        provider = SmallIdentityProvider(self.HOMESERVER)
        port = urlsplit(provider.issuer).port
        provider.close()
        with socket.socket() as probe:
            assert probe.connect_ex(("127.0.0.1", port)) != 0
