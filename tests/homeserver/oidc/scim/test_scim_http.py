"""The door: who gets in, in which order things are refused, and what every answer looks like."""

import importlib.util
from collections.abc import Mapping
from http import HTTPStatus
from pathlib import Path
from unittest.mock import patch

import pytest
from synapse.module_api.errors import ConfigError
from tests.unittest import HomeserverTestCase

from synapse_bum.config import SetupError
from synapse_bum.oidc.mapping.config import MappingConfig, parse_mapping
from synapse_bum.oidc.scim.resource import PATH
from synapse_bum.oidc.scim.token import is_authorised, read_token
from synapse_bum.oidc.scim.wiring import _mapping_of
from synapse_bum.secret_store import Secret
from synapse_bum.testing.listeners import listener
from synapse_bum.testing.scim_bodies import LEAVES, scim_user
from synapse_bum.testing.scim_case import TOKEN, USERS, JsonDict, ScimCase

CONFIG = f"{PATH}/ServiceProviderConfig"
SYNAPSE_IS_OLD = importlib.util.find_spec("synapse.config.mas") is None


class DoorTestCase(ScimCase):
    def test_nothing_is_said_without_the_token(self) -> None:
        for token in (None, TOKEN[:-1], f"{TOKEN}0", self.boss, "", "\udcff".encode("utf-8", "surrogateescape").hex()):
            for method, path in (
                ("GET", USERS),
                ("GET", CONFIG),
                ("POST", USERS),
                ("GET", f"{PATH}/x"),
                ("FOO", USERS),
            ):
                channel = self.ask(method, path, token=token)
                self.refused(channel, HTTPStatus.UNAUTHORIZED)
                assert (channel.headers.getRawHeaders("WWW-Authenticate") or [""])[0].startswith("Bearer")
                assert channel.headers.getRawHeaders("Cache-Control") == ["no-store"]

    def test_headers_that_are_no_text(self) -> None:
        strange = [(b"Authorization", b"Bearer \xff\xfe"), (b"Content-Type", b"\xff")]
        self.refused(self.make_request("GET", USERS, custom_headers=strange), HTTPStatus.UNAUTHORIZED)
        wrong = self.make_request("POST", USERS, b"{}", TOKEN, content_type=b"\xff")
        self.refused(wrong, HTTPStatus.BAD_REQUEST, "invalidSyntax")

    def test_the_token_of_scim_opens_nothing_else(self) -> None:
        assert self.whoami(TOKEN).code == HTTPStatus.UNAUTHORIZED

    def test_path_before_method_before_body(self) -> None:
        for path in (f"{PATH}/Groups", PATH, f"{PATH}/Users/a/b", f"{PATH}/Schemas/a/b", f"{PATH}/Bulk"):
            self.refused(self.ask("GET", path), HTTPStatus.NOT_FOUND)
        refused = self.ask("DELETE", USERS, b"{")
        self.refused(refused, HTTPStatus.METHOD_NOT_ALLOWED)
        assert refused.headers.getRawHeaders("Allow") == ["GET, POST"]

    def test_bodies_that_are_none(self) -> None:
        for content in (b"", b"{", b"[]", b'"a"', b"\xff", b'{"a": NaN}', b"[" * 100_000, b"null"):
            self.refused(self.ask("POST", USERS, content), HTTPStatus.BAD_REQUEST, "invalidSyntax")
        self.refused(self.ask("POST", USERS, b"[" + b" " * 1_048_576), HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        wrong = self.ask("POST", USERS, scim_user(), content_type="text/plain")
        self.refused(wrong, HTTPStatus.BAD_REQUEST, "invalidSyntax")

    def test_json_is_welcome_too(self) -> None:
        made = self.ask("POST", USERS, scim_user(), content_type="application/json; charset=utf-8")
        self.answered(made, HTTPStatus.CREATED)

    def test_ids_that_are_nobodys(self) -> None:
        for identifier in ("a", "%00", "%2F", "YQ==", "YQ%3D%3D", "YR", "-_-_", "A" * 3_000, "%F0%9F%98%80", "AA"):
            for method in ("GET", "PUT", "PATCH", "DELETE"):
                self.refused(self.ask(method, f"{USERS}/{identifier}", LEAVES), HTTPStatus.NOT_FOUND)

    def test_what_the_service_can_is_told(self) -> None:
        told = self.answered(self.ask("GET", CONFIG))
        assert (told["patch"]["supported"], told["bulk"]["supported"]) == (True, False)
        types = self.answered(self.ask("GET", f"{PATH}/ResourceTypes"))
        assert [one["id"] for one in types["Resources"]] == ["User"]
        assert self.answered(self.ask("GET", f"{PATH}/ResourceTypes/User")) == types["Resources"][0]
        for one in self.answered(self.ask("GET", f"{PATH}/Schemas"))["Resources"]:
            assert self.answered(self.ask("GET", f"{PATH}/Schemas/{one['id']}")) == one
            assert one["meta"]["location"].endswith(f"{PATH}/Schemas/{one['id']}")
        self.refused(self.ask("GET", f"{PATH}/Schemas/urn:x"), HTTPStatus.NOT_FOUND)

    def test_a_query_that_is_wrong(self) -> None:
        for query in ("count=x", "startIndex=1.5", "count=1&count=2", "filter=%FF"):
            self.refused(self.ask("GET", f"{USERS}?{query}"), HTTPStatus.BAD_REQUEST, "invalidValue")
        assert self.answered(self.ask("GET", f"{USERS}?startIndex=-5&count=-1"))["itemsPerPage"] == 0

    def test_what_went_wrong_stays_in_the_log(self) -> None:
        with patch("synapse_bum.oidc.scim.service.Directory.search", side_effect=RuntimeError("hunter2")):
            sentence = self.refused(self.ask("GET", USERS), HTTPStatus.INTERNAL_SERVER_ERROR)
        assert "hunter2" not in sentence


class AdminHostsTestCase(ScimCase):
    options = {"admin_hosts": ["admin.example"]}

    def test_there_is_nothing_on_other_hosts(self) -> None:
        self.refused(self.ask("GET", USERS), HTTPStatus.NOT_FOUND)
        self.refused(self.ask("GET", USERS, token=None), HTTPStatus.NOT_FOUND)

    def test_locations_are_on_the_host_of_administration(self) -> None:
        headers = {"Host": "admin.example"}
        made = self.answered(self.ask("POST", USERS, scim_user(), headers=headers), HTTPStatus.CREATED)
        assert made["meta"]["location"].partition("://")[2].startswith(f"admin.example{USERS}/")


class OtherListenerTestCase(ScimCase):
    def default_config(self) -> JsonDict:
        config = super().default_config()
        config["listeners"] = [listener("federation")]
        return config

    def test_there_is_nothing_on_a_listener_that_is_not_for_clients(self) -> None:
        self.refused(self.ask("GET", USERS), HTTPStatus.NOT_FOUND)


class OtherServiceTestCase(ScimCase):
    def default_config(self) -> JsonDict:
        config = super().default_config()
        config["password_config"] = {"enabled": False}
        config["enable_registration"] = False
        if SYNAPSE_IS_OLD:
            client = {"client_id": "a", "client_auth_method": "client_secret_post", "client_secret": "b"}
            section = {"enabled": True, "issuer": "https://mas.example/", "admin_token": "c", **client}
            config["experimental_features"] = {"msc3861": section}
        else:
            section = {"enabled": True, "endpoint": "https://mas.example/", "secret": "a"}
            config["matrix_authentication_service"] = section
        return config

    def setUp(self) -> None:
        HomeserverTestCase.setUp(self)

    def providers(self, config: MappingConfig) -> Mapping[str, MappingConfig]:
        """With the Matrix Authentication Service there are no `oidc_providers`."""
        del config
        return {}

    def test_accounts_of_another_service_are_not_provisioned_here(self) -> None:
        for method, path, body in (
            ("GET", USERS, b""),
            ("POST", USERS, scim_user()),
            ("GET", f"{USERS}/YQ", b""),
            ("PATCH", f"{USERS}/YQ", LEAVES),
            ("DELETE", f"{USERS}/YQ", b""),
        ):
            assert "Matrix Authentication Service" in self.refused(
                self.ask(method, path, body), HTTPStatus.NOT_IMPLEMENTED
            )
        self.answered(self.ask("GET", CONFIG))


def test_a_token_that_can_be_guessed_stops_the_start(tmp_path: Path) -> None:
    for content in ("short", "a" * 31, "a" * 20 + " " + "b" * 20, "ä" * 40, ""):
        (tmp_path / "token").write_text(content, encoding="utf-8")
        with pytest.raises(ConfigError, match="token_path"):
            read_token(str(tmp_path / "token"))
    with pytest.raises(ConfigError, match="can't read"):
        read_token(str(tmp_path / "none"))


def test_only_one_whole_header_is_believed() -> None:
    token = Secret(TOKEN)
    assert is_authorised([f"bearer {TOKEN}"], token)
    for headers in ([], [TOKEN], [f"Basic {TOKEN}"], [f"Bearer {TOKEN}"] * 2, [f"Bearer {TOKEN} x"], ["Bearer \udcff"]):
        assert not is_authorised(headers, token)


def test_the_start_ends_when_nobody_could_be_provisioned() -> None:
    own = parse_mapping({"idp_id": "x", "preset": "generic", "subject_claims": ["a", "b"]})
    with pytest.raises(SetupError, match="subject_claims"):
        _mapping_of("x", {"x": own})
    with pytest.raises(SetupError, match="`x`"):
        _mapping_of("y", {"x": own})
