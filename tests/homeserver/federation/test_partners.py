"""The API of partners: what is stored, who may change it, and what the audit says."""

from typing import Any

from synapse_bum.audit import verify
from synapse_bum.homeserver.federation_queues import servers_with_queues
from synapse_bum.testing.federation_case import PARTNER, FederationTestCase

OF_A_PARTNER = {
    "server_name",
    "organisation",
    "source",
    "valid_from_ts",
    "valid_until_ts",
    "reason",
    "ticket",
    "requested_by",
    "created_by",
    "created_ts",
}


class PartnersTestCase(FederationTestCase):
    def test_a_partner_is_added_shown_changed_and_removed(self) -> None:
        body: dict[str, Any] = {
            "organisation": "Amt A",
            "ticket": "T-1",
            "requested_by": "Frau B",
            "valid_until_ts": 10**15,
        }
        added = self.add(**body)
        assert added.keys() == OF_A_PARTNER
        assert added == {
            **body,
            "server_name": PARTNER,
            "source": "managed",
            "valid_from_ts": None,
            "reason": "a contract",
            "created_by": self.boss,
            "created_ts": added["created_ts"],
        }
        assert self.answer("GET", "federation/partners") == {"partners": [added], "total": 1}
        changed = self.add(organisation="Amt B")
        assert changed == {**added, "organisation": "Amt B", "ticket": None, "requested_by": None} | {
            "valid_until_ts": None
        }
        self.remove()
        assert self.answer("GET", "federation/partners") == {"partners": [], "total": 0}
        assert not self.is_allowed()

    def test_the_audit_says_who_did_what_and_why(self) -> None:
        self.add(ticket="T-1")
        self.add(ticket="T-2")
        self.remove()
        rows = self.audit()
        assert [(row["action"], row["actor"], row["target"]) for row in rows] == [
            ("federation.closed", self.boss, PARTNER),
            ("federation.removed", self.boss, PARTNER),
            ("federation.changed", self.boss, PARTNER),
            ("federation.added", self.boss, PARTNER),
        ]
        assert rows[2]["old"]["ticket"] == "T-1"
        assert rows[2]["new"]["ticket"] == "T-2"
        assert [row["reason"] for row in rows] == ["the contract ended"] * 2 + ["a contract"] * 2
        broken = self.hs.get_module_api().run_db_interaction("test", verify)
        assert self.get_success(broken) is None

    def test_pages_are_sorted_by_name(self) -> None:
        for name in ("c.example", "a.example", "b.example"):
            self.add(name)
        page = self.answer("GET", "federation/partners?limit=2")
        assert [one["server_name"] for one in page["partners"]] == ["a.example", "b.example"]
        assert page["next_token"] == "2"
        rest = self.answer("GET", "federation/partners?from=2")
        assert [one["server_name"] for one in rest["partners"]] == ["c.example"]

    def refusal(self, method: str, name: str, body: dict[str, Any] | None) -> tuple[int, str, str]:
        channel = self.ask(method, f"federation/partners/{name}", body)
        return channel.code, channel.json_body["errcode"], channel.json_body["error"]

    def test_what_is_refused_says_why(self) -> None:
        reason = {"reason": "x"}
        for name, word in [
            ("*", "whole labels"),
            ("%2A.bund.example", "allow_wildcards"),
            ("test", "single label"),
            ("com", "public suffix"),
            ("co.uk", "public suffix"),
            ("192.0.2.1", "addresses"),
            ("192.0.2.1:8448", "addresses"),
            ("%5B2001:db8::1%5D", "addresses"),
            ("a_b.example", "server name"),
            ("a..example", "server name"),
            ("a.example:0", "server name"),
            ("xn--a.example%2F", "server name"),
        ]:
            status, errcode, error = self.refusal("PUT", name, reason)
            assert (status, errcode) == (400, "M_INVALID_PARAM"), name
            assert error.startswith("`server_name`: ")
            assert word in error, (name, error)
        assert self.refusal("PUT", PARTNER, {})[:2] == (400, "M_MISSING_PARAM")
        assert self.refusal("PUT", PARTNER, None)[:2] == (400, "M_NOT_JSON")
        assert self.refusal("PUT", PARTNER, {"reason": " "})[:2] == (400, "M_INVALID_PARAM")
        turned = {"reason": "x", "valid_from_ts": 2, "valid_until_ts": 2}
        assert "valid_until_ts" in self.refusal("PUT", PARTNER, turned)[2]
        assert self.refusal("DELETE", PARTNER, {"reason": "x"})[:2] == (404, "M_NOT_FOUND")
        assert self.answer("GET", "federation/partners")["total"] == 0

    def test_names_are_compared_in_one_form(self) -> None:
        assert self.add("M%C3%BCnchen.Example:08448")["server_name"] == "xn--mnchen-3ya.example:8448"
        assert self.is_allowed("XN--mnchen-3ya.example:8448")
        assert not self.is_allowed("xn--mnchen-3ya.example")

    def test_the_door_compares_names_exactly(self) -> None:
        """To Matrix, a name in other letters is another server, with queues and members of its own."""
        self.add("a.example")
        whitelist: Any = self.hs.config.federation.federation_domain_whitelist
        assert "a.example" in whitelist
        for name in ("A.example", "a.Example"):
            assert name not in whitelist

    def test_the_check_says_why(self) -> None:
        def check(name: str) -> dict[str, Any]:
            return self.answer("GET", f"federation/check/{name}")

        now = self.now_ms()
        self.add("now.example")
        self.add("later.example", valid_from_ts=now + 1_000_000)
        self.add("over.example", valid_until_ts=now - 1)
        assert check("now.example") == {"allowed": True, "matched": "now.example", "because": "partner"}
        assert check("later.example") == {"allowed": False, "matched": "later.example", "because": "not_yet_valid"}
        assert check("over.example") == {"allowed": False, "matched": "over.example", "because": "expired"}
        assert check("other.example") == {"allowed": False, "matched": None, "because": "not_listed"}
        assert check("test") == {"allowed": False, "matched": None, "because": "own_name"}
        assert self.ask("GET", "federation/check/a_b").code == 400

    def test_only_administrators_get_in(self) -> None:
        for method, path in [
            ("GET", "partners"),
            ("PUT", f"partners/{PARTNER}"),
            ("DELETE", f"partners/{PARTNER}"),
            ("GET", f"partners/{PARTNER}/impact"),
            ("GET", f"check/{PARTNER}"),
        ]:
            channel = self.ask(method, f"federation/{path}", {"reason": "x"}, token=self.alice_token)
            assert channel.code == 403, path


class StaticTestCase(FederationTestCase):
    federation = {
        "partners": {
            "Fixed.example": {"organisation": "Amt A", "valid_from": "2026-01-01", "valid_until": "2026-07-01"},
            "*.bund.example": None,
        },
        "allow_wildcards": True,
    }

    def test_static_partners_are_shown_and_stay(self) -> None:
        shown = self.answer("GET", "federation/partners")["partners"]
        assert [(one["server_name"], one["source"]) for one in shown] == [
            ("*.bund.example", "static"),
            ("fixed.example", "static"),
        ]
        # The first moments of these days in Germany, in winter and in summer.
        assert (shown[1]["valid_from_ts"], shown[1]["valid_until_ts"]) == (1767222000000, 1782856800000)
        for method in ("PUT", "DELETE"):
            channel = self.ask(method, "federation/partners/fixed.example", {"reason": "x"})
            assert channel.code == 409
            assert "configuration" in channel.json_body["error"]
        assert self.is_allowed("a.b.bund.example")
        assert not self.is_allowed("bund.example")
        assert not self.is_allowed("xbund.example")


class WaitingTestCase(FederationTestCase):
    """What was queued for a server while it was no partner is not kept for the day on which it is one."""

    federation = {"allow_wildcards": True}

    def queued(self, *servers: str) -> list[str]:
        """Whom alice's messages to devices wait for, after she has written to these servers."""
        for server in servers:
            body = {"messages": {f"@bob:{server}": {"DEVICE": {"said": "while closed"}}}}
            path = f"/_matrix/client/v3/sendToDevice/m.test/{server}"
            assert self.make_request("PUT", path, body, access_token=self.alice_token).code == 200
        return sorted(self.get_success(self.hs.get_module_api().run_db_interaction("test", servers_with_queues)))

    def test_a_wildcard_that_comes_back_finds_nothing(self) -> None:
        self.add("%2A.land.example")
        self.remove("%2A.land.example")
        assert self.queued("a.land.example", "b.example") == ["a.land.example", "b.example"]
        self.add("%2A.land.example")
        assert self.queued() == ["b.example"]

    def test_a_server_below_a_removed_wildcard_finds_nothing(self) -> None:
        self.add("%2A.land.example")
        self.remove("%2A.land.example")
        assert self.queued("a.land.example", "b.land.example") == ["a.land.example", "b.land.example"]
        self.add("a.land.example")
        assert self.queued() == ["b.land.example"]

    def test_a_server_that_was_never_a_partner_finds_nothing(self) -> None:
        assert self.queued("new.example") == ["new.example"]
        self.add("new.example")
        assert self.queued() == []

    def test_what_waits_for_a_partner_stays_when_another_entry_fits_him_too(self) -> None:
        self.add("%2A.land.example")
        assert self.queued("a.land.example") == ["a.land.example"]
        self.add("a.land.example")
        assert self.queued() == ["a.land.example"]


class UnmanagedTestCase(FederationTestCase):
    federation = {"managed": False}

    def test_nothing_can_be_changed(self) -> None:
        for method in ("PUT", "DELETE"):
            channel = self.ask(method, f"federation/partners/{PARTNER}", {"reason": "x"})
            assert channel.code == 409
            assert "managed: false" in channel.json_body["error"]


class OperatorsTestCase(FederationTestCase):
    federation = {"operator_users": ["@operator:test"]}

    def test_other_administrators_only_read(self) -> None:
        assert self.ask("PUT", f"federation/partners/{PARTNER}", {"reason": "x"}).code == 403
        assert self.ask("DELETE", f"federation/partners/{PARTNER}", {"reason": "x"}).code == 403
        assert self.ask("GET", "federation/partners").code == 200
        assert self.ask("GET", f"federation/partners/{PARTNER}/impact").code == 200
