"""The API as clients see it: which requests are answered, and how the others are refused."""

import logging
from http import HTTPStatus
from unittest.mock import patch

from tests.server import FakeChannel

from synapse_bum.rest import BASE
from synapse_bum.testing.rest_case import THINGS, ApiTestCase, JsonDict


class AnswerTestCase(ApiTestCase):
    def test_an_administrator_gets_the_object(self) -> None:
        channel = self.ask("GET", f"{THINGS}/example.org/abc", self.boss)
        assert channel.code == HTTPStatus.OK
        assert channel.json_body == {"server_name": "example.org", "media_id": "abc"}
        self.not_stored(channel)
        assert channel.headers.getRawHeaders(b"Access-Control-Allow-Origin") == [b"*"]
        assert channel.headers.getRawHeaders(b"Content-Type") == [b"application/json"]

    def test_head_is_get_without_the_body(self) -> None:
        got = self.ask("GET", f"{THINGS}/example.org/abc", self.boss)
        head = self.ask("HEAD", f"{THINGS}/example.org/abc", self.boss)
        assert head.code == HTTPStatus.OK
        assert "body" not in head.result
        assert head.headers.getRawHeaders(b"Content-Length") == got.headers.getRawHeaders(b"Content-Length")

    def test_options_is_answered_without_a_token_and_with_cors(self) -> None:
        channel = self.ask("OPTIONS", f"{THINGS}/example.org/abc")
        assert channel.code == HTTPStatus.NO_CONTENT
        assert channel.headers.getRawHeaders(b"Access-Control-Allow-Origin") == [b"*"]

    def test_a_started_run_is_202(self) -> None:
        channel = self.ask("POST", f"{BASE}/example/runs", self.boss)
        assert (channel.code, channel.json_body) == (HTTPStatus.ACCEPTED, {"run_id": "run1"})

    def test_a_user_gets_what_is_his(self) -> None:
        channel = self.ask("GET", f"{BASE}/example/mine", self.user)
        assert (channel.code, channel.json_body) == (HTTPStatus.OK, {"user_id": "@user:test"})

    def test_fixed_text_wins_over_a_parameter(self) -> None:
        assert self.ask("GET", f"{THINGS}/local/newest", self.boss).json_body == {"newest": True}
        assert self.ask("GET", f"{THINGS}/local/oldest", self.boss).json_body["media_id"] == "oldest"

    def test_pages_lead_through_the_whole_list(self) -> None:
        numbers: list[int] = []
        path, token = f"{THINGS}?limit=120", "0"
        while token:
            channel = self.ask("GET", f"{path}&from={token}", self.boss)
            assert channel.json_body["total"] == 250
            numbers += [thing["n"] for thing in channel.json_body["things"]]
            token = channel.json_body.get("next_token", "")
        assert numbers == list(range(250))
        assert len(self.ask("GET", THINGS, self.boss).json_body["things"]) == 100

    def test_an_unexpected_error_says_nothing_of_the_inside(self) -> None:
        with self.assertLogs("synapse.http.server", logging.ERROR) as logged:
            channel = self.ask("GET", f"{BASE}/example/broken", self.boss)
        assert self.refused(channel, 500, "M_UNKNOWN") == "Internal server error"
        assert "Traceback" in logged.output[0]


class CheckTestCase(ApiTestCase):
    def test_unknown_paths(self) -> None:
        for path in (
            "",
            "/",
            "/example",
            "/example/things/",
            "/example/things/a.example",
            "/example/things/a/b/c",
            "/x",
        ):
            self.refused(self.ask("GET", BASE + path, self.boss), 404, "M_UNRECOGNIZED")
        for path in (
            "//example/things",
            "/example//things",
            "/example/things//abc",
            "/./example/things",
            "/EXAMPLE/things",
        ):
            self.refused(self.ask("GET", BASE + path, self.boss), 404, "M_UNRECOGNIZED")

    def test_an_unknown_path_is_404_before_the_token_and_a_wrong_method_405(self) -> None:
        self.refused(self.ask("GET", f"{BASE}/nothing"), 404, "M_UNRECOGNIZED")
        for method in ("POST", "PUT", "PATCH"):
            channel = self.ask(method, f"{THINGS}/example.org/abc")
            self.refused(channel, 405, "M_UNRECOGNIZED")
            assert channel.headers.getRawHeaders(b"Allow") == [b"HEAD, DELETE, GET, OPTIONS"]

    def test_tokens(self) -> None:
        self.refused(self.ask("GET", THINGS), 401, "M_MISSING_TOKEN")
        self.refused(self.ask("GET", THINGS, "nonsense"), 401, "M_UNKNOWN_TOKEN")
        self.refused(self.ask("GET", f"{BASE}/example/mine"), 401, "M_MISSING_TOKEN")
        self.refused(self.ask("GET", THINGS, headers={"Authorization": "Bearer t\u00f6ken"}), 401, "M_UNKNOWN_TOKEN")
        self.refused(self.ask("GET", THINGS, headers={"Authorization": "Basic x"}), 401, "M_MISSING_TOKEN")

    def test_only_administrators(self) -> None:
        self.refused(self.ask("GET", THINGS, self.user), 403, "M_FORBIDDEN")

    def test_an_administrator_is_whom_synapse_takes_for_one(self) -> None:
        """Under MAS that is decided by the token's scope, not by the account."""

        async def by_scope(requester: object) -> bool:
            del requester
            return True

        with patch.object(self.hs.get_auth(), "is_server_admin", by_scope):
            assert self.ask("GET", THINGS, self.user).code == HTTPStatus.OK

    def test_the_admin_check_comes_before_path_values_and_body(self) -> None:
        path = f"{THINGS}/example.org/..%2F..%2Fetc/release"
        self.refused(self.ask("POST", path), 401, "M_MISSING_TOKEN")
        self.refused(self.ask("POST", path, self.user, content=b"{"), 403, "M_FORBIDDEN")
        self.refused(self.ask("POST", path, self.boss, content=b"{"), 400, "M_INVALID_PARAM")
        path = f"{THINGS}/example.org/missing/release"
        self.refused(self.ask("POST", path, self.boss, content=b"{"), 400, "M_NOT_JSON")
        self.refused(self.ask("POST", path, self.boss, content={"reason": "x"}), 404, "M_NOT_FOUND")
        path = f"{THINGS}/example.org/released/release"
        channel = self.ask("POST", path, self.boss, content={"reason": "x"})
        assert self.refused(channel, 409, "M_UNKNOWN") == "The file is released already"

    def test_path_segments_are_validated_after_decoding(self) -> None:
        for segment in ("a%2Fb", "..", "%2e%2e", "%00", "%ff", "a%0ab", "%252F", "a.b", "%E2%80%AE"):
            channel = self.ask("GET", f"{THINGS}/example.org/{segment}", self.boss)
            assert "`media_id`" in self.refused(channel, 400, "M_INVALID_PARAM")
        channel = self.ask("GET", f"{THINGS}/..%2f/abc", self.boss)
        assert "`server_name`" in self.refused(channel, 400, "M_INVALID_PARAM")

    def test_what_is_legal_in_an_identifier_passes_encoded(self) -> None:
        for encoded, decoded in (
            ("%21a%2Fb%3Aexample.org%3A8448", "!a/b:example.org:8448"),
            ("@a%2Fb:example.org", "@a/b:example.org"),
        ):
            channel = self.ask("PUT", f"{BASE}/example/holds/{encoded}", self.boss)
            assert channel.json_body == {"room_or_user_id": decoded}

    def test_query_parameters_are_strict_and_unknown_ones_ignored(self) -> None:
        for query in (
            "limit=0",
            "limit=1001",
            "limit=",
            "limit=ten",
            "from=-1",
            "limit=1&limit=2",
            "from=%D9%A1",
            "from=1e3",
        ):
            name = query.partition("=")[0]
            channel = self.ask("GET", f"{THINGS}?{query}", self.boss)
            assert f"`{name}`" in self.refused(channel, 400, "M_INVALID_PARAM")
        self.refused(self.ask("GET", f"{THINGS}?from=%ff", self.boss), 400, "M_INVALID_PARAM")
        assert self.ask("GET", f"{THINGS}?something=else", self.boss).code == HTTPStatus.OK

    def test_a_form_body_is_no_query(self) -> None:
        channel = self.make_request("POST", f"{BASE}/example/runs", b"limit=0&limit=1", self.boss, content_is_form=True)
        assert channel.code == HTTPStatus.ACCEPTED


class BodyTestCase(ApiTestCase):
    PATH = f"{THINGS}/example.org/abc/release"

    def post(self, content: bytes | JsonDict) -> FakeChannel:
        return self.ask("POST", self.PATH, self.boss, content=content)

    def test_a_good_body(self) -> None:
        assert self.post({"reason": "falscher Alarm äöü"}).json_body == {
            "reason": "falscher Alarm äöü",
            "dry_run": False,
        }

    def test_what_is_no_json_object(self) -> None:
        for content in (
            *(
                b"",
                b"{",
                b"[]",
                b"null",
                b'"x"',
                b"\xff",
                b'{"reason": NaN}',
                b'{"reason": Infinity}',
                b"{'reason': 1}",
            ),
            *(b"[" * 3_000, b'{"reason": ' * 300 + b"1" + b"}" * 299, b'{"reason": ' + b"9" * 3_500 + b"e}"),
        ):
            self.refused(self.post(content), 400, "M_NOT_JSON")

    def test_missing_and_wrong_parameters_are_named(self) -> None:
        assert "`reason`" in self.refused(self.post({}), 400, "M_MISSING_PARAM")
        for content, name in (
            ({"reason": 1}, "reason"),
            ({"reason": ""}, "reason"),
            ({"reason": None}, "reason"),
            ({"reason": "a\0b"}, "reason"),
            ({"reason": "a", "dry_run": "true"}, "dry_run"),
            ({"reason": "a", "dryrun": True}, "dryrun"),
        ):
            assert f"`{name}`" in self.refused(self.post(content), 400, "M_INVALID_PARAM")
        assert "did you mean `dry_run`?" in self.post({"reason": "a", "dryrun": True}).json_body["error"]
        assert "`reason`" in self.refused(self.post(b'{"reason": "a", "reason": "b"}'), 400, "M_INVALID_PARAM")
        assert "`reason`" in self.refused(self.post(b'{"reason": "\\ud800"}'), 400, "M_INVALID_PARAM")

    def test_a_body_above_the_limit_is_refused(self) -> None:
        fitting = b'{"reason": "x"}' + b" " * (65_536 - 15)
        with patch("tests.server.MAX_REQUEST_SIZE", 1_000_000, create=True):
            assert self.post(fitting).code == HTTPStatus.OK
            self.refused(self.post(fitting + b" "), 413, "M_TOO_LARGE")
