"""What is believed of an authentication service, and what is not."""

import contextlib
import json
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synapse_bum.portal.login.oidc_protocol import (
    Attempt,
    Grant,
    ProtocolError,
    Provider,
    authorization_url,
    check_id_token,
    check_issuer,
    client_authorization,
    read_grant,
    read_provider,
)

NOW = 1_800_000_000_000
METADATA: dict[str, Any] = {
    "issuer": "https://mas.example/",
    "authorization_endpoint": "https://mas.example/authorize",
    "token_endpoint": "https://mas.example/oauth2/token",
    "revocation_endpoint": "https://mas.example/oauth2/revoke",
    "code_challenge_methods_supported": ["S256"],
}

json_values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text()),
    lambda inner: st.one_of(st.lists(inner), st.dictionaries(st.text(), inner)),
)


def a_provider(**changes: object) -> Provider:
    return read_provider({**METADATA, **changes}, "urn:matrix:client:")


class TestMetadata:
    @pytest.mark.parametrize(
        "change",
        [
            {"issuer": ""},
            {"issuer": 1},
            {"code_challenge_methods_supported": ["plain"]},
            {"code_challenge_methods_supported": "S256"},
            {"token_endpoint": "http://mas.example/oauth2/token"},
            {"token_endpoint": "https://mas.example/oauth2/token#x"},
            {"authorization_endpoint": "javascript:alert(1)"},
            {"authorization_endpoint": "https://mas.example/\r\nSet-Cookie: a=b"},
            {"revocation_endpoint": None},
        ],
    )
    def test_what_can_not_be_used_is_refused(self, change: dict[str, Any]) -> None:
        with pytest.raises(ProtocolError):
            a_provider(**change)

    def test_on_this_machine_nobody_listens_in(self) -> None:
        assert a_provider(token_endpoint="http://127.0.0.1:8080/token").token_endpoint.startswith("http://127")

    def test_parameters_are_added_to_those_of_the_address(self) -> None:
        provider = a_provider(authorization_endpoint="https://mas.example/authorize?tenant=a")
        attempt = Attempt.begin("https://admin.example/back", "")
        query = parse_qs(urlsplit(authorization_url(provider, "client", attempt)).query)
        assert query["tenant"] == ["a"]
        assert query["state"] == [attempt.state]
        assert attempt.verifier not in str(query)
        assert attempt.state not in repr(attempt)

    def test_the_issuer_that_leads_back(self) -> None:
        check_issuer(a_provider(), "")
        check_issuer(a_provider(), METADATA["issuer"])
        named = a_provider(authorization_response_iss_parameter_supported=True)
        for provider, said in ((named, ""), (a_provider(), "https://mas.example"), (named, "https://evil.example/")):
            with pytest.raises(ProtocolError):
                check_issuer(provider, said)


class TestGrants:
    def test_it_is_renewed_while_it_is_still_good(self) -> None:
        grant = read_grant({"access_token": "a", "token_type": "bearer", "expires_in": 300, "refresh_token": "r"}, NOW)
        assert grant == Grant("a", "r", NOW + 240_000, NOW + 300_000)
        assert "access_token" not in repr(grant)

    def test_a_refresh_token_stays_where_no_new_one_comes(self) -> None:
        before = Grant("a", "r", 0, 0)
        assert read_grant({"access_token": "b", "token_type": "Bearer"}, NOW, before).refresh_token == "r"
        assert read_grant({"access_token": "b", "token_type": "Bearer"}, NOW).refresh_token is None

    @given(st.dictionaries(st.sampled_from(["access_token", "token_type", "expires_in", "refresh_token"]), json_values))
    def test_nonsense_is_refused_and_nothing_else_happens(self, answer: dict[str, Any]) -> None:
        with contextlib.suppress(ProtocolError):
            assert read_grant(answer, NOW).access_token

    @given(st.one_of(st.text(), json_values.map(lambda value: f"x.{json.dumps(value).encode().hex()}.y")))
    def test_what_is_no_id_token_is_refused(self, token: str) -> None:
        with pytest.raises(ProtocolError):
            check_id_token({"id_token": token}, a_provider(), "client", "nonce", NOW)


def test_names_and_secrets_are_encoded_before_they_are_joined() -> None:
    assert client_authorization("a:b", "c d+") == "Basic YSUzQWI6YytkJTJC"
